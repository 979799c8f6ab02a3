//! The commands that push, pull, sign, run and build, as far as they go without an engine or a registry.

use std::os::unix::fs::PermissionsExt as _;

use insta::assert_snapshot;

use crate::repositories::acme;
use crate::server::TrustServer;
use crate::support::Desk;

/// A desk with a `docker` that says what it was given.
fn desk_with_docker(server: &TrustServer) -> Desk {
    let desk = Desk::at(server);
    let script = "#!/bin/sh\n\
        [ \"$1 $2\" = 'run --help' ] && { echo '      --brand-new string   A flag'; exit 0; }\n\
        echo \"docker, with content trust $DOCKER_CONTENT_TRUST, BuildKit '$DOCKER_BUILDKIT':\"; printf '  %s\\n' \"$@\"\n\
        for word; do case $word in --file=*) echo 'Dockerfile:'; cat \"${word#--file=}\";; esac; done\n\
        exit 7\n";
    let path = desk.file("bin/docker", script);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let folder = path.parent().unwrap().display().to_string();
    desk.with("PATH", &format!("{folder}:/usr/bin:/bin"))
}

/// Paths below the system's folder for temporary files differ from run to run.
fn neutral(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("/trustgate-build-") {
        let start = before.rfind(['=', ' ', '\n']).map_or(0, |at| at + 1);
        shown.push_str(&before[..start]);
        shown.push_str("[TEMPORARY]");
        rest = after.split_once('/').map_or("", |(_, rest)| rest);
        shown.push('/');
    }
    shown + rest
}

#[test]
fn help_of_the_verbs() {
    for verb in ["build", "create", "inspect", "pull", "push", "revoke", "run", "sign", "status"] {
        assert_snapshot!(format!("help_{verb}"), Desk::new().run(&format!("{verb} --help")));
    }
}

#[test]
fn inspecting() {
    let server = acme();
    let desk = Desk::at(&server);
    assert_snapshot!("inspect", desk.run("inspect acme/base"));
    assert_snapshot!("inspect_tag", desk.run("inspect acme/base:1.4 acme/tools:none"));
    assert_snapshot!("inspect_pretty", desk.run("inspect --pretty acme/base"));
    assert_snapshot!("inspect_pretty_tag", desk.run("inspect --pretty acme/tools:none"));
    assert_snapshot!("inspect_nothing", desk.run("inspect acme/tools acme/nothing"));
    assert_snapshot!("inspect_usage", desk.run("inspect Acme"));
}

#[test]
fn standing() {
    let server = acme();
    let desk = Desk::at(&server);
    assert_snapshot!("status_nothing", desk.run("status"));
    desk.run("verify acme/tools");
    let text = desk.run("status");
    assert!(
        text.starts_with("exit code: 0\n----- stdout -----\ndocker.io/acme/tools (1 signed tag, "),
        "{text}"
    );
    let document = desk.run("status --output json acme/base");
    for member in
        ["\"role\": \"targets/releases\"", "\"can_sign\": false", "\"days_left\": ", "\"error\": null"]
    {
        assert!(document.contains(member), "{document}");
    }
    assert_snapshot!("status_usage", desk.run("status acme/base:1.4"));
    assert_snapshot!("status_time", desk.run("status --fail-within soon"));
    let gone = desk.with("DOCKER_CONTENT_TRUST_SERVER", "https://127.0.0.1:1");
    let text = gone.run("status acme/tools");
    assert!(
        text.starts_with("exit code: 3\n----- stdout -----\ndocker.io/acme/tools (1 signed tag, "),
        "{text}"
    );
    assert!(text.contains("error: "), "{text}");
}

