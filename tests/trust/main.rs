//! Trust data and HTTP against a server that misbehaves on purpose.
//!
//! Nothing here leaves loopback or looks at the real clock: metadata is made at a fixed time, and
//! the reader's clock is the test's own.

#![expect(clippy::unwrap_used, reason = "what a test prepares must hold, or the test fails")]

#[path = "../support/notary.rs"]
mod notary;

mod auth;
mod cache;
mod desk;
mod http;
mod lookup;
mod publisher;
mod refresh;
mod verbs;
mod world;
