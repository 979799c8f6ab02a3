//! Why a document cannot be written.

use crate::tuf::{KeyId, RoleName, TufError};

/// One reason why a document cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorError {
    /// The role has a delegation of this name already.
    #[error("`{role}` is delegated to already")]
    DelegationExists {
        /// The delegation.
        role: RoleName,
    },
    /// Two copies of a document are not copies of the same one.
    #[error("these are signatures of another `{role}` document")]
    Different {
        /// The role.
        role: RoleName,
    },
    /// What others wrote cannot be gone on from.
    #[error(transparent)]
    Document(#[from] TufError),
    /// A key cannot be what it is meant for.
    #[error("key {key_id} cannot be a `{role}` key: {reason}")]
    Key {
        /// The key.
        key_id: KeyId,
        /// The role.
        role: RoleName,
        /// Why.
        reason: String,
    },
    /// A role would have fewer keys than must sign.
    #[error("`{role}` would have {keys} keys, of which {threshold} must sign")]
    KeysBelowThreshold {
        /// The role.
        role: RoleName,
        /// How many keys it would have.
        keys: usize,
        /// How many must sign.
        threshold: u64,
    },
    /// A file that is passed round for signatures is not one, or was damaged.
    #[error("the partly signed document is malformed: {reason}")]
    Partial {
        /// What is wrong.
        reason: String,
    },
    /// A role that such a document does not have.
    #[error("`{role}` is not a role that this document has keys for")]
    Role {
        /// The role.
        role: RoleName,
    },
    /// A key did not sign.
    #[error("key {key_id} did not sign: {source}")]
    Signer {
        /// The key.
        key_id: KeyId,
        /// What it said.
        source: super::SignerError,
    },
    /// A target cannot be listed.
    #[error("target {name:?} cannot be signed: {reason}")]
    Target {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// Too few keys signed.
    #[error("`{role}` has {valid} of the {needed} signatures that it needs")]
    Threshold {
        /// The role.
        role: RoleName,
        /// Distinct keys that signed.
        valid: usize,
        /// How many must.
        needed: u64,
    },
    /// There is no version after this one.
    #[error("`{role}` has no version after its current one")]
    Version {
        /// The role.
        role: RoleName,
    },
}
