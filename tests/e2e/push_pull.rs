//! What docs/first-push.md promises: pushing, signing and pulling, by people at terminals and by scripts,
//! with docker and notary on the same keys and the same trust server.

use std::process::Command;

use crate::support::person::{Person, REPOSITORY_PASSPHRASE, ROOT_PASSPHRASE, Ran};
use crate::support::{Engine, lab};

/// The transcripts that content trust was announced with, prompt by prompt.
#[test]
fn a_first_push_and_a_second_repository() {
    let Some(lab) = lab() else { return };
    let publisher = Person::new(lab);
    let first = publisher.make("first/trusttest:latest");
    let gun = first.trim_end_matches(":latest");
    let mut session = publisher.at_terminal(&["push", &first]);
    session
        .expect(&format!("The push refers to repository [{gun}]"))
        .expect("latest: digest: sha256:")
        .expect("size: ")
        .expect("Signing and pushing trust metadata")
        .expect("You are about to create a new offline signing key passphrase. This passphrase")
        .expect("way to recover this key. You can find the key in your config directory.")
        .expect("Enter passphrase for new offline key with id ")
        .answer("short")
        .expect("Passphrase is too short.")
        .expect("Enter passphrase for new offline key with id ")
        .answer(ROOT_PASSPHRASE)
        .expect("Repeat passphrase for new offline key with id ")
        .answer(ROOT_PASSPHRASE)
        .expect(&format!("Enter passphrase for new tagging key with id {gun} ("))
        .answer(REPOSITORY_PASSPHRASE)
        .expect(&format!("Repeat passphrase for new tagging key with id {gun} ("))
        .answer(REPOSITORY_PASSPHRASE)
        .expect(&format!("Finished initializing \"{gun}\""))
        .expect(&format!("Successfully signed {gun}:latest"));
    let (text, code) = session.end();
    assert_eq!(code, Some(0), "{text}");
    for secret in [ROOT_PASSPHRASE, REPOSITORY_PASSPHRASE] {
        assert!(!text.contains(secret), "{text}");
    }
    assert_eq!(publisher.key_count(), 2);

    let second = publisher.make("first/seaside:latest");
    let gun = second.trim_end_matches(":latest");
    let mut session = publisher.at_terminal(&["push", &second]);
    session
        .expect("Signing and pushing trust metadata")
        .expect("Enter key passphrase for offline key with id ")
        .answer(ROOT_PASSPHRASE)
        .expect(&format!("Enter passphrase for new tagging key with id {gun} ("))
        .answer(REPOSITORY_PASSPHRASE)
        .expect(&format!("Repeat passphrase for new tagging key with id {gun} ("))
        .answer(REPOSITORY_PASSPHRASE)
        .expect(&format!("Finished initializing \"{gun}\""));
    let (text, code) = session.end();
    assert_eq!(code, Some(0), "{text}");
    assert!(!text.contains("You are about to create"), "{text}");
    assert_eq!(publisher.key_count(), 3);

    // Docker's clients and notary read both.
    let reader = Person::new(lab);
    for (engine, name) in [(Engine::Bookworm, &first), (Engine::Trixie, &second)] {
        reader.docker(engine, &["pull", name]).expect(0, &[]);
        reader.docker(engine, &["trust", "inspect", name]).expect(0, &["\"SignedTag\": \"latest\""]);
    }
    publisher.notary(&["list", gun]).expect(0, &["latest"]);
    // The next tag of a repository that is there asks for the tagging key only.
    let next = publisher.make("first/seaside:2.0");
    let mut session = publisher.at_terminal(&["push", &next]);
    session
        .expect(&format!("Enter key passphrase for tagging key with id {gun} ("))
        .answer(REPOSITORY_PASSPHRASE);
    let (text, code) = session.end();
    assert_eq!((code, text.contains("offline")), (Some(0), false), "{text}");
}

