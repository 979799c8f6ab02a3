//! The instructions there are, and which flags and arguments `BuildKit` takes for each.
//!
//! What is refused here `BuildKit` refuses too, before it builds anything; values that it checks
//! only while building are not looked at.

use super::flags::Flag;
use super::heredoc::heredoc;
use super::instruction::shorten;
use super::source::is_separator;
use super::words::{arguments, json_strings, words};
use super::{DockerfileErrorKind, Span};

/// The instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Label,
    Maintainer,
    Onbuild,
    Run,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
}

impl Keyword {
    pub(super) fn named(word: &str) -> Option<Self> {
        KEYWORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, keyword)| *keyword)
    }

    pub(super) fn name(self) -> &'static str {
        KEYWORDS.iter().find(|(_, keyword)| *keyword == self).map_or("", |(name, _)| name)
    }

    /// The flags it takes; `None` where `BuildKit` looks at none.
    fn flags(self) -> Option<&'static [(&'static str, FlagKind)]> {
        use FlagKind::{List, Switch, Text};
        Some(match self {
            Self::Add => &[
                ("chown", Text),
                ("chmod", Text),
                ("link", Switch),
                ("keep-git-dir", Switch),
                ("checksum", Text),
                ("unpack", Switch),
                ("exclude", List),
            ],
            Self::Copy => &[
                ("chown", Text),
                ("from", Text),
                ("chmod", Text),
                ("link", Switch),
                ("exclude", List),
                ("parents", Switch),
            ],
            Self::From => &[("platform", Text)],
            Self::Run => &[("mount", List), ("network", Text), ("security", Text), ("device", List)],
            Self::Healthcheck => &[
                ("interval", Text),
                ("timeout", Text),
                ("start-period", Text),
                ("start-interval", Text),
                ("retries", Text),
            ],
            Self::Arg | Self::StopSignal => return None,
            _ => &[],
        })
    }
}

/// Checks names, number and values of flags.
pub(super) fn check_flags(keyword: Keyword, flags: &[Flag]) -> Result<(), DockerfileErrorKind> {
    let Some(known) = keyword.flags() else { return Ok(()) };
    let mut seen: Vec<&str> = Vec::new();
    let instruction = keyword.name();
    for flag in flags {
        let name = flag.name();
        let Some((known_name, kind)) = known.iter().find(|(known, _)| *known == name) else {
            return Err(DockerfileErrorKind::UnknownFlag { instruction, flag: shorten(name) });
        };
        if *kind != FlagKind::List {
            if seen.contains(known_name) {
                return Err(DockerfileErrorKind::DuplicateFlag { instruction, flag: known_name });
            }
            seen.push(known_name);
        }
        let is_well = match (kind, flag.value()) {
            (FlagKind::Switch, None) => true,
            (FlagKind::Switch, Some(value)) => {
                value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false")
            }
            (FlagKind::Text | FlagKind::List, value) => value.is_some(),
        };
        if !is_well {
            return Err(DockerfileErrorKind::FlagValue { instruction, flag: known_name });
        }
    }
    Ok(())
}

