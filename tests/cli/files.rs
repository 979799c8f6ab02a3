//! Files that `pin` is given and can't use.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use insta::assert_snapshot;

use crate::support::Desk;

#[test]
fn no_dockerfile_here() {
    assert_snapshot!("no_dockerfile", Desk::new().run("pin"));
}

#[test]
fn a_file_that_is_not_there() {
    assert_snapshot!("missing_file", Desk::new().run("pin web/Dockerfile"));
}

#[test]
fn a_folder() {
    let desk = Desk::new();
    fs::create_dir(desk.path("web")).unwrap();
    assert_snapshot!("folder", desk.run("pin web"));
}

#[test]
fn an_empty_file() {
    let desk = Desk::new();
    desk.file("Dockerfile", "");
    assert_snapshot!("empty_file", desk.run("pin"));
    assert_snapshot!("empty_input", desk.run_with_input("pin -", b""));
}

#[test]
fn a_file_that_is_no_dockerfile() {
    let desk = Desk::new();
    desk.file("Dockerfile", "FROM acme/base:1.4\nCOPPY a b\n");
    assert_snapshot!("bad_dockerfile", desk.run("pin"));
    assert_snapshot!("bad_dockerfile_json", desk.run("pin --output json"));
    assert_snapshot!("bad_dockerfile_sarif", desk.run("pin --check --output sarif"));
}

#[test]
fn bytes_that_are_no_text() {
    let desk = Desk::new();
    desk.file("Dockerfile", b"FROM acme/base:1.4\nRUN echo \xff\xfe\n");
    assert_snapshot!("not_utf8", desk.run("pin"));
    desk.file("Dockerfile", b"FROM acme/base:1.4\0\n");
    assert_snapshot!("nul", desk.run("pin"));
}

#[test]
fn a_file_of_100_megabytes() {
    let desk = Desk::new();
    let file = fs::File::create(desk.path("Dockerfile")).unwrap();
    file.set_len(100_000_000).unwrap();
    assert_snapshot!("huge_file", desk.run("pin"));
}

#[test]
fn an_endless_file() {
    assert_snapshot!("endless_file", Desk::new().run("pin /dev/zero"));
}

#[test]
fn a_dockerfile_that_two_readers_read_in_two_ways() {
    let desk = Desk::new();
    desk.file("Dockerfile", "FROM scratch\nRUN x\rFROM acme/hidden:1\n");
    assert_snapshot!("second_opinion", desk.run("pin"));
}

#[test]
fn a_dockerfile_without_images() {
    let desk = Desk::new();
    desk.file("Dockerfile", "FROM scratch\nCOPY . /\n");
    assert_snapshot!("no_images", desk.run("pin"));
    assert_snapshot!("no_images_check_quiet", desk.run("-q pin --check"));
}

#[test]
fn a_policy_that_is_not_there() {
    assert_snapshot!("policy_missing", Desk::new().run("--policy trust.toml verify acme/base"));
}

#[test]
fn a_policy_that_is_none() {
    let desk = Desk::new();
    desk.file("trust.toml", "version = 1\nrequire-frsh = true\n");
    assert_snapshot!("policy_unknown_key", desk.run("--policy trust.toml verify acme/base"));
    desk.file("trust.toml", "version = 1\n[[repository\n");
    assert_snapshot!("policy_not_toml", desk.run("--policy trust.toml verify acme/base"));
    desk.file("trust.toml", "version = 7\n");
    assert_snapshot!("policy_version", desk.run("--policy trust.toml verify acme/base"));
}

#[test]
fn policies_of_the_environment() {
    let desk = Desk::new();
    desk.file("one.toml", "version = 1\n");
    desk.file("two.toml", "version = 1\ntrust = \"maybe\"\n");
    let desk = desk.with("TRUSTGATE_POLICY", "one.toml:two.toml");
    assert_snapshot!("policy_of_variable", desk.run("verify acme/base"));
    let desk = Desk::new();
    desk.file("home/.config/trustgate/policy.toml", "version = 1\nnonsense = 1\n");
    assert_snapshot!("policy_of_user", desk.run("verify acme/base"));
}

#[test]
fn a_policy_of_the_user_that_cannot_be_read() {
    let desk = Desk::new();
    // A link that leads nowhere: somebody meant to have a policy there.
    fs::create_dir_all(desk.path("home/.config/trustgate")).unwrap();
    std::os::unix::fs::symlink("/nonexistent", desk.path("home/.config/trustgate/policy.toml")).unwrap();
    assert_snapshot!("policy_dangling", desk.run("verify acme/base"));
}

#[test]
fn a_file_without_permission_to_read() {
    let desk = Desk::new();
    let path = desk.file("Dockerfile", "FROM scratch\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    // Root may read it all the same; there is nothing to compare then.
    if fs::read(&path).is_err() {
        assert_snapshot!("unreadable_file", desk.run("pin"));
    }
}
