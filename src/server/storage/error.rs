//! Why files are not stored or not found, by who can do something about it.

use crate::database::DatabaseError;
use crate::tuf::{RoleName, Version};

/// One reason why a storage did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// Others hold the locks for longer than is waited.
    #[error("the storage is busy: {reason}")]
    Busy {
        /// What the database said.
        reason: String,
    },
    /// The address or path of the database cannot be used.
    #[error("the storage cannot be opened: {reason}")]
    Configuration {
        /// Why.
        reason: String,
    },
    /// What is stored is not what was stored, or not what this program stores.
    #[error("the storage holds what it should not: {reason}")]
    Corrupt {
        /// What is wrong.
        reason: String,
    },
    /// There is no room left.
    #[error("the storage is full: {reason}")]
    Full {
        /// What the database said.
        reason: String,
    },
    /// The repository is not in the state that the change was made for: somebody was faster.
    #[error("the repository changed in between")]
    Moved,
    /// The tables were made by a later program that earlier ones cannot share them with.
    #[error(
        "the storage has schema version {found}, which needs a program that knows version {needed}; this one knows {known}"
    )]
    Schema {
        /// The version of the tables.
        found: i64,
        /// The least version that a program must know to use them.
        needed: i64,
        /// The version that this program knows.
        known: i64,
    },
    /// The database cannot be reached, or broke off.
    #[error("the storage cannot be reached: {reason}")]
    Unavailable {
        /// What went wrong.
        reason: String,
    },
    /// A change is not one: it has no timestamp, or two files for a role.
    #[error("the change cannot be stored: {reason}")]
    Unfit {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The role has this version or a later one already.
    #[error("`{role}` has version {stored} already")]
    Version {
        /// The role.
        role: RoleName,
        /// The version that is stored.
        stored: Version,
    },
}

impl From<DatabaseError> for StorageError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Busy { reason } => Self::Busy { reason },
            DatabaseError::Configuration { reason } => Self::Configuration { reason },
            DatabaseError::Corrupt { reason } => Self::Corrupt { reason },
            // Whoever was first with a version; the lock makes it unlikely, not impossible.
            DatabaseError::Duplicate { .. } => Self::Moved,
            DatabaseError::Full { reason } => Self::Full { reason },
            DatabaseError::Schema { found, needed, known } => Self::Schema { found, needed, known },
            DatabaseError::Unavailable { reason } => Self::Unavailable { reason },
        }
    }
}
