//! `trustgate key passwd`: another passphrase for a key.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::named_key;
use crate::cli::exit::{Exit, Failure};
use crate::cli::form::FormArguments;
use crate::cli::output::Output;
use crate::cli::settings::Settings;
use crate::cli::signing::{PassphraseArguments, key_failure, key_store, new_passphrase_source};
use crate::tuf::KeyId;

/// What `key passwd` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The key's ID, or the start of it
    #[arg(value_name = "KEY")]
    key: String,

    /// File whose first line is the new passphrase [default: asked for]
    #[arg(long, value_name = "FILE", conflicts_with = "new_passphrase_fd", help_heading = "Passphrases")]
    new_passphrase_file: Option<PathBuf>,

    /// Open file descriptor with the new passphrase
    #[arg(long, value_name = "NUMBER", help_heading = "Passphrases")]
    new_passphrase_fd: Option<u32>,

    #[command(flatten)]
    form: FormArguments,

    #[command(flatten)]
    passphrases: PassphraseArguments,
}

/// Changes it. The new passphrase never comes from a variable, which has the old one.
pub(super) fn run(arguments: &Arguments, settings: &Settings, output: &mut Output) -> Result<Exit, Failure> {
    let store = key_store(settings)?;
    let key = named_key(&store, &arguments.key)?;
    let mut old = arguments.passphrases.passphrases(settings)?;
    let mut new =
        new_passphrase_source(arguments.new_passphrase_file.as_deref(), arguments.new_passphrase_fd)?;
    store.change_passphrase(&key.id, &mut old, &mut new).map_err(|error| key_failure(&error))?;
    arguments.form.line(&format!("Successfully updated passphrase for key ID: {}", key.id), output)?;
    arguments.form.json(&Answer { key_id: &key.id, role: key.role.as_str() }, output)?;
    Ok(Exit::Done)
}

/// The answer as JSON.
#[derive(Serialize)]
struct Answer<'a> {
    key_id: &'a KeyId,
    role: &'a str,
}
