//! What a look-up tells: the digest, and everything that was checked on the way to it.

use serde::Serialize;

use super::PlatformManifest;
use crate::image::{Digest, Gun};

/// A tag whose digest was found in verified trust data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SignedTarget {
    /// The repository.
    pub gun: Gun,
    /// The tag.
    pub tag: String,
    /// The signed digest.
    pub digest: Digest,
    /// The signed number of bytes of the manifest.
    pub size: u64,
    /// The manifests for single platforms that were signed with the index.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<PlatformManifest>,
    /// The role that lists the tag: `targets/releases`, `targets`, or one that the terms name.
    pub role: String,
    /// The other roles that signed the same digest for this tag, as `docker trust inspect` shows
    /// them; `Repo Admin` where there is none. Roles that were not read, or could not be, are missing
    /// (see [`super::SignerListing`] and the notes); then nobody stands in for them.
    pub signers: Vec<Signer>,
    /// Each file that was verified.
    pub roles: Vec<RoleStatus>,
    /// The trust server.
    pub server: String,
    /// Whether the server itself vouched for the data just now.
    pub freshness: Freshness,
    /// The root was trusted on first use, just now.
    pub first_use: bool,
    /// The IDs of the root keys, as a pin names them.
    pub root_key_ids: Vec<String>,
    /// The roles whose files came from the cache.
    pub cached: Vec<String>,
    /// How many HTTP requests the repository took, tokens and redirects included.
    pub requests: u32,
    /// What went wrong without harm: a cache that could not be written, a cached file that was passed over.
    pub notes: Vec<String>,
}

impl SignedTarget {
    /// Whether this is the digest that was signed, or that of a manifest which was signed with it.
    #[must_use]
    pub fn vouches_for(&self, digest: &Digest) -> bool {
        self.digest == *digest || self.platforms.iter().any(|it| it.digest == *digest)
    }
}

/// Somebody who signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Signer {
    /// The delegation without `targets/`, or `Repo Admin`.
    pub name: String,
    /// The keys whose signatures were found valid.
    pub key_ids: Vec<String>,
}

/// One verified file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoleStatus {
    /// The role.
    pub role: String,
    /// Its version.
    pub version: u64,
    /// When it expires.
    #[serde(serialize_with = "as_text")]
    pub expires: jiff::Timestamp,
    /// The keys whose signatures were found valid.
    pub key_ids: Vec<String>,
}

/// Whether the server itself vouched for the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum Freshness {
    /// The server's timestamp was read just now.
    Fresh,
    /// The server could not be reached; a cached timestamp that has not expired was used.
    Cached {
        /// Why the server could not be read.
        reason: String,
    },
}

fn as_text<S: serde::Serializer>(time: &jiff::Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}
