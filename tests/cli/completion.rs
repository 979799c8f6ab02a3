//! Completion scripts: whole, and for the shells that people have.

use std::io::Read as _;
use std::process::Stdio;

use crate::support::Desk;

#[test]
fn each_shell_gets_a_script_that_knows_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = Desk::new().run(&format!("completion {shell}"));
        assert!(script.starts_with("exit code: 0\n"), "{shell}");
        for word in ["verify", "pin", "require-fresh", "build-arg"] {
            assert!(script.contains(word), "{shell} lacks {word}");
        }
    }
}

#[test]
fn a_shell_that_there_is_none_of() {
    insta::assert_snapshot!("unknown_shell", Desk::new().run("completion tcsh"));
}

/// The script is longer than what a pipe holds, so the program meets a closed pipe.
#[test]
fn a_reader_that_goes_away_is_no_error() {
    let desk = Desk::new();
    let mut command = desk.command(["completion", "powershell"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut talk = String::new();
    child.stderr.take().unwrap().read_to_string(&mut talk).unwrap();
    assert_eq!((child.wait().unwrap().code(), talk.as_str()), (Some(0), ""));
}
