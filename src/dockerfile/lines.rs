//! From bytes to instruction lines: line ends, continuations, comments, heredoc bodies.
//!
//! Knows nothing of what an instruction means, but asks for its keyword to know whether
//! heredocs may follow.

use super::directive::{Directives, ESCAPE};
use super::heredoc::Heredoc;
use super::source::{BYTE_ORDER_MARK, Text};
use super::{DockerfileError, DockerfileErrorKind, Span};

/// Reads a source, one instruction after the other.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    source: &'a str,
    at: usize,
    escape: char,
    directives: Directives,
    /// The joined line of the current instruction.
    line: Text,
    /// From the first to the last byte of its lines, heredoc bodies left out.
    span: Span,
}

/// Reads bytes as text, if a Dockerfile may hold them.
pub(super) fn decode(source: &[u8]) -> Result<&str, DockerfileError> {
    let error = |span, kind| Err(DockerfileError { span, kind });
    if source.is_empty() {
        return error(None, DockerfileErrorKind::Empty);
    }
    if source.len() > SOURCE_LIMIT {
        return error(None, DockerfileErrorKind::TooLarge { limit: SOURCE_LIMIT });
    }
    if source.starts_with(&[0xff, 0xfe]) || source.starts_with(&[0xfe, 0xff]) {
        return error(Some(0..2), DockerfileErrorKind::Utf16);
    }
    let text = match std::str::from_utf8(source) {
        Ok(text) => text,
        Err(problem) => {
            let at = problem.valid_up_to();
            let length = problem.error_len().unwrap_or(source.len() - at);
            return error(Some(at..at + length), DockerfileErrorKind::NotUtf8);
        }
    };
    match text.find('\0') {
        Some(at) => error(Some(at..at + 1), DockerfileErrorKind::Nul),
        None => Ok(text),
    }
}

impl<'a> Lines<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self {
            source,
            at: 0,
            escape: DEFAULT_ESCAPE,
            directives: Directives::default(),
            line: Text::default(),
            span: 0..0,
        }
    }

    /// The escape character that the lines read so far have set.
    pub(super) fn escape(&self) -> char {
        self.escape
    }

    /// The joined line that [`Self::advance`] has read.
    pub(super) fn line(&self) -> &Text {
        &self.line
    }

    /// The place of that instruction.
    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Reads the next instruction; false at the end of the source.
    pub(super) fn advance(&mut self) -> Result<bool, DockerfileError> {
        while let Some((start, physical)) = self.physical()? {
            let mut text = physical;
            let mut offset = start;
            if start == 0 {
                let unmarked = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
                offset += text.len() - unmarked.len();
                text = unmarked;
            }
            let trimmed = trim_line_end(text).trim_start();
            offset += trim_line_end(text).len() - trimmed.len();
            self.directive(trimmed, offset)?;
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            self.line.clear();
            let (piece, mut continues) = self.without_continuation(trimmed);
            self.line.push(piece, offset);
            self.span = offset..offset + trimmed.len();
            while continues {
                let Some((start, physical)) = self.physical()? else { break };
                let text = trim_line_end(physical);
                let first = text.trim_start();
                if first.is_empty() || first.starts_with('#') {
                    continue;
                }
                let (piece, goes_on) = self.without_continuation(text);
                self.line.push(piece, start);
                self.span.end = start + text.len();
                continues = goes_on;
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// Reads the body of a heredoc; the place is that of the body and its end line.
    pub(super) fn heredoc_body(&mut self, heredoc: &Heredoc) -> Result<Span, DockerfileError> {
        let start = self.at;
        while let Some((_, physical)) = self.physical()? {
            let mut end = trim_line_end(physical);
            if heredoc.strips_tabs {
                end = end.trim_start_matches('\t');
            }
            if end == heredoc.name {
                return Ok(start..self.at);
            }
        }
        Err(DockerfileError {
            span: Some(self.span()),
            kind: DockerfileErrorKind::UnterminatedHeredoc { name: heredoc.name.clone() },
        })
    }

    fn directive(&mut self, line: &str, offset: usize) -> Result<(), DockerfileError> {
        if self.directives.is_over() {
            return Ok(());
        }
        let error = |span, kind| DockerfileError { span: Some(span), kind };
        let whole = offset..offset + line.len();
        let Some(directive) = self.directives.read(line, "#").map_err(|kind| error(whole, kind))? else {
            return Ok(());
        };
        if directive.name == ESCAPE {
            let place = offset + directive.value.start..offset + directive.value.end;
            self.escape = match line.get(directive.value).unwrap_or_default() {
                "`" => '`',
                "\\" => '\\',
                other => {
                    let value = other.to_owned();
                    return Err(error(place, DockerfileErrorKind::EscapeDirective { value }));
                }
            };
        }
        Ok(())
    }

    /// The line without what makes it continue, and whether it does: an escape character at its
    /// end, blanks behind it allowed, that no other escape character stands before.
    fn without_continuation<'b>(&self, line: &'b str) -> (&'b str, bool) {
        let Some(rest) = line.trim_end_matches([' ', '\t']).strip_suffix(self.escape) else {
            return (line, false);
        };
        if rest.ends_with(self.escape) { (line, false) } else { (rest, true) }
    }

    /// The next line with its end, and where it starts.
    fn physical(&mut self) -> Result<Option<(usize, &'a str)>, DockerfileError> {
        let start = self.at;
        let rest = self.source.get(start..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let feed = rest.find('\n');
        if feed.unwrap_or(rest.len()) > LINE_LIMIT {
            let kind = DockerfileErrorKind::LineTooLong { limit: LINE_LIMIT };
            return Err(DockerfileError { span: Some(start..start + 1), kind });
        }
        let line = rest.get(..feed.map_or(rest.len(), |at| at + 1)).unwrap_or(rest);
        self.at += line.len();
        Ok(Some((start, line)))
    }
}

fn trim_line_end(line: &str) -> &str {
    line.trim_end_matches(['\r', '\n'])
}

/// The escape character of a file that sets none.
pub(super) const DEFAULT_ESCAPE: char = '\\';
/// The longest line that `BuildKit` takes, its line feed not counted.
pub(super) const LINE_LIMIT: usize = 65_535;
/// The largest Dockerfile that is read. Real ones have some kilobytes, generated ones some
/// hundred; `BuildKit` itself carries the file in messages of at most 16 MiB.
pub const SOURCE_LIMIT: usize = 16 << 20;
