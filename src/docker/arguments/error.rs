//! Why a docker command line could not be read.

/// One reason why a docker command line could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgumentError {
    /// A flag that is in no table: it can't be known whether the next word is its value.
    #[error("`docker {verb}` has no flag `{flag}` that is known here")]
    UnknownFlag {
        /// The verb.
        verb: &'static str,
        /// The flag as written.
        flag: String,
    },
    /// The last word is a flag that wants a value.
    #[error("the flag `{flag}` needs a value")]
    MissingValue {
        /// The flag as written.
        flag: String,
    },
    /// A value that the flag does not take.
    #[error("`{value}` is not a value of `{flag}`: {reason}")]
    Value {
        /// The flag.
        flag: String,
        /// What was written.
        value: String,
        /// What it takes.
        reason: String,
    },
    /// `---flag`, `--=value`.
    #[error("`{argument}` is no flag")]
    Syntax {
        /// The word.
        argument: String,
    },
    /// No image, no build context, or too many.
    #[error("`docker {verb}` {reason}")]
    Operands {
        /// The verb.
        verb: &'static str,
        /// What it wants.
        reason: &'static str,
    },
    /// More words than any command line has that was meant.
    #[error("the command line has more than {limit} words")]
    TooMany {
        /// The limit.
        limit: usize,
    },
}

impl ArgumentError {
    /// What can be done about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::UnknownFlag { verb: "run" | "create", flag } if flag.starts_with("--") => Some(format!(
                "write its value behind an equals sign, `{flag}=VALUE` (a switch: `{flag}=true`)"
            )),
            Self::UnknownFlag { verb: verb @ ("run" | "create"), .. } => {
                Some(format!("write the flag's long form; see docker {verb} --help"))
            }
            Self::UnknownFlag { verb, .. } => Some(format!("leave it out; see docker {verb} --help")),
            Self::Operands { verb, .. } => Some(format!("see docker {verb} --help")),
            Self::MissingValue { .. } | Self::Value { .. } | Self::Syntax { .. } | Self::TooMany { .. } => {
                None
            }
        }
    }
}
