//! The images that `make image` and `make server-image` build: what is in them, and that they run.

use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::image::{frontend_program, libraries, server_program};
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

#[test]
fn the_server_runs_in_a_container_as_nobody_and_ends_when_told() {
    let Some(lab) = lab() else { return };
    let program = server_program();
    if !libraries(&program).is_empty() {
        skip("a static trustgate-server, which `make test` builds,");
        return;
    }
    let name = "trustgate/server:1";
    let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/server-image"))
        .arg(program.parent().expect("a folder"))
        .arg(name)
        .env("DOCKER", format!("{}/bin/docker", lab.variable("LAB_DIR")))
        .env("DOCKER_BUILDKIT", "1")
        .output()
        .expect("scripts/server-image starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its number").port();
    let settings = folder.path().join("server.toml");
    std::fs::write(&settings, format!("listen = \"127.0.0.1:{port}\"\n")).expect("the settings");
    let engine = Engine::Bookworm;
    let mount = format!("{}:/etc/trustgate/server.toml:ro", settings.display());
    let container = engine.run(
        lab,
        &[
            "run",
            "--detach",
            "--network",
            "host",
            "--volume",
            &mount,
            name,
            "--config",
            "/etc/trustgate/server.toml",
        ],
    );
    let container = container.trim().lines().last().expect("an ID").to_owned();
    let authority = folder.path().join("ca.crt");
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let copied = Command::new(format!("{}/bin/docker", lab.variable("LAB_DIR")))
            .args(["cp", &format!("{container}:/var/lib/trustgate-server/ca.crt")])
            .arg(&authority)
            .output()
            .expect("docker starts");
        let answer = Command::new("curl")
            .args(["-sS", "--cacert"])
            .arg(&authority)
            .arg(format!("https://127.0.0.1:{port}/_notary_server/health"))
            .output()
            .expect("curl starts");
        if copied.status.success() && answer.status.success() {
            assert_eq!(String::from_utf8_lossy(&answer.stdout).trim(), "{}");
            break;
        }
        let logs = engine.run(lab, &["logs", &container]);
        assert!(Instant::now() < deadline, "it does not answer: {logs}");
    }
    engine.run(lab, &["stop", &container]);
    let ended = engine.run(lab, &["inspect", "--format", "{{.State.ExitCode}} {{.Config.User}}", &container]);
    assert_eq!(ended.trim(), "0 65532:65532");
    engine.run(lab, &["rm", "--volumes", &container]);
}

const ENGINES_OWN: [&str; 6] =
    [".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf"];
