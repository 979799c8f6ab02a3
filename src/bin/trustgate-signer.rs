//! `trustgate-signer`, the process that keeps a trust server's keys.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use trustgate::signer::program::Program;
use trustgate::signer::takeover::Takeover;
use trustgate::text::visible;

/// Keeps the keys of a trust server, and signs with them; speaks Notary's signer API.
///
/// SIGHUP has key-encryption keys read again and every key sealed under the current one;
/// SIGTERM ends it after what was begun.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The settings: TOML, or a notary-signer's configuration where the name ends in `.json`
    #[arg(long, global = true, value_name = "FILE", default_value = "/etc/trustgate/signer.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Takes over the keys of a notary-signer; their IDs stay
    ///
    /// The passphrases come from the variables that notary-signer has them from: `NOTARY_SIGNER_<ALIAS>`.
    Import {
        /// The address of its database, `postgres://user@host/name`, its password in `PGPASSWORD`;
        /// or a file with what `pg_dump` or `mysqldump` printed of it
        source: String,
    },
}

fn main() -> ExitCode {
    let Arguments { config, command } = Arguments::parse();
    if let Err(error) = keep_memory_private() {
        say(&format!("error: this process's memory cannot be kept out of core files: {error}"));
        return ExitCode::FAILURE;
    }
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
    let ended = match command {
        None => runtime.block_on(program.run()),
        Some(Command::Import { source }) => match runtime.block_on(program.import(&source)) {
            Ok(outcome) if outcome.left.is_empty() => {
                tell(&outcome);
                Ok(())
            }
            Ok(outcome) => {
                tell(&outcome);
                return ExitCode::FAILURE;
            }
            Err(error) => Err(error),
        },
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

fn tell(outcome: &Takeover) {
    for (key, reason) in &outcome.left {
        say(&format!("warning: key {} is not taken over: {}", visible(key), visible(reason)));
    }
    let Takeover { taken, present, left } = outcome;
    say(&format!("keys taken over: {taken}; there already: {present}; not taken over: {}", left.len()));
}

/// No core file, and no other process of the same user that reads along.
fn keep_memory_private() -> rustix::io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

#[expect(clippy::print_stderr, reason = "it is the program's log")]
fn say(line: &str) {
    eprintln!("{line}");
}
