//! What `root`, `snapshot` and `timestamp` say. `verify` calls these readers once signatures hold.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::document::Document;
use super::error::shown;
use super::moment;
use super::view::{Parsed, View};
use super::{KeyId, PublicKey, RoleName, TufError};

/// A file's version: at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Version(u64);

impl Version {
    /// A new file's.
    pub const FIRST: Self = Self(1);

    /// The version with this number; 0 and numbers beyond 2⁵³ are none.
    #[must_use]
    pub fn new(number: u64) -> Option<Self> {
        (1..=VERSION_LIMIT).contains(&number).then_some(Self(number))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }

    /// The version after this one.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        Self::new(self.0 + 1)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The keys of one role and how many of them must sign.
#[derive(Clone, Debug)]
pub struct RoleKeys {
    /// The keys.
    pub keys: Vec<PublicKey>,
    /// How many distinct keys must sign; at least 1.
    pub threshold: u64,
}

impl RoleKeys {
    /// Picks a role's keys out of those of its file.
    pub(super) fn parse(
        keys: &BTreeMap<KeyId, PublicKey>,
        key_ids: Option<View<'_>>,
        threshold: Option<View<'_>>,
    ) -> Parsed<Self> {
        let threshold = threshold.ok_or("`threshold` is missing")?.count()?;
        if threshold == 0 {
            return Err("its threshold is 0".to_owned());
        }
        let mut picked: Vec<PublicKey> = Vec::new();
        for id in items(key_ids)? {
            let id = id?.text()?;
            let key = id.parse().ok().and_then(|id: KeyId| keys.get(&id));
            let key = key.ok_or_else(|| format!("key {} is not among the file's keys", shown(&id)))?;
            if picked.len() >= KEY_LIMIT {
                return Err(format!("more than {KEY_LIMIT} keys"));
            }
            if !picked.iter().any(|it| it.id() == key.id()) {
                picked.push(key.clone());
            }
        }
        Ok(Self { keys: picked, threshold })
    }
}

/// What every file says of itself.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) version: Version,
    pub(super) expires: jiff::Timestamp,
}

impl Header {
    /// Reads the members that every role has, of a file that should be this role's.
    pub(super) fn parse(document: &Document, role: &RoleName) -> Parsed<Self> {
        let [kind, version, expires] = document.fields(["_type", "version", "expires"])?;
        let kind = kind.ok_or("`_type` is missing")?.text().map_err(|it| format!("`_type`: {it}"))?;
        if kind != role.type_name() {
            return Err(format!("`_type` is {} instead of {:?}", shown(&kind), role.type_name()));
        }
        let number =
            version.ok_or("`version` is missing")?.count().map_err(|it| format!("`version`: {it}"))?;
        let version = Version::new(number).ok_or_else(|| format!("its version is {number}"))?;
        let expires =
            expires.ok_or("`expires` is missing")?.text().map_err(|it| format!("`expires`: {it}"))?;
        Ok(Self { version, expires: moment::parse(&expires).map_err(|it| format!("`expires`: {it}"))? })
    }
}

/// What `root` says: the keys of the base roles.
#[derive(Clone, Debug)]
pub struct Root {
    roles: BTreeMap<RoleName, RoleKeys>,
}

impl Root {
    /// The keys of a base role; a delegation's are in its parent.
    #[must_use]
    pub fn role(&self, role: &RoleName) -> Option<&RoleKeys> {
        self.roles.get(role)
    }

    pub(super) fn parse(document: &Document) -> Result<Self, TufError> {
        let malformed = |reason: String| TufError::Malformed { role: RoleName::ROOT, reason };
        let [keys, roles, _] =
            document.fields(["keys", "roles", "consistent_snapshot"]).map_err(malformed)?;
        let keys = parse_keys(&RoleName::ROOT, keys)?;
        let names = [RoleName::ROOT, RoleName::SNAPSHOT, RoleName::TARGETS, RoleName::TIMESTAMP];
        let roles = roles.ok_or_else(|| malformed("`roles` is missing".to_owned()))?;
        let fields = roles.fields(names.each_ref().map(RoleName::as_str));
        let fields = fields.map_err(|it| malformed(format!("`roles`: {it}")))?;
        let mut parsed = BTreeMap::new();
        for (name, field) in names.into_iter().zip(fields) {
            let role = field.ok_or_else(|| format!("`roles` lacks `{name}`")).and_then(|it| {
                let [key_ids, threshold] = it.fields(["keyids", "threshold"])?;
                RoleKeys::parse(&keys, key_ids, threshold)
            });
            let role = role.map_err(|it| malformed(format!("role `{name}`: {it}")))?;
            parsed.insert(name, role);
        }
        Ok(Self { roles: parsed })
    }
}

/// Reads a map of keys, each under its own ID; `null` or nothing is no keys.
pub(super) fn parse_keys(
    role: &RoleName,
    keys: Option<View<'_>>,
) -> Result<BTreeMap<KeyId, PublicKey>, TufError> {
    let malformed = |reason: String| TufError::Malformed { role: role.clone(), reason };
    let mut parsed = BTreeMap::new();
    let Some(keys) = keys.filter(|it| !it.is_null()) else { return Ok(parsed) };
    for entry in keys.entries().map_err(|it| malformed(format!("`keys`: {it}")))? {
        let entry = entry.map_err(malformed)?;
        let name = entry.name().map_err(malformed)?;
        let claimed: KeyId =
            name.parse().map_err(|_| malformed(format!("`keys`: {} is not a key ID", shown(&name))))?;
        let key = PublicKey::parse(entry.value).map_err(|it| malformed(format!("key {claimed}: {it}")))?;
        if *key.id() != claimed {
            return Err(TufError::KeyIdMismatch { role: role.clone(), claimed, actual: key.id().clone() });
        }
        if parsed.len() >= KEY_LIMIT {
            return Err(malformed(format!("more than {KEY_LIMIT} keys")));
        }
        parsed.insert(claimed, key);
    }
    Ok(parsed)
}

