//! `testdata/harmless`: what only looks like an unsigned image in a build, and must pass the gate.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::fixtures::{Fixtures, Signing};
use crate::hostile::strict_policy;
use crate::support::table::cases;
use crate::support::{Engine, lab};

/// What only this table says of a case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Harmless {
    /// What a careless gate would stumble over, in a sentence.
    looks_like: String,
    /// Files of the result and what they hold.
    #[serde(default)]
    files: BTreeMap<String, String>,
}

#[test]
fn look_alikes_build_without_the_gate_on_bookworm() {
    build_all(Engine::Bookworm, Gate::Open);
}

#[test]
fn look_alikes_build_without_the_gate_on_trixie() {
    build_all(Engine::Trixie, Gate::Open);
}

#[test]
fn look_alikes_pass_the_gate_on_bookworm() {
    build_all(Engine::Bookworm, Gate::Strict);
}

#[test]
fn look_alikes_pass_the_gate_on_trixie() {
    build_all(Engine::Trixie, Gate::Strict);
}

/// A case that does not build without the gate would prove nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    Strict,
}

fn build_all(engine: Engine, gate: Gate) {
    let Some(lab) = lab() else { return };
    let (set, signing) = match gate {
        Gate::Open => ("plain", Signing::None),
        Gate::Strict => ("harmless", Signing::Docker),
    };
    let mut fixtures = Fixtures::make(lab, engine, set, signing);
    let frontend = match gate {
        Gate::Open => None,
        Gate::Strict => Some(lab.organisation_frontend(&strict_policy(lab)).pinned()),
    };
    if let Some(frontend) = &frontend {
        fixtures.words.set("FRONTEND", frontend.as_str());
    }
    let mut failures = Vec::new();
    for case in cases::<Harmless>("harmless", engine) {
        let mut prepared = case.prepare(&fixtures.words);
        match (&frontend, case.how.syntax_line) {
            (None, true) => continue,
            (Some(frontend), false) => prepared.build = prepared.build.gated_by(frontend),
            (None, false) | (Some(_), true) => {}
        }
        let outcome = engine.build(lab, &prepared.build);
        if !outcome.succeeded {
            failures.push(format!("{}: {}\n{}", case.name, case.said.looks_like, outcome.text));
        }
        for (path, expected) in &case.said.files {
            let expected = fixtures.words.expand_text(expected);
            let found = outcome.file(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            if outcome.succeeded && found.as_ref() != Some(&expected) {
                failures.push(format!("{}: {path} is {found:?}, not {expected:?}", case.name));
            }
        }
    }
    assert!(failures.is_empty(), "on {engine}:\n\n{}", failures.join("\n\n"));
}
