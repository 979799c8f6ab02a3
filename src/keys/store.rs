//! The folder of key files, `private/` in docker's trust folder.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::disk;
use super::encryption::rounds_for;
use super::file::{EXTENSION, KeyFile, key_text, public_text};
use super::passphrase::MINIMUM_LENGTH;
use super::scan::Scan;
use super::{KeyError, KeyRole, Passphrase, PassphraseRequest, PassphraseSource, PrivateKey};
use crate::image::Gun;
use crate::tuf::KeyId;

/// The key files below docker's trust folder.
#[derive(Clone, Debug)]
pub struct KeyStore {
    folder: PathBuf,
    rounds: Option<u32>,
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
    /// The keys: root keys first, then by repository, role and ID.
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

impl KeyStore {
    /// The keys below docker's trust folder, `$DOCKER_CONFIG/trust`. Nothing is read yet.
    #[must_use]
    pub fn new(trust_folder: &Path) -> Self {
        Self { folder: trust_folder.join("private"), rounds: None }
    }

    /// The same with one number of rounds that new passphrases are hashed, whatever they are.
    #[must_use]
    pub fn with_rounds(self, rounds: u32) -> Self {
        Self { rounds: Some(rounds), ..self }
    }

    /// The folder that key files are in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All keys. A file that is none, or no longer one, is a warning: the others must stay usable.
    pub fn list(&self) -> Result<Listing, KeyError> {
        let mut scan = Scan::of(&self.folder)?;
        scan.check_folder(&self.folder);
        Ok(scan.into_listing())
    }

    /// The key of this ID, as far as it can be read without its passphrase.
    pub fn find(&self, id: &KeyId) -> Result<Option<StoredKey>, KeyError> {
        Ok(self.locate(id)?.map(|(key, _)| key))
    }

    /// The key of this ID; where it is encrypted, its passphrase is asked for up to three times.
    pub fn read(&self, id: &KeyId, passphrases: &mut dyn PassphraseSource) -> Result<PrivateKey, KeyError> {
        let Some((stored, file)) = self.locate(id)? else {
            return Err(KeyError::NotFound { key_id: id.clone(), folder: self.folder.clone() });
        };
        file.check()?;
        let key = if stored.encrypted {
            let request = PassphraseRequest {
                role: &stored.role,
                gun: stored.gun.as_ref(),
                key_id: Some(id),
                new: false,
                attempt: 0,
            };
            unlock(&file, request, passphrases)?
        } else {
            file.open_plain()?
        };
        if key.id() != id {
            return Err(KeyError::WrongKey { path: stored.path, found: key.id().clone() });
        }
        Ok(key)
    }

    /// Stores a key under a new passphrase. A key that is stored already is not touched.
    pub fn write(
        &self,
        key: &PrivateKey,
        role: &KeyRole,
        gun: Option<&Gun>,
        passphrases: &mut dyn PassphraseSource,
    ) -> Result<(), KeyError> {
        self.check_place(key.id(), role, gun)?;
        if self.find(key.id())?.is_some() {
            return Ok(());
        }
        let passphrase = new_passphrase(key.id(), role, gun, passphrases)?;
        self.store(key, role, gun, &passphrase)
    }

    /// The text of a key's file under a new passphrase, to be kept elsewhere.
    pub fn sealed_text(
        &self,
        key: &PrivateKey,
        role: &KeyRole,
        gun: Option<&Gun>,
        passphrases: &mut dyn PassphraseSource,
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let passphrase = new_passphrase(key.id(), role, gun, passphrases)?;
        key_text(key, role, gun, &passphrase, self.rounds_for(&passphrase))
    }

    /// Removes a key for good. Returns whether there was one.
    pub fn remove(&self, id: &KeyId) -> Result<bool, KeyError> {
        let Some(path) = self.path_of(id)? else { return Ok(false) };
        std::fs::remove_file(&path).map_err(|it| KeyError::io(&path, it))?;
        if let Some(folder) = path.parent() {
            disk::sync_folder(folder)?;
        }
        Ok(true)
    }

    /// Stores a key anew under another passphrase.
    pub fn change_passphrase(
        &self,
        id: &KeyId,
        old: &mut dyn PassphraseSource,
        new: &mut dyn PassphraseSource,
    ) -> Result<(), KeyError> {
        let key = self.read(id, old)?;
        let Some(stored) = self.find(id)? else {
            return Err(KeyError::NotFound { key_id: id.clone(), folder: self.folder.clone() });
        };
        let gun = stored.gun.as_ref();
        let passphrase = new_passphrase(id, &stored.role, gun, new)?;
        let text = key_text(&key, &stored.role, gun, &passphrase, self.rounds_for(&passphrase))?;
        disk::write(&stored.path, &text)
    }

