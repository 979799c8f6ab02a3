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
    /// The key's canonical ID; an encrypted key that is imported may not say its own.
    pub key_id: Option<&'a KeyId>,
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

    /// The error for a passphrase that does not open the key.
    pub(super) fn wrong(&self, source_name: String) -> KeyError {
        let (role, gun) = (self.role.to_string(), self.gun.cloned());
        KeyError::WrongPassphrase { source_name, role, gun, key_id: self.key_id.cloned() }
    }

    /// The error for a passphrase that nobody knows.
    pub(super) fn unknown(&self) -> KeyError {
        KeyError::NoPassphrase { role: self.role.to_string(), key_id: self.key_id.cloned() }
    }
}

/// Something that knows passphrases, or asks somebody who does.
pub trait PassphraseSource {
    /// The passphrase for this key. [`KeyError::NoPassphrase`] says that another source may know it.
    fn passphrase(&mut self, request: &PassphraseRequest<'_>) -> Result<Passphrase, KeyError>;

    /// Where its last answer to this came from, for messages.
    fn name(&self, request: &PassphraseRequest<'_>) -> String;
}

/// Docker's minimum.
pub(super) const MINIMUM_LENGTH: usize = 8;
