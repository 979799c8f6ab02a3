//! What `pin` prints: a diff and messages, JSON, or SARIF.

use serde::Serialize;

use super::reading::Subject;
use super::standing::{Finding, Outcome, Standing, Weight};
use super::{Mode, diff};
use crate::cli::exit::Failure;
use crate::cli::output::Output;
use crate::dockerfile::{Span, line_and_column};
use crate::gate::diagnose::{self, Sources};
use crate::gate::{Origin, Refusal, Report, Warning, WarningCode, sarif};
use crate::text::visible;

/// The diff on standard output; findings, warnings and a summary on standard error.
pub(super) fn text(
    outcomes: &[Outcome],
    report: &Report,
    mode: Mode,
    output: &mut Output,
) -> Result<(), Failure> {
    let styles = output.styles();
    let style = styles.of_talk();
    let (sources, nothing) = (sources(outcomes), Sources::none());
    for warning in &report.warnings {
        let origin = warning.request.and_then(|index| report.decided.get(index)).map(|it| &it.request.origin);
        let text = diagnose::warning(warning, origin, &sources, style);
        match warning.code {
            // What was not checked is no detail to be silenced.
            WarningCode::TrustDisabled => output.talk(&text),
            _ => output.remark(&text),
        }
    }
    for refusal in &report.general {
        output.talk(&diagnose::refusal(refusal, None, &sources, style));
    }
    for outcome in outcomes {
        for (warning, origin) in notices(outcome) {
            output.remark(&diagnose::warning(&warning, Some(&origin), &sources, style));
        }
        for finding in &outcome.findings {
            let draw = match finding.weight {
                Weight::Fails => diagnose::refusal,
                Weight::Told => diagnose::caution,
            };
            // What is about the whole file is told with its name, without a line.
            let sources = if finding.span.is_some() { &sources } else { &nothing };
            output.talk(&draw(&finding.refusal, Some(&origin(outcome, finding)), sources, style));
        }
        if mode == Mode::Show {
            output.data(diff::for_reader(&diff_of(outcome), styles).as_bytes())?;
        }
        if let Some(summary) = summary(outcome, mode) {
            output.remark(&summary);
        }
    }
    Ok(())
}

/// The texts that messages point into.
fn sources(outcomes: &[Outcome]) -> Sources<'_> {
    let none = Sources::none();
    outcomes.iter().fold(none, |sources, outcome| sources.and(&outcome.reading.name, outcome.before()))
}

/// What older builders read in another way, as warnings with their places.
fn notices(outcome: &Outcome) -> impl Iterator<Item = (Warning, Origin)> {
    let notices = outcome.reading.content.iter().flat_map(|content| &content.notices);
    notices.map(|notice| {
        let warning = Warning {
            code: WarningCode::OlderBuilders,
            message: visible(&notice.message),
            notes: Vec::new(),
            request: None,
        };
        (warning, place(outcome, &notice.span))
    })
}

/// Where a finding is; the start of the file, where it is about the whole.
fn origin(outcome: &Outcome, finding: &Finding) -> Origin {
    place(outcome, finding.span.as_ref().unwrap_or(&(0..0)))
}

fn place(outcome: &Outcome, span: &Span) -> Origin {
    Origin::Dockerfile { file: outcome.reading.name.clone(), span: span.clone() }
}

/// One line on a file; none where the findings already say all.
fn summary(outcome: &Outcome, mode: Mode) -> Option<String> {
    let name = visible(&outcome.reading.name);
    let content = outcome.reading.content.as_ref().ok()?;
    let images = match content.subjects.len() {
        0 => return Some(format!("{name}: names no image")),
        1 => "1 image".to_owned(),
        count => format!("{count} images"),
    };
    let count = |wanted: fn(&Standing) -> bool| outcome.standings.iter().filter(|it| wanted(it)).count();
    let refused = count(|it| matches!(it, Standing::Refused));
    let passed = count(|it| matches!(it, Standing::Passed { .. }));
    let open = count(|it| matches!(it, Standing::Unpinned(_) | Standing::Stale { .. }));
    let mut parts = Vec::new();
    if refused > 0 {
        parts.push(format!("{refused} refused"));
    }
    if passed > 0 {
        parts.push(format!("{passed} not looked up"));
    }
    match mode {
        Mode::Write if outcome.written && outcome.changes() => parts.push(format!("{open} pinned now")),
        Mode::Write if refused > 0 => parts.push("not written".to_owned()),
        _ if open > 0 => parts.push(format!("{open} to pin")),
        _ if parts.is_empty() => parts.push("signed and pinned".to_owned()),
        _ => {}
    }
    Some(format!("{name}: {images}, {}", parts.join(", ")))
}

fn diff_of(outcome: &Outcome) -> String {
    // Both are Dockerfiles that were read, hence UTF-8; where reading failed they are the same.
    let before = String::from_utf8_lossy(outcome.before());
    let after = String::from_utf8_lossy(&outcome.after);
    diff::unified(&outcome.reading.name, &before, &after)
}

/// Every image use with its place and state.
pub(super) fn json(outcomes: &[Outcome], report: &Report, output: &mut Output) -> Result<(), Failure> {
    let files: Vec<FileEntry<'_>> = outcomes.iter().map(FileEntry::of).collect();
    output.json(&Document { files, errors: &report.general, warnings: &report.warnings })
}

