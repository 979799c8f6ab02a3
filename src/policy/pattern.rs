//! Patterns for repository names, and which of two is more specific.
//!
//! A pattern is a full repository name, compared part by part between slashes. In a part,
//! `*` stands for any characters; `**` as the last part stands for one or more parts.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::image::Gun;

/// A pattern for repository names: `docker.io/acme/*`, `*.acme.example/**`, `**`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: String,
    parts: Vec<Part>,
}

impl Pattern {
    /// Whether it matches this repository.
    #[must_use]
    pub fn matches(&self, gun: &Gun) -> bool {
        let mut names = gun.as_str().split('/');
        for part in &self.parts {
            let Some(name) = names.next() else { return false };
            match part {
                Part::Rest => return true,
                Part::Literal(literal) if literal != name => return false,
                Part::Glob { text, .. } if !glob_matches(text.as_bytes(), name.as_bytes()) => return false,
                Part::Literal(_) | Part::Glob { .. } => {}
            }
        }
        names.next().is_none()
    }

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it names one repository, without any wildcard.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Literal(_)))
    }

    /// Compares what two patterns that match the same name say about it: the greater is more specific.
    ///
    /// Part by part from the left, the first difference decides: a literal part is more
    /// specific than one with `*`, of two with `*` the one with more other characters,
    /// and any part more than `**`. Equal does not mean that the patterns are the same.
    #[must_use]
    pub fn compare_specificity(&self, other: &Self) -> Ordering {
        let weights = |pattern: &Self| pattern.parts.iter().map(Part::weight).collect::<Vec<_>>();
        weights(self).cmp(&weights(other))
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() || text.len() > PATTERN_LIMIT {
            return Err(PatternError::Length { limit: PATTERN_LIMIT });
        }
        let names: Vec<&str> = text.split('/').collect();
        let last = names.len() - 1;
        let mut parts = Vec::with_capacity(names.len());
        for (index, name) in names.iter().enumerate() {
            parts.push(match *name {
                "**" if index == last => Part::Rest,
                "**" => return Err(PatternError::RestNotLast),
                name => Part::parse(name, index == 0)?,
            });
        }
        let [first, rest @ ..] = names.as_slice() else { return Err(PatternError::Part) };
        let is_host = first.contains(['.', ':', '*'])
            || *first == "localhost"
            || first.bytes().any(|b| b.is_ascii_uppercase());
        if !is_host {
            let suggestion = match rest {
                [] => format!("docker.io/library/{text}"),
                _ => format!("docker.io/{text}"),
            };
            return Err(PatternError::NoHost { suggestion });
        }
        if *first == "index.docker.io" {
            return Err(PatternError::NoHost { suggestion: format!("docker.io/{}", rest.join("/")) });
        }
        if rest.is_empty() && parts.first() != Some(&Part::Rest) {
            return Err(PatternError::OnlyHost { suggestion: format!("{first}/**") });
        }
        if let (true, [path]) = (*first == "docker.io", rest)
            && !path.contains('*')
        {
            return Err(PatternError::NoHost { suggestion: format!("docker.io/library/{path}") });
        }
        Ok(Self { text: text.to_owned(), parts })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Empty, or longer than any repository name.
    #[error("a pattern has between 1 and {limit} characters")]
    Length {
        /// The limit that was passed.
        limit: usize,
    },
    /// A part is empty, `.` or `..`, or has a character that repository names don't have.
    #[error("a part of the pattern can't be in a repository name")]
    Part,
    /// `**` stands somewhere else than at the end.
    #[error("`**` can only be the last part")]
    RestNotLast,
    /// The registry is missing, which docker would add.
    #[error("a pattern starts with the registry's host; did you mean `{suggestion}`?")]
    NoHost {
        /// The pattern with docker's default host.
        suggestion: String,
    },
    /// There is a registry and nothing else.
    #[error("a pattern has a repository after the registry's host; did you mean `{suggestion}`?")]
    OnlyHost {
        /// The pattern for the whole registry.
        suggestion: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    Literal(String),
    Glob { text: String, literal_characters: usize },
    Rest,
}

impl Part {
    fn parse(name: &str, is_host: bool) -> Result<Self, PatternError> {
        let allowed = |b: u8| {
            b.is_ascii_lowercase()
                || b.is_ascii_digit()
                || matches!(b, b'.' | b'-' | b'_' | b'*')
                || b.is_ascii_uppercase()
                || is_host && matches!(b, b':' | b'[' | b']')
        };
        if matches!(name, "" | "." | "..") || name.contains("**") || !name.bytes().all(allowed) {
            return Err(PatternError::Part);
        }
        if !name.contains('*') {
            return Ok(Self::Literal(name.to_owned()));
        }
        let literal_characters = name.bytes().filter(|b| *b != b'*').count();
        Ok(Self::Glob { text: name.to_owned(), literal_characters })
    }

    fn weight(&self) -> usize {
        match self {
            Self::Literal(_) => usize::MAX,
            Self::Glob { literal_characters, .. } => literal_characters + 1,
            Self::Rest => 0,
        }
    }
}

/// Matches with one remembered `*`: at most pattern × name steps, whatever is written.
fn glob_matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut position) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(at), name.get(position)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                star = Some((at, position));
                at += 1;
            }
            (Some(expected), Some(found)) if expected == found => {
                at += 1;
                position += 1;
            }
            (_, None) if star.is_none_or(|(_, tried)| tried >= name.len()) => return false,
            _ => {
                let Some((star_at, tried)) = star else { return false };
                if tried >= name.len() {
                    return false;
                }
                star = Some((star_at, tried + 1));
                at = star_at + 1;
                position = tried + 1;
            }
        }
    }
}

