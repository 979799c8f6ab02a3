//! What docs/first-push.md promises: pushing, signing and pulling, by people at terminals and by scripts,
//! with docker and notary on the same keys and the same trust server.

use std::process::Command;

use trustgate::cli::Exit;

use crate::support::image::Recipe;
use crate::support::person::{Person, REPOSITORY_PASSPHRASE, ROOT_PASSPHRASE, Ran, with_passphrases};
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
    use std::os::unix::fs::PermissionsExt as _;
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

#[test]
fn what_is_in_the_registry_is_signed_by_its_bytes() {
    let Some(lab) = lab() else { return };
    let publisher = Person::new(lab);
    let one = lab.push_unsigned("signed/app:amd64", &Recipe::busybox().with_file("/a", b"1"));
    let other = lab.push_unsigned("signed/app:arm64", &Recipe::busybox().with_file("/a", b"2"));
    let name = &one.repository;
    let answer = publisher.run(&["sign", "--output", "json", &one.by_tag()]).expect(0, &[]).json();
    assert_eq!(answer["digest"], one.digest);
    assert_eq!(answer["outcome"], "published");
    assert_eq!(answer["initialized"], true);
    publisher.run(&["sign", &one.by_tag()]).expect(0, &["is signed already"]);
    // Exactly what is given: the other image under this tag.
    publisher.run(&["sign", &format!("{name}:amd64@{}", other.digest)]).expect(0, &["Successfully signed"]);
    let reader = Person::new(lab);
    let pulled = reader.run(&["pull", &format!("{name}:amd64")]).expect(0, &[]);
    assert!(pulled.output.contains(&other.digest), "{}", pulled.output);
    publisher.run(&["sign", name]).expect(2, &["names no tag"]);
    publisher.run(&["sign", &format!("{name}:none")]).expect(3, &["none"]);
    let zeros = "0".repeat(64);
    publisher.run(&["sign", &format!("{name}:amd64@sha256:{zeros}")]).expect(3, &[&zeros]);

    // An index is one target; its platforms are signed along with it.
    let index = put_index(lab, "signed/app", "many", &[(&one.digest, "amd64"), (&other.digest, "arm64")]);
    let answer = publisher.run(&["sign", "--output", "json", &format!("{name}:many")]).expect(0, &[]).json();
    assert_eq!(answer["digest"], index);
    assert_eq!(answer["platforms"][1]["digest"], other.digest);
    let again = publisher.run(&["verify", &format!("{name}:many")]).expect(0, &[]);
    assert!(again.output.contains(&index), "{}", again.output);
    reader.docker(Engine::Bookworm, &["pull", &format!("{name}:many")]).expect(0, &[]);
    reader.run(&["pull", &format!("{name}:many")]).expect(0, &[&index]);
    publisher.notary(&["lookup", name, "many"]).expect(0, &[index.trim_start_matches("sha256:")]);
}

/// Stores an index of manifests that the registry has.
fn put_index(lab: &crate::support::Lab, repository: &str, tag: &str, children: &[(&str, &str)]) -> String {
    let url = |name: &str| format!("http://{}/v2/{repository}/manifests/{name}", lab.registry());
    let manifests: Vec<serde_json::Value> = children
        .iter()
        .map(|(digest, architecture)| {
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--fail", "--header"]);
            curl.arg("Accept: application/vnd.docker.distribution.manifest.v2+json").arg(url(digest));
            let size = crate::support::image::succeed(curl).len();
            serde_json::json!({
                "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                "digest": digest, "size": size,
                "platform": {"os": "linux", "architecture": architecture},
            })
        })
        .collect();
    let media_type = "application/vnd.docker.distribution.manifest.list.v2+json";
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests});
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--fail", "--request", "PUT", "--header"])
        .arg(format!("Content-Type: {media_type}"));
    curl.args(["--data-binary", &index.to_string()]).arg(url(tag));
    crate::support::image::succeed(curl);
    trustgate::image::Digest::of(index.to_string().as_bytes()).to_string()
}

#[test]
fn status_tells_what_runs_out_and_who_can_sign() {
    let Some(lab) = lab() else { return };
    let publisher = Person::new(lab);
    let image = publisher.make("status/app:1");
    let name = image.trim_end_matches(":1");
    publisher.run(&["status"]).expect(0, &["No repository is known"]);
    publisher.run(&["push", &image]).expect(0, &[]);
    publisher.run(&["status"]).expect(0, &[name, "1 signed tag", "targets", "CAN SIGN"]);
    publisher.run(&["status", "--fail-within", "30d", name]).expect(0, &[]);
    publisher
        .run(&["status", "--fail-within", "1100d", name])
        .expect(1, &["`targets` of", "trustgate repo refresh"]);
    publisher.run(&["status", "--fail-within", "soon"]).expect(2, &["30d"]);
    let answer = publisher.run(&["status", "--output", "json"]).expect(0, &[]).json();
    let roles = answer[0]["roles"].as_array().expect("roles");
    let role = |name: &str| roles.iter().find(|it| it["role"] == name).expect("a role");
    assert_eq!((&role("targets")["can_sign"], &role("timestamp")["can_sign"]), (&true.into(), &false.into()));
    assert!(role("root")["days_left"].as_i64() > Some(3000), "{answer}");

    // Somebody who only reads; and a server that is gone.
    let reader = Person::new(lab);
    reader.run(&["pull", &image]).expect(0, &[]);
    let answer = reader.run(&["status", "--output", "json", name]).expect(0, &[]).json();
    assert_eq!(answer[0]["roles"][1]["can_sign"], false);
    let reader = reader.at_server("https://127.0.0.1:1");
    let ran = reader.run(&["status", name]);
    assert!(ran.output.contains("targets"), "{ran:?}");
}

