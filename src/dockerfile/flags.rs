//! Flags before an instruction's arguments, and the comma-separated fields of `--mount`.

use super::source::{Text, is_separator};
use super::{DockerfileErrorKind, Span};

/// An instruction line, split.
#[derive(Debug)]
pub(super) struct Split {
    /// The keyword's bytes in the line.
    pub(super) keyword: Span,
    /// `--name=value` words, without quotes.
    pub(super) flags: Vec<Flag>,
    /// What follows, blanks trimmed.
    pub(super) arguments: Span,
}

/// A flag, without its quotes and escapes; ASCII.
#[derive(Debug)]
pub(super) struct Flag {
    text: String,
    /// Where each byte of `text` stands in the line.
    bytes: Vec<FlagByte>,
    /// Whether the text holds an escape character, which older `BuildKit`s read otherwise.
    pub(super) has_escape: bool,
}

#[derive(Debug, Clone)]
struct FlagByte {
    raw: Span,
    /// The quote that is open around it.
    quote: Option<u8>,
}

/// A value inside a flag, with what it takes to replace it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) text: String,
    /// Its bytes in the line, from the first to the last character.
    pub(super) raw: Span,
    /// The quotes that must follow a replacement so that the rest of the line keeps its meaning.
    pub(super) closing: String,
}

impl Flag {
    /// The name without the dashes.
    pub(super) fn name(&self) -> &str {
        let text = self.text.strip_prefix("--").unwrap_or(&self.text);
        text.split_once('=').map_or(text, |(name, _)| name)
    }

    /// What stands behind the `=`.
    pub(super) fn value(&self) -> Option<&str> {
        self.text.split_once('=').map(|(_, value)| value)
    }

    /// All that stands behind the `=`, replaceable.
    pub(super) fn whole_value(&self) -> Result<Value, DockerfileErrorKind> {
        let start = self.value_start();
        self.part(start..self.text.len())
    }

    /// The value of the last field `name=…` of a comma-separated value, as `--mount` has them.
    pub(super) fn field(&self, name: &str) -> Result<Option<Value>, DockerfileErrorKind> {
        let start = self.value_start();
        let mut found = None;
        for field in fields(self.text.get(start..).unwrap_or_default())? {
            let Some((key, value)) = field.text.split_once('=') else { continue };
            if key.to_ascii_lowercase() == name {
                let from = start + field.place(key.len() + 1);
                let to = start + field.place_behind(field.text.len());
                let mut value_part = self.part(from..to.max(from))?;
                value.clone_into(&mut value_part.text);
                found = Some(value_part);
            }
        }
        Ok(found)
    }

    fn value_start(&self) -> usize {
        self.text.find('=').map_or(self.text.len(), |equals| equals + 1)
    }

    fn part(&self, range: Span) -> Result<Value, DockerfileErrorKind> {
        let equals = self.bytes.get(self.value_start().saturating_sub(1));
        if equals.is_some_and(|byte| byte.quote.is_some()) {
            return Err(DockerfileErrorKind::FlagQuote { flag: self.name().to_owned() });
        }
        let text = self.text.get(range.clone()).unwrap_or_default().to_owned();
        let ends = (self.bytes.get(range.start), range.end.checked_sub(1).and_then(|at| self.bytes.get(at)));
        let (Some(first), Some(last)) = ends else {
            let end = self.bytes.last().map_or(0, |byte| byte.raw.end);
            return Ok(Value { text, raw: end..end, closing: String::new() });
        };
        let mut closing = String::new();
        if first.quote != last.quote {
            closing.extend(first.quote.into_iter().chain(last.quote).map(char::from));
        }
        Ok(Value { text, raw: first.raw.start..last.raw.end.max(first.raw.start), closing })
    }
}

/// Splits a joined line into keyword, flags and arguments.
pub(super) fn split(line: &Text, escape: char) -> Result<Split, DockerfileErrorKind> {
    let text = line.as_str();
    let start = text.len() - text.trim_start().len();
    let end = start + text.trim().len();
    let bytes = text.as_bytes();
    let find = |from: usize, wanted: bool| {
        let rest = bytes.get(from..end).unwrap_or_default();
        rest.iter().position(|&byte| is_separator(byte) == wanted).map_or(end, |at| from + at)
    };
    let keyword_end = find(start, true);
    let arguments_start = find(keyword_end, false);
    let (flags, rest) = extract(text, arguments_start..end, escape)?;
    let rest_text = text.get(rest..end).unwrap_or_default();
    let first = rest + (rest_text.len() - rest_text.trim_start().len());
    Ok(Split { keyword: start..keyword_end, flags, arguments: first..(first + rest_text.trim().len()) })
}

