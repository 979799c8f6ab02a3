//! What each image use comes to, and what pinning the file would change.
//!
//! The gate's decisions come in; standings, findings and the rewritten text go out.
//! Nothing is decided about trust here, and nothing is printed or written.

use super::Mode;
use super::file::Source;
use super::reading::{Content, Place, Problem, Reading, Settled, Subject};
use crate::cli::exit::{Exit, Failure};
use crate::dockerfile::{BuildInputs, Dockerfile, Edit, Span, Unpinnable, pin_edits, rewrite};
use crate::gate::{Decided, Decision, Refusal, RefusalCode, Report, Unchecked};
use crate::image::{Digest, Reference};

/// One file and all that is to say about it.
pub(super) struct Outcome {
    pub(super) reading: Reading,
    /// In the order of the subjects; empty where the file is refused as a whole.
    pub(super) standings: Vec<Standing>,
    /// The changes that pin what can be pinned, in the order of the file.
    pub(super) edits: Vec<Edit>,
    /// The text with these changes.
    pub(super) after: Vec<u8>,
    /// What is wrong, each with its place, most severe meaning first come.
    pub(super) findings: Vec<Finding>,
    pub(super) written: bool,
}

/// What an image use comes to.
#[derive(Clone, Debug)]
pub(super) enum Standing {
    /// The digest that stands there is the one that is signed for the tag.
    Pinned(Digest),
    /// It is signed, and no digest stands there.
    Unpinned(Digest),
    /// Another digest stands there than the one that is signed for the tag.
    Stale {
        /// What stands there.
        written: Digest,
        /// What is signed.
        signed: Digest,
    },
    /// A digest without a tag: nothing that could be looked up again.
    DigestOnly(Digest),
    /// A rule, or a switch, lets it pass unchecked.
    Passed {
        /// Which.
        why: String,
    },
    /// It may not be used.
    Refused,
}

/// Something to tell about a place in the file.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) span: Option<Span>,
    pub(super) refusal: Refusal,
    pub(super) weight: Weight,
}

/// What a finding does to the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// It makes the command fail.
    Fails,
    /// It is told, and stops nothing in this mode.
    Told,
}

/// Joins the readings with the gate's answers, which come in the order of the requests.
pub(super) fn outcomes(
    readings: Vec<Reading>,
    report: &Report,
    inputs: &BuildInputs,
    mode: Mode,
) -> Result<Vec<Outcome>, Failure> {
    let mut decided = report.decided.iter();
    let mut outcomes = Vec::with_capacity(readings.len());
    for reading in readings {
        let answers: Vec<Option<&Decided>> = match &reading.content {
            Ok(content) => content.subjects.iter().map(|it| answer(it, &mut decided)).collect(),
            Err(_) => Vec::new(),
        };
        outcomes.push(Outcome::of(reading, &answers, inputs, mode)?);
    }
    Ok(outcomes)
}

fn answer<'a>(subject: &Subject, decided: &mut impl Iterator<Item = &'a Decided>) -> Option<&'a Decided> {
    if subject.is_asked() { decided.next() } else { None }
}

impl Outcome {
    fn of(
        reading: Reading,
        answers: &[Option<&Decided>],
        inputs: &BuildInputs,
        mode: Mode,
    ) -> Result<Self, Failure> {
        let content = match &reading.content {
            Ok(content) => content,
            Err(problem) => {
                let findings = vec![Finding::of_problem(problem)];
                let after = reading.bytes.clone();
                return Ok(Self {
                    reading,
                    standings: Vec::new(),
                    edits: Vec::new(),
                    after,
                    findings,
                    written: false,
                });
            }
        };
        let mut standings = Vec::with_capacity(answers.len());
        let mut findings = Vec::new();
        for (subject, answer) in content.subjects.iter().zip(answers) {
            let (standing, refusal) = judge(subject, *answer);
            findings.extend(refusal.map(|refusal| Finding::fails(&subject.span, refusal)));
            standings.push(standing);
        }
        let plan = Plan::of(content, &standings, inputs)
            .map_err(|error| defect(&reading.name, &error.to_string()))?;
        if mode == Mode::Check {
            findings.extend(check_findings(content, &standings, &plan.unpinnable));
        }
        findings.extend(plan.unpinnable.iter().map(|it| Finding::of_unpinnable(it, mode)));
        findings.sort_by_key(|finding| finding.span.as_ref().map_or(0, |span| span.start));
        let after = rewrite(&reading.bytes, &plan.edits)
            .map_err(|error| defect(&reading.name, &error.to_string()))?;
        check_result(content, &standings, &plan, &after, inputs)
            .map_err(|what| defect(&reading.name, &what))?;
        Ok(Self { standings, edits: plan.edits, after, findings, written: false, reading })
    }

