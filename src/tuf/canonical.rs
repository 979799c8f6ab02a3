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
use sha2::{Digest as _, Sha256};

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
    out
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

/// An object found in wire form, with what one pass over it learns.
#[derive(Debug)]
pub(super) struct Scanned {
    /// Where it stands in the text.
    pub(super) range: Range<usize>,
    /// The SHA-256 of its canonical form.
    pub(super) digest: [u8; 32],
    /// Whether it holds escapes of the wire form, so that it is not canonical as it stands.
    pub(super) escaped: bool,
    /// Names and values of its members, as places in the text.
    pub(super) members: Vec<Member>,
}

/// Where a member's name (without quotes) and its value stand.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: Range<usize>,
    pub(super) value: Range<usize>,
}

/// One pass over an object in wire form, which also hashes its canonical form.
///
/// `None` says only that it is not in wire form; whether it is JSON, [`canonicalize`] says.
pub(super) fn scan(text: &[u8], start: usize) -> Option<Scanned> {
    let mut scan =
        Scan { text, at: start, hasher: Sha256::new(), hashed: start, escaped: false, members: Vec::new() };
    if scan.peek()? != b'{' {
        return None;
    }
    scan.value(0)?;
    scan.hasher.update(text.get(scan.hashed..scan.at)?);
    let digest = scan.hasher.finalize().into();
    Some(Scanned { range: start..scan.at, digest, escaped: scan.escaped, members: scan.members })
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    hasher: Sha256,
    /// Everything before this place is in the hasher.
    hashed: usize,
    escaped: bool,
    members: Vec<Member>,
}

impl<'a> Scan<'a> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        if depth > DEPTH_LIMIT {
            return None;
        }
        match self.peek()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string().map(drop),
            b'-' | b'0'..=b'9' => self.integer(),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            _ => None,
        }
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        self.at += 1;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        let mut previous: Option<Range<usize>> = None;
        loop {
            if self.peek()? != b'"' {
                return None;
            }
            let name = self.string()?;
            if let Some(previous) = previous
                && !self.in_order(previous, name.clone())?
            {
                return None;
            }
            if self.peek()? != b':' {
                return None;
            }
            self.at += 1;
            let value = self.at;
            self.value(depth + 1)?;
            if depth == 0 {
                if self.members.len() >= MEMBER_LIMIT {
                    return None;
                }
                self.members.push(Member { name: name.clone(), value: value..self.at });
            }
            self.hash_what_is_cached();
            match self.peek()? {
                b'}' => break,
                b',' => self.at += 1,
                _ => return None,
            }
            previous = Some(name);
        }
        self.at += 1;
        Some(())
    }

    /// Names are compared as canonical bytes, so an escape counts as what it stands for.
    fn in_order(&self, previous: Range<usize>, name: Range<usize>) -> Option<bool> {
        let (previous, name) = (self.text.get(previous)?, self.text.get(name)?);
        if previous.contains(&b'\\') || name.contains(&b'\\') {
            return Some(unescape(previous) < unescape(name));
        }
        Some(previous < name)
    }

    /// Hashing in blocks keeps the text in the processor's cache between the two.
    fn hash_what_is_cached(&mut self) {
        if self.at - self.hashed >= HASH_BLOCK
            && let Some(block) = self.text.get(self.hashed..self.at)
        {
            self.hasher.update(block);
            self.hashed = self.at;
        }
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        self.at += 1;
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.value(depth + 1)?;
            match self.peek()? {
                b']' => break,
                b',' => self.at += 1,
                _ => return None,
            }
        }
        self.at += 1;
        Some(())
    }

    /// Where the string's inside stands.
    fn string(&mut self) -> Option<Range<usize>> {
        self.at += 1;
        let start = self.at;
        loop {
            let rest = self.text.get(self.at..)?;
            self.at += rest.iter().position(|it| matches!(it, b'"' | b'\\' | 0..=0x1f))?;
            match self.peek()? {
                b'"' => break,
                b'\\' => self.escape()?,
                _ => return None,
            }
        }
        let range = start..self.at;
        self.at += 1;
        Some(range)
    }

    fn escape(&mut self) -> Option<()> {
        let rest: &'a [u8] = self.text.get(self.at..)?;
        if matches!(rest.get(1)?, b'"' | b'\\') {
            self.at += 2;
            return Some(());
        }
        let character = wire_escape(rest)?;
        self.hasher.update(self.text.get(self.hashed..self.at)?);
        self.hasher.update(character.as_bytes());
        self.at += WIRE_ESCAPE_LENGTH;
        self.hashed = self.at;
        self.escaped = true;
        Some(())
    }

    fn integer(&mut self) -> Option<()> {
        let start = self.at;
        self.at += usize::from(self.peek()? == b'-');
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        let text = std::str::from_utf8(self.text.get(start..self.at)?).ok()?;
        is_canonical_integer(text).then_some(())
    }

    fn literal(&mut self, word: &[u8]) -> Option<()> {
        if !self.text.get(self.at..)?.starts_with(word) {
            return None;
        }
        self.at += word.len();
        Some(())
    }
}

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

