//! `trustgate key generate`: a signer's key, whose public half somebody else adds to repositories.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::cli::exit::{Exit, Failure};
use crate::cli::form::FormArguments;
use crate::cli::output::Output;
use crate::cli::settings::Settings;
use crate::cli::signer::signer_name;
use crate::cli::signing::{PassphraseArguments, key_failure, key_store};
use crate::keys::{Existing, KeyError, KeyRole, KeyStore, PrivateKey};
use crate::tuf::KeyId;

/// What `key generate` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Name of the signer: a person, a team, a pipeline
    #[arg(required_unless_present = "root")]
    name: Option<String>,

    /// Make a root (offline) key instead
    #[arg(long, conflicts_with_all = ["name", "algorithm", "dir", "private_key"])]
    root: bool,

    /// Folder for the public key file, NAME.pub [default: the current one]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Kind of key
    #[arg(long, value_enum, default_value_t = Algorithm::P256)]
    algorithm: Algorithm,

    /// Write the private key to FILE, and not to the key folder
    #[arg(long, value_name = "FILE")]
    private_key: Option<PathBuf>,

    #[command(flatten)]
    form: FormArguments,

    #[command(flatten)]
    passphrases: PassphraseArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Algorithm {
    /// ECDSA on P-256: docker's signer add reads its public key file
    P256,
    /// Ed25519: its public key file is read by trustgate's signer add only
    Ed25519,
}

/// Makes the key.
pub(super) fn run(arguments: &Arguments, settings: &Settings, output: &mut Output) -> Result<Exit, Failure> {
    let store = key_store(settings)?;
    let made = match &arguments.name {
        Some(name) => signer_key(arguments, name, &store, settings, output)?,
        None => root_key(arguments, &store, settings, output)?,
    };
    arguments.form.json(&made, output)?;
    Ok(Exit::Done)
}

fn root_key(
    arguments: &Arguments,
    store: &KeyStore,
    settings: &Settings,
    output: &mut Output,
) -> Result<Made, Failure> {
    arguments.form.line("Generating root key...", output)?;
    let failed = |error: KeyError| key_failure(&error);
    let key = PrivateKey::generate_p256().map_err(failed)?;
    let mut passphrases = arguments.passphrases.passphrases(settings)?;
    store.write(&key, &KeyRole::root(), None, &mut passphrases).map_err(failed)?;
    let text = format!("Successfully generated root key with ID {}", key.id());
    arguments.form.line(&text, output)?;
    output.remark("Back it up now; it can't be made again: trustgate key export");
    let path = store.find(key.id()).map_err(failed)?.map(|it| it.path);
    Ok(Made::new(&key, &KeyRole::root(), path.unwrap_or_default(), None))
}

fn signer_key(
    arguments: &Arguments,
    name: &str,
    store: &KeyStore,
    settings: &Settings,
    output: &mut Output,
) -> Result<Made, Failure> {
    let role: KeyRole = signer_name(name)?;
    let folder = arguments.dir.clone().unwrap_or_default();
    let public = std::path::absolute(folder.join(format!("{name}.pub")))
        .map_err(|error| Failure::unknown(format!("the current folder is unknown: {error}")))?;
    for path in [Some(&public), arguments.private_key.as_ref()].into_iter().flatten() {
        // Told before a passphrase is asked for; the writing itself replaces nothing either.
        if std::fs::symlink_metadata(path).is_ok() {
            return Err(key_failure(&KeyError::Exists { path: path.clone() })
                .help("move it away, or name another folder with --dir"));
        }
    }
    arguments.form.line(&format!("Generating key for {name}..."), output)?;
    let failed = |error: KeyError| key_failure(&error);
    let key = match arguments.algorithm {
        Algorithm::P256 => PrivateKey::generate_p256(),
        Algorithm::Ed25519 => PrivateKey::generate_ed25519(),
    }
    .map_err(failed)?;
    let mut passphrases = arguments.passphrases.passphrases(settings)?;
    let private = if let Some(path) = &arguments.private_key {
        let text = store.sealed_text(&key, &role, None, &mut passphrases).map_err(failed)?;
        KeyStore::write_export(path, &text, Existing::Kept).map_err(failed)?;
        path.clone()
    } else {
        store.write(&key, &role, None, &mut passphrases).map_err(failed)?;
        store.find(key.id()).map_err(failed)?.map(|it| it.path).unwrap_or_default()
    };
    let written = KeyStore::write_export(&public, &KeyStore::public_text(&key, &role), Existing::Kept);
    if let Err(error) = written {
        // A private key whose public half nobody has is of no use.
        let removed = std::fs::remove_file(&private).is_ok();
        let failure = failed(error);
        return Err(if removed {
            failure
        } else {
            failure.note(format!("the private key is in `{}`", private.display()))
        });
    }
    let what = if arguments.private_key.is_some() { "generated" } else { "generated and loaded" };
    let public_shown = public.display();
    arguments.form.line(
        &format!("Successfully {what} private key. Corresponding public key available: {public_shown}"),
        output,
    )?;
    Ok(Made::new(&key, &role, private, Some(public)))
}

/// The answer as JSON.
#[derive(Serialize)]
struct Made {
    key_id: KeyId,
    role: String,
    key_type: String,
    /// The private key's file.
    file: PathBuf,
    /// The public key's file.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key_file: Option<PathBuf>,
}

impl Made {
    fn new(key: &PrivateKey, role: &KeyRole, file: PathBuf, public_key_file: Option<PathBuf>) -> Self {
        let key_type = key.public().key_type().to_string();
        Self { key_id: key.id().clone(), role: role.to_string(), key_type, file, public_key_file }
    }
}

pub(super) const ABOUT: &str = "\
Make a signer's key.

The private key goes to the key folder, encrypted with a passphrase that is asked for, and the public \
key to the file NAME.pub. Hand that to whoever runs `trustgate signer add --key NAME.pub NAME REPOSITORY`.";

pub(super) const EXAMPLES: &str = "\
Examples:
  A key of your own:
      trustgate key generate alice
  A key for a pipeline, whose private half goes to the pipeline's secrets:
      trustgate key generate ci --private-key ci.key
  The root key of all repositories to come, on a machine without a network:
      trustgate key generate --root";
