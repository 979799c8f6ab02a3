//! `trustgate pin`: signed digests written into Dockerfiles.
//!
//! Reads the files, asks the gate about every image in all of them at once, and reports
//! on each. What an image use comes to is in `standing`, what is printed in `report`.

mod diff;
mod file;
mod reading;
mod report;
mod standing;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::exit::{Exit, Failure};
use super::output::Output;
use super::progress::while_waiting;
use super::settings::{Demands, Settings};
use crate::dockerfile::BuildInputs;
use crate::gate::{Report, Request, TrustSwitch};
use crate::image::Platform;
use crate::trust::SignerListing;
use file::Source;
use reading::Reading;
use standing::Outcome;

/// What `pin` takes.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Dockerfile to pin; `-` is standard input
    #[arg(value_name = "FILE", default_value = "Dockerfile")]
    files: Vec<PathBuf>,

    /// Build argument to read the files with
    #[arg(long = "build-arg", value_name = "NAME=VALUE", value_parser = parse_build_arg)]
    build_args: Vec<(String, String)>,

    /// Only what this stage needs [default: every stage]
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,

    /// Platform that is built for [default: linux on this machine's processor]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,

    /// Print no diff; fail when an image is unpinned, unsigned, or pinned to another digest
    /// than the signed one
    #[arg(long, conflicts_with = "write")]
    check: bool,

    /// Write the files instead of printing a diff
    #[arg(long)]
    write: bool,

    /// How to print the result
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    output: Format,
}

/// `--output`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A unified diff, and messages with the place
    Text,
    /// Every image use with its place and state
    Json,
    /// Findings for code scanning
    Sarif,
}

/// What is done with a file that could be pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Nothing; it has to be pinned already.
    Check,
    /// The change is shown.
    Show,
    /// The change is written.
    Write,
}

/// Pins the files, or shows or checks what pinning them would change.
pub(super) async fn run(
    arguments: &Arguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let sources = sources(arguments)?;
    let inputs = inputs(arguments);
    let mut readings: Vec<Reading> =
        sources.into_iter().map(|source| Reading::of(source, &inputs)).collect::<Result<_, _>>()?;
    let report = ask(&mut readings, arguments, settings, output).await?;
    let mut outcomes = standing::outcomes(readings, &report, &inputs, mode(arguments))?;
    let mut written = Exit::Done;
    if mode(arguments) == Mode::Write && report.general.is_empty() {
        written = write(&mut outcomes, output)?;
    }
    match arguments.output {
        Format::Text => report::text(&outcomes, &report, mode(arguments), output)?,
        Format::Json => report::json(&outcomes, &report, output)?,
        Format::Sarif => report::sarif(&outcomes, &report, output)?,
    }
    let general = report.general.iter().fold(Exit::Done, |exit, refusal| exit.and(refusal.exit.into()));
    Ok(outcomes.iter().fold(general.and(written), |exit, outcome| exit.and(outcome.exit())))
}

/// Asks the gate about all images of all files at once; about nothing where there is none.
async fn ask(
    readings: &mut [Reading],
    arguments: &Arguments,
    settings: &Settings,
    output: &Output,
) -> Result<Report, Failure> {
    if readings.iter().all(|reading| reading.requests().next().is_none()) {
        return Ok(Report::default());
    }
    let build_arg = arguments.build_args.iter().rev().find(|(name, _)| name == SWITCH);
    let switch = TrustSwitch::from_build_arg(build_arg.map(|(_, value)| value.as_str()));
    let demands = Demands { signed_digests: false, signers: SignerListing::Required };
    let gate = settings.gate_with(demands, settings.switch().or(switch))?;
    for reading in readings.iter_mut() {
        reading.settle(&gate);
    }
    let requests: Vec<Request> = readings.iter().flat_map(Reading::requests).collect();
    let what = format!("asking for the trust data of {} images", requests.len());
    Ok(while_waiting(&what, output, gate.decide(requests)).await)
}

/// Writes each file that has no refusal in it. One that can't be written doesn't keep the others.
fn write(outcomes: &mut [Outcome], output: &mut Output) -> Result<Exit, Failure> {
    let mut exit = Exit::Done;
    for outcome in outcomes {
        let Some(rewritten) = outcome.to_write() else { continue };
        match outcome.source() {
            Source::StandardInput => output.data(rewritten)?,
            Source::Path(path) if outcome.changes() => {
                if let Err(failure) = file::replace(path, outcome.before(), rewritten) {
                    output.talk(&super::message::failure(&failure, output.styles().talk));
                    exit = exit.and(failure.exit());
                    continue;
                }
            }
            Source::Path(_) => continue,
        }
        outcome.mark_written();
    }
    Ok(exit)
}

fn mode(arguments: &Arguments) -> Mode {
    match (arguments.check, arguments.write) {
        (true, _) => Mode::Check,
        (false, true) => Mode::Write,
        (false, false) => Mode::Show,
    }
}

fn sources(arguments: &Arguments) -> Result<Vec<Source>, Failure> {
    let sources: Vec<Source> = arguments.files.iter().map(|word| Source::named(word)).collect();
    let from_input = sources.iter().filter(|source| **source == Source::StandardInput).count();
    if from_input > 1 {
        return Err(Failure::usage("standard input can be read only once, but `-` is named twice"));
    }
    if from_input == 1 && arguments.write && (sources.len() > 1 || arguments.output != Format::Text) {
        return Err(Failure::usage(
            "`--write -` prints the rewritten text on standard output, where nothing else can stand beside it",
        )
        .help("give `-` alone, without --output"));
    }
    Ok(sources)
}

fn inputs(arguments: &Arguments) -> BuildInputs {
    let host = Platform::host();
    let target_platform = arguments.platform.clone().unwrap_or_else(|| host.clone());
    BuildInputs {
        build_args: arguments.build_args.iter().cloned().collect::<BTreeMap<_, _>>(),
        target: arguments.target.clone(),
        target_platform,
        ..BuildInputs::for_platform(host)
    }
}

fn parse_build_arg(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

/// The build argument with which docker's users turn content trust off for one build.
const SWITCH: &str = "DOCKER_CONTENT_TRUST";

pub(super) const ABOUT: &str = "\
Write signed digests into Dockerfiles.

Every image that a Dockerfile names (FROM, COPY --from, RUN --mount from, the same behind ONBUILD, \
and # syntax=) is completed with the digest that its publisher signed: NAME:TAG@DIGEST. Only \
verified digests are written; an old one is refreshed. Every other byte stays as it is.

Without --write nothing is written: the change is printed as a unified diff. An image that isn't \
signed is a refusal, shown at its place.";

pub(super) const EXAMPLES: &str = "\
Examples:
  Show what would change in ./Dockerfile, or apply it another way:
      trustgate pin
      trustgate pin | git apply
  Write the digests:
      trustgate pin --write
  Check in CI, with findings for code scanning:
      trustgate pin --check --output sarif Dockerfile worker/Dockerfile > trustgate.sarif
  As a build with these options would read the file:
      trustgate pin --build-arg VERSION=20 --target prod --platform linux/arm64
  In a pipe:
      trustgate pin --write - < Dockerfile > Dockerfile.pinned

Exit codes: 0 every image is signed (with --check: and pinned), 1 one is not, 2 wrong usage,
3 something could not be found out or written";
