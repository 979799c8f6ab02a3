//! Staged changes on disk, byte for byte as notary writes and reads them.
//!
//! `<trust folder>/tuf/<gun>/changelist/<time>_<uuid>.change` holds
//! `{"action":…,"role":…,"type":…,"path":…,"data":…}`, where `data` is base64 of JSON, or null. They are
//! carried out in the order of their names.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::keyring::Keyring;
use super::workspace::Workspace;
use super::{Action, Change, DelegationChange, Init, PublishError, StagedChange};
use crate::http::read_bounded;
use crate::tuf::{KeyId, PublicKey, RoleName, Target};

/// The staged changes in a folder, oldest first.
pub(super) fn list(folder: &Path) -> Result<Vec<StagedChange>, PublishError> {
    paths(folder)?.into_iter().map(read).collect()
}

/// How many changes are staged in a folder, readable or not.
pub(super) fn count(folder: &Path) -> Result<usize, PublishError> {
    paths(folder).map(|it| it.len())
}

/// Stages a change.
pub(super) fn write(
    folder: &Path,
    change: &Change,
    now: jiff::Timestamp,
    random: [u8; 16],
) -> Result<StagedChange, PublishError> {
    let path = folder.join(format!("{:020}_{}{EXTENSION}", now.as_nanosecond().max(0), uuid(random)));
    let failed = |source| PublishError::Io { path: path.clone(), source };
    let unusable = |it: serde_json::Error| failed(it.into());
    let text = serde_json::to_vec(&to_file(change).map_err(unusable)?).map_err(unusable)?;
    crate::trust::cache::private_folder(folder).map_err(failed)?;
    let mut file = tempfile::Builder::new().prefix(".trustgate-").tempfile_in(folder).map_err(failed)?;
    file.write_all(&text).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    file.persist(&path).map_err(|it| failed(it.error))?;
    Ok(StagedChange { path, change: change.clone() })
}

/// Removes the files of these changes, which were published.
pub(super) fn forget(changes: &[StagedChange]) -> Result<(), PublishError> {
    changes.iter().try_for_each(|it| remove(&it.path).map(drop))
}

/// Removes all staged changes of a folder; returns how many there were.
pub(super) fn clear(folder: &Path) -> Result<usize, PublishError> {
    let mut count = 0;
    for path in paths(folder)? {
        count += usize::from(remove(&path)?);
    }
    Ok(count)
}

fn remove(path: &Path) -> Result<bool, PublishError> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(PublishError::Io { path: path.to_owned(), source }),
    }
}

