//! The keys of a trust server's own roles: made, sealed at rest and used, and never handed out.
//!
//! [`KeyService`] is what a trust server asks for. [`Vault`] does it in this process over rows of sealed
//! keys ([`KeyRows`]), which [`SqlRows`] keeps in a database; [`RemoteSigner`] asks another process, which is ours ([`serve`]) or a
//! real notary-signer: both speak Notary's gRPC over TLS with certificates on both sides.
//!
//! Takes bytes and a purpose, gives signatures. Knows keys and roles' names, nothing of metadata,
//! repositories' content or HTTP.

mod journal;
pub mod jwe;
mod key_service;
mod listener;
mod memory;
pub mod program;
mod remote;
mod rows;
mod service;
pub mod settings;
mod sql;
pub mod takeover;
#[cfg(test)]
mod tests;
mod tls;
pub mod vault;
mod wire;

pub use journal::{Event, Journal, Peer};
pub use key_service::{Clock, KeyAlgorithm, KeyInfo, KeyService, KeyServiceError};
pub use listener::{ServeError, serve};
pub use memory::MemoryRows;
pub use remote::RemoteSigner;
pub use rows::{Alias, AliasError, KeyRow, KeyRows, RowsError, SealedKey};
pub use sql::SqlRows;
pub use tls::{TlsError, TlsFiles};
pub use vault::Vault;
