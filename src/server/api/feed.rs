//! The list of changes, as Notary's clients page through it.

use serde::Serialize;
use serde_json::json;

use super::refusal::Refusal;
use crate::image::Gun;
use crate::server::ErrorCode;
use crate::server::storage::{ChangeKind, ChangeQuery, ChangeRecord, ChangeStart};

/// Reads `records=N&change_id=ID`. A negative one of them means backwards.
pub(super) fn query(text: &str, gun: Option<Gun>) -> Result<ChangeQuery, Refusal> {
    let (mut records, mut id) = (None, None);
    for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
        match &*name {
            // Of two, the first counts, as in Go.
            "records" if records.is_none() => records = Some(value.into_owned()),
            "change_id" if id.is_none() => id = Some(value.into_owned()),
            _ => {}
        }
    }
    let records = number("records", records.as_deref().unwrap_or_default())?;
    let id = id.filter(|it| !it.is_empty()).map_or(Ok(0), |it| number("change_id", &it))?;
    let start = match (id, records) {
        (..0, _) | (0, ..0) => ChangeStart::Newest,
        (_, ..0) => ChangeStart::Before(id),
        _ => ChangeStart::After(id),
    };
    let count = match u32::try_from(records.unsigned_abs()).unwrap_or(u32::MAX) {
        0 => DEFAULT_COUNT,
        count => count.min(COUNT_LIMIT),
    };
    Ok(ChangeQuery { gun, start, count })
}

fn number(name: &str, text: &str) -> Result<i64, Refusal> {
    text.parse().map_err(|_| {
        let reason = format!("`{name}` must be a whole number, not {text:.40?}");
        let mut refusal =
            Refusal::new(axum::http::StatusCode::BAD_REQUEST, ErrorCode::InvalidParameters, reason.clone());
        refusal.answer.detail = Some(json!(reason));
        refusal
    })
}

/// The list as it goes out.
pub(super) fn page(records: &[ChangeRecord]) -> Vec<u8> {
    let page = Page { count: records.len(), records: records.iter().map(Record::of).collect() };
    // Texts and numbers can be written.
    serde_json::to_vec(&page).unwrap_or_default()
}

#[derive(Serialize)]
struct Page<'a> {
    count: usize,
    records: Vec<Record<'a>>,
}

/// In Go's words.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Record<'a> {
    #[serde(rename = "ID")]
    id: String,
    created_at: String,
    #[serde(rename = "GUN")]
    gun: &'a Gun,
    version: u64,
    #[serde(rename = "SHA256")]
    sha256: String,
    category: &'static str,
}

impl<'a> Record<'a> {
    fn of(record: &'a ChangeRecord) -> Self {
        let (version, sha256, category) = match record.kind {
            ChangeKind::Update { version, sha256 } => (version.get(), hex::encode(sha256), "update"),
            ChangeKind::Deletion => (0, String::new(), "deletion"),
        };
        Self {
            id: record.id.to_string(),
            created_at: record.at.to_string(),
            gun: &record.gun,
            version,
            sha256,
            category,
        }
    }
}

/// Notary's.
const DEFAULT_COUNT: u32 = 100;
/// Some two megabytes of answer; whoever wants more goes on after the last one.
const COUNT_LIMIT: u32 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_asked_for_as_in_notary() {
        use ChangeStart::{After, Before, Newest};
        for (text, start, count) in [
            ("records=5", After(0), 5),
            ("records=0", After(0), DEFAULT_COUNT),
            ("records=5&change_id=", After(0), 5),
            ("records=5&change_id=7", After(7), 5),
            ("records=5&change_id=-1", Newest, 5),
            ("records=-5", Newest, 5),
            ("records=-5&change_id=7", Before(7), 5),
            ("change_id=7&x=y&records=5&records=6", After(7), 5),
            ("records=%35", After(0), 5),
            ("records=99999999999", After(0), COUNT_LIMIT),
            ("records=-9223372036854775808", Newest, COUNT_LIMIT),
        ] {
            assert_eq!(query(text, None).unwrap(), ChangeQuery { gun: None, start, count }, "{text}");
        }
        for text in ["", "records", "records=", "records=x", "records=1.5", "records=1&change_id=x"] {
            let refusal = query(text, None).unwrap_err();
            assert_eq!((refusal.answer.status, refusal.answer.code), (400, ErrorCode::InvalidParameters));
        }
    }
}
