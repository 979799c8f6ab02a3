//! Answers that need not be sent again: what may be kept for how long, and by which name it is compared.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, PRAGMA, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};

use crate::server::access::Caller;
use crate::server::settings::Caching;
use crate::server::storage::StoredFile;

/// Whether a file may change under its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A role's newest.
    Current,
    /// One that was asked for by hash or version.
    Consistent,
}

/// The headers of both kinds, for everybody and for whoever said who they are.
pub(super) struct CacheHeaders {
    current: Values,
    consistent: Values,
}

struct Values {
    public: HeaderValue,
    private: HeaderValue,
    never: bool,
}

impl CacheHeaders {
    pub(super) fn new(caching: &Caching) -> Self {
        Self {
            current: Values::new(caching.current, ", must-revalidate"),
            consistent: Values::new(caching.consistent, ""),
        }
    }

    /// The file as an answer, or that whoever asks has it.
    pub(super) fn answer(
        &self,
        file: StoredFile,
        kind: Kind,
        caller: &Caller,
        asked: &HeaderMap,
    ) -> Response {
        let values = match kind {
            Kind::Current => &self.current,
            Kind::Consistent => &self.consistent,
        };
        let tag = entity_tag(&file.sha256);
        let fresh = is_known(asked, &tag, file.stored);
        let mut response = Response::new(if fresh { Body::empty() } else { Body::from(file.content) });
        if fresh {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        headers.reserve(HEADERS);
        if !fresh {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if caller.name.is_some() {
            // A cache between us knows nothing of who may read what.
            headers.insert(CACHE_CONTROL, values.private.clone());
            headers.insert(VARY, HeaderValue::from_static("authorization"));
        } else {
            headers.insert(CACHE_CONTROL, values.public.clone());
        }
        if values.never {
            headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
        }
        headers.extend(HeaderValue::try_from(tag).ok().map(|it| (ETAG, it)));
        let modified = DateTimePrinter::new().timestamp_to_rfc9110_string(&file.stored).ok();
        headers.extend(modified.and_then(|it| HeaderValue::try_from(it).ok()).map(|it| (LAST_MODIFIED, it)));
        response
    }
}

impl Values {
    fn new(age: Duration, more: &str) -> Self {
        let seconds = age.as_secs();
        let never = seconds == 0;
        let (public, private) = if never {
            let text = "max-age=0, no-cache, no-store".to_owned();
            (text.clone(), text)
        } else {
            let public = format!("public, max-age={seconds}, s-maxage={seconds}{more}");
            (public, format!("private, max-age={seconds}{more}"))
        };
        let value = |text: String| HeaderValue::try_from(text).expect("numbers and letters are a header");
        Self { public: value(public), private: value(private), never }
    }
}

/// What a file is compared by: its SHA-256, in quotes.
fn entity_tag(sha256: &[u8; 32]) -> String {
    let mut tag = String::with_capacity(TAG_LENGTH);
    tag.push('"');
    tag.push_str(&hex::encode(sha256));
    tag.push('"');
    tag
}

/// Whether whoever asks says that they have this file. Where both headers are there, the tag decides.
fn is_known(asked: &HeaderMap, tag: &str, stored: Timestamp) -> bool {
    if asked.contains_key(IF_NONE_MATCH) {
        let values = asked.get_all(IF_NONE_MATCH).iter().filter_map(|it| it.to_str().ok());
        return values.flat_map(|it| it.split(',')).map(str::trim).any(|it| {
            // What is said of a compressed copy holds for this one, too.
            it == "*" || it.strip_prefix("W/").unwrap_or(it) == tag
        });
    }
    let since = asked.get(IF_MODIFIED_SINCE).and_then(|it| it.to_str().ok());
    let since = since.and_then(|it| DateTimeParser::new().parse_timestamp(it).ok());
    since.is_some_and(|it| stored <= it)
}

/// Six of ours, and those that the connection adds.
const HEADERS: usize = 8;
const TAG_LENGTH: usize = 66;

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(axum::http::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn what_a_client_has_is_known_by_tag_or_by_time() {
        let tag = entity_tag(&[0xab; 32]);
        let stored: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let known = |pairs: &[_]| is_known(&asked(pairs), &tag, stored);
        let weak = format!("\"x\" , W/{tag}");
        let bare = tag.replace('"', "");
        assert!(known(&[(IF_NONE_MATCH, tag.as_str())]));
        assert!(known(&[(IF_NONE_MATCH, &weak)]));
        assert!(known(&[(IF_NONE_MATCH, "*")]));
        assert!(!known(&[(IF_NONE_MATCH, &bare)]));
        assert!(!known(&[(IF_NONE_MATCH, "")]));
        assert!(!known(&[]));
        let (before, at) = ("Sun, 22 Nov 2026 09:59:59 GMT", "Sun, 22 Nov 2026 10:00:00 GMT");
        assert!(known(&[(IF_MODIFIED_SINCE, at)]));
        assert!(!known(&[(IF_MODIFIED_SINCE, before)]));
        assert!(!known(&[(IF_MODIFIED_SINCE, "yesterday")]));
        // The tag decides.
        assert!(!known(&[(IF_NONE_MATCH, "\"x\""), (IF_MODIFIED_SINCE, at)]));
    }

    #[test]
    fn what_may_be_kept_is_said_as_notary_says_it() {
        let values = Values::new(Duration::from_mins(5), ", must-revalidate");
        assert_eq!(values.public, "public, max-age=300, s-maxage=300, must-revalidate");
        assert_eq!(values.private, "private, max-age=300, must-revalidate");
        let values = Values::new(Duration::ZERO, "");
        assert_eq!(values.public, "max-age=0, no-cache, no-store");
        assert!(values.never);
    }
}
