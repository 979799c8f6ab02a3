//! The folder of key files.

use std::path::{Path, PathBuf};

use super::{KeyError, KeyRole, PassphraseSource, PrivateKey};
use crate::image::Gun;
use crate::tuf::KeyId;

/// The key files below docker's trust folder.
#[derive(Clone, Debug)]
pub struct KeyStore {
    folder: PathBuf,
}

/// A key file, as far as it can be read without its passphrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// The canonical ID, which is the file's name.
    pub id: KeyId,
    /// What the key is for.
    pub role: KeyRole,
    /// The repository that it belongs to.
    pub gun: Option<Gun>,
    /// Whether a passphrase is needed.
    pub encrypted: bool,
    /// Where it is.
    pub path: PathBuf,
}

/// What is in a key folder.
#[derive(Debug, Default)]
pub struct Listing {
    /// The keys, by role, repository and ID.
    pub keys: Vec<StoredKey>,
    /// What else was found, and should not be so.
    pub warnings: Vec<KeyWarning>,
}

/// Something about a key file that its owner should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyWarning {
    /// The file.
    pub path: PathBuf,
    /// What is wrong, for a sentence after the path.
    pub reason: String,
}

/// What a migration did.
#[derive(Debug, Default)]
pub struct Migration {
    /// The keys that were moved.
    pub moved: Vec<KeyId>,
    /// Files that stay where they are, and why.
    pub left: Vec<KeyWarning>,
}

impl KeyStore {
    /// The keys below docker's trust folder, `$DOCKER_CONFIG/trust`. Nothing is read yet.
    #[must_use]
    pub fn new(trust_folder: &Path) -> Self {
        Self { folder: trust_folder.join("private") }
    }

    /// The folder that key files are in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All keys.
    pub fn list(&self) -> Result<Listing, KeyError> {
        todo!()
    }

    /// The key of this ID, as far as it can be read without its passphrase.
    pub fn find(&self, _id: &KeyId) -> Result<Option<StoredKey>, KeyError> {
        todo!()
    }

    /// The key of this ID; passphrases are asked for up to three times.
    pub fn read(&self, _id: &KeyId, _passphrases: &mut dyn PassphraseSource) -> Result<PrivateKey, KeyError> {
        todo!()
    }

    /// Stores a key under a new passphrase.
    pub fn write(
        &self,
        _key: &PrivateKey,
        _role: &KeyRole,
        _gun: Option<&Gun>,
        _passphrases: &mut dyn PassphraseSource,
    ) -> Result<(), KeyError> {
        todo!()
    }

    /// Removes a key for good. Returns whether there was one.
    pub fn remove(&self, _id: &KeyId) -> Result<bool, KeyError> {
        todo!()
    }

    /// Stores a key anew under another passphrase.
    pub fn change_passphrase(
        &self,
        _id: &KeyId,
        _old: &mut dyn PassphraseSource,
        _new: &mut dyn PassphraseSource,
    ) -> Result<(), KeyError> {
        todo!()
    }

    /// Moves keys from the folders of notary 0.3 and before to where they belong now.
    pub fn migrate_legacy(&self) -> Result<Migration, KeyError> {
        todo!()
    }
}
