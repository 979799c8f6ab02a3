//! Finished documents, and signatures over them.

use jiff::Timestamp;

use super::partial::Signed;
use super::{AuthorError, PartialDocument};
use crate::image::Gun;
use crate::tuf::{PublicKey, RoleKeys, RoleName, Version};

/// What a signer may fail with.
pub type SignerError = Box<dyn std::error::Error + Send + Sync>;

/// Something that signs: a key at hand, or one behind a wire.
pub trait Signer {
    /// The public key. A root key is named by its plain key; which of its certificates a document
    /// means, the document says.
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

impl SignatureMethod {
    /// The name that metadata uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ecdsa => "ecdsa",
            Self::RsaPss => "rsapss",
            Self::Eddsa => "eddsa",
        }
    }
}

/// A finished document that nobody signed yet.
#[derive(Clone, Debug)]
pub struct UnsignedDocument {
    pub(super) role: RoleName,
    pub(super) version: Version,
    pub(super) expires: Timestamp,
    /// In canonical form.
    pub(super) body: Vec<u8>,
    /// Each set of keys that must reach its threshold.
    pub(super) demands: Vec<RoleKeys>,
    /// Keys whose signatures are welcome, and not needed.
    pub(super) welcome: Vec<PublicKey>,
}

impl UnsignedDocument {
    /// The role.
    #[must_use]
    pub fn role(&self) -> &RoleName {
        &self.role
    }

    /// The version that it will be.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// When it will expire.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Each set of keys that must reach its threshold.
    #[must_use]
    pub fn demands(&self) -> &[RoleKeys] {
        &self.demands
    }

    /// Keys whose signatures are welcome, and not needed.
    #[must_use]
    pub fn welcome(&self) -> &[PublicKey] {
        &self.welcome
    }

    /// Signs with each of these that may, and returns the file if that suffices.
    pub fn sign(self, signers: &[&dyn Signer]) -> Result<Vec<u8>, AuthorError> {
        let mut signed = Signed::new(self);
        signed.sign(signers)?;
        signed.finish()
    }

    /// Starts to collect signatures of several people.
    #[must_use]
    pub fn into_partial(self, gun: &Gun) -> PartialDocument {
        PartialDocument::new(gun.clone(), Signed::new(self))
    }
}