/// Checks the number and form of arguments; says whether they are a JSON array.
pub(super) fn check_arguments(
    keyword: Keyword,
    text: &str,
    escape: char,
) -> Result<bool, DockerfileErrorKind> {
    let wrong = |expected| Err(DockerfileErrorKind::Arguments { instruction: keyword.name(), expected });
    match keyword {
        Keyword::Add | Keyword::Copy => {
            let json = json_strings(text)?;
            let arguments = match &json {
                Some(strings) => strings.clone(),
                None => arguments(text, 0..text.len()).collect(),
            };
            let Some(destination) = arguments.last().filter(|_| arguments.len() >= 2) else {
                return wrong("a source and a destination");
            };
            let destination = text.get(destination.clone()).unwrap_or_default();
            if matches!(heredoc(destination), Ok(Some(_))) {
                return wrong("a destination that is no heredoc");
            }
            Ok(json.is_some())
        }
        Keyword::Run | Keyword::Cmd | Keyword::Entrypoint => Ok(json_strings(text)?.is_some()),
        Keyword::Shell => match json_strings(text)? {
            Some(strings) if !strings.is_empty() => Ok(true),
            _ => wrong("a JSON array of at least one string"),
        },
        Keyword::Volume => match json_strings(text)? {
            Some(strings) if strings.is_empty() => wrong("at least one argument"),
            None if text.is_empty() => wrong("at least one argument"),
            json => Ok(json.is_some()),
        },
        Keyword::Arg => match words(text, escape).first() {
            None => wrong("at least one argument"),
            Some(_) if words(text, escape).iter().any(|word| is_blank_key(text, word)) => {
                wrong("a name before the `=`")
            }
            Some(_) => Ok(false),
        },
        Keyword::Env | Keyword::Label => check_pairs(keyword, text, escape),
        Keyword::Healthcheck => {
            match arguments(text, 0..text.len()).next() {
                Some(word)
                    if text.get(word.clone()).is_some_and(|word| word.eq_ignore_ascii_case("none")) =>
                {
                    if word.len() == text.len() { Ok(false) } else { wrong("nothing behind NONE") }
                }
                Some(word)
                    if text.get(word.clone()).is_some_and(|word| word.eq_ignore_ascii_case("cmd"))
                        && word.len() < text.len() =>
                {
                    Ok(false)
                }
                _ => wrong("NONE, or CMD and a command"),
            }
        }
        Keyword::From => Ok(false),
        Keyword::Expose
        | Keyword::Maintainer
        | Keyword::Onbuild
        | Keyword::StopSignal
        | Keyword::User
        | Keyword::Workdir => {
            if text.is_empty() {
                wrong("an argument")
            } else {
                Ok(false)
            }
        }
    }
}

fn check_pairs(keyword: Keyword, text: &str, escape: char) -> Result<bool, DockerfileErrorKind> {
    let wrong = |expected| Err(DockerfileErrorKind::Arguments { instruction: keyword.name(), expected });
    let words = words(text, escape);
    let has_equals = |word: &Span| text.get(word.clone()).is_some_and(|word| word.contains('='));
    match words.first() {
        None => wrong("at least one argument"),
        Some(first) if !has_equals(first) => {
            if text.bytes().any(is_separator) {
                Ok(false)
            } else {
                wrong("a name and a value")
            }
        }
        Some(_) if !words.iter().all(has_equals) => wrong("`name=value` in every word"),
        Some(_) if words.iter().any(|word| is_blank_key(text, word)) => wrong("a name before the `=`"),
        Some(_) => Ok(false),
    }
}

fn is_blank_key(text: &str, word: &Span) -> bool {
    text.get(word.clone()).is_some_and(|word| word.starts_with('='))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FlagKind {
    Switch,
    Text,
    List,
}

const KEYWORDS: [(&str, Keyword); 18] = [
    ("RUN", Keyword::Run),
    ("COPY", Keyword::Copy),
    ("ENV", Keyword::Env),
    ("FROM", Keyword::From),
    ("ARG", Keyword::Arg),
    ("LABEL", Keyword::Label),
    ("WORKDIR", Keyword::Workdir),
    ("CMD", Keyword::Cmd),
    ("ENTRYPOINT", Keyword::Entrypoint),
    ("EXPOSE", Keyword::Expose),
    ("USER", Keyword::User),
    ("ADD", Keyword::Add),
    ("VOLUME", Keyword::Volume),
    ("SHELL", Keyword::Shell),
    ("HEALTHCHECK", Keyword::Healthcheck),
    ("ONBUILD", Keyword::Onbuild),
    ("STOPSIGNAL", Keyword::StopSignal),
    ("MAINTAINER", Keyword::Maintainer),
];
