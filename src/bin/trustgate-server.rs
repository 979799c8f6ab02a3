//! `trustgate-server`, the trust server beside a registry.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand, ValueEnum};
use indicatif::ProgressBar;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use trustgate::daemon::{self, say};
use trustgate::server::program::{ExportRequest, ImportRequest, Program};
use trustgate::server::transfer::{ExportReport, ImportFrom, Step};

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

#[derive(Subcommand)]
enum Command {
    /// Serve; this is what happens without a command
    Serve,
    /// Write repositories, with their history, into one file; the server may be running
    Export {
        /// The file to be
        file: PathBuf,
        /// Only repositories of this name and below it; can be repeated
        #[arg(long, value_name = "NAME")]
        repository: Vec<String>,
        /// With the server's signing keys, sealed as they are stored
        #[arg(long)]
        keys: bool,
        /// A file with a passphrase that keys are sealed under instead
        #[arg(long, value_name = "FILE", requires = "keys")]
        keys_passphrase_file: Option<PathBuf>,
        /// How to say what was done
        #[arg(long, value_enum, default_value_t)]
        output: OutputForm,
    },
    /// Take repositories over from an export, or from a notary-server; the server may be running
    ///
    /// Each is verified before it is stored. What is here already stays as it is, what is older here goes on,
    /// and nothing goes back.
    Import {
        /// The file of an export
        #[arg(required_unless_present_any = ["notary_server", "notary_signer"], conflicts_with_all = ["notary_server", "notary_signer"])]
        file: Option<PathBuf>,
        /// A notary-server's database: `postgres://user@host/name`, its password in `PGPASSWORD`, or a file with
        /// what `pg_dump` or `mysqldump` printed of it
        #[arg(long, value_name = "SOURCE")]
        notary_server: Option<String>,
        /// A notary-signer's database, in the same ways; the passphrases of its keys come from the variables
        /// `NOTARY_SIGNER_<ALIAS>`
        #[arg(long, value_name = "SOURCE")]
        notary_signer: Option<String>,
        /// Import nothing where a repository does not verify
        #[arg(long)]
        strict: bool,
        /// A file with the passphrase that keys were sealed under
        #[arg(long, value_name = "FILE")]
        keys_passphrase_file: Option<PathBuf>,
        /// How to say what was done
        #[arg(long, value_enum, default_value_t)]
        output: OutputForm,
    },
    /// Tell whether the settings can be used, and whether what they name works
    Check,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum OutputForm {
    /// Lines for people
    #[default]
    Text,
    /// One JSON object on standard output
    Json,
}

fn main() -> ExitCode {
    let Arguments { config, command } = Arguments::parse();
    allow_connections();
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
    let ended = match command.unwrap_or(Command::Serve) {
        Command::Serve => runtime.block_on(program.serve()),
        Command::Check => runtime.block_on(program.check()),
        Command::Export { file, repository, keys, keys_passphrase_file, output } => {
            let request = ExportRequest {
                path: file,
                repositories: repository,
                keys,
                passphrase_file: keys_passphrase_file,
            };
            let progress = Progress::new();
            let ended = runtime.block_on(program.export(request, &mut |it| progress.show(it)));
            drop(progress);
            ended.map(|report| {
                let ExportReport { repositories, files, keys, changes, bytes } = &report;
                let text = format!(
                    "exported {repositories} repositories, {files} files, {keys} keys, {changes} changes: {bytes} bytes"
                );
                tell(output, &report, &[text]);
            })
        }
        Command::Import { file, notary_server, notary_signer, strict, keys_passphrase_file, output } => {
            let from = match file {
                Some(file) => ImportFrom::Archive(file),
                None => ImportFrom::Notary { server: notary_server, signer: notary_signer },
            };
            let request = ImportRequest { from, strict, passphrase_file: keys_passphrase_file };
            let progress = Progress::new();
            let ended = runtime.block_on(program.import(request, &mut |it| progress.show(it)));
            drop(progress);
            match ended {
                Ok(report) => {
                    tell(output, &report, &report.lines());
                    if !report.complete() {
                        return ExitCode::FAILURE;
                    }
                    Ok(())
                }
                Err(error) => Err(error),
            }
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => daemon::fail(&error, error.help()),
    }
}

/// What was done, on standard output.
#[expect(clippy::print_stdout, reason = "it is what the command is asked for")]
fn tell(form: OutputForm, report: &impl serde::Serialize, lines: &[String]) {
    match form {
        OutputForm::Text => lines.iter().for_each(|it| println!("{it}")),
        OutputForm::Json => println!("{}", serde_json::json!(report)),
    }
}

/// A line on the terminal that says which repository is at hand; none where nobody would see it.
struct Progress(ProgressBar);

impl Progress {
    fn new() -> Self {
        Self(ProgressBar::new_spinner())
    }

    fn show(&self, step: Step<'_>) {
        let (doing, name) = match step {
            Step::Checking(name) => ("checking", name),
            Step::Moving(name) => ("moving", name),
        };
        self.0.inc(1);
        self.0.set_message(format!("{doing} {name} ({})", self.0.position()));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// As many open files as the system lets this process have: a connection is one. Where it does not, there
/// are fewer connections.
fn allow_connections() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
