//! The few lines of a file that a message shows, made fit for a terminal.
//!
//! The bytes may be anything: not UTF-8, with escapes in them, megabytes in one line. What
//! comes out is short valid text, and the span of the same word in it.

use std::ops::Range;

use crate::dockerfile::{Span, line_and_column};
use crate::text::push_visible;

/// Lines of a file around a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    /// The lines as they can be shown.
    pub(super) text: String,
    /// The span's bytes in `text`.
    pub(super) span: Range<usize>,
    /// The number of the first line.
    pub(super) line: usize,
    /// Where the span starts in its line of the file, counted in characters from 1.
    pub(super) column: usize,
}

/// The lines that the span touches, the first few of them.
pub(super) fn excerpt(source: &[u8], span: &Span) -> Excerpt {
    let start = span.start.min(source.len());
    let end = span.end.clamp(start, source.len());
    let (line, column) = line_and_column(source, start);
    let before = source.get(..start).unwrap_or_default();
    let first = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    let mut shown = Builder { text: String::new(), span: start..end, shown: None..None };
    let mut at = first;
    for number in 0..LINES_LIMIT {
        let rest = source.get(at..).unwrap_or_default();
        let length = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
        if number > 0 {
            shown.text.push('\n');
        }
        shown.line(at, rest.get(..length).unwrap_or_default());
        at += length + 1;
        if at >= end || at > source.len() {
            break;
        }
    }
    let length = shown.text.len();
    let shown_start = shown.shown.start.unwrap_or(length);
    let shown_end = shown.shown.end.unwrap_or(length).max(shown_start);
    Excerpt { text: shown.text, span: shown_start..shown_end, line, column }
}

struct Builder {
    text: String,
    /// In the file.
    span: Range<usize>,
    /// In the text, as far as it was met.
    shown: Range<Option<usize>>,
}

impl Builder {
    /// Adds one line, which starts at byte `offset` of the file.
    fn line(&mut self, offset: usize, line: &[u8]) {
        let (offset, line) = match line.strip_prefix(BYTE_ORDER_MARK) {
            Some(rest) if offset == 0 => (BYTE_ORDER_MARK.len(), rest),
            _ => (offset, line),
        };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let window = self.window(offset, line.len());
        if window.start > 0 {
            self.text.push('…');
        }
        let mut at = offset + window.start;
        for chunk in line.get(window.clone()).unwrap_or_default().utf8_chunks() {
            for character in chunk.valid().chars() {
                self.mark(at);
                // tabs are the renderer's to widen
                if character == '\t' {
                    self.text.push('\t');
                } else {
                    push_visible(&mut self.text, character);
                }
                at += character.len_utf8();
            }
            if !chunk.invalid().is_empty() {
                self.mark(at);
                self.text.push(char::REPLACEMENT_CHARACTER);
                at += chunk.invalid().len();
            }
        }
        self.mark(at);
        if window.end < line.len() {
            self.text.push('…');
        }
    }

    /// Which bytes of a line to show: all, or those around the span.
    fn window(&self, offset: usize, length: usize) -> Range<usize> {
        if length <= LINE_LIMIT {
            return 0..length;
        }
        let start = self.span.start.saturating_sub(offset).saturating_sub(CONTEXT).min(length);
        let end = self.span.end.saturating_sub(offset).saturating_add(CONTEXT).min(length);
        start..end.min(start + LINE_LIMIT)
    }

    /// Byte `at` of the file stands at the end of the text.
    fn mark(&mut self, at: usize) {
        if self.shown.start.is_none() && self.span.start <= at {
            self.shown.start = Some(self.text.len());
        }
        if self.shown.end.is_none() && self.span.end <= at {
            self.shown.end = Some(self.text.len());
        }
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// A reference is one line, or a few continued ones; more help nobody.
const LINES_LIMIT: usize = 6;
/// Longer lines are cut: they would fill the screen.
const LINE_LIMIT: usize = 300;
/// How much of a long line is shown on each side.
const CONTEXT: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    /// The source marks the span as `«…»`, and so does the expected text.
    fn check(marked: &[u8], expected: &str, line: usize, column: usize) {
        let find = |mark: &str| {
            marked
                .windows(mark.len())
                .position(|window| window == mark.as_bytes())
                .expect("the mark is there")
        };
        let start = find("«");
        let end = find("»") - "«".len();
        let mut source = marked.to_vec();
        source.drain(end + "«".len()..end + "«".len() + "»".len());
        source.drain(start..start + "«".len());
        let found = excerpt(&source, &(start..end));
        let mut text = found.text.clone();
        text.insert(found.span.end, '»');
        text.insert(found.span.start, '«');
        assert_eq!((text.as_str(), found.line, found.column), (expected, line, column));
    }

    #[test]
    fn only_the_lines_of_the_span_are_shown() {
        check("FROM a\nFROM «b» AS c\nRUN d\n".as_bytes(), "FROM «b» AS c", 2, 6);
        check("FROM «b»".as_bytes(), "FROM «b»", 1, 6);
        check("FROM «a\\\n  b»\nRUN".as_bytes(), "FROM «a\\\n  b»", 1, 6);
        check("FROM a\n«»".as_bytes(), "«»", 2, 1);
    }

    #[test]
    fn carriage_returns_marks_and_tabs() {
        check("FROM a\r\nFROM\t«b»\r\nRUN d\r\n".as_bytes(), "FROM\t«b»", 2, 6);
        check("\u{feff}FROM «b»\n".as_bytes(), "FROM «b»", 1, 6);
        check("FROM «b\r\n»x".as_bytes(), "FROM «b»", 1, 6);
        check("FROM a\rx «b»".as_bytes(), "FROM a\\u{d}x «b»", 1, 10);
    }

    #[test]
    fn hostile_bytes_are_shown_as_code_points() {
        check(b"FROM \xff\xfe\xc2\xabb\xc2\xbb \x1b[2J", "FROM ��«b» \\u{1b}[2J", 1, 8);
        check("FROM «a\u{202e}b»".as_bytes(), "FROM «a\\u{202e}b»", 1, 6);
        check("é漢 «b»".as_bytes(), "é漢 «b»", 1, 4);
    }

    #[test]
    fn long_lines_and_long_spans_are_cut() {
        let long = format!("{}«b»{}\n", "x".repeat(100_000), "y".repeat(100_000));
        let expected = format!("…{}«b»{}…", "x".repeat(60), "y".repeat(60));
        check(long.as_bytes(), &expected, 1, 100_001);
        let found = excerpt("a\\\n".repeat(1_000).as_bytes(), &(0..3_000));
        assert_eq!(found.text.lines().count(), LINES_LIMIT);
        assert_eq!(found.span, 0..found.text.len());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_and_any_span_give_a_short_text(
            source: Vec<u8>,
            start in 0_usize..400,
            length in 0_usize..400,
        ) {
            let found = excerpt(&source, &(start..start + length));
            proptest::prop_assert!(found.text.get(found.span.clone()).is_some());
            proptest::prop_assert!(!found.text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
        }
    }
}
