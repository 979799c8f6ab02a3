//! `trustgate verify`: the signed digest of images, one line each.

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::output::Output;
use super::progress::while_waiting;
use super::settings::{Demands, Settings};
use crate::gate::diagnose::{self, Sources};
use crate::gate::{Decided, Decision, Refusal, Report, Request, Unchecked, Warning, WarningCode};
use crate::image::{Digest, Reference};
use crate::text::visible;
use crate::trust::{Freshness, RoleStatus, SignedTarget, Signer, SignerListing};

/// What `verify` takes.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Image to look up: NAME, NAME:TAG, NAME@DIGEST or NAME:TAG@DIGEST
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,

    /// How to print the result
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One line an image: NAME:TAG@DIGEST
    Text,
    /// Everything that was checked
    Json,
}

/// Looks the images up and prints what is signed.
pub(super) async fn run(
    arguments: &Arguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let references = parse(&arguments.images)?;
    let signers = match arguments.output {
        Format::Text => SignerListing::Required,
        Format::Json => SignerListing::All,
    };
    let gate = settings.gate(Demands { signed_digests: true, signers })?;
    let what = match references.len() {
        1 => "asking for trust data".to_owned(),
        count => format!("asking for the trust data of {count} images"),
    };
    let requests = references.into_iter().map(Request::command_line).collect();
    let report = while_waiting(&what, output, gate.decide(requests)).await;
    match arguments.output {
        Format::Text => print_lines(&report, output)?,
        Format::Json => output.json(&entries(&arguments.images, &report))?,
    }
    print_talk(&report, output);
    Ok(Exit::of(&report))
}

/// All or nothing: one that is no reference means that the command line is not what was meant.
fn parse(images: &[String]) -> Result<Vec<Reference>, Failure> {
    let mut references = Vec::with_capacity(images.len());
    for image in images {
        let reference: Reference = image.parse().map_err(|error| {
            Failure::usage(format!("`{image}` is not an image reference"))
                .note(format!("{error}"))
                .help("write [registry/]repository[:tag][@digest], for example acme/base:1.4")
        })?;
        references.push(reference);
    }
    Ok(references)
}

fn print_lines(report: &Report, output: &mut Output) -> Result<(), Failure> {
    for decided in &report.decided {
        if let Some(line) = line(decided) {
            output.data(format!("{line}\n").as_bytes())?;
        }
    }
    Ok(())
}

/// What may be used in the image's place; a digest stands there only if it was checked, or typed.
fn line(decided: &Decided) -> Option<String> {
    match &decided.decision {
        Decision::Refused(_) => None,
        Decision::Pinned(target) | Decision::DigestAccepted { checked: Some(target), .. } => {
            Some(signed_name(&decided.request.reference, target))
        }
        Decision::DigestAccepted { checked: None, .. }
        | Decision::Unverified { .. }
        | Decision::Exempt { .. } => Some(decided.request.reference.with_default_tag().familiar()),
    }
}

fn signed_name(reference: &Reference, target: &SignedTarget) -> String {
    format!("{}:{}@{}", reference.familiar_name(), target.tag, target.digest)
}

/// Warnings and refusals, on standard error.
pub(super) fn print_talk(report: &Report, output: &mut Output) {
    let (sources, style) = (Sources::none(), output.styles().of_talk());
    for warning in &report.warnings {
        let text = diagnose::warning(warning, None, &sources, style);
        match warning.code {
            // What was not checked is no detail to be silenced.
            WarningCode::TrustDisabled => output.talk(&text),
            _ => output.remark(&text),
        }
    }
    for refusal in report.refusals() {
        output.talk(&diagnose::refusal(refusal, None, &sources, style));
    }
}

