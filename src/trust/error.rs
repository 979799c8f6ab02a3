//! Why a look-up gives no digest, by who is at fault, and what a user can do about it.

use std::path::PathBuf;

use crate::http::HttpError;
use crate::image::{Digest, Gun};
use crate::tuf::TufError;

use super::ServerError;

/// Why a repository gave no signed digest.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The server knows no trust data of this repository: nothing in it is signed.
    #[error("`{server}` has no trust data for `{gun}`")]
    NoTrustData {
        /// The repository.
        gun: Gun,
        /// The trust server.
        server: String,
    },
    /// The repository has trust data, but none for this tag.
    #[error("`{gun}` has trust data, but none for tag `{tag}`")]
    NotSigned {
        /// The repository.
        gun: Gun,
        /// The tag.
        tag: String,
        /// Some tags that are signed, in the order of their names.
        signed_tags: Vec<String>,
        /// The trust server.
        server: String,
        /// When the repository's timestamp expires.
        timestamp_expires: jiff::Timestamp,
    },
    /// The repository has trust data, but this digest is not that of any signed tag.
    #[error("`{gun}` has trust data, but {digest} is not signed for any tag")]
    DigestNotSigned {
        /// The repository.
        gun: Gun,
        /// The digest.
        digest: Digest,
        /// The trust server.
        server: String,
    },
    /// The tag is signed, but only by roles that can't release it.
    #[error("tag `{tag}` of `{gun}` is signed by `{role}` alone, which can't release it")]
    NotReleased {
        /// The repository.
        gun: Gun,
        /// The tag.
        tag: String,
        /// The role that lists the tag.
        role: String,
        /// The roles that could release it.
        releasing: Vec<String>,
    },
    /// A signer that the terms name did not sign this digest.
    #[error("tag `{tag}` of `{gun}` is not signed by `{signer}`: {reason}")]
    MissingSigner {
        /// The repository.
        gun: Gun,
        /// The tag.
        tag: String,
        /// The signer.
        signer: String,
        /// What it signed in its place.
        reason: String,
    },
    /// The tag is listed without a SHA-256, so that no digest can be made of it.
    #[error("tag `{tag}` of `{gun}` is listed in `{role}` without a sha256 hash")]
    NoDigest {
        /// The repository.
        gun: Gun,
        /// The tag.
        tag: String,
        /// The role that lists it.
        role: String,
    },
    /// The metadata does not hold.
    #[error("the trust data of `{gun}` does not hold: {source}")]
    Metadata {
        /// The repository.
        gun: Gun,
        /// The trust server.
        server: String,
        /// What does not hold.
        source: TufError,
    },
    /// A file of the repository is missing on the server.
    #[error("`{server}` does not have the `{role}` metadata of `{gun}`")]
    MissingRole {
        /// The repository.
        gun: Gun,
        /// The trust server.
        server: String,
        /// The role whose file is missing.
        role: String,
    },
    /// The server answered with something that is no metadata.
    #[error("`{url}` gave no metadata: {reason}")]
    NotMetadata {
        /// The repository.
        gun: Gun,
        /// The URL.
        url: String,
        /// What came in its place.
        reason: String,
    },
    /// The server could not be read.
    #[error("the trust data of `{gun}` could not be read: {source}")]
    Unreachable {
        /// The repository.
        gun: Gun,
        /// The trust server.
        server: String,
        /// Why not.
        source: HttpError,
    },
    /// The server could not be reached, and the cached timestamp is of no use any more.
    #[error(
        "the trust server of `{gun}` can't be reached ({reason}), nor can the cached data be used: {cached}"
    )]
    StaleCache {
        /// The repository.
        gun: Gun,
        /// The trust server.
        server: String,
        /// Why the server could not be read.
        reason: String,
        /// What is wrong with the cached timestamp.
        cached: String,
    },
    /// The server wants credentials, or refuses those that docker has.
    #[error("access to the trust data of `{gun}` was refused: {source}")]
    Unauthorized {
        /// The repository.
        gun: Gun,
        /// The registry whose credentials were tried.
        registry: String,
        /// What the server said.
        source: HttpError,
    },
    /// Only a cached timestamp is there, and the terms forbid it.
    #[error("the trust data of `{gun}` is only cached, and fresh data is required: {reason}")]
    StaleForbidden {
        /// The repository.
        gun: Gun,
        /// The trust server.
        server: String,
        /// Why the server could not be read.
        reason: String,
    },
    /// The cached root, which is what the repository is known by, is unusable.
    #[error("the cached root of `{gun}`, `{}`, can't be used: {reason}", path.display())]
    Cache {
        /// The repository.
        gun: Gun,
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The address of the trust server is none.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The program itself broke on the way; nothing is known of the repository.
    #[error("the look-up of `{gun}` broke off: {reason}")]
    Internal {
        /// The repository.
        gun: Gun,
        /// What broke.
        reason: String,
    },
}

