//! A strict, bounded reader of JSON text that others wrote.
//!
//! It knows the grammar of RFC 8259 and nothing of metadata. It never builds a tree:
//! what it reads is either skipped or handed out piece by piece.

use std::borrow::Cow;

/// Where and why a text is not acceptable JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at byte {offset}")]
pub struct JsonError {
    /// What is wrong.
    pub reason: Cow<'static, str>,
    /// The place, counted from the start of the text.
    pub offset: usize,
}

/// A place in a JSON text.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// What kind of value starts at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    String,
    Number,
    True,
    False,
    Null,
}

impl<'a> Reader<'a> {
    /// Starts at the beginning of the bytes, which must be UTF-8.
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, JsonError> {
        let text = std::str::from_utf8(bytes)
            .map_err(|it| JsonError { reason: "invalid UTF-8".into(), offset: it.valid_up_to() })?;
        Ok(Self { text, at: 0 })
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Goes on at a later place, which another reader of the same text reached.
    pub(super) fn jump(&mut self, position: usize) {
        self.at = position;
    }

    pub(super) fn error(&self, reason: impl Into<Cow<'static, str>>) -> JsonError {
        JsonError { reason: reason.into(), offset: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn unexpected(&self, wanted: &str) -> JsonError {
        match self.text.get(self.at..).and_then(|it| it.chars().next()) {
            None => self.error(format!("the text ends where {wanted} should be")),
            Some(found) => self.error(format!("{found:?} where {wanted} should be")),
        }
    }

    /// The kind of the next value, after blanks.
    pub(super) fn kind(&mut self) -> Result<Kind, JsonError> {
        self.skip_blanks();
        match self.peek() {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::String),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't') => Ok(Kind::True),
            Some(b'f') => Ok(Kind::False),
            Some(b'n') => Ok(Kind::Null),
            _ => Err(self.unexpected("a value")),
        }
    }

    /// Reads an object; `member` is called behind each name and must read the value.
    pub(super) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.skip_blanks();
        if !self.take(b'{') {
            return Err(self.unexpected("an object"));
        }
        self.skip_blanks();
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            self.skip_blanks();
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a member name"));
            }
            let name = self.string()?;
            self.skip_blanks();
            if !self.take(b':') {
                return Err(self.unexpected("`:`"));
            }
            member(self, name)?;
            self.skip_blanks();
            if self.take(b'}') {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(self.unexpected("`,` or `}`"));
            }
        }
    }

    /// Reads an array; `item` is called at each value and must read it.
    pub(super) fn array(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.skip_blanks();
        if !self.take(b'[') {
            return Err(self.unexpected("an array"));
        }
        self.skip_blanks();
        if self.take(b']') {
            return Ok(());
        }
        loop {
            item(self)?;
            self.skip_blanks();
            if self.take(b']') {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(self.unexpected("`,` or `]`"));
            }
        }
    }

    /// Reads a string and undoes its escapes.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.skip_blanks();
        if !self.take(b'"') {
            return Err(self.unexpected("a string"));
        }
        let mut decoded: Option<String> = None;
        let mut start = self.at;
        loop {
            match self.peek() {
                None => return Err(self.error("the text ends inside a string")),
                Some(b'"') => {
                    let tail = self.slice(start);
                    self.at += 1;
                    return Ok(match decoded {
                        None => Cow::Borrowed(tail),
                        Some(text) => Cow::Owned(text + tail),
                    });
                }
                Some(b'\\') => {
                    let before = self.slice(start);
                    let text = decoded.get_or_insert_default();
                    text.push_str(before);
                    let character = self.escape()?;
                    text.push(character);
                    start = self.at;
                }
                Some(0..=0x1f) => return Err(self.error("a control character inside a string")),
                Some(_) => self.at += 1,
            }
        }
    }

    /// The text from `start` to here; both are at ASCII bytes, so never inside a character.
    fn slice(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let rest = self.text.as_bytes().get(self.at + 1);
        let simple = match rest {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.error("an unknown escape")),
        };
        self.at += 2;
        Ok(simple)
    }

    /// Go turns half a surrogate pair into U+FFFD, so that two texts become one; here it is an error.
    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let first = self.code_unit()?;
        if !(0xd800..0xe000).contains(&first) {
            return char::from_u32(first).ok_or_else(|| self.error("an impossible character"));
        }
        if first >= 0xdc00 || self.peek() != Some(b'\\') {
            return Err(self.error("half a surrogate pair"));
        }
        let second = self.code_unit()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(self.error("half a surrogate pair"));
        }
        let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        char::from_u32(code).ok_or_else(|| self.error("an impossible character"))
    }

    /// Reads `\uXXXX`.
    fn code_unit(&mut self) -> Result<u32, JsonError> {
        let digits = self
            .text
            .as_bytes()
            .get(self.at..self.at + 6)
            .and_then(|it| it.strip_prefix(b"\\u"))
            .filter(|it| it.iter().all(u8::is_ascii_hexdigit))
            .and_then(|it| std::str::from_utf8(it).ok())
            .and_then(|it| u32::from_str_radix(it, 16).ok());
        let Some(code) = digits else { return Err(self.error("an unfinished escape")) };
        self.at += 6;
        Ok(code)
    }

    /// Reads a number and returns it as written.
    pub(super) fn number(&mut self) -> Result<&'a str, JsonError> {
        self.skip_blanks();
        let start = self.at;
        self.take(b'-');
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.unexpected("a digit")),
        }
        if self.take(b'.') {
            self.needed_digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'-') {
                self.take(b'+');
            }
            self.needed_digits()?;
        }
        if matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.error("a number that starts with 0"));
        }
        Ok(self.slice(start))
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn needed_digits(&mut self) -> Result<(), JsonError> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.unexpected("a digit"));
        }
        self.digits();
        Ok(())
    }

    /// Reads `null`, `true` or `false`.
    pub(super) fn literal(&mut self, word: &'static str) -> Result<(), JsonError> {
        self.skip_blanks();
        if !self.text.get(self.at..).is_some_and(|it| it.starts_with(word)) {
            return Err(self.unexpected("a value"));
        }
        self.at += word.len();
        Ok(())
    }

    /// Reads any value and forgets it.
    pub(super) fn skip(&mut self, depth: usize) -> Result<(), JsonError> {
        let kind = self.kind()?;
        if depth > DEPTH_LIMIT {
            return Err(self.error(too_deep()));
        }
        match kind {
            Kind::Object => self.object(|reader, _| reader.skip(depth + 1)),
            Kind::Array => self.array(|reader| reader.skip(depth + 1)),
            Kind::String => self.string().map(drop),
            Kind::Number => self.number().map(drop),
            Kind::True => self.literal("true"),
            Kind::False => self.literal("false"),
            Kind::Null => self.literal("null"),
        }
    }

    /// Nothing but blanks may follow.
    pub(super) fn end(&mut self) -> Result<(), JsonError> {
        self.skip_blanks();
        if self.peek().is_some() { Err(self.error("more text behind the end")) } else { Ok(()) }
    }
}

