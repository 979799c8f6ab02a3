//! Notary's canonical JSON: the bytes that signatures cover.
//!
//! Members are sorted by the bytes of their names, there are no blanks, and a string
//! escapes nothing but `"` and `\`; control characters and everything beyond ASCII stand
//! as they are. Numbers are integers. Go writes five characters of the finished file as
//! `\u003c`, `\u003e`, `\u0026`, `\u2028`, `\u2029`, while the signature covers the bare ones;
//! text in that shape is called *wire form* here.
//!
//! What others wrote is canonicalised again before a signature is checked, as Notary does, so
//! blanks and the order of members do not matter. Stricter than Notary, and refused: a name
//! that stands twice in one object, integers beyond 2⁵³ (Go's reader loses digits there), half
//! surrogate pairs and invalid UTF-8 (Go's reader replaces them), and nesting deeper than 64 levels.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Value;

use super::error::shown;
use super::json::{DEPTH_LIMIT, JsonError, Kind, Reader, too_deep};

/// The canonical form of a JSON document that somebody else wrote.
pub fn canonicalize(document: &[u8]) -> Result<Vec<u8>, JsonError> {
    let mut reader = Reader::new(document)?;
    let mut out = Vec::with_capacity(document.len());
    rewrite(&mut reader, &mut out, 0)?;
    reader.end()?;
    Ok(out)
}

/// The canonical form of a value of our own; numbers that are no integers up to 2⁵³ are an error.
pub fn to_vec(value: &Value) -> Result<Vec<u8>, JsonError> {
    let mut out = Vec::new();
    write(value, &mut out)?;
    Ok(out)
}

/// The wire form of canonical bytes: the five characters that Go escapes, escaped.
#[must_use]
pub fn to_wire(canonical: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(canonical.len());
    write_wire(canonical, &mut out);
    out
}

/// Appends the wire form of canonical bytes.
pub(super) fn write_wire(canonical: &[u8], out: &mut Vec<u8>) {
    let mut rest = canonical;
    while let Some((&first, tail)) = rest.split_first() {
        let (escape, length): (&[u8], usize) = match first {
            b'<' => (b"\\u003c", 1),
            b'>' => (b"\\u003e", 1),
            b'&' => (b"\\u0026", 1),
            0xe2 if tail.starts_with(&[0x80, 0xa8]) => (b"\\u2028", 3),
            0xe2 if tail.starts_with(&[0x80, 0xa9]) => (b"\\u2029", 3),
            _ => {
                out.push(first);
                rest = tail;
                continue;
            }
        };
        out.extend_from_slice(escape);
        rest = rest.get(length..).unwrap_or_default();
    }
}

