//! `trustgate run` and `trustgate create`: docker's own command, with the image that the gate let in.
//!
//! Every flag is docker's and goes through as it is; only the word that names the image is replaced, by
//! its signed digest.

use std::ffi::{OsStr, OsString};

use clap::Args;

use super::docker_command::{docker_command, replace};
use super::exit::{Exit, Failure};
use super::output::Output;
use super::progress::while_waiting;
use super::settings::{Demands, Settings};
use super::transfer::{engine, engine_failure};
use super::verify::print_talk;
use crate::docker::Image;
use crate::docker::arguments::Verb;
use crate::gate::{DisabledBy, Report, Request, TrustSwitch};
use crate::image::{Digest, Reference};
use crate::policy::{LocalImages, Said};
use crate::trust::SignerListing;

/// What `run` and `create` take: docker's own words.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(super) struct Arguments {
    /// Docker's own flags, the image, and the command that runs in the container
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "DOCKER'S ARGUMENTS"
    )]
    words: Vec<OsString>,

    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
}

/// Becomes docker's command, if the image may be used.
pub(super) async fn run(
    verb: Verb,
    arguments: &Arguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let docker = docker_command(settings)?;
    let found = docker.image_argument(verb, &arguments.words).await;
    let found = found.map_err(|error| {
        let failure = Failure::usage(error.to_string());
        error.help().into_iter().fold(failure, Failure::help)
    })?;
    let Some(found) = found else {
        // Docker would print its help.
        return replace(&docker, name(verb), &arguments.words);
    };
    let switch = TrustSwitch::from_flag(found.disable_content_trust, settings.switch());
    let image = match choose(&found.image, switch, settings, output).await? {
        Ok(image) => image,
        Err(exit) => return Ok(exit),
    };
    let mut mounted = Vec::with_capacity(found.mounted.len());
    for mount in &found.mounted {
        match choose(&mount.image, switch, settings, output).await? {
            Ok(image) => mounted.push(image),
            Err(exit) => return Ok(exit),
        }
    }
    replace(&docker, name(verb), &found.with_images(&arguments.words, OsStr::new(&image), &mounted))
}

/// What docker is given in the image's place; `Err` where the gate refused, which it has said.
async fn choose(
    written: &str,
    switch: TrustSwitch,
    settings: &Settings,
    output: &mut Output,
) -> Result<Result<String, Exit>, Failure> {
    if let Some(local) = local_image(written, settings).await? {
        return allow_local(&local, written, switch, settings).map(Ok);
    }
    let reference: Reference = super::names::image(written)?;
    let gate =
        settings.gate_with(Demands { signed_digests: false, signers: SignerListing::Required }, switch)?;
    let what = format!("asking for the trust data of {}", reference.familiar_name());
    let decisions = gate.decide(vec![Request::command_line(reference.clone())]);
    let report: Report = while_waiting(&what, output, decisions).await;
    print_talk(&report, output);
    let exit = Exit::of(&report);
    if exit != Exit::Done {
        return Ok(Err(exit));
    }
    let digest = report.decided.first().and_then(crate::gate::Decided::digest);
    Ok(Ok(match digest {
        Some(digest) => reference.without_tag().with_digest(digest.clone()).familiar(),
        None => written.to_owned(),
    }))
}

/// An image that is named by what only this engine knows.
struct Local {
    id: String,
    by: LocalImages,
}

/// The image, if an ID names it, or if it was made here and the policy takes such by name.
async fn local_image(text: &str, settings: &Settings) -> Result<Option<Local>, Failure> {
    // A whole ID names content: docker takes it for nothing else.
    let whole = text.strip_prefix("sha256:").unwrap_or(text);
    if format!("sha256:{whole}").parse::<Digest>().is_ok() {
        return Ok(Some(Local { id: format!("sha256:{whole}"), by: LocalImages::ById }));
    }
    let may_be_id = text.len() >= SHORTEST_ID && text.chars().all(|it| matches!(it, '0'..='9' | 'a'..='f'));
    let by_name = settings.policies()?.local_images().value == LocalImages::ByName;
    if !may_be_id && !by_name {
        return Ok(None);
    }
    let engine = engine(settings).await?;
    let found: Option<Image> = engine.inspect(text).await.map_err(|error| engine_failure(&error))?;
    let Some(image) = found else { return Ok(None) };
    // A name goes before an ID, as in docker.
    let is_named = text.parse::<Reference>().is_ok_and(|it| image.tags.contains(&it.with_default_tag()));
    let id = image.id.to_string();
    if may_be_id && !is_named && image.id.hex().starts_with(text) {
        return Ok(Some(Local { id, by: LocalImages::ById }));
    }
    Ok((by_name && is_named && image.digests.is_empty()).then_some(Local { id, by: LocalImages::ByName }))
}

/// The policy has the last word on what has no trust data.
fn allow_local(
    local: &Local,
    written: &str,
    switch: TrustSwitch,
    settings: &Settings,
) -> Result<String, Failure> {
    let Said { value, place } = settings.policies()?.local_images();
    let disabled = match switch {
        TrustSwitch::Enabled => false,
        TrustSwitch::Disabled(by) => disabled(by, settings)?,
    };
    if local.by >= value || disabled {
        return Ok(local.id.clone());
    }
    let failure =
        Failure::refused(format!("`{written}` is an image of this engine alone, which nobody signed"));
    let failure = match place {
        Some(place) => failure.note(format!("{place} forbids to run it")),
        None => failure,
    };
    Err(failure.help("push it, and run it by its signed tag"))
}

fn disabled(by: DisabledBy, settings: &Settings) -> Result<bool, Failure> {
    let allowed = settings.policies()?.disable_allowed(by);
    allowed.map(|()| true).map_err(|error| {
        Failure::refused("content trust can't be disabled here")
            .note(error.to_string())
            .help("leave it out, and the image is checked")
    })
}

fn name(verb: Verb) -> &'static str {
    match verb {
        Verb::Create => "create",
        Verb::Run => "run",
    }
}

/// Shorter texts are names: docker prints twelve digits of an ID, and few type less than four.
const SHORTEST_ID: usize = 4;

pub(super) const RUN_ABOUT: &str = "\
Run a signed image in a new container.

All arguments are those of `docker run`, whose command does the work; the image is replaced by its signed \
digest. An image ID passes, as it names content. trustgate's own options stand before `run`.";

pub(super) const RUN_EXAMPLES: &str = "\
Examples:
  trustgate run --rm -it -v \"$PWD:/work\" registry.example/acme/base:1.4 sh
  trustgate --require-fresh run --rm registry.example/acme/base:1.4

Exit codes: those of `docker run`, which are the container's own; 125 also where trustgate refuses the image, \
or can't find out";

pub(super) const CREATE_ABOUT: &str = "\
Create a container of a signed image.

All arguments are those of `docker create`, whose command does the work; the image is replaced by its signed \
digest. An image ID passes, as it names content. trustgate's own options stand before `create`.";

pub(super) const CREATE_EXAMPLES: &str = "\
Examples:
  trustgate create --name web -p 8080:80 registry.example/acme/web:2.0

Exit codes: those of `docker create`; where trustgate ends first: 1 refused, 2 wrong usage, 3 could not find out";
