//! Private keys.

use super::KeyError;
use crate::tuf::author::{RawSignature, Signer};
use crate::tuf::{KeyId, PublicKey};

/// A private key.
pub struct PrivateKey {
    public: PublicKey,
}

impl PrivateKey {
    /// A new P-256 key.
    pub fn generate_p256() -> Result<Self, KeyError> {
        todo!()
    }
    /// A new Ed25519 key.
    pub fn generate_ed25519() -> Result<Self, KeyError> {
        todo!()
    }
    /// Its public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }
    /// Its canonical ID, which its file is named by.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        self.public.canonical_id()
    }
}

impl Signer for PrivateKey {
    fn public(&self) -> &PublicKey {
        &self.public
    }
    fn sign(&self, _message: &[u8]) -> Result<RawSignature, Box<dyn std::error::Error + Send + Sync>> {
        todo!()
    }
}