    /// What is on disk now.
    pub(super) fn before(&self) -> &[u8] {
        &self.reading.bytes
    }

    /// Where it came from.
    pub(super) fn source(&self) -> &Source {
        &self.reading.source
    }

    /// Whether pinning changes anything.
    pub(super) fn changes(&self) -> bool {
        self.after != self.reading.bytes
    }

    /// The text to write: none where an image is refused, since half a pinned file looks like a whole one.
    pub(super) fn to_write(&self) -> Option<&[u8]> {
        let refused = self.reading.content.is_err()
            || self.standings.iter().any(|standing| matches!(standing, Standing::Refused));
        (!refused).then_some(self.after.as_slice())
    }

    pub(super) fn mark_written(&mut self) {
        self.written = true;
    }

    /// What this file alone would end the command with.
    pub(super) fn exit(&self) -> Exit {
        let failing = self.findings.iter().filter(|finding| finding.weight == Weight::Fails);
        failing.fold(Exit::Done, |exit, finding| exit.and(finding.refusal.exit.into()))
    }
}

impl Standing {
    /// The name in JSON.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Pinned(_) => "pinned",
            Self::Unpinned(_) => "unpinned",
            Self::Stale { .. } => "stale",
            Self::DigestOnly(_) => "digest",
            Self::Passed { .. } => "passed",
            Self::Refused => "refused",
        }
    }

    /// The digest to write, where one is to be written.
    fn to_write(&self) -> Option<&Digest> {
        match self {
            Self::Unpinned(digest) | Self::Stale { signed: digest, .. } => Some(digest),
            Self::Pinned(_) | Self::DigestOnly(_) | Self::Passed { .. } | Self::Refused => None,
        }
    }

    /// The digest that stands, or would stand, behind the image.
    pub(super) fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Pinned(digest) | Self::DigestOnly(digest) => Some(digest),
            Self::Unpinned(_) | Self::Stale { .. } => self.to_write(),
            Self::Passed { .. } | Self::Refused => None,
        }
    }
}

impl Finding {
    fn fails(span: &Span, refusal: Refusal) -> Self {
        Self { span: Some(span.clone()), refusal, weight: Weight::Fails }
    }

    fn of_problem(problem: &Problem) -> Self {
        match problem {
            Problem::Invalid(error) => {
                let refusal = Refusal::new(RefusalCode::InvalidDockerfile, &error.to_string(), "");
                let refusal = error.help().map_or_else(|| refusal.clone(), |help| refusal.clone().help(help));
                Self { span: error.span.clone(), refusal, weight: Weight::Fails }
            }
            Problem::Hidden(opinion) => {
                let refusal = Refusal::new(
                    RefusalCode::HiddenImage,
                    &opinion.to_string(),
                    &format!("`{}` is read as a base image here", opinion.image),
                )
                .help("write the line so that nobody can read it in two ways");
                Self { span: Some(opinion.span.clone()), refusal, weight: Weight::Fails }
            }
        }
    }

    fn of_unpinnable(unpinnable: &Unpinnable, mode: Mode) -> Self {
        let refusal =
            Refusal::new(RefusalCode::Unpinnable, "this image can't be pinned here", &unpinnable.reason)
                .help(&unpinnable.help);
        let weight = match mode {
            Mode::Show => Weight::Told,
            Mode::Check | Mode::Write => Weight::Fails,
        };
        Self { span: Some(unpinnable.span.clone()), refusal, weight }
    }
}

/// What the gate's answer means for the text that stands there.
fn judge(subject: &Subject, answer: Option<&Decided>) -> (Standing, Option<Refusal>) {
    match (&subject.reference, &subject.settled) {
        (Err(refusal), _) | (_, Some(Settled::Refused(refusal))) => {
            return (Standing::Refused, Some(refusal.clone()));
        }
        (_, Some(Settled::Passed { rule })) => return (Standing::Passed { why: rule.clone() }, None),
        (Ok(_), None) => {}
    }
    let Some(answer) = answer else {
        let refusal = Refusal::new(RefusalCode::UnreachableServer, "the gate gave no answer", "");
        return (Standing::Refused, Some(refusal));
    };
    match &answer.decision {
        Decision::Pinned(target) => {
            let signed = target.digest.clone();
            let standing = match subject.written_digest() {
                Some(written) if target.vouches_for(written) => Standing::Pinned(written.clone()),
                Some(written) => Standing::Stale { written: written.clone(), signed },
                None => Standing::Unpinned(signed),
            };
            (standing, None)
        }
        Decision::DigestAccepted { digest, .. } => (Standing::DigestOnly(digest.clone()), None),
        Decision::Unverified { why: Unchecked::Disabled(by), .. } => {
            (Standing::Passed { why: by.to_string() }, None)
        }
        Decision::Unverified { why: Unchecked::Audit { rule, .. }, .. } | Decision::Exempt { rule, .. } => {
            (Standing::Passed { why: rule.clone() }, None)
        }
        Decision::Refused(refusal) => (Standing::Refused, Some(refusal.clone())),
    }
}

