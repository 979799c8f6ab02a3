//! The records of an archive, as JSON and as what they mean.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::image::Gun;
use crate::server::storage::{ChangeKind, ChangeRecord, Listed};
use crate::signer::{KeyRow, SealedKey};
use crate::tuf::{PublicKey, RoleName, Version};

/// A line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Record {
    Change(ChangeMember),
    End(EndMember),
    File(FileMember),
    Key(KeyMember),
    Repository { gun: String },
    SigningKey(SigningKeyMember),
}

/// An entry of the list of changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::server::transfer) struct ChangeMember {
    id: i64,
    at: String,
    gun: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

/// What the archive has, and the hash over it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndMember {
    pub(super) keys: u64,
    pub(super) repositories: u64,
    pub(super) files: u64,
    pub(super) changes: u64,
    pub(super) sha256: String,
}

/// A file, whose bytes are behind the line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::server::transfer) struct FileMember {
    role: String,
    version: u64,
    sha256: String,
    pub(super) length: u64,
    stored: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced: Option<String>,
}

/// A sealed key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::server::transfer) struct KeyMember {
    gun: String,
    role: String,
    public: Value,
    alias: String,
    sealed: String,
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<String>,
}

/// A public key that the server handed out for a role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::server::transfer) struct SigningKeyMember {
    role: String,
    public: Value,
    created: String,
}

impl From<&ChangeRecord> for ChangeMember {
    fn from(record: &ChangeRecord) -> Self {
        let (version, sha256) = match &record.kind {
            ChangeKind::Update { version, sha256 } => (Some(version.get()), Some(hex::encode(sha256))),
            ChangeKind::Deletion => (None, None),
        };
        Self { id: record.id, at: record.at.to_string(), gun: record.gun.to_string(), version, sha256 }
    }
}

impl ChangeMember {
    pub(in crate::server::transfer) fn record(&self) -> Result<ChangeRecord, String> {
        let kind = match (self.version, &self.sha256) {
            (Some(number), Some(hash)) => {
                ChangeKind::Update { version: version(number)?, sha256: sha256(hash)? }
            }
            (None, None) => ChangeKind::Deletion,
            _ => return Err("a change has only one of `version` and `sha256`".to_owned()),
        };
        Ok(ChangeRecord { id: self.id, at: time(&self.at)?, gun: gun(&self.gun)?, kind })
    }
}

impl From<&Listed> for FileMember {
    fn from(file: &Listed) -> Self {
        Self {
            role: file.role.to_string(),
            version: file.version.get(),
            sha256: hex::encode(file.sha256),
            length: file.size,
            stored: file.stored.to_string(),
            replaced: file.replaced.map(|it| it.to_string()),
        }
    }
}

impl FileMember {
    /// The same, with its place in the archive for its place in a storage.
    pub(in crate::server::transfer) fn listed(&self, place: u64) -> Result<Listed, String> {
        Ok(Listed {
            id: i64::try_from(place).map_err(|it| it.to_string())?,
            role: role(&self.role)?,
            version: version(self.version)?,
            sha256: sha256(&self.sha256)?,
            size: self.length,
            stored: time(&self.stored)?,
            replaced: self.replaced.as_deref().map(time).transpose()?,
        })
    }
}

impl From<&KeyRow> for KeyMember {
    fn from(row: &KeyRow) -> Self {
        Self {
            gun: row.gun.to_string(),
            role: row.role.to_string(),
            public: row.public.to_json(),
            alias: row.sealed.alias.to_string(),
            sealed: STANDARD.encode(&row.sealed.bytes),
            created: row.created.to_string(),
            used: row.last_used.map(|it| it.to_string()),
        }
    }
}

impl KeyMember {
    pub(in crate::server::transfer) fn row(&self) -> Result<KeyRow, String> {
        let alias = self.alias.parse().map_err(|it: crate::signer::AliasError| it.to_string())?;
        let bytes = STANDARD.decode(&self.sealed).map_err(|_| "a sealed key is not base64".to_owned())?;
        Ok(KeyRow {
            public: public(&self.public)?,
            gun: gun(&self.gun)?,
            role: role(&self.role)?,
            sealed: SealedKey { alias, bytes },
            created: time(&self.created)?,
            last_used: self.used.as_deref().map(time).transpose()?,
        })
    }
}

impl SigningKeyMember {
    pub(in crate::server::transfer) fn new(role: &RoleName, key: &PublicKey, created: Timestamp) -> Self {
        Self { role: role.to_string(), public: key.to_json(), created: created.to_string() }
    }

    pub(in crate::server::transfer) fn key(&self) -> Result<(RoleName, PublicKey, Timestamp), String> {
        Ok((role(&self.role)?, public(&self.public)?, time(&self.created)?))
    }
}

pub(super) fn gun(text: &str) -> Result<Gun, String> {
    text.parse().map_err(|it: crate::image::GunError| it.to_string())
}

fn role(text: &str) -> Result<RoleName, String> {
    text.parse().map_err(|it: crate::tuf::TufError| it.to_string())
}

fn public(key: &Value) -> Result<PublicKey, String> {
    PublicKey::from_json(key.to_string().as_bytes())
}

/// As the database has room for.
fn version(number: u64) -> Result<Version, String> {
    let version = i64::try_from(number).ok().and_then(|_| Version::new(number));
    version.ok_or_else(|| format!("there is no version {number}"))
}

fn sha256(text: &str) -> Result<[u8; 32], String> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash).map_err(|_| "a SHA-256 is not 64 hexadecimal digits".to_owned())?;
    Ok(hash)
}

fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| format!("{text:.40?} is no time"))
}
