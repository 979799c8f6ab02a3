//! `ONBUILD` triggers of base images: one line of `Config.OnBuild` in, the images it names out.

use crate::image::{Reference, ReferenceError};

use super::{DockerfileError, UseKind};

/// One image (or stage) that a trigger names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnbuildUse {
    /// `OnbuildCopyFrom` or `OnbuildMountFrom`.
    pub kind: UseKind,
    /// The name as `BuildKit` would resolve it; a stage of the Dockerfile goes first
    /// (see [`Dockerfile::stage_named`](super::Dockerfile::stage_named)).
    pub written: String,
    /// The name as an image reference.
    pub reference: Result<Reference, ReferenceError>,
}

/// Reads one trigger as `BuildKit` does when a build starts from its image.
pub fn onbuild_uses(trigger: &str) -> Result<Vec<OnbuildUse>, DockerfileError> {
    let _ = trigger;
    todo!()
}
