//! `trustgate repo list`: the repositories that this machine has trust data of.

use clap::Args;

use crate::cli::exit::{Exit, Failure};
use crate::cli::form::FormArguments;
use crate::cli::output::Output;
use crate::cli::settings::Settings;
use crate::cli::status::known_repositories;

/// What `repo list` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    form: FormArguments,
}

/// Prints their names.
pub(super) fn run(arguments: &Arguments, settings: &Settings, output: &mut Output) -> Result<Exit, Failure> {
    let guns = known_repositories(settings)?;
    if guns.is_empty() {
        output.remark("No repository is known here");
    }
    for gun in &guns {
        arguments.form.line(gun.as_str(), output)?;
    }
    arguments.form.json(&guns, output)?;
    Ok(Exit::Done)
}
