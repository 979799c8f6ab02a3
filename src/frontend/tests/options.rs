//! Which options reach the nested frontend, and how.

use super::*;
use crate::buildkit::proto::gateway::{Attestation, Attestations};

#[test]
fn options_are_forwarded_rewritten_or_kept_back() {
    let outcome = Build::of("ARG V\nFROM acme/base:1\n")
        .option("source", "acme/gate:1")
        .option("cmdline", "acme/gate:1 relax everything")
        .option("build-arg:BUILDKIT_SYNTAX", "acme/gate:1")
        .option("build-arg:V", "x")
        .option("build-arg:DOCKER_CONTENT_TRUST_SERVER", "https://trust.example")
        .option("label:a", "b")
        .option("gateway-devel", "true")
        .option("no-cache", "")
        .option("contextkey", "mine")
        .option("mine", "value")
        .option("context:extra", "docker-image://acme/extra:1")
        .option("context:here", "local:here")
        .option("context:empty", "docker-image://scratch")
        .option("cache-from", "acme/base:1")
        .option("cache-imports", r#"[{"Type":"registry","Attrs":{"ref":"acme/extra:1","x":"y"}}]"#)
        .run();
    outcome.built();
    let options: Vec<(String, String)> = outcome.request().frontend_opt.into_iter().collect();
    let expected = [
        ("build-arg:V", "x".to_owned()),
        ("cache-from", format!("docker.io/acme/base:1@{}", digest('a'))),
        (
            "cache-imports",
            format!(
                r#"[{{"Type":"registry","Attrs":{{"ref":"docker.io/acme/extra:1@{}","x":"y"}}}}]"#,
                digest('e')
            ),
        ),
        ("cmdline", "trustgate".to_owned()),
        ("context:empty", "docker-image://scratch".to_owned()),
        ("context:extra", format!("docker-image://docker.io/acme/extra:1@{}", digest('e'))),
        ("context:here", "local:here".to_owned()),
        ("contextkey", "mine".to_owned()),
        ("filename", "Dockerfile".to_owned()),
        ("label:a", "b".to_owned()),
        ("no-cache", String::new()),
    ];
    let expected: Vec<(String, String)> =
        expected.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    assert_eq!(options, expected);
}

#[test]
fn verified_caches_are_there_for_the_last_solve() {
    let outcome = Build::of("FROM acme/base:1\n").option("cache-from", "acme/extra:1").run();
    let solves = outcome.daemon.state().solves.clone();
    let last = solves.iter().find(|solve| !solve.source_policies.is_empty()).unwrap();
    assert_eq!(last.cache_imports.len(), 1);
    assert_eq!(last.cache_imports[0].attrs["ref"], format!("docker.io/acme/extra:1@{}", digest('e')));
}

#[test]
fn an_sbom_comes_from_the_verified_generator_or_not_at_all() {
    let answer = |predicate: &'static str| {
        move |request: &SolveRequest| {
            let attestation = Attestation {
                in_toto_predicate_type: predicate.to_owned(),
                r#ref: Some(reference(
                    "sbom",
                    &graph(&[&format!("docker-image://docker.io/acme/scanner:1@{}", digest('5'))]),
                )),
                ..Attestation::default()
            };
            let mut result = single(&graph_of(request));
            result.attestations.insert("linux/amd64".into(), Attestations { attestation: vec![attestation] });
            Ok(result)
        }
    };
    let build = || Build::of("FROM acme/base:1\n").option("attest:sbom", "SCAN=1,generator=acme/scanner:1");
    let outcome = build().answering(answer("https://spdx.dev/Document")).run();
    outcome.built();
    let generator = format!("SCAN=1,generator=docker.io/acme/scanner:1@{}", digest('5'));
    assert_eq!(outcome.request().frontend_opt["attest:sbom"], generator);
    assert_eq!(outcome.enforced().len(), 2);
    build()
        .answering(answer("https://example.org/other"))
        .run()
        .refused_with("generator that nobody verified");
    build().run().refused_with("generator that nobody verified");
}

#[test]
fn a_word_that_means_another_image_elsewhere_is_pinned_by_name() {
    // a stage that is not needed may stay as it is, on any builder
    let outcome =
        Build::on(Daemon::old(), "ARG TARGETARCH\nFROM acme/${TARGETARCH/amd64/base}:1\nFROM scratch\n")
            .option("platform", "linux/amd64,linux/arm64")
            .answering(|_| Ok(SolveResult::default()))
            .run();
    outcome.built();
    assert!(!outcome.pinned().contains("@sha256:"), "{}", outcome.pinned());

    let needed = "ARG TARGETARCH\nFROM acme/${TARGETARCH/amd64/base}:1\n";
    let build = |daemon: Daemon| {
        Build::on(daemon, needed).option("platform", "linux/amd64,linux/arm64").answering(|_| {
            Ok(map(&[("linux/amd64", reference("a", &graph(&[&base()]))), ("linux/arm64", Ref::default())]))
        })
    };
    let outcome = build(Daemon::current()).run();
    outcome.built();
    assert_eq!(outcome.pinned(), needed);
    let options = outcome.request().frontend_opt;
    assert_eq!(
        options["context:acme/base:1"],
        format!("docker-image://docker.io/acme/base:1@{}", digest('a'))
    );
    assert_eq!(
        options["context:acme/arm64:1"],
        format!("docker-image://docker.io/acme/arm64:1@{}", digest('6'))
    );
    build(Daemon::old()).run().refused_with("another image on another platform");
}

#[test]
fn a_word_that_is_a_stage_on_one_platform_stays() {
    let dockerfile =
        "FROM acme/base:1 AS amd64\nFROM acme/extra:1 AS arm64\nARG TARGETARCH\nFROM $TARGETARCH\n";
    let global = format!("ARG TARGETARCH\n{}", dockerfile.replace("ARG TARGETARCH\n", ""));
    let outcome = Build::of(&global).option("platform", "linux/amd64,linux/arm64").run();
    outcome.built();
    let pinned = outcome.pinned();
    assert!(pinned.ends_with("FROM $TARGETARCH\n") && pinned.matches("@sha256:").count() == 2, "{pinned}");
}

#[test]
fn a_question_passes_through_and_brings_no_build_back() {
    let ask = |answer: SolveResult| {
        Build::of("FROM evil/bait:1\n")
            .option("requestid", "frontend.outline")
            .answering(move |_| Ok(answer.clone()))
            .run()
    };
    let mut answer = SolveResult::default();
    answer.metadata.insert("result.json".into(), b"{}".to_vec());
    let outcome = ask(answer.clone());
    assert_eq!(*outcome.built(), answer);
    assert_eq!(outcome.pinned(), "FROM evil/bait:1\n");
    ask(single(&graph(&[BAIT]))).refused_with("evil/bait:1");
    let syntax = Build::of("# syntax=evil/bait:1\nFROM scratch\n").option("requestid", "frontend.lint");
    syntax.run().refused_with("evil/bait:1");
}
