//! `trustgate-server`, the trust server beside a registry.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use trustgate::server::program::Program;

/// Keeps trust data beside a registry, and keeps it fresh; speaks Notary's API.
///
/// Without settings it serves at <https://127.0.0.1:4443> with a certificate of its own making, and keeps
/// everything in one folder. SIGHUP has certificates and key-encryption keys read again; SIGTERM ends it
/// after what was begun.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The settings: TOML, or a notary-server's configuration where the name ends in `.json`
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Clone, Copy, Subcommand)]
enum Command {
    /// Serve; this is what happens without a command
    Serve,
    /// Tell whether the settings can be used, and whether what they name works
    Check,
}

fn main() -> ExitCode {
    let Arguments { config, command } = Arguments::parse();
    if let Err(error) = keep_memory_private() {
        say(&format!("error: this process's memory cannot be kept out of core files: {error}"));
        return ExitCode::FAILURE;
    }
    allow_connections();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("error: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let program = Program {
        settings: config,
        variables: Arc::new(|name| std::env::var(name).ok()),
        clock: Arc::new(jiff::Timestamp::now),
        line: Arc::new(say),
    };
    let ended = match command.unwrap_or(Command::Serve) {
        Command::Serve => runtime.block_on(program.serve()),
        Command::Check => runtime.block_on(program.check()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error}"));
            if let Some(help) = error.help() {
                say(&format!("help: {help}"));
            }
            ExitCode::FAILURE
        }
    }
}

/// No core file, and no other process of the same user that reads along.
fn keep_memory_private() -> rustix::io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

/// As many open files as the system lets this process have: a connection is one. Where it does not, there
/// are fewer connections.
fn allow_connections() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

#[expect(clippy::print_stderr, reason = "it is the program's log")]
fn say(line: &str) {
    eprintln!("{line}");
}
