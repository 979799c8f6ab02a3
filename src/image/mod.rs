//! Names of images: references, tags, digests, platforms, and GUNs.
//!
//! Text comes in, normalised names go out; nothing here knows of trust, of the
//! network or of a Dockerfile. The grammar is that of docker's
//! `distribution/reference`, version 0.6, which current docker and `BuildKit` use.

mod digest;
mod platform;
mod reference;

pub use digest::{Digest, DigestAlgorithm, DigestError};
pub use platform::{Platform, PlatformError};
pub use reference::{Gun, GunError, Reference, ReferenceError, Tag};
