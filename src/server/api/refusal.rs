//! What is not answered with what was asked for: Notary's error, and why, for the log.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::json;

use crate::server::access::{Challenge, RetryAfter};
use crate::server::publication::PublicationError;
use crate::server::storage::StorageError;
use crate::server::{ErrorAnswer, ErrorCode};

/// An error that goes out.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) answer: ErrorAnswer,
    /// Why, in our own words; `None`: the code says it all.
    pub(super) reason: Option<String>,
    /// Whether it is in the access log even where reads are not.
    pub(super) notable: bool,
    challenge: Option<String>,
    retry_after: Option<u64>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: ErrorCode, reason: impl Into<String>) -> Self {
        Self {
            notable: status.is_server_error(),
            reason: Some(reason.into()),
            ..Self::of(ErrorAnswer::new(status.as_u16(), code))
        }
    }

    /// There is no such file.
    pub(super) fn not_found() -> Self {
        Self::of(ErrorAnswer::new(404, ErrorCode::MetadataNotFound))
    }

    /// There is no such path.
    pub(super) fn nothing() -> Self {
        let answer = ErrorAnswer::new(404, ErrorCode::MetadataNotFound);
        Self::of(ErrorAnswer { detail: None, ..answer })
    }

    /// A body that is longer than is read.
    pub(super) fn too_large(limit: u64) -> Self {
        let reason = format!("an update has {limit} bytes at most");
        let mut refusal =
            Self::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::MalformedUpload, reason.clone());
        refusal.answer.detail = Some(json!(reason));
        refusal
    }

    /// Whoever asks must say who they are.
    pub(super) fn challenge(challenge: Challenge) -> Self {
        let answer = ErrorAnswer::new(401, ErrorCode::Unauthorized).with_detail(challenge.detail);
        Self { challenge: Some(challenge.header), ..Self::of(answer) }
    }

    /// Whoever asks may not.
    pub(super) fn denied(challenge: Challenge, reason: String) -> Self {
        Self { reason: Some(reason), notable: true, ..Self::challenge(challenge) }
    }

    /// Whoever asks asked too often.
    pub(super) fn too_many(RetryAfter(after): RetryAfter) -> Self {
        let seconds = after.as_secs().saturating_add(1);
        let status = StatusCode::TOO_MANY_REQUESTS;
        let refusal = Self::new(status, ErrorCode::TooManyRequests, "too many requests");
        Self { retry_after: Some(seconds), notable: true, ..refusal }
    }

    /// It cannot be done now.
    pub(super) fn busy(reason: impl Into<String>) -> Self {
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unknown, reason);
        Self { retry_after: Some(BUSY_SECONDS), ..refusal }
    }

    /// It met a defect of this program, which the log has the place of, and the client nothing.
    pub(super) fn defect() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Unknown, "a defect of this program")
    }

    /// A file could not be read.
    pub(super) fn storage(error: StorageError) -> Self {
        let error = PublicationError::Storage(error);
        let answer = ErrorAnswer::new(error.answer().status, ErrorCode::Unknown);
        Self { reason: Some(error.to_string()), notable: true, ..Self::of(answer) }
    }

    fn of(answer: ErrorAnswer) -> Self {
        Self { answer, reason: None, notable: false, challenge: None, retry_after: None }
    }

    pub(super) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// As it goes out.
    pub(super) fn response(&self) -> Response {
        let mut response = Response::new(Body::from(self.answer.body()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        // A header that cannot be written is one that nobody could answer.
        let challenge = self.challenge.as_ref().and_then(|it| HeaderValue::from_str(it).ok());
        headers.extend(challenge.map(|it| (WWW_AUTHENTICATE, it)));
        headers.extend(self.retry_after.map(|it| (RETRY_AFTER, HeaderValue::from(it))));
        response
    }
}

impl From<PublicationError> for Refusal {
    fn from(error: PublicationError) -> Self {
        let answer = error.answer();
        let notable = answer.status >= 500;
        Self { reason: Some(error.to_string()), notable, ..Self::of(answer) }
    }
}

/// When to try again what a full server did not take.
const BUSY_SECONDS: u64 = 5;
