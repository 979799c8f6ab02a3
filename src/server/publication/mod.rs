//! Publishing: what clients hand in, checked as strictly as another client will check it.
//!
//! A [`Publisher`] reads a repository's state, adds what was handed in and what the server signs itself,
//! and has the whole verified by the code that clients verify with. Only then it is stored, on the state
//! that it was made for. Nothing here knows HTTP beyond the body of an upload, or how files are kept.

mod check;
mod claims;
mod error;
mod keys;
mod multipart;
mod publisher;
mod seal;
mod snapshot;
mod state;
#[cfg(test)]
pub(super) mod tests;
mod upload;

pub use error::PublicationError;
pub(super) use publisher::checked_aside;
pub use publisher::{Published, Publisher, PublisherOptions, Renewal};
pub use upload::Upload;
