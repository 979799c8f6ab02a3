//! What a trust server asks of whoever holds the keys of its own roles.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::image::Gun;
use crate::tuf::author::RawSignature;
use crate::tuf::{KeyId, KeyType, PublicKey, RoleName};

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>;

/// Keys that sign and never leave: in this process, or behind a wire.
pub trait KeyService: Send + Sync {
    /// A key for this role of this repository: a new one, or one that nothing was signed with yet.
    fn create<'a>(
        &'a self,
        gun: &'a Gun,
        role: &'a RoleName,
        algorithm: KeyAlgorithm,
    ) -> BoxFuture<'a, Result<PublicKey, KeyServiceError>>;

    /// What a key is.
    fn info<'a>(&'a self, key: &'a KeyId) -> BoxFuture<'a, Result<KeyInfo, KeyServiceError>>;

    /// Signs these bytes.
    fn sign<'a>(
        &'a self,
        key: &'a KeyId,
        message: &'a [u8],
    ) -> BoxFuture<'a, Result<RawSignature, KeyServiceError>>;

    /// Takes a key out of use.
    fn delete<'a>(&'a self, key: &'a KeyId) -> BoxFuture<'a, Result<(), KeyServiceError>>;

    /// Whether keys could be made and used now.
    fn health(&self) -> BoxFuture<'_, Result<(), KeyServiceError>>;
}

/// What a key is, its private half apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its public half.
    pub public: PublicKey,
    /// The role that it was made for.
    pub role: RoleName,
}

/// The algorithms that keys are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// Ed25519: small, fast, and every Notary client verifies it.
    #[default]
    Ed25519,
    /// ECDSA on P-256, Notary's own default.
    P256,
}

impl KeyAlgorithm {
    /// The type that its keys have in metadata.
    #[must_use]
    pub fn key_type(self) -> KeyType {
        match self {
            Self::Ed25519 => KeyType::Ed25519,
            Self::P256 => KeyType::Ecdsa,
        }
    }
}

impl FromStr for KeyAlgorithm {
    type Err = KeyServiceError;

    /// Parses what Notary calls it: `ed25519` or `ecdsa`.
    fn from_str(name: &str) -> Result<Self, KeyServiceError> {
        match name {
            "ed25519" => Ok(Self::Ed25519),
            "ecdsa" => Ok(Self::P256),
            other => Err(KeyServiceError::Algorithm { name: other.chars().take(SHOWN).collect() }),
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key_type().as_str())
    }
}

/// Why a key cannot be made or used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyServiceError {
    /// Keys of this algorithm are not made.
    #[error("keys of algorithm {name:?} are not made here; `ed25519` and `ecdsa` are")]
    Algorithm {
        /// What was asked for.
        name: String,
    },
    /// The stored key cannot be opened, or is not what it is stored as.
    #[error("key {key} cannot be used: {reason}")]
    Damaged {
        /// The key.
        key: KeyId,
        /// What is wrong.
        reason: String,
    },
    /// The system refused what signing needs.
    #[error("keys cannot be made or used: {reason}")]
    Failed {
        /// What it said.
        reason: String,
    },
    /// The remote signer answered what no signer should.
    #[error("the signer's answer is unusable: {reason}")]
    Misbehaved {
        /// What is wrong with it.
        reason: String,
    },
    /// The text is too long to be signed.
    #[error("a text of {length} bytes is too long to be signed; {limit} are the most")]
    TooLong {
        /// Its length.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// Where keys are cannot be reached now.
    #[error("keys cannot be reached: {reason}")]
    Unavailable {
        /// What it said.
        reason: String,
    },
    /// There is no such key.
    #[error("there is no key {key}")]
    Unknown {
        /// The key.
        key: KeyId,
    },
}

/// As much of a foreign name as a message shows.
const SHOWN: usize = 40;
