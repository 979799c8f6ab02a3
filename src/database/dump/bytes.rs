//! A dump byte by byte, and which line it is.

use std::io::BufRead;

use super::error::Fault;

/// The bytes that are left.
pub(super) struct Bytes<R> {
    inner: R,
    line: u64,
    /// What was taken too early.
    back: Option<u8>,
}

impl<R: BufRead> Bytes<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, line: 1, back: None }
    }

    /// The line of what comes next, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    pub(super) fn fault(&self, reason: impl Into<String>) -> Fault {
        Fault::Line(self.line, reason.into())
    }

    /// What comes next, which stays.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, Fault> {
        if self.back.is_some() {
            return Ok(self.back);
        }
        let buffer = self.inner.fill_buf().map_err(|it| Fault::Read(it.to_string()))?;
        Ok(buffer.first().copied())
    }

    /// What comes next.
    pub(super) fn next(&mut self) -> Result<Option<u8>, Fault> {
        if let Some(byte) = self.back.take() {
            return Ok(Some(byte));
        }
        let next = self.peek()?;
        if let Some(byte) = next {
            self.inner.consume(1);
            self.line += u64::from(byte == b'\n');
        }
        Ok(next)
    }

    /// What comes next, where something must.
    pub(super) fn need(&mut self) -> Result<u8, Fault> {
        self.next()?.ok_or_else(|| self.fault(ENDS))
    }

    /// Puts a byte back that is no end of a line.
    pub(super) fn put_back(&mut self, byte: u8) {
        self.back = Some(byte);
    }

    /// Takes the byte, if it is what comes next.
    pub(super) fn take(&mut self, byte: u8) -> Result<bool, Fault> {
        let found = self.peek()? == Some(byte);
        if found {
            self.next()?;
        }
        Ok(found)
    }

    /// The bytes before one of these, which is left.
    ///
    /// Long values come here in pieces as large as the buffer, so that a byte is not looked at twice.
    pub(super) fn until(&mut self, ends: &[u8], limit: usize, into: &mut Vec<u8>) -> Result<(), Fault> {
        if let Some(byte) = self.back.filter(|it| !ends.contains(it)) {
            self.back = None;
            into.push(byte);
        }
        if self.back.is_some() {
            return Ok(());
        }
        loop {
            let buffer = self.inner.fill_buf().map_err(|it| Fault::Read(it.to_string()))?;
            if buffer.is_empty() {
                return Ok(());
            }
            let end = buffer.iter().position(|it| ends.contains(it));
            let piece = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
            if limit < into.len().saturating_add(piece.len()) {
                return Err(Fault::Line(self.line, format!("a value is longer than {limit} bytes")));
            }
            into.extend_from_slice(piece);
            self.line += piece.iter().fold(0, |lines, it| lines + u64::from(*it == b'\n'));
            let length = piece.len();
            self.inner.consume(length);
            if end.is_some() {
                return Ok(());
            }
        }
    }

    /// Passes the rest of the line over, and its end.
    pub(super) fn skip_line(&mut self) -> Result<(), Fault> {
        while let Some(byte) = self.next()? {
            if byte == b'\n' {
                return Ok(());
            }
        }
        Ok(())
    }
}

pub(super) const ENDS: &str = "the dump ends in the middle of a statement";
