//! `trustgate signer add`: a signer, or more keys or tags for one.

use std::path::PathBuf;

use clap::Args;

use super::{Signer, Tally, keys_of, repositories};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::published::{Answer, ChangeArguments, conclude, talking_publisher};
use crate::cli::settings::Settings;
use crate::cli::signing::{Passphrases, key_failure, publish_failure};
use crate::image::Gun;
use crate::keys::read_public_keys;
use crate::trust::publish::{DelegationChange, NewSigner, SurveyScope};
use crate::tuf::{PublicKey, RoleName};

/// What `signer add` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// File of the signer's public key, or certificate; give it again for more keys
    #[arg(long, short, required = true, value_name = "FILE")]
    key: Vec<PathBuf>,

    /// Let the signer sign only tags that begin with PREFIX; give it again for more
    /// [default: all tags]
    #[arg(long, value_name = "PREFIX")]
    path: Vec<String>,

    /// Name of the signer; or a delegation's full name, targets/…
    name: String,

    /// Repository
    #[arg(required = true, value_name = "REPOSITORY")]
    repositories: Vec<String>,

    #[command(flatten)]
    change: ChangeArguments,
}

/// Adds the signer to each repository.
pub(super) async fn run(
    arguments: &Arguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let signer = Signer::parse(&arguments.name)?;
    let guns = repositories(&arguments.repositories)?;
    let mut keys: Vec<PublicKey> = Vec::new();
    for file in &arguments.key {
        let read = read_public_keys(file, (settings.clock())()).map_err(|error| key_failure(&error))?;
        for key in read {
            if keys.iter().all(|it| it.canonical_id() != key.canonical_id()) {
                keys.push(key);
            }
        }
    }
    if matches!(signer, Signer::Named(_)) && !arguments.path.is_empty() {
        output.remark(&format!(
            "note: the limit is that of the role {}; in {}, where docker looks first, every signer may sign \
             every tag. A policy that asks for the signer holds them to it",
            signer.role(),
            RoleName::RELEASES,
        ));
    }
    let mut passphrases = arguments.change.passphrases.passphrases(settings)?;
    let (form, name) = (arguments.change.form, &arguments.name);
    let mut tally = Tally::default();
    for gun in &guns {
        form.line(&format!("Adding signer \"{name}\" to {}...", gun.familiar()), output)?;
        match add(arguments, &signer, &keys, gun, settings, output, &mut passphrases).await {
            Ok(answer) => {
                let familiar = gun.familiar();
                let done = if answer.is_unchanged() {
                    format!("Signer {name} was in {familiar} before, with these keys")
                } else {
                    format!("Successfully added signer: {name} to {familiar}")
                };
                if !answer.is_incomplete() {
                    form.line(&done, output)?;
                }
                tally.answers.push(answer);
            }
            Err(failure) => tally.failed(gun, &failure, output),
        }
    }
    tally.report(form, "failed to add signer to", guns.len(), output)
}

async fn add(
    arguments: &Arguments,
    signer: &Signer,
    keys: &[PublicKey],
    gun: &Gun,
    settings: &Settings,
    output: &mut Output,
    passphrases: &mut Passphrases,
) -> Result<Answer, Failure> {
    let publisher = talking_publisher(settings, gun, arguments.change.form)?;
    let outcome = match signer {
        Signer::Named(name) => {
            let signer =
                NewSigner { name: name.to_string(), keys: keys.to_vec(), paths: arguments.path.clone() };
            publisher.add_signer(gun, &signer, passphrases).await
        }
        Signer::Delegation(role) => {
            let survey = publisher.survey(gun, SurveyScope::EvenExpired).await;
            let survey = survey.map_err(|error| publish_failure(&error))?;
            // A delegation that is there keeps its limits.
            let is_new = keys_of(&survey, role).is_none();
            let all = || if is_new { vec![String::new()] } else { Vec::new() };
            let change = DelegationChange::Update {
                add_keys: keys.to_vec(),
                remove_keys: Vec::new(),
                add_paths: if arguments.path.is_empty() { all() } else { arguments.path.clone() },
                remove_paths: Vec::new(),
                clear_paths: false,
            };
            publisher.change_delegation(gun, role, &change, passphrases).await
        }
    };
    let outcome = outcome.map_err(|error| publish_failure(&error))?;
    conclude(gun, &outcome, arguments.change.partial.as_deref(), arguments.change.form, output)
}

pub(super) const ABOUT: &str = "\
Let somebody sign tags of repositories.

The signer's key may sign as targets/NAME, and in targets/releases, where docker looks for tags first. \
The repository's targets key must be here; a repository that has no trust data yet is initialized. A name \
that begins with `targets/` makes a delegation as notary knows them, without the right to sign in \
targets/releases.";

pub(super) const EXAMPLES: &str = "\
Examples:
  Alice signs in two repositories:
      trustgate signer add --key alice.pub alice acme/base acme/tools
  A pipeline signs nightly builds only:
      trustgate signer add --key ci.pub --path nightly- ci acme/base";
