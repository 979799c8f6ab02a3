//! `trustgate key`: the private keys of this machine.
//!
//! What docker has a command for (`docker trust key`, and `notary key` inside it) answers in docker's
//! words. Keys themselves, their files and their passphrases are the room `keys`.

mod export;
mod generate;
mod import;
mod list;
mod migrate;
mod passwd;
mod remove;
mod rotate;

use std::path::Path;

use clap::{Args, Subcommand};

use super::exit::{Exit, Failure};
use super::output::Output;
use super::settings::Settings;
use super::signing::{Passphrases, key_failure};
use crate::image::Gun;
use crate::keys::{ImportAs, KeyRole, KeyStore, KeyWarning, StoredKey};
use crate::text::visible;
use crate::tuf::KeyId;

/// What `key` takes.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a signer's key, or a root key
    #[command(long_about = generate::ABOUT, after_long_help = generate::EXAMPLES)]
    Generate(generate::Arguments),
    /// Load a signer's private key from a file
    #[command(long_about = import::LOAD_ABOUT)]
    Load(import::LoadArguments),
    /// List the private keys of this machine
    #[command(alias = "ls")]
    List(list::Arguments),
    /// Write private keys, still encrypted, to a file
    #[command(long_about = export::ABOUT)]
    Export(export::Arguments),
    /// Take in private keys from exports
    #[command(long_about = import::IMPORT_ABOUT)]
    Import(import::ImportArguments),
    /// Change the passphrase of a key
    Passwd(passwd::Arguments),
    /// Replace the keys of a repository's role
    #[command(long_about = rotate::ABOUT, after_long_help = rotate::EXAMPLES)]
    Rotate(rotate::Arguments),
    /// Remove private keys for good
    #[command(alias = "rm")]
    Remove(remove::Arguments),
    /// Move the key files of notary 0.3 and before to where they belong now
    Migrate(migrate::Arguments),
}

/// Runs the command that was named.
pub(super) async fn run(
    arguments: &Arguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    match &arguments.command {
        Command::Generate(command) => generate::run(command, settings, output),
        Command::Load(command) => import::load(command, settings, output),
        Command::List(command) => list::run(command, settings, output),
        Command::Export(command) => export::run(command, settings, output),
        Command::Import(command) => import::import(command, settings, output),
        Command::Passwd(command) => passwd::run(command, settings, output),
        Command::Rotate(command) => rotate::run(command, settings, output).await,
        Command::Remove(command) => remove::run(command, settings, output),
        Command::Migrate(command) => migrate::run(command, settings, output),
    }
}

/// The key that somebody means by its ID, or by the start of it.
pub(super) fn named_key(store: &KeyStore, text: &str) -> Result<StoredKey, Failure> {
    if let Ok(id) = text.parse::<KeyId>() {
        let key = store.find(&id).map_err(|error| key_failure(&error))?;
        return key.ok_or_else(|| no_such_key(store, text));
    }
    let hexadecimal = text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
    if !hexadecimal || text.len() < LEAST_DIGITS {
        return Err(Failure::usage(format!("`{}` is no key ID", visible(text)))
            .help(format!("write the ID, or its first {LEAST_DIGITS} digits or more; trustgate key list")));
    }
    let keys = store.list().map_err(|error| key_failure(&error))?.keys;
    let mut found: Vec<_> = keys.into_iter().filter(|it| it.id.as_str().starts_with(text)).collect();
    match (found.pop(), found.is_empty()) {
        (Some(key), true) => Ok(key),
        (Some(_), false) => {
            Err(Failure::usage(format!("the IDs of several keys start with `{text}`"))
                .help("write more of it"))
        }
        (None, _) => Err(no_such_key(store, text)),
    }
}

/// The one key of a file, which becomes a key of this role here.
pub(super) fn imported_key(
    file: &Path,
    role: &KeyRole,
    gun: Option<&Gun>,
    store: &KeyStore,
    passphrases: &mut Passphrases,
) -> Result<KeyId, Failure> {
    let options = ImportAs { role: Some(role.clone()), gun: gun.cloned(), otherwise: None };
    let mut keys = import::import_file(file, store, &options, passphrases)?;
    match (keys.pop(), keys.is_empty()) {
        (Some(key), true) => Ok(key.id),
        _ => Err(Failure::usage(format!("`{}` holds several keys, where one is wanted", file.display()))
            .help("import it, and name the key by its ID: trustgate key import")),
    }
}

fn no_such_key(store: &KeyStore, text: &str) -> Failure {
    Failure::unknown(format!("there is no key {text} in `{}`", store.folder().display()))
        .help("see which there are: trustgate key list")
}

/// Tells what is wrong with key files.
fn tell_warnings(warnings: &[KeyWarning], output: &mut Output) {
    for warning in warnings {
        output.remark(&visible(&format!("warning: `{}` {}", warning.path.display(), warning.reason)));
    }
}

/// As many digits as docker shows of a key's ID.
const LEAST_DIGITS: usize = 7;
