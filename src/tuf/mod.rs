//! The metadata itself, in Notary v1's dialect of TUF: bytes in, verified data out.
//!
//! Everything here is a pure function of its arguments: there is no I/O, no clock
//! and no cache. Bytes come from whoever fetched them, the time is a parameter.
//! A signature is checked before the bytes under it are interpreted, and the bytes
//! that are interpreted are the very bytes that the signature covers; only
//! [`verify`](self) makes a [`Trusted`].

#[cfg(test)]
mod attacks;
pub mod author;
pub mod canonical;
pub(crate) mod certificate;
mod chain;
pub(crate) mod der;
mod document;
mod error;
mod json;
mod key;
mod metadata;
mod moment;
mod role;
mod root_keys;
mod scan;
mod signature;
mod targets;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod verify;
mod view;

pub use chain::{RootChain, RootPins};
pub use error::TufError;
pub use json::JsonError;
pub use key::{KeyId, KeyIdError, KeyType, PublicKey};
pub use metadata::{FileMeta, RoleKeys, Root, Snapshot, Timestamp, Version};
pub use role::RoleName;
pub use targets::{Delegation, Target, Targets};
pub use verify::{
    AnyTime, Trusted, When, peek_version, signed_delegation_version, signed_version, verify_delegation,
    verify_snapshot, verify_targets, verify_timestamp,
};

/// The longest `root` file that is read. Nobody above it vouches for its length, and it keeps a few
/// kilobytes for each rotation.
pub const ROOT_LIMIT: usize = 4 << 20;
/// The longest `snapshot` file that is read.
pub const SNAPSHOT_LIMIT: usize = 100 << 20;
/// The longest `targets` or delegation file that is read: Notary's client reads as much.
pub const TARGETS_LIMIT: usize = 100 << 20;
/// The longest `timestamp` file that is read: it names one file, and Notary's client stops here too.
pub const TIMESTAMP_LIMIT: usize = 1 << 20;
