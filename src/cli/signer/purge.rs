//! `trustgate signer purge`: a key that must not sign any more, whoever has it.

use clap::Args;

use super::{Tally, named_key, repositories};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::published::{Answer, ChangeArguments, conclude, talking_publisher};
use crate::cli::settings::Settings;
use crate::cli::signing::{Passphrases, publish_failure};
use crate::image::Gun;
use crate::trust::publish::{DelegationChange, Survey, SurveyScope, SurveyedDelegation};
use crate::tuf::KeyId;

/// What `signer purge` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The key's ID, or the start of it
    #[arg(long, required = true, value_name = "ID")]
    key: String,

    /// Repository
    #[arg(required = true, value_name = "REPOSITORY")]
    repositories: Vec<String>,

    #[command(flatten)]
    change: ChangeArguments,
}

/// Removes the key from each delegation of each repository.
pub(super) async fn run(
    arguments: &Arguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let guns = repositories(&arguments.repositories)?;
    let mut passphrases = arguments.change.passphrases.passphrases(settings)?;
    let mut tally = Tally::default();
    for gun in &guns {
        match purge(arguments, gun, settings, output, &mut passphrases).await {
            Ok(done) => tally.answers.extend(done),
            Err(failure) => tally.failed(gun, &failure, output),
        }
    }
    tally.report(arguments.change.form, "error removing key from", guns.len(), output)
}

async fn purge(
    arguments: &Arguments,
    gun: &Gun,
    settings: &Settings,
    output: &mut Output,
    passphrases: &mut Passphrases,
) -> Result<Vec<Answer>, Failure> {
    let publisher = talking_publisher(settings, gun, arguments.change.form)?;
    let survey = publisher.survey(gun, SurveyScope::EvenExpired).await;
    let survey = survey.map_err(|error| publish_failure(&error))?;
    let id = key_of_any(&survey, &arguments.key)?;
    let mut answers = Vec::new();
    // Children first: a parent that goes takes them with it.
    for delegation in survey.delegations.iter().rev().filter(|it| has(it, &id)) {
        let change = if delegation.keys.len() == 1 {
            DelegationChange::Remove
        } else {
            DelegationChange::Update {
                add_keys: Vec::new(),
                remove_keys: vec![id.clone()],
                add_paths: Vec::new(),
                remove_paths: Vec::new(),
                clear_paths: false,
            }
        };
        let role = &delegation.role;
        let outcome = publisher.change_delegation(gun, role, &change, passphrases).await;
        let outcome = outcome.map_err(|error| publish_failure(&error))?;
        let answer =
            conclude(gun, &outcome, arguments.change.partial.as_deref(), arguments.change.form, output)?;
        let what = match change {
            DelegationChange::Remove => {
                format!("Removed {role} of {}, which had no other key", gun.familiar())
            }
            DelegationChange::Update { .. } => format!("Removed key {id} from {role} of {}", gun.familiar()),
        };
        if !answer.is_incomplete() {
            arguments.change.form.line(&what, output)?;
        }
        answers.push(answer);
    }
    Ok(answers)
}

fn key_of_any(survey: &Survey, text: &str) -> Result<KeyId, Failure> {
    let mut keys = Vec::new();
    for key in survey.delegations.iter().flat_map(|it| &it.keys) {
        if keys.iter().all(|it: &crate::trust::publish::SurveyedKey| it.id != key.id) {
            keys.push(key.clone());
        }
    }
    named_key(&keys, text)
}

fn has(delegation: &SurveyedDelegation, id: &KeyId) -> bool {
    delegation.keys.iter().any(|it| it.id == *id)
}

pub(super) const ABOUT: &str = "\
Take the right to sign from a key, whoever has it.

For a key that was lost or stolen: it is removed from every delegation of the repository. A delegation that has \
no other key goes as a whole.";