fn paths(folder: &Path) -> Result<Vec<PathBuf>, PublishError> {
    let failed = |source| PublishError::Io { path: folder.to_owned(), source };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(failed(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.to_str().is_some_and(|it| it.ends_with(EXTENSION)) {
            if CHANGE_LIMIT <= paths.len() {
                let reason = format!("there are more than {CHANGE_LIMIT} of them");
                return Err(PublishError::Staged { path, reason });
            }
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn read(path: PathBuf) -> Result<StagedChange, PublishError> {
    let change = read_bounded(&path, FILE_LIMIT).map_err(|it| it.to_string()).and_then(|it| parse(&it));
    match change {
        Ok(change) => Ok(StagedChange { path, change }),
        Err(reason) => Err(PublishError::Staged { path, reason }),
    }
}

/// The file, its members in notary's order.
#[derive(Serialize, Deserialize)]
struct ChangeFile {
    action: String,
    role: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    path: String,
    data: Option<String>,
}

/// What `data` holds for a target.
#[derive(Serialize, Deserialize)]
struct FileMeta {
    length: u64,
    hashes: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    custom: Option<Value>,
}

/// What `data` holds for a delegation.
#[derive(Default, Serialize, Deserialize)]
struct DelegationData {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    new_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    threshold: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    add_keys: Option<Vec<Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    remove_keys: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    add_paths: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    remove_paths: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clear_paths: Option<bool>,
}

fn parse(text: &[u8]) -> Result<Change, String> {
    let file: ChangeFile = serde_json::from_slice(text).map_err(|it| it.to_string())?;
    let role: RoleName = file.role.parse().map_err(|it: crate::tuf::TufError| it.to_string())?;
    let action = match file.action.as_str() {
        "create" => Action::Create,
        "update" => Action::Update,
        "delete" => Action::Delete,
        other => return Err(format!("the action {other:.64?} is not known")),
    };
    let data = file.data.map(|it| STANDARD.decode(it)).transpose().map_err(|it| format!("`data`: {it}"))?;
    let data = data.unwrap_or_default();
    match (file.kind.as_str(), action) {
        ("target", Action::Delete) => Ok(Change::RemoveTarget { role, name: file.path }),
        ("target", Action::Create | Action::Update) => {
            let meta: FileMeta = serde_json::from_slice(&data).map_err(|it| format!("`data`: {it}"))?;
            Ok(Change::AddTarget { role, name: file.path, target: meta.into_target()? })
        }
        ("delegation", Action::Delete) => {
            let change = DelegationChange::Remove;
            Ok(Change::Delegation { role, action, change, threshold: None })
        }
        ("delegation", Action::Create | Action::Update) => {
            let data: DelegationData = serde_json::from_slice(&data).map_err(|it| format!("`data`: {it}"))?;
            let threshold = data.threshold;
            Ok(Change::Delegation { role, action, change: data.into_change()?, threshold })
        }
        ("witness", _) => Ok(Change::Witness { role }),
        (other, _) => Err(format!("changes of type {other:.64?} are not known")),
    }
}

impl FileMeta {
    fn into_target(self) -> Result<Target, String> {
        let hash = |name: &str| -> Result<Option<Vec<u8>>, String> {
            let Some(value) = self.hashes.get(name) else { return Ok(None) };
            let text = value.as_str().ok_or_else(|| format!("`{name}` is no text"))?;
            STANDARD.decode(text).map(Some).map_err(|it| format!("`{name}`: {it}"))
        };
        let wrong = |name: &str| format!("`{name}` has the wrong length");
        let sha256 = hash("sha256")?.map(|it| it.try_into().map_err(|_| wrong("sha256"))).transpose()?;
        let sha512 = hash("sha512")?.map(|it| it.try_into().map_err(|_| wrong("sha512"))).transpose()?;
        let custom = self.custom.filter(|it| !it.is_null());
        Ok(Target { length: self.length, sha256, sha512, custom })
    }
}

impl DelegationData {
    fn into_change(self) -> Result<DelegationChange, String> {
        if self.new_name.is_some_and(|it| !it.is_empty()) {
            return Err("delegations cannot be renamed".to_owned());
        }
        let mut add_keys = Vec::new();
        for key in self.add_keys.unwrap_or_default() {
            add_keys.push(PublicKey::from_json(key.to_string().as_bytes())?);
        }
        let remove_keys: Result<Vec<KeyId>, _> =
            self.remove_keys.unwrap_or_default().iter().map(|it| it.parse()).collect();
        Ok(DelegationChange::Update {
            add_keys,
            remove_keys: remove_keys.map_err(|it| it.to_string())?,
            add_paths: self.add_paths.unwrap_or_default(),
            remove_paths: self.remove_paths.unwrap_or_default(),
            clear_paths: self.clear_paths.unwrap_or_default(),
        })
    }

    fn of(change: &DelegationChange, threshold: Option<u64>) -> Self {
        let DelegationChange::Update { add_keys, remove_keys, add_paths, remove_paths, clear_paths } = change
        else {
            return Self::default();
        };
        Self {
            new_name: None,
            threshold,
            add_keys: unless_empty(add_keys.iter().map(PublicKey::to_json).collect()),
            remove_keys: unless_empty(remove_keys.iter().map(ToString::to_string).collect()),
            add_paths: unless_empty(add_paths.clone()),
            remove_paths: unless_empty(remove_paths.clone()),
            clear_paths: clear_paths.then_some(true),
        }
    }
}

/// Notary leaves empty lists out.
fn unless_empty<T>(list: Vec<T>) -> Option<Vec<T>> {
    if list.is_empty() { None } else { Some(list) }
}

fn to_file(change: &Change) -> Result<ChangeFile, serde_json::Error> {
    let file = |action: Action, role: &RoleName, kind: &str, path: &str, data: Option<Vec<u8>>| ChangeFile {
        action: action.as_str().to_owned(),
        role: role.to_string(),
        kind: kind.to_owned(),
        path: path.to_owned(),
        data: data.map(|it| STANDARD.encode(it)),
    };
    Ok(match change {
        Change::AddTarget { role, name, target } => {
            let mut hashes = Map::new();
            let known = [
                ("sha256", target.sha256.as_ref().map(<[u8; 32]>::as_slice)),
                ("sha512", target.sha512.as_ref().map(<[u8; 64]>::as_slice)),
            ];
            for (name, hash) in known {
                hashes.extend(hash.map(|it| (name.to_owned(), json!(STANDARD.encode(it)))));
            }
            let meta = FileMeta { length: target.length, hashes, custom: target.custom.clone() };
            file(Action::Create, role, "target", name, Some(serde_json::to_vec(&meta)?))
        }
        Change::RemoveTarget { role, name } => file(Action::Delete, role, "target", name, None),
        Change::Delegation { role, change: DelegationChange::Remove, .. } => {
            file(Action::Delete, role, "delegation", "", None)
        }
        Change::Delegation { role, action, change, threshold } => {
            let data = serde_json::to_vec(&DelegationData::of(change, *threshold))?;
            file(*action, role, "delegation", "", Some(data))
        }
        Change::Witness { role } => file(Action::Update, role, "witness", "", None),
    })
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// A random UUID, as notary names files.
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex::encode(bytes);
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|it| text.get(it).unwrap_or_default());
    parts.join("-")
}

impl Workspace<'_> {
    /// Carries staged changes out, one after the other.
    pub(super) async fn apply_staged(
        &mut self,
        changes: &[StagedChange],
        keyring: &mut Keyring<'_>,
    ) -> Result<(), PublishError> {
        if self.is_new() {
            self.initialize(&Init::docker(), keyring).await?;
        }
        for StagedChange { path, change } in changes {
            self.apply_change(change).await.map_err(|error| match error {
                error @ (PublishError::Trust(_) | PublishError::Key(_)) => error,
                error => PublishError::Staged { path: path.clone(), reason: error.to_string() },
            })?;
        }
        Ok(())
    }

    async fn apply_change(&mut self, change: &Change) -> Result<(), PublishError> {
        match change {
            Change::AddTarget { role, name, target } => {
                let changed = self.edit(role).await?.set_target(name, target);
                changed.map_err(|it| self.author(it))
            }
            Change::RemoveTarget { role, name } => {
                let changed = self.edit(role).await?.remove_target(name);
                changed.map(drop).map_err(|it| self.author(it))
            }
            Change::Delegation { role, change, threshold, .. } => {
                // What notary stages always has a threshold of one, whatever the role has.
                let is_new = self.delegation(role).await?.is_none();
                if is_new && *change == DelegationChange::Remove {
                    return Ok(());
                }
                self.change_delegation(role, change, threshold.filter(|_| is_new)).await
            }
            Change::Witness { role } => {
                // Notary would take over what nobody whose word counts has said.
                self.load(role).await?;
                self.edit(role).await?;
                self.force(role);
                Ok(())
            }
        }
    }
}

const EXTENSION: &str = ".change";
/// A change of one target or delegation; a key inside certificates has some kilobytes.
const FILE_LIMIT: u64 = 1 << 20;
/// As many tags as a large repository has.
const CHANGE_LIMIT: usize = 100_000;