#[test]
fn a_push_that_names_no_tag_signs_nothing() {
    let Some(lab) = lab() else { return };
    let publisher = Person::new(lab);
    let image = publisher.make("untagged/app:latest");
    let name = image.trim_end_matches(":latest");
    let ran = publisher.run(&["push", name]).expect(
        0,
        &[
            "Using default tag: latest",
            "latest: digest: sha256:",
            "No tag specified, skipping trust metadata push",
            &format!("trustgate sign {name}:latest@sha256:"),
        ],
    );
    assert_eq!(publisher.key_count(), 0);
    Person::new(lab).run(&["pull", name]).expect(1, &["Using default tag: latest", "is not signed"]);
    // What it says how to do, does it.
    let command =
        ran.talk.lines().find_map(|line| line.trim().strip_prefix("trustgate ")).expect("a command");
    let words: Vec<&str> = command.split(' ').collect();
    publisher.run(&words).expect(0, &[&format!("Successfully signed {name}:latest")]);
    Person::new(lab).run(&["pull", name]).expect(0, &["Pull (1 of 1)"]);

    // All tags; none with a policy that wants signatures.
    publisher.make("untagged/app:2");
    publisher.run(&["push", "--all-tags", name]).expect(0, &["skipping trust metadata push", ":2@sha256:"]);
    let policy = publisher.config().join("policy.toml");
    let text = "version = 1\ntrust-on-first-use = true\n[push]\nunsigned = \"refuse\"\n";
    std::fs::write(&policy, text).expect("a policy");
    let policy = policy.to_str().expect("a path");
    for words in [&["push", name][..], &["push", "-a", name], &["--disable-content-trust", "push", &image]] {
        let words: Vec<&str> = ["--policy", policy].iter().chain(words).copied().collect();
        publisher.run(&words).expect(1, &["may not be pushed without a signature", "push.unsigned"]);
    }
    let words = ["--disable-content-trust", "push", &image];
    let ran = publisher.run(&words).expect(0, &["latest: digest: sha256:"]);
    assert!(!ran.output.contains("Signing"), "{}", ran.output);
}

#[test]
fn only_signed_tags_are_pulled() {
    let Some(lab) = lab() else { return };
    let publisher = Person::new(lab);
    let signed = publisher.make("pulled/app:1.9");
    let name = signed.trim_end_matches(":1.9");
    for tag in ["1.9", "1.10", "latest"] {
        publisher.make(&format!("pulled/app:{tag}"));
        publisher.run(&["push", &format!("{name}:{tag}")]).expect(0, &["Successfully signed"]);
    }
    let unsigned = publisher.make("pulled/app:unsigned");
    publisher.run(&["--disable-content-trust", "push", &unsigned]).expect(0, &[]);

    let reader = Person::new(lab);
    let ran = reader.run(&["pull", "--all-tags", name]).expect(0, &[]);
    let order: Vec<usize> = ["Pull (1 of 3): ", "Pull (2 of 3): ", "Pull (3 of 3): "]
        .iter()
        .zip(["1.9", "1.10", "latest"])
        .map(|(number, tag)| ran.output.find(&format!("{number}{name}:{tag}@sha256:")).expect("a line"))
        .collect();
    assert!(order.is_sorted(), "{}", ran.output);
    let ran = reader.run(&["pull", name]);
    let ran = ran.expect(0, &["Using default tag: latest", &format!("Pull (1 of 1): {name}:latest@sha256:")]);
    assert!(ran.talk.contains(&format!("Tagging {name}@sha256:")), "{}", ran.talk);
    assert!(ran.talk.contains(&format!(" as {name}:latest")), "{}", ran.talk);
    let talk = ["is not signed", "signed tags: 1.10, 1.9, latest"];
    let ran = reader.run(&["pull", &unsigned]).expect(1, &talk);
    assert!(!ran.output.contains("Pull ("), "{}", ran.output);

    // A digest passes, unless the policy wants it signed.
    let digest = unsigned_digest(lab, &unsigned);
    let by_digest = format!("{name}@{digest}");
    reader.run(&["pull", &by_digest]).expect(0, &[&by_digest]);
    let policy = reader.config().join("policy.toml");
    std::fs::write(&policy, "version = 1\ntrust-on-first-use = true\ndigest = \"signed\"\n")
        .expect("a policy");
    let policy = policy.to_str().expect("a path");
    reader.run(&["--policy", policy, "pull", &by_digest]).expect(1, &["unsigned-digest"]);

    let answer = reader.run(&["pull", "--output", "json", name]).expect(0, &[]).json();
    assert_eq!(answer[0]["decision"], "signed");
    assert_eq!(answer[0]["image"], format!("{name}:latest"));
    let nothing = format!("{}/pulled/nothing", lab.registry());
    reader.run(&["pull", &nothing]).expect(1, &["no trust data"]);
    reader.run(&["pull", "-a", &nothing]).expect(1, &["no trust data"]);
    reader.run(&["--disable-content-trust", "pull", &unsigned]).expect(0, &[]);
}

/// What the registry has under this tag.
fn unsigned_digest(lab: &crate::support::Lab, image: &str) -> String {
    let text = Engine::Bookworm.run(lab, &["image", "inspect", "--format", "{{json .RepoDigests}}", image]);
    let digests: Vec<String> = serde_json::from_str(text.trim()).expect("digests");
    digests[0].split_once('@').expect("a digest").1.to_owned()
}

