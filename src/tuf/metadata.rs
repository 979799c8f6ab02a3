//! What the four kinds of file say, once their signatures were checked.

use std::collections::BTreeMap;
use std::fmt;

use super::{PublicKey, RoleName, TufError};

/// A file's version: at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Version(u64);

impl Version {
    /// The version with this number; 0 and numbers beyond 2⁵³ are none.
    #[must_use]
    pub fn new(number: u64) -> Option<Self> {
        (1..=Self::MAX).contains(&number).then_some(Self(number))
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

    /// The largest integer that every JSON reader keeps exactly.
    const MAX: u64 = 1 << 53;
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

/// What `root` says: the keys of the base roles.
#[derive(Clone, Debug)]
pub struct Root {
    pub(super) roles: BTreeMap<RoleName, RoleKeys>,
}

impl Root {
    /// The keys of a base role.
    #[must_use]
    pub fn role(&self, role: &RoleName) -> Option<&RoleKeys> {
        self.roles.get(role)
    }
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

/// What `snapshot` says: which files belong together.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(super) meta: BTreeMap<String, FileMeta>,
}

impl Snapshot {
    /// What it says about a role's file.
    #[must_use]
    pub fn meta(&self, role: &RoleName) -> Option<&FileMeta> {
        self.meta.get(role.as_str())
    }
}

/// What `timestamp` says: which snapshot is current.
#[derive(Clone, Debug)]
pub struct Timestamp {
    pub(super) snapshot: FileMeta,
}

impl Timestamp {
    /// The current snapshot's file.
    #[must_use]
    pub fn snapshot(&self) -> &FileMeta {
        &self.snapshot
    }
}

/// What `targets` or a delegation says: the tags, and who else may sign some.
#[derive(Clone, Debug)]
pub struct Targets {
    delegations: Vec<Delegation>,
}

impl Targets {
    /// The target of this name, when the role lists it and may sign it.
    pub fn find(&self, _name: &str) -> Result<Option<Target>, TufError> {
        todo!()
    }

    /// Calls with each target that the role lists and may sign, in the order of their names.
    pub fn for_each(&self, _visit: impl FnMut(&str, Target)) -> Result<(), TufError> {
        todo!()
    }

    /// The first names in their order, at most `limit`.
    #[must_use]
    pub fn names(&self, _limit: usize) -> Vec<String> {
        todo!()
    }

    /// The roles that it delegates to, in the order of the file.
    #[must_use]
    pub fn delegations(&self) -> &[Delegation] {
        &self.delegations
    }

    /// The delegation of this name.
    #[must_use]
    pub fn delegation(&self, role: &RoleName) -> Option<&Delegation> {
        self.delegations.iter().find(|it| it.name == *role)
    }
}

/// A role that another delegates to.
#[derive(Clone, Debug)]
pub struct Delegation {
    /// Its name; its parent is the role that delegates.
    pub name: RoleName,
    /// Its keys and threshold.
    pub keys: RoleKeys,
    /// The prefixes of the names it may sign; empty: none.
    pub paths: Vec<String>,
}

/// What a role says about one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The number of bytes of the manifest.
    pub length: u64,
    /// Its SHA-256, which is the digest; `None` where only other hashes are listed.
    pub sha256: Option<[u8; 32]>,
    /// Its SHA-512, where it is listed.
    pub sha512: Option<[u8; 64]>,
    /// What the publisher added.
    pub custom: Option<serde_json::Value>,
}