/// No repository name is longer, so no longer pattern can be meant.
const PATTERN_LIMIT: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn matches(text: &str, gun: &str) -> bool {
        pattern(text).matches(&gun.parse().unwrap())
    }

    #[test]
    fn stars_stay_in_their_part() {
        for (text, yes, no) in [
            ("docker.io/acme/*", "docker.io/acme/base", "docker.io/acme/base/x"),
            ("docker.io/acme/*", "docker.io/acme/b", "docker.io/acme"),
            ("docker.io/*/base", "docker.io/acme/base", "docker.io/acme/tools"),
            ("docker.io/acme/**", "docker.io/acme/a/b/c", "docker.io/acme"),
            ("**", "docker.io/library/alpine", "docker.io/library/alpine\u{0}"),
            ("*.acme.example/**", "registry.acme.example/a", "acme.example/a"),
            ("*.acme.example/**", "a.b.acme.example/a/b", "a.acme.example.evil/a"),
            ("*.acme.example/**", "a.acme.example/a", "evil/a.acme.example/a"),
            ("*/library/alpine", "docker.io/library/alpine", "a/b/library/alpine"),
            ("docker.io/acme/a*b*c", "docker.io/acme/aXbYbZc", "docker.io/acme/aXbYbZ"),
            ("docker.io/acme/base", "docker.io/acme/base", "docker.io/acme/Base"),
            ("localhost:5000/a", "localhost:5000/a", "localhost:5001/a"),
            ("[::1]:5000/a", "[::1]:5000/a", "[::2]:5000/a"),
            ("docker.io/acme/base-*", "docker.io/acme/base-", "docker.io/acme/base"),
        ] {
            assert!(matches(text, yes), "{text} does not match {yes}");
            let Ok(no) = no.parse() else { continue };
            assert!(!pattern(text).matches(&no), "{text} matches {no}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in [
            "",
            "/",
            "a.b/",
            "a.b//c",
            "a.b/../c",
            "a.b/c d",
            "a.b/**/c",
            "a.b/c**",
            "a.b",
            "*",
            "docker.io/**/x",
            "a.b/é",
            "a.b/x:1",
            "a.b/x@sha256:0",
            "http://a.b/c",
            "a.b/[x]",
            "a.b/?",
        ] {
            assert!(text.parse::<Pattern>().is_err(), "{text:?} was accepted");
        }
        assert!(format!("a.b/{}", "x".repeat(252)).parse::<Pattern>().is_err());
    }

    #[test]
    fn familiar_names_get_a_suggestion() {
        for (text, suggestion) in [
            ("alpine", "docker.io/library/alpine"),
            ("acme/base", "docker.io/acme/base"),
            ("acme/*", "docker.io/acme/*"),
            ("docker.io/alpine", "docker.io/library/alpine"),
            ("index.docker.io/acme/base", "docker.io/acme/base"),
        ] {
            let error = text.parse::<Pattern>().unwrap_err();
            assert_eq!(error, PatternError::NoHost { suggestion: suggestion.to_owned() }, "{text}");
            assert!(suggestion.parse::<Pattern>().is_ok());
        }
    }

    #[test]
    fn the_first_difference_from_the_left_decides() {
        let descending = [
            "docker.io/acme/base",
            "docker.io/acme/base-*",
            "docker.io/acme/b*",
            "docker.io/acme/*",
            "docker.io/acme/**",
            "docker.io/*/base",
            "docker.io/*/*",
            "docker.io/**",
            "*.io/acme/base",
            "*/acme/base",
            "**",
        ];
        for pair in descending.windows(2) {
            let [more, less] = pair else { unreachable!("windows of two") };
            assert_eq!(
                pattern(more).compare_specificity(&pattern(less)),
                Ordering::Greater,
                "{more} against {less}"
            );
        }
        assert_eq!(
            pattern("docker.io/acme/a*").compare_specificity(&pattern("docker.io/acme/*a")),
            Ordering::Equal
        );
    }

    #[test]
    fn pathological_patterns_take_bounded_time() {
        let text = format!("a.b/{}b", "*a".repeat(125));
        let gun = format!("a.b/{}", "a".repeat(251)).parse().unwrap();
        let pattern = pattern(&text);
        // exponential matching would not end before the machine does
        assert!(!pattern.matches(&gun));
    }

    proptest::proptest! {
        #[test]
        fn globs_match_as_a_plain_recursion_does(text in "[ab*]{0,8}", name in "[ab]{0,8}") {
            fn plain(pattern: &[u8], name: &[u8]) -> bool {
                match (pattern.split_first(), name.split_first()) {
                    (None, None) => true,
                    (Some((b'*', rest)), _) => {
                        (0..=name.len()).any(|skipped| plain(rest, &name[skipped..]))
                    }
                    (Some((a, rest)), Some((b, names))) => a == b && plain(rest, names),
                    (None, Some(_)) | (Some(_), None) => false,
                }
            }
            proptest::prop_assert_eq!(
                glob_matches(text.as_bytes(), name.as_bytes()),
                plain(text.as_bytes(), name.as_bytes())
            );
        }
    }
}
