//! Why a document cannot be written.

use crate::tuf::{KeyId, RoleName};

/// One reason why a document cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorError {
    /// A key did not sign.
    #[error("key {key_id} did not sign: {source}")]
    Signer {
        /// The key.
        key_id: KeyId,
        /// What it said.
        source: super::SignerError,
    },
    /// Too few keys signed.
    #[error("`{role}` has {valid} of {needed} signatures that it needs")]
    Threshold {
        /// The role.
        role: RoleName,
        /// Distinct keys that signed.
        valid: usize,
        /// How many must.
        needed: u64,
    },
}
