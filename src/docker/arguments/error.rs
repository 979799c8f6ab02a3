//! Why a docker command line could not be read.

/// One reason why a docker command line could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgumentError {
    /// A flag that is in no table: it can't be known whether the next word is its value.
    #[error("`docker {verb}` has no flag `{flag}` that is known here")]
    UnknownFlag {
        /// The verb.
        verb: String,
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
    #[error("`{value}` is not a value of the flag `{flag}`: {reason}")]
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
        verb: String,
        /// What it wants.
        reason: String,
    },
    /// More words than any command line has that was meant.
    #[error("the command line has more than {limit} words")]
    TooMany {
        /// The limit.
        limit: usize,
    },
}
