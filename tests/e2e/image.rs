//! The image that `make image` builds: what is in it, and what it tells an engine.

use std::process::Command;

use crate::support::image::{frontend_program, libraries};
use crate::support::{Engine, lab, skip};

#[test]
fn the_image_is_one_program_and_a_bundle_of_cas() {
    let Some(lab) = lab() else { return };
    let program = frontend_program();
    if !libraries(&program).is_empty() {
        skip("a static trustgate-frontend, which `make test` builds,");
        return;
    }
    let name = "trustgate/shipped:1";
    let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/image"))
        .arg(&program)
        .arg(name)
        .env("DOCKER", format!("{}/bin/docker", lab.variable("LAB_DIR")))
        .env("DOCKER_BUILDKIT", "1")
        .output()
        .expect("scripts/image starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("MB compressed"));

    let engine = Engine::Bookworm;
    let config = engine.run(lab, &["inspect", "--format", "{{json .Config}}", name]);
    let config: serde_json::Value = serde_json::from_str(&config).expect("JSON");
    assert_eq!(config["Entrypoint"], serde_json::json!(["/usr/bin/trustgate-frontend"]));
    assert_eq!(config["User"], "");
    let labels = &config["Labels"];
    assert_eq!(
        labels["moby.buildkit.frontend.network.none"],
        serde_json::Value::Null,
        "the trust server is asked"
    );
    let mut capabilities: Vec<&str> =
        labels["moby.buildkit.frontend.caps"].as_str().expect("a label").split(',').collect();
    capabilities.sort_unstable();
    let expected = [
        "moby.buildkit.frontend.contexts",
        "moby.buildkit.frontend.gitquerystring",
        "moby.buildkit.frontend.inputs",
        "moby.buildkit.frontend.subrequests",
    ];
    assert_eq!(capabilities, expected);

    // What an engine puts into every container is not the image's.
    let container = engine.run(lab, &["create", name]);
    let list = format!("{}/bin/docker export {} | tar -t", lab.variable("LAB_DIR"), container.trim());
    let list = Command::new("sh").args(["-c", &list]).output().expect("sh starts").stdout;
    engine.run(lab, &["rm", container.trim()]);
    let list = String::from_utf8(list).expect("names");
    let files: Vec<&str> = list
        .lines()
        .filter(|path| !path.ends_with('/') || *path == "etc/trustgate/")
        .filter(|path| !ENGINES_OWN.contains(path))
        .collect();
    assert_eq!(files, ["etc/ssl/certs/ca-certificates.crt", "etc/trustgate/", "usr/bin/trustgate-frontend"]);
}

const ENGINES_OWN: [&str; 6] =
    [".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf"];
