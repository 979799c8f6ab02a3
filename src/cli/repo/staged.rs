//! `trustgate repo staged` and `repo reset`: what is staged, and what is so no more.

use clap::Args;
use serde::Serialize;

use crate::cli::exit::{Exit, Failure};
use crate::cli::form::FormArguments;
use crate::cli::names;
use crate::cli::output::Output;
use crate::cli::settings::Settings;
use crate::cli::signing::{Telling, confirm, publish_failure, publisher, tell};
use crate::image::Gun;
use crate::text::visible;
use crate::trust::publish::{Action, Change, DelegationChange, StagedChange};

/// What `repo staged` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct StagedArguments {
    /// Repository
    name: String,

    #[command(flatten)]
    form: FormArguments,
}

/// What `repo reset` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct ResetArguments {
    /// Repository
    name: String,

    /// Forget this change only, by its number in `repo staged`; give it again for more
    #[arg(long, short, value_name = "NUMBER", conflicts_with = "all")]
    number: Vec<usize>,

    /// Forget all of them, without a question
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    form: FormArguments,
}

/// Prints them in notary's columns.
pub(super) fn list(
    arguments: &StagedArguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let gun = names::repository(&arguments.name)?.gun();
    let staged = staged(&gun, settings)?;
    print(&gun, &staged, arguments.form, output)?;
    let staged: Vec<Shown> = staged.iter().map(Shown::of).collect();
    arguments.form.json(&Answer { repository: &gun, staged }, output)?;
    Ok(Exit::Done)
}

/// Forgets them, or some.
pub(super) fn reset(
    arguments: &ResetArguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let gun = names::repository(&arguments.name)?.gun();
    let (form, familiar) = (arguments.form, gun.familiar());
    let staged = staged(&gun, settings)?;
    let mut forgotten = Vec::new();
    if arguments.number.is_empty() {
        let question = format!("Forget all {} staged changes of {familiar}? [y/N] ", staged.len());
        if !staged.is_empty() && !arguments.all && !confirm(&question, output)? {
            return Err(Failure::refused(format!("what is staged for `{familiar}` stays"))
                .help("forget all of it without a question: --all"));
        }
        let publisher = publisher(settings, &gun, tell(Telling::Nothing))?;
        publisher.clear_staged(&gun).map_err(|error| publish_failure(&error))?;
        forgotten.extend(&staged);
    }
    for number in &arguments.number {
        let Some(one) = staged.get(*number) else {
            return Err(Failure::usage(format!("no change of `{familiar}` has the number {number}"))
                .help(format!("see which there are: trustgate repo staged {familiar}")));
        };
        forgotten.push(one);
    }
    if !arguments.number.is_empty() {
        for one in &forgotten {
            std::fs::remove_file(&one.path)
                .map_err(|error| Failure::unknown(format!("`{}`: {error}", one.path.display())))?;
        }
    }
    form.line(
        &format!("Successfully reset {} of {} changes for {familiar}", forgotten.len(), staged.len()),
        output,
    )?;
    let forgotten = forgotten.into_iter().map(Shown::of).collect();
    form.json(&Answer { repository: &gun, staged: forgotten }, output)?;
    Ok(Exit::Done)
}

/// The staged changes of a repository.
pub(super) fn staged(gun: &Gun, settings: &Settings) -> Result<Vec<StagedChange>, Failure> {
    let publisher = publisher(settings, gun, tell(Telling::Nothing))?;
    publisher.staged(gun).map_err(|error| publish_failure(&error))
}

/// Prints them as `notary status` does.
pub(super) fn print(
    gun: &Gun,
    staged: &[StagedChange],
    form: FormArguments,
    output: &mut Output,
) -> Result<(), Failure> {
    if staged.is_empty() {
        return form.line(&format!("No unpublished changes for {gun}"), output);
    }
    form.line(&format!("Unpublished changes for {gun}:"), output)?;
    let rows: Vec<_> = staged
        .iter()
        .map(Shown::of)
        .enumerate()
        .map(|(number, it)| [number.to_string(), it.action.to_owned(), it.role, it.kind.to_owned(), it.path])
        .collect();
    form.table(["#", "ACTION", "SCOPE", "TYPE", "PATH"], &rows, output)
}

/// A staged change in notary's words.
#[derive(Serialize)]
pub(super) struct Shown {
    pub(super) action: &'static str,
    pub(super) role: String,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) path: String,
    file: std::path::PathBuf,
}

impl Shown {
    pub(super) fn of(staged: &StagedChange) -> Self {
        let (action, role, kind, path) = match &staged.change {
            Change::AddTarget { role, name, .. } => ("create", role, "target", visible(name)),
            Change::RemoveTarget { role, name } => ("delete", role, "target", visible(name)),
            Change::Witness { role } => ("update", role, "witness", String::new()),
            Change::Delegation { role, action, change, .. } => {
                let action = match (action, change) {
                    (_, DelegationChange::Remove) | (Action::Delete, _) => "delete",
                    (Action::Create, _) => "create",
                    (Action::Update, _) => "update",
                };
                (action, role, "delegation", String::new())
            }
        };
        Self { action, role: role.to_string(), kind, path, file: staged.path.clone() }
    }
}

/// The answer as JSON.
#[derive(Serialize)]
struct Answer<'a> {
    repository: &'a Gun,
    staged: Vec<Shown>,
}
