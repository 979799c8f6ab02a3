//! Private keys: what they are, the files that hold them, and the passphrases that open those.
//!
//! The files are docker's and notary's own, `<trust folder>/private/<key ID>.key`, readable in both
//! directions. This room knows nothing of repositories beyond the name that a key file carries, of
//! metadata beyond "sign these bytes", and of servers nothing. It asks for passphrases through
//! [`PassphraseSource`] and never prints by itself, except where a [`Prompt`] was handed to it.

mod block;
mod disk;
mod encryption;
mod error;
mod file;
mod migrate;
mod openssl;
mod passphrase;
mod pkcs8;
mod private;
mod prompt;
mod public;
mod scan;
mod sources;
mod store;
#[cfg(test)]
mod tests;
mod transfer;
mod tty;

pub use disk::Existing;
pub use error::KeyError;
pub use file::KeyRole;
pub use migrate::Migration;
pub use passphrase::{Passphrase, PassphraseRequest, PassphraseSource};
pub use private::PrivateKey;
pub use prompt::{Prompt, Terminal, Wording};
pub use public::read_public_keys;
pub use sources::{
    CachedPassphrases, ChainedPassphrases, EnvironmentPassphrases, GivenPassphrase, PassphraseVariables,
};
pub use store::{KeyStore, KeyWarning, Listing, StoredKey};
pub use transfer::{Export, ImportAs, ImportedKey};
pub use tty::ProcessTerminal;
