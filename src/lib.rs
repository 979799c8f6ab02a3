//! trustgate: a build starts from signed images, or does not start.
//!
//! The rooms, and which way the arrows point (ARCHITECTURE.md has the whole map):
//! `image` ← `dockerfile`, `tuf` ← `keys`, `trust` ← `policy`, `gate` ← `frontend`, `cli`; beside them
//! `http` ← `registry`, `docker` ← `cli`, and `tuf`, `keys`, `database` ← `signer` ←
//! `server`.

pub mod buildkit;
pub mod cli;
pub mod daemon;
pub mod database;
pub mod docker;
pub mod dockerfile;
pub mod frontend;
pub mod gate;
pub mod http;
pub mod image;
pub mod keys;
pub mod policy;
pub mod registry;
pub mod server;
pub mod signer;
pub mod text;
pub mod trust;
pub mod tuf;
