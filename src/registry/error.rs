//! Why a registry did not give or take a manifest.

use crate::http::HttpError;
use crate::image::Digest;

/// One reason why a registry did not give or take a manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The registry names another digest than the bytes have that it gave or was given.
    #[error("the registry says that `{reference}` is {claimed}, and its bytes are {found}")]
    Contradiction {
        /// What was asked for.
        reference: String,
        /// What its header says.
        claimed: String,
        /// What the bytes hash to.
        found: Digest,
    },
    /// The manifest has other bytes than the digest that it was asked by.
    #[error("the registry gave for `{reference}` a manifest that hashes to {found}")]
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
    #[error("the manifest of `{reference}` can't be used: {reason}")]
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
    #[error("the registry takes no more requests for `{reference}`: {reason}")]
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
        let help = match self {
            Self::Contradiction { .. } | Self::Digest { .. } => {
                "the registry, or a proxy before it, is broken or lies; ask whoever runs it"
            }
            Self::Unauthorized { .. } => {
                "docker login, with an account that may do this; some registries say this of what they don't have, too"
            }
            Self::TooManyRequests { .. } => "wait, or docker login: registries let accounts do more",
            Self::UnknownManifest { .. } | Self::UnknownRepository { .. } => "push it first",
            Self::Refused { .. } => {
                "a registry can forbid to move a tag, or to write at all; ask whoever runs it"
            }
            Self::Http(HttpError::Tls { .. }) => {
                "put the registry's certificate authority into $DOCKER_CONFIG/tls/HOST[:PORT]/ca.crt"
            }
            Self::Http(_) | Self::Malformed { .. } => return None,
        };
        Some(help.to_owned())
    }

    /// Whether the registry could not be asked, as opposed to an answer that is not accepted.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Http(error) => error.is_unreachable(),
            Self::TooManyRequests { .. } => true,
            Self::Contradiction { .. }
            | Self::Digest { .. }
            | Self::Malformed { .. }
            | Self::Refused { .. }
            | Self::Unauthorized { .. }
            | Self::UnknownManifest { .. }
            | Self::UnknownRepository { .. } => false,
        }
    }

    /// Sorts what went wrong with a request for `reference`.
    pub(super) fn of(error: HttpError, reference: &str, repository: &str, storing: bool) -> Self {
        let reference = reference.to_owned();
        match error {
            HttpError::Unauthorized { reason, .. } => Self::Unauthorized { reference, reason },
            HttpError::Status { status, problem, .. } if !(500..600).contains(&status) => {
                let reason = match (problem.message.as_str(), problem.detail.as_str()) {
                    ("", _) => format!("it answered with status {status}"),
                    (message, "") => message.to_owned(),
                    (message, detail) => format!("{message} ({detail})"),
                };
                match status {
                    401 | 403 => Self::Unauthorized { reference, reason },
                    404 if problem.code == "NAME_UNKNOWN" => {
                        Self::UnknownRepository { repository: repository.to_owned() }
                    }
                    404 if !storing => Self::UnknownManifest { reference },
                    429 => Self::TooManyRequests { reference, reason },
                    _ => Self::Refused { reference, reason },
                }
            }
            other => Self::Http(other),
        }
    }
}
