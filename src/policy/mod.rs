//! What is required of which repository, what else may come into a build, and who may relax it.
//!
//! TOML comes in, and for each repository a [`RepositoryRule`] goes out: the terms
//! that its trust data must meet. Policies are layered: the first one decides, each
//! later one can only demand more ([`PolicySet`]). Nothing here looks at a server, a
//! clock or a Dockerfile, and nothing here decides about an image: that is the gate's.
//! `docs/policy.md` is the reference for people.

mod commands;
mod content;
mod document;
mod error;
mod pattern;
mod repository;
mod set;
mod source;
mod tables;
#[cfg(test)]
mod tests;

pub use commands::{LocalImages, Said, UnsignedPush};
pub use content::{Admission, CacheKind, ContextKind, Ruling, SourceKind};
pub use document::{FILE_LIMIT, Policy, ReadFile, no_files};
pub use error::{Place, PolicyError, PolicyErrorKind};
pub use pattern::{Pattern, PatternError};
pub use repository::{DigestRule, RepositoryRule, Terms, TrustMode};
pub use set::{DisableForbidden, DisabledBy, PolicySet};
