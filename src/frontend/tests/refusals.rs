//! Refusals before anything runs, and what the user is told.

use super::*;

#[test]
fn an_unsigned_base_is_refused_with_its_line() {
    let outcome = Build::of("FROM acme/base:1 AS b\nFROM acme/other:2\nCOPY --from=b /x /\n").run();
    assert_eq!(outcome.nested(), []);
    let status = outcome.refused();
    assert!(status.message.contains("docker.io/acme/other:2"), "{}", status.message);
    assert!(status.message.contains("Dockerfile:2:6"), "{}", status.message);
    let detail: serde_json::Value = serde_json::from_slice(&status.details[0].value).unwrap();
    assert_eq!(detail["ranges"][0]["start"]["line"], 2);
    assert_eq!(detail["info"]["filename"], "Dockerfile");
}

#[test]
fn every_way_in_is_asked_about() {
    let refused = |build: Build| build.run().refused_with("evil/bait:1");
    refused(Build::of("FROM evil/bait:1\n"));
    refused(Build::of("FROM acme/base:1\nCOPY --from=evil/bait:1 /x /\n"));
    refused(Build::of("FROM acme/base:1\nRUN --mount=from=evil/bait:1,target=/x true\n"));
    refused(Build::of("ARG X=acme/base:1\nFROM $X\n").option("build-arg:X", "evil/bait:1"));
    refused(Build::of("FROM acme/base:1\n").option("context:any", "docker-image://evil/bait:1"));
    refused(Build::of("FROM acme/base:1\n").option("cache-from", "acme/base:1,evil/bait:1"));
    let imports = r#"[{"Type":"registry","Attrs":{"ref":"evil/bait:1"}}]"#;
    refused(Build::of("FROM acme/base:1\n").option("cache-imports", imports));
    refused(Build::of("FROM acme/base:1\n").option("attest:sbom", "generator=evil/bait:1"));
    refused(
        Build::of("FROM acme/base:1\n").option("build-arg:BUILDKIT_ATTEST_SBOM", "generator=evil/bait:1"),
    );
    refused(Build::of("# syntax=evil/bait:1\nFROM acme/base:1\n").option("source", "acme/gate:1"));
    refused(Build::of("FROM acme/base:1\n").option("build-arg:BUILDKIT_SYNTAX", "evil/bait:1 arguments"));
}

#[test]
fn what_cannot_be_verified_is_refused_by_its_name() {
    let refused = |key: &str, value: &str, text: &str| {
        Build::of("FROM acme/base:1\n").option(key, value).run().refused_with(text);
    };
    refused("context:base", &format!("oci-layout://x@{}", digest('a')), "oci-layout");
    refused("context:base", "oci-layout://x", "needs a digest");
    refused("context:base", "nonsense", "context:base");
    refused("context:base", "ftp://example.org/x", "context:base");
    refused("context:base", "input:missing", "no input");
    refused("context:trustgate", "docker-image://acme/base:1", "directory of the client");
    refused("cache-imports", r#"[{"Type":"gha","Attrs":{}}]"#, "gha");
    refused("cache-imports", r#"[{"Type":"new","Attrs":{}}]"#, "unknown type");
    refused("cache-imports", "nonsense", "cache-imports");
    refused("override-copy-image", "evil/bait:1", "override-copy-image");
    refused("build-arg:BUILDKIT_DISABLE_FILEOP", "1", "BUILDKIT_DISABLE_FILEOP");
    refused("image-from-the-future", "x", "image-from-the-future");
    refused("platform", "linux/", "platform");
    refused("context", "https://example.org/a.git?x=y", "query");
}

#[test]
fn a_dockerfile_that_is_none_is_shown() {
    let outcome = Build::of("FROM acme/base:1\nNONSENSE here\n").run();
    outcome.refused_with("Dockerfile:2");
    assert_eq!(outcome.nested(), []);
    Build::of("").run().refused_with("empty");
    let missing = Build::of("FROM scratch\n").option("filename", "elsewhere");
    missing.run().refused_with("failed to read dockerfile");
}

#[test]
fn triggers_of_a_base_are_ways_in() {
    let on_build = |trigger: &str| {
        let build = Build::of("FROM acme/base:1\n");
        let config = format!(r#"{{"config":{{"OnBuild":["{trigger}"]}}}}"#);
        let pinned = format!("docker.io/acme/base:1@{}", digest('a'));
        build.daemon.state().images.insert(pinned, (digest('a').to_string(), config));
        build
    };
    on_build("COPY --from=evil/bait:1 /x /").run().refused_with("evil/bait:1");
    on_build("RUN --mount=from=evil/bait:1,target=/x true").run().refused_with("evil/bait:1");
    let outcome = on_build("COPY --from=acme/extra:1 /x /").run();
    let pin = format!("docker-image://docker.io/acme/extra:1@{}", digest('e'));
    outcome.built();
    assert_eq!(outcome.request().frontend_opt["context:acme/extra:1"], pin);
    on_build("COPY . /").run().built();
    on_build("FROM evil/bait:1").run().refused();
}

#[test]
fn a_callers_policy_can_only_tighten() {
    let digest_only = format!("FROM acme/base@{}\n", digest('c'));
    let by_digest = || {
        let build = Build::of(&digest_only);
        let reference = format!("docker.io/acme/base@{}", digest('c'));
        build.daemon.state().images.insert(reference, (digest('c').to_string(), "{}".to_owned()));
        build
    };
    by_digest().run().built();
    let build = by_digest().option("context:trustgate", "local:policies");
    build.file("local://policies", "policy.toml", "version = 1\ndigest = \"signed\"\n");
    build.run().refused();
    let build = Build::of("FROM evil/bait:1\n").policy("").option("context:trustgate", "local:policies");
    build.file(
        "local://policies",
        "policy.toml",
        "version = 1\ntrust = \"disabled\"\ntrust-on-first-use = true\n",
    );
    build.run().refused_with("evil/bait:1");
    let build = Build::of("FROM scratch\n").option("context:trustgate", "local:policies");
    build.file("local://policies", "policy.toml", "version = 1\nnonsense = true\n");
    build.run().refused_with("policy");
    Build::of("FROM scratch\n")
        .option("context:trustgate", "local:policies")
        .run()
        .refused_with("policy.toml");
}

#[test]
fn a_frontend_of_the_users_own_is_verified_and_called_by_digest() {
    let build =
        Build::of("# syntax=acme/frontend:1 more words\nFROM acme/base:1\n").option("source", "acme/gate:1");
    let outcome = build.run();
    outcome.built();
    let request = outcome.request();
    assert_eq!(request.frontend, "gateway.v0");
    assert_eq!(request.frontend_opt["source"], format!("docker.io/acme/frontend:1@{}", digest('f')));
    assert_eq!(request.frontend_opt["cmdline"], "acme/frontend:1 more words");

    let replaced = Build::of("# syntax=acme/frontend:1\nFROM acme/base:1\n")
        .option("context:acme/frontend:1", "local:x");
    replaced.run().refused_with("would replace");
}

#[test]
fn a_frontend_may_read_what_is_no_dockerfile_but_bring_nothing_in() {
    let build = |sources: Vec<String>| {
        Build::of("// syntax=acme/frontend:1\nimage: evil/bait\n")
            .answering(move |_| Ok(single(&graph(&sources.iter().map(String::as_str).collect::<Vec<_>>()))))
            .run()
    };
    build(vec!["local://context".to_owned()]).built();
    build(vec![BAIT.to_owned()]).refused_with("evil/bait:1");
}
