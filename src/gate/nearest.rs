//! Which of the signed tags a person may have meant.

use crate::text::visible_prefix;

/// The signed tags for a message: the nearest first, a few of them, and how many more there are.
pub(super) fn nearest_tags(wanted: &str, signed: &[String]) -> String {
    let mut ranked: Vec<(bool, usize, &String)> =
        signed.iter().take(COMPARED_LIMIT).map(|tag| rank(wanted, tag)).collect();
    ranked.sort();
    let shown: Vec<String> =
        ranked.iter().take(SHOWN_LIMIT).map(|(_, _, tag)| visible_prefix(tag, TAG_LIMIT)).collect();
    let more = signed.len() - shown.len();
    let shown = shown.join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// Tags that continue the wanted one, or that it continues, come before those that differ by typing.
fn rank<'a>(wanted: &str, tag: &'a String) -> (bool, usize, &'a String) {
    let related = tag.starts_with(wanted) || wanted.starts_with(tag.as_str());
    (!related, distance(wanted, tag), tag)
}

/// How many characters must be put in, taken out or replaced (Levenshtein), of the first ones.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(TAG_LIMIT).collect();
    let b: Vec<char> = b.chars().take(TAG_LIMIT).collect();
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for (row, left) in a.iter().enumerate() {
        let mut current = Vec::with_capacity(previous.len());
        let mut last = row + 1;
        current.push(last);
        for (right, pair) in b.iter().zip(previous.windows(2)) {
            let &[diagonal, above] = pair else { continue };
            last = (diagonal + usize::from(left != right)).min(above + 1).min(last + 1);
            current.push(last);
        }
        previous = current;
    }
    previous.last().copied().unwrap_or_default()
}

/// As many as fit a line; more are no help.
const SHOWN_LIMIT: usize = 10;
/// Comparing takes time that grows with their number; among so many, one is near.
const COMPARED_LIMIT: usize = 2_000;
/// The longest tag that docker's grammar has.
const TAG_LIMIT: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn nearest(wanted: &str, signed: &[&str]) -> String {
        nearest_tags(wanted, &signed.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn the_nearest_comes_first() {
        assert_eq!(nearest("1.4", &["latest", "1.3", "1.4.1", "2.0"]), "1.4.1, 1.3, 2.0, latest");
        assert_eq!(nearest("lastest", &["1", "latest", "edge"]), "latest, edge, 1");
        assert_eq!(nearest("1.4.1", &["1.5.1", "1.4"]), "1.4, 1.5.1");
    }

    #[test]
    fn a_list_is_bounded_and_harmless() {
        let many: Vec<String> = (0..100_000).map(|number| format!("v{number}")).collect();
        let text = nearest_tags("v7", &many);
        assert!(text.starts_with("v7, v70, v71"), "{text}");
        assert!(text.ends_with(" and 99990 more"), "{text}");
        let hostile = nearest("x", &["x\u{1b}[2J", &"y".repeat(1 << 20)]);
        assert!(hostile.starts_with("x\\u{1b}[2J, yyy"), "{hostile}");
        assert!(hostile.len() < 400);
    }

    #[test]
    fn distances() {
        for (a, b, expected) in
            [("", "", 0), ("", "ab", 2), ("kitten", "sitting", 3), ("a", "b", 1), ("ab", "", 2)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
