//! Finding key files: everything below the folder that ends in `.key`, as notary looks for them.

use std::path::{Path, PathBuf};

use super::file::{EXTENSION, KeyFile, id_of_name};
use super::store::{KeyWarning, Listing, StoredKey, is_absent};
use super::{KeyError, disk};
use crate::tuf::KeyId;

/// What was found below a folder, nothing of it read.
#[derive(Debug, Default)]
pub(super) struct Scan {
    files: Vec<PathBuf>,
    warnings: Vec<KeyWarning>,
}

impl Scan {
    /// Looks through a folder; one that is not there holds nothing.
    pub(super) fn of(folder: &Path) -> Result<Self, KeyError> {
        let mut scan = Self::default();
        scan.look_into(folder, 0)?;
        scan.files.sort();
        Ok(scan)
    }

    /// Whoever may write to the folder may put keys of their own in the place of others.
    pub(super) fn check_folder(&mut self, folder: &Path) {
        if let Ok(metadata) = std::fs::metadata(folder)
            && disk::exposed_mode(&metadata).is_some_and(|mode| mode & 0o022 != 0)
        {
            self.warn(folder.to_owned(), "can be written by others".to_owned());
        }
    }

    fn look_into(&mut self, folder: &Path, depth: usize) -> Result<(), KeyError> {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if depth == 0 && is_absent(&error) => return Ok(()),
            Err(error) if depth == 0 => return Err(KeyError::io(folder, error)),
            Err(error) => {
                self.warn(folder.to_owned(), format!("cannot be looked into: {error}"));
                return Ok(());
            }
        };
        for entry in entries {
            let entry = entry.map_err(|it| KeyError::io(folder, it))?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(|it| KeyError::io(folder, it))?);
            let is_key = entry.file_name().to_string_lossy().ends_with(EXTENSION);
            if kind.is_dir() {
                if depth < DEPTH_LIMIT {
                    self.look_into(&path, depth + 1)?;
                } else {
                    self.warn(path, format!("folders are looked into {DEPTH_LIMIT} deep only"));
                }
            } else if is_key && kind.is_file() {
                if self.files.len() >= FILE_LIMIT {
                    let reason = format!("it holds more than {FILE_LIMIT} key files");
                    return Err(KeyError::Damaged { place: format!("`{}`", folder.display()), reason });
                }
                self.files.push(path);
            } else if is_key {
                let what = if kind.is_symlink() { "a symbolic link" } else { "not a regular file" };
                self.warn(path, format!("is not used: it is {what}"));
            }
        }
        Ok(())
    }

    /// Where the key of this ID is.
    pub(super) fn path_of(&self, id: &KeyId) -> Option<PathBuf> {
        self.files.iter().find(|it| id_of(it).as_ref() == Some(id)).cloned()
    }

    /// All files that end as key files do.
    pub(super) fn into_files(self) -> (Vec<PathBuf>, Vec<KeyWarning>) {
        (self.files, self.warnings)
    }

    /// Reads every file's headers.
    pub(super) fn into_listing(mut self) -> Listing {
        let mut keys: Vec<StoredKey> = Vec::new();
        for path in std::mem::take(&mut self.files) {
            match self.read(&path) {
                Ok(Some(key)) if keys.iter().any(|it| it.id == key.id) => {
                    self.warn(path, "is a second file of the same key".to_owned());
                }
                Ok(Some(key)) => keys.push(key),
                Ok(None) => {}
                Err(error) => self.warn(path, error.to_string()),
            }
        }
        keys.sort_by(|a, b| order(a).cmp(&order(b)));
        Listing { keys, warnings: self.warnings }
    }

    fn read(&mut self, path: &Path) -> Result<Option<StoredKey>, KeyError> {
        let Some(id) = id_of(path) else {
            self.warn(path.to_owned(), "is not named by a key ID".to_owned());
            return Ok(None);
        };
        let (text, metadata) = disk::read(path)?;
        if let Some(mode) = disk::exposed_mode(&metadata) {
            self.warn(path.to_owned(), format!("can be read or written by others: its mode is {mode:o}"));
        }
        if disk::is_foreign(&metadata) {
            self.warn(path.to_owned(), "belongs to another user".to_owned());
        }
        let file = KeyFile::parse(&text, "the file")?;
        let key = StoredKey::of(id, &file, path.to_owned())?;
        file.check()?;
        if !key.encrypted {
            self.warn(path.to_owned(), "is not encrypted".to_owned());
        }
        if !file.is_readable_by_docker() {
            self.warn(path.to_owned(), "cannot be opened by docker and notary".to_owned());
        }
        Ok(Some(key))
    }

    fn warn(&mut self, path: PathBuf, reason: String) {
        self.warnings.push(KeyWarning { path, reason });
    }
}

fn id_of(path: &Path) -> Option<KeyId> {
    id_of_name(path.file_name()?.to_str()?)
}

fn order(key: &StoredKey) -> (bool, Option<&str>, &str, &KeyId) {
    (key.role.as_str() != "root", key.gun.as_ref().map(crate::image::Gun::as_str), key.role.as_str(), &key.id)
}

/// The legacy layout has a folder for each part of a repository's name.
const DEPTH_LIMIT: usize = 32;
/// A publisher of thousands of repositories has two keys for each.
const FILE_LIMIT: usize = 64 << 10;
