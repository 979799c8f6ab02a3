//! Places in the source: lines, columns, and text that was joined from several pieces of it.

use super::Span;

/// Line and column of a byte offset, both counted from 1; the column counts characters.
#[must_use]
pub fn line_and_column(source: &[u8], offset: usize) -> (usize, usize) {
    let before = source.get(..offset).unwrap_or(source);
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let line = before.split(|&byte| byte == b'\n').count();
    let mut head = before.get(line_start..).unwrap_or_default();
    if line == 1 {
        head = head.strip_prefix(BYTE_ORDER_MARK.as_bytes()).unwrap_or(head);
    }
    (line, String::from_utf8_lossy(head).chars().count() + 1)
}

/// Text whose bytes are known by their place in the source.
///
/// An instruction that goes over several lines is one text of several pieces: what
/// continues a line, and comments between the lines, are not part of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Text {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    /// Where it begins in the text.
    text: usize,
    /// Where it begins in the source.
    source: usize,
}

impl Text {
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.pieces.clear();
    }

    /// Adds what stands at this place of the source.
    pub(super) fn push(&mut self, piece: &str, source: usize) {
        if piece.is_empty() {
            return;
        }
        self.pieces.push(Piece { text: self.text.len(), source });
        self.text.push_str(piece);
    }

    /// Whether the text stands in the source as it is, in one piece.
    pub(super) fn is_whole(&self) -> bool {
        self.pieces.len() <= 1
    }

    /// The place of these bytes, from the first to the last of them.
    pub(super) fn span(&self, range: Span) -> Span {
        let start = self.place(range.start);
        if range.is_empty() {
            return start..start;
        }
        start..self.place(range.end - 1) + 1
    }

    /// The place of the whole text.
    pub(super) fn whole_span(&self) -> Span {
        self.span(0..self.text.len())
    }

    /// A part of the text.
    pub(super) fn slice(&self, range: Span) -> Self {
        let text = self.text.get(range.clone()).unwrap_or_default().to_owned();
        let first = self.piece_at(range.start);
        let mut pieces = Vec::new();
        if !text.is_empty() {
            pieces.push(Piece { text: 0, source: self.place(range.start) });
            let inner = self.pieces.iter().skip(first + 1).take_while(|piece| piece.text < range.end);
            pieces.extend(inner.map(|piece| Piece { text: piece.text - range.start, source: piece.source }));
        }
        Self { text, pieces }
    }

    fn piece_at(&self, offset: usize) -> usize {
        self.pieces.partition_point(|piece| piece.text <= offset).saturating_sub(1)
    }

    /// The place of one byte; of the byte behind the last one, for the length of the text.
    fn place(&self, offset: usize) -> usize {
        self.pieces.get(self.piece_at(offset)).map_or(0, |piece| piece.source + (offset - piece.text))
    }
}

/// Some editors write it in front of UTF-8.
pub(super) const BYTE_ORDER_MARK: &str = "\u{feff}";

/// What a Dockerfile splits words at; other blanks of Unicode belong to words.
pub(super) fn is_separator(byte: u8) -> bool {
    matches!(byte, b'\t' | 0x0b | 0x0c | b'\r' | b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let source = "\u{feff}FROM a\nRUN é x\n".as_bytes();
        assert_eq!(line_and_column(source, 0), (1, 1));
        assert_eq!(line_and_column(source, 3), (1, 1));
        assert_eq!(line_and_column(source, 8), (1, 6));
        assert_eq!(line_and_column(source, 10), (2, 1));
        assert_eq!(line_and_column(source, 17), (2, 7));
        assert_eq!(line_and_column(source, 999), (3, 1));
    }

    #[test]
    fn joined_text_knows_its_places() {
        let mut text = Text::default();
        text.push("FROM al", 10);
        text.push("", 18);
        text.push("pine x", 20);
        assert_eq!(text.as_str(), "FROM alpine x");
        assert_eq!(text.span(0..4), 10..14);
        assert_eq!(text.span(5..11), 15..24);
        assert_eq!(text.span(5..7), 15..17);
        let word = text.slice(5..11);
        assert_eq!((word.as_str(), word.whole_span()), ("alpine", 15..24));
        assert_eq!(word.span(2..3), 20..21);
        assert!(!word.is_whole());
        assert!(text.slice(7..9).is_whole());
    }
}
