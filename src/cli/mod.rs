//! The command line: one file a command.
//!
//! What was typed (`arguments`) and where (`environment`) become what is meant
//! (`settings`); a command turns that into data on standard output, talk on standard
//! error and an [`Exit`]. Commands decide nothing about trust: the gate does.

mod arguments;
mod build;
mod completion;
mod container;
mod docker_command;
mod environment;
mod exit;
mod form;
mod inspect;
mod key;
mod message;
mod names;
mod output;
mod pin;
mod progress;
mod publication;
mod published;
mod pull;
mod push;
mod repo;
mod revoke;
mod sandbox;
mod settings;
mod sign;
mod signer;
mod signing;
mod status;
mod transfer;
mod verify;

use std::ffi::OsString;

use clap::Parser as _;

use crate::docker::arguments::Verb;
use crate::text::visible;
use arguments::{Arguments, ColorChoice, Command};
pub use environment::{Clock, ColorWish, EngineVariables, Environment, Lookup};
pub use exit::Exit;
use exit::Failure;
use output::{Output, Styles};
use settings::Settings;

/// Runs one command line, the program's name first, and says how it ended.
pub fn run(words: impl IntoIterator<Item = OsString>, environment: &Environment) -> Exit {
    let words: Vec<OsString> = words.into_iter().collect();
    let arguments = match Arguments::try_parse_from(&words) {
        Ok(arguments) => arguments,
        Err(error) => return answer_without_command(&error, &words, environment),
    };
    let styles = Styles::new(arguments.global.color, environment);
    let mut output = Output::of_process(styles, arguments.global.quiet, environment);
    match dispatch(arguments, environment, &mut output) {
        Ok(exit) => exit,
        Err(failure) => {
            output.talk(&message::failure(&failure, styles.talk));
            failure.exit()
        }
    }
}

fn dispatch(arguments: Arguments, environment: &Environment, output: &mut Output) -> Result<Exit, Failure> {
    let settings = |global| Settings::new(global, environment);
    match arguments.command {
        Command::Completion(command) => completion::run(&command, output),
        Command::Inspect(command) => {
            let settings = settings(&arguments.global)?;
            block_on(inspect::run(&command, &settings, output))
        }
        Command::Pull(command) => {
            let settings = settings(&arguments.global)?;
            block_on(pull::run(&command, &settings, output))
        }
        Command::Push(command) => {
            let settings = settings(&arguments.global)?;
            block_on(push::run(&command, &settings, output))
        }
        Command::Revoke(command) => {
            let settings = settings(&arguments.global)?;
            block_on(revoke::run(&command, &settings, output))
        }
        Command::Build(command) => {
            let settings = settings(&arguments.global)?;
            block_on(build::run(&command, &settings, output))
        }
        Command::Create(command) => {
            let settings = settings(&arguments.global)?;
            block_on(container::run(Verb::Create, &command, &settings, output))
        }
        Command::Run(command) => {
            let settings = settings(&arguments.global).map_err(Failure::before_container)?;
            block_on(container::run(Verb::Run, &command, &settings, output))
                .map(Exit::before_container)
                .map_err(Failure::before_container)
        }
        Command::Sign(command) => {
            let settings = settings(&arguments.global)?;
            block_on(sign::run(&command, &settings, output))
        }
        Command::Status(command) => {
            let settings = settings(&arguments.global)?;
            block_on(status::run(&command, &settings, output))
        }
        Command::Key(command) => {
            let settings = settings(&arguments.global)?;
            block_on(key::run(&command, &settings, output))
        }
        Command::Signer(command) => {
            let settings = settings(&arguments.global)?;
            block_on(signer::run(&command, &settings, output))
        }
        Command::Repo(command) => {
            let settings = settings(&arguments.global)?;
            block_on(repo::run(&command, &settings, output))
        }
        Command::Sandbox(command) => {
            let settings = settings(&arguments.global)?;
            block_on(sandbox::run(&command, environment.home.as_deref(), &settings, output))
        }
        Command::Pin(command) => {
            let settings = settings(&arguments.global)?;
            block_on(pin::run(&command, &settings, output))
        }
        Command::Verify(command) => {
            let settings = settings(&arguments.global)?;
            block_on(verify::run(&command, &settings, output))
        }
    }
}

/// One thread is enough: the work is waiting for servers and checking a few signatures.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::unknown(format!("can't start: {error}")))?;
    let result = runtime.block_on(work);
    // A name look-up that hangs in a helper thread must not hold the answer back.
    runtime.shutdown_background();
    result
}

/// `--help`, `--version`, and command lines that mean nothing.
fn answer_without_command(error: &clap::Error, words: &[OsString], environment: &Environment) -> Exit {
    let styles = Styles::new(ColorChoice::Auto, environment);
    let mut output = Output::of_process(styles, false, environment);
    // What was typed is repeated in the error; the plain text leaves escape sequences out.
    let hostile = words.iter().any(|word| word.to_string_lossy().contains(char::is_control));
    let text = |styled: bool| {
        let rendered = error.render();
        if styled && !hostile {
            return rendered.ansi().to_string();
        }
        rendered.to_string().lines().map(|line| visible(line) + "\n").collect()
    };
    if error.use_stderr() {
        output.talk(&text(styles.talk));
        return Exit::Usage;
    }
    match output.data(text(styles.data).as_bytes()) {
        Ok(()) => Exit::Done,
        Err(failure) => failure.exit(),
    }
}
