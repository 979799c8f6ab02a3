//! Times as databases print them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The time in a column without a time zone, which Notary fills with UTC: `2026-11-22 14:16:17.670745`.
pub(crate) fn moment(text: &str) -> Option<Timestamp> {
    let time: DateTime = text.trim().parse().ok()?;
    time.to_zoned(TimeZone::UTC).ok().map(|it| it.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_both_databases_are_read() {
        for (text, expected) in [
            ("2026-11-22 14:16:17.670745", Some("2026-11-22T14:16:17.670745Z")),
            ("2026-11-22 14:16:17", Some("2026-11-22T14:16:17Z")),
            ("0000-00-00 00:00:00", None),
            ("", None),
            ("infinity", None),
        ] {
            assert_eq!(moment(text), expected.map(|it| it.parse().unwrap()), "{text}");
        }
    }
}