#[test]
fn pulling_what_is_not_signed() {
    let server = acme();
    let desk = Desk::at(&server);
    assert_snapshot!("pull_default", desk.run("-q pull acme/base"));
    assert_snapshot!("pull_unsigned", desk.run("-q pull acme/base:1.5-rc"));
    assert_snapshot!("pull_nothing", desk.run("-q pull acme/nothing"));
    assert_snapshot!("pull_all_and_tag", desk.run("pull -a acme/base:1.4"));
    assert_snapshot!("pull_all_disabled", desk.run("--disable-content-trust pull -a acme/base"));
    assert_snapshot!("pull_platform", desk.run("pull --platform linux acme/base:1.4"));
    let desk = desk.with("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    assert_snapshot!("pull_no_engine", desk.run("-q pull acme/base:1.4"));
}

#[test]
fn pushing_what_cannot_be_pushed() {
    let desk = Desk::new().with("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    let digest = format!("acme/base@sha256:{}", "0".repeat(64));
    assert_snapshot!("push_digest", desk.run_words(["push", &digest]));
    assert_snapshot!("push_all_and_tag", desk.run("push -a acme/base:1.4"));
    assert_snapshot!("push_stage_itself", desk.run("push --stage 1.4 acme/base:1.4"));
    assert_snapshot!("push_stage_unsigned", desk.run("push --stage x acme/base"));
    assert_snapshot!("push_stage_no_tag", desk.run("push --stage a/b acme/base:1"));
    assert_snapshot!("push_no_engine", desk.run("push acme/base:1.4"));
    assert_snapshot!("push_no_passphrase_file", desk.run("push --passphrase-file none acme/base:1.4"));
    assert_snapshot!("push_no_descriptor", desk.run("push --passphrase-fd 99 acme/base:1.4"));
    let policy = "version = 1\ntrust-on-first-use = true\n[push]\nunsigned = \"refuse\"\n";
    desk.file("trust.toml", policy);
    assert_snapshot!("push_policy", desk.run("--policy trust.toml push acme/base"));
    desk.file("disable.toml", "version = 1\ntrust-on-first-use = true\n[disable]\nallowed-by = []\n");
    let words = "--policy disable.toml --disable-content-trust push acme/base:1";
    assert_snapshot!("push_disable_forbidden", desk.run(words));
}

#[test]
fn signing_and_revoking_what_cannot_be() {
    let desk = Desk::new();
    let digest = format!("acme/base@sha256:{}", "0".repeat(64));
    assert_snapshot!("sign_no_tag", desk.run("sign acme/base"));
    assert_snapshot!("sign_role", desk.run("sign --role timestamp 127.0.0.1:1/acme/base:1"));
    assert_snapshot!("sign_no_registry", desk.run("sign 127.0.0.1:1/acme/base:1"));
    assert_snapshot!("sign_insecure", desk.run("sign --insecure-registry a/b acme/base:1"));
    desk.file("partial.json", "no such thing");
    assert_snapshot!("sign_partial_there", desk.run("sign --partial partial.json acme/base:1"));
    assert_snapshot!("revoke_digest", desk.run_words(["revoke", &digest]));
    assert_snapshot!("revoke_no", desk.run_with_input("revoke acme/base", b"n\n"));
    assert_snapshot!("revoke_silence", desk.run("revoke acme/base"));
}

#[test]
fn running() {
    let server = acme();
    let desk = desk_with_docker(&server);
    let words = "-q run --rm -it -v /a:/b --brand-new x -hname acme/base:1.4 sh -c --rm";
    assert_snapshot!("run", desk.run(words));
    assert_snapshot!("run_unsigned", desk.run("-q run --rm acme/base:1.5-rc"));
    assert_snapshot!("run_unknown_flag", desk.run("run --never-heard-of x acme/base:1.4"));
    assert_snapshot!("run_no_image", desk.run("run --rm"));
    assert_snapshot!("run_disabled", desk.run("run --rm --disable-content-trust acme/nothing"));
    assert_snapshot!("create", desk.run("-q create --name a acme/base:1.4"));
    assert_snapshot!("create_unsigned", desk.run("-q create acme/nothing"));
    let id = "0".repeat(64);
    assert_snapshot!("create_id", desk.run_words(["create", "--name", "a", &id]));
    let policy = "version = 1\ntrust-on-first-use = true\n[run]\nlocal-images = \"refuse\"\n";
    desk.file("trust.toml", policy);
    assert_snapshot!("run_id_refused", desk.run_words(["--policy", "trust.toml", "run", &id]));
    assert_snapshot!(
        "run_no_docker",
        Desk::at(&server).with("PATH", "/nonexistent").run("run acme/base:1.4")
    );
}

#[test]
fn building() {
    let server = acme();
    let desk = desk_with_docker(&server);
    desk.file("app/Dockerfile", "ARG V=1.4\nFROM acme/base:${V} AS a\nCOPY --from=acme/tools / /\n");
    assert_snapshot!("build", neutral(&desk.run("-q build -t acme/app:2 --label a=b app")));
    desk.file("app/Dockerfile", "FROM acme/base:1.4 AS a\nFROM a\nCOPY --from=acme/nothing / /\n");
    assert_snapshot!("build_unsigned", neutral(&desk.run("-q build app")));
    assert_snapshot!("build_target", neutral(&desk.run("-q build --target a app")));
    assert_snapshot!("build_disabled", desk.run("build --disable-content-trust -f app/Dockerfile app"));
    assert_snapshot!("build_remote", desk.run("build https://example.com/acme/app.git"));
    assert_snapshot!("build_no_dockerfile", desk.run("build bin"));
    assert_snapshot!("build_unknown_flag", desk.run("build --brand-new=x app"));
    assert_snapshot!("build_no_context", desk.run("build -t acme/app:2"));
    assert_snapshot!("build_push_no_name", desk.run("build --push app"));
    assert_snapshot!("build_push_no_tag", desk.run("build --push -t acme/app app"));
    assert_snapshot!("build_push_output", desk.run("build --output type=registry,name=acme/app app"));
    assert_snapshot!("build_frontend_tag", desk.run("build --frontend acme/tools app"));
    let frontend = format!("acme/tools@sha256:{}", "0".repeat(64));
    assert_snapshot!("build_frontend", desk.run_words(["build", "--frontend", &frontend, "app"]));
    let input = neutral(&desk.run_with_input("-q build -", b"FROM acme/base:1.4\n"));
    assert_snapshot!("build_stdin", input);
}
