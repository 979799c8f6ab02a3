//! Where the server keeps files: every version of every role, by repository.
//!
//! What a file says is not looked at here; whoever publishes has checked it. What this room vouches
//! for is order: a publish is one transaction under its repository's lock, lands on exactly the state
//! that it was made for, and never replaces a version by one that is not newer.

mod at_once;
mod error;
mod moving;
mod recent;
mod sql;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use ring::digest::{SHA256, digest};

use crate::image::Gun;
use crate::tuf::{PublicKey, RoleName, Version};

pub use error::StorageError;
pub use moving::{ChangesRestored, FileMark, Listed, PastFile, Snapshot};
pub use recent::RecentFiles;
pub use sql::SqlStorage;

/// What comes of asking a [`Storage`].
pub type Answer<'a, T> = BoxFuture<'a, Result<T, StorageError>>;

/// A place for the files of all repositories.
pub trait Storage: Send + Sync {
    /// The role's newest file.
    fn current<'a>(&'a self, gun: &'a Gun, role: &'a RoleName) -> Answer<'a, Option<StoredFile>>;

    /// The role's file with this hash. Two roles of a repository may have the same bytes: nothing in a file
    /// says whose it is.
    fn by_hash<'a>(
        &'a self,
        gun: &'a Gun,
        role: &'a RoleName,
        sha256: &'a [u8; 32],
    ) -> Answer<'a, Option<StoredFile>>;

    /// The role's file of this version.
    fn by_version<'a>(
        &'a self,
        gun: &'a Gun,
        role: &'a RoleName,
        version: Version,
    ) -> Answer<'a, Option<StoredFile>>;

    /// What the newest files of all the repository's roles are; all of one moment. Nothing, where there
    /// is no such repository.
    fn heads<'a>(&'a self, gun: &'a Gun) -> Answer<'a, BTreeMap<RoleName, Head>>;

    /// Stores what belongs together, or nothing of it.
    fn publish<'a>(&'a self, gun: &'a Gun, change: &'a Change, now: Timestamp) -> Answer<'a, ()>;

    /// Forgets the repository and its files. Returns whether there was one. Signing keys stay known.
    fn delete<'a>(&'a self, gun: &'a Gun, now: Timestamp) -> Answer<'a, bool>;

    /// What was published and deleted, in that order.
    fn changes<'a>(&'a self, query: &'a ChangeQuery) -> Answer<'a, Vec<ChangeRecord>>;

    /// The keys that the server handed out for a role of the repository, newest first.
    fn signing_keys<'a>(&'a self, gun: &'a Gun, role: &'a RoleName) -> Answer<'a, Vec<PublicKey>>;

    /// Keeps in mind that the server signs with this key.
    fn add_signing_key<'a>(
        &'a self,
        gun: &'a Gun,
        role: &'a RoleName,
        key: &'a PublicKey,
        now: Timestamp,
    ) -> Answer<'a, ()>;

    /// Repositories whose newest file of this role expires before a time, soonest first.
    fn expiring<'a>(&'a self, role: &'a RoleName, before: Timestamp, limit: u32) -> Answer<'a, Vec<Gun>>;

    /// Repositories in the order of their names' bytes.
    fn repositories<'a>(&'a self, query: &'a RepositoryQuery) -> Answer<'a, Vec<Gun>>;

    /// What is known of the newest files of all the repository's roles without reading them; all of one
    /// moment, in the order of the roles' names. Nothing, where there is no such repository.
    fn standing<'a>(&'a self, gun: &'a Gun) -> Answer<'a, Vec<Standing>>;

    /// Forgets files that were replaced before a time. Roots are kept, all of them: a client that was
    /// away needs each to follow the chain. Returns how many were forgotten.
    fn prune(&self, replaced_before: Timestamp) -> Answer<'_, u64>;

    /// Whether it can be read and, as far as can be told without writing, written.
    fn health(&self) -> Answer<'_, ()>;
}

/// A file to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFile {
    /// Its role.
    pub role: RoleName,
    /// Its version.
    pub version: Version,
    /// When it expires.
    pub expires: Timestamp,
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// Its bytes.
    pub content: Vec<u8>,
}

impl NewFile {
    /// A file and its hash.
    #[must_use]
    pub fn new(role: RoleName, version: Version, expires: Timestamp, content: Vec<u8>) -> Self {
        Self { role, version, expires, sha256: sha256(&content), content }
    }
}

/// A file as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// Its role.
    pub role: RoleName,
    /// Its version.
    pub version: Version,
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// Its bytes.
    pub content: Bytes,
    /// When it was stored, to the second.
    pub stored: Timestamp,
    /// When it expires.
    pub expires: Timestamp,
}

/// Which file is a role's newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its version.
    pub version: Version,
    /// Its SHA-256.
    pub sha256: [u8; 32],
}

/// How a role's newest file stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its role.
    pub role: RoleName,
    /// Its version.
    pub version: Version,
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// How many bytes it has.
    pub size: u64,
    /// When it expires.
    pub expires: Timestamp,
    /// When it was stored, to the second.
    pub stored: Timestamp,
}

/// Which repositories are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryQuery {
    /// Those after this one; it need not exist.
    pub after: Option<Gun>,
    /// Those whose name has this somewhere, whatever its case.
    pub search: Option<String>,
    /// How many at most.
    pub limit: u32,
}

/// What a publish changes, and on top of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The SHA-256 of the timestamp that was current when this was made; `None`: there was no repository.
    /// Every publish brings a timestamp, so this names the whole state.
    pub expected: Option<[u8; 32]>,
    /// The new files, a timestamp among them, at most one for each role.
    pub files: Vec<NewFile>,
    /// Roles that are no longer delegated to. Their versions are free again.
    pub retired: Vec<RoleName>,
}

/// Which part of the list of changes is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeQuery {
    /// Those of one repository, or of all.
    pub gun: Option<Gun>,
    /// Where to start.
    pub start: ChangeStart,
    /// How many at most.
    pub count: u32,
}

/// Where to start in the list of changes; the answer is oldest first in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeStart {
    /// The changes right after this one; 0 is before the first.
    After(i64),
    /// The changes right before this one.
    Before(i64),
    /// The newest changes.
    Newest,
}

/// One entry of the list of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRecord {
    /// Its place in the list.
    pub id: i64,
    /// When it happened.
    pub at: Timestamp,
    /// The repository.
    pub gun: Gun,
    /// What happened.
    pub kind: ChangeKind,
}

/// What happened to a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It has a new timestamp.
    Update {
        /// The timestamp's version.
        version: Version,
        /// The timestamp's SHA-256.
        sha256: [u8; 32],
    },
    /// It was deleted.
    Deletion,
}

/// The SHA-256 of a file.
#[must_use]
pub fn sha256(content: &[u8]) -> [u8; 32] {
    let mut value = [0; 32];
    value.copy_from_slice(digest(&SHA256, content).as_ref());
    value
}
