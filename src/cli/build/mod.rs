//! `trustgate build`: the gate before the user's builder, the signature behind it.
//!
//! The Dockerfile and the options that name images are read here, and the builder gets them with signed
//! digests in their place; or the frontend that was configured does all that inside the builder. What is
//! pushed is signed. Docker's own command builds.

#![expect(clippy::doc_markdown, reason = "the comments on fields are the help text, which is no markdown")]

mod images;
mod publish;
mod recipe;
#[cfg(test)]
mod tests;

use std::ffi::OsString;

use clap::Args;

use super::docker_command::{self, docker_command};
use super::exit::{Exit, Failure};
use super::output::Output;
use super::progress::while_waiting;
use super::settings::{Demands, Settings};
use super::signing::PassphraseArguments;
use super::transfer::RegistryArguments;
use crate::docker::arguments::BuildArguments;
use crate::gate::diagnose::{self, Sources};
use crate::gate::{Gate, Report, TrustSwitch};
use crate::trust::SignerListing;
use images::Images;
use publish::Publishing;
use recipe::Recipe;

/// What `build` takes: its own options first, then those of `docker build`.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(super) struct Arguments {
    /// Frontend that checks the build inside the builder, by its digest [default: $TRUSTGATE_FRONTEND]
    ///
    /// It takes the place of what this command reads by itself, and sees more: triggers of base images,
    /// and what the builder really is about to run.
    #[arg(long, value_name = "IMAGE")]
    frontend: Option<String>,

    /// Push under this tag first, sign, and move the tags that are meant last
    ///
    /// For engines that can't push by digest; this tag stays in the registry.
    #[arg(long, value_name = "TAG")]
    stage: Option<String>,

    #[command(flatten)]
    registry: RegistryArguments,

    #[command(flatten)]
    passphrases: PassphraseArguments,

    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,

    /// The options of `docker build`, and the context
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "DOCKER'S ARGUMENTS"
    )]
    words: Vec<OsString>,
}

/// Builds what the gate lets in; signs what is pushed.
pub(super) async fn run(
    arguments: &Arguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    // The old builder knows no frontends, and builds stages that nothing needs.
    let docker = docker_command(settings)?.with_variable("DOCKER_BUILDKIT", "1");
    let Some(build) = read(&arguments.words)? else {
        return docker_command::run(&docker, "build", &arguments.words).await;
    };
    let gate = settings.gate_with(
        Demands { signed_digests: false, signers: SignerListing::Required },
        switch(&build, settings),
    )?;
    let publishing = Publishing::of(&build, arguments, gate.disabled().is_some(), settings)?;
    let gated = match gate_build(arguments, &build, &gate, settings, output).await? {
        Ok(gated) => gated,
        Err(exit) => return Ok(exit),
    };
    let Some(publishing) = publishing else {
        let words = gated.words(&build, settings.is_quiet(), &[])?;
        return docker_command::run(&docker, "build", &words).await;
    };
    publishing.run(&docker, &build, &gated, output).await
}

/// A build that the gate let in.
struct Gated {
    images: Images,
    recipe: Option<Recipe>,
    frontend: Option<String>,
}

impl Gated {
    /// Docker's words: those of the user, with what the gate let in, and these.
    fn words(
        &self,
        build: &BuildArguments,
        quiet: bool,
        more: &[OsString],
    ) -> Result<Vec<OsString>, Failure> {
        let mut words = self.images.words(build);
        if quiet && !build.quiet {
            words.push("--quiet".into());
        }
        if let Some(frontend) = &self.frontend {
            words.push(format!("--build-arg=BUILDKIT_SYNTAX={frontend}").into());
        }
        words.extend_from_slice(more);
        if let Some(recipe) = &self.recipe {
            words.extend(recipe.words(build)?);
            return Ok(words);
        }
        if let Some(file) = &build.file {
            let mut word = OsString::from("--file=");
            word.push(file);
            words.push(word);
        }
        words.push(build.context.clone());
        Ok(words)
    }
}

/// Asks the gate about every image; `Err` where it refused, which was said.
async fn gate_build(
    arguments: &Arguments,
    build: &BuildArguments,
    gate: &Gate,
    settings: &Settings,
    output: &mut Output,
) -> Result<Result<Gated, Exit>, Failure> {
    let frontend = arguments.frontend.as_deref().or(settings.frontend());
    let mut images = Images::of_options(build, frontend.is_some(), gate, settings);
    let recipe = match frontend {
        // It reads the Dockerfile by itself, and the options that name images, too.
        Some(frontend) => {
            images.add_frontend(frontend, gate)?;
            None
        }
        None if gate.disabled().is_some() => None,
        None => Some(Recipe::read(build, settings)?),
    };
    if let Some(recipe) = &recipe {
        images.add_recipe(recipe, gate);
    }
    let what = format!("asking for the trust data of {} images", images.requests().len());
    let report = while_waiting(&what, output, gate.decide(images.requests().to_vec())).await;
    tell(&images, &report, recipe.as_ref(), output);
    let refused = images.refusals().iter().fold(Exit::of(&report), |exit, it| exit.and(it.exit.into()));
    if refused != Exit::Done {
        return Ok(Err(refused));
    }
    let frontend = images.settle(&report);
    let recipe = recipe.map(|recipe| recipe.pinned(&images, &report)).transpose()?;
    Ok(Ok(Gated { images, recipe, frontend }))
}

fn tell(images: &Images, report: &Report, recipe: Option<&Recipe>, output: &mut Output) {
    let sources = recipe.map_or_else(Sources::none, |recipe| Sources::one(recipe.name(), recipe.source()));
    let style = output.styles().of_talk();
    for refusal in images.refusals() {
        output.talk(&diagnose::refusal(refusal, None, &sources, style));
    }
    let text = diagnose::report(report, &sources, style);
    if !text.is_empty() {
        output.talk(&text);
    }
}

/// Reads docker's options. One that is not known here could bring in anything, so it is an error.
fn read(words: &[OsString]) -> Result<Option<BuildArguments>, Failure> {
    BuildArguments::parse(&BuildArguments::known_flags(), words).map_err(|error| {
        let failure = Failure::usage(error.to_string());
        error.help().into_iter().fold(failure, Failure::help)
    })
}

/// Docker's ways to build without checks; the policy has the last word.
fn switch(build: &BuildArguments, settings: &Settings) -> TrustSwitch {
    let argument = build.build_args.iter().rev().find(|(name, _)| name == "DOCKER_CONTENT_TRUST");
    let argument = argument.and_then(|(_, value)| value.as_deref());
    TrustSwitch::from_flag(build.disable_content_trust, settings.switch())
        .or(TrustSwitch::from_build_arg(argument))
}

pub(super) const ABOUT: &str = "\
Build from signed images, and sign what is pushed.

All arguments are those of `docker build`, whose command does the work; trustgate's own options stand first. \
Every image that the Dockerfile and the options name is looked up, and the builder gets signed digests. With \
--push -t NAME:TAG the result is pushed and its tag signed: see docs/building.md.";

pub(super) const EXAMPLES: &str = "\
Examples:
  Build from signed images:
      trustgate build -t acme/app:2.0 .
  Build, push and sign:
      trustgate build --push -t registry.example/acme/app:2.0 .
  The same for two platforms, with a builder that can:
      trustgate build --push --builder many --platform linux/amd64,linux/arm64 \\
          -t registry.example/acme/app:2.0 .

Exit codes: those of `docker build`; where trustgate ends first: 1 refused, 2 wrong usage, 3 could not find out";
