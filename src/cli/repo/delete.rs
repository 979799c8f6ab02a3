//! `trustgate repo delete`: a repository's trust data, taken from this machine or from everywhere.

use clap::Args;
use serde::Serialize;

use crate::cli::exit::{Exit, Failure};
use crate::cli::form::FormArguments;
use crate::cli::names;
use crate::cli::output::Output;
use crate::cli::published::talking_publisher;
use crate::cli::settings::Settings;
use crate::cli::signing::{confirm, publish_failure};
use crate::image::Gun;
use crate::tuf::KeyId;

/// What `repo delete` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Repository
    name: String,

    /// Delete it from the trust server, too
    #[arg(long)]
    remote: bool,

    /// Ask no question
    #[arg(long, short)]
    yes: bool,

    #[command(flatten)]
    form: FormArguments,
}

/// Deletes it.
pub(super) async fn run(
    arguments: &Arguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let gun = names::repository(&arguments.name)?.gun();
    let form = arguments.form;
    let familiar = gun.familiar();
    if !arguments.yes {
        let (place, effect) = if arguments.remote {
            ("this machine and from the trust server", "Its tags are signed no more, for anybody.")
        } else {
            ("this machine", "Its root will be trusted anew, on first use, unless a policy pins it.")
        };
        let question = format!("Delete all trust data of {familiar} from {place}? {effect} [y/N] ");
        if !confirm(&question, output)? {
            return Err(Failure::refused(format!("the trust data of `{familiar}` stays"))
                .help("delete it without a question: --yes"));
        }
    }
    let publisher = talking_publisher(settings, &gun, form)?;
    let deleted = publisher.delete(&gun, arguments.remote, true).await;
    let deleted = deleted.map_err(|error| publish_failure(&error))?;
    if deleted.remote {
        form.line(&format!("Successfully deleted trust data of {familiar} from the trust server"), output)?;
    }
    if deleted.local {
        form.line(&format!("Successfully deleted trust data of {familiar} from this machine"), output)?;
    } else {
        output.remark(&format!("this machine has no trust data of {familiar}"));
    }
    for id in &deleted.keys {
        form.line(&format!("Removed key {id}"), output)?;
    }
    let deletion =
        Deletion { repository: &gun, remote: deleted.remote, local: deleted.local, keys: &deleted.keys };
    form.json(&deletion, output)?;
    Ok(Exit::Done)
}

/// The answer as JSON.
#[derive(Serialize)]
struct Deletion<'a> {
    repository: &'a Gun,
    /// From the trust server.
    remote: bool,
    /// From this machine.
    local: bool,
    /// The keys that went with it.
    keys: &'a [KeyId],
}

pub(super) const ABOUT: &str = "\
Delete a repository's trust data.

Without --remote only this machine forgets what it knows of the repository: cached trust data, staged changes, and \
the keys that belong to no other repository. With --remote the trust server deletes it, too; consumers who saw it \
before keep expecting signatures by its root key.";
