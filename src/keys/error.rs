//! Why a key cannot be had, used or kept.

use std::io;
use std::path::PathBuf;

use crate::tuf::KeyId;

/// One reason why a key cannot be had, used or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No source knows the passphrase.
    #[error("no passphrase for the {role} key {}", short(.key_id))]
    NoPassphrase {
        /// The key's role.
        role: String,
        /// The key.
        key_id: KeyId,
    },
    /// There is no key file of this ID.
    #[error("there is no key {key_id} in `{}`", folder.display())]
    NotFound {
        /// The key.
        key_id: KeyId,
        /// Where key files are.
        folder: PathBuf,
    },
    /// The file system refused.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

fn short(id: &KeyId) -> &str {
    id.as_str().get(..7).unwrap_or_default()
}
