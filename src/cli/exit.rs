//! What a command ends with: the exit codes of the program, and failures that carry one.
//!
//! Everything that can end a command early is a [`Failure`]; nothing here prints.

use std::fmt;
use std::process::ExitCode;

use crate::gate::{self, Report};

/// How a command ended, as the shell sees it.
///
/// The order is the order of precedence: where one command meets several outcomes,
/// the first of `Usage`, `Refused`, `Unknown`, `Done` wins. A refusal outranks an
/// unanswered question, because it is the one that time will not heal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: what was asked for is done, every check held.
    Done,
    /// 1: something was refused, or a check did not hold.
    Refused,
    /// 2: the command line or the configuration is wrong.
    Usage,
    /// 3: the answer could not be found out, or could not be written down.
    Unknown,
    /// What docker's command ended with, which was run in our place.
    OfDocker(u8),
}

impl Exit {
    /// What a report of the gate comes to.
    #[must_use]
    pub(super) fn of(report: &Report) -> Self {
        report.refusals().fold(Self::Done, |exit, refusal| exit.and(refusal.exit.into()))
    }

    /// The number that the shell gets.
    #[must_use]
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Refused => 1,
            Self::Usage => 2,
            Self::Unknown => 3,
            Self::OfDocker(code) => code,
        }
    }

    /// The same where the exit code is a container's own: what keeps it from starting is docker's 125.
    #[must_use]
    pub(super) fn before_container(self) -> Self {
        match self {
            Self::Done | Self::OfDocker(_) => self,
            Self::Refused | Self::Usage | Self::Unknown => Self::OfDocker(NOT_STARTED),
        }
    }

    /// The outcome of two parts of one command.
    #[must_use]
    pub(super) fn and(self, other: Self) -> Self {
        if self.rank() >= other.rank() { self } else { other }
    }

    fn rank(self) -> u8 {
        match self {
            Self::Done | Self::OfDocker(0) => 0,
            Self::Unknown | Self::OfDocker(_) => 1,
            Self::Refused => 2,
            Self::Usage => 3,
        }
    }
}

impl From<gate::Exit> for Exit {
    fn from(exit: gate::Exit) -> Self {
        match exit {
            gate::Exit::Refused => Self::Refused,
            gate::Exit::Unknown => Self::Unknown,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// A command that stops before it has a result: what is wrong, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    exit: Exit,
    message: String,
    notes: Vec<String>,
    help: Vec<String>,
}

impl Failure {
    /// The command line or the configuration is wrong.
    #[must_use]
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// A check did not hold.
    #[must_use]
    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self::new(Exit::Refused, message)
    }

    /// The answer could not be found out.
    #[must_use]
    pub(super) fn unknown(message: impl Into<String>) -> Self {
        Self::new(Exit::Unknown, message)
    }

    fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), notes: Vec::new(), help: Vec::new() }
    }

    /// The same failure, of a command whose exit code is otherwise a container's.
    #[must_use]
    pub(super) fn before_container(mut self) -> Self {
        self.exit = self.exit.before_container();
        self
    }

    /// The same failure, with one more fact below it.
    #[must_use]
    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The same failure, with the next step to take.
    #[must_use]
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// What the shell gets.
    #[must_use]
    pub(super) fn exit(&self) -> Exit {
        self.exit
    }

    /// What is wrong, in one line.
    #[must_use]
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// Facts that explain it.
    #[must_use]
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What to do next.
    #[must_use]
    pub(super) fn help_lines(&self) -> &[String] {
        &self.help
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// In a JSON document: what is wrong, in one line.
impl serde::Serialize for Failure {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&crate::text::visible(&self.message))
    }
}

impl std::error::Error for Failure {}

/// What `docker run` ends with where docker, not the container, failed.
const NOT_STARTED: u8 = 125;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_outranks_an_unanswered_question() {
        assert_eq!(Exit::Unknown.and(Exit::Refused), Exit::Refused);
        assert_eq!(Exit::Refused.and(Exit::Unknown), Exit::Refused);
        assert_eq!(Exit::Done.and(Exit::Unknown), Exit::Unknown);
        assert_eq!(Exit::Usage.and(Exit::Refused), Exit::Usage);
        assert_eq!([Exit::Done, Exit::Refused, Exit::Usage, Exit::Unknown].map(Exit::code), [0, 1, 2, 3]);
    }
}
