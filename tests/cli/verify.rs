//! `trustgate verify` against a trust server.

use insta::assert_snapshot;

use crate::repositories::{acme, digest_of, repository, sign, until};
use crate::server::TrustServer;
use crate::support::Desk;

#[test]
fn signed_images_in_the_order_of_the_arguments() {
    let desk = Desk::at(&acme());
    assert_snapshot!("signed", desk.run("verify acme/tools acme/base:1.4 docker.io/acme/base:1.3"));
    // The second time the root is known, and nothing is said about it.
    assert_snapshot!("signed_again", desk.run("verify acme/tools acme/base:1.4 docker.io/acme/base:1.3"));
}

#[test]
fn everything_that_was_checked() {
    let desk = Desk::at(&acme());
    assert_snapshot!("json", desk.run("-q verify --output json acme/base:1.4 acme/tools"));
    assert_snapshot!("json_cached", desk.run("-q verify --output json acme/tools"));
}

#[test]
fn tags_that_are_not_signed() {
    let desk = Desk::at(&acme());
    assert_snapshot!("unsigned", desk.run("-q verify acme/base:2 acme/tools acme/nothing acme/base:1.5-rc"));
    assert_snapshot!(
        "unsigned_json",
        desk.run("-q verify --output json acme/base:2 acme/tools acme/nothing")
    );
}

#[test]
fn digests() {
    let desk = Desk::at(&acme());
    let signed = digest_of("docker.io/acme/base", "1.4");
    let other = digest_of("docker.io/acme/base", "1.3");
    let unknown = format!("sha256:{}", "0".repeat(64));
    assert_snapshot!("digest_signed", desk.run(&format!("-q verify acme/base@{signed}")));
    assert_snapshot!("digest_of_its_tag", desk.run(&format!("-q verify acme/base:1.4@{signed}")));
    assert_snapshot!("digest_of_another_tag", desk.run(&format!("-q verify acme/base:1.4@{other}")));
    assert_snapshot!("digest_unsigned", desk.run(&format!("-q verify acme/base@{unknown}")));
}

#[test]
fn metadata_that_expired() {
    let server = TrustServer::start();
    let mut base = repository("docker.io/acme/base");
    sign(&mut base, "1.4", &["targets"]);
    base.role("timestamp").set_expires(until("2026-01-02"));
    server.publish(&base.publish());
    assert_snapshot!("expired", Desk::at(&server).run("verify acme/base:1.4"));
}

#[test]
fn a_root_that_is_not_the_pinned_one() {
    let desk = Desk::at(&acme());
    desk.file(
        "trust.toml",
        format!(
            "version = 1\n[[repository]]\npattern = \"docker.io/acme/base\"\nroot-keys = [\"{}\"]\n",
            "0c".repeat(32)
        ),
    );
    assert_snapshot!("wrong_pin", desk.run("--policy trust.toml verify acme/base:1.4"));
    assert_snapshot!("no_pin", desk.run("--policy trust.toml verify acme/tools"));
}

#[test]
fn a_required_signer() {
    let desk = Desk::at(&acme());
    desk.file(
        "trust.toml",
        "version = 1\ntrust-on-first-use = true\n[[repository]]\npattern = \"docker.io/acme/base\"\n\
         signers = [\"bob\"]\ntrust-on-first-use = true\n",
    );
    assert_snapshot!(
        "required_signer",
        desk.run("-q --policy trust.toml verify acme/base:1.4 acme/base:1.3")
    );
}

#[test]
fn a_server_that_nobody_answers_for() {
    // Port 1 of loopback: nobody listens there.
    let desk = Desk::new();
    assert_snapshot!("unreachable", desk.run("--server https://127.0.0.1:1 verify acme/base:1.4"));
    assert_snapshot!("not_https", desk.run("--server http://127.0.0.1:1 verify acme/base:1.4"));
    assert_snapshot!("no_url", desk.run("--server notary verify acme/base:1.4"));
}

#[test]
fn a_server_whose_certificate_nobody_vouches_for() {
    let server = acme();
    let desk = Desk::at(&server);
    assert_snapshot!(
        "untrusted_certificate",
        desk.run(&format!("--config {} verify acme/base:1.4", "elsewhere"))
    );
}

#[test]
fn a_server_in_trouble() {
    let server = acme();
    let desk = Desk::at(&server);
    server.fail(500, "{}");
    assert_snapshot!("server_error", desk.run("verify acme/base:1.4"));
    server.fail(200, "<html>Sign in</html>");
    assert_snapshot!("server_html", desk.run("verify acme/base:1.4"));
}

#[test]
fn trust_data_of_yesterday() {
    let server = acme();
    let desk = Desk::at(&server);
    desk.run("verify acme/base:1.4");
    server.fail(503, "{}");
    assert_snapshot!("stale", desk.run("verify acme/base:1.4"));
    assert_snapshot!("stale_json", desk.run("-q verify --output json acme/base:1.4"));
    assert_snapshot!("stale_forbidden", desk.run("--require-fresh verify acme/base:1.4"));
}

#[test]
fn trust_disabled() {
    let server = acme();
    let desk = Desk::at(&server);
    assert_snapshot!(
        "disabled_by_flag",
        desk.run("-q --disable-content-trust verify acme/nothing acme/base:1.4")
    );
    assert_snapshot!(
        "disabled_json",
        desk.run("-q --disable-content-trust verify --output json acme/nothing")
    );
    assert_eq!(server.requests(), Vec::<String>::new());
    let desk = desk.with("DOCKER_CONTENT_TRUST", "0");
    assert_snapshot!("disabled_by_variable", desk.run("verify acme/nothing"));
    let flag = desk.run("-q --disable-content-trust=false verify acme/nothing");
    assert!(flag.starts_with("exit code: 1\n"), "{flag}");
}

#[test]
fn trust_that_may_not_be_disabled() {
    let desk = Desk::at(&acme());
    desk.file(
        "trust.toml",
        "version = 1\ntrust-on-first-use = true\n[disable]\nallowed-by = [\"build-arg\"]\n",
    );
    let words = "-q --policy trust.toml --disable-content-trust verify acme/base:1.4";
    assert_snapshot!("disable_forbidden", desk.run(words));
}

#[test]
fn repositories_that_the_policy_does_not_ask_about() {
    let desk = Desk::at(&acme());
    desk.file(
        "trust.toml",
        "version = 1\ntrust-on-first-use = true\n\
         [[repository]]\npattern = \"docker.io/acme/local-*\"\ntrust = \"disabled\"\n\
         [[repository]]\npattern = \"docker.io/acme/nothing\"\ntrust = \"audit\"\n",
    );
    assert_snapshot!("exempt_and_audit", desk.run("--policy trust.toml verify acme/local-x acme/nothing"));
}

#[test]
fn color_for_people() {
    let desk = Desk::at(&acme());
    assert_snapshot!("color", desk.run("-q --color always verify acme/nothing"));
}
