//! Why a key cannot be had, used or kept.

use std::io;
use std::path::{Path, PathBuf};

use crate::image::Gun;
use crate::tuf::KeyId;

/// One reason why a key cannot be had, used or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Another key is already stored for what only one key can be.
    #[error("a key named {key_id} is stored already, as another kind of key ({reason})")]
    Conflict {
        /// The key.
        key_id: KeyId,
        /// What differs.
        reason: String,
    },
    /// The file or text is no key, or not a whole one. It is not the passphrase's fault.
    #[error("{place} is damaged: {reason}")]
    Damaged {
        /// The file, or what else was read.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file that is not to be replaced is there already.
    #[error("`{}` exists already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The person at the terminal gave up.
    #[error("interrupted while asking for a passphrase")]
    Interrupted,
    /// The file system refused.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The file may be read by others than its owner.
    #[error("private key file `{}` must not be readable or writable by others: its mode is {mode:o}", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A key of a repository says not which.
    #[error("a {role} key belongs to a repository, and nothing says to which")]
    NoGun {
        /// The key's role.
        role: String,
    },
    /// A text holds no private key.
    #[error("{place} holds no private key")]
    NoKey {
        /// The file, or what else was read.
        place: String,
    },
    /// No source knows the passphrase.
    #[error("no passphrase for the {role} key{}", shortened(.key_id.as_ref()))]
    NoPassphrase {
        /// The key's role.
        role: String,
        /// The key.
        key_id: Option<KeyId>,
    },
    /// There is no terminal to ask at, and no other source knows the passphrase.
    #[error("no passphrase for the {role} key{}, and no terminal to ask for it", shortened(.key_id.as_ref()))]
    NoTerminal {
        /// The key's role.
        role: String,
        /// The key.
        key_id: Option<KeyId>,
    },
    /// There is no key file of this ID.
    #[error("there is no key {key_id} in `{}`", folder.display())]
    NotFound {
        /// The key.
        key_id: KeyId,
        /// Where key files are.
        folder: PathBuf,
    },
    /// The path is no regular file: a symbolic link, a folder, a device.
    #[error("`{}` is not used: it is {what}", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The two entries of a new passphrase differ.
    #[error("passphrases do not match")]
    PassphraseMismatch,
    /// A new passphrase is too short.
    #[error("the passphrase from {source_name} is too short: new keys need {minimum} characters or more")]
    PassphraseTooShort {
        /// Where it comes from.
        source_name: String,
        /// How many characters it needs.
        minimum: usize,
    },
    /// A passphrase cannot be read.
    #[error("the passphrase in {source_name} cannot be used: {reason}")]
    PassphraseUnreadable {
        /// Where it comes from.
        source_name: String,
        /// Why.
        reason: String,
    },
    /// The system gives no randomness.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
    /// A role that no key file can name.
    #[error("`{name}` is not a role that a key can have")]
    Role {
        /// The name as found.
        name: String,
    },
    /// The key could not make a signature.
    #[error("the key cannot sign: {reason}")]
    Sign {
        /// Why.
        reason: String,
    },
    /// It is a key, or an encryption of one, of a kind that is not supported.
    #[error("{place} cannot be used: {reason}")]
    Unsupported {
        /// The file, or what else was read.
        place: String,
        /// Which kind it is.
        reason: String,
    },
    /// The file opens, but the key in it is not the one that it is named for.
    #[error("`{}` holds key {found}, not the key that it is named for", path.display())]
    WrongKey {
        /// The file.
        path: PathBuf,
        /// The key that it holds.
        found: KeyId,
    },
    /// The passphrase does not open the key.
    #[error("the passphrase from {source_name} does not open the {role} key{}{}", shortened(.key_id.as_ref()), of(.gun.as_ref()))]
    WrongPassphrase {
        /// Where it comes from.
        source_name: String,
        /// The key's role.
        role: String,
        /// The key's repository.
        gun: Option<Gun>,
        /// The key.
        key_id: Option<KeyId>,
    },
}

impl KeyError {
    /// An error of the file system at this path.
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    /// What to do about it, where there is one thing.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::Exposed { path, .. } => format!("chmod 600 {}", path.display()),
            Self::NoPassphrase { .. } | Self::NoTerminal { .. } => {
                "set DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE or DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE, \
                 or give the passphrase in a file or on a file descriptor"
                    .to_owned()
            }
            Self::PassphraseTooShort { .. } => {
                "use a password manager to generate and store a good random passphrase".to_owned()
            }
            Self::WrongPassphrase { .. } => {
                "if the passphrase is right, the key file is damaged: restore it from a backup".to_owned()
            }
            Self::NotAFile { .. } => "put the key file itself there".to_owned(),
            _ => return None,
        })
    }
}

/// The start of a key ID, as docker shows it, for the end of a phrase.
fn shortened(id: Option<&KeyId>) -> String {
    id.map(|it| format!(" {:.7}", it.as_str())).unwrap_or_default()
}

fn of(gun: Option<&Gun>) -> String {
    gun.map(|it| format!(" of `{it}`")).unwrap_or_default()
}
