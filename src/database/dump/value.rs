//! What is written in a dump, as what it stands for.

use super::{Column, Kind};

/// A value as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Null,
    /// A text or a number, its quotes and escapes undone.
    Text(Vec<u8>),
    /// Bytes written as such, in hexadecimal.
    Binary(Vec<u8>),
}

/// A value as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Bytes(Vec<u8>),
    Integer(i64),
    Null,
    Text(String),
}

impl Written {
    /// What the column means by it. PostgreSQL writes bytes as a text with rules of its own.
    pub(super) fn cell(self, column: &Column, mysql: bool) -> Result<Cell, String> {
        let name = column.name;
        let bytes = match self {
            Self::Null if column.optional => return Ok(Cell::Null),
            Self::Null => return Err(format!("`{name}` is NULL, which it cannot be")),
            Self::Text(text) if column.kind == Kind::Bytes && !mysql => {
                bytea(&text).ok_or_else(|| format!("`{name}` is not what bytes are written as"))?
            }
            Self::Text(bytes) | Self::Binary(bytes) => bytes,
        };
        match column.kind {
            Kind::Bytes => Ok(Cell::Bytes(bytes)),
            Kind::Integer => {
                let text = std::str::from_utf8(&bytes).ok();
                let number = text.and_then(|it| it.parse().ok());
                number.map(Cell::Integer).ok_or_else(|| format!("`{name}` is no number"))
            }
            Kind::Text => {
                let text = String::from_utf8(bytes).map_err(|_| format!("`{name}` is not UTF-8"))?;
                // PostgreSQL's texts have none, and SQLite's end there for most readers.
                if text.contains('\0') {
                    Err(format!("`{name}` has a NUL in it"))
                } else {
                    Ok(Cell::Text(text))
                }
            }
        }
    }
}

/// PostgreSQL's two forms of bytes: `\x` and hexadecimal, or text with `\\` and `\ooo`.
fn bytea(text: &[u8]) -> Option<Vec<u8>> {
    if let Some(digits) = text.strip_prefix(b"\\x") {
        return hex::decode(digits).ok();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        match rest {
            [] => return Some(bytes),
            [b'\\', b'\\', tail @ ..] => {
                bytes.push(b'\\');
                rest = tail;
            }
            [b'\\', high @ b'0'..=b'3', middle @ b'0'..=b'7', low @ b'0'..=b'7', tail @ ..] => {
                bytes.push((high - b'0') * 64 + (middle - b'0') * 8 + (low - b'0'));
                rest = tail;
            }
            [b'\\', ..] => return None,
            [byte, tail @ ..] => {
                bytes.push(*byte);
                rest = tail;
            }
        }
    }
}

/// A field of `COPY`'s text: `\N` is NULL, and a backslash hides what would end the field.
pub(super) fn copied(field: &[u8]) -> Option<Written> {
    if field == b"\\N" {
        return Some(Written::Null);
    }
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [byte, tail @ ..] = rest {
        if *byte != b'\\' {
            let plain = rest.iter().position(|it| *it == b'\\').unwrap_or(rest.len());
            let (piece, tail) = rest.split_at(plain);
            bytes.extend_from_slice(piece);
            rest = tail;
            continue;
        }
        let (byte, tail) = escaped(tail)?;
        bytes.push(byte);
        rest = tail;
    }
    Some(Written::Text(bytes))
}

/// What stands behind a backslash, in `COPY` and in `E'…'`, and the rest.
pub(super) fn escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    let digits = |radix: u32, most: usize, text: &[u8]| -> (Option<u8>, usize) {
        let count = text.iter().take(most).take_while(|it| char::from(**it).is_digit(radix)).count();
        let digits = text.get(..count).and_then(|it| std::str::from_utf8(it).ok()).unwrap_or_default();
        (u32::from_str_radix(digits, radix).ok().and_then(|it| u8::try_from(it).ok()), count)
    };
    let (first, tail) = text.split_first()?;
    let byte = match first {
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'0'..=b'7' => {
            let (byte, count) = digits(8, 3, text);
            return Some((byte?, text.get(count..)?));
        }
        b'x' => {
            let (byte, count) = digits(16, 2, tail);
            return Some((byte?, tail.get(count..)?));
        }
        other => *other,
    };
    Some((byte, tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_two_forms() {
        assert_eq!(bytea(b"\\x00ff41"), Some(vec![0, 255, b'A']));
        assert_eq!(bytea(b"a\\\\b\\000\\377\\101"), Some(b"a\\b\0\xffA".to_vec()));
        assert_eq!(bytea(b""), Some(Vec::new()));
        for text in [&b"\\x0"[..], b"\\x0g", b"a\\", b"\\1", b"\\400", b"\\089", b"\\n"] {
            assert_eq!(bytea(text), None, "{text:?}");
        }
    }

    #[test]
    fn fields_hide_what_would_end_them() {
        let text = |field: &[u8]| {
            copied(field).map(|it| if let Written::Text(it) = it { it } else { panic!("null") })
        };
        assert_eq!(copied(b"\\N"), Some(Written::Null));
        assert_eq!(text(b"\\\\x6162"), Some(b"\\x6162".to_vec()));
        assert_eq!(text(b"a\\tb\\nc\\\\N\\101\\x42\\."), Some(b"a\tb\nc\\NAB.".to_vec()));
        for field in [&b"\\"[..], b"a\\", b"\\x", b"\\777"] {
            assert_eq!(copied(field), None, "{field:?}");
        }
    }
}
