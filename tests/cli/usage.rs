//! Command lines that mean nothing, and the texts that explain those that do.

use insta::assert_snapshot;

use crate::support::Desk;

#[test]
fn help_of_the_program() {
    assert_snapshot!("help_short", Desk::new().run("-h"));
    assert_snapshot!("help_long", Desk::new().run("--help"));
}

#[test]
fn help_of_verify() {
    assert_snapshot!("help_verify_short", Desk::new().run("verify -h"));
    assert_snapshot!("help_verify_long", Desk::new().run("verify --help"));
}

#[test]
fn help_of_pin() {
    assert_snapshot!("help_pin_short", Desk::new().run("pin -h"));
    assert_snapshot!("help_pin_long", Desk::new().run("pin --help"));
}

#[test]
fn help_of_completion() {
    assert_snapshot!("help_completion", Desk::new().run("completion --help"));
}

#[test]
fn version() {
    assert_eq!(
        Desk::new().run("--version"),
        format!("exit code: 0\n----- stdout -----\ntrustgate {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn nothing_to_do() {
    assert_snapshot!("no_command", Desk::new().run(""));
}

#[test]
fn no_such_command() {
    assert_snapshot!("unknown_command", Desk::new().run("vrify alpine"));
}

#[test]
fn no_such_option() {
    assert_snapshot!("unknown_option", Desk::new().run("pin --chek"));
}

#[test]
fn verify_without_an_image() {
    assert_snapshot!("verify_nothing", Desk::new().run("verify"));
}

#[test]
fn a_word_that_is_no_reference() {
    assert_snapshot!("verify_bad_reference", Desk::new().run("verify acme/base Acme/Base:1"));
}

#[test]
fn an_escape_sequence_in_a_word_does_not_reach_the_terminal() {
    assert_snapshot!("verify_escape", Desk::new().run_words(["verify", "a\u{1b}[2Jb"]));
    assert_snapshot!("option_escape", Desk::new().run_words(["pin", "--\u{1b}[2Jb"]));
}

#[test]
fn a_switch_that_is_neither_true_nor_false() {
    assert_snapshot!("bad_switch", Desk::new().run("--disable-content-trust=maybe verify a"));
}

#[test]
fn a_build_argument_without_a_value() {
    assert_snapshot!("bad_build_arg", Desk::new().run("pin --build-arg VERSION"));
}

#[test]
fn a_platform_that_is_none() {
    assert_snapshot!("bad_platform", Desk::new().run("pin --platform linux"));
}

#[test]
fn checking_and_writing_at_once() {
    assert_snapshot!("check_and_write", Desk::new().run("pin --check --write"));
}

#[test]
fn standard_input_twice() {
    assert_snapshot!("stdin_twice", Desk::new().run("pin - -"));
}

#[test]
fn rewritten_text_and_json_on_one_stream() {
    assert_snapshot!("stdin_write_json", Desk::new().run("pin --write --output json -"));
}

#[test]
fn color_is_used_only_where_it_is_asked_for() {
    let plain = Desk::new().run("verify A");
    assert!(!plain.contains("[ESC]"), "{plain}");
    assert!(Desk::new().run("--color always verify A").contains("[ESC]"));
    let forced = Desk::new().with("CLICOLOR_FORCE", "1");
    assert!(forced.run("verify A").contains("[ESC]"));
    let refused = Desk::new().with("CLICOLOR_FORCE", "1").with("NO_COLOR", "1");
    assert_eq!(refused.run("verify A"), plain);
}
