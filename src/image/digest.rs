//! Content digests: `sha256:…`, `sha384:…`, `sha512:…`.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// A content digest whose algorithm is known and whose hex part has the right length.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algorithm: DigestAlgorithm,
    hex: String,
}

impl Digest {
    /// The SHA-256 digest of these bytes.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self::from_sha256(&Sha256::digest(content).into())
    }

    /// The digest with this SHA-256 value.
    #[must_use]
    pub fn from_sha256(value: &[u8; 32]) -> Self {
        Self { algorithm: DigestAlgorithm::Sha256, hex: hex::encode(value) }
    }

    /// Which hash function made it.
    #[must_use]
    pub fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// The hash value in lower-case hexadecimal, without the algorithm.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.hex
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    /// Parses `algorithm:hex`; upper-case hex is refused, as docker does for these algorithms.
    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (name, hex) = text.split_once(':').ok_or(DigestError::NoColon)?;
        let algorithm = DigestAlgorithm::named(name).ok_or(DigestError::Algorithm)?;
        if hex.len() != algorithm.hex_length() {
            return Err(DigestError::Length { expected: algorithm.hex_length(), found: hex.len() });
        }
        if !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(DigestError::NotHex);
        }
        Ok(Self { algorithm, hex: hex.to_owned() })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The hash functions that docker's references may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DigestAlgorithm {
    /// SHA-256, the one that registries and trust data use.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl DigestAlgorithm {
    fn named(name: &str) -> Option<Self> {
        match name {
            "sha256" => Some(Self::Sha256),
            "sha384" => Some(Self::Sha384),
            "sha512" => Some(Self::Sha512),
            _ => None,
        }
    }

    /// The name before the colon.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    fn hex_length(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha384 => 96,
            Self::Sha512 => 128,
        }
    }
}

/// Why a text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// There is no `:` between algorithm and value.
    #[error("a digest is written `algorithm:hex`")]
    NoColon,
    /// The algorithm is not one of sha256, sha384, sha512.
    #[error("the digest's algorithm is not sha256, sha384 or sha512")]
    Algorithm,
    /// The value is too short or too long for its algorithm.
    #[error("the digest has {found} characters where its algorithm wants {expected}")]
    Length {
        /// How many hex characters the algorithm has.
        expected: usize,
        /// How many characters stand there.
        found: usize,
    },
    /// The value has a character outside `0-9a-f`.
    #[error("the digest is not lower-case hexadecimal")]
    NotHex,
}
