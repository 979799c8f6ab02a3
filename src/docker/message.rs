//! What an engine says while it pulls or pushes, one JSON object a line.

use serde::Deserialize;

use crate::text::visible_prefix;

/// One line of an engine's progress; its text is safe to print.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// What it is about: a layer's ID or a tag, or empty.
    pub id: String,
    /// What happens: `Pushing`, `Layer already exists`.
    pub status: String,
    /// How far it is.
    pub counter: Option<Counter>,
}

/// How far a layer is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// What is done.
    pub current: i64,
    /// What there is to do; 0 where that is unknown.
    pub total: i64,
    /// What is counted; bytes where empty.
    pub units: String,
    /// Whether only the bar is shown.
    pub hide_counts: bool,
}

/// A line, read.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    Message(Message),
    /// What is meant for the client, not for people.
    Aside(serde_json::Value),
    /// The end of the work: what went wrong.
    Error {
        code: Option<u16>,
        message: String,
    },
}

impl Line {
    /// Reads one line; the error says what is wrong with it.
    pub(super) fn parse(line: &[u8]) -> Result<Self, String> {
        let wire: Wire = serde_json::from_slice(line).map_err(|error| {
            visible_prefix(&format!("a line of its progress is malformed: {error}"), TEXT_LIMIT)
        })?;
        let shown =
            |text: Option<String>| text.map(|text| visible_prefix(&text, TEXT_LIMIT)).unwrap_or_default();
        if wire.error_detail.is_some() || wire.error.is_some() {
            let detail = wire.error_detail.unwrap_or_default();
            let message = detail.message.filter(|message| !message.is_empty()).or(wire.error);
            let code = detail.code.and_then(|code| u16::try_from(code).ok()).filter(|code| *code != 0);
            return Ok(Self::Error { code, message: shown(message) });
        }
        if let Some(aside) = wire.aux {
            return Ok(Self::Aside(aside));
        }
        let counter = wire.progress_detail.map(|detail| Counter {
            current: detail.current.unwrap_or_default(),
            total: detail.total.unwrap_or_default(),
            units: shown(detail.units),
            hide_counts: detail.hide_counts.unwrap_or_default(),
        });
        Ok(Self::Message(Message { id: shown(wire.id), status: shown(wire.status), counter }))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    status: Option<String>,
    id: Option<String>,
    progress_detail: Option<WireDetail>,
    error: Option<String>,
    error_detail: Option<WireError>,
    aux: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct WireDetail {
    current: Option<i64>,
    total: Option<i64>,
    units: Option<String>,
    #[serde(rename = "hidecounts")]
    hide_counts: Option<bool>,
}

#[derive(Default, Deserialize)]
struct WireError {
    code: Option<i64>,
    message: Option<String>,
}

/// Splits a stream into lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// Takes the next bytes of the stream, and hands each line that they end to `each`.
    pub(super) fn feed<E>(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Result<(), TooLong>, E> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if LINE_LIMIT - self.rest.len() < part.len() {
                return Ok(Err(TooLong));
            }
            self.rest.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.rest);
                let line = line.trim_ascii();
                if !line.is_empty() {
                    each(line)?;
                }
            }
        }
        Ok(Ok(()))
    }

    /// What stands behind the last line.
    pub(super) fn rest(&self) -> &[u8] {
        self.rest.trim_ascii()
    }
}

/// A line that does not end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl std::fmt::Display for TooLong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a line of its progress is longer than {LINE_LIMIT} bytes")
    }
}

/// Docker's longest lines quote a registry's error page.
const LINE_LIMIT: usize = 256 << 10;
/// More text than this on one line helps nobody.
const TEXT_LIMIT: usize = 4_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Message {
        match Line::parse(text.as_bytes()) {
            Ok(Line::Message(message)) => message,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn lines_of_real_engines() {
        let found = message(
            r#"{"status":"Pushing","progressDetail":{"current":512,"total":1024},"progress":"[=>]","id":"5f70bf18a086"}"#,
        );
        let counter = Counter { current: 512, total: 1024, ..Counter::default() };
        let expected =
            Message { id: "5f70bf18a086".into(), status: "Pushing".into(), counter: Some(counter) };
        assert_eq!(found, expected);
        assert_eq!(
            message(r#"{"status":"Preparing","progressDetail":{},"id":"a"}"#).counter,
            Some(Counter::default())
        );
        assert_eq!(message(r#"{"status":"Digest: sha256:00"}"#).counter, None);
        let aside = br#"{"progressDetail":{},"aux":{"Tag":"v1","Digest":"sha256:00","Size":528}}"#;
        assert!(matches!(Line::parse(aside), Ok(Line::Aside(_))));
        let error = br#"{"errorDetail":{"message":"denied: no"},"error":"denied: no"}"#;
        assert_eq!(Line::parse(error), Ok(Line::Error { code: None, message: "denied: no".into() }));
        let error = br#"{"errorDetail":{"code":401,"message":""},"error":"unauthorized"}"#;
        assert_eq!(Line::parse(error), Ok(Line::Error { code: Some(401), message: "unauthorized".into() }));
    }

    #[test]
    fn hostile_lines() {
        let shown = message("{\"status\":\"\\u001b[2J\\u202ex\",\"id\":\"a\\nb\"}");
        assert_eq!((shown.status.as_str(), shown.id.as_str()), ("\\u{1b}[2J\\u{202e}x", "a\\u{a}b"));
        let long = format!("{{\"status\":\"{}\"}}", "x".repeat(100_000));
        assert!(message(&long).status.chars().count() <= TEXT_LIMIT + 1);
        for malformed in [
            "",
            "[]",
            "1",
            "{",
            "{\"status\":1}",
            "{\"progressDetail\":{\"current\":1e99}}",
            "{\"aux\":{}} {}",
        ] {
            assert!(Line::parse(malformed.as_bytes()).is_err(), "{malformed}");
        }
        let deep = format!("{{\"aux\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(Line::parse(deep.as_bytes()).is_err());
    }

    #[test]
    fn lines_are_split_wherever_the_chunks_end() {
        let stream = b"{\"a\":1}\r\n{\"b\":2}\r\n\r\n{\"c\":3}";
        for size in 1..stream.len() {
            let mut lines = Lines::default();
            let mut found = Vec::new();
            for chunk in stream.chunks(size) {
                let fed = lines.feed(chunk, |line| {
                    found.push(line.to_vec());
                    Ok::<_, ()>(())
                });
                assert_eq!(fed, Ok(Ok(())));
            }
            assert_eq!(found, [b"{\"a\":1}", b"{\"b\":2}"]);
            assert_eq!(lines.rest(), b"{\"c\":3}");
        }
    }

    #[test]
    fn a_line_without_end_is_given_up() {
        let mut lines = Lines::default();
        let mut fed = Ok(Ok(()));
        for _ in 0..=LINE_LIMIT / 1024 {
            fed = lines.feed(&[b'x'; 1024], |_| Err("no line ends"));
        }
        assert_eq!(fed, Ok(Err(TooLong)));
    }
}
