//! `trustgate pin` against a trust server: diffs, checks, JSON, SARIF.

use insta::{assert_json_snapshot, assert_snapshot};
use serde_json::Value;

use crate::repositories::{acme, digest_of};
use crate::server::TrustServer;
use crate::support::Desk;

/// Every kind of place that names an image, and some that only look like one.
const EVERY_KIND: &str = "\
# syntax=acme/tools
FROM acme/base:1.4 AS build
COPY --from=acme/tools /bin/tool /bin/
RUN --mount=type=bind,from=acme/base:1.3,target=/m cat <<EOF
FROM acme/base:1.4
EOF
ONBUILD COPY --from=acme/tools / /
FROM scratch
COPY --from=0 /a /
COPY --from=build /b /
";

fn desk(server: &TrustServer, dockerfile: &str) -> Desk {
    let desk = Desk::at(server);
    desk.file("Dockerfile", dockerfile);
    desk
}

/// The text with each image that is written with its tag completed with its digest.
fn pinned(text: &str) -> String {
    let mut text = text.to_owned();
    for (image, gun, tag) in [
        ("acme/base:1.4", "docker.io/acme/base", "1.4"),
        ("acme/base:1.3", "docker.io/acme/base", "1.3"),
        ("acme/tools:latest", "docker.io/acme/tools", "latest"),
    ] {
        text = text.replace(image, &format!("{image}@{}", digest_of(gun, tag)));
    }
    text
}

#[test]
fn a_diff_and_nothing_written() {
    let desk = desk(&acme(), EVERY_KIND);
    assert_snapshot!("diff", desk.run("-q pin"));
    assert_eq!(desk.read("Dockerfile"), EVERY_KIND.as_bytes());
    assert_eq!(desk.names(), ["Dockerfile"]);
    assert_snapshot!("diff_talk", desk.run("pin"));
}

#[test]
fn the_diff_is_one_that_git_applies() {
    let desk = desk(&acme(), EVERY_KIND);
    let diff = desk.command(["-q", "pin"]).output().unwrap().stdout;
    desk.file("pins.diff", diff);
    let git =
        std::process::Command::new("git").args(["apply", "pins.diff"]).current_dir(desk.folder()).status();
    let Ok(status) = git else {
        eprintln!("skipped: there is no git here");
        return;
    };
    assert!(status.success());
    let check = desk.run("-q pin --check");
    assert!(check.starts_with("exit code: 0\n"), "{check}");
}

#[test]
fn written_once_and_not_again() {
    let desk = desk(&acme(), EVERY_KIND);
    assert_snapshot!("write", desk.run("pin --write"));
    let written = String::from_utf8(desk.read("Dockerfile")).unwrap();
    assert_snapshot!("written", written);
    assert_snapshot!("write_again", desk.run("pin --write"));
    assert_eq!(desk.read("Dockerfile"), written.as_bytes());
    assert_snapshot!("check_pinned", desk.run("pin --check"));
    assert_eq!(desk.run("-q pin"), "exit code: 0\n");
}

#[test]
fn what_a_check_finds() {
    let other = digest_of("docker.io/acme/base", "1.3");
    let dockerfile = format!(
        "FROM acme/base:1.4 AS one\nFROM acme/base:1.4@{other} AS two\nFROM acme/nothing AS three\n\
         FROM acme/base:2 AS four\nFROM acme/base@{other}\n"
    );
    let desk = desk(&acme(), &dockerfile);
    assert_snapshot!("check", desk.run("-q pin --check"));
    assert_snapshot!("check_unsigned_diff", desk.run("-q pin"));
    assert_snapshot!("check_unsigned_write", desk.run("pin --write"));
    assert_eq!(desk.read("Dockerfile"), dockerfile.as_bytes());
    assert_snapshot!("check_json", desk.run("-q pin --check --output json"));
}

#[test]
fn a_pin_that_is_no_longer_the_signed_one() {
    let other = digest_of("docker.io/acme/base", "1.3");
    let desk = desk(&acme(), &format!("FROM acme/base:1.4@{other}\n"));
    assert_snapshot!("stale", desk.run("-q pin"));
    desk.run("pin --write");
    assert_eq!(desk.read("Dockerfile"), pinned("FROM acme/base:1.4\n").as_bytes());
}