fn write_string(text: &str, out: &mut Vec<u8>) {
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

fn is_canonical_integer(text: &str) -> bool {
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
/// Metadata has at most six members at its top; a few more may be unknown ones.
const MEMBER_LIMIT: usize = 64;
/// Half of what a small processor's first cache holds.
const HASH_BLOCK: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

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
    fn only_wire_form_is_scanned_in_place() {
        for text in [r#"{"a":1,"b":[true,null],"c":{"d":"\"\\\u003c\u2028<é"}}"#, "{}", r#"{"a":-1,"b":0}"#]
        {
            assert!(scan(text.as_bytes(), 0).is_some(), "{text}");
        }
        for text in [
            r#"{"b":1,"a":2}"#,
            r#"{"a":1,"a":2}"#,
            r#"{ "a":1}"#,
            r#"{"a" :1}"#,
            r#"{"a": 1}"#,
            r#"{"a":1 }"#,
            r#"{"a":1.0}"#,
            r#"{"a":01}"#,
            r#"{"a":-0}"#,
            r#"{"a":-}"#,
            r#"{"a":9007199254740993}"#,
            r#"{"a":"\u003C"}"#,
            r#"{"a":"\/"}"#,
            r#"{"a":"\n"}"#,
            "{\"a\":\"\n\"}",
            r#"{"a":"\u0061"}"#,
            r#"{"a":tru}"#,
            r#"{"a":[1,]}"#,
            r#"{"a":[1 ,2]}"#,
            r#"{"a":1,}"#,
            "[]",
            "1",
            "",
            "{",
            r#"{"a""#,
            r#"{"a":"#,
            r#"{"a":"b"#,
            r#"{"\u003c":1,"\u0026":2}"#,
            r#"{"\u003c":1,"<":2}"#,
        ] {
            assert!(scan(text.as_bytes(), 0).is_none(), "{text}");
        }
    }

    #[test]
    fn an_object_of_many_members_is_left_to_the_other_reader() {
        let members = |count: usize| {
            let members: serde_json::Map<_, _> = (0..count).map(|it| (it.to_string(), json!(it))).collect();
            to_vec(&Value::Object(members)).unwrap()
        };
        assert!(scan(&members(MEMBER_LIMIT), 0).is_some());
        assert!(scan(&members(MEMBER_LIMIT + 1), 0).is_none());
    }

    #[test]
    fn numbers_of_our_own_are_integers() {
        assert_eq!(to_vec(&json!({"a": [1, -2]})).unwrap(), br#"{"a":[1,-2]}"#);
        assert!(to_vec(&json!(0.5)).is_err());
        assert!(to_vec(&json!(u64::MAX)).is_err());
    }

    fn text() -> impl Strategy<Value = String> {
        // The characters that some rule is about, more often than chance would have them.
        let special = prop::sample::select(vec![
            "\"", "\\", "<", ">", "&", "\u{2028}", "\u{2029}", "\u{2027}", "\\u003c", "e\u{301}", "/", "a",
            "A",
        ]);
        prop::collection::vec(
            prop_oneof![special.prop_map(str::to_owned), any::<char>().prop_map(String::from)],
            0..6,
        )
        .prop_map(|it| it.concat())
    }

    fn value() -> impl Strategy<Value = Value> {
        let integer = -(1_i64 << 53)..=(1_i64 << 53);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            integer.prop_map(Value::from),
            text().prop_map(Value::from)
        ];
        leaf.prop_recursive(5, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(text(), inner, 0..6)
                    .prop_map(|it| Value::Object(it.into_iter().collect())),
            ]
        })
    }

    fn object() -> impl Strategy<Value = Value> {
        prop::collection::btree_map(text(), value(), 0..6)
            .prop_map(|it| Value::Object(it.into_iter().collect()))
    }

    fn has_control(value: &Value) -> bool {
        value.to_string().contains("\\u00")
            || value.to_string().contains("\\n")
            || canonical_bytes(value).iter().any(|it| *it < 0x20)
    }

    fn canonical_bytes(value: &Value) -> Vec<u8> {
        to_vec(value).unwrap()
    }

    proptest! {
        #[test]
        fn every_way_of_writing_a_document_has_one_canonical_form(value in value()) {
            let expected = canonical_bytes(&value);
            prop_assert_eq!(&canonicalize(value.to_string().as_bytes()).unwrap(), &expected);
            prop_assert_eq!(&canonicalize(&serde_json::to_vec_pretty(&value).unwrap()).unwrap(), &expected);
            if !has_control(&value) {
                prop_assert_eq!(&canonicalize(&expected).unwrap(), &expected);
                prop_assert_eq!(&canonicalize(&to_wire(&expected)).unwrap(), &expected);
            }
        }

        #[test]
        fn the_pass_in_place_and_the_rewriting_agree(value in object()) {
            prop_assume!(!has_control(&value));
            let canonical = canonical_bytes(&value);
            let wire = to_wire(&canonical);
            let scanned = scan(&wire, 0).unwrap();
            prop_assert_eq!(scanned.range, 0..wire.len());
            prop_assert_eq!(scanned.digest, <[u8; 32]>::from(Sha256::digest(&canonical)));
            prop_assert_eq!(scanned.escaped, wire != canonical);
            prop_assert_eq!(from_wire(&wire), canonical);
            let members = value.as_object().unwrap();
            prop_assert_eq!(scanned.members.len(), members.len());
            for (member, (name, value)) in scanned.members.iter().zip(members) {
                prop_assert_eq!(&*unescape(&wire[member.name.clone()]), name.as_bytes());
                prop_assert_eq!(from_wire(&wire[member.value.clone()]), canonical_bytes(value));
            }
        }

        #[test]
        fn whatever_is_scanned_in_place_is_its_own_canonical_form(text in r#"\{("a"|"b"|"\\\\u003c"|[:,\[\]{}0-9 "-]|null){0,12}\}"#) {
            if let Some(scanned) = scan(text.as_bytes(), 0) {
                let rewritten = canonicalize(&text.as_bytes()[scanned.range.clone()]).unwrap();
                prop_assert_eq!(from_wire(&text.as_bytes()[scanned.range]), rewritten);
            }
        }
    }
}
