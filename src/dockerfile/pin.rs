//! Pins for people: every image use completed with its digest, build arguments kept alive.

use crate::image::Digest;

use super::{BuildInputs, Dockerfile, DockerfileError, Edit, Span};

/// What to change, and what can't be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PinPlan {
    /// The changes, in the order of the file.
    pub edits: Vec<Edit>,
    /// The uses that no edit can pin without changing what build arguments do.
    pub unpinnable: Vec<Unpinnable>,
}

/// One use that cannot be pinned by an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpinnable {
    /// Its place in the list of uses.
    pub use_index: usize,
    /// Its place in the file.
    pub span: Span,
    /// Why, in one sentence.
    pub reason: String,
    /// What a person can do.
    pub help: String,
}

/// Plans the edits that complete every use (by index into `image_uses(inputs)`) with its digest.
pub fn pin_edits(
    file: &Dockerfile,
    inputs: &BuildInputs,
    pins: &[(usize, Digest)],
) -> Result<PinPlan, DockerfileError> {
    let _ = (file, inputs, pins);
    todo!()
}
