//! One pass over metadata as Notary writes it: is it in canonical form?
//!
//! A file may have many megabytes, and its canonical form is the file itself but for five escapes. So
//! nothing is copied and no tree is built: this pass checks the form.

use std::ops::Range;

use super::canonical::{WIRE_ESCAPE_LENGTH, is_canonical_integer, unescape, wire_escape};
use super::json::DEPTH_LIMIT;

/// An object found in wire form, with what one pass over it learns.
#[derive(Debug)]
pub(super) struct Scanned {
    /// Where it stands in the text.
    pub(super) range: Range<usize>,
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

/// One pass over an object in wire form.
///
/// `None` says only that it is not in wire form; whether it is JSON, [`canonicalize`](super::canonical::canonicalize) says.
pub(super) fn scan(text: &[u8], start: usize) -> Option<Scanned> {
    let mut scan = Scan { text, at: start, escaped: false, members: Vec::new() };
    if scan.peek()? != b'{' {
        return None;
    }
    scan.value(0)?;
    Some(Scanned { range: start..scan.at, escaped: scan.escaped, members: scan.members })
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
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
        wire_escape(rest)?;
        self.at += WIRE_ESCAPE_LENGTH;
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

/// Metadata has at most six members at its top; a few more may be unknown ones.
const MEMBER_LIMIT: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::tuf::canonical::{canonicalize, from_wire, to_vec, to_wire};
    use crate::tuf::testing::arbitrary::{has_control, object};

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

    proptest! {
        #[test]
        fn the_pass_in_place_and_the_rewriting_agree(value in object()) {
            prop_assume!(!has_control(&value));
            let canonical = to_vec(&value).unwrap();
            let wire = to_wire(&canonical);
            let scanned = scan(&wire, 0).unwrap();
            prop_assert_eq!(scanned.range, 0..wire.len());
            prop_assert_eq!(scanned.escaped, wire != canonical);
            prop_assert_eq!(from_wire(&wire), canonical);
            let members = value.as_object().unwrap();
            prop_assert_eq!(scanned.members.len(), members.len());
            for (member, (name, value)) in scanned.members.iter().zip(members) {
                prop_assert_eq!(&*unescape(&wire[member.name.clone()]), name.as_bytes());
                prop_assert_eq!(from_wire(&wire[member.value.clone()]), to_vec(value).unwrap());
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
