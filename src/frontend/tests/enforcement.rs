//! The guarantee: audited, solved again, and only that returned.

use super::*;
use crate::buildkit::proto::gateway::{Attestation, Attestations, RefMapDeprecated};

#[test]
fn a_signed_build_is_pinned_and_solved_again_under_its_own_policy() {
    let outcome = Build::of("FROM acme/base:1 AS build\nRUN true\n").run();
    assert_eq!(outcome.pinned(), format!("FROM docker.io/acme/base:1@{} AS build\nRUN true\n", digest('a')));
    assert_eq!(outcome.enforced(), [vec![base()]]);
    let again =
        outcome.daemon.state().solves.iter().position(|solve| !solve.source_policies.is_empty()).unwrap();
    let Some(Kind::Ref(returned)) = &outcome.built().result else { panic!() };
    assert_eq!(*returned, Ref { id: format!("ref-{}", again + 1), def: Vec::new() });
    let solves = outcome.daemon.state().solves.clone();
    assert!(solves.iter().all(|solve| solve.cache_imports.is_empty() && !solve.evaluate));
}

#[test]
fn an_old_builder_gets_its_own_reference_back() {
    let outcome = Build::on(Daemon::old(), "FROM acme/base:1\n").run();
    assert_eq!(outcome.enforced(), Vec::<Vec<String>>::new());
    let Some(Kind::Ref(returned)) = &outcome.built().result else { panic!() };
    assert_eq!(*returned, reference("nested", b""));
}

#[test]
fn what_is_in_no_text_is_found_in_the_graph() {
    for daemon in [Daemon::current(), Daemon::old()] {
        let outcome =
            Build::on(daemon, "FROM acme/base:1\n").answering(|_| Ok(single(&graph(&[&base(), BAIT])))).run();
        outcome.refused_with("evil/bait:1");
        assert_eq!(outcome.enforced(), Vec::<Vec<String>>::new());
    }
}

#[test]
fn every_platform_and_every_attestation_is_audited() {
    let honest = || {
        map(&[
            ("linux/amd64", reference("a", &graph(&[&base()]))),
            ("linux/arm64", reference("b", &graph(&[&base()]))),
        ])
    };
    let attested = move |definition: Vec<u8>| {
        let attestation = Attestation { r#ref: Some(reference("c", &definition)), ..Attestation::default() };
        let mut result = honest();
        result.attestations.insert("linux/arm64".into(), Attestations { attestation: vec![attestation] });
        result
    };
    let outcome = Build::of("FROM acme/base:1\n")
        .answering(move |_| Ok(attested(graph(&[&base(), "local://x"]))))
        .run();
    assert_eq!(outcome.enforced().len(), 3);
    let result = outcome.built();
    let Some(Kind::Refs(refs)) = &result.result else { panic!() };
    let attestation = result.attestations["linux/arm64"].attestation[0].r#ref.as_ref().unwrap();
    let ids: Vec<&str> =
        refs.refs.values().chain([attestation]).map(|reference| reference.id.as_str()).collect();
    assert!(ids.iter().all(|id| id.starts_with("ref-")), "{ids:?}");

    for evil in [
        attested(graph(&[BAIT])),
        map(&[
            ("linux/amd64", reference("a", &graph(&[&base()]))),
            ("linux/arm64", reference("b", &graph(&[BAIT]))),
        ]),
    ] {
        let outcome = Build::of("FROM acme/base:1\n").answering(move |_| Ok(evil.clone())).run();
        outcome.refused_with("evil/bait:1");
    }
}

#[test]
fn empty_results_pass_and_results_without_a_graph_do_not() {
    for empty in [single(b""), map(&[("linux/amd64", Ref::default())]), SolveResult::default()] {
        let mut empty = empty;
        if let Some(Kind::Ref(reference)) = &mut empty.result {
            reference.id.clear();
        }
        let expected = empty.result.clone();
        let outcome = Build::of("FROM scratch\n").answering(move |_| Ok(empty.clone())).run();
        assert_eq!(outcome.built().result, expected);
    }
    let deprecated = SolveResult { result: Some(Kind::RefDeprecated("x".into())), ..SolveResult::default() };
    let many = Kind::RefsDeprecated(RefMapDeprecated::default());
    for blind in [
        single(b""),
        map(&[("linux/amd64", reference("a", b""))]),
        deprecated,
        SolveResult { result: Some(many), ..SolveResult::default() },
    ] {
        let outcome = Build::of("FROM scratch\n").answering(move |_| Ok(blind.clone())).run();
        outcome.refused_with("cannot be audited");
    }
}

#[test]
fn a_builder_that_changes_its_graph_is_not_believed() {
    let build = Build::of("FROM acme/base:1\n");
    build.daemon.state().changes_graphs = true;
    build.run().refused_with("changed its graph");
}

#[test]
fn the_user_sees_the_lines_that_were_written() {
    let outcome = Build::of("FROM acme/base:1\nRUN false\n")
        .answering(|request| {
            let pinned = file_in(&request.frontend_inputs["dockerfile"], "Dockerfile").unwrap();
            let detail = crate::buildkit::source_error("Dockerfile", &pinned, &[]);
            let status = Status { code: 2, message: "process failed".into(), details: vec![detail] };
            let bytes = status.encode_to_vec().into();
            Err(tonic::Status::with_details(tonic::Code::Unknown, "process failed", bytes))
        })
        .run();
    let status = outcome.refused();
    let expected = crate::buildkit::source_error("Dockerfile", b"FROM acme/base:1\nRUN false\n", &[]);
    assert_eq!((status.message.as_str(), status.details.as_slice()), ("process failed", &[expected][..]));
}

#[test]
fn policies_on_other_sources_hold_for_the_graph() {
    let policy = "[sources]\nhttp = \"refuse\"\n";
    let build = || Build::of("FROM acme/base:1\n").policy(&format!("{policy}git = \"fixed\"\n"));
    let answering =
        |source: &'static str| build().answering(move |_| Ok(single(&graph(&[&base(), source])))).run();
    answering("https://example.org/file").refused_with("https://example.org/file");
    answering("git://example.org/a.git#main").refused_with("example.org/a.git");
    answering("local://context").built();
    let fixed = "git://example.org/a.git#0123456789012345678901234567890123456789";
    answering(fixed).built();
}