/// Takes the words that begin with `--` off the front; says where the rest begins.
fn extract(text: &str, range: Span, escape: char) -> Result<(Vec<Flag>, usize), DockerfileErrorKind> {
    let bytes = text.as_bytes();
    let mut flags = Vec::new();
    let mut at = range.start;
    loop {
        while bytes.get(at).is_some_and(|&byte| at < range.end && is_blank(byte)) {
            at += 1;
        }
        if at >= range.end || !text.get(at..range.end).is_some_and(|rest| rest.starts_with("--")) {
            return Ok((flags, at));
        }
        let (flag, next) = flag(bytes, at..range.end, escape)?;
        at = next;
        if flag.text == "--" {
            return Ok((flags, at));
        }
        flags.push(flag);
    }
}

fn flag(bytes: &[u8], range: Span, escape: char) -> Result<(Flag, usize), DockerfileErrorKind> {
    let mut flag = Flag { text: String::new(), bytes: Vec::new(), has_escape: false };
    let mut quote = None;
    let mut at = range.start;
    while let Some(&byte) = bytes.get(at).filter(|_| at < range.end) {
        let start = at;
        at += 1;
        let mut character = byte;
        match quote {
            None if is_blank(byte) => return Ok((flag, start)),
            None if matches!(byte, b'\'' | b'"') => {
                quote = Some(byte);
                continue;
            }
            Some(open) if byte == open => {
                quote = None;
                continue;
            }
            _ => {}
        }
        if matches!(byte, b'\\' | b'`') {
            flag.has_escape = true;
        }
        if char::from(byte) == escape {
            // At the very end an escape character is dropped.
            let Some(&escaped) = bytes.get(at).filter(|_| at < range.end) else { continue };
            character = escaped;
            at += 1;
        }
        if !character.is_ascii() {
            return Err(DockerfileErrorKind::NonAsciiFlag { flag: flag.name().to_owned() });
        }
        if flag.text.len() >= FLAG_LIMIT {
            return Err(DockerfileErrorKind::FlagTooLong { limit: FLAG_LIMIT });
        }
        flag.text.push(char::from(character));
        flag.bytes.push(FlagByte { raw: start..at, quote });
    }
    Ok((flag, at))
}

/// `unicode.IsSpace` of a byte, for ASCII; other bytes are refused.
fn is_blank(byte: u8) -> bool {
    is_separator(byte) || byte == b'\n'
}

/// A field of a CSV record, with the places of its bytes in the record.
struct Field {
    text: String,
    start: usize,
    /// Where in `text` a doubled quote stands for one, in a quoted field.
    doubled: Vec<usize>,
    /// Where the field ends in the record, quotes left out.
    end: usize,
}

impl Field {
    fn place(&self, at: usize) -> usize {
        self.start + at + self.doubled.partition_point(|&quote| quote < at)
    }

    fn place_behind(&self, at: usize) -> usize {
        self.place(at).min(self.end)
    }
}

/// One CSV record, as Go's reader takes it: no blanks trimmed, quotes only around a whole field.
fn fields(record: &str) -> Result<Vec<Field>, DockerfileErrorKind> {
    let broken = || DockerfileErrorKind::MountFields { value: record.to_owned() };
    let mut fields = Vec::new();
    let mut at = 0;
    if record.is_empty() {
        return Err(broken());
    }
    loop {
        let rest = record.get(at..).unwrap_or_default();
        let Some(quoted) = rest.strip_prefix('"') else {
            let length = rest.find(',').unwrap_or(rest.len());
            let text = rest.get(..length).unwrap_or_default();
            if text.contains('"') {
                return Err(broken());
            }
            fields.push(Field { text: text.to_owned(), start: at, doubled: Vec::new(), end: at + length });
            if length == rest.len() {
                return Ok(fields);
            }
            at += length + 1;
            continue;
        };
        let start = at + 1;
        let mut field = Field { text: String::new(), start, doubled: Vec::new(), end: start };
        let mut left = quoted;
        loop {
            let quote = left.find('"').ok_or_else(broken)?;
            field.text.push_str(left.get(..quote).unwrap_or_default());
            left = left.get(quote + 1..).unwrap_or_default();
            let Some(behind) = left.strip_prefix('"') else { break };
            field.doubled.push(field.text.len());
            field.text.push('"');
            left = behind;
        }
        at = record.len() - left.len();
        field.end = at - 1;
        fields.push(field);
        if left.is_empty() {
            return Ok(fields);
        }
        if !left.starts_with(',') {
            return Err(broken());
        }
        at += 1;
    }
}

