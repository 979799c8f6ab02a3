//! The update rules: the only place that makes a [`Trusted`].

use std::ops::Deref;
use std::sync::Arc;

use super::{KeyId, RoleName, Root, Snapshot, Targets, Timestamp, TufError, Version};

/// Metadata whose signatures, hashes, version and time were checked.
#[derive(Clone, Debug)]
pub struct Trusted<T> {
    role: RoleName,
    raw: Arc<Vec<u8>>,
    version: Version,
    expires: jiff::Timestamp,
    signatures: Vec<KeyId>,
    value: T,
}

impl<T> Trusted<T> {
    /// The role that it was verified as.
    #[must_use]
    pub fn role(&self) -> &RoleName {
        &self.role
    }

    /// The file as it came over the wire.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// When it expires.
    #[must_use]
    pub fn expires(&self) -> jiff::Timestamp {
        self.expires
    }

    /// The IDs of the keys whose signatures were found valid.
    #[must_use]
    pub fn signatures(&self) -> &[KeyId] {
        &self.signatures
    }
}

impl<T> Deref for Trusted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Verifies a timestamp: the role's keys signed it, it is unexpired and not older than `minimum`.
pub fn verify_timestamp(
    _root: &Trusted<Root>,
    _raw: Vec<u8>,
    _minimum: Option<Version>,
    _now: jiff::Timestamp,
) -> Result<Trusted<Timestamp>, TufError> {
    todo!()
}

/// Verifies the snapshot that the timestamp names, and that it names this very root.
pub fn verify_snapshot(
    _root: &Trusted<Root>,
    _timestamp: &Trusted<Timestamp>,
    _raw: Vec<u8>,
    _minimum: Option<Version>,
    _now: jiff::Timestamp,
) -> Result<Trusted<Snapshot>, TufError> {
    todo!()
}

/// Verifies the `targets` file that the snapshot names.
pub fn verify_targets(
    _root: &Trusted<Root>,
    _snapshot: &Trusted<Snapshot>,
    _raw: Vec<u8>,
    _minimum: Option<Version>,
    _now: jiff::Timestamp,
) -> Result<Trusted<Targets>, TufError> {
    todo!()
}

/// Verifies the delegation's file that the snapshot names, by the keys that its parent names.
pub fn verify_delegation(
    _parent: &Trusted<Targets>,
    _role: &RoleName,
    _snapshot: &Trusted<Snapshot>,
    _raw: Vec<u8>,
    _minimum: Option<Version>,
    _now: jiff::Timestamp,
) -> Result<Trusted<Targets>, TufError> {
    todo!()
}

/// The version of an older `timestamp`, `snapshot` or `targets` file that the root's keys signed, however
/// old it is: the lowest version that a newer file may have.
pub fn signed_version(_root: &Trusted<Root>, _role: &RoleName, _raw: Vec<u8>) -> Result<Version, TufError> {
    todo!()
}

/// The same of an older delegation file, by the keys that its parent names.
pub fn signed_delegation_version(
    _parent: &Trusted<Targets>,
    _role: &RoleName,
    _raw: Vec<u8>,
) -> Result<Version, TufError> {
    todo!()
}

/// The version that **unverified** bytes claim: good for choosing what to fetch next, for nothing else.
#[must_use]
pub fn peek_version(_raw: &[u8]) -> Option<Version> {
    todo!()
}
