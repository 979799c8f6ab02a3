//! Findings as a SARIF 2.1.0 log, which code scanning services show at the line.
//!
//! Only the part of the format that such services read is written. Nothing here
//! knows what a finding means.

use std::collections::BTreeMap;

use serde::Serialize;

/// One thing to tell about one place.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    /// The stable short name of what was found, such as `unsigned-base`.
    pub(super) rule: &'static str,
    /// What the rule is about, the same for each finding of it.
    pub(super) about: &'static str,
    /// How bad it is.
    pub(super) level: Level,
    /// What was found here, with the next step.
    pub(super) message: String,
    /// The file, as named on the command line.
    pub(super) file: String,
    /// The place in it, if there is one.
    pub(super) region: Option<Region>,
    /// What to write instead, if that would settle it.
    pub(super) fix: Vec<Replacement>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// The check does not hold.
    Error,
    /// The check holds, but somebody should look.
    Warning,
}

/// A stretch of text, 1-based; the end is the column after the last character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Region {
    /// First line.
    pub(super) start_line: usize,
    /// First column, in characters.
    pub(super) start_column: usize,
    /// Last line.
    pub(super) end_line: usize,
    /// The column after the last one.
    pub(super) end_column: usize,
}

/// A stretch of text and what to put there.
#[derive(Clone, Debug)]
pub(super) struct Replacement {
    /// What goes.
    pub(super) region: Region,
    /// What comes.
    pub(super) text: String,
}

/// A whole log of one run.
#[must_use]
pub(super) fn log(findings: &[Finding], complete: bool) -> impl Serialize {
    let mut rules: BTreeMap<&'static str, &'static str> = BTreeMap::new();
    for finding in findings {
        rules.insert(finding.rule, finding.about);
    }
    let order: Vec<&'static str> = rules.keys().copied().collect();
    let results = findings.iter().map(|finding| result(finding, &order)).collect();
    Log {
        schema: "https://json.schemastore.org/sarif-2.1.0.json",
        version: "2.1.0",
        runs: [Run {
            tool: Tool {
                driver: Driver {
                    name: "trustgate",
                    semantic_version: env!("CARGO_PKG_VERSION"),
                    rules: rules.into_iter().map(rule).collect(),
                },
            },
            column_kind: "unicodeCodePoints",
            invocations: [Invocation { execution_successful: complete }],
            results,
        }],
    }
}

fn rule((id, about): (&'static str, &'static str)) -> Rule {
    Rule { id, short_description: Text { text: about.to_owned() } }
}

fn result(finding: &Finding, order: &[&'static str]) -> ResultObject {
    let artifact = || Artifact { uri: uri(&finding.file) };
    let fixes = if finding.fix.is_empty() {
        Vec::new()
    } else {
        let replacements = finding.fix.iter().map(|replacement| ReplacementObject {
            deleted_region: replacement.region.into(),
            inserted_content: Text { text: replacement.text.clone() },
        });
        vec![Fix {
            description: Text { text: "write the signed digest".to_owned() },
            artifact_changes: [Change {
                artifact_location: artifact(),
                replacements: replacements.collect(),
            }],
        }]
    };
    ResultObject {
        rule_id: finding.rule,
        rule_index: order.iter().position(|id| *id == finding.rule).unwrap_or_default(),
        level: finding.level,
        message: Text { text: finding.message.clone() },
        locations: [Location {
            physical_location: PhysicalLocation {
                artifact_location: artifact(),
                region: finding.region.map(Into::into),
            },
        }],
        fixes,
    }
}

/// A path as a URI reference: everything that is not plain is percent-encoded.
fn uri(path: &str) -> String {
    let relative = path.trim_start_matches("./");
    let mut text = String::with_capacity(relative.len());
    if relative.starts_with('/') {
        text.push_str("file://");
    }
    for byte in relative.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_' | b'~') {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[derive(Serialize)]
struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    column_kind: &'static str,
    invocations: [Invocation; 1],
    results: Vec<ResultObject>,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    semantic_version: &'static str,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: &'static str,
    short_description: Text,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultObject {
    rule_id: &'static str,
    rule_index: usize,
    level: Level,
    message: Text,
    locations: [Location; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fixes: Vec<Fix>,
}

#[derive(Serialize)]
struct Text {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: PhysicalLocation,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: Artifact,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<RegionObject>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RegionObject {
    start_line: usize,
    start_column: usize,
    end_line: usize,
    end_column: usize,
}

impl From<Region> for RegionObject {
    fn from(region: Region) -> Self {
        let Region { start_line, start_column, end_line, end_column } = region;
        Self { start_line, start_column, end_line, end_column }
    }
}

#[derive(Serialize)]
struct Artifact {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Fix {
    description: Text,
    artifact_changes: [Change; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    artifact_location: Artifact,
    replacements: Vec<ReplacementObject>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReplacementObject {
    deleted_region: RegionObject,
    inserted_content: Text,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uri_references() {
        assert_eq!(uri("./a b/Dockerfile"), "a%20b/Dockerfile");
        assert_eq!(uri("/srv/é"), "file:///srv/%C3%A9");
        assert_eq!(uri("<stdin>"), "%3Cstdin%3E");
    }
}
