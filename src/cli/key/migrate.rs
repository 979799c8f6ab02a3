//! `trustgate key migrate`: the key files of notary 0.3 and before, moved to where they belong now.

use clap::Args;
use serde::Serialize;

use super::tell_warnings;
use crate::cli::exit::{Exit, Failure};
use crate::cli::form::FormArguments;
use crate::cli::output::Output;
use crate::cli::settings::Settings;
use crate::cli::signing::{key_failure, key_store};
use crate::text::visible;
use crate::tuf::KeyId;

/// What `key migrate` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    form: FormArguments,
}

/// Moves them.
pub(super) fn run(arguments: &Arguments, settings: &Settings, output: &mut Output) -> Result<Exit, Failure> {
    let store = key_store(settings)?;
    let migration = store.migrate_legacy().map_err(|error| key_failure(&error))?;
    for id in &migration.moved {
        arguments.form.line(&format!("Moved key {id}"), output)?;
    }
    tell_warnings(&migration.left, output);
    if migration.moved.is_empty() && migration.left.is_empty() {
        output.remark(&format!("no key files of notary 0.3 or before in `{}`", store.folder().display()));
    }
    let left = migration
        .left
        .iter()
        .map(|it| Left { file: visible(&it.path.display().to_string()), reason: visible(&it.reason) });
    let answer = Answer { moved: &migration.moved, left: left.collect() };
    arguments.form.json(&answer, output)?;
    // What was not understood is still where it was, and is no key that anything uses.
    Ok(if migration.left.is_empty() { Exit::Done } else { Exit::Refused })
}

/// The answer as JSON.
#[derive(Serialize)]
struct Answer<'a> {
    moved: &'a [KeyId],
    left: Vec<Left>,
}

/// A file that stays where it is.
#[derive(Serialize)]
struct Left {
    file: String,
    reason: String,
}
