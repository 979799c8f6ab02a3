//! Pushes that are killed, refused, or made at the same time as others: what is told, and that they can be
//! finished.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use trustgate::cli::Exit;

use crate::support::person::{Person, REPOSITORY_PASSPHRASE, ROOT_PASSPHRASE, Ran, with_passphrases};
use crate::support::{Engine, lab};

/// Killed at each place where somebody is asked; the same command then finishes.
#[test]
fn a_push_that_is_killed_finishes_when_it_is_run_again() {
    let Some(lab) = lab() else { return };
    for (case, questions) in [
        ("root", &["Enter passphrase for new offline key"][..]),
        ("repeat", &["Enter passphrase for new offline key", "Repeat passphrase for new offline key"]),
        (
            "tagging",
            &[
                "Enter passphrase for new offline key",
                "Repeat passphrase for new offline key",
                "Enter passphrase for new tagging key",
            ],
        ),
    ] {
        let publisher = Person::new(lab);
        let image = publisher.make(&format!("killed/{case}:1"));
        let mut session = publisher.at_terminal(&["push", &image]);
        let (last, answered) = questions.split_last().expect("a question");
        for question in answered {
            session.expect(question).answer(ROOT_PASSPHRASE);
        }
        session.expect(last);
        session.kill();
        let reader = Person::new(lab);
        reader.run(&["pull", &image]).expect(1, &["no trust data"]);
        let keys = publisher.key_count();
        publisher.run(&["push", &image]).expect(0, &["Successfully signed"]);
        // Keys that were made before are used.
        assert_eq!((publisher.key_count(), 2 - keys), (2, usize::from(case != "tagging") + 1), "{case}");
        reader.run(&["pull", &image]).expect(0, &[]);
        let again = publisher.run(&["push", &image]).expect(0, &["1: digest: sha256:"]);
        assert!(again.output.contains(&image), "{}", again.output);
    }
}

#[test]
fn what_goes_wrong_is_told_and_can_be_finished() {
    let Some(lab) = lab() else { return };
    let publisher = Person::new(lab);
    let image = publisher.make("faults/app:1");
    let name = image.trim_end_matches(":1").to_owned();
    publisher.run(&["push", &image]).expect(0, &[]);

    // Three wrong passphrases.
    let next = publisher.make("faults/app:2");
    let mut session = publisher.at_terminal(&["push", &next]);
    for _ in 0..3 {
        session.expect("Enter key passphrase for tagging key").answer("wrong passphrase");
    }
    let (text, code) = session.end();
    assert_eq!(code, Some(1), "{text}");
    assert_eq!(text.matches("Passphrase incorrect. Please retry.").count(), 2, "{text}");
    assert!(text.contains(&format!("{next} is pushed, and not signed: sha256:")), "{text}");
    let at = text.find("trustgate sign ").expect("the command that finishes");
    let command: String = text[at..].lines().next().expect("a line").trim().to_owned();
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    publisher.run(&words).expect(0, &[&format!("Successfully signed {next}")]);

    // Without a terminal and without a passphrase nobody waits.
    let third = publisher.make("faults/app:3");
    Ran::of(publisher.command(&["push", &third])).expect(3, &["DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE"]);
    let file = publisher.config().join("passphrase");
    std::fs::write(&file, format!("{REPOSITORY_PASSPHRASE}\n")).expect("a file");
    let file = file.to_str().expect("a path");
    Ran::of(publisher.command(&["push", "--passphrase-file", file, &third]))
        .expect(0, &["Successfully signed"]);
    let mut shell = Command::new("sh");
    let program = publisher.command(&["sign", "--passphrase-fd", "7", &third]);
    let words: Vec<String> = std::iter::once(program.get_program())
        .chain(program.get_args())
        .map(|it| format!("'{}'", it.to_string_lossy()))
        .collect();
    shell.args(["-c", &format!("{} 7<'{file}'", words.join(" "))]).env_clear();
    shell.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Ran::of(shell).expect(0, &[&third]);

    // A key that others can read, and one that is damaged.
    let keys = publisher.config().join("trust/private");
    let chmod = |mode: u32| {
        for entry in std::fs::read_dir(&keys).expect("keys") {
            let path = entry.expect("an entry").path();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
        }
    };
    let fourth = publisher.make("faults/app:4");
    chmod(0o644);
    publisher.run(&["push", &fourth]).expect(0, &["warning: `", "others", "Successfully signed"]);
    chmod(0o600);
    let fourth = publisher.make("faults/app:damaged");
    let backup = tempfile::tempdir().expect("a folder");
    let mut damaged = Vec::new();
    for entry in std::fs::read_dir(&keys).expect("keys") {
        let path = entry.expect("an entry").path();
        let copy = backup.path().join(path.file_name().expect("a name"));
        std::fs::copy(&path, &copy).expect("a backup");
        let text = std::fs::read_to_string(&path).expect("a key");
        std::fs::write(&path, &text[..text.len() / 2]).expect("half a key");
        damaged.push((copy, path));
    }
    let ran = publisher.run(&["push", &fourth]);
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert!(ran.talk.contains("is pushed, and not signed"), "{}", ran.talk);
    for (copy, path) in damaged {
        std::fs::copy(copy, path).expect("restored");
    }
    publisher.run(&["push", &fourth]).expect(0, &["Successfully signed"]);

    // The registry is not there; the trust server is not there.
    let nowhere = "127.0.0.1:1/faults/app:1";
    Engine::Bookworm.run(lab, &["tag", &image, nowhere]);
    let ran = publisher.run(&["push", nowhere]);
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert!(!ran.output.contains("Signing"), "{}", ran.output);
    let fifth = publisher.make("faults/app:5");
    let publisher = publisher.at_server("https://127.0.0.1:1");
    publisher
        .run(&["push", &fifth])
        .expect(3, &["is pushed, and not signed", &format!("trustgate sign {fifth}@sha256:")]);
    let publisher = publisher.at_server(lab.trust_server());
    publisher.run(&["push", &fifth]).expect(0, &["Successfully signed"]);

    // No engine.
    let mut command = with_passphrases(publisher.command(&["push", &fifth]));
    command.env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    Ran::of(command).expect(3, &["/nonexistent/docker.sock"]);
    assert_eq!(
        publisher.run(&["inspect", &name]).expect(0, &[]).json()[0]["SignedTags"].as_array().map(Vec::len),
        Some(6)
    );
}