pub(super) fn too_deep() -> Cow<'static, str> {
    format!("nested deeper than {DEPTH_LIMIT} levels").into()
}

/// Metadata has 5 levels; what a publisher adds in `custom` may have more, but the reader recurses.
pub(super) const DEPTH_LIMIT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(text: &str) -> Result<(), JsonError> {
        let mut reader = Reader::new(text.as_bytes())?;
        reader.skip(0)?;
        reader.end()
    }

    #[test]
    fn accepts_what_serde_accepts_and_refuses_what_it_refuses() {
        let texts = [
            "null",
            "true",
            "false",
            "0",
            "-0",
            "-1",
            "10",
            "1.5",
            "1e3",
            "1E-3",
            "1.0e+2",
            "\"\"",
            "\"a\\n\\u0041\"",
            "\"\\ud83d\\ude00\"",
            "[]",
            "[1,2]",
            "{}",
            "{\"a\":[{}]}",
            " { \"a\" : 1 } ",
            "",
            " ",
            "nul",
            "truex",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "1e+",
            "+1",
            "\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12g4\"",
            "\"\\ud800\"",
            "\"\\ud800\\n\"",
            "\"\\udc00\"",
            "\"\\ud800\\ud800\"",
            "\"a\nb\"",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[,]",
            "[1 2]",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,",
            "{\"a\":1,}",
            "{a:1}",
            "{1:1}",
            "{\"a\" 1}",
            "1 2",
            "{}{}",
            "NaN",
            "Infinity",
            "'a'",
            "\u{a0}1",
            "\"\\u+123\"",
        ];
        for text in texts {
            let theirs = serde_json::from_str::<serde_json::Value>(text);
            assert_eq!(skip(text).is_ok(), theirs.is_ok(), "{text:?}: {:?}, serde: {theirs:?}", skip(text));
        }
    }

    #[test]
    fn strings_are_decoded() {
        let text = r#""a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00z""#;
        let ours = Reader::new(text.as_bytes()).unwrap().string().unwrap();
        assert_eq!(ours, serde_json::from_str::<String>(text).unwrap());
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(skip(&nested(DEPTH_LIMIT)).is_ok());
        assert!(skip(&nested(DEPTH_LIMIT + 2)).unwrap_err().reason.contains("nested deeper"));
        assert!(skip(&"[".repeat(1_000_000)).is_err());
        assert!(skip(&"{\"a\":".repeat(1_000_000)).is_err());
    }

    #[test]
    fn invalid_utf8_is_refused_at_its_place() {
        assert_eq!(Reader::new(b"\"a\xff\"").unwrap_err().offset, 2);
    }
}
