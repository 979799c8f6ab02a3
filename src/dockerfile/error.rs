//! What can be wrong with a Dockerfile, and what to do about it.

use super::Span;
use super::word::WordError;

/// Why a Dockerfile, or an edit of it, is refused; with the place where that is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct DockerfileError {
    /// Where in the file; `None` where the whole file is meant.
    pub span: Option<Span>,
    /// What is wrong.
    pub kind: DockerfileErrorKind,
}

impl DockerfileError {
    pub(super) fn at(span: &Span, kind: impl Into<DockerfileErrorKind>) -> Self {
        Self { span: Some(span.clone()), kind: kind.into() }
    }

    /// What to do about it, where that can be said.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        use DockerfileErrorKind as Kind;
        Some(match &self.kind {
            Kind::NotUtf8 | Kind::Utf16 => "save the file as UTF-8",
            Kind::LineTooLong { .. } => {
                "break the line with an escape character at its end, or use a heredoc"
            }
            Kind::EscapeDirective { .. } => "write # escape=\\ or # escape=`",
            Kind::DuplicateDirective { .. } => "keep one of them",
            Kind::UnterminatedHeredoc { .. } => {
                "the end line has the word alone, without blanks before or behind it"
            }
            Kind::NoStages => "add a FROM line",
            Kind::FromArguments => "write FROM image, or FROM image AS name",
            Kind::StageName { .. } => {
                "a stage name begins with a letter and has letters, digits, `-`, `_` and `.`"
            }
            Kind::NoVariables { .. } | Kind::StageAsImage { .. } => {
                "give the image a stage of its own (FROM image AS name) and name that stage"
            }
            Kind::StageOrder { .. } => "move that stage before this instruction",
            Kind::TriggerReadTwice => "write the trigger without quotes and escape characters in its flags",
            Kind::FlagQuote { .. } => "put the quotes around the value only, or leave them away",
            Kind::Word(WordError::Required { .. }) => "pass it with --build-arg, or give the ARG a default",
            _ => return None,
        })
    }
}

