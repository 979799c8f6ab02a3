//! The program `trustgate` as a person meets it: exit code, standard output, standard error.
//!
//! Each test runs the program itself, with an environment of its own and nothing of the
//! machine's, and compares all that comes back with a snapshot. What may differ between
//! two runs (folders, ports) is replaced by its name. Metadata is valid until 2099, so that no
//! result depends on the day.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it must be")]

mod administration;
mod completion;
mod documents;
mod files;
mod keys;
mod pin;
mod pin_files;
mod repositories;
mod server;
mod support;
mod usage;
mod verbs;
mod verify;
