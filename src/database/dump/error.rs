//! Why a dump cannot be read.

use std::path::PathBuf;

use crate::database::DatabaseError;

/// One reason.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DumpError {
    /// It is no path, and no address that can be read from.
    #[error("databases are read from addresses that start with `postgres://`, or from the text of a dump")]
    Address,
    /// It is something else than was meant.
    #[error("`{path}` is no dump that can be read here: {reason}", path = path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is.
        reason: String,
        /// What to do about it.
        help: Option<&'static str>,
    },
    /// A line is not what a dump has there.
    #[error("`{path}`, line {line}: {reason}", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// The file cannot be read.
    #[error("`{path}` cannot be read: {reason}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// There is no place for the copy.
    #[error("the rows of `{path}` cannot be kept: {error}", path = path.display())]
    Staging {
        /// The file.
        path: PathBuf,
        /// Why.
        error: DatabaseError,
    },
}

impl DumpError {
    /// What to do about it, where there is one thing.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Address => Some("MySQL is read from what `mysqldump --hex-blob` writes"),
            Self::Foreign { help, .. } => *help,
            Self::Staging { .. } => Some("`TMPDIR` names a folder with more room"),
            Self::Line { .. } | Self::Read { .. } => None,
        }
    }
}

/// The same while it is read, when only the place in it is known.
#[derive(Debug)]
pub(super) enum Fault {
    /// What is wrong with it, whatever the line.
    Foreign(String, Option<&'static str>),
    /// A line and what is wrong with it.
    Line(u64, String),
    /// What the system said.
    Read(String),
    /// Whoever takes the rows wants no more.
    Stopped,
}
