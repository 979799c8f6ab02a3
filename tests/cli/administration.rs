//! `trustgate signer` and `trustgate repo`, as far as they need no trust server: what is wrong with a command
//! line is told before anything is asked.

use insta::assert_snapshot;

use crate::support::Desk;

/// A desk with a public key, whose trust server does not answer.
fn desk() -> Desk {
    let desk = Desk::new()
        .with("DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE", "root passphrase")
        .with("DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE", "repository passphrase")
        .with("DOCKER_CONTENT_TRUST_SERVER", "https://127.0.0.1:1");
    assert!(desk.run("key generate alice --private-key alice.key").starts_with("exit code: 0\n"));
    desk
}

fn commands(desk: &Desk, words: &str) -> String {
    desk.run(words).split("\nOptions").next().unwrap().to_owned()
}

#[test]
fn help_of_signer_and_repo() {
    assert_snapshot!("help_signer", commands(&Desk::new(), "signer -h"));
    assert_snapshot!("help_repo", commands(&Desk::new(), "repo -h"));
    assert_snapshot!("help_repo_stage", commands(&Desk::new(), "repo stage -h"));
}

#[test]
fn what_cannot_be_meant_is_said_before_anything_is_asked() {
    let desk = desk();
    desk.file("text", "hello\n");
    let pem = "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n";
    desk.file("broken.pub", pem);
    desk.file("huge.pub", vec![b'-'; 1 << 20]);
    for (words, code, says) in [
        ("signer add alice acme/base", 2, "--key <FILE>"),
        ("signer add --key alice.pub alice", 2, "<REPOSITORY>"),
        ("signer add --key alice.pub Alice acme/base", 2, "`Alice` can't be a signer's name"),
        ("signer add --key alice.pub releases acme/base", 2, "a role is called so"),
        ("signer add --key alice.pub targets/ acme/base", 2, "can't be a delegation's name"),
        ("signer add --key alice.pub targets/../root acme/base", 2, "can't be a delegation's name"),
        ("signer add --key alice.pub alice acme/base:1", 2, "where a repository is wanted"),
        ("signer add --key alice.pub alice acme/base ACME", 2, "is not an image reference"),
        ("signer add --key alice.key alice acme/base", 3, "holds a private key"),
        ("signer add --key text alice acme/base", 3, "holds no public key"),
        ("signer add --key broken.pub alice acme/base", 3, "not a DER public key"),
        ("signer add --key huge.pub alice acme/base", 3, "larger than"),
        ("signer add --key missing alice acme/base", 3, "No such file"),
        ("signer add --key . alice acme/base", 3, "a folder"),
        ("signer purge acme/base", 2, "--key <ID>"),
        ("repo init acme/base:1", 2, "where a repository is wanted"),
        ("repo init --root-key 0123 acme/base", 2, "`0123` is no key ID"),
        ("repo init --root-key 0123456 acme/base", 3, "there is no key 0123456"),
        ("repo init --root-certificate missing acme/base", 3, "No such file"),
        ("repo threshold acme/base targets 0", 2, "0 is not in 1.."),
        ("repo threshold acme/base targets two", 2, "invalid value"),
        ("repo threshold acme/base Targets 2", 2, "can't be a signer's name"),
        ("repo refresh", 2, "<NAME>"),
        ("repo refresh --all acme/base", 2, "cannot be used with"),
        ("repo refresh --within 3 acme/base", 2, "write a number and a unit"),
        ("repo publish acme/base missing", 3, "missing"),
        ("repo stage add acme/base 1.4", 2, "--file <FILE>"),
        ("repo stage add acme/base 1.4 --digest sha256:12 --size 1", 2, "invalid value"),
        ("repo stage add acme/base 1.4 --file text --role root", 2, "`root` signs no tags"),
        ("repo stage add acme/base 1.4 --file missing", 3, "No such file"),
        ("repo stage witness acme/base snapshot", 2, "`snapshot` signs no tags"),
        ("repo reset acme/base --number 7", 2, "no change of `acme/base` has the number 7"),
        ("key rotate acme/base alice", 2, "`alice` has no key to rotate"),
        ("key rotate acme/base targets --server-managed", 2, "can't keep the targets key"),
        ("key rotate acme/base timestamp --key alice.key", 2, "the trust server's alone"),
        ("key rotate acme/base targets --legacy 2", 2, "about root keys only"),
        ("key rotate acme/base targets --key 0123456", 3, "there is no key 0123456"),
    ] {
        let report = desk.run(words);
        assert!(
            report.starts_with(&format!("exit code: {code}\n")) && report.contains(says),
            "{words}:\n{report}"
        );
        assert!(!report.contains("127.0.0.1:1"), "the server was asked: {words}:\n{report}");
    }
    let report = desk.run_words(["repo", "stage", "add", "acme/base", "a\u{1b}[2J", "--file", "text"]);
    assert!(report.contains(r"`a\u{1b}[2J` can't be signed"), "{report}");
}