/// The items of an array; `null` or nothing is none.
pub(super) fn items(list: Option<View<'_>>) -> Parsed<impl Iterator<Item = Parsed<View<'_>>>> {
    let list = list.filter(|it| !it.is_null()).map(View::items).transpose()?;
    Ok(list.into_iter().flatten())
}

/// Length and hashes of a file of metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileMeta {
    /// The exact number of bytes.
    pub length: u64,
    /// The SHA-256 of the file.
    pub sha256: [u8; 32],
    /// The SHA-512 of the file, where it is listed.
    pub sha512: Option<[u8; 64]>,
}

impl FileMeta {
    fn parse(meta: View<'_>) -> Parsed<Self> {
        let [length, hashes] = meta.fields(["length", "hashes"])?;
        let length = length.ok_or("`length` is missing")?.count().map_err(|it| format!("`length`: {it}"))?;
        let hashes = Hashes::parse(hashes)?;
        let sha256 = hashes.sha256.ok_or("it has no SHA-256")?;
        Ok(Self { length, sha256, sha512: hashes.sha512 })
    }
}

/// The hashes of a file, by the functions that are known; others are ignored, as Notary does.
pub(super) struct Hashes {
    pub(super) sha256: Option<[u8; 32]>,
    pub(super) sha512: Option<[u8; 64]>,
}

impl Hashes {
    pub(super) fn parse(hashes: Option<View<'_>>) -> Parsed<Self> {
        let Some(hashes) = hashes.filter(|it| !it.is_null()) else {
            return Ok(Self { sha256: None, sha512: None });
        };
        let [sha256, sha512] = hashes.fields(["sha256", "sha512"])?;
        Ok(Self { sha256: decode(sha256, "sha256")?, sha512: decode(sha512, "sha512")? })
    }
}

fn decode<const N: usize>(hash: Option<View<'_>>, name: &str) -> Parsed<Option<[u8; N]>> {
    let Some(hash) = hash else { return Ok(None) };
    let bytes =
        STANDARD.decode(hash.text()?.as_bytes()).map_err(|it| format!("`{name}` is not base64: {it}"))?;
    let found = bytes.len();
    let hash = bytes.try_into().map_err(|_| format!("`{name}` has {found} bytes instead of {N}"))?;
    Ok(Some(hash))
}

/// What `snapshot` says: which files belong together.
#[derive(Clone, Debug)]
pub struct Snapshot {
    meta: BTreeMap<RoleName, FileMeta>,
}

impl Snapshot {
    /// What it says about a role's file.
    #[must_use]
    pub fn meta(&self, role: &RoleName) -> Option<&FileMeta> {
        self.meta.get(role)
    }

    /// The roles that it lists, those that nobody delegates to any more among them.
    pub fn roles(&self) -> impl Iterator<Item = &RoleName> {
        self.meta.keys()
    }

    pub(super) fn parse(document: &Document) -> Parsed<Self> {
        let [meta] = document.fields(["meta"])?;
        let mut parsed = BTreeMap::new();
        for entry in meta.ok_or("`meta` is missing")?.entries().map_err(|it| format!("`meta`: {it}"))? {
            let entry = entry?;
            let name = entry.name()?;
            // No role can have another name, so nothing can ask for it.
            let Ok(role) = name.parse::<RoleName>() else { continue };
            if parsed.len() >= FILE_LIMIT {
                return Err(format!("more than {FILE_LIMIT} files"));
            }
            let meta = FileMeta::parse(entry.value).map_err(|it| format!("`meta` of `{role}`: {it}"))?;
            parsed.insert(role, meta);
        }
        for role in [RoleName::ROOT, RoleName::TARGETS] {
            if !parsed.contains_key(&role) {
                return Err(format!("`meta` lacks `{role}`"));
            }
        }
        Ok(Self { meta: parsed })
    }
}

/// What `timestamp` says: which snapshot is current.
#[derive(Clone, Debug)]
pub struct Timestamp {
    snapshot: FileMeta,
}

impl Timestamp {
    /// The current snapshot's file.
    #[must_use]
    pub fn snapshot(&self) -> &FileMeta {
        &self.snapshot
    }

    pub(super) fn parse(document: &Document) -> Parsed<Self> {
        let [meta] = document.fields(["meta"])?;
        let [snapshot] =
            meta.ok_or("`meta` is missing")?.fields(["snapshot"]).map_err(|it| format!("`meta`: {it}"))?;
        let snapshot = snapshot.ok_or("`meta` lacks `snapshot`")?;
        let snapshot = FileMeta::parse(snapshot).map_err(|it| format!("`meta` of `snapshot`: {it}"))?;
        Ok(Self { snapshot })
    }
}

/// The largest integer that every JSON reader keeps exactly.
const VERSION_LIMIT: u64 = 1 << 53;
/// A root keeps the certificates of past rotations; a repository has a few dozen signers.
const KEY_LIMIT: usize = 1024;
/// One file for each delegation, past ones among them, as servers never forget one.
const FILE_LIMIT: usize = 16 << 10;
