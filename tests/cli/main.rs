//! The program `trustgate` as a person meets it: exit code, standard output, standard error.
//!
//! Each test runs the program itself, with an environment of its own and nothing of the
//! machine's, and compares all that comes back with a snapshot. What may differ between
//! two runs (folders, ports) is replaced by its name.

mod completion;
mod files;
mod support;
mod usage;
