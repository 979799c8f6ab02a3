//! The grammar of Go's `pflag`, and what is known of a verb's flags.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use super::ArgumentError;
use crate::text::visible_prefix;

/// The flags of one verb.
#[derive(Clone, Debug)]
pub struct FlagSet {
    verb: &'static str,
    long: BTreeMap<String, Kind>,
    short: BTreeMap<u8, String>,
}

/// Whether the word after a flag belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It does not: the flag is true or false, and a value needs a `=`.
    Switch,
    /// It does.
    Value,
}

impl FlagSet {
    /// A verb's flags, each as `name` or `name x`, where `x` is its short form.
    pub(super) fn new(verb: &'static str, values: &[&str], switches: &[&str]) -> Self {
        let mut flags = Self { verb, long: BTreeMap::new(), short: BTreeMap::new() };
        for (entries, kind) in [(values, Kind::Value), (switches, Kind::Switch)] {
            for entry in entries {
                let (name, short) = entry.split_once(' ').unwrap_or((entry, ""));
                flags.add(name, short, kind);
            }
        }
        flags
    }

    /// The same, with the flags that docker's own `--help` text lists besides.
    ///
    /// The text shows the type of a value (`--name string`) and none for a switch. A type that is
    /// not one of docker's could be a word of the description, so such a flag stays unknown.
    #[must_use]
    pub fn with_help(mut self, text: &str) -> Self {
        for line in text.lines().take(HELP_LINE_LIMIT) {
            let line = line.trim_start();
            let (short, rest) = match line.split_once(", --") {
                Some((short, rest)) if short.len() == 2 && short.starts_with('-') => (&short[1..], rest),
                _ => match line.strip_prefix("--") {
                    Some(rest) => ("", rest),
                    None => continue,
                },
            };
            let length =
                rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'-').count();
            let (name, rest) = rest.split_at(length);
            let known = self.long.contains_key(name)
                || short.bytes().next().is_some_and(|short| self.short.contains_key(&short));
            let value = rest.strip_prefix(' ').and_then(|rest| rest.split_whitespace().next());
            let kind = match value {
                _ if known || name.is_empty() || name.len() > FLAG_LENGTH_LIMIT => continue,
                _ if rest.trim().is_empty() || rest.starts_with("  ") => Kind::Switch,
                Some(value) if VALUE_TYPES.contains(&value) => Kind::Value,
                _ => continue,
            };
            self.add(name, short, kind);
        }
        self
    }

    /// The verb that these flags belong to.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        self.verb
    }

    fn add(&mut self, name: &str, short: &str, kind: Kind) {
        self.long.insert(name.to_owned(), kind);
        if let Some(short) = short.bytes().next() {
            self.short.insert(short, name.to_owned());
        }
    }

    /// Reads a command line.
    pub(super) fn parse(&self, arguments: &[OsString], operands: Operands) -> Result<Parsed, ArgumentError> {
        if arguments.len() > WORD_LIMIT {
            return Err(ArgumentError::TooMany { limit: WORD_LIMIT });
        }
        let mut words = Words { arguments, next: 0 };
        let mut parsed = Parsed { flags: Vec::new(), operands: Vec::new() };
        while let Some(word) = words.take() {
            let index = words.next - 1;
            let bytes = word.as_bytes();
            if bytes == b"--" {
                parsed.operands.extend(words.next..arguments.len());
                break;
            }
            if let Some(long) = bytes.strip_prefix(b"--") {
                self.parse_long(long, index, operands, &mut words, &mut parsed.flags)?;
            } else if bytes.len() > 1 && bytes.starts_with(b"-") {
                self.parse_short(bytes.get(1..).unwrap_or_default(), index, &mut words, &mut parsed.flags)?;
            } else if operands == Operands::EndFlags {
                parsed.operands.extend(index..arguments.len());
                break;
            } else {
                parsed.operands.push(index);
            }
        }
        Ok(parsed)
    }

    fn parse_long(
        &self,
        text: &[u8],
        index: usize,
        operands: Operands,
        words: &mut Words<'_>,
        flags: &mut Vec<Occurrence>,
    ) -> Result<(), ArgumentError> {
        let shown = || visible_prefix(&format!("--{}", String::from_utf8_lossy(text)), SHOWN_LIMIT);
        if matches!(text.first(), Some(b'-' | b'=')) {
            return Err(ArgumentError::Syntax { argument: shown() });
        }
        let equals = text.iter().position(|byte| *byte == b'=');
        let (name, value) = match equals.and_then(|at| text.split_at_checked(at)) {
            Some((name, value)) => (name, Some(value.get(1..).unwrap_or_default())),
            None => (text, None),
        };
        let name = std::str::from_utf8(name).map_err(|_| self.unknown(shown()))?;
        let value = match (value, self.long.get(name)) {
            (Some(_), None) if operands == Operands::AmongFlags => {
                return Err(self.unknown(visible_prefix(&format!("--{name}"), SHOWN_LIMIT)));
            }
            // Whatever this flag is, its value is in this very word.
            (Some(value), _) => OsString::from_vec(value.to_vec()),
            (None, Some(Kind::Switch)) => OsString::from("true"),
            (None, Some(Kind::Value)) => words.value(|| format!("--{name}"))?,
            (None, None) => return Err(self.unknown(shown())),
        };
        flags.push(Occurrence { name: name.to_owned(), value, words: index..words.next });
        Ok(())
    }

    /// `-it`, `-eNAME`, `-e=NAME`, `-itv /a:/b`.
    fn parse_short(
        &self,
        mut text: &[u8],
        index: usize,
        words: &mut Words<'_>,
        flags: &mut Vec<Occurrence>,
    ) -> Result<(), ArgumentError> {
        while let Some((short, rest)) = text.split_first() {
            let shown = || visible_prefix(&format!("-{}", String::from_utf8_lossy(&[*short])), SHOWN_LIMIT);
            let known = self.short.get(short).and_then(|name| Some((name, *self.long.get(name)?)));
            let (name, kind) = known.ok_or_else(|| self.unknown(shown()))?;
            let value = match (rest, kind) {
                ([b'=', value @ ..], _) if !value.is_empty() => {
                    text = &[];
                    OsString::from_vec(value.to_vec())
                }
                (_, Kind::Switch) => {
                    text = rest;
                    OsString::from("true")
                }
                ([], Kind::Value) => {
                    text = rest;
                    words.value(shown)?
                }
                (value, Kind::Value) => {
                    text = &[];
                    OsString::from_vec(value.to_vec())
                }
            };
            flags.push(Occurrence { name: name.clone(), value, words: index..words.next });
        }
        Ok(())
    }

    fn unknown(&self, flag: String) -> ArgumentError {
        ArgumentError::UnknownFlag { verb: self.verb, flag }
    }
}

