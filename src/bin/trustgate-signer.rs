//! `trustgate-signer`, the process that keeps a trust server's keys.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use trustgate::daemon::{self, say};
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
    let runtime = match daemon::start() {
        Ok(runtime) => runtime,
        Err(ended) => return ended,
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
        Err(error) => daemon::fail(&error, error.help()),
    }
}

fn tell(outcome: &Takeover) {
    for (key, reason) in &outcome.left {
        say(&format!("warning: key {} is not taken over: {}", visible(key), visible(reason)));
    }
    let Takeover { taken, present, left } = outcome;
    say(&format!("keys taken over: {taken}; there already: {present}; not taken over: {}", left.len()));
}
