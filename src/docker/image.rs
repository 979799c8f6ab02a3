//! What the engine knows of an image.

use crate::image::{Digest, Platform, Reference};

/// An image that the engine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its ID: the digest of its configuration (of its index in a containerd image store).
    pub id: Digest,
    /// The tags that name it.
    pub tags: Vec<Reference>,
    /// The digests under which repositories have it.
    pub digests: Vec<Reference>,
    /// What it runs on.
    pub platform: Option<Platform>,
}

/// A tag of a repository on this engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalTag {
    /// The tag, with its repository.
    pub reference: Reference,
    /// The image that it names.
    pub id: Digest,
}
