//! What the user is told: refusals with their places, warnings, and the verified pins.

use serde::Serialize;
use serde_json::json;

use crate::buildkit::llb::Graph;
use crate::buildkit::proto::gateway::{Result as SolveResult, WarnRequest};
use crate::buildkit::proto::pb;
use crate::buildkit::{Gateway, GatewayCapability, source_error};
use crate::dockerfile::{DockerfileError, Span};
use crate::frontend::context::BuildFile;
use crate::frontend::error::FrontendError;
use crate::frontend::ledger::Ledger;
use crate::frontend::uses::source_range;
use crate::gate::diagnose::{self, Sources, Style};
use crate::gate::json::Document;
use crate::gate::{Decision, Origin, Refusal, RefusalCode, Report, Unchecked, Warning};

/// Every refusal of a build as one error.
#[must_use]
pub(super) fn refused(file: &BuildFile, ledger: &Ledger<'_>) -> FrontendError {
    let sources = Sources::one(&file.name, &file.source);
    let mut spans = Vec::new();
    let mut texts = Vec::new();
    let mut tell = |refusal: &Refusal, origin: Option<&Origin>| {
        if texts.len() < REFUSAL_LIMIT {
            texts.push(diagnose::refusal(refusal, origin, &sources, Style::Plain));
        }
        if let Some(Origin::Dockerfile { span, .. }) = origin {
            spans.push(span.clone());
        }
    };
    for refusal in &ledger.report().general {
        tell(refusal, None);
    }
    for objection in ledger.objections() {
        let origin = objection.span.clone().map(|span| Origin::Dockerfile { file: file.name.clone(), span });
        tell(&objection.refusal, origin.as_ref());
    }
    for decided in &ledger.report().decided {
        if let Some(refusal) = decided.refusal() {
            tell(refusal, Some(&decided.request.origin));
        }
    }
    let count = ledger.report().refusals().count() + ledger.objections().len();
    if REFUSAL_LIMIT < count {
        texts.push(format!("… and {} more", count - REFUSAL_LIMIT));
    }
    // a message begins in the middle of the client's line
    let message = format!("the build is refused by trustgate\n{}", texts.join("\n\n"));
    FrontendError::Refused { message, details: details(file, &spans) }
}

/// A Dockerfile that cannot be read, with the place.
#[must_use]
pub(super) fn unreadable(name: &str, source: &[u8], error: &DockerfileError) -> FrontendError {
    let mut refusal = Refusal::new(RefusalCode::InvalidDockerfile, &error.to_string(), "here");
    if let Some(help) = error.help() {
        refusal = refusal.help(help);
    }
    let origin = error.span.clone().map(|span| Origin::Dockerfile { file: name.to_owned(), span });
    let sources = Sources::one(name, source);
    let message = diagnose::refusal(&refusal, origin.as_ref(), &sources, Style::Plain);
    let details = match &error.span {
        Some(span) => vec![source_error(name, source, &[source_range(source, span)])],
        None => Vec::new(),
    };
    FrontendError::Dockerfile { message, details }
}

fn details(file: &BuildFile, spans: &[Span]) -> Vec<crate::buildkit::proto::rpc::Detail> {
    let mut ranges: Vec<_> = spans.iter().map(|span| source_range(&file.source, span)).collect();
    ranges.dedup();
    if ranges.is_empty() { Vec::new() } else { vec![source_error(&file.name, &file.source, &ranges)] }
}

/// Shows warnings with the build's output. A warning that cannot be shown stops nothing.
pub(super) async fn warn(gateway: &Gateway, file: &BuildFile, report: &Report) {
    for warning in report.warnings.iter().take(WARNING_LIMIT) {
        let origin = warning
            .request
            .and_then(|index| report.decided.get(index))
            .map(|decided| &decided.request.origin);
        if gateway.capabilities().has(GatewayCapability::Warnings) {
            // the display of a warning is not worth a build
            let _ = gateway.warn(warning_message(file, warning, origin)).await;
        } else {
            show_as_step(gateway, warning).await;
        }
    }
}

fn warning_message(file: &BuildFile, warning: &Warning, origin: Option<&Origin>) -> WarnRequest {
    let range = match origin {
        Some(Origin::Dockerfile { span, .. }) => Some(source_range(&file.source, span)),
        _ => None,
    };
    let position = |(line, character): (usize, usize)| pb::Position {
        line: i32::try_from(line).unwrap_or(i32::MAX),
        character: i32::try_from(character).unwrap_or(i32::MAX),
    };
    let info = range.is_some().then(|| pb::SourceInfo {
        filename: file.name.clone(),
        data: file.source.clone(),
        language: "Dockerfile".to_owned(),
        ..pb::SourceInfo::default()
    });
    WarnRequest {
        digest: file.vertex.clone(),
        level: 1,
        short: format!("{}: {}", warning.code.name(), warning.message).into_bytes(),
        detail: warning.notes.iter().map(|note| note.clone().into_bytes()).collect(),
        url: String::new(),
        info,
        ranges: range
            .into_iter()
            .map(|range| pb::Range { start: Some(position(range.start)), end: Some(position(range.end)) })
            .collect(),
    }
}

/// A builder that knows no warnings still shows the names of steps.
async fn show_as_step(gateway: &Gateway, warning: &Warning) {
    let title = format!("[trustgate] warning: {}: {}", warning.code.name(), warning.message);
    let graph = Graph::files(&[("warning", title.as_bytes())], &title);
    if let Ok(Some(reference)) = gateway.solve_definition(graph.definition()).await {
        // reading makes the step run, and so be shown
        let _ = gateway.read_file(&reference, "warning", title.len()).await;
    }
}

/// Publishes what was verified in the result's metadata, which clients can read.
pub(super) fn publish(result: &mut SolveResult, file: &BuildFile, ledger: &Ledger<'_>) {
    let sources = Sources::one(&file.name, &file.source);
    let document = Document::new(ledger.report(), &sources);
    let pins: Vec<Pin> = ledger
        .report()
        .decided
        .iter()
        .map(|decided| Pin {
            name: decided.request.reference.familiar(),
            role: decided.request.role.to_string(),
            pinned: decided.pinned_reference().map(|reference| reference.to_string()),
            state: match &decided.decision {
                Decision::Pinned(_) => "signed",
                Decision::DigestAccepted { checked: Some(_), .. } => "signed-digest",
                Decision::DigestAccepted { checked: None, .. } => "digest",
                Decision::Unverified { why: Unchecked::Disabled(_), .. } => "disabled",
                Decision::Unverified { why: Unchecked::Audit { .. }, .. } => "audit",
                Decision::Exempt { .. } => "exempt",
                Decision::Refused(_) => "refused",
            },
        })
        .collect();
    let trust = json!({
        "enabled": !ledger.is_disabled(),
        "warnings": document.warnings,
        "images": document.images,
    });
    let pins = serde_json::to_vec(&pins).unwrap_or_default();
    result.metadata.insert(PINS.to_owned(), pins);
    result.metadata.insert(TRUST.to_owned(), trust.to_string().into_bytes());
}

/// One image of the build, for whoever reads the build's metadata.
#[derive(Serialize)]
struct Pin {
    name: String,
    role: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned: Option<String>,
    state: &'static str,
}

/// Keys with this prefix reach the client in every version of `BuildKit`.
const PINS: &str = "frontend.trustgate.pins";
const TRUST: &str = "frontend.trustgate.trust";

/// A message is for a person; nobody reads the thirtieth refusal.
const REFUSAL_LIMIT: usize = 20;
const WARNING_LIMIT: usize = 50;
