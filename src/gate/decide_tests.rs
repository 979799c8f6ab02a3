//! `testdata/gate/decisions.toml`, and what a table can't say.

use std::sync::Arc;

use serde::Deserialize;

use super::testing::{EXPIRES, TrustTable, target};
use super::*;
use crate::image::{Digest, Reference};
use crate::policy::{Policy, PolicySet, no_files};
use crate::trust::{Freshness, PlatformManifest, TrustError};
use crate::tuf::{RoleName, TufError};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    policies: Vec<String>,
    switch: Option<DisabledBy>,
    reference: String,
    expect: String,
    asked: Option<Vec<String>>,
}

#[test]
fn the_table_of_decisions_holds() {
    let text = include_str!("../../testdata/gate/decisions.toml");
    let table: Table = toml::from_str(text).expect("the table is well-formed");
    for case in table.case {
        let trust = Arc::new(trust());
        let switch = case.switch.map_or(TrustSwitch::Enabled, TrustSwitch::Disabled);
        let gate = Gate::new(policies(&case.policies), trust.clone(), switch);
        let reference = fill(&case.reference).parse().expect("the case names an image");
        let report = block_on(gate.decide(vec![Request::command_line(reference)]));
        assert_eq!(describe(&report), fill(&case.expect), "{}", case.name);
        if let Some(asked) = case.asked {
            let expected: Vec<String> = asked.iter().map(|question| fill(question)).collect();
            assert_eq!(trust.asked(), expected, "{}", case.name);
        }
    }
}

#[test]
fn equal_questions_are_asked_once_and_the_order_stays() {
    let trust = Arc::new(trust());
    let gate = Gate::new(PolicySet::docker_default(), trust.clone(), TrustSwitch::Enabled);
    let names = [
        "acme/base:1.4",
        "alpine:3.20",
        "docker.io/acme/base:1.4",
        "acme/base:2",
        "acme/base:1.4@{B}",
        "index.docker.io/library/alpine:3.20",
    ];
    let requests: Vec<Request> = names.iter().map(|name| request(name)).collect();
    let report = block_on(gate.decide(requests.clone()));
    let mut asked = trust.asked();
    asked.sort();
    assert_eq!(asked, ["docker.io/acme/base 1.4", "docker.io/acme/base 2", "docker.io/library/alpine 3.20"]);
    let decided: Vec<Request> = report.decided.iter().map(|it| it.request.clone()).collect();
    assert_eq!(decided, requests);
    assert_eq!(report.refusals().count(), 1);
    assert_eq!(report.exit_code(), 1);
}

#[test]
fn a_refusal_outweighs_what_could_not_be_found_out() {
    let gate = Gate::new(PolicySet::docker_default(), Arc::new(trust()), TrustSwitch::Enabled);
    let code =
        |names: &[&str]| block_on(gate.decide(names.iter().map(|name| request(name)).collect())).exit_code();
    assert_eq!(code(&["acme/broken", "acme/base"]), 3);
    assert_eq!(code(&["acme/broken", "acme/unknown"]), 1);
    assert_eq!(code(&["acme/base", "alpine:3.20"]), 0);
    assert_eq!(code(&[]), 0);
}

#[test]
fn a_thousand_repositories_are_asked_in_parallel_and_kept_in_order() {
    let digest = Digest::of(b"A");
    let names: Vec<String> = (0..1_000).map(|number| format!("docker.io/acme/image-{number}")).collect();
    let trust = names.iter().fold(TrustTable::new(), |table, name| table.signed(name, "1", &digest));
    let gate = Gate::new(PolicySet::docker_default(), Arc::new(trust), TrustSwitch::Enabled);
    let requests = names.iter().map(|name| request(&format!("{name}:1"))).collect();
    let report = block_on(gate.decide(requests));
    let decided: Vec<String> = report.decided.iter().map(|it| it.request.reference.repository()).collect();
    assert_eq!(decided, names);
    assert!(!report.is_refused());
}

