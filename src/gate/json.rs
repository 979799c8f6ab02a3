//! A report as JSON, for a build's metadata.
//!
//! The format is part of the interface: fields may be added, none is renamed or removed.
//! `docs/json.md` describes it.

use serde::Serialize;

use super::decision::{Decided, Decision, Report, Unchecked, Warning};
use super::diagnose::Sources;
use super::refusal::Refusal;
use super::request::{Origin, UseRole};
use crate::dockerfile::line_and_column;
use crate::image::{Digest, Reference};
use crate::trust::SignedTarget;

/// A whole report.
#[derive(Clone, Debug, Serialize)]
pub struct Document<'a> {
    /// The version of this format.
    pub version: u32,
    /// Whether anything was refused.
    pub refused: bool,
    /// The exit code that belongs to the report.
    pub exit_code: u8,
    /// One entry for each request, in their order.
    pub images: Vec<Image<'a>>,
    /// Refusals that are about the whole build.
    pub general: &'a [Refusal],
    /// What a person should know.
    pub warnings: &'a [Warning],
}

/// One image use and the decision on it.
#[derive(Clone, Debug, Serialize)]
pub struct Image<'a> {
    /// What was asked for, normalised.
    pub reference: &'a Reference,
    /// The same with tag and digest, if it may enter and its digest is known.
    pub pinned: Option<Reference>,
    /// The digest alone.
    pub digest: Option<&'a Digest>,
    /// How it would enter the build.
    pub role: UseRole,
    /// Where it is named.
    pub origin: Place<'a>,
    /// What was decided.
    pub decision: Verdict,
    /// Why, where the decision has a reason to name.
    pub reason: Option<String>,
    /// The refusal, or what would have been one where the repository is only audited.
    pub refusal: Option<&'a Refusal>,
    /// The trust data that stands behind it.
    pub signed: Option<&'a SignedTarget>,
}

/// Where an image is named.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Place<'a> {
    /// In a Dockerfile.
    Dockerfile {
        /// The file.
        file: &'a str,
        /// The line, from 1, if the file is at hand.
        line: Option<usize>,
        /// The column in characters, from 1, if the file is at hand.
        column: Option<usize>,
        /// The first byte of the word.
        start: usize,
        /// The byte after the word.
        end: usize,
    },
    /// In a build option.
    Option {
        /// The option.
        name: &'a str,
        /// Its value.
        value: &'a str,
    },
    /// In the configuration of a base image.
    BaseConfig {
        /// The base image.
        base: &'a Reference,
        /// The trigger.
        trigger: &'a str,
    },
    /// On the command line.
    CommandLine,
}

/// What was decided, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The tag is signed, and stands for the signed digest.
    Pinned,
    /// The written digest is let in.
    DigestAccepted,
    /// Nobody vouches for it, and it is let in all the same.
    Unverified,
    /// A rule asks for no signature.
    Exempt,
    /// It is not let in.
    Refused,
}

impl<'a> Document<'a> {
    /// The report as a document; `sources` turns places into lines.
    #[must_use]
    pub fn new(report: &'a Report, sources: &Sources<'_>) -> Self {
        Self {
            version: VERSION,
            refused: report.is_refused(),
            exit_code: report.exit_code(),
            images: report.decided.iter().map(|decided| Image::new(decided, sources)).collect(),
            general: &report.general,
            warnings: &report.warnings,
        }
    }
}

impl<'a> Image<'a> {
    /// One decision as part of a document.
    #[must_use]
    pub fn new(decided: &'a Decided, sources: &Sources<'_>) -> Self {
        let (decision, reason, refusal) = match &decided.decision {
            Decision::Pinned(_) => (Verdict::Pinned, None, None),
            Decision::DigestAccepted { .. } => (Verdict::DigestAccepted, None, None),
            Decision::Unverified { why: Unchecked::Disabled(by), .. } => {
                (Verdict::Unverified, Some(format!("{by} disables content trust")), None)
            }
            Decision::Unverified { why: Unchecked::Audit { rule, refusal }, .. } => {
                (Verdict::Unverified, Some(format!("{rule} only audits the repository")), Some(refusal))
            }
            Decision::Exempt { rule, .. } => {
                (Verdict::Exempt, Some(format!("{rule} asks for no signature")), None)
            }
            Decision::Refused(refusal) => (Verdict::Refused, Some(refusal.title.clone()), Some(refusal)),
        };
        Self {
            reference: &decided.request.reference,
            pinned: decided.pinned_reference(),
            digest: decided.digest(),
            role: decided.request.role,
            origin: Place::new(&decided.request.origin, sources),
            decision,
            reason,
            refusal,
            signed: decided.signed(),
        }
    }
}

impl<'a> Place<'a> {
    /// An origin as part of a document.
    #[must_use]
    pub fn new(origin: &'a Origin, sources: &Sources<'_>) -> Self {
        match origin {
            Origin::Dockerfile { file, span } => {
                let at = sources.find(file).map(|source| line_and_column(source, span.start));
                let (line, column) = at.unzip();
                Self::Dockerfile { file, line, column, start: span.start, end: span.end }
            }
            Origin::Option { name, value } => Self::Option { name, value },
            Origin::BaseConfig { base, trigger } => Self::BaseConfig { base, trigger },
            Origin::CommandLine => Self::CommandLine,
        }
    }
}

const VERSION: u32 = 1;
