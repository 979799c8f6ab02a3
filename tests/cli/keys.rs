//! `trustgate key`: keys made, listed, backed up, loaded, opened under another passphrase, removed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use insta::assert_snapshot;
use trustgate::keys::{KeyRole, KeyStore, PrivateKey};

use crate::support::Desk;

/// A desk whose environment knows the passphrases.
fn desk() -> Desk {
    let desk = Desk::new().with("DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE", "root passphrase");
    desk.with("DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE", REPOSITORY_PASSPHRASE)
}

/// The report with the IDs of keys by what the keys are for.
fn run(desk: &Desk, words: &str) -> String {
    named(desk, desk.run(words))
}

fn named(desk: &Desk, report: String) -> String {
    let keys = store(desk).list().unwrap().keys;
    let report = keys.iter().fold(report, |text, key| {
        text.replace(key.id.as_str(), &format!("[{} ID]", key.role))
            .replace(&key.id.as_str()[..7], &format!("[{}]", key.role))
    });
    // Keys that are gone, or are not here yet, have no name.
    let mut shown = String::new();
    for word in report.split_inclusive(|it: char| !it.is_ascii_hexdigit()) {
        let id = word.trim_end_matches(|it: char| !it.is_ascii_hexdigit());
        shown.push_str(if id.len() == 64 { &word[64..] } else { word });
        if id.len() == 64 {
            shown.insert_str(shown.len() - (word.len() - 64), "[ID]");
        }
    }
    shown
}

/// The same for a key that was never stored, by its first digits.
fn hide_id(report: &str) -> String {
    let (before, after) = report.split_once("the alice key ").unwrap();
    format!("{before}the alice key [ID]{}", &after[7..])
}

