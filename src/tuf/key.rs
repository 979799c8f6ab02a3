//! Public keys and their IDs.

use std::fmt;
use std::str::FromStr;

/// The ID of a key: the SHA-256 of its canonical JSON form, as 64 lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// The 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyId {
    type Err = KeyIdError;

    fn from_str(text: &str) -> Result<Self, KeyIdError> {
        let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == 64 && text.bytes().all(hex) { Ok(Self(text.to_owned())) } else { Err(KeyIdError) }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for KeyId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A text that is not a key ID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a key ID has 64 lower-case hexadecimal digits")]
pub struct KeyIdError;

/// What kind of key it is, as metadata names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// An elliptic-curve key as DER `SubjectPublicKeyInfo`.
    Ecdsa,
    /// An elliptic-curve key inside a PEM certificate.
    EcdsaX509,
    /// An RSA key as DER `SubjectPublicKeyInfo`.
    Rsa,
    /// An RSA key inside a PEM certificate.
    RsaX509,
    /// 32 bytes of Ed25519.
    Ed25519,
    /// A kind that nothing here can verify with; it is kept, as it is part of what was signed.
    Other(String),
}

/// A public key as metadata carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    key_type: KeyType,
    public: Vec<u8>,
    id: KeyId,
    canonical_id: KeyId,
}

impl PublicKey {
    /// What kind of key it is.
    #[must_use]
    pub fn key_type(&self) -> &KeyType {
        &self.key_type
    }

    /// The ID that metadata uses; a certificate has one of its own.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The ID of the plain key, whichever certificate it is wrapped in: what docker's key files are named by.
    #[must_use]
    pub fn canonical_id(&self) -> &KeyId {
        &self.canonical_id
    }
}