    /// The text of a public key's file, as `docker trust key generate` writes it beside.
    #[must_use]
    pub fn public_text(key: &PrivateKey, role: &KeyRole) -> Vec<u8> {
        public_text(key, role)
    }

    /// Writes a key's file.
    pub(super) fn store(
        &self,
        key: &PrivateKey,
        role: &KeyRole,
        gun: Option<&Gun>,
        passphrase: &Passphrase,
    ) -> Result<(), KeyError> {
        let text = key_text(key, role, gun, passphrase, self.rounds_for(passphrase))?;
        disk::write(&self.place(key.id()), &text)
    }

    fn rounds_for(&self, passphrase: &Passphrase) -> u32 {
        self.rounds.unwrap_or_else(|| rounds_for(passphrase))
    }

    /// Whether a key may be stored as this.
    pub(super) fn check_place(&self, id: &KeyId, role: &KeyRole, gun: Option<&Gun>) -> Result<(), KeyError> {
        if role.needs_gun() && gun.is_none() {
            return Err(KeyError::NoGun { role: role.to_string() });
        }
        let Some(stored) = self.find(id)? else { return Ok(()) };
        if stored.role == *role && stored.gun.as_ref() == gun {
            return Ok(());
        }
        let of = stored.gun.map(|it| format!(" of `{it}`")).unwrap_or_default();
        let reason = format!("it is the {} key{of}", stored.role);
        Err(KeyError::Conflict { key_id: id.clone(), reason })
    }

    /// Where docker puts a key's file.
    pub(super) fn place(&self, id: &KeyId) -> PathBuf {
        self.folder.join(format!("{id}{EXTENSION}"))
    }

    /// The key's file and what it says.
    pub(super) fn locate(&self, id: &KeyId) -> Result<Option<(StoredKey, KeyFile)>, KeyError> {
        let Some(path) = self.path_of(id)? else { return Ok(None) };
        let (text, _) = disk::read(&path)?;
        let file = KeyFile::parse(&text, &format!("key file `{}`", path.display()))?;
        Ok(Some((StoredKey::of(id.clone(), &file, path)?, file)))
    }

    /// Where docker puts it, or anywhere below, as docker looks there, too.
    fn path_of(&self, id: &KeyId) -> Result<Option<PathBuf>, KeyError> {
        let place = self.place(id);
        match std::fs::symlink_metadata(&place) {
            Ok(_) => Ok(Some(place)),
            Err(error) if is_absent(&error) => Ok(Scan::of(&self.folder)?.path_of(id)),
            Err(error) => Err(KeyError::io(&place, error)),
        }
    }
}

impl StoredKey {
    /// What a key's file says of it.
    pub(super) fn of(id: KeyId, file: &KeyFile, path: PathBuf) -> Result<Self, KeyError> {
        if !file.is_private_key() {
            return Err(KeyError::NoKey { place: file.place.clone() });
        }
        // Notary takes a key without a role for a delegation's.
        let role = file.role()?.unwrap_or_else(KeyRole::delegation);
        Ok(Self { id, role, gun: file.gun()?, encrypted: file.is_encrypted(), path })
    }
}

/// Asks for a passphrase that a key is to be stored under.
fn new_passphrase(
    key_id: &KeyId,
    role: &KeyRole,
    gun: Option<&Gun>,
    passphrases: &mut dyn PassphraseSource,
) -> Result<Passphrase, KeyError> {
    let request = PassphraseRequest { role, gun, key_id: Some(key_id), new: true, attempt: 0 };
    let passphrase = passphrases.passphrase(&request)?;
    if passphrase.is_long_enough() {
        return Ok(passphrase);
    }
    Err(KeyError::PassphraseTooShort { source_name: passphrases.name(&request), minimum: MINIMUM_LENGTH })
}

/// Opens a file with the passphrases that a source gives, at most three.
pub(super) fn unlock(
    file: &KeyFile,
    request: PassphraseRequest<'_>,
    passphrases: &mut dyn PassphraseSource,
) -> Result<PrivateKey, KeyError> {
    for attempt in 0..ATTEMPTS {
        let request = PassphraseRequest { attempt, ..request };
        let passphrase = passphrases.passphrase(&request)?;
        if let Some(key) = file.open(&passphrase)? {
            return Ok(key);
        }
    }
    Err(request.wrong(passphrases.name(&request)))
}

/// A missing folder on the way is as good as a missing file.
pub(super) fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

/// As docker asks.
const ATTEMPTS: u32 = 3;