/// What an operand means for the flags after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operands {
    /// There are none: everything from the first operand on belongs to the container.
    EndFlags,
    /// Nothing: flags and operands can be mixed.
    AmongFlags,
}

/// A command line, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) flags: Vec<Occurrence>,
    /// Which words are operands.
    pub(super) operands: Vec<usize>,
}

impl Parsed {
    /// The last value of a flag: that is the one that counts.
    pub(super) fn last(&self, name: &str) -> Option<&OsStr> {
        self.flags.iter().rfind(|flag| flag.name == name).map(|flag| flag.value.as_os_str())
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a OsStr> {
        self.flags.iter().filter(move |flag| flag.name == name).map(|flag| flag.value.as_os_str())
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, ArgumentError> {
        self.last(name).map(|value| text(name, value)).transpose()
    }

    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, ArgumentError> {
        self.all(name).map(|value| text(name, value)).collect()
    }

    /// A switch, where it is written.
    pub(super) fn switch(&self, name: &str) -> Result<Option<bool>, ArgumentError> {
        // Each one is looked at, since docker refuses a bad one, too.
        self.all(name).map(|value| truth(name, value)).last().transpose()
    }

    pub(super) fn is_set(&self, name: &str) -> Result<bool, ArgumentError> {
        Ok(self.switch(name)?.unwrap_or_default())
    }
}

/// A flag on a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// Its long name, without dashes.
    pub name: String,
    /// Its value; `true` for a switch that is just there.
    pub value: OsString,
    /// The words that it takes; several flags share one where they are bundled.
    pub words: Range<usize>,
}

struct Words<'a> {
    arguments: &'a [OsString],
    next: usize,
}

impl<'a> Words<'a> {
    fn take(&mut self) -> Option<&'a OsStr> {
        let word = self.arguments.get(self.next)?;
        self.next += 1;
        Some(word)
    }

    fn value(&mut self, flag: impl Fn() -> String) -> Result<OsString, ArgumentError> {
        self.take().map(OsStr::to_owned).ok_or_else(|| ArgumentError::MissingValue { flag: flag() })
    }
}

/// An operand or value that has to be text.
pub(super) fn text(flag: &str, value: &OsStr) -> Result<String, ArgumentError> {
    let reason = || ArgumentError::Value {
        flag: format!("--{flag}"),
        value: visible_prefix(&value.to_string_lossy(), SHOWN_LIMIT),
        reason: "it is not UTF-8".to_owned(),
    };
    value.to_str().map(str::to_owned).ok_or_else(reason)
}

/// Go's `ParseBool`.
fn truth(flag: &str, value: &OsStr) -> Result<bool, ArgumentError> {
    match value.as_bytes() {
        b"1" | b"t" | b"T" | b"true" | b"TRUE" | b"True" => Ok(true),
        b"0" | b"f" | b"F" | b"false" | b"FALSE" | b"False" => Ok(false),
        _ => Err(ArgumentError::Value {
            flag: format!("--{flag}"),
            value: visible_prefix(&value.to_string_lossy(), SHOWN_LIMIT),
            reason: "write true or false".to_owned(),
        }),
    }
}

/// The types of values as docker's help texts write them.
const VALUE_TYPES: [&str; 22] = [
    "bytes",
    "decimal",
    "duration",
    "file",
    "filter",
    "float",
    "gpu-request",
    "int",
    "ip",
    "ipSlice",
    "list",
    "map",
    "mount",
    "network",
    "pref",
    "scale",
    "string",
    "stringArray",
    "strings",
    "uint",
    "uint16",
    "ulimit",
];
/// The kernel lets a command have about a hundred thousand words; who means them has fewer.
const WORD_LIMIT: usize = 65_536;
/// Docker's longest help text has about 200 lines.
const HELP_LINE_LIMIT: usize = 5_000;
/// Docker's longest flag has 23 characters.
const FLAG_LENGTH_LIMIT: usize = 64;
/// Enough to find the word on the command line.
pub(super) const SHOWN_LIMIT: usize = 60;
