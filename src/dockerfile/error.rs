//! What can be wrong with a Dockerfile, and what to do about it.

use super::Span;

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
    /// What to do about it, where that can be said.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        None
    }
}

/// The ways in which a Dockerfile can be wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DockerfileErrorKind {
    /// No bytes at all.
    #[error("the Dockerfile is empty")]
    Empty,
}
