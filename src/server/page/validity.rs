//! How long something is valid still: as a number, in words, and as a bar.

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use serde::{Serialize, Serializer};

/// A role's time, seen from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    now: Timestamp,
    stored: Timestamp,
    expires: Timestamp,
}

impl Validity {
    pub(super) fn new(stored: Timestamp, expires: Timestamp, now: Timestamp) -> Self {
        Self { now, stored, expires }
    }

    pub(super) fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Whole days, rounded down: a moment too late is -1.
    pub(super) fn days_left(&self) -> i64 {
        self.left().as_secs().div_euclid(DAY)
    }

    pub(super) fn words(&self) -> String {
        let left = self.left();
        if SignedDuration::ZERO < left {
            return format!("{} left", span(left));
        }
        format!("expired {} ago", span(-left))
    }

    /// The bar: full when the file was new, empty when its time is over. It turns when a third is left,
    /// which is when a server signs anew, and again shortly before the end.
    pub(super) fn bar(&self, what: &str) -> Markup {
        let whole = self.expires.duration_since(self.stored).as_secs().max(1);
        let left = self.left().as_secs().clamp(0, whole);
        html! {
            meter min="0" max=(whole) low=(whole / 10) high=(whole / 3) optimum=(whole) value=(left)
                aria-label=(format!("Time left of {what}: {}", self.words())) {
                (self.words())
            }
        }
    }

    fn left(&self) -> SignedDuration {
        self.expires.duration_since(self.now)
    }
}

/// The largest unit that it has one of.
fn span(span: SignedDuration) -> String {
    let seconds = span.as_secs();
    let (number, unit) = match seconds {
        DAY.. => (seconds / DAY, "day"),
        HOUR.. => (seconds / HOUR, "hour"),
        MINUTE.. => (seconds / MINUTE, "minute"),
        _ => return "less than a minute".to_owned(),
    };
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {unit}{plural}")
}

/// A moment as people read it, and as programs do.
pub(super) fn moment(at: Timestamp) -> Markup {
    let shown = at.strftime("%Y-%m-%d %H:%M UTC").to_string();
    html! { time datetime=(at.to_string()) { (shown) } }
}

/// A moment in JSON.
pub(super) fn as_text<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

impl Serialize for Validity {
    /// As `expires` and `days_left`, to be flattened into what has them.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut members = serializer.serialize_map(Some(2))?;
        members.serialize_entry("expires", &self.expires.to_string())?;
        members.serialize_entry("days_left", &self.days_left())?;
        members.end()
    }
}

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuf::testing::{days, now};

    #[test]
    fn words_name_the_largest_unit() {
        let left = |seconds| {
            let validity = Validity::new(days(-1), now() + SignedDuration::from_secs(seconds), now());
            (validity.words(), validity.days_left())
        };
        let expected = [
            (14 * DAY, "14 days left", 14),
            (2 * DAY - 1, "1 day left", 1),
            (DAY - 1, "23 hours left", 0),
            (HOUR, "1 hour left", 0),
            (HOUR - 1, "59 minutes left", 0),
            (1, "less than a minute left", 0),
            (0, "expired less than a minute ago", 0),
            (-1, "expired less than a minute ago", -1),
            (-3 * DAY, "expired 3 days ago", -3),
        ];
        for (seconds, words, days) in expected {
            assert_eq!(left(seconds), (words.to_owned(), days), "{seconds}");
        }
    }

    #[test]
    fn a_bar_stays_within_its_bounds() {
        for (stored, expires, now, max, value) in [
            (0, 10, 5, 10, 5),
            (0, 10, -5, 10, 10),
            (0, 10, 20, 10, 0),
            (10, 10, 10, 1, 0),
            (20, 10, 5, 1, 1),
        ] {
            let bar = Validity::new(days(stored), days(expires), days(now)).bar("x").into_string();
            let attribute = |name: &str| {
                let (_, rest) = bar.split_once(&format!(" {name}=\"")).unwrap();
                rest.split('"').next().unwrap().parse::<i64>().unwrap()
            };
            let unit = if max == 1 { 1 } else { DAY };
            assert_eq!((attribute("max"), attribute("value")), (max * unit, value * unit), "{bar}");
        }
    }
}
