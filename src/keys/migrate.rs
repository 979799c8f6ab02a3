//! Keys of notary 0.3 and before, moved to where they belong now.
//!
//! They lie in `private/root_keys/<key ID>_root.key` and
//! `private/tuf_keys/<repository>/<key ID>_<role>.key`, and have no headers. Notary itself moves them
//! when it starts, and removes the old folders whatever is left in them; here nothing is removed
//! before it stands in its new place, and what is not understood stays.

use std::path::{Path, PathBuf};

use super::file::{EXTENSION, GUN, KeyFile, ROLE};
use super::scan::Scan;
use super::store::{KeyStore, KeyWarning, is_absent};
use super::{KeyError, KeyRole, disk};
use crate::image::Gun;
use crate::tuf::KeyId;

/// What a migration did.
#[derive(Debug, Default)]
pub struct Migration {
    /// The keys that were moved.
    pub moved: Vec<KeyId>,
    /// Files that stay where they are, and why.
    pub left: Vec<KeyWarning>,
}

impl KeyStore {
    /// Moves keys from the folders of notary 0.3 and before to where they belong now.
    pub fn migrate_legacy(&self) -> Result<Migration, KeyError> {
        let mut migration = Migration::default();
        for name in [ROOT_KEYS, TUF_KEYS] {
            let folder = self.folder().join(name);
            let (files, warnings) = Scan::of(&folder)?.into_files();
            migration.left.extend(warnings);
            for path in files {
                match self.migrate(&folder, name, &path) {
                    Ok(id) => migration.moved.push(id),
                    Err(error) => migration.left.push(KeyWarning { path, reason: error.to_string() }),
                }
            }
            remove_empty(&folder, 0)?;
        }
        Ok(migration)
    }

    fn migrate(&self, folder: &Path, kind: &str, path: &Path) -> Result<KeyId, KeyError> {
        let (text, _) = disk::read(path)?;
        let mut file = KeyFile::parse(&text, "the file")?;
        file.check()?;
        let legacy = LegacyName::parse(folder, kind, path)
            .ok_or_else(|| file.damaged("its name is not that of an old key file".to_owned()))?;
        let role = file.role()?.unwrap_or(legacy.role);
        let gun = file.gun()?.or(legacy.gun);
        self.check_place(&legacy.id, &role, gun.as_ref())?;
        file.block.headers.retain(|(name, _)| name != ROLE && name != GUN);
        file.block.headers.push((ROLE.to_owned(), role.to_string()));
        file.block.headers.extend(gun.map(|it| (GUN.to_owned(), it.to_string())));
        let place = self.place(&legacy.id);
        if std::fs::symlink_metadata(&place).is_err() {
            disk::write(&place, &file.block.to_text())?;
        } else {
            // An earlier migration was interrupted, or the key was imported since.
            check_same(&place, &file)?;
        }
        std::fs::remove_file(path).map_err(|it| KeyError::io(path, it))?;
        Ok(legacy.id)
    }
}

/// The old file goes only if the new one holds the very same bytes.
fn check_same(place: &Path, file: &KeyFile) -> Result<(), KeyError> {
    let (text, _) = disk::read(place)?;
    let stored = KeyFile::parse(&text, "the file")?;
    if stored.block.contents == file.block.contents {
        return Ok(());
    }
    Err(file.damaged(format!("`{}` is another file of the same key", place.display())))
}

/// What the old layout says by names.
struct LegacyName {
    id: KeyId,
    role: KeyRole,
    gun: Option<Gun>,
}

impl LegacyName {
    fn parse(folder: &Path, kind: &str, path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(EXTENSION)?;
        let (id, role) = name.split_once('_').unwrap_or((name, if kind == ROOT_KEYS { "root" } else { "" }));
        let gun = path.parent()?.strip_prefix(folder).ok()?.to_str()?;
        let gun = if gun.is_empty() { None } else { Some(gun.parse().ok()?) };
        Some(Self { id: id.parse().ok()?, role: role.parse().ok()?, gun })
    }
}

/// Removes folders that hold nothing any more.
fn remove_empty(folder: &Path, depth: usize) -> Result<(), KeyError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return Ok(()),
        Err(error) => return Err(KeyError::io(folder, error)),
    };
    if depth < DEPTH_LIMIT {
        let folders: Vec<PathBuf> = entries
            .filter_map(Result::ok)
            .filter(|it| it.file_type().is_ok_and(|it| it.is_dir()))
            .map(|it| it.path())
            .collect();
        for folder in folders {
            remove_empty(&folder, depth + 1)?;
        }
    }
    // A folder that is not empty stays; that is not an error.
    let _ = std::fs::remove_dir(folder);
    Ok(())
}

const ROOT_KEYS: &str = "root_keys";
const TUF_KEYS: &str = "tuf_keys";
/// As deep as keys are looked for.
const DEPTH_LIMIT: usize = 33;
