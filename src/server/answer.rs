//! Refusals in Notary's form: one error, with a code and a status, in a body below a kibibyte.
//!
//! Notary's clients read no more than that of a body, and take anything but exactly one error that they
//! can parse for "trust server rejected operation". So the detail is shortened until the body fits.

use serde_json::{Value, json};

use crate::text::visible;

/// The codes of Notary's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// The repository's name is not one that this server takes.
    InvalidGun,
    /// A query has a parameter that is none.
    InvalidParameters,
    /// A part of an upload is for a role that there is not.
    InvalidRole,
    /// The upload is not what may come next.
    InvalidUpdate,
    /// A part of an upload is not JSON.
    MalformedJson,
    /// The body of an upload is not in parts.
    MalformedUpload,
    /// There is no such file, or no such path.
    MetadataNotFound,
    /// Nobody here signs.
    NoCryptoService,
    /// A part of an upload names no role.
    NoFilename,
    /// Nothing here keeps files.
    NoStorage,
    /// Whoever asks asked too often.
    TooManyRequests,
    /// Whoever asks must say who they are.
    Unauthorized,
    /// Something else went wrong.
    Unknown,
    /// The files could not be kept.
    Updating,
    /// Somebody else published in between.
    Version,
}

impl ErrorCode {
    /// The code as Notary's clients compare it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.words().0
    }

    /// The message that goes with it.
    #[must_use]
    pub fn message(self) -> &'static str {
        self.words().1
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::InvalidGun => ("INVALID_GUN", "this server does not take repositories of that name"),
            Self::InvalidParameters => ("INVALID_PARAMETERS", "a parameter of the query is not valid"),
            Self::InvalidRole => ("INVALID_ROLE", "there is no such role"),
            Self::InvalidUpdate => ("INVALID_UPDATE", "the update is not valid"),
            Self::MalformedJson => ("MALFORMED_JSON", "the metadata is not JSON"),
            Self::MalformedUpload => ("MALFORMED_UPLOAD", "the body of the request is malformed"),
            Self::MetadataNotFound => ("METADATA_NOT_FOUND", "there is no such metadata"),
            Self::NoCryptoService => ("NO_CRYPTOSERVICE", "the server's signing keys cannot be reached"),
            Self::NoFilename => ("NO_FILENAME", "a part of the upload names no role"),
            Self::NoStorage => ("NO_STORAGE", "the server has no storage"),
            // Notary has no such code; registries call it so.
            Self::TooManyRequests => ("TOOMANYREQUESTS", "too many requests; try again later"),
            Self::Unauthorized => ("UNAUTHORIZED", "authentication required"),
            Self::Unknown => ("UNKNOWN", "the server could not do this"),
            Self::Updating => ("UPDATING", "the update could not be stored"),
            Self::Version => ("VERSION", "a newer version of the metadata is there already"),
        }
    }
}

/// A refusal as it goes out.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorAnswer {
    /// The status of the answer.
    pub status: u16,
    /// The one error's code.
    pub code: ErrorCode,
    /// What Notary's clients parse by the code; `None`: the error has no such member.
    pub detail: Option<Value>,
}

impl ErrorAnswer {
    /// An error whose detail is an empty object.
    #[must_use]
    pub fn new(status: u16, code: ErrorCode) -> Self {
        Self { status, code, detail: Some(json!({})) }
    }

    /// The same with a detail.
    #[must_use]
    pub fn with_detail(self, detail: Value) -> Self {
        Self { detail: Some(detail), ..self }
    }

    /// The body, shorter than a kibibyte.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let mut detail = self.detail.clone();
        let mut longest = BODY_LIMIT / 2;
        loop {
            let body = self.body_with(detail.as_ref());
            if body.len() < BODY_LIMIT || longest < SHORTEST_TEXT {
                return body;
            }
            if let Some(it) = &mut detail {
                shorten(it, longest);
            }
            longest /= 2;
        }
    }

    fn body_with(&self, detail: Option<&Value>) -> Vec<u8> {
        let mut error = json!({"code": self.code.as_str(), "message": self.code.message()});
        if let (Some(members), Some(detail)) = (error.as_object_mut(), detail) {
            members.insert("detail".to_owned(), detail.clone());
        }
        let mut body = json!({"errors": [error]}).to_string().into_bytes();
        body.push(b'\n');
        body
    }
}

/// Cuts every text of a value that is longer than this many bytes, and what could move a cursor.
fn shorten(value: &mut Value, longest: usize) {
    match value {
        Value::String(text) => {
            let safe = visible(text);
            let mut end = longest.min(safe.len());
            while !safe.is_char_boundary(end) {
                end -= 1;
            }
            let rest = if end < safe.len() { "…" } else { "" };
            *text = format!("{}{rest}", safe.get(..end).unwrap_or_default());
        }
        Value::Array(items) => {
            items.truncate(ITEM_LIMIT);
            for it in items {
                shorten(it, longest);
            }
        }
        Value::Object(members) => members.values_mut().for_each(|it| shorten(it, longest)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Docker's and Notary's clients read one kibibyte of an error's body.
const BODY_LIMIT: usize = 1024;
/// Texts are not cut below this: an error has few of them.
const SHORTEST_TEXT: usize = 16;
/// A detail that lists more than this says nothing more.
const ITEM_LIMIT: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_notarys() {
        let answer = ErrorAnswer::new(400, ErrorCode::Version);
        let body = String::from_utf8(answer.body()).unwrap();
        assert_eq!(
            body,
            "{\"errors\":[{\"code\":\"VERSION\",\"detail\":{},\"message\":\"a newer version of the metadata is there already\"}]}\n"
        );
        let answer = ErrorAnswer { detail: None, ..ErrorAnswer::new(404, ErrorCode::MetadataNotFound) };
        assert!(!String::from_utf8(answer.body()).unwrap().contains("detail"));
    }

    #[test]
    fn a_body_stays_below_a_kibibyte() {
        for text in ["x".repeat(100_000), "\u{1b}[2J\"\\\n".repeat(1000), "é€😀".repeat(5000)] {
            let detail = json!({"Name": "ErrBadTargets", "Error": {"Msg": text, "list": [text, text, text]}});
            let answer = ErrorAnswer::new(400, ErrorCode::InvalidUpdate).with_detail(detail);
            let body = answer.body();
            assert!(body.len() < BODY_LIMIT, "{} bytes", body.len());
            let parsed: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(parsed["errors"].as_array().unwrap().len(), 1);
            assert_eq!(parsed["errors"][0]["detail"]["Name"], "ErrBadTargets");
        }
    }
}
