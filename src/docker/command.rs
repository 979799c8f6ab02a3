//! Docker's own command: found, and run in our place or beside us.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Docker's command on this machine; never trustgate itself under docker's name.
#[derive(Clone, Debug)]
pub struct DockerCommand {
    program: PathBuf,
}

impl DockerCommand {
    /// The first `docker` in `search_path` (as `PATH` is written) that is not `ourselves`.
    pub fn find(search_path: &OsStr, ourselves: &Path) -> Result<Self, CommandError> {
        let _ = (search_path, ourselves);
        todo!()
    }

    /// Where it is.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Becomes docker's command: its exit status, signals and terminal are then its own. Content
    /// trust is switched off for it, since what it is given was checked. Returns only an error.
    pub fn replace(&self, arguments: &[OsString]) -> Result<Infallible, CommandError> {
        let _ = arguments;
        todo!()
    }

    /// Runs docker's command with our terminal, passes signals on to it, and answers with its exit
    /// status; 128 + n where signal n ended it.
    pub async fn run(&self, arguments: &[OsString]) -> Result<u8, CommandError> {
        let _ = arguments;
        todo!()
    }

    /// What docker's command prints on standard output, bounded; for `--help` and `--version`.
    pub async fn output(&self, arguments: &[OsString]) -> Result<String, CommandError> {
        let _ = arguments;
        todo!()
    }
}

/// Why docker's command could not be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// There is none.
    #[error("docker's command is not in PATH")]
    NotFound,
    /// It did not start, or could not be waited for.
    #[error("`{}`: {reason}", program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// What the system said.
        reason: String,
    },
}

impl CommandError {
    /// What can be done about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        todo!()
    }
}
