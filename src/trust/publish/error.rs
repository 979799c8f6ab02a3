//! Why something was not published, by who is at fault, and what a publisher can do about it.

use std::path::PathBuf;

use crate::http::HttpError;
use crate::image::Gun;
use crate::keys::KeyError;
use crate::trust::{ServerError, TrustError};
use crate::tuf::author::AuthorError;
use crate::tuf::{KeyId, RoleName, Version};

/// One reason why something was not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The repository's present state could not be read, or does not hold.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// A private key cannot be had.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The metadata cannot be written as asked.
    #[error("`{gun}` cannot be changed like this: {source}")]
    Author {
        /// The repository.
        gun: Gun,
        /// Why not.
        source: AuthorError,
    },
    /// The address of the trust server is none.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The server has no trust data of the repository, and it was not to be made.
    #[error("`{server}` has no trust data for `{gun}`")]
    NotInitialized {
        /// The repository.
        gun: Gun,
        /// The trust server.
        server: String,
    },
    /// The repository exists already.
    #[error("`{gun}` has trust data already")]
    AlreadyInitialized {
        /// The repository.
        gun: Gun,
    },
    /// The server has no trust data any more of a repository that this machine knows.
    #[error("`{server}` has no trust data for `{gun}`, but this machine knows some")]
    Vanished {
        /// The repository.
        gun: Gun,
        /// The trust server.
        server: String,
    },
    /// None of the keys that could sign is here.
    #[error("none of the keys that can sign {} of `{gun}` is in `{}`", named(.roles), folder.display())]
    NoSigningKey {
        /// The repository.
        gun: Gun,
        /// The roles, and the keys that could sign each.
        roles: Vec<(RoleName, Vec<KeyId>)>,
        /// Where keys were looked for.
        folder: PathBuf,
    },
    /// A role may not sign this name: its delegation is for others.
    #[error("no role that delegates from `targets` of `{gun}` may sign {name:?}")]
    NotDelegated {
        /// The repository.
        gun: Gun,
        /// The name.
        name: String,
        /// The roles and the prefixes that they may sign.
        roles: Vec<(RoleName, Vec<String>)>,
    },
    /// A role that was named does not exist.
    #[error("`{gun}` has no role `{role}`")]
    NoSuchRole {
        /// The repository.
        gun: Gun,
        /// The role.
        role: RoleName,
    },
    /// A tag that was to be revoked is not signed.
    #[error("{name:?} is not signed in `{gun}`")]
    NotSigned {
        /// The repository.
        gun: Gun,
        /// The tag.
        name: String,
    },
    /// A role cannot have this: its key is kept by the wrong side, it has no threshold, …
    #[error("`{role}`: {reason}")]
    Role {
        /// The role.
        role: RoleName,
        /// What is wrong.
        reason: String,
    },
    /// A signer's name that no role can have.
    #[error("{name:?} cannot be the name of a signer")]
    SignerName {
        /// The name.
        name: String,
    },
    /// There is no such signer.
    #[error("`{gun}` has no signer `{name}`")]
    NoSuchSigner {
        /// The repository.
        gun: Gun,
        /// The signer.
        name: String,
        /// Those that there are.
        signers: Vec<String>,
    },
    /// The signer is the only one whose key can sign `targets/releases`.
    #[error(
        "`{name}` is the last signer of `{gun}`: without a key, `targets/releases` would go with its tags"
    )]
    LastSigner {
        /// The repository.
        gun: Gun,
        /// The signer.
        name: String,
    },
    /// Other publishers were faster each time.
    #[error("`{gun}` was changed by others {attempts} times while this was published")]
    Conflicts {
        /// The repository.
        gun: Gun,
        /// How many times.
        attempts: u32,
    },
    /// The server refused the new files.
    #[error("`{server}` refused the new trust data of `{gun}`: {reason}")]
    Rejected {
        /// The repository.
        gun: Gun,
        /// The trust server.
        server: String,
        /// What it said.
        reason: String,
        /// The code that it gave.
        code: String,
    },
    /// The server did not take the new files, and it is not their fault.
    #[error("the new trust data of `{gun}` could not be handed in: {source}")]
    Upload {
        /// The repository.
        gun: Gun,
        /// The trust server.
        server: String,
        /// Why not.
        source: HttpError,
        /// Whether the files may have been taken all the same.
        unclear: bool,
    },
    /// The server wants credentials, or refuses those that docker has.
    #[error("publishing to `{gun}` was refused: {source}")]
    Unauthorized {
        /// The repository.
        gun: Gun,
        /// The registry whose credentials were tried.
        registry: String,
        /// What the server said.
        source: HttpError,
    },
    /// The server gave no usable public key for a role that it keeps.
    #[error("`{server}` gave no usable `{role}` key for `{gun}`: {reason}")]
    ServerKey {
        /// The repository.
        gun: Gun,
        /// The trust server.
        server: String,
        /// The role.
        role: RoleName,
        /// What is wrong.
        reason: String,
    },
    /// A staged change cannot be read or carried out.
    #[error("the staged change `{}` cannot be used: {reason}", path.display())]
    Staged {
        /// Its file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A document that was passed round is no longer the next one.
    #[error("the `{role}` document is version {found}, but the next version of `{gun}` is {expected}")]
    PartOutdated {
        /// The repository.
        gun: Gun,
        /// The role.
        role: RoleName,
        /// The document's version.
        found: Version,
        /// The version after the server's.
        expected: Version,
    },
    /// The file of documents that are passed round cannot be read.
    #[error("this is no file of documents to sign: {reason}")]
    Parts {
        /// Why not.
        reason: String,
    },
    /// The root certificate cannot be used for the repository and its root key.
    #[error("the root certificate cannot be used for `{gun}`: {reason}")]
    RootCertificate {
        /// The repository.
        gun: Gun,
        /// Why not.
        reason: String,
    },
    /// The cache or the list of staged changes could not be written.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
}

