//! What a caller asks of a repository, and on which terms.

use std::fmt;

use futures_util::future::BoxFuture;

use super::{SignedTarget, TrustError};
use crate::image::{Digest, Gun, Tag};
use crate::tuf::{RoleName, RootPins};

/// What is demanded of one repository's trust data; `policy` makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryTerms {
    /// The trust server; `None` means the one that [`super::server_for`] finds.
    pub server: Option<url::Url>,
    /// What must hold for the repository's root.
    pub pins: RootPins,
    /// A cached timestamp is not enough: the server itself must answer.
    pub require_fresh: bool,
    /// Which roles may release a tag.
    pub roles: RoleChoice,
    /// Signers (`alice` or `targets/alice`) that must each have signed the same digest.
    pub signers: Vec<String>,
}

impl RepositoryTerms {
    /// Docker's own terms: trust on first use, docker's look-up order, nobody in particular.
    #[must_use]
    pub fn docker() -> Self {
        Self {
            server: None,
            pins: RootPins::TrustOnFirstUse,
            require_fresh: false,
            roles: RoleChoice::DockerOrder,
            signers: Vec::new(),
        }
    }
}

/// Which roles may release a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleChoice {
    /// `targets/releases`, then `targets`, as docker looks.
    DockerOrder,
    /// The first of these roles that lists the tag.
    OneOf(Vec<RoleName>),
}

/// What is looked for in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want<'a> {
    /// The digest that is signed for this tag.
    Tag(&'a Tag),
    /// Any tag for which this digest is signed.
    Digest(&'a Digest),
}

impl fmt::Display for Want<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// Where signed digests come from: all that the gate sees of trust data.
pub trait TrustSource: Send + Sync {
    /// The signed digest of what is wanted, on these terms.
    fn find<'a>(
        &'a self,
        gun: &'a Gun,
        want: Want<'a>,
        terms: &'a RepositoryTerms,
    ) -> BoxFuture<'a, Result<SignedTarget, TrustError>>;
}