impl TrustError {
    /// The exit code that this error alone would give: 1, it is refused; 3, it could not be found out.
    #[must_use]
    pub fn exit(&self) -> u8 {
        match self {
            Self::NoTrustData { .. }
            | Self::NotSigned { .. }
            | Self::DigestNotSigned { .. }
            | Self::NotReleased { .. }
            | Self::MissingSigner { .. }
            | Self::NoDigest { .. }
            | Self::Metadata { .. } => REFUSED,
            Self::MissingRole { .. }
            | Self::NotMetadata { .. }
            | Self::Unreachable { .. }
            | Self::StaleCache { .. }
            | Self::StaleForbidden { .. }
            | Self::Unauthorized { .. }
            | Self::Cache { .. }
            | Self::Server(_)
            | Self::Internal { .. } => UNKNOWN,
        }
    }

    /// What a user can do, one step a line.
    #[must_use]
    pub fn help(&self) -> Vec<String> {
        match self {
            Self::NoTrustData { gun, .. } => vec![
                format!("sign it: trustgate sign {}:TAG", gun.familiar()),
                format!("or name the digest that you mean: {}@sha256:…", gun.familiar()),
            ],
            Self::NotSigned { gun, tag, .. } => vec![
                format!("sign it: trustgate sign {}:{tag}", gun.familiar()),
                format!("or name the digest that you mean: {}@sha256:…", gun.familiar()),
            ],
            Self::DigestNotSigned { gun, .. } => {
                vec![format!("name a signed tag of {}, or sign the image", gun.familiar())]
            }
            Self::NotReleased { releasing, .. } => {
                vec![format!("it must be signed in {} too", releasing.join(" or "))]
            }
            Self::MissingSigner { gun, tag, .. } => {
                vec![format!("the signer can add a signature: trustgate sign {}:{tag}", gun.familiar())]
            }
            Self::NoDigest { gun, tag, .. } => {
                vec![format!("its publisher must sign it again: trustgate sign {}:{tag}", gun.familiar())]
            }
            Self::Metadata { source, .. } => metadata_help(source),
            Self::MissingRole { .. } | Self::NotMetadata { .. } => {
                vec!["check the address of the trust server, or tell its operator".to_owned()]
            }
            Self::Unreachable { source, .. } => unreachable_help(source),
            Self::Unauthorized { registry, .. } => vec![format!("log in: docker login {registry}")],
            Self::StaleCache { .. } => {
                vec!["check the address of the trust server, the network and the proxy settings".to_owned()]
            }
            Self::StaleForbidden { .. } => {
                vec![
                    "try again when the trust server answers, or leave out the demand for fresh data"
                        .to_owned(),
                ]
            }
            Self::Cache { path, .. } => vec![format!(
                "restore the file from a backup; or, to trust the repository's root anew, remove it: rm '{}'",
                path.display()
            )],
            Self::Server(_) => vec!["write the address as https://host[:port]".to_owned()],
            Self::Internal { .. } => vec!["this is a defect of the program: please report it".to_owned()],
        }
    }
}

fn metadata_help(source: &TufError) -> Vec<String> {
    match source {
        TufError::Expired { role, .. } if role.as_str() == "timestamp" => {
            vec!["the trust server should have renewed it: tell its operator; check this machine's clock".to_owned()]
        }
        TufError::Expired { .. } | TufError::CertificateExpired { .. } => {
            vec!["its publisher must sign it again; check this machine's clock".to_owned()]
        }
        TufError::NotSignedByPrevious { .. } | TufError::PinMismatch { .. } | TufError::Authority { .. } => vec![
            "the repository may have been taken over: ask its publisher, over another channel, for the root key ID"
                .to_owned(),
        ],
        _ => vec!["this can be an attack: ask the repository's publisher before you go on".to_owned()],
    }
}

fn unreachable_help(source: &HttpError) -> Vec<String> {
    match source {
        HttpError::Tls { .. } => {
            vec!["a server with a certificate authority of its own needs its CA in $DOCKER_CONFIG/tls/HOST/ca.crt".to_owned()]
        }
        _ => vec!["check the address of the trust server, the network and the proxy settings".to_owned()],
    }
}

const REFUSED: u8 = 1;
const UNKNOWN: u8 = 3;