/// The canonical bytes of wire form.
pub(super) fn from_wire(wire: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(wire.len());
    let mut rest = wire;
    while let Some(at) = rest.iter().position(|&b| b == b'\\') {
        let (before, escape) = rest.split_at(at);
        out.extend_from_slice(before);
        // An escaped quote or backslash stays as it is, and its second byte starts no escape.
        let (kept, length) = match wire_escape(escape) {
            Some(character) => (character.as_bytes(), WIRE_ESCAPE_LENGTH),
            None => (escape.get(..2).unwrap_or(escape), 2),
        };
        out.extend_from_slice(kept);
        rest = escape.get(length..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

/// The character behind one of the five escapes of the wire form.
pub(super) fn wire_escape(text: &[u8]) -> Option<&'static str> {
    match text.get(..WIRE_ESCAPE_LENGTH)? {
        b"\\u003c" => Some("<"),
        b"\\u003e" => Some(">"),
        b"\\u0026" => Some("&"),
        b"\\u2028" => Some("\u{2028}"),
        b"\\u2029" => Some("\u{2029}"),
        _ => None,
    }
}

/// How many bytes each of the five escapes has.
pub(super) const WIRE_ESCAPE_LENGTH: usize = 6;

/// What a string's inside stands for, given that it is in wire form.
pub(super) fn unescape(inside: &[u8]) -> Cow<'_, [u8]> {
    if !inside.contains(&b'\\') {
        return Cow::Borrowed(inside);
    }
    let mut out = Vec::with_capacity(inside.len());
    let mut rest = inside;
    while let Some((&first, tail)) = rest.split_first() {
        if first != b'\\' {
            out.push(first);
            rest = tail;
        } else if let Some(character) = wire_escape(rest) {
            out.extend_from_slice(character.as_bytes());
            rest = rest.get(WIRE_ESCAPE_LENGTH..).unwrap_or_default();
        } else {
            out.extend(tail.first());
            rest = tail.get(1..).unwrap_or_default();
        }
    }
    Cow::Owned(out)
}

/// Reads any value and appends its canonical form.
pub(super) fn rewrite(reader: &mut Reader<'_>, out: &mut Vec<u8>, depth: usize) -> Result<(), JsonError> {
    let kind = reader.kind()?;
    if depth > DEPTH_LIMIT {
        return Err(reader.error(too_deep()));
    }
    match kind {
        Kind::Object => rewrite_object(reader, out, depth)?,
        Kind::Array => {
            out.push(b'[');
            let start = out.len();
            reader.array(|reader| {
                if out.len() > start {
                    out.push(b',');
                }
                rewrite(reader, out, depth + 1)
            })?;
            out.push(b']');
        }
        Kind::String => {
            let text = reader.string()?;
            write_string(&text, out);
        }
        Kind::Number => {
            let offset = reader.clone();
            let number = reader.number()?;
            let integer = integer(number).map_err(|reason| offset.error(reason))?;
            out.extend_from_slice(integer.to_string().as_bytes());
        }
        Kind::True => {
            reader.literal("true")?;
            out.extend_from_slice(b"true");
        }
        Kind::False => {
            reader.literal("false")?;
            out.extend_from_slice(b"false");
        }
        Kind::Null => {
            reader.literal("null")?;
            out.extend_from_slice(b"null");
        }
    }
    Ok(())
}

/// Members are written as they come, and put in order at the end where they were not.
fn rewrite_object(reader: &mut Reader<'_>, out: &mut Vec<u8>, depth: usize) -> Result<(), JsonError> {
    let start = out.len();
    let mut members: Vec<(Cow<'_, str>, Range<usize>)> = Vec::new();
    let mut sorted = true;
    reader.object(|reader, name| {
        out.push(if members.is_empty() { b'{' } else { b',' });
        let from = out.len();
        write_string(&name, out);
        out.push(b':');
        rewrite(reader, out, depth + 1)?;
        sorted &= members.last().is_none_or(|(last, _)| *last < name);
        members.push((name, from..out.len()));
        Ok(())
    })?;
    if !sorted {
        members.sort_by(|a, b| a.0.cmp(&b.0));
        let mut before = None;
        let mut ordered = Vec::with_capacity(out.len() - start);
        for (name, range) in &members {
            if before == Some(name) {
                return Err(
                    reader.error(format!("the member {} stands twice in the object that ends", shown(name)))
                );
            }
            before = Some(name);
            ordered.push(if ordered.is_empty() { b'{' } else { b',' });
            ordered.extend_from_slice(out.get(range.clone()).unwrap_or_default());
        }
        out.truncate(start);
        out.append(&mut ordered);
    }
    if members.is_empty() {
        out.push(b'{');
    }
    out.push(b'}');
    Ok(())
}

fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), JsonError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => {
            let integer =
                integer(&number.to_string()).map_err(|reason| JsonError { reason, offset: out.len() })?;
            out.extend_from_slice(integer.to_string().as_bytes());
        }
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            out.push(b'{');
            for (index, (name, member)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_string(name, out);
                out.push(b':');
                write(member, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

pub(super) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// Go reads every number as a float and writes it as an integer where it is one: `1e3` becomes `1000`.
fn integer(text: &str) -> Result<i64, Cow<'static, str>> {
    let too_large = || Cow::from(format!("the number {} is beyond 2^53", shortened(text)));
    if text.bytes().all(|b| matches!(b, b'-' | b'0'..=b'9')) {
        let number: i64 = text.parse().map_err(|_| too_large())?;
        return if number.unsigned_abs() <= INTEGER_LIMIT { Ok(number) } else { Err(too_large()) };
    }
    let number: f64 = text.parse().map_err(|_| Cow::from("not a number"))?;
    #[expect(clippy::cast_precision_loss, reason = "2^53 is exact as a float")]
    if number.abs() > INTEGER_LIMIT as f64 {
        return Err(too_large());
    }
    if number.fract() != 0.0 {
        return Err(format!("the number {} is a fraction", shortened(text)).into());
    }
    #[expect(clippy::cast_possible_truncation, reason = "an integral float up to 2^53 was checked for")]
    Ok(number as i64)
}

pub(super) fn is_canonical_integer(text: &str) -> bool {
    text.len() <= 17
        && text != "-0"
        && text.parse().is_ok_and(|it: i64| {
            let digits = text.strip_prefix('-').unwrap_or(text);
            it.unsigned_abs() <= INTEGER_LIMIT && (digits == "0" || !digits.starts_with('0'))
        })
}

fn shortened(text: &str) -> &str {
    text.get(..32).unwrap_or(text)
}

/// The largest integer that a float keeps exactly, and every integer below it.
const INTEGER_LIMIT: u64 = 1 << 53;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::tuf::testing::arbitrary::{has_control, value};

    fn canonical(text: &str) -> String {
        String::from_utf8(canonicalize(text.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn documents_as_go_canonicalises_them() {
        for (text, expected) in [
            ("{}", "{}"),
            (" [ ] ", "[]"),
            (r#"{"b":1,"a":2}"#, r#"{"a":2,"b":1}"#),
            // By bytes: the shorter name first, capitals before small letters, beyond ASCII last.
            (r#"{"a!":1,"a":2,"B":3,"é":4,"z":5}"#, r#"{"B":3,"a":2,"a!":1,"z":5,"é":4}"#),
            (r#"{"\ud83d\ude00":1,"\uffee":2}"#, "{\"\u{ffee}\":2,\"\u{1f600}\":1}"),
            (r#""\u00e9\/\u003c\u0026""#, r#""é/<&""#),
            (r#""\t\n\u0000""#, "\"\t\n\0\""),
            (r#""\"\\""#, r#""\"\\""#),
            ("\"e\u{301}\"", "\"e\u{301}\""),
            ("1.0", "1"),
            ("1e3", "1000"),
            ("-0", "0"),
            ("-0.0", "0"),
            ("9007199254740992", "9007199254740992"),
            ("-9007199254740992", "-9007199254740992"),
            ("[1 , null,true , false,\"\"]", "[1,null,true,false,\"\"]"),
            (r#"{"a":{"d":[{"z":1,"y":2}],"c":3}}"#, r#"{"a":{"c":3,"d":[{"y":2,"z":1}]}}"#),
        ] {
            assert_eq!(canonical(text), expected, "{text}");
        }
    }

    #[test]
    fn documents_without_canonical_form() {
        for (text, reason) in [
            (r#"{"a":1,"a":1}"#, "twice"),
            (r#"{"a":1,"\u0061":1}"#, "twice"),
            (r#"[{"b":1,"a":1,"b":2}]"#, "twice"),
            ("1.5", "fraction"),
            ("1e-1", "fraction"),
            ("9007199254740993", "beyond 2^53"),
            ("18446744073709551616", "beyond 2^53"),
            ("1e300", "beyond 2^53"),
            ("1e999", "beyond 2^53"),
            ("NaN", "a value"),
            (r#""\ud800""#, "surrogate"),
            ("{} {}", "behind the end"),
            ("", "ends"),
        ] {
            let error = canonicalize(text.as_bytes()).unwrap_err();
            assert!(error.reason.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn numbers_of_our_own_are_integers() {
        assert_eq!(to_vec(&json!({"a": [1, -2]})).unwrap(), br#"{"a":[1,-2]}"#);
        assert!(to_vec(&json!(0.5)).is_err());
        assert!(to_vec(&json!(u64::MAX)).is_err());
    }

    proptest! {
        #[test]
        fn every_way_of_writing_a_document_has_one_canonical_form(value in value()) {
            let expected = to_vec(&value).unwrap();
            prop_assert_eq!(&canonicalize(value.to_string().as_bytes()).unwrap(), &expected);
            prop_assert_eq!(&canonicalize(&serde_json::to_vec_pretty(&value).unwrap()).unwrap(), &expected);
            if !has_control(&value) {
                prop_assert_eq!(&canonicalize(&expected).unwrap(), &expected);
                prop_assert_eq!(&canonicalize(&to_wire(&expected)).unwrap(), &expected);
            }
        }
    }
}
