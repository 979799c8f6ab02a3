//! What a build gives back beside its references: metadata and warnings.

use super::*;

fn metadata(outcome: &Outcome, key: &str) -> serde_json::Value {
    serde_json::from_slice(&outcome.built().metadata[key]).unwrap()
}

#[test]
fn pins_are_published_and_the_nested_metadata_stays() {
    let outcome = Build::of("FROM acme/base:1\n")
        .answering(|request| {
            let mut result = single(&graph_of(request));
            result.metadata.insert("containerimage.config".into(), b"{}".to_vec());
            Ok(result)
        })
        .run();
    let pins = metadata(&outcome, "frontend.trustgate.pins");
    assert_eq!(pins[0]["name"], "acme/base:1");
    assert_eq!(pins[0]["pinned"], format!("docker.io/acme/base:1@{}", digest('a')));
    assert_eq!(pins[0]["state"], "signed");
    assert_eq!(metadata(&outcome, "frontend.trustgate.trust")["enabled"], true);
    assert_eq!(outcome.built().metadata["containerimage.config"], b"{}");
}

#[test]
fn trust_is_disabled_by_option_and_says_so() {
    let policy = "[disable]\nallowed-by = [\"build-arg\"]\n";
    for (key, value) in [("build-arg:DOCKER_CONTENT_TRUST", "0"), ("disable-content-trust", "true")] {
        let outcome = Build::of("FROM evil/bait:1\n").option(key, value).run();
        assert_eq!(metadata(&outcome, "frontend.trustgate.trust")["enabled"], false);
        assert_eq!(metadata(&outcome, "frontend.trustgate.pins")[0]["state"], "disabled");
        assert_eq!(outcome.pinned(), "FROM evil/bait:1\n");
        let warnings = outcome.daemon.state().warnings.clone();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].short.starts_with(b"trust-disabled"));
        assert!(warnings[0].digest.starts_with("sha256:"));
    }
    Build::of("FROM evil/bait:1\n").policy(policy).option("disable-content-trust", "true").run().refused();
    Build::of("FROM evil/bait:1\n")
        .policy(policy)
        .option("build-arg:DOCKER_CONTENT_TRUST", "0")
        .run()
        .built();
}

#[test]
fn a_builder_without_warnings_shows_a_step() {
    let outcome =
        Build::on(Daemon::old(), "FROM evil/bait:1\n").option("build-arg:DOCKER_CONTENT_TRUST", "0").run();
    outcome.built();
    let state = outcome.daemon.state();
    let titles: Vec<String> = state
        .solves
        .iter()
        .filter_map(|solve| pb::Definition::decode(solve.definition.as_slice()).ok())
        .flat_map(|definition| definition.metadata.into_values())
        .filter_map(|metadata| metadata.description.get("llb.customname").cloned())
        .collect();
    assert!(
        titles.iter().any(|title| title.starts_with("[trustgate] warning: trust-disabled")),
        "{titles:?}"
    );
}

#[test]
fn an_exempt_image_enters_as_it_is_written() {
    let policy = "[[repository]]\npattern = \"docker.io/evil/bait\"\ntrust = \"disabled\"\n";
    let build = || {
        let build = Build::of("FROM evil/bait:1\n").policy(policy);
        build
            .daemon
            .state()
            .images
            .insert("docker.io/evil/bait:1".into(), (digest('b').to_string(), "{}".into()));
        build
    };
    let outcome = build().run();
    assert_eq!(metadata(&outcome, "frontend.trustgate.pins")[0]["state"], "exempt");
    assert_eq!(outcome.pinned(), "FROM evil/bait:1\n");
    // whatever digest the builder finds for that tag, and no other tag
    let resolved = format!("{BAIT}@{}", digest('b'));
    build().answering(move |_| Ok(single(&graph(&[&resolved])))).run().built();
    build().answering(|_| Ok(single(&graph(&["docker-image://docker.io/evil/bait:2"])))).run().refused();
}
