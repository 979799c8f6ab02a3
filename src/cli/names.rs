//! Names that people type: images, repositories, spans of time.

use jiff::SignedDuration;

use super::exit::Failure;
use crate::image::Reference;

/// An image as docker's commands take it.
pub(super) fn image(text: &str) -> Result<Reference, Failure> {
    text.parse().map_err(|error| {
        Failure::usage(format!("`{text}` is not an image reference"))
            .note(format!("{error}"))
            .help("write [registry/]repository[:tag][@digest], for example acme/base:1.4")
    })
}

/// A repository: an image without tag and digest.
pub(super) fn repository(text: &str) -> Result<Reference, Failure> {
    let reference = image(text)?;
    if reference.tag().is_some() || reference.digest().is_some() {
        return Err(Failure::usage(format!(
            "`{text}` names a tag or a digest, where a repository is wanted"
        ))
        .help(format!("write the repository alone: {}", reference.familiar_name())));
    }
    Ok(reference)
}

/// A span of time: `30d`, `2w`, `12h`.
pub(super) fn span(text: &str) -> Result<SignedDuration, String> {
    let wrong = || "write a number and a unit: 30d, 2w or 12h".to_owned();
    let digits = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let hours: i64 = match text.get(digits.len()..) {
        Some("h") => 1,
        Some("d") => 24,
        Some("w") => 24 * 7,
        _ => return Err(wrong()),
    };
    let count: u32 = digits.parse().map_err(|_| wrong())?;
    if count > COUNT_LIMIT {
        return Err(format!("at most {COUNT_LIMIT} of a unit"));
    }
    Ok(SignedDuration::from_hours(i64::from(count) * hours))
}

/// Compares names as people do: `1.9` before `1.10`.
pub(super) fn natural(one: &str, other: &str) -> std::cmp::Ordering {
    let (mut one, mut other) = (one.as_bytes(), other.as_bytes());
    while let (Some(&first), Some(&second)) = (one.first(), other.first()) {
        if first.is_ascii_digit() && second.is_ascii_digit() {
            let (number, rest) = leading_number(one);
            let (other_number, other_rest) = leading_number(other);
            let order = number.len().cmp(&other_number.len()).then_with(|| number.cmp(other_number));
            if order.is_ne() {
                return order;
            }
            (one, other) = (rest, other_rest);
        } else if first == second {
            (one, other) = (one.get(1..).unwrap_or_default(), other.get(1..).unwrap_or_default());
        } else {
            return first.cmp(&second);
        }
    }
    one.len().cmp(&other.len())
}

/// The digits at the start, without leading zeros, and what follows them.
fn leading_number(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|it| !it.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let start = digits.iter().position(|it| *it != b'0').unwrap_or(digits.len());
    (digits.get(start..).unwrap_or_default(), rest)
}

/// Longer than any key lives; far from where times can't be added.
const COUNT_LIMIT: u32 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_a_number_and_a_unit() {
        assert_eq!(span("30d"), Ok(SignedDuration::from_hours(720)));
        assert_eq!(span("2w"), Ok(SignedDuration::from_hours(336)));
        assert_eq!(span("0h"), Ok(SignedDuration::ZERO));
        for text in ["", "30", "d", "-1d", "1 d", "1y", "1dd", "99999999999d", "100001d", "１d"] {
            assert!(span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_in_names_count_as_numbers() {
        let mut names = ["1.10", "1.9", "latest", "1.9-rc", "01.9", "v2", "v10", "1"];
        names.sort_by(|one, other| natural(one, other));
        assert_eq!(names, ["1", "1.9", "01.9", "1.9-rc", "1.10", "latest", "v2", "v10"]);
    }
}
