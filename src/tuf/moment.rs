//! Points in time as metadata writes them: RFC 3339, with fractions and offsets.

use jiff::Timestamp;

use super::error::shown;
use super::view::Parsed;

/// Reads what Go reads as RFC 3339, and nothing that only looks like it.
pub(super) fn parse(text: &str) -> Parsed<Timestamp> {
    let invalid = || format!("{} is not an RFC 3339 time", shown(text));
    if !has_shape(text.as_bytes()) {
        return Err(invalid());
    }
    text.parse().map_err(|_| invalid())
}

/// `YYYY-MM-DDThh:mm:ss[.f…](Z|±hh:mm)`; the parser behind knows many forms more.
fn has_shape(text: &[u8]) -> bool {
    let matches = |text: &[u8], shape: &[u8]| {
        text.len() == shape.len()
            && text.iter().zip(shape).all(|(byte, wanted)| match wanted {
                b'0' => byte.is_ascii_digit(),
                _ => byte == wanted,
            })
    };
    let Some((time, rest)) = text.split_at_checked(19) else { return false };
    let zone = match rest.strip_prefix(b".") {
        None => rest,
        Some(fraction) => {
            let digits = fraction.iter().take_while(|it| it.is_ascii_digit()).count();
            if !(1..=9).contains(&digits) {
                return false;
            }
            fraction.get(digits..).unwrap_or_default()
        }
    };
    // A leap second is 60 in RFC 3339, but no time in Go.
    let leap = time.ends_with(b"60");
    let zoned = zone == b"Z" || matches(zone, b"+00:00") || matches(zone, b"-00:00");
    matches(time, b"0000-00-00T00:00:00") && !leap && zoned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_writes_is_read() {
        for text in [
            "2029-11-21T14:16:17.670745079Z",
            "2029-11-21T14:16:17Z",
            "2116-07-03T17:56:36.027379879-05:00",
            "2026-12-06T14:16:17.5+05:30",
            "0001-01-01T00:00:00Z",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
        assert_eq!(parse("2026-12-06T14:00:00-08:00").unwrap(), parse("2026-12-06T22:00:00Z").unwrap());
    }

    #[test]
    fn look_alikes_are_refused() {
        for text in [
            "",
            "2029-11-21",
            "2029-11-21T14:16:17",
            "2029-11-21 14:16:17Z",
            "2029-11-21t14:16:17Z",
            "2029-11-21T14:16:17z",
            "2029-11-21T14:16:60Z",
            "2029-11-21T24:00:00Z",
            "2029-13-21T14:16:17Z",
            "2029-02-30T14:16:17Z",
            "2029-11-21T14:16:17,5Z",
            "2029-11-21T14:16:17.Z",
            "2029-11-21T14:16:17.1234567890Z",
            "2029-11-21T14:16:17+0000",
            "2029-11-21T14:16:17Z[UTC]",
            "+002029-11-21T14:16:17Z",
            "20291121T141617Z",
            " 2029-11-21T14:16:17Z",
            "1e9",
            "４",
        ] {
            assert!(parse(text).is_err(), "{text:?} was accepted");
        }
    }
}
