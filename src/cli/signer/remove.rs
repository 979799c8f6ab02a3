//! `trustgate signer remove`: a signer, or some of their keys.

use clap::Args;

use super::{Signer, Tally, keys_of, named_key, repositories};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::published::{Answer, ChangeArguments, conclude, talking_publisher};
use crate::cli::settings::Settings;
use crate::cli::signing::{Passphrases, confirm, publish_failure};
use crate::image::Gun;
use crate::trust::publish::{DelegationChange, LastSigner, Outcome, PublishError, Publisher, SurveyScope};
use crate::tuf::{KeyId, RoleName};

/// What `signer remove` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Name of the signer; or a delegation's full name, targets/…
    name: String,

    /// Repository
    #[arg(required = true, value_name = "REPOSITORY")]
    repositories: Vec<String>,

    /// Remove this key only, by its ID or the start of it; give it again for more
    #[arg(long, value_name = "ID")]
    key: Vec<String>,

    /// Remove the last signer, too, without a question
    #[arg(long, short, visible_alias = "yes", visible_short_alias = 'y')]
    force: bool,

    #[command(flatten)]
    change: ChangeArguments,
}

/// Removes the signer from each repository.
pub(super) async fn run(
    arguments: &Arguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let signer = Signer::parse(&arguments.name)?;
    let guns = repositories(&arguments.repositories)?;
    let mut passphrases = arguments.change.passphrases.passphrases(settings)?;
    let (form, name) = (arguments.change.form, &arguments.name);
    let mut tally = Tally::default();
    for gun in &guns {
        form.line(&format!("Removing signer \"{name}\" from {}...", gun.familiar()), output)?;
        match remove(arguments, &signer, gun, settings, output, &mut passphrases).await {
            Ok(done) => {
                for answer in done {
                    let what =
                        if arguments.key.is_empty() { name.clone() } else { format!("keys of {name}") };
                    if !answer.is_incomplete() {
                        let line = format!("Successfully removed {what} from {}", gun.familiar());
                        form.line(&line, output)?;
                    }
                    tally.answers.push(answer);
                }
            }
            Err(failure) => tally.failed(gun, &failure, output),
        }
    }
    tally.report(form, "error removing signer from", guns.len(), output)
}

async fn remove(
    arguments: &Arguments,
    signer: &Signer,
    gun: &Gun,
    settings: &Settings,
    output: &mut Output,
    passphrases: &mut Passphrases,
) -> Result<Vec<Answer>, Failure> {
    let publisher = talking_publisher(settings, gun, arguments.change.form)?;
    let outcome = match signer {
        _ if !arguments.key.is_empty() => {
            return remove_keys(arguments, signer, gun, &publisher, output, passphrases).await;
        }
        Signer::Named(name) => {
            let name = name.as_str();
            let last = if arguments.force { LastSigner::Remove } else { LastSigner::Refuse };
            match publisher.remove_signer(gun, name, last, passphrases).await {
                Err(PublishError::LastSigner { .. }) => {
                    ask_about_last(name, gun, output)?;
                    publisher.remove_signer(gun, name, LastSigner::Remove, passphrases).await
                }
                outcome => outcome,
            }
        }
        Signer::Delegation(role) => {
            publisher.change_delegation(gun, role, &DelegationChange::Remove, passphrases).await
        }
    };
    let answer = concluded(arguments, gun, outcome, output)?;
    Ok(vec![answer])
}

fn concluded(
    arguments: &Arguments,
    gun: &Gun,
    outcome: Result<Outcome, PublishError>,
    output: &mut Output,
) -> Result<Answer, Failure> {
    let outcome = outcome.map_err(|error| publish_failure(&error))?;
    conclude(gun, &outcome, arguments.change.partial.as_deref(), arguments.change.form, output)
}

/// Docker's question, where it is true.
fn ask_about_last(name: &str, gun: &Gun, output: &mut Output) -> Result<(), Failure> {
    let familiar = gun.familiar();
    let question = format!(
        "The signer \"{name}\" is the last one of {familiar}. Removing this signer will make the tags in \
         targets/releases unpullable. Are you sure you want to continue? [y/N] "
    );
    if confirm(&question, output)? {
        return Ok(());
    }
    Err(Failure::refused(format!("`{name}` stays: it is the last signer of `{familiar}`"))
        .help("add another signer first, or remove it with its tags: --force"))
}

/// A signer's keys are in two roles. The shared one comes first: it is the one that docker reads.
async fn remove_keys(
    arguments: &Arguments,
    signer: &Signer,
    gun: &Gun,
    publisher: &Publisher,
    output: &mut Output,
    passphrases: &mut Passphrases,
) -> Result<Vec<Answer>, Failure> {
    let survey = publisher.survey(gun, SurveyScope::EvenExpired).await;
    let survey = survey.map_err(|error| publish_failure(&error))?;
    let role = signer.role();
    let Some(keys) = keys_of(&survey, &role) else {
        return Err(publish_failure(&PublishError::NoSuchRole { gun: gun.clone(), role }));
    };
    let mut ids: Vec<KeyId> = Vec::new();
    for text in &arguments.key {
        ids.push(named_key(keys, text)?);
    }
    if keys.iter().all(|it| ids.contains(&it.id)) {
        return Err(Failure::refused(format!("`{role}` of `{gun}` has no other key")).help(format!(
            "remove the signer as a whole: trustgate signer remove {} {}",
            arguments.name,
            gun.familiar()
        )));
    }
    let shared = |id: &KeyId| {
        let releases = keys_of(&survey, &RoleName::RELEASES).unwrap_or_default();
        releases.iter().any(|it| it.id == *id)
    };
    let mut changes = Vec::new();
    if matches!(signer, Signer::Named(_)) {
        changes.push((RoleName::RELEASES, ids.iter().filter(|it| shared(it)).cloned().collect()));
    }
    changes.push((role, ids.clone()));
    let mut answers = Vec::new();
    for (role, remove_keys) in changes {
        let remove_keys: Vec<KeyId> = remove_keys;
        if remove_keys.is_empty() {
            continue;
        }
        let change = DelegationChange::Update {
            add_keys: Vec::new(),
            remove_keys,
            add_paths: Vec::new(),
            remove_paths: Vec::new(),
            clear_paths: false,
        };
        let outcome = publisher.change_delegation(gun, &role, &change, passphrases).await;
        answers.push(concluded(arguments, gun, outcome, output)?);
    }
    Ok(answers)
}

pub(super) const ABOUT: &str = "\
Take the right to sign from somebody, or from some of their keys.

The signer's role goes with what was signed in it, and the keys no longer count in targets/releases. Where the \
signer is the last one, the tags in targets/releases would go, too, and you are asked.";
