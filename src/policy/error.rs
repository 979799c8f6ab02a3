//! What can be wrong with a policy: always with its file, and its line and key where there is one.

use std::fmt;

/// A policy that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {kind}")]
pub struct PolicyError {
    /// Where.
    pub place: Box<Place>,
    /// What is wrong.
    pub kind: Box<PolicyErrorKind>,
}

impl PolicyError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match self.kind.as_ref() {
            PolicyErrorKind::Unreadable { .. } => "check the path and its permissions".to_owned(),
            PolicyErrorKind::TooLong { .. } | PolicyErrorKind::TooManyRules { .. } => {
                "use patterns such as `registry.example/team/**` instead of one rule for each repository"
                    .to_owned()
            }
            PolicyErrorKind::Version { .. } => format!("write `version = {}`", super::document::VERSION),
            PolicyErrorKind::Ambiguous { .. } => {
                "add a rule for the repository itself, or make one of the patterns more specific".to_owned()
            }
            PolicyErrorKind::Duplicate { .. } => "join the two rules".to_owned(),
            PolicyErrorKind::Invalid { .. } | PolicyErrorKind::Toml { .. } => {
                "docs/policy.md lists every key and its values".to_owned()
            }
            PolicyErrorKind::TooManyLayers { .. } => "join some of the policies".to_owned(),
        }
    }

    pub(super) fn new(place: Place, kind: PolicyErrorKind) -> Self {
        Self { place: Box::new(place), kind: Box::new(kind) }
    }
}

/// A place in a policy file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file's name, as the caller gave it.
    pub file: String,
    /// The line, from 1; 0 where the whole file is meant.
    pub line: usize,
    /// The key, with its table: `repository.root-keys`; empty where none is meant.
    pub key: String,
}

impl Place {
    /// The whole file.
    #[must_use]
    pub fn file(file: &str) -> Self {
        Self { file: file.to_owned(), line: 0, key: String::new() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.key.is_empty() {
            write!(f, ": `{}`", self.key)?;
        }
        Ok(())
    }
}

/// What is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyErrorKind {
    /// Two rules match a repository, and neither is more specific.
    #[error("`{first}` (line {first_line}) and `{second}` both match `{gun}`, and neither is more specific")]
    Ambiguous {
        /// The repository.
        gun: String,
        /// One pattern.
        first: String,
        /// The line of its rule.
        first_line: usize,
        /// The other pattern, at the error's own place.
        second: String,
    },
    /// Two rules have the same pattern.
    #[error("the pattern `{pattern}` already has a rule on line {line}")]
    Duplicate {
        /// The pattern.
        pattern: String,
        /// The line of the first rule.
        line: usize,
    },
    /// A value is not what its key wants.
    #[error("{reason}")]
    Invalid {
        /// What is wrong.
        reason: String,
    },
    /// The text is no TOML, or has keys, types or values that a policy doesn't have.
    #[error("{message}")]
    Toml {
        /// What is wrong.
        message: String,
    },
    /// The file is larger than any policy.
    #[error("the policy is longer than {limit} bytes")]
    TooLong {
        /// The limit that was passed.
        limit: usize,
    },
    /// There are more layers than anybody can oversee.
    #[error("there are more than {limit} policies")]
    TooManyLayers {
        /// The limit that was passed.
        limit: usize,
    },
    /// There are more rules than a policy may have.
    #[error("the policy has more than {limit} rules")]
    TooManyRules {
        /// The limit that was passed.
        limit: usize,
    },
    /// The file, or one that it names, cannot be read.
    #[error("`{path}` can't be read: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The version is not one that this program knows.
    #[error("version {found} of the policy format is not known")]
    Version {
        /// The version that is written.
        found: i64,
    },
}
