//! A second reader, the crate `dockerfile-parser`: where it sees a base image that we do not,
//! the file is refused. It never widens what is accepted.

use super::{BuildInputs, ImageUse, Span};

/// The two readers differ.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} names the base image `{image}` for one Dockerfile parser, but not for BuildKit's rules")]
pub struct SecondOpinion {
    /// Where the other reader sees a base image.
    pub span: Span,
    /// That line, counted from 1.
    pub line: usize,
    /// What it reads there.
    pub image: String,
}

/// Asks the second reader.
pub fn second_opinion(source: &[u8], uses: &[ImageUse], inputs: &BuildInputs) -> Result<(), SecondOpinion> {
    let _ = (source, uses, inputs);
    todo!()
}
