//! Clocks that are wrong by what a file says.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use trustgate::signer::Clock;

/// A clock of a process whose offset, in seconds, is what this file says at the moment.
pub(crate) fn put_off_by(file: &Path) -> Clock {
    let file = file.to_owned();
    std::sync::Arc::new(move || now(&file))
}

/// What that clock shows.
pub(crate) fn now(file: &Path) -> Timestamp {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    // It is empty for the moment in which it is written.
    let offset = text.trim().parse().unwrap_or(0);
    Timestamp::now() + SignedDuration::from_secs(offset)
}

/// Puts the clocks off.
pub(crate) fn set(file: &Path, seconds: i64) -> std::io::Result<()> {
    std::fs::write(file, seconds.to_string())
}
