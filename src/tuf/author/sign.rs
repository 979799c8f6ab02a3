//! Signing.

use jiff::Timestamp;

use super::{AuthorError, PartialDocument};
use crate::tuf::{PublicKey, RoleKeys, RoleName, Version};

/// What a signer may fail with.
pub type SignerError = Box<dyn std::error::Error + Send + Sync>;

/// Something that signs: a key at hand, or one behind a wire.
pub trait Signer {
    /// The plain public key.
    fn public(&self) -> &PublicKey;
    /// Signs these bytes.
    fn sign(&self, message: &[u8]) -> Result<RawSignature, SignerError>;
}

/// A signature as metadata carries it, out of its base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawSignature {
    /// How it was made.
    pub method: SignatureMethod,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// How a signature is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureMethod {
    /// r and s, over SHA-256.
    Ecdsa,
    /// PSS over SHA-256.
    RsaPss,
    /// Ed25519 over the message.
    Eddsa,
}

/// A finished document that nobody signed yet.
#[derive(Clone, Debug)]
pub struct UnsignedDocument {
    role: RoleName,
    version: Version,
    expires: Timestamp,
    body: Vec<u8>,
    /// Each set of keys that must reach its threshold.
    demands: Vec<RoleKeys>,
}

impl UnsignedDocument {
    /// Signs with all that belong to the role, and returns the file if that suffices.
    pub fn sign(self, _signers: &[&dyn Signer]) -> Result<Vec<u8>, AuthorError> {
        let _ = (&self.role, self.version, self.expires, &self.body, &self.demands);
        todo!()
    }

    /// Starts to collect signatures.
    #[must_use]
    pub fn into_partial(self) -> PartialDocument {
        todo!()
    }
}
