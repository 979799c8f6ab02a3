//! `trustgate repo refresh`: new signatures for what has expired, which no other command gives.

use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;
use jiff::SignedDuration;
use serde::Serialize;

use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::published::{Answer, ChangeArguments, conclude};
use crate::cli::settings::Settings;
use crate::cli::signing::{Passphrases, publish_failure, publisher, tell};
use crate::cli::status::known_repositories;
use crate::cli::{message, names};
use crate::image::Gun;
use crate::trust::publish::Event;
use crate::tuf::RoleName;

/// What `repo refresh` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Repository
    #[arg(required_unless_present = "all", value_name = "NAME")]
    names: Vec<String>,

    /// All repositories that this machine knows
    #[arg(long, conflicts_with = "names")]
    all: bool,

    /// Sign again what expires within this time: 90d, 12w, 36h
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = names::span)]
    within: SignedDuration,

    #[command(flatten)]
    change: ChangeArguments,
}

/// Signs each repository again, as far as the keys are here.
pub(super) async fn run(
    arguments: &Arguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let mut guns = Vec::new();
    for name in &arguments.names {
        guns.push(names::repository(name)?.gun());
    }
    if arguments.all {
        guns = known_repositories(settings)?;
    }
    let mut passphrases = arguments.change.passphrases.passphrases(settings)?;
    let mut refreshed = Vec::new();
    let mut exit = Exit::Done;
    for gun in &guns {
        match refresh(arguments, gun, settings, output, &mut passphrases).await {
            Ok(one) => {
                exit = exit.and(one.answer.exit());
                if !one.still_expiring.is_empty() {
                    exit = exit.and(Exit::Refused);
                }
                refreshed.push(one);
            }
            Err(failure) => {
                output.talk(&message::failure(&failure, output.styles().talk));
                exit = exit.and(failure.exit());
            }
        }
    }
    arguments.change.form.json(&refreshed, output)?;
    Ok(exit)
}

async fn refresh(
    arguments: &Arguments,
    gun: &Gun,
    settings: &Settings,
    output: &mut Output,
    passphrases: &mut Passphrases,
) -> Result<Refreshed, Failure> {
    let form = arguments.change.form;
    let left: Arc<Mutex<Vec<RoleName>>> = Arc::default();
    let (kept, others) = (Arc::clone(&left), tell(form.telling(settings)));
    let publisher = publisher(settings, gun, move |event| {
        if let Event::NearExpiry { role, .. } = &event {
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(role.clone());
        }
        others(event);
    })?;
    let outcome = publisher.refresh(gun, arguments.within, passphrases).await;
    let outcome = outcome.map_err(|error| publish_failure(&error))?;
    let answer = conclude(gun, &outcome, arguments.change.partial.as_deref(), form, output)?;
    let familiar = gun.familiar();
    for role in &answer.publication().roles {
        let until = role.expires.split('T').next().unwrap_or_default();
        let line =
            format!("Signed {} of {familiar}: version {}, valid until {until}", role.role, role.version);
        form.line(&line, output)?;
    }
    let mut still_expiring = left.lock().unwrap_or_else(PoisonError::into_inner).clone();
    still_expiring.sort();
    still_expiring.dedup();
    if answer.is_unchanged() && still_expiring.is_empty() {
        form.line(&format!("Nothing of {familiar} expires within that time"), output)?;
    }
    Ok(Refreshed { answer, still_expiring })
}

/// One repository of the answer as JSON.
#[derive(Serialize)]
struct Refreshed {
    #[serde(flatten)]
    answer: Answer,
    /// What expires within the time, and could not be signed again: its keys are not here.
    still_expiring: Vec<RoleName>,
}

pub(super) const ABOUT: &str = "\
Sign again what has expired, or soon will.

Docker and notary refuse to read a repository whose targets have expired, and so can't sign it either: it is \
locked for good. This command reads it all the same; signatures, versions and hashes are checked as ever. Each \
role is signed whose keys are here; the trust server renews its own, the timestamp and mostly the snapshot. \
The exit code is 1 where a role remains that expires within the time.";

pub(super) const EXAMPLES: &str = "\
Examples:
  Open a repository that has expired:
      trustgate repo refresh acme/base
  Once a month, all that this machine may sign:
      trustgate repo refresh --all --within 120d";
