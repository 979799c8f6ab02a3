//! `trustgate repo threshold`: how many keys of a role must sign.

use clap::Args;

use super::role_name;
use crate::cli::exit::{Exit, Failure};
use crate::cli::names;
use crate::cli::output::Output;
use crate::cli::published::{ChangeArguments, conclude, talking_publisher};
use crate::cli::settings::Settings;
use crate::cli::signing::publish_failure;

/// What `repo threshold` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Repository
    name: String,

    /// root, targets, a signer's name, or a delegation's full name
    role: String,

    /// How many of the role's keys must sign
    #[arg(value_parser = clap::value_parser!(u64).range(1..=THRESHOLD_LIMIT))]
    number: u64,

    #[command(flatten)]
    change: ChangeArguments,
}

/// Sets it.
pub(super) async fn run(
    arguments: &Arguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let gun = names::repository(&arguments.name)?.gun();
    let role = role_name(&arguments.role)?;
    let mut passphrases = arguments.change.passphrases.passphrases(settings)?;
    let publisher = talking_publisher(settings, &gun, arguments.change.form)?;
    let outcome = publisher.set_threshold(&gun, &role, arguments.number, &mut passphrases).await;
    let outcome = outcome.map_err(|error| publish_failure(&error))?;
    let answer =
        conclude(&gun, &outcome, arguments.change.partial.as_deref(), arguments.change.form, output)?;
    if !answer.is_incomplete() {
        let (number, familiar) = (arguments.number, gun.familiar());
        let keys = if number == 1 { "1 key of".to_owned() } else { format!("{number} keys of") };
        arguments.change.form.line(&format!("{keys} {role} must sign in {familiar}"), output)?;
    }
    let exit = answer.exit();
    arguments.change.form.json(&answer, output)?;
    Ok(exit)
}

/// More keys than any role may have.
const THRESHOLD_LIMIT: u64 = 1 << 16;

pub(super) const ABOUT: &str = "\
Set how many keys of a role must sign.

With 2, nobody can sign alone: each change is written to a file (--partial FILE), and published by the last one \
who signs it with `trustgate repo publish NAME FILE`. The role must have as many keys.";
