//! The three ways in which `BuildKit` cuts arguments into words.

use super::source::is_separator;
use super::{DockerfileErrorKind, Span};

/// Words between blanks; quotes have no meaning.
pub(super) fn arguments(text: &str, range: Span) -> impl Iterator<Item = Span> {
    let bytes = text.as_bytes();
    let mut at = range.start;
    std::iter::from_fn(move || {
        while at < range.end && bytes.get(at).copied().is_some_and(is_separator) {
            at += 1;
        }
        let start = at;
        while at < range.end && !bytes.get(at).copied().is_none_or(is_separator) {
            at += 1;
        }
        (at > start).then_some(start..at)
    })
}

/// Words of ARG, ENV and LABEL: quotes and escapes hold a word together, and stay in it.
pub(super) fn words(text: &str, escape: char) -> Vec<Span> {
    let mut words = Vec::new();
    let mut characters = text.char_indices().peekable();
    let mut start = None;
    let mut quote = None;
    let mut end = 0;
    while let Some((at, character)) = characters.next() {
        end = at + character.len_utf8();
        if quote.is_none() && character.is_whitespace() {
            words.extend(start.take().map(|start| start..at));
            continue;
        }
        if start.is_none() {
            start = Some(at);
        }
        if character == escape && quote != Some('\'') {
            match characters.next() {
                Some((next, escaped)) => end = next + escaped.len_utf8(),
                // At the very end an escape character is dropped.
                None => end = at,
            }
            continue;
        }
        match quote {
            None if matches!(character, '\'' | '"') => quote = Some(character),
            Some(open) if open == character => quote = None,
            _ => {}
        }
    }
    words.extend(start.map(|start| start..end).filter(|word| !word.is_empty()));
    words
}

/// The strings of a JSON array, by the place of what stands between their quotes; `None` where
/// the text is no JSON array and so has the other form.
pub(super) fn json_strings(text: &str) -> Result<Option<Vec<Span>>, DockerfileErrorKind> {
    let Some(inside) = text.trim_start().strip_prefix('[') else { return Ok(None) };
    let mut strings = Vec::new();
    let mut rest = inside.trim_start_matches(is_json_blank);
    if rest.strip_prefix(']').is_some_and(is_json_end) {
        return Ok(Some(strings));
    }
    loop {
        let Some(string) = rest.strip_prefix('"') else { return not_strings(text) };
        let Some(length) = json_string_length(string) else { return Ok(None) };
        let start = text.len() - string.len();
        strings.push(start..start + length);
        rest = string.get(length + 1..).unwrap_or_default().trim_start_matches(is_json_blank);
        if let Some(next) = rest.strip_prefix(',') {
            rest = next.trim_start_matches(is_json_blank);
        } else if rest.strip_prefix(']').is_some_and(is_json_end) {
            return Ok(Some(strings));
        } else {
            return Ok(None);
        }
    }
}

/// An array with other values than strings is an error, a text that is no JSON is none.
fn not_strings(text: &str) -> Result<Option<Vec<Span>>, DockerfileErrorKind> {
    match serde_json::from_str::<Vec<serde::de::IgnoredAny>>(text) {
        Ok(_) => Err(DockerfileErrorKind::NotStrings),
        Err(_) => Ok(None),
    }
}

/// The length of a JSON string up to its closing quote.
fn json_string_length(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(at),
            0..0x20 => return None,
            b'\\' => match bytes.next()?.1 {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                b'u' => {
                    for _ in 0..4 {
                        bytes.next().filter(|(_, digit)| digit.is_ascii_hexdigit())?;
                    }
                }
                _ => return None,
            },
            _ => {}
        }
    }
    None
}

fn is_json_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

fn is_json_end(rest: &str) -> bool {
    rest.trim_start_matches(is_json_blank).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, escape: char) -> Vec<&str> {
        words(text, escape).into_iter().map(|word| &text[word]).collect()
    }

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(cut("a=1 b=\"x y\"  c='z\\' d", '\\'), ["a=1", "b=\"x y\"", "c='z\\'", "d"]);
        assert_eq!(cut("a=\\ b c\\", '\\'), ["a=\\ b", "c"]);
        assert_eq!(cut("a=\\ b", '`'), ["a=\\", "b"]);
        assert_eq!(cut("a=\"x", '\\'), ["a=\"x"]);
        assert_eq!(cut("\\", '\\'), Vec::<&str>::new());
        assert_eq!(cut("a\u{a0}b", '\\'), ["a", "b"]);
        assert_eq!(cut("a=\"\\\" b\" c", '\\'), ["a=\"\\\" b\"", "c"]);
    }

    #[test]
    fn json_is_recognised_as_go_does() {
        let read = |text: &str| {
            let strings = json_strings(text).map_err(|_| ())?;
            Ok(strings.map(|strings| strings.into_iter().map(|at| text[at].to_owned()).collect()))
        };
        let strings = |strings: &[&str]| -> Result<Option<Vec<String>>, ()> {
            Ok(Some(strings.iter().map(|string| (*string).to_owned()).collect()))
        };
        assert_eq!(read("[]"), strings(&[]));
        assert_eq!(read(" [ \"a\" , \"b c\\\"\" ] "), strings(&["a", "b c\\\""]));
        assert_eq!(read("[\"\\ud800\"]"), strings(&["\\ud800"]));
        assert_eq!(read("[\"a\", 1]"), Err(()));
        assert_eq!(read("[[]]"), Err(()));
        for text in ["", "a", "[", "[\"a\"", "[\"a\"] b", "[a]", "[\"a\",]", "[\"\\x\"]", "[\"a\tb\"]", "[,]"]
        {
            assert_eq!(read(text), Ok(None), "{text}");
        }
    }
}
