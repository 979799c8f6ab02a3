//! All that is known of a repository: its roles, who may sign, with which keys, what is signed.

use crate::image::Gun;
use crate::trust::Freshness;
use crate::tuf::{KeyId, KeyType, RoleName, Target, Version};

/// How far a survey goes, and what it forgives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SurveyScope {
    /// What a reader would accept now; a broken delegation is told, a broken base role is an error.
    Valid,
    /// The same, but for expiry: for looking at what locks readers out.
    EvenExpired,
    /// What the cache has, without asking the server; expiry is ignored, and there may be newer data.
    Cached,
}

/// What is known of a repository.
#[derive(Clone, Debug, PartialEq)]
pub struct Survey {
    /// The repository.
    pub gun: Gun,
    /// The trust server.
    pub server: String,
    /// Whether the server itself vouched for the data just now.
    pub freshness: Freshness,
    /// The root was trusted on first use, just now.
    pub first_use: bool,
    /// `root`, `targets`, `snapshot` and `timestamp`.
    pub roles: Vec<SurveyedRole>,
    /// All delegations, parents before their children, each in the order of its parent's file.
    pub delegations: Vec<SurveyedDelegation>,
    /// Every target of every role that could be read, by name and role.
    pub targets: Vec<SurveyedTarget>,
    /// Staged changes, as notary keeps them.
    pub staged: usize,
    /// What went wrong without harm.
    pub notes: Vec<String>,
}

/// A role, and who may sign it.
#[derive(Clone, Debug, PartialEq)]
pub struct SurveyedRole {
    /// Its name.
    pub role: RoleName,
    /// Its version.
    pub version: Version,
    /// When it expires.
    pub expires: jiff::Timestamp,
    /// How many keys must sign.
    pub threshold: u64,
    /// The keys that may.
    pub keys: Vec<SurveyedKey>,
}

/// A key of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyedKey {
    /// The ID that metadata uses.
    pub id: KeyId,
    /// The ID of the plain key, by which key files are named.
    pub canonical_id: KeyId,
    /// What kind of key it is.
    pub key_type: KeyType,
    /// Whether the key store has it.
    pub here: bool,
    /// Whether its signature is among those that count now.
    pub signed: bool,
}

/// A role that another delegates to.
#[derive(Clone, Debug, PartialEq)]
pub struct SurveyedDelegation {
    /// Its name.
    pub role: RoleName,
    /// The prefixes of the tags that it may sign, as its parent says.
    pub paths: Vec<String>,
    /// How many keys must sign.
    pub threshold: u64,
    /// The keys that may.
    pub keys: Vec<SurveyedKey>,
    /// Its own file; `None`: it never signed anything.
    pub file: Option<(Version, jiff::Timestamp)>,
    /// Why its file cannot be used, where it cannot.
    pub problem: Option<String>,
}

/// A target, as one role says it.
#[derive(Clone, Debug, PartialEq)]
pub struct SurveyedTarget {
    /// Its name: the tag.
    pub name: String,
    /// The role that says so.
    pub role: RoleName,
    /// What it says.
    pub target: Target,
}