fn store(desk: &Desk) -> KeyStore {
    KeyStore::new(&desk.path("home/.docker/trust"))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn private(desk: &Desk, name: &str, content: impl AsRef<[u8]>) {
    let path = desk.file(name, content);
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The ID of the one key of this role.
fn id(desk: &Desk, role: &str) -> String {
    let keys = store(desk).list().unwrap().keys;
    let mut found = keys.iter().filter(|it| it.role.as_str() == role);
    let id = found.next().unwrap().id.to_string();
    assert!(found.next().is_none());
    id
}

#[test]
fn help_of_key() {
    let report = Desk::new().run("key -h");
    assert_snapshot!("help_key", report.split("\nOptions").next().unwrap());
}

#[test]
fn a_key_of_one_s_own() {
    let desk = desk();
    assert_snapshot!(run(&desk, "key generate alice"), @r#"
    exit code: 0
    ----- stdout -----
    Generating key for alice...
    Successfully generated and loaded private key. Corresponding public key available: [FOLDER]/alice.pub
    "#);
    assert!(
        String::from_utf8(desk.read("alice.pub"))
            .unwrap()
            .starts_with("-----BEGIN PUBLIC KEY-----\nrole: alice\n\n")
    );
    assert_eq!(mode(&desk.path("alice.pub")), 0o600);
    assert_snapshot!(run(&desk, "key list"), @r#"
    exit code: 0
    ----- stdout -----
    ROLE      REPOSITORY   KEY ID                                                             FILE
    alice                  [alice ID]   [FOLDER]/home/.docker/trust/private/[alice ID].key
    "#);
    assert_snapshot!(run(&desk, "key list --output json"), @r#"
    exit code: 0
    ----- stdout -----
    {
      "keys": [
        {
          "key_id": "[alice ID]",
          "role": "alice",
          "repository": null,
          "encrypted": true,
          "file": "[FOLDER]/home/.docker/trust/private/[alice ID].key"
        }
      ],
      "warnings": []
    }
    "#);
    // A second key of the same name would leave nobody sure which one the file is of.
    assert_snapshot!(run(&desk, "key generate alice"), @"
    exit code: 1
    ----- stderr -----
    error: `[FOLDER]/alice.pub` exists already
      = help: move it away, or name another folder with --dir
    ");
    assert_eq!(store(&desk).list().unwrap().keys.len(), 1);
}

#[test]
fn a_key_for_a_pipeline_is_kept_in_a_file_of_its_own() {
    let desk = desk();
    assert_snapshot!(run(&desk, "key generate ci --algorithm ed25519 --private-key ci.key --output json"), @r#"
    exit code: 0
    ----- stdout -----
    {
      "key_id": "[ID]",
      "role": "ci",
      "key_type": "ed25519",
      "file": "ci.key",
      "public_key_file": "[FOLDER]/ci.pub"
    }
    "#);
    assert_eq!(mode(&desk.path("ci.key")), 0o600);
    assert!(store(&desk).list().unwrap().keys.is_empty());
    // The name is in the file.
    assert_snapshot!(run(&desk, "key load ci.key"), @r#"
    exit code: 0
    ----- stdout -----
    Loading key from "ci.key"...
    Successfully imported key from ci.key
    "#);
    assert_eq!(store(&desk).list().unwrap().keys[0].role.as_str(), "ci");
    assert_snapshot!(run(&desk, "key load ci.key"), @r#"
    exit code: 0
    ----- stdout -----
    Loading key from "ci.key"...
    Successfully imported key from ci.key
    ----- stderr -----
    key [ci ID] was here before, and is as it was
    "#);
}

#[test]
fn names_that_no_signer_has() {
    for name in ["Alice", "root", "releases", "a/b", "../alice", "", "-alice"] {
        let report = desk().run_words(["key", "generate", "--", name]);
        assert!(report.starts_with("exit code: 2\n"), "{name}: {report}");
    }
    assert_snapshot!(desk().run_words(["key", "generate", "a\u{1b}[2Jb"]), @"
    exit code: 2
    ----- stderr -----
    error: `a\\u{1b}[2Jb` can't be a signer's name
      = help: use lower-case letters, digits, `-` and `_`, for example `alice`
    ");
    assert_snapshot!(desk().run("key generate targets"), @"
    exit code: 2
    ----- stderr -----
    error: `targets` can't be a signer's name: a role is called so
      = help: use lower-case letters, digits, `-` and `_`, for example `alice`
    ");
}

#[test]
fn without_a_terminal_a_passphrase_must_come_from_elsewhere() {
    let desk = Desk::new();
    assert_snapshot!(hide_id(&desk.run_detached("key generate alice")), @"
    exit code: 3
    ----- stdout -----
    Generating key for alice...
    ----- stderr -----
    error: no passphrase for the alice key [ID], and no terminal to ask for it
      = help: set DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE or DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE, or give the passphrase in a file or on a file descriptor
    ");
    assert_eq!(desk.names(), Vec::<String>::new(), "no public key without a private one");
    desk.file("passphrase", "from a file\nsecond line");
    assert!(run(&desk, "key generate alice --passphrase-file passphrase").starts_with("exit code: 0\n"));
    desk.file("short", "short\n");
    let report = desk.run("key generate bob --passphrase-file short");
    assert!(report.contains("exit code: 1") && report.contains("8 characters or more"), "{report}");
}

#[test]
fn a_backup_and_its_way_back() {
    let desk = desk();
    desk.run("key generate alice");
    desk.run("key generate --root");
    assert_snapshot!(run(&desk, "key export -o keys.pem"), @"
    exit code: 0
    ----- stdout -----
    Successfully exported 2 keys to keys.pem
    ");
    assert_eq!(mode(&desk.path("keys.pem")), 0o600);
    assert_snapshot!(run(&desk, "key export --key 0000000 -o other.pem"), @"
    exit code: 3
    ----- stderr -----
    error: there is no key 0000000 in `[FOLDER]/home/.docker/trust/private`
      = help: see which there are: trustgate key list
    ");
    assert_snapshot!(run(&desk, "key export -o keys.pem"), @"
    exit code: 1
    ----- stderr -----
    error: `keys.pem` exists already
      = help: replace it: --force
    ");
    let alice = id(&desk, "alice");
    assert_snapshot!(run(&desk, &format!("key export --key {} -o keys.pem --force --output json", &alice[..9])), @r#"
    exit code: 0
    ----- stdout -----
    {
      "file": "keys.pem",
      "keys": [
        "[alice ID]"
      ]
    }
    "#);
    let text = desk.run("key export");
    assert_eq!(text.matches("-----BEGIN ENCRYPTED PRIVATE KEY-----").count(), 2);
    assert_eq!(text.matches("\npath: ").count(), 2);
    assert!(!desk.names().contains(&"other.pem".to_owned()));

    let root = id(&desk, "root");
    desk.run(&format!("key export --key {root} -o root.pem"));
    assert_snapshot!(run(&desk, &format!("key remove {root}")), @"
    exit code: 1
    ----- stderr -----
    warning: this is a root key, which can't be made again
      = help: export it first: trustgate key export --key [root ID] -o key.pem
    Remove the root key [root ID] for good? [y/N] key [root ID] stays; to remove it without a question: --yes
    ");
    let report = desk.run_with_input(&format!("key remove {root}"), b"y\n");
    assert!(report.starts_with("exit code: 0\n"), "{report}");
    assert_eq!(store(&desk).list().unwrap().keys.len(), 1);
    assert_snapshot!(run(&desk, "key import root.pem"), @"
    exit code: 0
    ----- stdout -----
    Imported: root key with ID [root ID]
    ");
    assert_snapshot!(run(&desk, "key import root.pem keys.pem --output json"), @r#"
    exit code: 0
    ----- stdout -----
    [
      {
        "key_id": "[root ID]",
        "role": "root",
        "repository": null,
        "known": true,
        "from": "root.pem"
      },
      {
        "key_id": "[alice ID]",
        "role": "alice",
        "repository": null,
        "known": true,
        "from": "keys.pem"
      }
    ]
    "#);
}

#[test]
fn another_passphrase() {
    let desk = desk();
    desk.run("key generate alice");
    let alice = id(&desk, "alice");
    desk.file("new", "another passphrase\n");
    assert_snapshot!(run(&desk, &format!("key passwd {alice} --new-passphrase-file new")), @"
    exit code: 0
    ----- stdout -----
    Successfully updated passphrase for key ID: [alice ID]
    ");
    // The old one opens it no more. A variable is not tried again and again.
    assert_snapshot!(run(&desk, &format!("key passwd {} --new-passphrase-file new", &alice[..7])), @"
    exit code: 1
    ----- stderr -----
    error: the passphrase from `DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE` does not open the alice key [alice]
      = help: if the passphrase is right, the key file is damaged: restore it from a backup
    ");
    desk.file("old", REPOSITORY_PASSPHRASE);
    let back = format!("key passwd {alice} --passphrase-file new --new-passphrase-file old");
    assert!(desk.run(&back).starts_with("exit code: 0\n"));
    // The new passphrase is nowhere but where it was said to be.
    let report = desk.run_detached(&format!("key passwd {alice}"));
    assert!(report.contains("no terminal to ask for it"), "{report}");
}

#[test]
fn what_is_no_private_key() {
    let desk = desk();
    desk.run("key generate alice");
    assert_snapshot!(run(&desk, "key load alice.pub"), @r#"
    exit code: 3
    ----- stdout -----
    Loading key from "alice.pub"...
    ----- stderr -----
    error: `alice.pub` holds no private key
      = help: to add a signer's public key: trustgate signer add --key FILE NAME REPOSITORY
    "#);
    private(&desk, "text", "hello\n");
    private(&desk, "empty", "");
    private(&desk, "half", "-----BEGIN PRIVATE KEY-----\nMIGH\n");
    private(&desk, "garbage", "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\n");
    private(&desk, "huge", vec![b'x'; 5 << 20]);
    for (name, says) in [
        ("text", "holds no private key"),
        ("empty", "holds no private key"),
        ("half", "does not end"),
        ("garbage", "is damaged"),
        ("huge", "larger than"),
        ("missing", "No such file"),
        (".", "it is a folder"),
    ] {
        let report = desk.run(&format!("key load {name}"));
        assert!(report.starts_with("exit code: 3\n") && report.contains(says), "{name}: {report}");
    }
    assert_eq!(store(&desk).list().unwrap().keys.len(), 1);
}

#[test]
fn files_that_others_can_read() {
    let desk = desk();
    desk.run("key generate alice --private-key alice.key");
    fs::set_permissions(desk.path("alice.key"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_snapshot!(run(&desk, "key load alice.key"), @r#"
    exit code: 1
    ----- stdout -----
    Loading key from "alice.key"...
    ----- stderr -----
    error: private key file `alice.key` must not be readable or writable by others: its mode is 644
      = help: chmod 600 alice.key
    "#);
    fs::set_permissions(desk.path("alice.key"), fs::Permissions::from_mode(0o600)).unwrap();
    desk.run("key load alice.key");
    let file = store(&desk).list().unwrap().keys[0].path.clone();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let folder = file.parent().unwrap();
    std::os::unix::fs::symlink(&file, folder.join(format!("{}.key", "0".repeat(64)))).unwrap();
    fs::write(folder.join("z.key"), "nothing").unwrap();
    assert_snapshot!(run(&desk, "key list"), @"
    exit code: 0
    ----- stdout -----
    ROLE      REPOSITORY   KEY ID                                                             FILE
    alice                  [alice ID]   [FOLDER]/home/.docker/trust/private/[alice ID].key
    ----- stderr -----
    warning: `[FOLDER]/home/.docker/trust/private/[ID].key` is not used: it is a symbolic link
    warning: `[FOLDER]/home/.docker/trust/private/[alice ID].key` can be read or written by others: its mode is 644
    warning: `[FOLDER]/home/.docker/trust/private/z.key` is not named by a key ID
    ");
}

#[test]
fn keys_that_others_wrote() {
    let desk = desk();
    // `name` goes before what the file says, and a key without a name is called as docker calls it.
    let key = PrivateKey::generate_p256().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let other = KeyStore::new(elsewhere.path()).with_rounds(1000);
    let mut passphrases =
        trustgate::keys::EnvironmentPassphrases::new(trustgate::keys::PassphraseVariables {
            docker_repository: Some(trustgate::keys::Passphrase::new(REPOSITORY_PASSPHRASE.to_owned())),
            ..Default::default()
        });
    let text = other.sealed_text(&key, &KeyRole::delegation(), None, &mut passphrases).unwrap();
    let bare = String::from_utf8(text.to_vec()).unwrap().replace("role: delegation\n\n", "");
    private(&desk, "bare.key", bare);
    assert!(desk.run("key load bare.key").starts_with("exit code: 0\n"));
    assert_eq!(id(&desk, "signer"), key.id().to_string());
    assert_snapshot!(run(&desk, "key load bare.key --name bob"), @r#"
    exit code: 2
    ----- stdout -----
    Loading key from "bare.key"...
    ----- stderr -----
    error: a key named [signer ID] is stored already, as another kind of key (it is the signer key)
    "#);
    assert!(desk.run(&format!("key rm --yes {}", key.id())).starts_with("exit code: 0\n"));
    assert!(desk.run("key load bare.key --name bob").starts_with("exit code: 0\n"));
    id(&desk, "bob");
    // A targets key belongs to a repository.
    desk.run(&format!("key rm --yes {}", key.id()));
    assert_snapshot!(run(&desk, "key import bare.key --role targets"), @"
    exit code: 2
    ----- stderr -----
    error: a targets key belongs to a repository, and nothing says to which
      = help: name the repository: trustgate key import --repository NAME
    ");
    assert_snapshot!(run(&desk, "key import bare.key --role targets --repository acme/base"), @"
    exit code: 0
    ----- stdout -----
    Imported: targets key of docker.io/acme/base with ID [targets ID]
    ");
    assert_snapshot!(run(&desk, "key import bare.key --role timestamp"), @"
    exit code: 2
    ----- stderr -----
    error: timestamp keys are the trust server's alone
    ");
    assert_snapshot!(run(&desk, "key import bare.key --repository acme/base:1"), @"
    exit code: 2
    ----- stderr -----
    error: `acme/base:1` names a tag or a digest, where a repository is wanted
      = help: write the repository alone: acme/base
    ");
}

#[test]
fn a_wrong_passphrase_is_told_from_a_false_success() {
    let desk = desk();
    desk.run("key generate alice --private-key alice.key");
    desk.file("wrong", "not the passphrase\n");
    let report = run(&desk, "key load alice.key --passphrase-file wrong");
    assert!(report.starts_with("exit code: 1\n") && report.contains("does not open"), "{report}");
    assert!(!report.contains("Success"), "{report}");
    assert!(store(&desk).list().unwrap().keys.is_empty());
}

#[test]
fn old_key_folders() {
    let desk = desk();
    assert_snapshot!(run(&desk, "key migrate"), @"
    exit code: 0
    ----- stderr -----
    no key files of notary 0.3 or before in `[FOLDER]/home/.docker/trust/private`
    ");
    desk.run("key generate --root");
    let key = store(&desk).list().unwrap().keys.remove(0);
    let text = fs::read_to_string(&key.path).unwrap().replace("role: root\n\n", "");
    let old = format!("home/.docker/trust/private/root_keys/{}_root.key", key.id);
    desk.file(&old, text);
    desk.file("home/.docker/trust/private/tuf_keys/acme/broken.key", "nothing");
    fs::remove_file(&key.path).unwrap();
    let report = run(&desk, "key migrate");
    assert_snapshot!(report, @"
    exit code: 1
    ----- stdout -----
    Moved key [root ID]
    ----- stderr -----
    warning: `[FOLDER]/home/.docker/trust/private/tuf_keys/acme/broken.key` the file holds no private key
    ");
    assert_eq!(id(&desk, "root"), key.id.to_string());
}

const REPOSITORY_PASSPHRASE: &str = "repository passphrase";
