//! What a manifest is, and what an index lists.

use std::fmt;

use crate::image::{Digest, Platform};

/// The media type of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// Docker's manifest of one platform.
    DockerManifest,
    /// Docker's manifest list.
    DockerList,
    /// OCI's manifest of one platform.
    OciManifest,
    /// OCI's index.
    OciIndex,
}

impl MediaType {
    /// Whether it lists other manifests.
    #[must_use]
    pub fn is_index(self) -> bool {
        matches!(self, Self::DockerList | Self::OciIndex)
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DockerManifest => "application/vnd.docker.distribution.manifest.v2+json",
            Self::DockerList => "application/vnd.docker.distribution.manifest.list.v2+json",
            Self::OciManifest => "application/vnd.oci.image.manifest.v1+json",
            Self::OciIndex => "application/vnd.oci.image.index.v1+json",
        })
    }
}

impl serde::Serialize for MediaType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One manifest that an index lists.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Child {
    /// Its digest.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
    /// What it is for; `None` where the index does not say, or says `unknown/unknown`, as
    /// `BuildKit` does of attestations.
    pub platform: Option<Platform>,
}