/// The ways in which a Dockerfile can be wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DockerfileErrorKind {
    /// No bytes at all.
    #[error("the Dockerfile is empty")]
    Empty,
    /// More bytes than are read.
    #[error("the Dockerfile is larger than {limit} bytes")]
    TooLarge {
        /// What may be read.
        limit: usize,
    },
    /// Bytes that are not UTF-8.
    #[error("the Dockerfile is not UTF-8 text")]
    NotUtf8,
    /// A byte-order mark of UTF-16.
    #[error("the Dockerfile is UTF-16 text, and BuildKit reads UTF-8")]
    Utf16,
    /// A NUL.
    #[error("the Dockerfile has a NUL byte")]
    Nul,
    /// A line longer than `BuildKit` takes.
    #[error("the line is longer than {limit} bytes")]
    LineTooLong {
        /// What a line may have.
        limit: usize,
    },
    /// Only comments and blank lines.
    #[error("the Dockerfile has no instructions")]
    NoInstructions,
    /// ARGs, but no FROM.
    #[error("the Dockerfile has no FROM")]
    NoStages,
    /// More stages, ARGs and names than are read.
    #[error("the Dockerfile has more than {limit} stages, ARGs and names of images")]
    TooManyNames {
        /// What may be read.
        limit: usize,
    },
    /// The same directive twice.
    #[error("the directive `{name}` stands twice")]
    DuplicateDirective {
        /// The directive.
        name: &'static str,
    },
    /// `# escape=` and neither of the two characters.
    #[error("`{value}` cannot be the escape character")]
    EscapeDirective {
        /// What is written.
        value: String,
    },
    /// A heredoc without its end line.
    #[error("the heredoc `{name}` has no end line")]
    UnterminatedHeredoc {
        /// The word that should end it.
        name: String,
    },
    /// A word that begins a line and is no instruction.
    #[error("`{name}` is no Dockerfile instruction")]
    UnknownInstruction {
        /// The word.
        name: String,
    },
    /// An instruction other than ARG before the first FROM.
    #[error("{instruction} stands before the first FROM")]
    BeforeFrom {
        /// The instruction.
        instruction: &'static str,
    },
    /// Too few or too many arguments, or the wrong form.
    #[error("{instruction} needs {expected}")]
    Arguments {
        /// The instruction.
        instruction: &'static str,
        /// What is missing.
        expected: &'static str,
    },
    /// FROM with two or more than three words.
    #[error("FROM has one word, or three with `AS` in the middle")]
    FromArguments,
    /// A stage name with other characters than `BuildKit` takes.
    #[error("`{name}` is no stage name")]
    StageName {
        /// What is written.
        name: String,
    },
    /// A flag that the instruction does not have.
    #[error("{instruction} has no flag `--{flag}`")]
    UnknownFlag {
        /// The instruction.
        instruction: &'static str,
        /// The flag.
        flag: String,
    },
    /// A flag that may stand once.
    #[error("{instruction} has the flag `--{flag}` twice")]
    DuplicateFlag {
        /// The instruction.
        instruction: &'static str,
        /// The flag.
        flag: &'static str,
    },
    /// A flag without its value, or a switch with another value than true or false.
    #[error("the flag `--{flag}` of {instruction} has no usable value")]
    FlagValue {
        /// The instruction.
        instruction: &'static str,
        /// The flag.
        flag: &'static str,
    },
    /// Bytes outside ASCII in a flag, which `BuildKit` garbles.
    #[error("the flag `{flag}` has characters outside ASCII")]
    NonAsciiFlag {
        /// The flag, up to there.
        flag: String,
    },
    /// A flag longer than is read.
    #[error("a flag is longer than {limit} bytes")]
    FlagTooLong {
        /// What may be read.
        limit: usize,
    },
    /// `--from"=image"`.
    #[error("a quote of the flag `--{flag}` opens before its `=`")]
    FlagQuote {
        /// The flag.
        flag: String,
    },
    /// `--mount` whose fields are not CSV.
    #[error("`{value}` is no list of comma-separated fields")]
    MountFields {
        /// The value.
        value: String,
    },
    /// A JSON array of other things than strings.
    #[error("the JSON array has other values than strings")]
    NotStrings,
    /// A variable, quote or escape where `BuildKit` expands none.
    #[error("{instruction} does not expand variables")]
    NoVariables {
        /// The instruction and its flag.
        instruction: &'static str,
    },
    /// `ONBUILD ONBUILD`, `ONBUILD FROM`, `ONBUILD MAINTAINER`.
    #[error("{instruction} cannot be an ONBUILD trigger")]
    Trigger {
        /// The instruction.
        instruction: &'static str,
    },
    /// A trigger of a base image that is not one instruction.
    #[error("an ONBUILD trigger is one instruction")]
    TriggerCount,
    /// A trigger that means something else when it fires, since it is read with another
    /// escape character then.
    #[error("the ONBUILD trigger names other images when it fires than where it stands")]
    TriggerReadTwice,
    /// `COPY --from=7` and there is no stage 7.
    #[error("there is no stage {index}")]
    StageIndex {
        /// The number as written.
        index: String,
    },
    /// A number that counts an image which an earlier COPY names.
    #[error("stage {index} is none of this file, but an image that an earlier instruction names")]
    StageAsImage {
        /// The number as written.
        index: String,
    },
    /// A stage that names itself or a later one.
    #[error("the stage `{name}` is not built yet where it is used")]
    StageOrder {
        /// The stage.
        name: String,
    },
    /// `--target` names no stage.
    #[error("the target stage `{target}` does not exist")]
    Target {
        /// What was asked for.
        target: String,
    },
    /// FROM whose words expand to nothing.
    #[error("`{word}` expands to nothing")]
    Blank {
        /// What is written.
        word: String,
    },
    /// `FROM x:$SOURCE_DATE_EPOCH` where the value names a stage or context.
    #[error("SOURCE_DATE_EPOCH is not a plain number, so the name of this image is not known")]
    Epoch,
    /// A word that cannot be expanded.
    #[error(transparent)]
    Word(#[from] WordError),
    /// Edits that overlap, or leave the file.
    #[error("two edits overlap, or an edit lies outside the file")]
    Edits,
    /// An index or a use that is none of this file.
    #[error("there is no image use {index}")]
    NoSuchUse {
        /// The index.
        index: usize,
    },
}
