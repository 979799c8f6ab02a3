//! What `pin` prints: a diff and messages, JSON, or SARIF.

use serde::Serialize;

use super::reading::Subject;
use super::standing::{Finding, Outcome, Standing, Weight};
use super::{Mode, diff};
use crate::cli::exit::Failure;
use crate::cli::message::{self, Severity};
use crate::cli::output::Output;
use crate::cli::sarif::{self, Level, Region, Replacement};
use crate::dockerfile::{Span, line_and_column};
use crate::gate::{self, Refusal, Report, Warning, WarningCode};
use crate::text::visible;

/// The diff on standard output; findings, warnings and a summary on standard error.
pub(super) fn text(
    outcomes: &[Outcome],
    report: &Report,
    mode: Mode,
    output: &mut Output,
) -> Result<(), Failure> {
    let styled = output.styles().talk;
    for refusal in &report.general {
        output.talk(&message::refusal(refusal, styled));
    }
    for warning in &report.warnings {
        let text = message::warning(warning, styled);
        match warning.code {
            // What was not checked is no detail to be silenced.
            WarningCode::TrustDisabled => output.talk(&text),
            _ => output.remark(&text),
        }
    }
    for outcome in outcomes {
        for finding in &outcome.findings {
            let severity = match finding.weight {
                Weight::Fails => Severity::Error,
                Weight::Told => Severity::Warning,
            };
            let place = finding.span.as_ref();
            let text = message::at_place(
                &outcome.reading.name,
                outcome.before(),
                place,
                &finding.refusal,
                severity,
                styled,
            );
            output.talk(&text);
        }
        for notice in outcome.reading.content.iter().flat_map(|content| &content.notices) {
            output.remark(&message::notice(&outcome.reading.name, outcome.before(), notice, styled));
        }
        if mode == Mode::Show {
            let styles = output.styles();
            let diff = diff_of(outcome);
            output.data(diff::for_reader(&diff, styles).as_bytes())?;
        }
        if let Some(summary) = summary(outcome, mode) {
            output.remark(&summary);
        }
    }
    Ok(())
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
    level: Level,
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
            level: level(finding.weight),
            region: finding.span.as_ref().map(|span| region(source, span)),
            refusal: &finding.refusal,
        }
    }
}

/// The findings, and what a person should know, for code scanning.
pub(super) fn sarif(outcomes: &[Outcome], report: &Report, output: &mut Output) -> Result<(), Failure> {
    let mut results = Vec::new();
    let first_file = outcomes.first().map_or("Dockerfile", |outcome| &outcome.reading.name);
    for refusal in &report.general {
        results.push(result(first_file, None, refusal, Weight::Fails, Vec::new()));
    }
    for outcome in outcomes {
        let source = outcome.before();
        for finding in &outcome.findings {
            let place = finding.span.as_ref().map(|span| region(source, span));
            let fix = fix(outcome, finding);
            results.push(result(&outcome.reading.name, place, &finding.refusal, finding.weight, fix));
        }
    }
    let mut findings = outcomes.iter().flat_map(|outcome| &outcome.findings);
    let answered = findings.all(|finding| finding.refusal.exit == gate::Exit::Refused);
    output.json(&sarif::log(&results, answered))
}

fn result(
    file: &str,
    place: Option<Region>,
    refusal: &Refusal,
    weight: Weight,
    fix: Vec<Replacement>,
) -> sarif::Finding {
    let mut message = refusal.title.clone();
    if !refusal.label.is_empty() {
        message.push_str(": ");
        message.push_str(&refusal.label);
    }
    for line in refusal.notes.iter().chain(&refusal.help) {
        message.push('\n');
        message.push_str(line);
    }
    sarif::Finding {
        rule: refusal.code.name(),
        about: refusal.code.summary(),
        level: level(weight),
        message,
        file: file.to_owned(),
        region: place,
        fix,
    }
}

/// The edits at the finding's own place; a pin that is written elsewhere, in an `ARG`, is no one-place fix.
fn fix(outcome: &Outcome, finding: &Finding) -> Vec<Replacement> {
    let Some(place) = &finding.span else { return Vec::new() };
    let inside =
        outcome.edits.iter().filter(|edit| place.start <= edit.span.start && edit.span.end <= place.end);
    inside
        .map(|edit| Replacement { region: region(outcome.before(), &edit.span), text: edit.text.clone() })
        .collect()
}

fn level(weight: Weight) -> Level {
    match weight {
        Weight::Fails => Level::Error,
        Weight::Told => Level::Warning,
    }
}

fn region(source: &[u8], span: &Span) -> Region {
    let (start_line, start_column) = line_and_column(source, span.start);
    let (end_line, end_column) = line_and_column(source, span.end);
    Region { start_line, start_column, end_line, end_column }
}
