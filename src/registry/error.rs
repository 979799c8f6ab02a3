//! Why a registry did not give or take a manifest.

use crate::http::HttpError;
use crate::image::Digest;

/// One reason why a registry did not give or take a manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The manifest has other bytes than the digest that it was asked by.
    #[error("the registry gave `{reference}` a manifest that hashes to {found}")]
    Digest {
        /// What was asked for.
        reference: String,
        /// What came.
        found: Digest,
    },
    /// The registry could not be talked to.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The manifest or index is not what its media type says.
    #[error("the manifest of `{reference}` is malformed: {reason}")]
    Malformed {
        /// Whose manifest.
        reference: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The registry refused to store the manifest.
    #[error("the registry refused the manifest of `{reference}`: {reason}")]
    Refused {
        /// What it should have been stored under.
        reference: String,
        /// What the registry said.
        reason: String,
    },
    /// Too many requests in too little time.
    #[error("the registry has had too many requests for `{reference}`: {reason}")]
    TooManyRequests {
        /// What was asked for.
        reference: String,
        /// What the registry said.
        reason: String,
    },
    /// The registry wants credentials, or refuses those that docker has.
    #[error("the registry refused access to `{reference}`: {reason}")]
    Unauthorized {
        /// What was asked for.
        reference: String,
        /// What the registry said.
        reason: String,
    },
    /// The repository has no such tag or digest.
    #[error("the registry has no `{reference}`")]
    UnknownManifest {
        /// What was asked for.
        reference: String,
    },
    /// The registry has no such repository.
    #[error("the registry has no repository `{repository}`")]
    UnknownRepository {
        /// The repository.
        repository: String,
    },
}

impl RegistryError {
    /// What can be done about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        todo!()
    }

    /// Whether the registry could not be asked, as opposed to an answer that is not accepted.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        todo!()
    }
}
