//! What the trust server's and the signer's programs begin and end with: they hold keys, and what they say
//! is their log.
//!
//! Knows neither of them; comes before settings are read.

use std::fmt::Display;
use std::panic::PanicHookInfo;
use std::process::ExitCode;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::text::visible_prefix;

/// Keeps this process's memory to itself, and makes the runtime; or says why not, and how to end.
pub fn start() -> Result<Runtime, ExitCode> {
    std::panic::set_hook(Box::new(|panic| say(&defect(panic))));
    keep_memory_private().map_err(|error| {
        fail(&format!("this process's memory cannot be kept out of core files: {error}"), None)
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| fail(&error, None))
}

/// Says why the program ends, and what to do about it.
pub fn fail(error: &dyn Display, help: Option<&str>) -> ExitCode {
    say(&format!("error: {error}"));
    if let Some(help) = help {
        say(&format!("help: {help}"));
    }
    ExitCode::FAILURE
}

/// A line for the operator.
#[expect(clippy::print_stderr, reason = "it is the program's log")]
pub fn say(line: &str) {
    eprintln!("{line}");
}

/// Waits for signals of one kind from now on.
pub(crate) fn signals(kind: SignalKind) -> Result<Signal, SignalError> {
    signal(kind).map_err(|it| SignalError { reason: it.to_string() })
}

/// The system lets no signals through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("signals cannot be waited for: {reason}")]
pub struct SignalError {
    /// What it said.
    pub reason: String,
}

/// A panic as one line of the log, bounded, with nothing in it that a terminal obeys: what it quotes may come
/// from a client.
fn defect(panic: &PanicHookInfo<'_>) -> String {
    let reason = visible_prefix(panic.payload_as_str().unwrap_or("without a reason"), SHOWN);
    match panic.location() {
        Some(place) => format!("defect: {reason} (at {place}); please report it"),
        None => format!("defect: {reason}; please report it"),
    }
}

/// No core file, and no other process of the same user that reads along.
fn keep_memory_private() -> rustix::io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

/// As much of a panic's reason as a line of a log takes.
const SHOWN: usize = 300;
