//! `trustgate repo status`: a repository's roles, as `trustgate status` shows them, and what is staged.

use clap::Args;
use serde::Serialize;

use super::staged::{self, Shown};
use crate::cli::exit::{Exit, Failure};
use crate::cli::form::FormArguments;
use crate::cli::output::Output;
use crate::cli::settings::Settings;
use crate::cli::{message, names, status};

/// What `repo status` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Repository
    name: String,

    #[command(flatten)]
    form: FormArguments,
}

/// Prints both.
pub(super) async fn run(
    arguments: &Arguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let gun = names::repository(&arguments.name)?.gun();
    let form = arguments.form;
    let mut entries = status::entries(vec![gun.clone()], settings, output).await?;
    let staged = staged::staged(&gun, settings)?;
    if !form.is_json() {
        status::print(&entries, output)?;
    }
    staged::print(&gun, &staged, form, output)?;
    let Some(entry) = entries.pop() else { return Ok(Exit::Done) };
    if let Some(failure) = entry.failure() {
        output.talk(&message::failure(failure, output.styles().talk));
    }
    let exit = entry.exit(None);
    form.json(&Answer { status: entry, staged: staged.iter().map(Shown::of).collect() }, output)?;
    Ok(exit)
}

/// The answer as JSON.
#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    status: status::Entry,
    staged: Vec<Shown>,
}
