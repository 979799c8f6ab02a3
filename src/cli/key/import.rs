//! `trustgate key load` and `key import`: private keys of others, checked and stored.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::cli::exit::{Exit, Failure};
use crate::cli::form::FormArguments;
use crate::cli::names;
use crate::cli::output::Output;
use crate::cli::settings::Settings;
use crate::cli::signer::signer_name;
use crate::cli::signing::{PassphraseArguments, Passphrases, key_failure, key_store};
use crate::image::Gun;
use crate::keys::{ImportAs, ImportedKey, KeyError, KeyRole, KeyStore};
use crate::text::visible;
use crate::tuf::KeyId;

/// What `key load` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct LoadArguments {
    /// File of the private key
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Name of the signer [default: what the file says, else `signer`]
    #[arg(long)]
    name: Option<String>,

    #[command(flatten)]
    form: FormArguments,

    #[command(flatten)]
    passphrases: PassphraseArguments,
}

/// What `key import` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct ImportArguments {
    /// File of private keys
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// What the keys are for, where the files do not say so: root, targets, snapshot, or a signer's name
    #[arg(long)]
    role: Option<String>,

    /// Repository that the keys belong to, where the files do not say so
    #[arg(long, visible_alias = "gun", value_name = "NAME")]
    repository: Option<String>,

    #[command(flatten)]
    form: FormArguments,

    #[command(flatten)]
    passphrases: PassphraseArguments,
}

/// Loads one signer's key, as `docker trust key load` does.
pub(super) fn load(
    arguments: &LoadArguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let role = arguments.name.as_deref().map(signer_name).transpose()?;
    let store = key_store(settings)?;
    let mut passphrases = arguments.passphrases.passphrases(settings)?;
    let shown = arguments.file.display();
    arguments.form.line(&format!("Loading key from \"{shown}\"..."), output)?;
    let options = ImportAs { role, gun: None, otherwise: Some(signer_name("signer")?) };
    let keys = import_file(&arguments.file, &store, &options, &mut passphrases)?;
    for key in keys.iter().filter(|it| it.known) {
        output.remark(&format!("key {} was here before, and is as it was", key.id));
    }
    arguments.form.line(&format!("Successfully imported key from {shown}"), output)?;
    arguments.form.json(&entries(&arguments.file, keys), output)?;
    Ok(Exit::Done)
}

/// Takes in what was exported, as `notary key import` does.
pub(super) fn import(
    arguments: &ImportArguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let otherwise = arguments.role.as_deref().map(role).transpose()?;
    let gun = arguments.repository.as_deref().map(names::repository).transpose()?.map(|it| it.gun());
    let store = key_store(settings)?;
    let mut passphrases = arguments.passphrases.passphrases(settings)?;
    let options = ImportAs { role: None, gun, otherwise };
    let mut answer = Vec::new();
    for file in &arguments.files {
        let keys = import_file(file, &store, &options, &mut passphrases)?;
        for key in &keys {
            let of = key.gun.as_ref().map(|it| format!(" of {it}")).unwrap_or_default();
            let done = if key.known { "Already here" } else { "Imported" };
            arguments.form.line(&format!("{done}: {} key{of} with ID {}", key.role, key.id), output)?;
        }
        answer.extend(entries(file, keys));
    }
    arguments.form.json(&answer, output)?;
    Ok(Exit::Done)
}

pub(super) fn import_file(
    file: &Path,
    store: &KeyStore,
    options: &ImportAs,
    passphrases: &mut Passphrases,
) -> Result<Vec<ImportedKey>, Failure> {
    let text = KeyStore::read_import(file).map_err(|error| key_failure(&error))?;
    store.import(&text, &format!("`{}`", file.display()), options, passphrases).map_err(|error| {
        let failure = key_failure(&error);
        match error {
            KeyError::NoKey { .. } => {
                failure.help("to add a signer's public key: trustgate signer add --key FILE NAME REPOSITORY")
            }
            KeyError::NoGun { .. } => {
                failure.help("name the repository: trustgate key import --repository NAME")
            }
            _ => failure,
        }
    })
}

/// A base role, or a signer's name.
fn role(text: &str) -> Result<KeyRole, Failure> {
    match text {
        "root" => Ok(KeyRole::root()),
        "targets" => Ok(KeyRole::targets()),
        "snapshot" => Ok(KeyRole::snapshot()),
        "timestamp" => Err(Failure::usage("timestamp keys are the trust server's alone")),
        name => signer_name(name.strip_prefix("targets/").unwrap_or(name)),
    }
}

fn entries(file: &Path, keys: Vec<ImportedKey>) -> Vec<Entry> {
    let entry = |key: ImportedKey| Entry {
        key_id: key.id,
        role: key.role.to_string(),
        repository: key.gun,
        known: key.known,
        from: visible(&file.display().to_string()),
    };
    keys.into_iter().map(entry).collect()
}

/// One key of the answer as JSON.
#[derive(Serialize)]
struct Entry {
    key_id: KeyId,
    role: String,
    repository: Option<Gun>,
    /// It was stored before, and was left as it was.
    known: bool,
    from: String,
}

pub(super) const LOAD_ABOUT: &str = "\
Load a signer's private key from a file.

PKCS#8, SEC1 and PKCS#1 are read, plain or encrypted; P-256, P-384, RSA of 2048 bits and more, Ed25519. \
An encrypted key is opened before it is stored, so that what is said to be loaded is. The file must be \
readable by its owner only.";

pub(super) const IMPORT_ABOUT: &str = "\
Take in private keys from exports.

Reads what `trustgate key export` and `notary key export` write. Each file is taken in as a whole, or \
not at all; keys that are here already stay as they are.";
