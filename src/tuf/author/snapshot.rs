//! Drafts of `snapshot` and `timestamp`.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{AuthorError, UnsignedDocument, body};
use crate::tuf::{RoleKeys, RoleName, Snapshot, Trusted, Version};

/// A `snapshot` in the making.
#[derive(Clone, Debug)]
pub struct SnapshotDraft {
    members: Map<String, Value>,
    version: Version,
    expires: Timestamp,
}

impl SnapshotDraft {
    /// The first version.
    #[must_use]
    pub fn new(expires: Timestamp) -> Self {
        Self { members: Map::new(), version: Version::FIRST, expires }
    }

    /// The version after this one.
    pub fn edit<W>(snapshot: &Trusted<Snapshot, W>, expires: Timestamp) -> Result<Self, AuthorError> {
        Ok(Self { members: body::members(snapshot)?, version: body::next_version(snapshot)?, expires })
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Lists a role's file.
    pub fn set(&mut self, role: &RoleName, file: &[u8]) {
        self.meta().insert(role.to_string(), body::describe(file));
    }

    /// Forgets a role. Returns whether it was listed.
    pub fn remove(&mut self, role: &RoleName) -> bool {
        self.meta().remove(role.as_str()).is_some()
    }

    /// What is to be signed by these keys, which `root` names.
    pub fn finish(self, keys: &RoleKeys) -> Result<UnsignedDocument, AuthorError> {
        document(RoleName::SNAPSHOT, self.members, self.version, self.expires, keys)
    }

    fn meta(&mut self) -> &mut Map<String, Value> {
        body::object(&mut self.members, "meta")
    }
}

/// A `timestamp` in the making.
#[derive(Clone, Debug)]
pub struct TimestampDraft {
    members: Map<String, Value>,
    version: Version,
    expires: Timestamp,
}

impl TimestampDraft {
    /// A timestamp of this version for a snapshot's file.
    #[must_use]
    pub fn new(version: Version, expires: Timestamp, snapshot: &[u8]) -> Self {
        let mut members = Map::new();
        members.insert("meta".to_owned(), json!({"snapshot": body::describe(snapshot)}));
        Self { members, version, expires }
    }

    /// What is to be signed by these keys, which `root` names.
    pub fn finish(self, keys: &RoleKeys) -> Result<UnsignedDocument, AuthorError> {
        document(RoleName::TIMESTAMP, self.members, self.version, self.expires, keys)
    }
}

fn document(
    role: RoleName,
    members: Map<String, Value>,
    version: Version,
    expires: Timestamp,
    keys: &RoleKeys,
) -> Result<UnsignedDocument, AuthorError> {
    let body = body::of_members(members, &role, version, expires)?;
    let demands = vec![keys.clone()];
    Ok(UnsignedDocument { role, version, expires, body, demands, welcome: Vec::new() })
}
