//! The comment lines that direct the parser: `# syntax=`, `# escape=`, `# check=`.
//!
//! Two readers look at them in `BuildKit`, with small differences: the parser, which trims
//! lines and ends at a `#!` line, and the detection of the frontend, which does neither.

use serde::Deserialize as _;

use super::source::BYTE_ORDER_MARK;
use super::{DockerfileErrorKind, Span, SyntaxDirective};

/// One directive, with the place of its value in the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) name: &'static str,
    pub(super) value: Span,
}

/// The state of reading directives, line by line from the first.
#[derive(Debug, Default)]
pub(super) struct Directives {
    seen: Vec<&'static str>,
    is_over: bool,
}

impl Directives {
    /// Whether the directives have ended before this line.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Reads one line (without its end); `mark` is `#` or `//`.
    pub(super) fn read(&mut self, line: &str, mark: &str) -> Result<Option<Directive>, DockerfileErrorKind> {
        if self.is_over {
            return Ok(None);
        }
        let Some(directive) = directive(line, mark) else {
            self.is_over = true;
            return Ok(None);
        };
        if self.seen.contains(&directive.name) {
            return Err(DockerfileErrorKind::DuplicateDirective { name: directive.name });
        }
        self.seen.push(directive.name);
        Ok(Some(directive))
    }
}

/// Finds the `syntax` directive as `BuildKit` does, also in files that are no Dockerfile:
/// `# syntax=`, `// syntax=` or the JSON member `syntax`.
#[must_use]
pub fn detect_syntax(source: &[u8]) -> Option<SyntaxDirective> {
    let mut offset = 0;
    let mut rest = source;
    if let Some(unmarked) = rest.strip_prefix(BYTE_ORDER_MARK.as_bytes()) {
        offset = BYTE_ORDER_MARK.len();
        rest = unmarked;
    }
    if rest.starts_with(b"#!") {
        let line = rest.iter().position(|&byte| byte == b'\n').map_or(rest.len(), |end| end + 1);
        offset += line;
        rest = rest.get(line..).unwrap_or_default();
    }
    ["#", "//"].iter().find_map(|mark| in_comments(rest, offset, mark)).or_else(|| in_json(rest, offset))
}

fn in_comments(source: &[u8], offset: usize, mark: &str) -> Option<SyntaxDirective> {
    let mut directives = Directives::default();
    let mut start = 0;
    for line in source.split_inclusive(|&byte| byte == b'\n') {
        // A line that is not text cannot be a directive that names an image.
        let text = std::str::from_utf8(line).ok()?.trim_end_matches('\n').trim_end_matches('\r');
        let directive = directives.read(text, mark).ok()??;
        if directive.name == SYNTAX {
            let value = text.get(directive.value.clone())?;
            let image = value.split(' ').next().unwrap_or(value);
            let at = offset + start + directive.value.start;
            return Some(SyntaxDirective {
                image: image.to_owned(),
                arguments: value.get(image.len() + 1..).unwrap_or_default().to_owned(),
                span: at..at + image.len(),
            });
        }
        start += line.len();
    }
    None
}

/// BuildKit takes a JSON value whole, blanks included.
fn in_json(source: &[u8], offset: usize) -> Option<SyntaxDirective> {
    if !source.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let mut deserializer = serde_json::Deserializer::from_slice(source);
    let document = serde_json::Value::deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    let image = document.get(SYNTAX)?.as_str()?.to_owned();
    let written = serde_json::to_string(&image).ok()?;
    let at = source
        .windows(written.len())
        .position(|window| window == written.as_bytes())
        .map_or(0..source.len(), |at| at + 1..at + written.len() - 1);
    Some(SyntaxDirective { image, arguments: String::new(), span: offset + at.start..offset + at.end })
}

/// `^([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$` behind the mark and blanks.
fn directive(line: &str, mark: &str) -> Option<Directive> {
    let rest = line.strip_prefix(mark)?.trim_start();
    let (key, value) = rest.split_once('=')?;
    let key = key.trim_end_matches(is_ascii_blank);
    let is_key = key.starts_with(|first: char| first.is_ascii_alphabetic())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let name = NAMES.into_iter().find(|name| key.eq_ignore_ascii_case(name)).filter(|_| is_key)?;
    let trimmed = value.trim_start_matches(is_ascii_blank);
    let start = line.len() - trimmed.len();
    let length = trimmed.trim_end_matches(is_ascii_blank).len();
    if length > 0 {
        return Some(Directive { name, value: start..start + length });
    }
    // Of nothing but blanks, the expression takes the last one for the value.
    let last = value.chars().next_back()?.len_utf8();
    Some(Directive { name, value: line.len() - last..line.len() })
}

/// What `\s` is to Go's regular expressions.
fn is_ascii_blank(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\x0c' | '\r' | ' ')
}

pub(super) const SYNTAX: &str = "syntax";
pub(super) const ESCAPE: &str = "escape";
const NAMES: [&str; 3] = [SYNTAX, ESCAPE, "check"];

#[cfg(test)]
mod tests {
    use super::*;

    fn syntax(source: &str) -> Option<(String, String)> {
        let found = detect_syntax(source.as_bytes())?;
        assert_eq!(&source[found.span.clone()], found.image, "the span of {source}");
        Some((found.image, found.arguments))
    }

    #[test]
    fn syntax_is_found_where_buildkit_finds_it() {
        let plain = Some(("a:1".to_owned(), String::new()));
        for source in [
            "# syntax=a:1",
            "#syntax=a:1\nFROM x",
            "#\u{a0}SynTax \t= a:1 \t\r\n",
            "\u{feff}# syntax=a:1\n",
            "#!/usr/bin/env x\n# syntax=a:1\n",
            "\u{feff}#!x\n# check=skip=all\n# escape=`\n# syntax=a:1\n",
            "// syntax=a:1\nanything",
            "#!x\n// syntax = a:1",
            "{\"syntax\": \"a:1\", \"other\": [1]}",
            "#!x\n{\n \"syntax\":\"a:1\"}\n",
            "# syntax=a:1\n# syntax=b",
        ] {
            assert_eq!(syntax(source), plain, "{source:?}");
        }
        assert_eq!(syntax("# syntax=a:1 --flag  x\n"), Some(("a:1".to_owned(), "--flag  x".to_owned())));
    }

    #[test]
    fn syntax_is_not_found_elsewhere() {
        for source in [
            "",
            " # syntax=a",
            "# comment\n# syntax=a",
            "\n# syntax=a",
            "FROM x\n# syntax=a",
            "# unknown=x\n# syntax=a",
            "# syntax=",
            "# syn tax=a",
            "// comment\n// syntax=a",
            "{\"syntax\": 1}",
            "{\"syntax\": \"a\"} x",
            "[\"syntax\"]",
            "# escape=`\n# escape=`\n# syntax=a",
        ] {
            assert_eq!(syntax(source), None, "{source:?}");
        }
        assert_eq!(detect_syntax(b"# \xff=x\n# syntax=a"), None);
    }
}
