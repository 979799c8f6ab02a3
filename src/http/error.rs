//! What can go wrong between a URL and its body, by who is at fault.
//!
//! The variants hold text only, so that one failure can be told to every caller that waited for it.
//! No variant ever holds a credential; URLs are shown without user, password and query.

use std::error::Error as _;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

/// Why a URL could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The URL itself is not one that this client reads.
    #[error("`{url}` {reason}")]
    Url {
        /// The URL as shown.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A CA, certificate or key file on this machine can't be used.
    #[error("the certificate file `{}` can't be used: {reason}", path.display())]
    CertificateFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// No connection: name resolution, refused, no route, a proxy that said no.
    #[error("no connection to `{url}`: {reason}")]
    Connect {
        /// The URL as shown.
        url: String,
        /// The deepest cause.
        reason: String,
    },
    /// The TLS handshake did not hold: unknown authority, wrong name, expired certificate, an alert.
    #[error("the TLS connection to `{url}` was not accepted: {reason}")]
    Tls {
        /// The URL as shown.
        url: String,
        /// What TLS said.
        reason: String,
    },
    /// The server took too long.
    #[error("`{url}` took too long: {waiting}")]
    Timeout {
        /// The URL as shown.
        url: String,
        /// What was waited for.
        waiting: Waiting,
    },
    /// The connection ended before the answer did.
    #[error("`{url}` closed the connection after {received} bytes of its answer: {reason}")]
    Closed {
        /// The URL as shown.
        url: String,
        /// How many bytes of the body had come.
        received: u64,
        /// What the connection said.
        reason: String,
    },
    /// The server answered with a status that is no success.
    #[error("`{url}` answered with status {status}{}", after_colon(&problem.message))]
    Status {
        /// The URL as shown.
        url: String,
        /// The status code.
        status: u16,
        /// What the server said about it.
        problem: Problem,
    },
    /// The server wants credentials that we do not have, or refuses those that we have.
    #[error("`{url}` refused access: {reason}")]
    Unauthorized {
        /// The URL as shown.
        url: String,
        /// What was missing or refused.
        reason: String,
    },
    /// The body is longer than what was asked for can be.
    #[error("the answer of `{url}` is larger than {limit} bytes")]
    TooLarge {
        /// The URL as shown.
        url: String,
        /// The limit of this request.
        limit: u64,
    },
    /// The server sent us to a place where we do not go.
    #[error("`{url}` redirects to `{target}`, which was not followed: {reason}")]
    Redirect {
        /// The URL as shown.
        url: String,
        /// Where it pointed, as shown.
        target: String,
        /// Why not.
        reason: String,
    },
    /// The body is compressed although that was not asked for.
    #[error("the answer of `{url}` is encoded as `{encoding}`, which was not asked for")]
    Encoding {
        /// The URL as shown.
        url: String,
        /// The encoding that the header names.
        encoding: String,
    },
    /// What came back is no HTTP, or breaks its rules or our limits.
    #[error("the answer of `{url}` is not valid HTTP: {reason}")]
    Protocol {
        /// The URL as shown.
        url: String,
        /// What the parser said.
        reason: String,
    },
    /// The token server gave no usable token.
    #[error("the token server `{realm}` gave no token: {reason}")]
    Token {
        /// The token server as shown.
        realm: String,
        /// Why not.
        reason: String,
    },
    /// Docker's credentials could not be read.
    #[error("the credentials of `{registry}` could not be read: {reason}")]
    Credentials {
        /// The registry they belong to.
        registry: String,
        /// The file or program, and why.
        reason: String,
    },
}

/// The first error of a body in docker's error format, `{"errors":[{"code":…,"message":…,"detail":…}]}`.
///
/// All of it is the server's text, cleaned for display and cut; it is empty where the server
/// spoke otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// The code: `VERSION`, `MANIFEST_UNKNOWN`.
    pub code: String,
    /// The message for people.
    pub message: String,
    /// The innermost text of the detail, where there is one: notary's server says there what is
    /// wrong with an upload.
    pub detail: String,
    /// When to try again, where the server says so in seconds.
    pub retry_after: Option<Duration>,
}

