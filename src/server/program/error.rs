//! Why a server does not start, or ends.

use std::path::{Path, PathBuf};

use crate::daemon::SignalError;
use crate::server::access::AccessError;
use crate::server::certificate::CertificateError;
use crate::server::listener::Defect;
use crate::server::settings::SettingsError;
use crate::server::storage::StorageError;
use crate::server::transfer::TransferError;
use crate::signer::settings::SealingError;
use crate::signer::{KeyServiceError, RowsError, TlsError};

/// One reason why a server does not start, or ends.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// Nobody can be let in.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The server's own certificate cannot be made.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The address of the database cannot be had.
    #[error("the address of the database cannot be had: {0}")]
    Database(String),
    /// A part of the server is lost.
    #[error(transparent)]
    Defect(#[from] Defect),
    /// The key that sealed what is stored is gone.
    #[error("the keys in the storage are sealed with the key-encryption key in `{}`, which is not there", path.display())]
    KeyLost {
        /// Where it was.
        path: PathBuf,
    },
    /// Another process keeps the keys.
    #[error("another process signs for this server, and keeps the keys")]
    KeysElsewhere,
    /// The signer cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyServiceError),
    /// An address cannot be listened at.
    #[error("`{address}` cannot be listened at: {reason}")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// Something that the settings name does not work.
    #[error("{part} does not work: {reason}")]
    Part {
        /// What.
        part: &'static str,
        /// Why.
        reason: String,
    },
    /// The passphrase of a move cannot be used.
    #[error("the passphrase cannot be used: {reason}")]
    Passphrase {
        /// Why.
        reason: String,
    },
    /// Sealed keys cannot be read.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// Keys cannot be sealed.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// The settings are unusable.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The system lets no signals through.
    #[error(transparent)]
    Signal(#[from] SignalError),
    /// Something in the state folder cannot be used.
    #[error("`{}` cannot be used: {reason}", path.display())]
    State {
        /// What.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Nobody says where the state folder is.
    #[error("there is no folder to keep anything in")]
    StateUnknown,
    /// Nothing can be stored.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// TLS cannot start.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Nothing was exported or imported.
    #[error(transparent)]
    Transfer(#[from] TransferError),
}

impl ProgramError {
    pub(super) fn state(path: &Path, reason: &dyn ToString) -> Self {
        Self::State { path: path.to_owned(), reason: reason.to_string() }
    }

    /// What to do about it, where there is one thing.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Sealing(SealingError::Secret(error)) => Some(error.help()),
            Self::KeyLost { .. } => Some("put it back from a backup; without it the keys are lost"),
            Self::KeysElsewhere => {
                Some("leave `--keys` out, and back up the signer's database: its keys are sealed")
            }
            Self::Passphrase { .. } => Some("a file of mode 600 with 8 characters or more"),
            Self::Transfer(error) => error.help(),
            Self::Defect(_) => Some("start it again, and report the line that begins with `defect:`"),
            Self::StateUnknown => Some("set TRUSTGATE_SERVER_STATE"),
            _ => None,
        }
    }
}
