//! Edits: replacing some words of a Dockerfile, and nothing else.

use crate::image::Reference;

use super::{Dockerfile, DockerfileError, ImageUse, Span};

/// One replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced; empty for an insertion.
    pub span: Span,
    /// What stands there afterwards.
    pub text: String,
}

/// Applies edits that do not overlap; every byte outside them stays.
pub fn rewrite(source: &[u8], edits: &[Edit]) -> Result<Vec<u8>, DockerfileError> {
    let _ = (source, edits);
    todo!()
}

/// The edits that replace the words of these uses (by index) by literal references,
/// safe under the quotes, escapes and continuations that stand there.
pub fn literal_edits(
    file: &Dockerfile,
    uses: &[ImageUse],
    pinned: &[(usize, Reference)],
) -> Result<Vec<Edit>, DockerfileError> {
    let _ = (file, uses, pinned);
    todo!()
}
