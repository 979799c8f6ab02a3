//! Passphrases, and how they are asked for.

use std::fmt;

use zeroize::Zeroizing;

use super::{KeyError, KeyRole};
use crate::image::Gun;
use crate::tuf::KeyId;

/// A passphrase: wiped when dropped, and never shown.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes the text over.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, for the key derivation.
    #[must_use]
    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is none: key files without a passphrase are not encrypted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is long enough for a new key.
    #[must_use]
    pub fn is_long_enough(&self) -> bool {
        MINIMUM_LENGTH <= self.0.chars().count()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Which passphrase is wanted.
#[derive(Clone, Copy, Debug)]
pub struct PassphraseRequest<'a> {
    /// The role that the key is for.
    pub role: &'a KeyRole,
    /// The repository that the key belongs to; root and delegation keys belong to none.
    pub gun: Option<&'a Gun>,
    /// The key's canonical ID.
    pub key_id: &'a KeyId,
    /// Whether the passphrase is to be chosen, for a key that is about to be written.
    pub new: bool,
    /// How many passphrases for this key were wrong already.
    pub attempt: u32,
}

impl<'a> PassphraseRequest<'a> {
    /// The kind of key that a passphrase is remembered for: keys of one kind tend to share theirs.
    #[must_use]
    pub fn alias(&self) -> &'a str {
        self.role.as_str()
    }
}

/// Something that knows passphrases, or asks somebody who does.
pub trait PassphraseSource {
    /// The passphrase for this key. [`KeyError::NoPassphrase`] says that another source may know it.
    fn passphrase(&mut self, request: &PassphraseRequest<'_>) -> Result<Passphrase, KeyError>;
}

/// Docker's minimum.
const MINIMUM_LENGTH: usize = 8;