#[test]
fn reports_are_joined_with_their_warnings() {
    let gate = Gate::new(PolicySet::docker_default(), Arc::new(trust()), TrustSwitch::Enabled);
    let mut report = block_on(gate.decide(vec![request("acme/base:1.4")]));
    report.append(block_on(gate.decide(vec![request("acme/base:1.4"), request("acme/first:1")])));
    assert_eq!(report.decided.len(), 3);
    assert_eq!(report.warnings.first().and_then(|it| it.request), Some(2));
}

fn describe(report: &Report) -> String {
    let mut text: Vec<String> = report.decided.iter().map(describe_one).collect();
    text.extend(report.general.iter().map(|it| format!("general {}, exit {}", it.code, it.exit.code())));
    text.extend(report.warnings.iter().map(|it| it.code.name().to_owned()));
    text.join("; ")
}

fn describe_one(decided: &Decided) -> String {
    let reference = &decided.request.reference;
    let enters = decided.pinned_reference().unwrap_or_else(|| reference.clone());
    match &decided.decision {
        Decision::Pinned(_) => format!("pinned {enters}"),
        Decision::DigestAccepted { checked: None, .. } => format!("digest {enters}"),
        Decision::DigestAccepted { checked: Some(_), .. } => format!("checked digest {enters}"),
        Decision::Unverified { why: Unchecked::Disabled(by), .. } => {
            format!("unverified ({}) {enters}", by.key())
        }
        Decision::Unverified { why: Unchecked::Audit { refusal, .. }, .. } => {
            format!("unverified (audit: {}) {enters}", refusal.code)
        }
        Decision::Exempt { rule, .. } => format!("exempt ({rule}) {enters}"),
        Decision::Refused(refusal) => {
            assert_eq!(decided.pinned_reference(), None);
            format!("refused {}, exit {}", refusal.code, refusal.exit.code())
        }
    }
}

fn trust() -> TrustTable {
    let [a, b, c] = ["A", "B", "C"].map(|name| Digest::of(name.as_bytes()));
    let mut first = target("docker.io/acme/first", "1", &a);
    first.first_use = true;
    let mut cached = target("docker.io/acme/cached", "1", &a);
    cached.freshness = Freshness::Cached { reason: "connection refused".to_owned() };
    let mut index = target("docker.io/acme/index", "1", &a);
    index.platforms = vec![PlatformManifest { digest: b.clone(), size: 7, platform: None }];
    let expired = TrustError::Metadata {
        gun: "docker.io/acme/expired".parse().unwrap(),
        server: "https://trust.example".to_owned(),
        source: TufError::Expired { role: RoleName::TIMESTAMP, at: EXPIRES },
    };
    let broken = TrustError::Cache {
        gun: "docker.io/acme/broken".parse().unwrap(),
        path: "/cache/root.json".into(),
        reason: "it ends in the middle".to_owned(),
    };
    TrustTable::new()
        .signed("docker.io/acme/base", "1.3", &a)
        .signed("docker.io/acme/base", "1.4", &b)
        .signed("docker.io/acme/base", "latest", &b)
        .signed("docker.io/library/alpine", "3.20", &c)
        .target(index)
        .target(first)
        .target(cached)
        .failing("docker.io/acme/expired", expired)
        .failing("docker.io/acme/broken", broken)
}

fn request(reference: &str) -> Request {
    let reference: Reference = fill(reference).parse().expect("the test names an image");
    Request::command_line(reference)
}

fn policies(texts: &[String]) -> PolicySet {
    let parse = |(index, text): (usize, &String)| {
        Policy::parse(text, &format!("policy-{index}.toml"), &no_files)
            .unwrap_or_else(|error| panic!("{error}"))
    };
    PolicySet::new(texts.iter().enumerate().map(parse)).expect("few policies")
}

fn fill(text: &str) -> String {
    ["A", "B", "C", "Z"].iter().fold(text.to_owned(), |text, name| {
        text.replace(&format!("{{{name}}}"), &Digest::of(name.as_bytes()).to_string())
    })
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}
