//! What became of a publication.

use crate::tuf::author::{Missing, PartialDocument};
use crate::tuf::{KeyId, RoleName, Version};

/// What became of a publication.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is on the server.
    Published(Published),
    /// The server says all of it already.
    Unchanged,
    /// More signatures are needed: nothing was published. The documents can be passed round in a file
    /// ([`super::Publisher::write_parts`]) until enough have signed.
    Incomplete(Vec<Part>),
}

/// A publication that the server took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// The roles whose files were signed here, `root` first, then parents before their children.
    pub roles: Vec<PublishedRole>,
    /// The repository is new.
    pub initialized: bool,
    /// How many times another publisher was faster.
    pub conflicts: u32,
    /// The server's answer was lost; the server was asked again, and has the files.
    pub answer_lost: bool,
    /// Tags that were revoked, but which other roles still list: each with the role, whose keys are not here.
    pub still_signed: Vec<(String, RoleName)>,
    /// What went wrong without harm: a cache that could not be written.
    pub notes: Vec<String>,
}

/// A file that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedRole {
    /// Its role.
    pub role: RoleName,
    /// Its version.
    pub version: Version,
    /// When it expires.
    pub expires: jiff::Timestamp,
    /// The keys that signed it, by the IDs that metadata uses.
    pub key_ids: Vec<KeyId>,
}

/// A document of a publication that lacks signatures, or that waits for one that does.
#[derive(Clone, Debug)]
pub struct Part {
    /// The document with the signatures that it has.
    pub document: PartialDocument,
    /// What it lacks; nothing: it is complete.
    pub missing: Vec<Missing>,
}

/// What was deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// The server was asked to delete the repository's trust data.
    pub remote: bool,
    /// The cached trust data of this machine, with staged changes, was there and is gone.
    pub local: bool,
    /// Keys of the repository that were removed from the key store.
    pub keys: Vec<KeyId>,
}
