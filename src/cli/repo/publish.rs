//! `trustgate repo publish`: staged changes, and documents that several people sign.

use std::path::PathBuf;

use clap::Args;

use crate::cli::exit::{Exit, Failure};
use crate::cli::names;
use crate::cli::output::Output;
use crate::cli::publication::read_partial;
use crate::cli::published::{ChangeArguments, conclude, talking_publisher};
use crate::cli::settings::Settings;
use crate::cli::signing::publish_failure;

/// What `repo publish` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Repository
    name: String,

    /// What --partial wrote, signed here and published if that suffices; several copies are put together
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    change: ChangeArguments,
}

/// Publishes it.
pub(super) async fn run(
    arguments: &Arguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let (gun, form) = (names::repository(&arguments.name)?.gun(), arguments.change.form);
    let mut texts = Vec::with_capacity(arguments.files.len());
    for file in &arguments.files {
        texts.push(read_partial(file)?);
    }
    let mut passphrases = arguments.change.passphrases.passphrases(settings)?;
    let publisher = talking_publisher(settings, &gun, form)?;
    let familiar = gun.familiar();
    form.line(&format!("Pushing changes to {familiar}"), output)?;
    let outcome = if texts.is_empty() {
        publisher.publish_staged(&gun, &mut passphrases).await
    } else {
        publisher.publish_partial(&gun, &texts, &mut passphrases).await
    };
    let outcome = outcome.map_err(|error| publish_failure(&error))?;
    // A file that goes round comes back with one signature more.
    let partial = arguments.change.partial.as_deref().or(arguments.files.first().map(PathBuf::as_path));
    let answer = conclude(&gun, &outcome, partial, form, output)?;
    if answer.is_unchanged() {
        form.line(&format!("Nothing is staged for {familiar} that is not published"), output)?;
    } else if !answer.is_incomplete() {
        form.line(&format!("Successfully published changes for repository {familiar}"), output)?;
    }
    let exit = answer.exit();
    form.json(&answer, output)?;
    Ok(exit)
}

pub(super) const ABOUT: &str = "\
Publish staged changes, or sign what others wrote to a file.

Changes are staged by `trustgate repo stage`, and by `notary add`, `notary remove` and `notary delegation` \
without -p: all of them are published together, or none.";