#[test]
fn a_server_that_does_not_answer() {
    let desk = desk();
    for words in [
        "signer add --key alice.pub alice acme/base",
        "signer add --key alice.pub targets/team acme/base",
        "signer remove alice acme/base",
        "signer purge --key 0123456789 acme/base",
        "signer list acme/base",
        "repo init acme/base",
        "repo status acme/base",
        "repo refresh acme/base",
        "repo threshold acme/base targets 2",
        "repo delete --yes --remote acme/base",
        "key rotate --yes acme/base root",
    ] {
        let report = desk.run(words);
        assert!(report.starts_with("exit code: 3\n") && report.contains("127.0.0.1:1"), "{words}:\n{report}");
        assert!(!report.contains("Success"), "{words}:\n{report}");
    }
    let report = desk.run("signer list acme/base acme/tools --output json");
    assert!(report.starts_with("exit code: 3\n----- stdout -----\n[]\n"), "{report}");
    assert!(report.ends_with("no answer for: docker.io/acme/base, docker.io/acme/tools\n"), "{report}");
}

#[test]
fn staging_needs_no_server() {
    let desk = desk();
    desk.file("content", "content");
    assert_snapshot!(desk.run("repo staged acme/base"), @"
    exit code: 0
    ----- stdout -----
    No unpublished changes for docker.io/acme/base
    ");
    assert_snapshot!(desk.run("repo stage add acme/base 1.4 --file content"), @"
    exit code: 0
    ----- stdout -----
    Staged for acme/base: create target 1.4 in targets
    ----- stderr -----
    publish it: trustgate repo publish acme/base
    ");
    desk.run("repo stage remove acme/base 1.3 --role alice --role releases");
    desk.run("repo stage witness acme/base targets");
    assert_snapshot!(desk.run("repo staged acme/base"), @"
    exit code: 0
    ----- stdout -----
    Unpublished changes for docker.io/acme/base:
    #         ACTION    SCOPE              TYPE      PATH
    0         create    targets            target    1.4
    1         delete    targets/alice      target    1.3
    2         delete    targets/releases   target    1.3
    3         update    targets            witness
    ");
    assert_snapshot!(desk.run("repo reset acme/base -n 1 -n 3"), @"
    exit code: 0
    ----- stdout -----
    Successfully reset 2 of 4 changes for acme/base
    ");
    assert_snapshot!(desk.run("repo reset acme/base"), @"
    exit code: 1
    ----- stderr -----
    Forget all 2 staged changes of acme/base? [y/N] 
    error: what is staged for `acme/base` stays
      = help: forget all of it without a question: --all
    ");
    let report = desk.run_with_input("repo reset acme/base", b"y\n");
    assert!(report.contains("Successfully reset 2 of 2 changes"), "{report}");
    assert_snapshot!(desk.run("repo staged acme/base --output json"), @r#"
    exit code: 0
    ----- stdout -----
    {
      "repository": "docker.io/acme/base",
      "staged": []
    }
    "#);
}

#[test]
fn nothing_is_known_of_any_repository() {
    let desk = desk();
    assert_snapshot!(desk.run("repo list"), @"
    exit code: 0
    ----- stderr -----
    No repository is known here
    ");
    assert_snapshot!(desk.run("repo refresh --all --output json"), @"
    exit code: 0
    ----- stdout -----
    []
    ");
    assert_snapshot!(desk.run("repo delete --yes acme/base"), @"
    exit code: 0
    ----- stderr -----
    this machine has no trust data of acme/base
    ");
    assert_snapshot!(desk.run("repo delete acme/base"), @"
    exit code: 1
    ----- stderr -----
    Delete all trust data of acme/base from this machine? Its root will be trusted anew, on first use, unless a policy pins it. [y/N] 
    error: the trust data of `acme/base` stays
      = help: delete it without a question: --yes
    ");
}