#[derive(Serialize)]
struct Document<'a> {
    files: Vec<FileEntry<'a>>,
    /// Refusals that are about no image in particular.
    errors: &'a [Refusal],
    warnings: &'a [Warning],
}

#[derive(Serialize)]
struct FileEntry<'a> {
    file: &'a str,
    images: Vec<ImageEntry<'a>>,
    findings: Vec<FindingEntry<'a>>,
    notices: Vec<NoticeEntry<'a>>,
    /// Whether pinning would change the file, or has.
    changes: bool,
    written: bool,
    diff: String,
}

#[derive(Serialize)]
struct ImageEntry<'a> {
    kind: &'static str,
    #[serde(flatten)]
    region: Region,
    /// The word as it stands in the file, with its variables and quotes.
    text: String,
    /// What it comes to.
    written: &'a str,
    reference: Option<String>,
    stage: Option<usize>,
    stage_name: Option<&'a str>,
    state: &'static str,
    digest: Option<String>,
    pinned: Option<String>,
    /// Why it was not looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
}

#[derive(Serialize)]
struct FindingEntry<'a> {
    /// Whether it makes the command fail.
    fails: bool,
    #[serde(flatten)]
    region: Option<Region>,
    #[serde(flatten)]
    refusal: &'a Refusal,
}

#[derive(Serialize)]
struct NoticeEntry<'a> {
    #[serde(flatten)]
    region: Region,
    message: &'a str,
}

impl<'a> FileEntry<'a> {
    fn of(outcome: &'a Outcome) -> Self {
        let source = outcome.before();
        let content = outcome.reading.content.as_ref().ok();
        let subjects = content.map_or(&[][..], |content| &content.subjects);
        let notices = content.map_or(&[][..], |content| &content.notices);
        let pairs = subjects.iter().zip(&outcome.standings);
        Self {
            file: &outcome.reading.name,
            images: pairs.map(|(subject, standing)| ImageEntry::of(subject, standing, source)).collect(),
            findings: outcome.findings.iter().map(|finding| FindingEntry::of(finding, source)).collect(),
            notices: notices
                .iter()
                .map(|it| NoticeEntry { region: region(source, &it.span), message: &it.message })
                .collect(),
            changes: outcome.changes(),
            written: outcome.written,
            diff: diff_of(outcome),
        }
    }
}

impl<'a> ImageEntry<'a> {
    fn of(subject: &'a Subject, standing: &'a Standing, source: &[u8]) -> Self {
        let reference = subject.reference.as_ref().ok();
        let pinned = reference.zip(standing.digest()).map(|(reference, digest)| {
            let tagged = match standing {
                Standing::DigestOnly(_) => reference.clone(),
                _ => reference.with_tag(reference.tag_or_latest()),
            };
            tagged.with_digest(digest.clone()).familiar()
        });
        let word = source.get(subject.span.clone()).unwrap_or_default();
        Self {
            kind: subject.place.name(),
            region: region(source, &subject.span),
            text: String::from_utf8_lossy(word).into_owned(),
            written: &subject.written,
            reference: reference.map(ToString::to_string),
            stage: subject.stage,
            stage_name: subject.stage_name.as_deref(),
            state: standing.name(),
            digest: standing.digest().map(ToString::to_string),
            pinned,
            rule: match standing {
                Standing::Passed { why } => Some(why),
                _ => None,
            },
        }
    }
}

impl<'a> FindingEntry<'a> {
    fn of(finding: &'a Finding, source: &[u8]) -> Self {
        Self {
            fails: finding.weight == Weight::Fails,
            region: finding.span.as_ref().map(|span| region(source, span)),
            refusal: &finding.refusal,
        }
    }
}

/// The findings for code scanning, each with the edit that would settle it.
pub(super) fn sarif(outcomes: &[Outcome], report: &Report, output: &mut Output) -> Result<(), Failure> {
    let sources = sources(outcomes);
    let mut places = Vec::new();
    for outcome in outcomes {
        for finding in &outcome.findings {
            places.push((&finding.refusal, origin(outcome, finding), fix(outcome, finding)));
        }
    }
    let general = report.general.iter().map(|refusal| sarif::Finding { refusal, origin: None, fix: None });
    let in_files = places.iter().map(|(refusal, origin, fix)| sarif::Finding {
        refusal,
        origin: Some(origin),
        fix: fix.as_ref(),
    });
    output.json(&sarif::findings(general.chain(in_files), &sources))
}

/// The edits at the finding's own place; a pin that is written elsewhere, in an `ARG`, is no one-place fix.
fn fix(outcome: &Outcome, finding: &Finding) -> Option<sarif::Fix> {
    let place = finding.span.as_ref()?;
    let inside =
        outcome.edits.iter().filter(|edit| place.start <= edit.span.start && edit.span.end <= place.end);
    let edits: Vec<(Span, String)> = inside.map(|edit| (edit.span.clone(), edit.text.clone())).collect();
    let file = outcome.reading.name.clone();
    (!edits.is_empty()).then(|| sarif::Fix { description: "write the signed digest".to_owned(), file, edits })
}

/// A stretch of text, 1-based; the end is the column after the last character.
#[derive(Clone, Copy, Debug, Serialize)]
struct Region {
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
}

fn region(source: &[u8], span: &Span) -> Region {
    let (line, column) = line_and_column(source, span.start);
    let (end_line, end_column) = line_and_column(source, span.end);
    Region { line, column, end_line, end_column }
}