impl Problem {
    /// Reads the beginning of an unsuccessful answer's body.
    pub(super) fn read(body: &[u8], retry_after: Option<Duration>) -> Self {
        #[derive(serde::Deserialize)]
        struct Errors {
            errors: Vec<OneError>,
        }
        #[derive(serde::Deserialize)]
        struct OneError {
            #[serde(default)]
            code: String,
            #[serde(default)]
            message: String,
            #[serde(default)]
            detail: serde_json::Value,
        }
        let errors: Option<Errors> = serde_json::from_slice(body).ok();
        let Some(first) = errors.and_then(|errors| errors.errors.into_iter().next()) else {
            return Self { retry_after, ..Self::default() };
        };
        let detail = match &first.detail {
            serde_json::Value::String(text) => text,
            detail => detail.pointer("/Error/Msg").and_then(serde_json::Value::as_str).unwrap_or_default(),
        };
        Self {
            code: excerpt(&first.code),
            message: excerpt(&first.message),
            detail: excerpt(detail),
            retry_after,
        }
    }
}

/// What a timeout was waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The connection, TLS included.
    Connection,
    /// The next bytes of the answer.
    Bytes,
    /// The whole answer, with redirects and tokens.
    Answer,
}

impl std::fmt::Display for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connection => "no connection within the time limit",
            Self::Bytes => "no bytes came within the time limit",
            Self::Answer => "the whole answer did not come within the time limit",
        })
    }
}

impl HttpError {
    /// Whether the server could not be reached or is out of order (network failure, timeout,
    /// 5xx), as opposed to a server that gave an answer we do not accept.
    ///
    /// A failed TLS handshake is not counted: somebody answered, but not the right one.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Timeout { .. } | Self::Closed { .. } => true,
            Self::Status { status, .. } => (500..600).contains(status),
            Self::Url { .. }
            | Self::CertificateFile { .. }
            | Self::Tls { .. }
            | Self::Unauthorized { .. }
            | Self::TooLarge { .. }
            | Self::Redirect { .. }
            | Self::Encoding { .. }
            | Self::Protocol { .. }
            | Self::Token { .. }
            | Self::Credentials { .. } => false,
        }
    }

    /// The status code, where the server gave one that is no success.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Sorts what the transport reports, after `received` bytes of body.
    pub(super) fn from_transport(error: &reqwest::Error, url: &Url, received: u64) -> Self {
        let shown = shown(url);
        let reason = deepest(error);
        if let Some(tls) = tls_cause(error) {
            return Self::Tls { url: shown, reason: tls };
        }
        if error.is_timeout() {
            let waiting = if error.is_connect() { Waiting::Connection } else { Waiting::Bytes };
            return Self::Timeout { url: shown, waiting };
        }
        if error.is_connect() {
            return Self::Connect { url: shown, reason };
        }
        if is_malformed(error) {
            return Self::Protocol { url: shown, reason };
        }
        Self::Closed { url: shown, received, reason }
    }
}

/// A URL as people may see it: without user, password and query, which can hold secrets.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Neither fails on a URL with a host; on one without, there is nothing to hide.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

/// At most [`EXCERPT_LIMIT`] characters of a server's text, without anything that a terminal
/// would obey.
pub(super) fn excerpt(text: &str) -> String {
    let clean: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(EXCERPT_LIMIT).collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn after_colon(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

fn deepest(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    for _ in 0..CAUSE_LIMIT {
        match cause.source() {
            Some(next) => cause = next,
            None => break,
        }
    }
    excerpt(&cause.to_string())
}

fn tls_cause(error: &reqwest::Error) -> Option<String> {
    causes(error).find_map(|cause| {
        let mut inner = cause;
        for _ in 0..CAUSE_LIMIT {
            if let Some(tls) = inner.downcast_ref::<rustls::Error>() {
                return Some(excerpt(&tls.to_string()));
            }
            // What an I/O error wraps is no link of its chain.
            inner = inner.downcast_ref::<std::io::Error>()?.get_ref()?;
        }
        None
    })
}

/// Bytes that are no HTTP, heads that are too large, a body with a broken chunk length.
fn is_malformed(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| {
        if let Some(http) = cause.downcast_ref::<hyper::Error>() {
            return http.is_parse();
        }
        cause.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::InvalidInput)
    })
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
    .take(CAUSE_LIMIT)
}

/// Enough of a server's message to recognise it; the rest would only fill the screen.
const EXCERPT_LIMIT: usize = 200;
/// Error chains are a few links long; a cycle would hang us.
const CAUSE_LIMIT: usize = 16;