#[test]
fn findings_for_code_scanning() {
    let server = acme();
    let other = digest_of("docker.io/acme/base", "1.3");
    let dockerfile = format!("FROM acme/base:1.4 AS e\nFROM acme/base:1.4@{other}\nFROM acme/nothing\n");
    let desk = desk(&server, &dockerfile);
    let output = desk.command("-q pin --check --output sarif".split(' ')).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let mut log: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rules = log["runs"][0]["tool"]["driver"]["rules"].take();
    for result in log["runs"][0]["results"].as_array_mut().unwrap() {
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], result["ruleId"]);
        result["ruleIndex"] = Value::from("[INDEX]");
        let text = result["message"]["text"].as_str().unwrap().replace(&server.host(), "[SERVER]");
        result["message"]["text"] = Value::from(text);
    }
    assert_json_snapshot!("sarif", log);
}

#[test]
fn build_arguments_keep_working() {
    let dockerfile =
        "ARG BASE=acme/base:1.4\nARG VERSION=1.4\nFROM ${BASE} AS one\nFROM acme/base:${VERSION}\n";
    let desk = desk(&acme(), dockerfile);
    assert_snapshot!("arguments", desk.run("-q pin"));
    assert_snapshot!("arguments_given", desk.run("-q pin --build-arg VERSION=1.3"));
    assert_snapshot!("arguments_check", desk.run("-q pin --check"));
    assert_snapshot!("arguments_unsigned", desk.run("-q pin --build-arg BASE=acme/nothing:1"));
}

#[test]
fn composed_names() {
    let dockerfile =
        "ARG NAME=base\nARG VERSION=1.4\nFROM acme/${NAME}:${VERSION} AS one\nFROM acme/${NAME}:1.3\n";
    let desk = desk(&acme(), dockerfile);
    assert_snapshot!("composed", desk.run("-q pin"));
    desk.run("-q pin --write");
    for arguments in ["", " --build-arg VERSION=1.3", " --build-arg NAME=base --build-arg VERSION=1.4"] {
        let check = desk.run(&format!("-q pin --output json{arguments}"));
        assert!(check.starts_with("exit code: 0\n"), "{check}");
    }
    assert_eq!(desk.run("-q pin --check"), "exit code: 0\n");
}

#[test]
fn what_cannot_be_pinned_is_told_at_its_place() {
    let desk = desk(&acme(), "ARG VERSION\nFROM acme/base:${VERSION}\n");
    let words = "--build-arg VERSION=1.4";
    assert_snapshot!("unpinnable", desk.run(&format!("-q pin {words}")));
    assert_snapshot!("unpinnable_check", desk.run(&format!("-q pin --check {words}")));
    assert_snapshot!("unpinnable_write", desk.run(&format!("pin --write {words}")));
    assert_snapshot!("unpinnable_unset", desk.run("-q pin"));
}

#[test]
fn every_other_byte_stays() {
    let dockerfile = "\u{feff}# escape=`\r\nFROM `\r\n  # a comment\r\n  acme/base:1.4 `\r\n  AS build\r\n\r\n\
         RUN <<EOF\r\nFROM acme/base:1.4\r\n\tEOF\r\nEOF\r\n# FROM acme/base:1.4\r\nFROM   \"acme/base:1.3\"\r\n\
         COPY --from=build /a /b";
    let desk = desk(&acme(), dockerfile);
    assert_snapshot!("crlf", desk.run("-q pin"));
    desk.run("-q pin --write");
    let digest = |tag: &str| digest_of("docker.io/acme/base", tag);
    let expected = dockerfile
        .replacen("  acme/base:1.4 `", &format!("  acme/base:1.4@{} `", digest("1.4")), 1)
        .replacen("\"acme/base:1.3\"", &format!("\"acme/base:1.3@{}\"", digest("1.3")), 1);
    assert_eq!(String::from_utf8(desk.read("Dockerfile")).unwrap(), expected);
}

#[test]
fn standard_input() {
    let desk = Desk::at(&acme());
    assert_snapshot!("stdin_diff", desk.run_with_input("-q pin -", b"FROM acme/base:1.4\n"));
    assert_snapshot!("stdin_write", desk.run_with_input("-q pin --write -", b"FROM acme/base:1.4\nRUN x"));
    assert_snapshot!("stdin_refused", desk.run_with_input("-q pin --write -", b"FROM acme/nothing\n"));
    assert_snapshot!("stdin_check", desk.run_with_input("-q pin --check -", b"FROM acme/base:1.4\n"));
}

