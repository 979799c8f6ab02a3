//! `testdata/hostile`: each case tries to get an unsigned image, the bait, into a build.
//!
//! Each is built twice, on every engine that it is for: without the gate, where the bait must come in or the
//! case would prove nothing, and through the gate, where it must not. A bait that came in is seen in the
//! result's files; one that was fetched and not used, in the registry's log.

use serde::Deserialize;

use crate::fixtures::{Fixtures, Signing};
use crate::support::table::{Case, cases};
use crate::support::{Engine, Lab, lab};

/// What only this table says of a case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Hostile {
    /// How the bait should get in, in a sentence.
    tries: String,
    /// What the gate does about it.
    #[serde(default)]
    expect: Expectation,
    /// What the refusal says, at least.
    #[serde(default)]
    says: Vec<String>,
    /// Why the bait does not come in without the gate either, on the engines at hand.
    #[serde(default)]
    no_control: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Expectation {
    /// The build ends with an error before it starts.
    #[default]
    Refused,
    /// The build succeeds, with what is signed in the place of the bait.
    BuiltWithoutBait,
}

#[test]
fn the_bait_enters_without_the_gate_on_bookworm() {
    without_the_gate(Engine::Bookworm);
}

#[test]
fn the_bait_enters_without_the_gate_on_trixie() {
    without_the_gate(Engine::Trixie);
}

#[test]
fn no_bait_passes_the_gate_on_bookworm() {
    through_the_gate(Engine::Bookworm);
}

#[test]
fn no_bait_passes_the_gate_on_trixie() {
    through_the_gate(Engine::Trixie);
}

fn without_the_gate(engine: Engine) {
    let Some(lab) = lab() else { return };
    let mut fixtures = Fixtures::make(lab, engine, "open", Signing::None);
    fixtures.words.set("EVIL_FRONTEND", evil_frontend(lab, engine, "open"));
    let mut failures = Vec::new();
    for case in cases::<Hostile>("hostile", engine) {
        if case.said.no_control.is_some() || case.how.syntax_line {
            continue;
        }
        if case.how.pruned {
            engine.prune(lab);
        }
        let prepared = case.prepare(&fixtures.words);
        let outcome = engine.build(lab, &prepared.build);
        if !outcome.holds(fixtures.marker.as_bytes()) {
            failures.push(format!("{}: {}\n{}", case.name, case.said.tries, outcome.text));
        }
    }
    assert!(failures.is_empty(), "not hostile on {engine}:\n\n{}", failures.join("\n\n"));
}

fn through_the_gate(engine: Engine) {
    let Some(lab) = lab() else { return };
    let mut fixtures = Fixtures::make(lab, engine, "gated", Signing::Docker);
    let frontend = lab.organisation_frontend(&strict_policy(lab)).pinned();
    fixtures.words.set("EVIL_FRONTEND", evil_frontend(lab, engine, "gated"));
    fixtures.words.set("FRONTEND", &*frontend);
    let cases = cases::<Hostile>("hostile", engine);
    let logged_before = lab.registry_log().len();
    let mut failures = Vec::new();
    for case in &cases {
        if let Err(complaint) = try_to_pass(lab, engine, case, &fixtures, &frontend) {
            failures.push(format!("{}: {}\n{complaint}", case.name, case.said.tries));
        }
    }
    let log = lab.registry_log();
    for layer in fixtures.bait_layers(lab) {
        if log.get(logged_before..).is_some_and(|since| since.contains(&layer)) {
            failures.push(format!("{engine} fetched a layer of the bait: {layer}"));
        }
    }
    assert!(failures.is_empty(), "on {engine}, of {} cases:\n\n{}", cases.len(), failures.join("\n\n"));
}

fn try_to_pass(
    lab: &Lab,
    engine: Engine,
    case: &Case<Hostile>,
    fixtures: &Fixtures,
    frontend: &str,
) -> Result<(), String> {
    if case.how.pruned {
        engine.prune(lab);
    }
    let prepared = case.prepare(&fixtures.words);
    let build =
        if case.how.syntax_line { prepared.build.clone() } else { prepared.build.clone().gated_by(frontend) };
    let outcome = engine.build(lab, &build);
    if outcome.holds(fixtures.marker.as_bytes()) {
        return Err(format!("THE BAIT IS IN THE BUILD\n{}", outcome.text));
    }
    match case.said.expect {
        Expectation::Refused if outcome.succeeded => Err(format!("was not refused\n{}", outcome.text)),
        Expectation::BuiltWithoutBait if !outcome.succeeded => Err(format!("was refused\n{}", outcome.text)),
        _ => {
            let sayings = case.said.says.iter().map(|saying| fixtures.words.expand_text(saying));
            match sayings.into_iter().find(|saying| !outcome.text.contains(saying.as_str())) {
                Some(saying) => Err(format!("does not say `{saying}`\n{}", outcome.text)),
                None => Ok(()),
            }
        }
    }
}

/// An organisation that means it: signatures for everything, digests too, and nobody may switch that off.
pub(crate) fn strict_policy(lab: &Lab) -> String {
    format!(
        "version = 1\nserver = \"{}\"\ntrust = \"required\"\ntrust-on-first-use = true\ndigest = \"signed\"\n\
         [disable]\nallowed-by = []\n",
        lab.trust_server()
    )
}

/// What an attacker makes of ours: a frontend that lets everything in. Nobody signed it.
fn evil_frontend(lab: &Lab, engine: Engine, set: &str) -> String {
    let policy = format!("version = 1\nserver = \"{}\"\ntrust = \"disabled\"\n", lab.trust_server());
    lab.push_frontend(&format!("{set}-{engine}/evil:1"), &policy).by_tag()
}
