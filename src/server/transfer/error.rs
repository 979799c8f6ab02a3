//! Why repositories are not moved.

use std::io;
use std::path::{Path, PathBuf};

use crate::database::DatabaseError;
use crate::database::dump::DumpError;
use crate::server::storage::StorageError;
use crate::signer::KeyServiceError;
use crate::signer::takeover::TakeoverError;

/// One reason why an export or an import came to nothing, or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The archive is not as it was written.
    #[error("`{path}` cannot be imported: {reason} (record {record})", path = path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// How many records were read.
        record: u64,
        /// What is wrong.
        reason: String,
    },
    /// A repository does not verify, and none may be left out.
    #[error("`{gun}` cannot be imported: {reason}")]
    Damaged {
        /// The repository, as it is named there.
        gun: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The dump cannot be read.
    #[error(transparent)]
    Dump(#[from] DumpError),
    /// There is something where the archive is to be.
    #[error("`{path}` is there already", path = path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Another server's database cannot be read.
    #[error("the other server's files cannot be read: {0}")]
    Foreign(DatabaseError),
    /// A key cannot be sealed for the way.
    #[error("key {key} cannot be exported: {reason}")]
    Key {
        /// Its ID.
        key: String,
        /// Why.
        reason: String,
    },
    /// The file is no archive.
    #[error("`{path}` is no export of trustgate-server{}", if *later { " that this version can read" } else { "" }, path = path.display())]
    NoArchive {
        /// The file.
        path: PathBuf,
        /// Whether it is one in a form that came later.
        later: bool,
    },
    /// There are no such repositories.
    #[error("there is no repository `{prefix}`, and none below it")]
    Nothing {
        /// What was asked for.
        prefix: String,
    },
    /// A file cannot be read.
    #[error("`{path}` cannot be read: {reason}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The server's own storage.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Another signer's keys cannot be read.
    #[error(transparent)]
    Takeover(#[from] TakeoverError),
    /// The vault does not take a key.
    #[error("keys cannot be stored: {0}")]
    Vault(#[from] KeyServiceError),
    /// The archive cannot be written.
    #[error("`{path}` cannot be written: {reason}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
        /// Whether there was no room.
        full: bool,
    },
}

impl TransferError {
    /// What to do about it, where there is one thing.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Archive { .. } => Some("nothing was imported; export it anew, or take another copy"),
            Self::Damaged { .. } => Some("without `--strict` it is left out, and the others are imported"),
            Self::Dump(error) => error.help(),
            Self::Exists { .. } => Some("name another file, or remove it first"),
            Self::NoArchive { later: true, .. } => {
                Some("import it with the version that exported it, or a later one")
            }
            Self::NoArchive { later: false, .. } => {
                Some("a dump of notary-server's database is imported with `--notary-server FILE`")
            }
            Self::Takeover(error) => error.help(),
            Self::Write { full: true, .. } => {
                Some("nothing was left behind; name a file where there is more room")
            }
            Self::Foreign(_)
            | Self::Key { .. }
            | Self::Nothing { .. }
            | Self::Read { .. }
            | Self::Storage(_)
            | Self::Vault(_)
            | Self::Write { .. } => None,
        }
    }

    pub(super) fn read(path: &Path, error: &io::Error) -> Self {
        Self::Read { path: path.to_owned(), reason: error.to_string() }
    }

    pub(super) fn write(path: &Path, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::AlreadyExists {
            return Self::Exists { path: path.to_owned() };
        }
        let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        Self::Write { path: path.to_owned(), reason: error.to_string(), full }
    }
}

/// What is wrong with a repository that is offered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(super) struct Damage {
    pub(super) reason: String,
}

impl Damage {
    pub(super) fn new(reason: &impl ToString) -> Self {
        Self { reason: reason.to_string() }
    }
}