fn entries<'a>(images: &'a [String], report: &'a Report) -> Vec<Entry<'a>> {
    let entry = |(index, (image, decided)): (usize, (&'a String, &'a Decided))| {
        let reference = &decided.request.reference;
        let warnings = report.warnings.iter();
        Entry {
            image,
            name: reference.repository(),
            tag: decided
                .signed()
                .map(|target| target.tag.clone())
                .or_else(|| reference.with_default_tag().tag().map(ToString::to_string)),
            decision: name(&decided.decision),
            pinned: line(decided).filter(|_| decided.signed().is_some()),
            rule: rule(&decided.decision),
            signed: decided.signed().map(Signed::of),
            error: decided.refusal().or_else(|| report.general.first()),
            warnings: warnings.filter(|warning| warning.request.is_none_or(|at| at == index)).collect(),
        }
    };
    images.iter().zip(&report.decided).enumerate().map(entry).collect()
}

/// A decision's name in JSON.
pub(super) fn name(decision: &Decision) -> &'static str {
    match decision {
        Decision::Pinned(_) | Decision::DigestAccepted { checked: Some(_), .. } => "signed",
        Decision::DigestAccepted { checked: None, .. } => "digest-accepted",
        Decision::Unverified { why: Unchecked::Disabled(_), .. } => "trust-disabled",
        Decision::Unverified { why: Unchecked::Audit { .. }, .. } => "audit",
        Decision::Exempt { .. } => "exempt",
        Decision::Refused(_) => "refused",
    }
}

fn rule(decision: &Decision) -> Option<String> {
    match decision {
        Decision::Exempt { rule, .. } | Decision::Unverified { why: Unchecked::Audit { rule, .. }, .. } => {
            Some(visible(rule))
        }
        Decision::Unverified { why: Unchecked::Disabled(by), .. } => Some(by.to_string()),
        Decision::Pinned(_) | Decision::DigestAccepted { .. } | Decision::Refused(_) => None,
    }
}

/// One image in `--output json`.
#[derive(Serialize)]
struct Entry<'a> {
    /// As typed.
    image: &'a str,
    /// The full repository name.
    name: String,
    tag: Option<String>,
    decision: &'static str,
    /// What the text output prints, where it is signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned: Option<String>,
    /// Why it was not looked up, or passes unsigned.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(flatten)]
    signed: Option<Signed<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Refusal>,
    warnings: Vec<&'a Warning>,
}

/// What was checked, in the words of [`SignedTarget`].
#[derive(Serialize)]
struct Signed<'a> {
    digest: &'a Digest,
    size: u64,
    role: &'a str,
    signers: &'a [Signer],
    root_key_ids: &'a [String],
    roles: &'a [RoleStatus],
    server: &'a str,
    freshness: &'a Freshness,
    /// The roles whose metadata came from the cache.
    cached: &'a [String],
    first_use: bool,
    requests: u32,
    notes: &'a [String],
}

impl<'a> Signed<'a> {
    fn of(target: &'a SignedTarget) -> Self {
        Self {
            digest: &target.digest,
            size: target.size,
            role: &target.role,
            signers: &target.signers,
            root_key_ids: &target.root_key_ids,
            roles: &target.roles,
            server: &target.server,
            freshness: &target.freshness,
            cached: &target.cached,
            first_use: target.first_use,
            requests: target.requests,
            notes: &target.notes,
        }
    }
}

pub(super) const ABOUT: &str = "\
Print the signed digest of images.

Each image is looked up in the trust data of its repository, all repositories at once, and printed \
as NAME:TAG@DIGEST, one a line, in the order of the arguments. Without a tag, `latest` is looked \
up. NAME@DIGEST asks whether the digest is signed for any tag, NAME:TAG@DIGEST whether it is the \
signed one of that tag. What isn't signed is not printed, but told on standard error.";

pub(super) const EXAMPLES: &str = "\
Examples:
  Pull what is signed, not what the tag happens to name:
      docker pull \"$(trustgate verify acme/base:1.4)\"
  Who signed it, with which keys, and until when is that valid?
      trustgate verify --output json acme/base:1.4
  Is this digest signed?
      trustgate verify acme/base@sha256:3f6c…

Exit codes: 0 every image is signed, 1 one is refused, 2 wrong usage, 3 one could not be looked up";
