//! Stories about the key folder: one file a subject, all keys made here.

mod damage;
mod passphrases;
mod store;
mod transfer;

use std::path::{Path, PathBuf};

use super::file::key_text;
use super::{KeyError, KeyRole, KeyStore, Passphrase, PassphraseRequest, PassphraseSource, PrivateKey};
use crate::image::Gun;

/// A source that says these, one after the other, and counts how often it was asked.
#[derive(Default)]
pub(super) struct Says {
    answers: Vec<&'static str>,
    asked: usize,
}

impl Says {
    pub(super) fn new(answers: &[&'static str]) -> Self {
        Self { answers: answers.to_vec(), asked: 0 }
    }
}

impl PassphraseSource for Says {
    fn passphrase(&mut self, request: &PassphraseRequest<'_>) -> Result<Passphrase, KeyError> {
        let answer = self.answers.get(self.asked).ok_or_else(|| request.unknown())?;
        self.asked += 1;
        Ok(Passphrase::new((*answer).to_owned()))
    }

    fn name(&self, _request: &PassphraseRequest<'_>) -> String {
        "the test".to_owned()
    }
}

pub(super) fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.to_owned())
}

pub(super) fn gun() -> Gun {
    "127.0.0.1:5000/acme/base".parse().unwrap()
}

/// A folder of keys that is gone with the test; few rounds, as nothing here is worth a thief's time.
pub(super) struct Folder {
    _gone_with_the_test: tempfile::TempDir,
    pub(super) trust: PathBuf,
    pub(super) store: KeyStore,
}

impl Folder {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let trust = folder.path().join("trust");
        Self { store: KeyStore::new(&trust).with_rounds(ROUNDS), trust, _gone_with_the_test: folder }
    }

    /// Stores a new key.
    pub(super) fn with_key(&self, role: &str, gun: Option<&Gun>) -> PrivateKey {
        let key = PrivateKey::generate_ed25519().unwrap();
        self.store.write(&key, &role.parse().unwrap(), gun, &mut Says::new(&[GOOD])).unwrap();
        key
    }

    /// Puts a file somewhere below `private`.
    pub(super) fn put(&self, path: &str, content: &[u8]) -> PathBuf {
        let path = self.trust.join("private").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        set_mode(&path, 0o600);
        path
    }
}

/// The text of a key's file.
pub(super) fn text(key: &PrivateKey, role: &str, gun: Option<&Gun>, passphrase_text: &str) -> Vec<u8> {
    let role: KeyRole = role.parse().unwrap();
    key_text(key, &role, gun, &passphrase(passphrase_text), ROUNDS).unwrap().to_vec()
}

pub(super) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

pub(super) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

pub(super) const GOOD: &str = "correct horse";
const ROUNDS: u32 = 16;
