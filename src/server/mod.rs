//! The trust server: Notary v1's API over repositories that it keeps, renews and never signs for.
//!
//! [`storage`] keeps files and knows nothing of what they say; [`publication`] decides what may be
//! published and writes what the server itself signs. Both take the time as a parameter, and neither
//! speaks HTTP: an [`ErrorAnswer`] is as near as they come. [`api`] does, and [`listener`] has the
//! connections that it comes by; [`program`] puts everything together.

pub mod access;
mod answer;
pub mod api;
pub mod certificate;
pub mod freshness;
pub mod listener;
pub mod page;
pub mod program;
pub mod publication;
pub mod settings;
pub mod storage;
pub mod transfer;

pub use answer::{ErrorAnswer, ErrorCode};
