//! Docker's own cache of trust data.

use std::path::PathBuf;

/// The folder of cached trust data: `$DOCKER_CONFIG/trust`.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The cache below docker's trust folder, `$DOCKER_CONFIG/trust`.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }
}
