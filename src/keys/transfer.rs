//! Keys in and out of the store as PEM text: `docker trust key load`, `notary key export` and `import`.

use std::path::Path;

use zeroize::Zeroizing;

use super::disk::{self, Existing, Links};
use super::file::{KeyFile, PATH};
use super::store::unlock;
use super::{KeyError, KeyRole, KeyStore, PassphraseRequest, PassphraseSource, PrivateKey};
use crate::image::Gun;
use crate::tuf::KeyId;

/// Which keys to export.
#[derive(Clone, Copy, Debug)]
pub enum Export<'a> {
    /// All.
    All,
    /// Those of a repository.
    Gun(&'a Gun),
    /// These.
    Keys(&'a [KeyId]),
}

/// What an imported key is for, where its text does not say so.
#[derive(Clone, Debug, Default)]
pub struct ImportAs {
    /// Its role; this goes before what the text says.
    pub role: Option<KeyRole>,
    /// Its role where neither `role` nor the text says one; without this it is `delegation`.
    pub otherwise: Option<KeyRole>,
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
    /// Whether the store had it before, and was left as it was.
    pub known: bool,
}

impl KeyStore {
    /// The stored PEM blocks, each with the header `path`, as `notary key export` writes them.
    pub fn export(&self, which: Export<'_>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let ids: Vec<KeyId> = match which {
            Export::Keys(ids) => ids.to_vec(),
            Export::All => self.list()?.keys.into_iter().map(|it| it.id).collect(),
            Export::Gun(gun) => {
                let keys = self.list()?.keys.into_iter();
                keys.filter(|it| it.gun.as_ref() == Some(gun)).map(|it| it.id).collect()
            }
        };
        let mut texts = Vec::with_capacity(ids.len());
        for id in ids {
            let Some((_, mut file)) = self.locate(&id)? else {
                return Err(KeyError::NotFound { key_id: id, folder: self.folder().to_owned() });
            };
            file.block.headers.retain(|(name, _)| name != PATH);
            file.block.headers.push((PATH.to_owned(), id.to_string()));
            texts.push(file.block.to_text());
        }
        let mut out = Zeroizing::new(Vec::with_capacity(texts.iter().map(|it| it.len()).sum()));
        for text in &texts {
            out.extend_from_slice(text);
        }
        Ok(out)
    }

    /// Writes an export, or a public key, to a file that only its owner can read.
    pub fn write_export(path: &Path, content: &[u8], existing: Existing) -> Result<(), KeyError> {
        disk::write_export(path, content, existing)
    }

    /// The content of a file to import, which nobody but its owner may read.
    pub fn read_import(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let (content, metadata) = disk::read_at_most(path, IMPORT_LIMIT, Links::Followed)?;
        match disk::exposed_mode(&metadata) {
            Some(mode) => Err(KeyError::Exposed { path: path.to_owned(), mode }),
            None => Ok(content),
        }
    }

    /// Stores every private key of a PEM text. Keys that docker could not open are stored so that it can.
    ///
    /// Unlike docker and notary, which pass over encrypted keys that carry no `path`, this opens them.
    /// All are opened before the first is stored, so that an error leaves the store as it was.
    pub fn import(
        &self,
        text: &[u8],
        place: &str,
        options: &ImportAs,
        passphrases: &mut dyn PassphraseSource,
    ) -> Result<Vec<ImportedKey>, KeyError> {
        let files = KeyFile::parse_all(text, place)?;
        let mut opened = Vec::new();
        for file in files.iter().filter(|it| it.is_private_key()) {
            opened.push(self.open_import(file, options, passphrases)?);
        }
        if opened.is_empty() {
            return Err(KeyError::NoKey { place: place.to_owned() });
        }
        let mut imported = Vec::with_capacity(opened.len());
        for Opened { key, role, gun, text } in opened {
            let known = self.find(key.id())?.is_some();
            if !known {
                match text {
                    Some(text) => disk::write(&self.place(key.id()), &text)?,
                    None => self.write(&key, &role, gun.as_ref(), passphrases)?,
                }
            }
            imported.push(ImportedKey { id: key.id().clone(), role, gun, known });
        }
        Ok(imported)
    }

    fn open_import(
        &self,
        file: &KeyFile,
        options: &ImportAs,
        passphrases: &mut dyn PassphraseSource,
    ) -> Result<Opened, KeyError> {
        file.check()?;
        let role = if let Some(role) = &options.role {
            role.clone()
        } else {
            let otherwise = || options.otherwise.clone().unwrap_or_else(KeyRole::delegation);
            file.role()?.unwrap_or_else(otherwise)
        };
        // Keys that belong to no repository carry none, whatever is asked for.
        let gun = if role.needs_gun() { file.gun()?.or_else(|| options.gun.clone()) } else { file.gun()? };
        let key = if file.is_encrypted() {
            let claimed = file.path().and_then(id_of_path);
            let (gun, key_id) = (gun.as_ref(), claimed.as_ref());
            let request = PassphraseRequest { role: &role, gun, key_id, new: false, attempt: 0 };
            let key = unlock(file, request, passphrases)?;
            if claimed.as_ref().is_some_and(|it| it != key.id()) {
                return Err(file.damaged(format!("it holds key {}, not the key that it says", key.id())));
            }
            key
        } else {
            file.open_plain()?
        };
        self.check_place(key.id(), &role, gun.as_ref())?;
        let text = file.as_stored(&role, gun.as_ref());
        Ok(Opened { key, role, gun, text })
    }
}

/// A key about to be stored.
struct Opened {
    key: PrivateKey,
    role: KeyRole,
    gun: Option<Gun>,
    /// Its file as it came, where that is encrypted as docker wants it: its passphrase stays.
    text: Option<Zeroizing<Vec<u8>>>,
}

/// Notary exports the ID; its older versions put folders before it and the role behind.
fn id_of_path(path: &str) -> Option<KeyId> {
    let name = path.rsplit('/').next()?;
    name.split('_').next()?.parse().ok()
}

/// An export of all keys of a busy publisher: thousands of half a KiB each.
const IMPORT_LIMIT: usize = 4 << 20;
