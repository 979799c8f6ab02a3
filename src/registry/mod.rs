//! Manifests and digests from any registry.
//!
//! A reference comes in, a manifest whose bytes were hashed goes out; or a manifest goes in, byte
//! for byte, under a tag or a digest. What a registry says about itself (`Docker-Content-Digest`)
//! is a claim, never a result. Layers are never read, and nothing here knows of trust.

mod client;
mod error;
mod index;
mod insecure;
#[cfg(test)]
mod tests;

pub use client::{Content, Manifest, Registry};
pub use error::RegistryError;
pub use index::{Child, MediaType};
pub use insecure::{Insecure, InsecureError};
