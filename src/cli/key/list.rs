//! `trustgate key list`: which private keys are here, what for, and what is wrong with their files.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::tell_warnings;
use crate::cli::exit::{Exit, Failure};
use crate::cli::form::FormArguments;
use crate::cli::output::Output;
use crate::cli::settings::Settings;
use crate::cli::signing::{key_failure, key_store};
use crate::image::Gun;
use crate::keys::{Listing, StoredKey};
use crate::tuf::KeyId;

/// What `key list` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    form: FormArguments,
}

/// Prints them.
pub(super) fn run(arguments: &Arguments, settings: &Settings, output: &mut Output) -> Result<Exit, Failure> {
    let store = key_store(settings)?;
    let Listing { keys, warnings } = store.list().map_err(|error| key_failure(&error))?;
    tell_warnings(&warnings, output);
    if keys.is_empty() {
        output.remark(&format!("no keys in `{}`", store.folder().display()));
    } else {
        let rows: Vec<_> = keys.iter().map(row).collect();
        arguments.form.table(["ROLE", "REPOSITORY", "KEY ID", "FILE"], &rows, output)?;
    }
    let keys = keys.iter().map(Entry::of).collect();
    let warnings = warnings
        .into_iter()
        .map(|it| Warning { file: it.path, reason: crate::text::visible(&it.reason) })
        .collect();
    arguments.form.json(&Answer { keys, warnings }, output)?;
    Ok(Exit::Done)
}

fn row(key: &StoredKey) -> [String; 4] {
    let gun = key.gun.as_ref().map(ToString::to_string).unwrap_or_default();
    [key.role.to_string(), gun, key.id.to_string(), key.path.display().to_string()]
}

/// The answer as JSON.
#[derive(Serialize)]
struct Answer<'a> {
    keys: Vec<Entry<'a>>,
    warnings: Vec<Warning>,
}

/// One key, as far as it can be known without its passphrase.
#[derive(Serialize)]
struct Entry<'a> {
    key_id: &'a KeyId,
    role: &'a str,
    repository: Option<&'a Gun>,
    encrypted: bool,
    file: &'a PathBuf,
}

impl<'a> Entry<'a> {
    fn of(key: &'a StoredKey) -> Self {
        Self {
            key_id: &key.id,
            role: key.role.as_str(),
            repository: key.gun.as_ref(),
            encrypted: key.encrypted,
            file: &key.path,
        }
    }
}

#[derive(Serialize)]
struct Warning {
    file: PathBuf,
    reason: String,
}
