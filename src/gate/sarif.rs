//! A report as SARIF 2.1.0, which code hosts show beside the lines it is about.
//!
//! Each refusal code is a rule; each refusal and each warning about an image is a result.
//! A caller that knows an edit that would help passes it as a [`Fix`].

use serde_json::{Value, json};

use super::decision::{Report, Warning, WarningCode};
use super::diagnose::Sources;
use super::refusal::{Refusal, RefusalCode};
use super::request::Origin;
use crate::dockerfile::{Span, line_and_column};
use crate::text::{visible, visible_lines};

/// One finding, where it comes from anything else than a report: `pin --check` has such.
#[derive(Clone, Debug)]
pub struct Finding<'a> {
    /// What is wrong.
    pub refusal: &'a Refusal,
    /// Where.
    pub origin: Option<&'a Origin>,
    /// What would put it right.
    pub fix: Option<&'a Fix>,
}

/// Edits of one file that put something right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// What the edits do.
    pub description: String,
    /// The file, by the name that origins use.
    pub file: String,
    /// The bytes that are replaced, and by what.
    pub edits: Vec<(Span, String)>,
}

/// The whole log for a report.
#[must_use]
pub fn log(report: &Report, sources: &Sources<'_>) -> Value {
    let general = report.general.iter().map(|refusal| Finding { refusal, origin: None, fix: None });
    let decided = report.decided.iter().filter_map(|decided| {
        let origin = Some(&decided.request.origin);
        Some(Finding { refusal: decided.refusal()?, origin, fix: None })
    });
    let mut log = findings(general.chain(decided), sources);
    let warnings = report.warnings.iter().map(|warning| {
        let origin = warning.request.and_then(|index| report.decided.get(index)).map(|it| &it.request.origin);
        warning_result(warning, origin, sources)
    });
    if let Some(Value::Array(results)) = log.pointer_mut("/runs/0/results") {
        results.extend(warnings);
    }
    log
}

/// The whole log for these findings.
#[must_use]
pub fn findings<'a>(findings: impl IntoIterator<Item = Finding<'a>>, sources: &Sources<'_>) -> Value {
    let results: Vec<Value> = findings.into_iter().map(|finding| refusal_result(&finding, sources)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "trustgate",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rules() -> Vec<Value> {
    let refusals = RefusalCode::ALL.iter().map(|code| rule(code.name(), code.summary(), "error"));
    let warnings = WarningCode::ALL.iter().map(|code| rule(code.name(), code.summary(), "warning"));
    refusals.chain(warnings).collect()
}

fn rule(name: &str, summary: &str, level: &str) -> Value {
    json!({
        "id": name,
        "shortDescription": { "text": summary },
        "help": { "text": format!("docs/refusals.md says what `{name}` means and what to do.") },
        "defaultConfiguration": { "level": level },
    })
}

fn refusal_result(finding: &Finding<'_>, sources: &Sources<'_>) -> Value {
    let refusal = finding.refusal;
    let colon = if refusal.label.is_empty() { "" } else { ": " };
    let mut lines = vec![format!("{}{colon}{}", refusal.title, refusal.label)];
    lines.extend(refusal.notes.iter().cloned());
    lines.extend(refusal.help.iter().map(|help| format!("help: {help}")));
    let index = RefusalCode::ALL.iter().position(|code| *code == refusal.code);
    let mut result = result(refusal.code.name(), index, "error", &lines, finding.origin, sources);
    if let Some(fix) = finding.fix {
        result["fixes"] = json!([fix_value(fix, sources)]);
    }
    result
}

fn warning_result(warning: &Warning, origin: Option<&Origin>, sources: &Sources<'_>) -> Value {
    let mut lines = vec![warning.message.clone()];
    lines.extend(warning.notes.iter().cloned());
    let index = WarningCode::ALL.iter().position(|code| *code == warning.code);
    let index = index.map(|index| RefusalCode::ALL.len() + index);
    result(warning.code.name(), index, "warning", &lines, origin, sources)
}

fn result(
    rule: &str,
    index: Option<usize>,
    level: &str,
    lines: &[String],
    origin: Option<&Origin>,
    sources: &Sources<'_>,
) -> Value {
    let lines: Vec<String> = lines.iter().map(|line| visible_lines(line)).collect();
    let mut result = json!({
        "ruleId": rule,
        "level": level,
        "message": { "text": lines.join("\n") },
    });
    if let Some(index) = index {
        result["ruleIndex"] = index.into();
    }
    if let Some(location) = origin.map(|origin| location(origin, sources)) {
        result["locations"] = json!([location]);
    }
    result
}

fn location(origin: &Origin, sources: &Sources<'_>) -> Value {
    match origin {
        Origin::Dockerfile { file, span } => {
            let mut physical = json!({ "artifactLocation": { "uri": uri(file) } });
            if let Some(source) = sources.find(file) {
                physical["region"] = region(source, span);
            }
            json!({ "physicalLocation": physical })
        }
        Origin::Option { name, value } => logical(&format!("option {name}={value}")),
        Origin::BaseConfig { base, trigger } => logical(&format!("{base}: ONBUILD {trigger}")),
        Origin::CommandLine => logical("command line"),
    }
}

fn logical(name: &str) -> Value {
    json!({ "logicalLocations": [{ "fullyQualifiedName": visible(name) }] })
}

fn region(source: &[u8], span: &Span) -> Value {
    let (start_line, start_column) = line_and_column(source, span.start);
    let (end_line, end_column) = line_and_column(source, span.end.max(span.start));
    json!({
        "startLine": start_line,
        "startColumn": start_column,
        "endLine": end_line,
        "endColumn": end_column,
        "byteOffset": span.start,
        "byteLength": span.len(),
    })
}

fn fix_value(fix: &Fix, sources: &Sources<'_>) -> Value {
    let source = sources.find(&fix.file).unwrap_or_default();
    let replacements: Vec<Value> = fix
        .edits
        .iter()
        .map(|(span, text)| {
            json!({ "deletedRegion": region(source, span), "insertedContent": { "text": text } })
        })
        .collect();
    json!({
        "description": { "text": visible(&fix.description) },
        "artifactChanges": [{
            "artifactLocation": { "uri": uri(&fix.file) },
            "replacements": replacements,
        }],
    })
}

/// A path as a relative URI reference; what a URI can't hold is percent-encoded.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.trim_start_matches("./").bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            b'\\' => uri.push('/'),
            _ => {
                uri.push('%');
                uri.push_str(&hex::encode_upper([byte]));
            }
        }
    }
    uri
}
