//! `BuildKit`'s side of the wire: the gateway client over stdio, LLB building and auditing, source policies.
//!
//! A [`Gateway`] speaks to the daemon that runs this process as a frontend. What the daemon
//! can do is asked ([`Capabilities`]), never guessed from a version. Definitions are bytes
//! here: [`llb`] makes them, [`audit`] reads them, and whatever is only passed on is passed
//! on unchanged. Nothing in this room knows of trust: who may enter is decided by `gate`,
//! and [`audit::Allowed`] is how that decision arrives.

pub mod audit;
mod capabilities;
#[cfg(test)]
pub(crate) mod fake;
mod gateway;
pub mod llb;
mod pipes;
pub mod proto;
pub mod source_policy;
mod status;

pub use capabilities::{Capabilities, GatewayCapability, LlbCapability};
pub use gateway::{Gateway, GatewayError, ImageConfig};
pub use status::{Code, SourceRange, source_error, source_of, status_from};
