//! Drafts of `snapshot` and `timestamp`.

use jiff::Timestamp;

use super::{AuthorError, UnsignedDocument};
use crate::tuf::{RoleKeys, RoleName, Snapshot, Trusted, Version};

/// A `snapshot` in the making.
#[derive(Clone, Debug)]
pub struct SnapshotDraft {}

impl SnapshotDraft {
    /// The first version.
    #[must_use]
    pub fn new(_expires: Timestamp) -> Self {
        todo!()
    }
    /// The version after this one.
    pub fn edit(_snapshot: &Trusted<Snapshot>, _expires: Timestamp) -> Result<Self, AuthorError> {
        todo!()
    }
    /// Its version.
    #[must_use]
    pub fn version(&self) -> Version {
        todo!()
    }
    /// Lists a role's file.
    pub fn set(&mut self, _role: &RoleName, _file: &[u8]) {
        todo!()
    }
    /// Forgets a role. Returns whether it was listed.
    pub fn remove(&mut self, _role: &RoleName) -> bool {
        todo!()
    }
    /// What is to be signed by these keys.
    pub fn finish(self, _keys: &RoleKeys) -> Result<UnsignedDocument, AuthorError> {
        todo!()
    }
}

/// A `timestamp` in the making.
#[derive(Clone, Debug)]
pub struct TimestampDraft {}

impl TimestampDraft {
    /// A timestamp of this version for a snapshot's file.
    #[must_use]
    pub fn new(_version: Version, _expires: Timestamp, _snapshot: &[u8]) -> Self {
        todo!()
    }
    /// What is to be signed by these keys.
    pub fn finish(self, _keys: &RoleKeys) -> Result<UnsignedDocument, AuthorError> {
        todo!()
    }
}
