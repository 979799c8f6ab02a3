//! Forms that an older `BuildKit` takes silently, but reads otherwise.

use super::Notice;
use super::instruction::Parsed;

pub(super) fn warnings(source: &str, parsed: &Parsed) -> Vec<Notice> {
    let _ = (source, parsed);
    Vec::new()
}
