//! One repository's trust data: remote, cache, refresh, look-up of a tag.
//!
//! A repository's name, a wish (a tag, or a digest) and the caller's terms come in; a
//! [`SignedTarget`] or a [`TrustError`] that names its cause goes out. The network is
//! [`crate::http`], the rules of the metadata are [`crate::tuf`]; what a refusal means for a
//! build is not known here.

mod cache;
mod error;
mod lookup;
mod platforms;
pub mod publish;
mod reader;
mod refresh;
mod remote;
mod repository;
mod server;
mod target;
mod terms;

pub use cache::Cache;
pub use error::TrustError;
pub use platforms::{PlatformManifest, PlatformsError, platforms_of, with_platforms};
pub use reader::{Clock, SignerListing, TrustReader};
pub use server::{ServerError, server_for};
pub use target::{Freshness, RoleStatus, SignedTarget, Signer};
pub use terms::{RepositoryTerms, RoleChoice, TrustSource, Want};
