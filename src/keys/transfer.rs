//! Keys in and out of the store as PEM text.

use super::{KeyError, KeyRole, KeyStore, PassphraseSource};
use crate::image::Gun;
use crate::tuf::KeyId;

/// Which keys to export.
#[derive(Clone, Debug)]
pub enum Export<'a> {
    /// All.
    All,
    /// Those of a repository.
    Gun(&'a Gun),
    /// These.
    Keys(&'a [KeyId]),
}

/// What an imported key is for, where its text does not say so or says otherwise.
#[derive(Clone, Debug, Default)]
pub struct ImportAs {
    /// Its role.
    pub role: Option<KeyRole>,
    /// Its repository.
    pub gun: Option<Gun>,
}

/// A key that was imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedKey {
    /// Its ID.
    pub id: KeyId,
    /// Its role.
    pub role: KeyRole,
    /// Its repository.
    pub gun: Option<Gun>,
    /// Whether the store had it before.
    pub known: bool,
}

impl KeyStore {
    /// The stored PEM blocks, each with the header `path`, as `notary key export` writes them.
    pub fn export(&self, _which: &Export<'_>) -> Result<Vec<u8>, KeyError> {
        todo!()
    }

    /// Stores every private key of a PEM text.
    pub fn import(
        &self,
        _text: &[u8],
        _options: &ImportAs,
        _passphrases: &mut dyn PassphraseSource,
    ) -> Result<Vec<ImportedKey>, KeyError> {
        todo!()
    }
}
