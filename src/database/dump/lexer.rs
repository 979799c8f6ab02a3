//! The smallest parts of a dump: spaces and comments, words, names and values.

use std::io::BufRead;

use super::bytes::{Bytes, ENDS};
use super::error::Fault;
use super::value::{Written, escaped};

/// Reads them one after the other, and keeps what comments say of the whole.
pub(super) struct Lexer<R> {
    pub(super) input: Bytes<R>,
    /// Whether a backslash hides what is behind it in every text.
    pub(super) mysql: bool,
    /// Whether it says that it is a dump, and that it is a whole one.
    pub(super) begun: bool,
    pub(super) complete: bool,
}

impl<R: BufRead> Lexer<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input: Bytes::new(input), mysql: false, begun: false, complete: false }
    }

    pub(super) fn quoted_name(&mut self) -> Result<String, Fault> {
        let quote = self.input.need()?;
        let mut name = Vec::new();
        self.input.until(&[quote], NAME_LIMIT, &mut name)?;
        self.input.need()?;
        String::from_utf8(name).map_err(|_| self.input.fault("a name is not UTF-8"))
    }

    pub(super) fn next_word(&mut self) -> Result<String, Fault> {
        self.skip_space()?;
        self.word()
    }

    /// A word in lower case. Something that is none is passed over and empty.
    pub(super) fn word(&mut self) -> Result<String, Fault> {
        let mut word = String::new();
        while let Some(byte) = self.input.peek()? {
            if !(byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$') {
                break;
            }
            if NAME_LIMIT < word.len() {
                return Err(self.input.fault("a word has no end"));
            }
            word.push(char::from(byte.to_ascii_lowercase()));
            self.input.next()?;
        }
        if word.is_empty() {
            // Whoever asks again must find something else.
            match self.input.peek()? {
                None => return Err(self.input.fault(ENDS)),
                Some(b'(' | b')' | b';' | b',' | b'\'' | b'"' | b'`' | b'\\' | b'$') => {}
                Some(_) => drop(self.input.next()?),
            }
        }
        Ok(word)
    }

    /// Whether the list goes on with a comma, or ends with this.
    pub(super) fn separated(&mut self, end: u8) -> Result<bool, Fault> {
        self.skip_space()?;
        match self.input.need()? {
            b',' => Ok(true),
            byte if byte == end => Ok(false),
            byte => Err(self.input.fault(unexpected(byte))),
        }
    }

    pub(super) fn expect(&mut self, expected: u8) -> Result<(), Fault> {
        self.skip_space()?;
        match self.input.need()? {
            byte if byte == expected => Ok(()),
            byte => Err(self.input.fault(unexpected(byte))),
        }
    }

    pub(super) fn value(&mut self) -> Result<Written, Fault> {
        match self.input.peek()?.ok_or_else(|| self.input.fault(ENDS))? {
            b'\'' => {
                let text = self.text(self.mysql)?;
                self.skip_cast()?;
                Ok(Written::Text(text))
            }
            b'"' if self.mysql => self.text(true).map(Written::Text),
            b'0'..=b'9' | b'-' | b'+' | b'.' => self.number(),
            // Which characters bytes stand for is said before them.
            b'_' => {
                self.word()?;
                self.skip_space()?;
                self.value()
            }
            _ => {
                let word = self.word()?;
                let quoted = self.input.peek()? == Some(b'\'');
                match (word.as_str(), quoted) {
                    ("null", false) => Ok(Written::Null),
                    ("x", true) => {
                        let digits = self.text(false)?;
                        hex::decode(digits)
                            .map(Written::Binary)
                            .map_err(|_| self.input.fault("a value is not hexadecimal"))
                    }
                    ("e", true) => self.text(true).map(Written::Text),
                    ("n", true) => self.text(self.mysql).map(Written::Text),
                    _ => Err(self
                        .input
                        .fault(format!("a value is written as `{word:.20}…`, which is not known here"))),
                }
            }
        }
    }

    fn number(&mut self) -> Result<Written, Fault> {
        let mut text = Vec::new();
        let ends = b",() \t\r\n;:";
        self.input.until(ends, ROW_LIMIT, &mut text)?;
        if let Some(digits) = text.strip_prefix(b"0x") {
            return hex::decode(digits)
                .map(Written::Binary)
                .map_err(|_| self.input.fault("a value is not hexadecimal"));
        }
        self.skip_cast()?;
        Ok(Written::Text(text))
    }

    /// `::type`, as PostgreSQL has it behind a value.
    fn skip_cast(&mut self) -> Result<(), Fault> {
        if self.mysql || !self.input.take(b':')? {
            return Ok(());
        }
        self.expect(b':')?;
        self.word().map(drop)
    }

    /// A text in quotes; a quote in it is doubled, or hidden by a backslash where those hide something.
    fn text(&mut self, backslashes: bool) -> Result<Vec<u8>, Fault> {
        let quote = self.input.need()?;
        let ends: &[u8] = if backslashes { &[quote, b'\\'] } else { &[quote] };
        let mut text = Vec::new();
        loop {
            self.input.until(ends, ROW_LIMIT, &mut text)?;
            if self.input.need()? == quote {
                if !self.input.take(quote)? {
                    return Ok(text);
                }
                text.push(quote);
            } else if self.mysql {
                text.push(match self.input.need()? {
                    b'0' => 0,
                    b'b' => 8,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'Z' => 26,
                    other => other,
                });
            } else {
                text.push(self.escape()?);
            }
        }
    }

    /// What is behind a backslash in `E'…'`.
    fn escape(&mut self) -> Result<u8, Fault> {
        let mut letters = vec![self.input.need()?];
        let more: (&[u8], usize) = match letters.first() {
            Some(b'0'..=b'7') => (b"01234567", 3),
            Some(b'x') => (b"0123456789abcdefABCDEF", 3),
            _ => (b"", 1),
        };
        while letters.len() < more.1 && self.input.peek()?.is_some_and(|it| more.0.contains(&it)) {
            letters.push(self.input.need()?);
        }
        escaped(&letters)
            .map(|(byte, _)| byte)
            .ok_or_else(|| self.input.fault("a text has a backslash too many"))
    }

    /// Passes over spaces and comments; returns what comes behind them.
    pub(super) fn skip_space(&mut self) -> Result<Option<u8>, Fault> {
        loop {
            match self.input.peek()? {
                Some(b' ' | b'\t' | b'\r' | b'\n' | 0x0c) => drop(self.input.next()?),
                Some(b'-') => {
                    // A number may be negative; a comment has two of them.
                    if !self.dashes()? {
                        return Ok(Some(b'-'));
                    }
                }
                Some(b'#') if self.mysql => self.comment()?,
                Some(b'/') => {
                    self.input.next()?;
                    if !self.input.take(b'*')? {
                        self.input.put_back(b'/');
                        return Ok(Some(b'/'));
                    }
                    let mut last = 0;
                    loop {
                        let byte = self.input.need()?;
                        if last == b'*' && byte == b'/' {
                            break;
                        }
                        last = byte;
                    }
                }
                other => return Ok(other),
            }
        }
    }

    /// Whether this was a comment. A single dash is left.
    fn dashes(&mut self) -> Result<bool, Fault> {
        self.input.next()?;
        if !self.input.take(b'-')? {
            self.input.put_back(b'-');
            return Ok(false);
        }
        self.comment()?;
        Ok(true)
    }

    /// The rest of a line that is a comment, which may say what this is and that it is complete.
    fn comment(&mut self) -> Result<(), Fault> {
        let mut text = Vec::new();
        while let Some(byte) = self.input.next()? {
            if byte == b'\n' {
                break;
            }
            if text.len() < COMMENT_LIMIT {
                text.push(byte);
            }
        }
        let text = String::from_utf8_lossy(&text);
        let text = text.trim();
        if ["MySQL dump", "MariaDB dump"].iter().any(|it| text.starts_with(it)) {
            (self.begun, self.mysql) = (true, true);
        }
        self.begun |= text == "PostgreSQL database dump";
        self.complete |= text == "PostgreSQL database dump complete" || text.starts_with("Dump completed");
        Ok(())
    }

    /// Passes the rest of a statement over, and its end.
    pub(super) fn skip_statement(&mut self) -> Result<(), Fault> {
        while self.skip_space()?.is_some() {
            match self.input.need()? {
                b';' => return Ok(()),
                quote @ (b'\'' | b'"' | b'`') => self.skip_quoted(quote)?,
                b'$' if !self.mysql => self.skip_dollars()?,
                _ => {}
            }
        }
        Err(self.input.fault(ENDS))
    }

    /// Passes over what is in quotes, the first of which is taken.
    pub(super) fn skip_quoted(&mut self, quote: u8) -> Result<(), Fault> {
        loop {
            match self.input.need()? {
                b'\\' if self.mysql && quote != b'`' => drop(self.input.need()?),
                byte if byte == quote => return Ok(()),
                _ => {}
            }
        }
    }

    /// Passes over `$tag$ … $tag$`, whose first sign is taken.
    fn skip_dollars(&mut self) -> Result<(), Fault> {
        let mut tag = vec![b'$'];
        while let Some(byte) = self.input.peek()? {
            if !(byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$') || NAME_LIMIT < tag.len() {
                // A sign of its own, not a quote.
                return Ok(());
            }
            tag.push(byte);
            self.input.next()?;
            if byte == b'$' {
                break;
            }
        }
        let mut last = Vec::new();
        while last != tag {
            if last.len() == tag.len() {
                last.remove(0);
            }
            last.push(self.input.need()?);
        }
        Ok(())
    }
}

fn unexpected(byte: u8) -> String {
    format!("`{}` is not expected here", char::from(byte).escape_default())
}

/// The longest row, or value of one: the longest file that is read, in hexadecimal, and something beside it.
pub(super) const ROW_LIMIT: usize = 2 * crate::tuf::TARGETS_LIMIT + (1 << 20);
/// Longer than any database's names.
const NAME_LIMIT: usize = 256;
/// What a comment can say that matters is shorter.
const COMMENT_LIMIT: usize = 200;
