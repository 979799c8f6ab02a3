//! Where the Dockerfile is found, in every form of a context.

use super::*;

#[test]
fn the_clients_own_directory_stays_the_context() {
    let build = Build::of("FROM acme/base:1\n");
    build.file("local://dockerfile", "Dockerfile.dockerignore", "ignored\n");
    let outcome = build.run();
    outcome.built();
    let inputs = outcome.request().frontend_inputs;
    assert_eq!(inputs.keys().collect::<Vec<_>>(), ["dockerfile"]);
    assert_eq!(file_in(&inputs["dockerfile"], "Dockerfile.dockerignore").unwrap(), b"ignored\n");
}

#[test]
fn other_names_and_other_directories() {
    let build = Build::of("FROM evil/bait:1\n").option("filename", "docker/app.Dockerfile");
    build.file("local://dockerfile", "docker/app.Dockerfile", "FROM acme/base:1\n");
    let outcome = build.run();
    outcome.built();
    assert!(outcome.pinned().contains("@sha256:"));

    let build = Build::of("FROM evil/bait:1\n").option("dockerfilekey", "other");
    build.file("local://other", "Dockerfile", "FROM acme/base:1\n");
    build.run().built();

    let build = Build::of("");
    build.daemon.state().files.clear();
    build.file("local://dockerfile", "dockerfile", "FROM acme/base:1\n");
    let outcome = build.run();
    outcome.built();
    assert!(outcome.pinned().contains("@sha256:"));
}

#[test]
fn a_git_context_becomes_an_input() {
    let build = Build::of("FROM evil/bait:1\n")
        .option("context", "https://example.org/a.git#main:sub")
        .answering(|request| {
            let git = "git://example.org/a.git#main:sub";
            let _ = request;
            Ok(single(&graph(&[&base(), git])))
        })
        .policy("[sources]\ngit = \"refuse\"\n");
    build.file("git://example.org/a.git#main:sub", "Dockerfile", "FROM acme/base:1\n");
    let outcome = build.run();
    outcome.built();
    let request = outcome.request();
    assert!(!request.frontend_opt.contains_key("context"));
    let sources = crate::buildkit::audit::sources(&request.frontend_inputs["context"]).unwrap();
    assert_eq!(sources[0].identifier, "git://example.org/a.git#main:sub");

    let refused =
        Build::of("").option("context", "https://example.org/a.git").policy("[contexts]\ngit = \"refuse\"\n");
    refused.file("git://example.org/a.git", "Dockerfile", "FROM scratch\n");
    refused.run().refused_with("example.org/a.git");
}

#[test]
fn a_url_is_the_dockerfile_or_an_archive() {
    let url = "http://build-context-1";
    let build = Build::of("").option("context", url).option("filename", "ignored");
    build.file(url, "context", "FROM acme/base:1\n");
    let outcome = build.run();
    outcome.built();
    assert_eq!(outcome.request().frontend_opt["filename"], "context");
    assert!(outcome.pinned().contains("@sha256:"));

    let build = Build::of("").option("context", url);
    build.file(url, "context", b"\x1f\x8b\x08archive");
    build.file(url, "Dockerfile", "FROM acme/base:1\n");
    let outcome = build.run();
    outcome.built();
    let sources = crate::buildkit::audit::sources(&outcome.request().frontend_inputs["context"]).unwrap();
    assert_eq!(sources[0].identifier, url);
    // one operation, however often it is asked for: such a URL answers once
    let state = outcome.daemon.state();
    let operations: std::collections::BTreeSet<Vec<u8>> = state
        .solves
        .iter()
        .flat_map(|solve| std::iter::once(&solve.definition).chain(solve.frontend_inputs.get("context")))
        .filter_map(|definition| pb::Definition::decode(definition.as_slice()).ok())
        .flat_map(|definition| definition.def.into_iter().take(1))
        .filter(|op| {
            crate::buildkit::audit::sources(
                &pb::Definition { def: vec![op.clone()], ..pb::Definition::default() }.encode_to_vec(),
            )
            .is_err()
        })
        .filter(|op| op.windows(url.len()).any(|window| window == url.as_bytes()))
        .collect();
    assert_eq!(operations.len(), 1);
}

#[test]
fn inputs_are_audited_and_passed_on() {
    let with_input = |sources: &[&str]| {
        let build = Build::of("FROM acme/base:1\n").option("context:other", "input:other");
        build.daemon.state().inputs.insert("other".into(), graph(sources));
        build
    };
    let outcome = with_input(&[&base()]).run();
    outcome.built();
    assert!(outcome.request().frontend_inputs.contains_key("other"));
    with_input(&[BAIT]).run().refused_with("evil/bait:1");
    // what an ungated build found for a tag is no digest that somebody chose
    with_input(&[&format!("{BAIT}@{}", digest('b'))]).run().refused_with("evil/bait:1");
    let chosen = format!("docker-image://docker.io/evil/bait@{}", digest('b'));
    with_input(&[&chosen]).run().built();
    let stale = format!("docker-image://docker.io/acme/base:1@{}", digest('b'));
    let answer = graph(&[&stale]);
    with_input(&[&stale]).answering(move |_| Ok(single(&answer))).run().refused_with("acme/base:1");

    let build = Build::of("FROM evil/bait:1\n");
    let files: [(&str, &[u8]); 1] = [("Dockerfile", b"FROM acme/base:1\n")];
    let definition = crate::buildkit::llb::Graph::files(&files, "").definition();
    build.daemon.state().inputs.insert("dockerfile".into(), definition);
    build.run().built();
}