/// A flag's text, without quotes: as much as one line may hold.
const FLAG_LIMIT: usize = 65_535;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Text {
        let mut line = Text::default();
        line.push(text, 0);
        line
    }

    fn read(text: &str, escape: char) -> (Vec<String>, String) {
        let split = split(&line(text), escape).expect("a line with flags");
        let flags = split.flags.into_iter().map(|flag| flag.text).collect();
        (flags, text[split.arguments].to_owned())
    }

    fn owned(flags: &[&str], rest: &str) -> (Vec<String>, String) {
        (flags.iter().map(|flag| (*flag).to_owned()).collect(), rest.to_owned())
    }

    #[test]
    fn flags_end_where_buildkit_ends_them() {
        assert_eq!(read("COPY --from=a --link x y ", '\\'), owned(&["--from=a", "--link"], "x y"));
        assert_eq!(read("COPY --from=\"a b\" x", '\\'), owned(&["--from=a b"], "x"));
        assert_eq!(read("COPY --from='a'\"b\" x", '\\'), owned(&["--from=ab"], "x"));
        assert_eq!(read("COPY --from=a\\ b x", '\\'), owned(&["--from=a b"], "x"));
        assert_eq!(read("COPY --from=a\\b x", '`'), owned(&["--from=a\\b"], "x"));
        assert_eq!(read("COPY --from=a`b x", '`'), owned(&["--from=ab"], "x"));
        assert_eq!(read("RUN -- --mount=x", '\\'), owned(&[], "--mount=x"));
        assert_eq!(read("RUN - --mount=x", '\\'), owned(&[], "- --mount=x"));
        assert_eq!(read("RUN --x\\", '\\'), owned(&["--x"], ""));
        assert_eq!(read("RUN \"--x\" y", '\\'), owned(&[], "\"--x\" y"));
        assert_eq!(read("\u{a0}RUN\t\x0b--x y\u{2028}", '\\'), owned(&["--x"], "y"));
    }

    #[test]
    fn values_know_their_raw_text() {
        let text = r#"RUN --mount="type=bind,\"from=al"'pi'ne\",target=/x echo"#;
        let split = split(&line(text), '\\').expect("a line with flags");
        let value = split.flags[0].field("from").expect("fields").expect("a from field");
        assert_eq!(value.text, "alpine");
        assert_eq!(&text[value.raw], r#"al"'pi'ne"#);
        assert_eq!(value.closing, "\"");
        let text = "COPY --from='al'pine x y";
        let split = super::split(&line(text), '\\').expect("a line with flags");
        let value = split.flags[0].whole_value().expect("a value");
        assert_eq!((&text[value.raw], value.closing.as_str()), ("al'pine", "'"));
        let text = "COPY --from\"=alpine\" x y";
        let split = super::split(&line(text), '\\').expect("a line with flags");
        assert!(matches!(split.flags[0].whole_value(), Err(DockerfileErrorKind::FlagQuote { .. })));
    }

    #[test]
    fn records_are_read_as_go_reads_them() {
        let read = |record: &str| {
            let fields = fields(record).ok()?;
            Some(fields.into_iter().map(|field| field.text).collect::<Vec<_>>().join("|"))
        };
        assert_eq!(read("a,b=c,").as_deref(), Some("a|b=c|"));
        assert_eq!(read("\"a,b\",\"c\"\"d\"").as_deref(), Some("a,b|c\"d"));
        assert_eq!(read("\"\"").as_deref(), Some(""));
        assert_eq!(read(" \"a\""), None);
        assert_eq!(read("a\"b"), None);
        assert_eq!(read("\"a\"b"), None);
        assert_eq!(read("\"a"), None);
        assert_eq!(read(""), None);
    }
}
