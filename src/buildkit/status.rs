//! Errors as they travel: a gRPC status whose details are `BuildKit`'s own typed JSON.
//!
//! A status that came from the daemon is passed on whole; its details carry the failed
//! vertex, its log and its place in the Dockerfile, and clients print them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use serde_json::{Value, json};

use crate::buildkit::proto::rpc::{Detail, Status};

/// The gRPC codes that this program returns by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// An end that the text explains. Clients put every other code's name before the text, once
    /// for each frontend that the error passes.
    Unknown,
    /// Something here went wrong.
    Internal,
    /// There is no daemon to speak to.
    Unavailable,
}

impl Code {
    /// The code's number on the wire.
    #[must_use]
    pub fn number(self) -> i32 {
        match self {
            Self::Unknown => 2,
            Self::Internal => 13,
            Self::Unavailable => 14,
        }
    }
}

/// A place in a source file: 1-based lines, 0-based characters, as `BuildKit` counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceRange {
    /// First line and character.
    pub start: (usize, usize),
    /// Last line and the character after the end.
    pub end: (usize, usize),
}

/// The detail that maps an error to lines of a Dockerfile.
#[must_use]
pub fn source_error(file: &str, source: &[u8], ranges: &[SourceRange]) -> Detail {
    let position = |(line, character): (usize, usize)| json!({ "line": line, "character": character });
    let ranges: Vec<Value> = ranges
        .iter()
        .map(|range| json!({ "start": position(range.start), "end": position(range.end) }))
        .collect();
    let value = json!({
        "info": { "filename": file, "data": STANDARD.encode(source), "language": "Dockerfile" },
        "ranges": ranges,
    });
    Detail { type_url: SOURCE_TYPE.to_owned(), value: value.to_string().into_bytes() }
}

/// Replaces the text that a nested build's error points into: where the error's source map
/// holds the `pinned` text under the `file`'s name, the user is shown the `original` one.
/// Lines agree, since pins change no line. Every other detail stays as it came, byte for byte.
pub fn source_of(status: &mut Status, file: &str, pinned: &[u8], original: &[u8]) {
    let encoded = STANDARD.encode(pinned);
    for detail in &mut status.details {
        if detail.type_url != SOURCE_TYPE {
            continue;
        }
        let Ok(mut value) = serde_json::from_slice::<Value>(&detail.value) else { continue };
        let Some(info) = value.get_mut("info").and_then(Value::as_object_mut) else { continue };
        let ours = info.get("filename").and_then(Value::as_str) == Some(file)
            && info.get("data").and_then(Value::as_str) == Some(encoded.as_str());
        if !ours {
            continue;
        }
        info.insert("data".to_owned(), Value::String(STANDARD.encode(original)));
        detail.value = value.to_string().into_bytes();
    }
}

/// The status behind a tonic error, with its details where the server sent any.
#[must_use]
pub fn status_from(error: &tonic::Status) -> Status {
    if let Ok(status) = Status::decode(error.details())
        && status.code == i32::from(error.code())
        && status.code != 0
    {
        return status;
    }
    Status { code: error.code().into(), message: error.message().to_owned(), details: Vec::new() }
}

/// The type of `BuildKit`'s source map details.
const SOURCE_TYPE: &str = "github.com/moby/buildkit/errdefs.Source+json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nested_error_shows_the_original_text_and_nothing_else_changes() {
        let other = Detail {
            type_url: "github.com/moby/buildkit/errdefs.Vertex+json".into(),
            value: b"{ \"x\" :1}".to_vec(),
        };
        let ranges = [SourceRange { start: (2, 0), end: (2, 9) }];
        let mut status = Status {
            code: 2,
            message: "process failed".into(),
            details: vec![
                other.clone(),
                source_error("Dockerfile", b"FROM a@sha256:00", &ranges),
                source_error("other", b"FROM a@sha256:00", &ranges),
            ],
        };
        let untouched = status.details[2].clone();
        source_of(&mut status, "Dockerfile", b"FROM a@sha256:00", b"FROM a");
        assert_eq!(status.details[0], other);
        assert_eq!(status.details[1], source_error("Dockerfile", b"FROM a", &ranges));
        assert_eq!(status.details[2], untouched);
    }

    #[test]
    fn details_of_another_code_are_not_believed() {
        let inner = Status { code: 5, message: "inner".into(), details: Vec::new() };
        let error = tonic::Status::with_details(tonic::Code::Unknown, "outer", inner.encode_to_vec().into());
        assert_eq!(status_from(&error).message, "outer");
        let error = tonic::Status::with_details(tonic::Code::NotFound, "outer", inner.encode_to_vec().into());
        assert_eq!(status_from(&error).message, "inner");
        let error = tonic::Status::with_details(tonic::Code::Unknown, "outer", b"\xff\xff".to_vec().into());
        assert_eq!(status_from(&error).message, "outer");
    }
}
