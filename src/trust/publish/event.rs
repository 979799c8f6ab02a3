//! What happens on the way, for those who want to tell somebody.

use crate::image::Gun;
use crate::tuf::{KeyId, RoleName};

/// Something that happened on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The server has no trust data of the repository: it is made.
    Initializing {
        /// The repository.
        gun: Gun,
    },
    /// A new root key is about to be stored; its passphrase is asked for next.
    MakingRootKey {
        /// The key.
        key_id: KeyId,
    },
    /// A new key of a repository is about to be stored; its passphrase is asked for next.
    MakingKey {
        /// The role that it is for.
        role: RoleName,
        /// The key.
        key_id: KeyId,
    },
    /// The repository's first version is on the server: docker's `Finished initializing`.
    Initialized {
        /// The repository.
        gun: Gun,
    },
    /// A role expires soon, and it was not signed again now.
    NearExpiry {
        /// The role.
        role: RoleName,
        /// When it expires.
        expires: jiff::Timestamp,
        /// Why it was not signed again: the key is not here, or could not be opened.
        reason: String,
    },
    /// A role expires soon, and is signed again with what is published.
    Renewed {
        /// The role.
        role: RoleName,
    },
    /// The role's file was signed by keys that it no longer has, so that nothing of it counts any more: it
    /// begins anew with what is published.
    BegunAnew {
        /// The role.
        role: RoleName,
    },
    /// A key was taken from a role, and nobody here can sign the role's file anew: until one of these
    /// keys does, readers refuse it.
    NeedsSigning {
        /// The role.
        role: RoleName,
        /// The keys that can sign it.
        key_ids: Vec<KeyId>,
    },
    /// Another publisher was faster; everything is done anew on what that one left.
    Conflict {
        /// How many times that happened by now.
        attempt: u32,
    },
    /// The server could not answer now; it is asked again.
    Retrying {
        /// Why.
        reason: String,
    },
    /// The answer to a publication was lost, but it took effect.
    AnswerLost,
    /// The new state is published, but could not be kept in the cache.
    NotCached {
        /// Why.
        reason: String,
    },
    /// A key that no role needs any more was removed from the key store.
    KeyRemoved {
        /// The role that it was for.
        role: RoleName,
        /// The key.
        key_id: KeyId,
    },
    /// A step was reached. Whatever happens from here on, the same command can be run again.
    Reached(Step),
}

/// The steps of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The repository's state was read.
    Read,
    /// The root key is in the key store.
    RootKey,
    /// The repository's own key is in the key store.
    RepositoryKey,
    /// The server told its public keys.
    ServerKeys,
    /// All files are signed.
    Signed,
    /// The server took the files, but we do not know yet.
    Sent,
    /// The server said that it took them.
    Published,
    /// The cache holds the new state.
    Cached,
}

impl Step {
    /// All, in their order.
    pub const ALL: [Self; 8] = [
        Self::Read,
        Self::RootKey,
        Self::RepositoryKey,
        Self::ServerKeys,
        Self::Signed,
        Self::Sent,
        Self::Published,
        Self::Cached,
    ];
}
