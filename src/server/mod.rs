//! The trust server: Notary v1's API over repositories that it keeps, renews and never signs for.
//!
//! [`storage`] keeps files and knows nothing of what they say. It takes the time as a parameter, and does
//! not speak HTTP: an [`ErrorAnswer`] is as near as anything here comes.

mod answer;
pub mod storage;

pub use answer::{ErrorAnswer, ErrorCode};