#[test]
fn a_trust_folder_that_cannot_be_written() {
    let Some(lab) = lab() else { return };
    let publisher = Person::new(lab);
    let image = publisher.make("readonly/app:1");
    // A file where the folder should be: a mode would not stop root, who runs these tests in containers.
    let folder = publisher.config().join("trust");
    std::fs::write(&folder, "not a folder").expect("a file");
    let ran = publisher.run(&["push", &image]);
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert!(ran.talk.contains("is pushed, and not signed"), "{}", ran.talk);
    std::fs::remove_file(&folder).expect("it goes");
    publisher.run(&["push", &image]).expect(0, &["Successfully signed"]);
}

/// The machine's clock is wrong: the same command works when it is right again.
#[test]
fn a_clock_that_is_far_off_harms_nothing() {
    let Some(lab) = lab() else { return };
    let publisher = Person::new(lab);
    let image = publisher.make("clock/app:1");
    let at = |hours: i64, words: &[&str]| {
        let clock = move || jiff::Timestamp::now() + jiff::SignedDuration::from_hours(hours);
        let words = ["trustgate", "--quiet"].iter().chain(words).map(std::ffi::OsString::from);
        trustgate::cli::run(words, &publisher.environment(std::sync::Arc::new(clock)))
    };
    assert_eq!(at(1, &["push", &image]), Exit::Done, "an hour ahead");
    assert_eq!(at(0, &["pull", &image]), Exit::Done);
    let next = publisher.make("clock/app:2");
    assert_eq!(at(-1, &["push", &next]), Exit::Done, "an hour behind");
    assert_eq!(at(0, &["pull", &next]), Exit::Done);
    let last = publisher.make("clock/app:3");
    let ten_years = 24 * 3_700;
    assert_eq!(at(ten_years, &["pull", &next]), Exit::Refused, "all has expired by then");
    assert_ne!(at(ten_years, &["push", &last]), Exit::Done);
    assert_ne!(at(-ten_years, &["push", &last]), Exit::Done, "no certificate is valid yet");
    assert_eq!(at(0, &["push", &last]), Exit::Done);
    let reader = Person::new(lab);
    for image in [&image, &next, &last] {
        reader.docker(Engine::Bookworm, &["pull", image]).expect(0, &[]);
    }
}

/// Eight jobs of a pipeline push to one repository at the same moment; none has to be run again.
#[test]
fn pushes_at_once_all_succeed() {
    let Some(lab) = lab() else { return };
    let publisher = Person::new(lab);
    let first = publisher.make("at-once/app:0");
    let name = first.trim_end_matches(":0");
    publisher.run(&["push", &first]).expect(0, &[]);
    let tags: Vec<String> = (1..=8).map(|number| format!("{name}:{number}")).collect();
    for tag in &tags {
        Engine::Bookworm.run(lab, &["tag", &first, tag]);
    }
    let publisher = &publisher;
    std::thread::scope(|scope| {
        for tag in &tags {
            scope.spawn(move || {
                publisher.run(&["push", tag]).expect(0, &[&format!("Successfully signed {tag}")])
            });
        }
    });
    let answer = Person::new(lab).run(&["inspect", name]).expect(0, &[]).json();
    assert_eq!(answer[0]["SignedTags"].as_array().map(Vec::len), Some(9), "{answer}");
}
