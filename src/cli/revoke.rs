//! `trustgate revoke`: a tag, or all of a repository, is signed no more.

use clap::Args;
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::names;
use super::output::{Format, Output};
use super::publication::Publication;
use super::settings::Settings;
use super::sign::roles;
use super::signing::{PassphraseArguments, Telling, confirm, publish_failure, publisher, tell};
use crate::text::visible;
use crate::trust::publish::{Outcome, Tags};

/// What `revoke` takes.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Tag that is to be signed no more, NAME:TAG; or all of a repository, NAME
    #[arg(value_name = "IMAGE")]
    image: String,

    /// Revoke all tags of a repository without asking
    #[arg(long, short)]
    yes: bool,

    /// Role that is to say it no more: targets, or a delegation; give it again for more
    /// [default: each that says it and whose key is here]
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,

    #[command(flatten)]
    passphrases: PassphraseArguments,

    /// How to print the result
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    output: Format,
}

/// Revokes, and says so.
pub(super) async fn run(
    arguments: &Arguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let image = names::image(&arguments.image)?;
    if image.digest().is_some() {
        return Err(Failure::usage("a digest can't be revoked: signatures belong to tags")
            .help(format!("name the tag: trustgate revoke {}:TAG", image.familiar_name())));
    }
    let mut passphrases = arguments.passphrases.passphrases(settings)?;
    let roles = roles(&arguments.role)?;
    let shown = image.familiar();
    let tags = if let Some(tag) = image.tag() {
        Tags::These(vec![tag.to_string()])
    } else {
        let question = format!("Confirm you would like to delete all signature data for {shown}? [y/N] ");
        if !arguments.yes && !confirm(&question, output)? {
            return Err(Failure::refused("nothing was revoked")
                .help("answer y, or give --yes, to revoke all tags of the repository"));
        }
        Tags::All
    };
    let gun = image.gun();
    let repository = publisher(settings, &gun, tell(Telling::of(arguments.output, settings)))?;
    let outcome = repository
        .revoke(&gun, &tags, &roles, &mut passphrases)
        .await
        .map_err(|error| publish_failure(&error))?;
    let publication = Publication::of(&outcome, None)?;
    let mut exit = publication.exit();
    let still_signed: Vec<StillSigned> = match &outcome {
        Outcome::Published(published) => published
            .still_signed
            .iter()
            .map(|(tag, role)| StillSigned { tag: visible(tag), role: role.to_string() })
            .collect(),
        Outcome::Unchanged | Outcome::Incomplete(_) => Vec::new(),
    };
    if !still_signed.is_empty() {
        exit = Exit::Refused;
    }
    match (arguments.output, &outcome) {
        (Format::Json, _) => {
            let image = image.to_string();
            output.json(&Answer { image, still_signed: &still_signed, publication })?;
        }
        (Format::Text, Outcome::Unchanged) => output.data(format!("{shown} is not signed\n").as_bytes())?,
        (Format::Text, _) => {
            output.data(format!("Successfully deleted signature for {shown}\n").as_bytes())?;
        }
    }
    for StillSigned { tag, role } in &still_signed {
        let name = image.familiar_name();
        output.talk(&format!("error: `{role}` still signs {name}:{tag}, and its key is not here"));
    }
    Ok(exit)
}

/// A tag that another role still lists.
#[derive(Serialize)]
struct StillSigned {
    tag: String,
    role: String,
}

/// `--output json`.
#[derive(Serialize)]
struct Answer<'a> {
    image: String,
    still_signed: &'a [StillSigned],
    #[serde(flatten)]
    publication: Publication,
}

pub(super) const ABOUT: &str = "\
Take signatures back.

A tag that is revoked is signed no more: nobody who checks can pull it by its tag. The image stays in the \
registry, and where it was pulled.";

pub(super) const EXAMPLES: &str = "\
Examples:
  One tag:
      trustgate revoke acme/base:1.4
  All tags of a repository, in a script:
      trustgate revoke --yes acme/base

Exit codes: 0 revoked, 1 refused, or another role still signs it, 2 wrong usage, 3 the trust server could \
not be asked";
