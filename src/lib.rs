//! trustgate: a build starts from signed images, or does not start.
//!
//! The rooms, and which way the arrows point (see ARCHITECTURE.md):
//! `image` ← `dockerfile`, `tuf` ← `trust` ← `policy`, `gate` ← `frontend`, `cli`.

pub mod image;
