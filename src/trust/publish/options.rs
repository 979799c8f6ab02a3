//! What a publisher asks for.

use crate::tuf::{KeyId, PublicKey, RoleName};

/// How tags are signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignOptions {
    /// In which roles.
    pub roles: SignAs,
    /// What to do where the server has no trust data of the repository yet.
    pub without_trust: WithoutTrust,
}

impl SignOptions {
    /// As `docker push` signs: docker's choice of roles, and a new repository is initialized.
    #[must_use]
    pub fn docker() -> Self {
        Self { roles: SignAs::Automatic, without_trust: WithoutTrust::Initialize(Init::docker()) }
    }
}

/// In which roles a tag is signed, or revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignAs {
    /// Docker's rule: in `targets` where it delegates to nobody, else in each of its delegations that
    /// may sign the tag and whose key is in the key store.
    Automatic,
    /// In these.
    Roles(Vec<RoleName>),
}

/// What to do where the server has no trust data of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WithoutTrust {
    /// Make it.
    Initialize(Init),
    /// It is an error.
    Refuse,
}

/// How a repository begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init {
    /// The root key, by its canonical ID; `None`: the first one in the key store, or a new one.
    pub root_key: Option<KeyId>,
    /// The PEM certificate of the root key, where it is not to be self-signed.
    pub root_certificate: Option<Vec<u8>>,
    /// Who keeps the snapshot key.
    pub snapshot: ManagedBy,
}

impl Init {
    /// As docker begins: any root key, a certificate of its own, the server keeps the snapshot key.
    #[must_use]
    pub fn docker() -> Self {
        Self { root_key: None, root_certificate: None, snapshot: ManagedBy::Server }
    }
}

/// Who keeps a role's private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManagedBy {
    /// The publisher, in the key store.
    Client,
    /// The trust server.
    Server,
}

/// Which tags are revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tags {
    /// All of them.
    All,
    /// These.
    These(Vec<String>),
}

/// How the keys of a role are replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Who keeps the new key.
    pub managed_by: ManagedBy,
    /// The new keys, by their canonical IDs in the key store; none: one is made.
    pub new_keys: Vec<KeyId>,
    /// For `root`: how many of the versions before the current one have their keys sign, too, for clients
    /// that missed rotations.
    pub legacy: u32,
}

/// A signer as `docker trust signer add` knows them: the role `targets/<name>`, whose keys may also
/// sign in `targets/releases`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSigner {
    /// The name: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// The public keys.
    pub keys: Vec<PublicKey>,
    /// Prefixes of the tags that the signer's own role may sign; none: all tags. The shared role
    /// `targets/releases` knows no such limit.
    pub paths: Vec<String>,
}

/// What to do when the signer that is removed is the only one whose key can sign `targets/releases`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastSigner {
    /// Remove the role with its tags, which are signed no more.
    Remove,
    /// It is an error.
    Refuse,
}

/// What becomes of a delegation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DelegationChange {
    /// It is made where there is none, and gets and loses keys and paths.
    Update {
        /// Keys that it gets.
        add_keys: Vec<PublicKey>,
        /// Keys that it loses, by the IDs that metadata uses or by their canonical ones.
        remove_keys: Vec<KeyId>,
        /// Prefixes that it gets; the empty one stands for all names.
        add_paths: Vec<String>,
        /// Prefixes that it loses.
        remove_paths: Vec<String>,
        /// Whether it loses all prefixes that it had, first.
        clear_paths: bool,
    },
    /// It goes.
    Remove,
}