/// What `--check` does not let pass: what is signed, but not pinned to it.
fn check_findings<'a>(
    content: &'a Content,
    standings: &'a [Standing],
    unpinnable: &'a [Unpinnable],
) -> impl Iterator<Item = Finding> + 'a {
    let told_otherwise = |subject: &Subject| {
        unpinnable.iter().any(|it| matches!(subject.place, Place::Use(index, _) if index == it.use_index))
    };
    let pairs = content.subjects.iter().zip(standings);
    pairs.filter(move |(subject, _)| !told_otherwise(subject)).filter_map(|(subject, standing)| {
        let name = subject.name();
        let refusal = match standing {
            Standing::Unpinned(signed) => Refusal::new(
                RefusalCode::UnpinnedImage,
                &format!("{name} is not pinned"),
                "names a tag, which can move",
            )
            .note(&format!("signed digest: {signed}"))
            .help("write it: trustgate pin --write"),
            Standing::Stale { written, signed } => Refusal::new(
                RefusalCode::DigestMismatch,
                &format!("{name} is pinned to another digest than the signed one"),
                "not the signed digest",
            )
            .note(&format!("signed digest:  {signed}"))
            .note(&format!("written digest: {written}"))
            .help("refresh it: trustgate pin --write"),
            Standing::Passed { .. } | Standing::Pinned(_) | Standing::DigestOnly(_) | Standing::Refused => {
                return None;
            }
        };
        Some(Finding::fails(&subject.span, refusal))
    })
}

struct Plan {
    edits: Vec<Edit>,
    unpinnable: Vec<Unpinnable>,
}

impl Plan {
    fn of(
        content: &Content,
        standings: &[Standing],
        inputs: &BuildInputs,
    ) -> Result<Self, crate::dockerfile::DockerfileError> {
        let mut pins = Vec::new();
        let mut edits = Vec::new();
        for (subject, standing) in content.subjects.iter().zip(standings) {
            let Some(digest) = standing.to_write() else { continue };
            match subject.place {
                Place::Use(index, _) => pins.push((index, digest.clone())),
                Place::Syntax => {
                    edits.push(Edit { span: subject.span.clone(), text: subject.completed(digest) });
                }
            }
        }
        if pins.is_empty() {
            return Ok(Self { edits, unpinnable: Vec::new() });
        }
        let plan = pin_edits(&content.file, inputs, &pins)?;
        edits.extend(plan.edits);
        edits.sort_by_key(|edit| edit.span.start);
        Ok(Self { edits, unpinnable: plan.unpinnable })
    }
}

/// Reads the new text as a builder would: each image must be the one that was to be written,
/// and none may have become another.
fn check_result(
    content: &Content,
    standings: &[Standing],
    plan: &Plan,
    after: &[u8],
    inputs: &BuildInputs,
) -> Result<(), String> {
    if plan.edits.is_empty() {
        return Ok(());
    }
    let file = Dockerfile::parse(after).map_err(|error| error.to_string())?;
    let uses = file.image_uses(inputs).map_err(|error| error.to_string())?;
    for (subject, standing) in content.subjects.iter().zip(standings) {
        let Ok(before) = &subject.reference else { continue };
        let now: Option<Reference> = match subject.place {
            Place::Syntax => file.syntax().and_then(|directive| directive.image.parse().ok()),
            Place::Use(index, _) => uses.get(index).and_then(|it| it.reference.clone().ok()),
        };
        let unpinnable = plan
            .unpinnable
            .iter()
            .any(|it| matches!(subject.place, Place::Use(index, _) if index == it.use_index));
        let expected = match standing.to_write() {
            Some(digest) if !unpinnable => {
                before.with_tag(before.tag_or_latest()).with_digest(digest.clone())
            }
            _ => before.clone(),
        };
        if now.as_ref() != Some(&expected) {
            return Err(format!("`{}` would not become `{expected}`", subject.written));
        }
    }
    Ok(())
}

fn defect(name: &str, what: &str) -> Failure {
    Failure::unknown(format!("can't pin `{name}`: {what}"))
        .note("this is a defect of trustgate; nothing was written")
}
