//! Moving repositories: out of a server into an archive, and from an archive or a notary-server into one.
//!
//! Nothing is written that a client would not accept: each repository is verified as one does that has all of
//! it to fetch, before its state is put in place, in one piece, on exactly the state that was there. Doing it
//! twice is doing it once, and no repository goes back to what it was.
//!
//! Takes paths and addresses; says step by step what it does. Knows no HTTP, no terminal and no arguments.

mod archive;
mod check;
mod error;
mod export;
mod import;
mod keys;
mod notary;
mod report;
mod source;

#[cfg(test)]
mod tests;

pub use error::TransferError;
pub use export::{Export, ExportedKeys};
pub use import::{Import, ImportFrom, SignerInside};
pub use keys::MovePassphrase;
pub use report::{ExportReport, ImportReport, KeysReport, Outcome, RepositoryReport, Step};
