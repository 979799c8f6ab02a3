//! `trustgate key export`: stored keys in one text, as `notary key export` writes it.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::{named_key, tell_warnings};
use crate::cli::exit::{Exit, Failure};
use crate::cli::form::FormArguments;
use crate::cli::names;
use crate::cli::output::Output;
use crate::cli::settings::Settings;
use crate::cli::signing::{key_failure, key_store};
use crate::keys::{Existing, Export, KeyError, KeyStore, Listing, StoredKey};
use crate::tuf::KeyId;

/// What `key export` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Export this key only, by its ID or the start of it; give it again for more
    #[arg(long, value_name = "ID")]
    key: Vec<String>,

    /// Export the keys of this repository only; give it again for more
    #[arg(long, visible_alias = "gun", value_name = "NAME")]
    repository: Vec<String>,

    /// File to write, for its owner's eyes only [default: standard output]
    #[arg(long, short = 'o', value_name = "FILE")]
    file: Option<PathBuf>,

    /// Replace the file if it exists
    #[arg(long, requires = "file")]
    force: bool,

    #[command(flatten)]
    form: FormArguments,
}

/// Writes them.
pub(super) fn run(arguments: &Arguments, settings: &Settings, output: &mut Output) -> Result<Exit, Failure> {
    if arguments.form.is_json() && arguments.file.is_none() {
        return Err(Failure::usage("standard output can't take both the keys and a JSON document")
            .help("name a file for the keys with -o FILE"));
    }
    let store = key_store(settings)?;
    let keys = chosen(arguments, &store, output)?;
    let plain: Vec<&StoredKey> = keys.iter().filter(|it| !it.encrypted).collect();
    for key in plain {
        output.talk(&format!("warning: {} key {} is not encrypted, and its copy neither", key.role, key.id));
    }
    let ids: Vec<KeyId> = keys.iter().map(|it| it.id.clone()).collect();
    let failed = |error: KeyError| key_failure(&error);
    let text = store.export(Export::Keys(&ids)).map_err(failed)?;
    let Some(file) = &arguments.file else {
        output.data(&text)?;
        return Ok(Exit::Done);
    };
    let existing = if arguments.force { Existing::Replaced } else { Existing::Kept };
    KeyStore::write_export(file, &text, existing).map_err(|error| {
        let failure = key_failure(&error);
        if matches!(error, KeyError::Exists { .. }) { failure.help("replace it: --force") } else { failure }
    })?;
    let count = match ids.len() {
        1 => "1 key".to_owned(),
        more => format!("{more} keys"),
    };
    arguments.form.line(&format!("Successfully exported {count} to {}", file.display()), output)?;
    arguments.form.json(&Answer { file, keys: &ids }, output)?;
    Ok(Exit::Done)
}

/// Those that were named, or all.
fn chosen(arguments: &Arguments, store: &KeyStore, output: &mut Output) -> Result<Vec<StoredKey>, Failure> {
    let failed = |error: KeyError| key_failure(&error);
    if arguments.key.is_empty() && arguments.repository.is_empty() {
        let Listing { keys, warnings } = store.list().map_err(failed)?;
        tell_warnings(&warnings, output);
        if keys.is_empty() {
            return Err(Failure::unknown(format!("there are no keys in `{}`", store.folder().display())));
        }
        return Ok(keys);
    }
    let mut keys: Vec<StoredKey> = Vec::new();
    for text in &arguments.key {
        keys.push(named_key(store, text)?);
    }
    for name in &arguments.repository {
        let gun = names::repository(name)?.gun();
        let of_gun =
            store.list().map_err(failed)?.keys.into_iter().filter(|it| it.gun.as_ref() == Some(&gun));
        let before = keys.len();
        keys.extend(of_gun);
        if keys.len() == before {
            return Err(Failure::unknown(format!("no key here belongs to `{gun}`"))
                .help("see which there are: trustgate key list"));
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    keys.retain(|it| seen.insert(it.id.clone()));
    Ok(keys)
}

/// The answer as JSON.
#[derive(Serialize)]
struct Answer<'a> {
    file: &'a PathBuf,
    keys: &'a [KeyId],
}

pub(super) const ABOUT: &str = "\
Write private keys, still encrypted, to a file.

All keys of this machine are exported, or those that are named. Nobody is asked for a passphrase: each \
key keeps its own. `trustgate key import` and `notary key import` read the file.";
