//! Writing metadata: drafts in, Notary's exact wire bytes out.
//!
//! A draft starts from nothing or from a [`Trusted`](super::Trusted) document, of which it keeps every
//! member that it does not change, unknown ones and `custom` among them. Like the rest of `tuf` this
//! is pure: no I/O, no clock, no randomness; who signs is behind [`Signer`].

mod body;
mod certificate;
mod delegations;
mod error;
mod partial;
mod root;
mod sign;
mod snapshot;
mod targets;
#[cfg(test)]
mod tests;

pub use certificate::root_certificate;
pub use delegations::DelegationKeys;
pub use error::AuthorError;
pub use partial::{Missing, PartialDocument};
pub use root::RootDraft;
pub use sign::{RawSignature, SignatureMethod, Signer, SignerError, UnsignedDocument};
pub use snapshot::{SnapshotDraft, TimestampDraft};
pub use targets::TargetsDraft;