#[test]
fn containers_are_made_of_signed_images() {
    let Some(lab) = lab() else { return };
    let publisher = Person::new(lab);
    let image = publisher.make("run/app:1");
    publisher.run(&["push", &image]).expect(0, &[]);
    let unsigned = publisher.make("run/app:unsigned");
    publisher.run(&["--disable-content-trust", "push", &unsigned]).expect(0, &[]);
    // The name now is another image's, on this engine and in the registry: the signed one runs.
    Engine::Bookworm.run(lab, &["tag", &unsigned, &image]);
    let words = ["run", "--rm", "--network", "none", "-e", "A=b", &image, "cat", "/name"];
    let ran = publisher.run(&words).expect(0, &[]);
    assert_eq!(ran.output, "run/app:1");
    publisher.run(&["run", "--rm", "--network=none", &image, "sh", "-c", "exit 3"]).expect(3, &[]);
    publisher.run(&["run", "--rm", "--network=none", &unsigned, "true"]).expect(125, &["is not signed"]);
    publisher.run(&["create", "--network=none", &unsigned]).expect(1, &["is not signed"]);
    let words = ["run", "--rm", "--network=none", "--disable-content-trust", &unsigned, "true"];
    publisher.run(&words).expect(0, &[]);
    publisher.run(&["run", "--no-such-flag", &image]).expect(125, &["--no-such-flag"]);
    // Files of an image that is mounted come from nobody knows whom, too.
    let mount = format!("--mount=type=image,source={unsigned},target=/other");
    publisher.run(&["run", "--rm", &mount, &image, "true"]).expect(125, &["is not signed"]);
    let created = publisher
        .run(&["create", "--network=none", "--name", "trustgate-created", &image, "true"])
        .expect(0, &[]);
    let shown =
        Engine::Bookworm.run(lab, &["inspect", "--format", "{{.Config.Image}}", created.output.trim()]);
    assert!(shown.contains("run/app@sha256:"), "{shown}");
    Engine::Bookworm.run(lab, &["rm", "trustgate-created"]);

    // An image of this engine alone: by its ID, whole or short; by name only where the policy says so.
    let local = "trustgate-local/app:dev";
    lab.make(Engine::Bookworm, local, &Recipe::busybox().with_file("/name", b"local"));
    let id = Engine::Bookworm.run(lab, &["image", "inspect", "--format", "{{.Id}}", local]);
    let id = id.trim();
    for name in [id, &id["sha256:".len()..], &id["sha256:".len()..][..12]] {
        let ran = publisher.run(&["run", "--rm", "--network=none", name, "cat", "/name"]).expect(0, &[]);
        assert_eq!(ran.output, "local", "{name}");
    }
    assert_ne!(publisher.run(&["run", "--rm", "--network=none", local, "true"]).code, Some(0));
    let policy = publisher.config().join("policy.toml");
    let path = policy.to_str().expect("a path");
    let run = |rule: &str, image: &str| {
        let text = format!("version = 1\ntrust-on-first-use = true\n[run]\nlocal-images = \"{rule}\"\n");
        std::fs::write(&policy, text).expect("a policy");
        publisher.run(&["--policy", path, "run", "--rm", "--network=none", image, "cat", "/name"])
    };
    assert_eq!(run("by-name", local).expect(0, &[]).output, "local");
    run("refuse", id).expect(125, &["which nobody signed", "run.local-images"]);
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

/// Two keys must sign: the first signature goes round in a file.
#[test]
fn signatures_are_collected_in_a_file() {
    let Some(lab) = lab() else { return };
    let owner = Person::new(lab);
    let image = owner.make("partial/app:1");
    let name = image.trim_end_matches(":1");
    owner.run(&["push", &image]).expect(0, &[]);
    // Each has a key of their own for the role, two of which must sign.
    let others = [Person::new(lab), Person::new(lab)];
    for (person, key) in others.iter().zip(["alice-1", "alice-2"]) {
        let folder = person.config().to_str().expect("a path").to_owned();
        person.run(&["key", "generate", key, "--dir", &folder]).expect(0, &[]);
    }
    let public =
        |person: &Person, key: &str| person.config().join(format!("{key}.pub")).display().to_string();
    let (first, second) = (public(&others[0], "alice-1"), public(&others[1], "alice-2"));
    owner.run(&["signer", "add", "--key", &first, "--key", &second, "alice", name]).expect(0, &[]);
    owner.run(&["repo", "threshold", name, "targets/alice", "2"]).expect(0, &[]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("signatures.json");
    let file = file.to_str().expect("a path");
    let tag = owner.make("partial/app:2");
    owner.run(&["--disable-content-trust", "push", &tag]).expect(0, &[]);
    let words = ["sign", "--role", "targets/alice", "--partial", file, &tag];
    others[0].run(&words).expect(1, &["needs 1 more signature", "Wrote "]);
    others[0].run(&words).expect(2, &["is there already"]);
    others[1].run(&["sign", "--partial", file, name]).expect(0, &["Successfully signed"]);
    let answer = Person::new(lab).run(&["inspect", name]).expect(0, &[]).json();
    let roles = answer[0]["Roles"].as_array().expect("roles");
    let alice = roles.iter().find(|it| it["Name"] == "targets/alice").expect("alice");
    assert_eq!(alice["Threshold"], 2);
}