#[test]
fn several_files_ask_each_repository_once() {
    let server = acme();
    let desk = desk(&server, "FROM acme/base:1.4\n");
    desk.file("web/Dockerfile", "FROM acme/base:1.3\nCOPY --from=acme/tools /a /b\n");
    desk.file("bad/Dockerfile", "FROM acme/base:1.4\nRUNN x\n");
    assert_snapshot!("several", desk.run("-q pin Dockerfile web/Dockerfile bad/Dockerfile"));
    let requests = server.requests();
    let timestamps = requests.iter().filter(|request| request.ends_with("timestamp.json")).count();
    assert_eq!(timestamps, 2, "{requests:#?}");
}

#[test]
fn only_what_a_stage_needs() {
    let desk = desk(&acme(), "FROM acme/base:1.4 AS one\nFROM acme/nothing AS two\nFROM one AS three\n");
    assert_snapshot!("target", desk.run("-q pin --target three"));
    assert_snapshot!("no_target", desk.run("-q pin"));
    assert_snapshot!("unknown_target", desk.run("-q pin --target four"));
}

#[test]
fn platforms_decide_about_names() {
    let desk = desk(&acme(), "ARG TARGETARCH\nFROM acme/base:1.4\nFROM acme/${TARGETARCH}:1\n");
    assert_snapshot!("platform", desk.run("-q pin --check --platform linux/arm64"));
}

#[test]
fn trust_disabled() {
    let server = acme();
    let desk = desk(&server, "FROM acme/nothing\n");
    assert_snapshot!("disabled", desk.run("-q --disable-content-trust pin"));
    assert_snapshot!("disabled_check", desk.run("--disable-content-trust pin --check"));
    assert_snapshot!("disabled_build_arg", desk.run("pin --build-arg DOCKER_CONTENT_TRUST=0"));
    assert_eq!(server.requests(), Vec::<String>::new());
    desk.file("trust.toml", "version = 1\ntrust-on-first-use = true\n[disable]\nallowed-by = []\n");
    assert_snapshot!("disable_forbidden", desk.run("-q --policy trust.toml --disable-content-trust pin"));
    assert_snapshot!(
        "disable_forbidden_json",
        desk.run("-q --policy trust.toml --disable-content-trust pin --output json")
    );
}

#[test]
fn rules_of_the_policy() {
    let desk = desk(&acme(), "# syntax=docker/dockerfile:1\nFROM acme/local:dev\nFROM acme/base:1.4\n");
    desk.file(
        "trust.toml",
        "version = 1\ntrust-on-first-use = true\n[[repository]]\npattern = \"docker.io/acme/local\"\n\
         trust = \"disabled\"\n[syntax]\nbuiltin = [\"docker.io/docker/dockerfile\"]\n",
    );
    assert_snapshot!("policy", desk.run("--policy trust.toml pin --check"));
    assert_snapshot!("policy_json", desk.run("-q --policy trust.toml pin --output json"));
    desk.file("trust.toml", "version = 1\ntrust-on-first-use = true\n[syntax]\nimages = \"refuse\"\n");
    assert_snapshot!("policy_syntax_refused", desk.run("-q --policy trust.toml pin"));
}

#[test]
fn a_server_that_nobody_answers_for() {
    let desk = Desk::new();
    desk.file("Dockerfile", "FROM acme/base:1.4\n");
    assert_snapshot!("unreachable", desk.run("--server https://127.0.0.1:1 pin --check"));
}

#[test]
fn words_that_are_no_reference() {
    let desk = desk(&acme(), "FROM Acme/Base:1.4\nCOPY --from=a:b:c / /\n");
    assert_snapshot!("invalid_references", desk.run("-q pin"));
}

#[test]
fn a_diff_for_people() {
    let desk = desk(&acme(), "# \u{1b}[2J\nFROM acme/base:1.4\n");
    assert_snapshot!("color", desk.run("-q --color always pin"));
}

#[test]
fn a_reader_that_goes_away_changes_no_verdict() {
    let desk = desk(&acme(), "FROM acme/base:1.4\nFROM acme/nothing\n");
    let mut command = desk.command(["-q", "pin"]);
    let mut child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}
