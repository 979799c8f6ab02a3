//! Text from strangers, made safe to print: what could move a cursor, change a colour
//! or reorder a line is shown as its code point.

use std::fmt::Write as _;

/// The text with control, formatting and line-breaking characters written as `\u{…}`.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        push_visible(&mut safe, character);
    }
    safe
}

/// The same for a text that may have several lines, which stay lines.
#[must_use]
pub fn visible_lines(text: &str) -> String {
    text.split('\n').map(visible).collect::<Vec<_>>().join("\n")
}

/// The same, cut after `limit` characters of the text, with `…` where something is missing.
#[must_use]
pub fn visible_prefix(text: &str, limit: usize) -> String {
    let mut characters = text.chars();
    let mut safe = String::new();
    for character in characters.by_ref().take(limit) {
        push_visible(&mut safe, character);
    }
    if characters.next().is_some() {
        safe.push('…');
    }
    safe
}

pub(crate) fn push_visible(safe: &mut String, character: char) {
    if is_hostile(character) {
        // writing to a string cannot go wrong
        let _ = write!(safe, "\\u{{{:x}}}", u32::from(character));
    } else {
        safe.push(character);
    }
}

/// Characters that a terminal, or a reader of a log, does not show as themselves.
fn is_hostile(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            // zero width, direction marks, line and paragraph separators, embeddings, overrides, isolates
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            // tags, which spell invisible text
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_direction_marks_are_shown() {
        assert_eq!(visible("a\u{1b}]0;x\u{7}b"), "a\\u{1b}]0;x\\u{7}b");
        assert_eq!(visible("\u{202e}gnp\u{2066}\u{9b}2J\u{2028}"), "\\u{202e}gnp\\u{2066}\\u{9b}2J\\u{2028}");
        assert_eq!(visible("grün 漢字 é 🦀"), "grün 漢字 é 🦀");
    }

    #[test]
    fn only_line_feeds_stay_lines() {
        assert_eq!(visible_lines("a\nb\r\nc"), "a\nb\\u{d}\nc");
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(visible_prefix("abcdef", 3), "abc…");
        assert_eq!(visible_prefix("abc", 3), "abc");
        assert_eq!(visible_prefix("\n\n\n", 2), "\\u{a}\\u{a}…");
    }
}
