//! Reading values out of bytes that are known to be canonical, without building a tree.
//!
//! A [`View`] is one value inside canonical JSON or its wire form, as `canonical` leaves it: no
//! blanks, members sorted, no name twice. What is not asked for is skipped, never decoded.

use std::borrow::Cow;
use std::ops::Range;

use super::canonical::unescape;
use super::error::shown;

/// What was expected of a value and did not hold; in words, for the middle of a sentence.
pub(super) type Parsed<T> = Result<T, String>;

/// One value, exactly its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    bytes: &'a [u8],
}

impl<'a> View<'a> {
    /// The value that these bytes are; they must have passed through `canonical`.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Exactly its bytes.
    pub(super) fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    pub(super) fn is_null(self) -> bool {
        self.bytes == b"null"
    }

    pub(super) fn text(self) -> Parsed<Cow<'a, str>> {
        let inside = self.bytes.strip_prefix(b"\"").and_then(|it| it.strip_suffix(b"\""));
        decode(inside.ok_or_else(|| format!("{} where a string should be", self.kind()))?)
    }

    pub(super) fn integer(self) -> Parsed<i64> {
        let number = std::str::from_utf8(self.bytes).ok().and_then(|it| it.parse().ok());
        number.ok_or_else(|| format!("{} where an integer should be", self.kind()))
    }

    /// An integer that is not negative.
    pub(super) fn count(self) -> Parsed<u64> {
        let number = self.integer()?;
        u64::try_from(number).map_err(|_| format!("the negative number {number}"))
    }

    /// The members of an object, in the order of their names.
    pub(super) fn entries(self) -> Parsed<Entries<'a>> {
        if self.bytes.first() == Some(&b'{') {
            Ok(Entries { bytes: self.bytes, at: 1 })
        } else {
            Err(format!("{} where an object should be", self.kind()))
        }
    }

    /// The items of an array.
    pub(super) fn items(self) -> Parsed<Items<'a>> {
        if self.bytes.first() == Some(&b'[') {
            Ok(Items { bytes: self.bytes, at: 1 })
        } else {
            Err(format!("{} where an array should be", self.kind()))
        }
    }

    /// The named members of an object; unknown ones are ignored.
    ///
    /// Go takes `Version` for `version`, whichever comes last: a name that only differs in case from a
    /// known one is refused, as two readers would see two documents.
    pub(super) fn fields<const N: usize>(self, names: [&str; N]) -> Parsed<[Option<View<'a>>; N]> {
        let mut fields = [None; N];
        for entry in self.entries()? {
            let entry = entry?;
            pick(&names, &mut fields, &entry.name()?, entry.value)?;
        }
        Ok(fields)
    }

    /// The value as a tree of its own, for what publishers add.
    pub(super) fn to_value(self) -> Parsed<serde_json::Value> {
        use serde_json::Value;
        Ok(match self.bytes.first() {
            Some(b'{') => {
                let mut members = serde_json::Map::new();
                for entry in self.entries()? {
                    let entry = entry?;
                    members.insert(entry.name()?.into_owned(), entry.value.to_value()?);
                }
                Value::Object(members)
            }
            Some(b'[') => Value::Array(self.items()?.map(|it| it?.to_value()).collect::<Parsed<_>>()?),
            Some(b'"') => Value::String(self.text()?.into_owned()),
            Some(b't') => Value::Bool(true),
            Some(b'f') => Value::Bool(false),
            Some(b'n') => Value::Null,
            _ => Value::from(self.integer()?),
        })
    }

    fn kind(self) -> &'static str {
        match self.bytes.first() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "a truth value",
            Some(b'n') => "null",
            _ => "a number",
        }
    }
}

/// Files a value under its name among the known ones, or refuses a case variant of one.
pub(super) fn pick<'a>(
    names: &[&str],
    fields: &mut [Option<View<'a>>],
    name: &str,
    value: View<'a>,
) -> Parsed<()> {
    for (known, field) in names.iter().zip(fields) {
        if *known == name {
            *field = Some(value);
        } else if is_case_variant(known, name) {
            return Err(format!("the member {} is a case variant of `{known}`", shown(name)));
        }
    }
    Ok(())
}

/// As Go folds case: ASCII letters, and the two letters beyond ASCII that fold to `s` and `k`.
pub(super) fn is_case_variant(known: &str, name: &str) -> bool {
    let fold = |it: char| match it {
        'ſ' => 's',
        '\u{212a}' => 'k',
        _ => it.to_ascii_lowercase(),
    };
    known != name && known.chars().map(fold).eq(name.chars().map(fold))
}

/// One member of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    name: &'a [u8],
    pub(super) value: View<'a>,
}

impl<'a> Entry<'a> {
    pub(super) fn name(&self) -> Parsed<Cow<'a, str>> {
        decode(self.name)
    }

    /// The name's canonical bytes, by which members are sorted.
    pub(super) fn name_bytes(&self) -> Cow<'a, [u8]> {
        unescape(self.name)
    }
}

/// Iterates over the members of an object.
#[derive(Clone, Debug)]
pub(super) struct Entries<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Entries<'_> {
    /// Where the last member's name (without quotes) and value stand in the object's bytes.
    pub(super) fn next_ranges(&mut self) -> Option<Parsed<(Range<usize>, Range<usize>)>> {
        match self.bytes.get(self.at)? {
            b'}' => return None,
            b',' => self.at += 1,
            _ => {}
        }
        let start = self.at;
        // An error ends the iteration, whoever goes on asking.
        self.at = self.bytes.len();
        let Some(end) = skip_string(self.bytes, start) else { return Some(Err(damaged())) };
        let value = end + 1;
        let Some(next) = skip(self.bytes, value) else { return Some(Err(damaged())) };
        self.at = next;
        Some(Ok((start + 1..end - 1, value..next)))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Parsed<Entry<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.bytes;
        Some(self.next_ranges()?.and_then(|(name, value)| {
            let (Some(name), Some(value)) = (bytes.get(name), bytes.get(value)) else {
                return Err(damaged());
            };
            Ok(Entry { name, value: View::new(value) })
        }))
    }
}

/// Iterates over the items of an array.
#[derive(Clone, Debug)]
pub(super) struct Items<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Items<'a> {
    type Item = Parsed<View<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.bytes.get(self.at)? {
            b']' => return None,
            b',' => self.at += 1,
            _ => {}
        }
        let start = self.at;
        let Some(end) = skip(self.bytes, start) else {
            self.at = self.bytes.len();
            return Some(Err(damaged()));
        };
        self.at = end;
        Some(self.bytes.get(start..end).map(View::new).ok_or_else(damaged))
    }
}

/// Behind the string whose opening quote stands at `at`.
fn skip_string(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at += bytes.get(at..)?.iter().position(|it| matches!(it, b'"' | b'\\'))?;
        if bytes.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Behind the value that starts at `at`.
fn skip(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at;
    let mut depth = 0_usize;
    loop {
        match bytes.get(at)? {
            b'"' => at = skip_string(bytes, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            b',' | b':' if depth > 0 => at += 1,
            _ => {
                while bytes.get(at).is_some_and(|it| !matches!(it, b',' | b']' | b'}')) {
                    at += 1;
                }
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

fn decode(inside: &[u8]) -> Parsed<Cow<'_, str>> {
    let text = match unescape(inside) {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).ok(),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).ok(),
    };
    text.ok_or_else(damaged)
}

/// Bytes that did not pass through `canonical`; an error all the same, never a panic.
fn damaged() -> String {
    "not in canonical form".to_owned()
}
