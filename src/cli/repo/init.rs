//! `trustgate repo init`: a repository's trust data, before anything in it is signed.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::cli::exit::{Exit, Failure};
use crate::cli::form::FormArguments;
use crate::cli::key::{imported_key, named_key};
use crate::cli::names;
use crate::cli::output::Output;
use crate::cli::published::{conclude, talking_publisher};
use crate::cli::settings::Settings;
use crate::cli::signing::{PassphraseArguments, Passphrases, key_store, publish_failure};
use crate::http::read_bounded;
use crate::keys::KeyRole;
use crate::trust::publish::{Init, ManagedBy};
use crate::tuf::KeyId;

/// What `repo init` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Repository
    name: String,

    /// The root key: its ID or the start of it, or a file of it, which is imported
    /// [default: the one that is here, else a new one]
    #[arg(long, visible_alias = "rootkey", value_name = "KEY")]
    root_key: Option<String>,

    /// PEM file of the root key's certificate [default: one that the key signs itself]
    #[arg(long, visible_alias = "rootcert", value_name = "FILE")]
    root_certificate: Option<PathBuf>,

    /// Who keeps the snapshot key
    #[arg(long, value_enum, default_value_t = Keeper::Server)]
    snapshot: Keeper,

    #[command(flatten)]
    form: FormArguments,

    #[command(flatten)]
    passphrases: PassphraseArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Keeper {
    /// The trust server, as with docker
    Server,
    /// This machine, as with notary
    Client,
}

/// Makes it.
pub(super) async fn run(
    arguments: &Arguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let gun = names::repository(&arguments.name)?.gun();
    let root_certificate = arguments.root_certificate.as_deref().map(read_certificate).transpose()?;
    let mut passphrases = arguments.passphrases.passphrases(settings)?;
    let root_key = match &arguments.root_key {
        Some(key) => Some(root_key(key, settings, &mut passphrases)?),
        None => None,
    };
    let snapshot = match arguments.snapshot {
        Keeper::Server => ManagedBy::Server,
        Keeper::Client => ManagedBy::Client,
    };
    let init = Init { root_key, root_certificate, snapshot };
    let publisher = talking_publisher(settings, &gun, arguments.form)?;
    let outcome = publisher.initialize(&gun, &init, &mut passphrases).await;
    let outcome = outcome.map_err(|error| publish_failure(&error))?;
    let answer = conclude(&gun, &outcome, None, arguments.form, output)?;
    let exit = answer.exit();
    arguments.form.json(&answer, output)?;
    Ok(exit)
}

/// A key that is here, or that a file holds.
fn root_key(key: &str, settings: &Settings, passphrases: &mut Passphrases) -> Result<KeyId, Failure> {
    let store = key_store(settings)?;
    let id = if Path::new(key).is_file() {
        imported_key(Path::new(key), &KeyRole::root(), None, &store, passphrases)?
    } else {
        let stored = named_key(&store, key)?;
        if stored.role != KeyRole::root() {
            return Err(Failure::usage(format!("{} is a {} key, not a root key", stored.id, stored.role))
                .help("see which there are: trustgate key list"));
        }
        stored.id
    };
    Ok(id)
}

fn read_certificate(path: &Path) -> Result<Vec<u8>, Failure> {
    read_bounded(path, CERTIFICATE_LIMIT)
        .map_err(|error| Failure::unknown(format!("`{}`: {error}", path.display())))
}

/// A chain of certificates of RSA keys is a tenth of it.
const CERTIFICATE_LIMIT: u64 = 64 << 10;

pub(super) const ABOUT: &str = "\
Make a repository's trust data, without signing any tag.

The root key and the repository's targets key are made where there are none, and the trust server makes the \
others. `trustgate push` and `trustgate sign` do the same when they are first used on a repository.";

pub(super) const EXAMPLES: &str = "\
Examples:
  As a first push would:
      trustgate repo init acme/base
  With a root key from a backup, and a certificate of one's own authority:
      trustgate repo init --root-key root.pem --root-certificate base.crt acme/base";
