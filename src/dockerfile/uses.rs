//! What every name in a Dockerfile means for one build.

use super::{BuildInputs, Dockerfile, DockerfileError, ImageUse};

pub(super) fn image_uses(file: &Dockerfile, inputs: &BuildInputs) -> Result<Vec<ImageUse>, DockerfileError> {
    let _ = (file, inputs);
    todo!()
}