/// The first to sign is docker; keys, cache and repository are then handed back and forth.
#[test]
fn one_repository_of_docker_and_trustgate() {
    let Some(lab) = lab() else { return };
    let publisher = Person::new(lab);
    let first = publisher.make("shared/app:1");
    let name = first.trim_end_matches(":1");
    publisher.docker(Engine::Bookworm, &["push", &first]).expect(0, &["Successfully signed"]);
    let second = publisher.make("shared/app:2");
    publisher.run(&["push", &second]).expect(0, &[&format!("Successfully signed {name}:2")]);
    let third = publisher.make("shared/app:3");
    publisher.docker(Engine::Bookworm, &["push", &third]).expect(0, &["Successfully signed"]);
    assert_eq!(publisher.key_count(), 2);

    // The same JSON, and the same tables, with ours behind them.
    for image in [name, &second] {
        let theirs = publisher.docker(Engine::Bookworm, &["trust", "inspect", image]).expect(0, &[]);
        let ours = publisher.run(&["inspect", image]).expect(0, &[]);
        let theirs_start = theirs.output.trim_end().strip_suffix("\n    }\n]").expect("docker's JSON");
        assert!(ours.output.starts_with(theirs_start), "{}\n{}", ours.output, theirs.output);
        let ours = ours.json();
        assert_eq!(ours[0]["Roles"][1]["Name"], "targets");
        assert!(ours[0]["Roles"][1]["Expires"].is_string());
        let theirs =
            publisher.docker(Engine::Bookworm, &["trust", "inspect", "--pretty", image]).expect(0, &[]);
        let ours = publisher.run(&["inspect", "--pretty", image]).expect(0, &[]);
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert!(
            words(&ours.output).starts_with(&words(&theirs.output)),
            "{}\n{}",
            ours.output,
            theirs.output
        );
    }

    publisher.run(&["revoke", &second]).expect(0, &[&format!("Successfully deleted signature for {second}")]);
    publisher.run(&["revoke", &second]).expect(1, &["is not signed"]);
    let reader = Person::new(lab);
    reader.docker(Engine::Bookworm, &["pull", &second]).expect(1, &["No valid trust data for 2"]);
    reader.run(&["pull", &second]).expect(1, &["signed tags: 1, 3"]);
    publisher.docker(Engine::Bookworm, &["trust", "revoke", &first]).expect(0, &[]);
    reader.run(&["pull", &first]).expect(1, &["signed tags: 3"]);

    // All of it only after a yes.
    let mut session = publisher.at_terminal(&["revoke", name]);
    session.expect("Confirm you would like to delete all signature data for").expect("[y/N] ").answer("n");
    assert_eq!(session.end().1, Some(1));
    reader.run(&["pull", &third]).expect(0, &[]);
    publisher.run(&["revoke", "--yes", name]).expect(0, &["Successfully deleted signature"]);
    reader.run(&["pull", &third]).expect(1, &["is not signed"]);
}

#[test]
fn a_tag_that_is_staged_moves_when_it_is_signed() {
    let Some(lab) = lab() else { return };
    let publisher = Person::new(lab);
    let image = publisher.make("staged/app:1");
    let name = image.trim_end_matches(":1");
    publisher.run(&["push", &image]).expect(0, &[]);
    let before = registry_digest(lab, "staged/app", "1");

    // Nothing is signed: nothing moves.
    publisher.make("staged/app:1");
    Engine::Bookworm.run(lab, &["tag", &publisher.make("staged/other:1"), &image]);
    let broken = publisher.command(&["push", "--stage", "incoming", &image]);
    Ran::of(broken).expect(3, &["no terminal", "is pushed, and not signed"]);
    assert_eq!(registry_digest(lab, "staged/app", "1"), before);
    assert_ne!(registry_digest(lab, "staged/app", "incoming"), before);

    publisher.run(&["push", "--stage", "incoming", &image]).expect(0, &["Successfully signed"]);
    let after = registry_digest(lab, "staged/app", "1");
    assert_ne!(after, before);
    let reader = Person::new(lab);
    reader
        .run(&["pull", &image])
        .expect(0, &[&format!("Pull (1 of 1): {image}@{}", after.expect("a digest"))]);
    reader.run(&["pull", &format!("{name}:incoming")]).expect(1, &["is not signed"]);
}

/// What the registry has under this tag, if anything.
pub(crate) fn registry_digest(lab: &crate::support::Lab, repository: &str, tag: &str) -> Option<String> {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--head", "--header"]);
    curl.arg("Accept: application/vnd.docker.distribution.manifest.v2+json");
    curl.arg(format!("http://{}/v2/{repository}/manifests/{tag}", lab.registry()));
    let text = crate::support::image::succeed(curl);
    let mut lines = text.lines();
    assert!(lines.next().is_some_and(|line| line.contains("200") || line.contains("404")), "{text}");
    let line = lines.find(|line| line.to_lowercase().starts_with("docker-content-digest:"))?;
    Some(line.split_once(':').expect("a value").1.trim().to_owned())
}