impl PublishError {
    /// The exit code that this error alone would give: 1, it was refused; 2, it was asked for wrongly; 3,
    /// it could not be found out.
    #[must_use]
    pub fn exit(&self) -> u8 {
        match self {
            Self::Trust(error) => error.exit(),
            Self::SignerName { .. } | Self::Role { .. } | Self::Parts { .. } | Self::Server(_) => USAGE,
            Self::Upload { .. }
            | Self::Unauthorized { .. }
            | Self::ServerKey { .. }
            | Self::Conflicts { .. } => UNKNOWN,
            Self::Key(_)
            | Self::Author { .. }
            | Self::NotInitialized { .. }
            | Self::AlreadyInitialized { .. }
            | Self::Vanished { .. }
            | Self::NoSigningKey { .. }
            | Self::NotDelegated { .. }
            | Self::NoSuchRole { .. }
            | Self::NotSigned { .. }
            | Self::NoSuchSigner { .. }
            | Self::LastSigner { .. }
            | Self::Rejected { .. }
            | Self::Staged { .. }
            | Self::PartOutdated { .. }
            | Self::RootCertificate { .. }
            | Self::Io { .. } => REFUSED,
        }
    }

    /// What a publisher can do, one step a line.
    #[must_use]
    pub fn help(&self) -> Vec<String> {
        match self {
            Self::Trust(error) => trust_help(error),
            Self::Key(error) => error.help().into_iter().collect(),
            Self::Author { .. } | Self::Role { .. } | Self::Io { .. } => Vec::new(),
            Self::Server(_) => vec!["write the address as https://host[:port]".to_owned()],
            Self::NotInitialized { gun, .. } => {
                vec![format!("make it: trustgate repo init {}", gun.familiar())]
            }
            Self::AlreadyInitialized { gun } => {
                vec![format!("look at it: trustgate inspect {}", gun.familiar())]
            }
            Self::Vanished { gun, .. } => vec![
                "check the address of the trust server".to_owned(),
                format!(
                    "if it was deleted on purpose, forget it here, too: trustgate repo delete {}",
                    gun.familiar()
                ),
            ],
            Self::NoSigningKey { roles, folder, .. } => {
                let mut help: Vec<String> = roles
                    .iter()
                    .map(|(role, ids)| {
                        let ids: Vec<&str> = ids.iter().map(KeyId::as_str).collect();
                        format!("`{role}` can be signed with {}", ids.join(" or "))
                    })
                    .collect();
                help.push(format!("put the key into `{}`: trustgate key load FILE", folder.display()));
                help
            }
            Self::NotDelegated { roles, .. } => roles
                .iter()
                .map(|(role, paths)| format!("`{role}` may sign what starts with {paths:?}"))
                .collect(),
            Self::NoSuchRole { gun, .. } | Self::NotSigned { gun, .. } => {
                vec![format!("see what there is: trustgate inspect {}", gun.familiar())]
            }
            Self::SignerName { .. } => {
                vec!["use lower-case letters, digits, `-` and `_`, with a letter or digit first".to_owned()]
            }
            Self::NoSuchSigner { signers, .. } if signers.is_empty() => vec!["there is none".to_owned()],
            Self::NoSuchSigner { signers, .. } => vec![format!("there are: {}", signers.join(", "))],
            Self::LastSigner { .. } => {
                vec!["add another signer first, or remove it with its tags: --force".to_owned()]
            }
            Self::Conflicts { .. } => vec!["run the same command again".to_owned()],
            Self::Rejected { code, .. } => rejected_help(code),
            Self::Upload { unclear: true, .. } => {
                vec!["it may have taken effect; run the same command again to be sure".to_owned()]
            }
            Self::Upload { .. } => {
                vec!["nothing was published: run the same command again when the server answers".to_owned()]
            }
            Self::Unauthorized { registry, .. } => {
                vec![format!("log in as somebody who may push: docker login {registry}")]
            }
            Self::ServerKey { .. } => {
                vec!["check the address of the trust server, or tell its operator".to_owned()]
            }
            Self::Staged { .. } => {
                vec!["remove the file, or all that is staged: trustgate repo reset".to_owned()]
            }
            Self::PartOutdated { .. } => {
                vec!["somebody published meanwhile: start the signing anew".to_owned()]
            }
            Self::Parts { .. } => vec!["name a file that trustgate wrote with --partial".to_owned()],
            Self::RootCertificate { gun, .. } => {
                vec![format!("it must be the root key's, with `{gun}` as its common name")]
            }
        }
    }
}

fn trust_help(error: &TrustError) -> Vec<String> {
    match error {
        TrustError::Metadata { gun, source: crate::tuf::TufError::Expired { role, .. }, .. }
            if *role != RoleName::TIMESTAMP =>
        {
            vec![format!("sign it again: trustgate repo refresh {}", gun.familiar())]
        }
        other => other.help(),
    }
}

fn rejected_help(code: &str) -> Vec<String> {
    match code {
        "INVALID_GUN" => {
            vec!["the server keeps trust data for other names only: ask its operator".to_owned()]
        }
        _ => Vec::new(),
    }
}

/// Roles in a sentence.
fn named(roles: &[(RoleName, Vec<KeyId>)]) -> String {
    let names: Vec<String> = roles.iter().map(|(role, _)| format!("`{role}`")).collect();
    names.join(" or ")
}

const REFUSED: u8 = 1;
const USAGE: u8 = 2;
const UNKNOWN: u8 = 3;
