use std::os::fd::OwnedFd;

use super::{Folder, GOOD, gun, passphrase};
use crate::keys::{
    ChainedPassphrases, EnvironmentPassphrases, GivenPassphrase, KeyError, PassphraseSource,
    PassphraseVariables,
};

fn variables(set: &[(&str, &str)]) -> EnvironmentPassphrases {
    EnvironmentPassphrases::new(PassphraseVariables::read(|name| {
        set.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned())
    }))
}

#[test]
fn each_role_has_its_variables() {
    let folder = Folder::new();
    let table = [
        ("root", "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE", "NOTARY_ROOT_PASSPHRASE"),
        ("targets", "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE", "NOTARY_TARGETS_PASSPHRASE"),
        ("snapshot", "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE", "NOTARY_SNAPSHOT_PASSPHRASE"),
        ("alice", "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE", "NOTARY_DELEGATION_PASSPHRASE"),
        ("delegation", "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE", "NOTARY_DELEGATION_PASSPHRASE"),
    ];
    let all = table.iter().flat_map(|(_, docker, notary)| [*docker, *notary]);
    let all: std::collections::BTreeSet<_> = all.collect();
    for (role, docker, notary) in table {
        let gun = gun();
        let key = folder.with_key(role, Some(&gun).filter(|_| role == "targets" || role == "snapshot"));
        for name in &all {
            let result = folder.store.read(key.id(), &mut variables(&[(name, GOOD)]));
            let expected = [docker, notary].contains(name);
            assert_eq!(result.is_ok(), expected, "{role} by {name}: {result:?}");
        }
        // Docker's goes first; where it does not fit, notary's is tried.
        assert!(folder.store.read(key.id(), &mut variables(&[(docker, "nonsense"), (notary, GOOD)])).is_ok());
        let error = folder.store.read(key.id(), &mut variables(&[(docker, "nonsense")])).unwrap_err();
        assert!(matches!(error, KeyError::WrongPassphrase { .. }), "{error}");
        assert!(error.to_string().contains(docker), "{error}");
        assert!(!error.to_string().contains("nonsense"), "{error}");
    }
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let folder = Folder::new();
    let key = folder.with_key("root", None);
    let mut source = variables(&[("DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE", "")]);
    assert!(matches!(folder.store.read(key.id(), &mut source), Err(KeyError::NoPassphrase { .. })));
}

#[test]
fn the_first_line_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("passphrase");
    let trust = Folder::new();
    let key = trust.with_key("alice", None);
    for content in ["correct horse", "correct horse\n", "correct horse\r\n", "correct horse\nmore\n"] {
        std::fs::write(&path, content).unwrap();
        trust.store.read(key.id(), &mut GivenPassphrase::from_file(&path).unwrap()).unwrap();
    }
    std::fs::write(&path, "wrong").unwrap();
    let error = trust.store.read(key.id(), &mut GivenPassphrase::from_file(&path).unwrap()).unwrap_err();
    assert!(error.to_string().contains("passphrase`"), "{error}");
    for content in [&b""[..], b"\n", b"\xff\xfe\n", &[b'a'; 5000]] {
        std::fs::write(&path, content).unwrap();
        assert!(GivenPassphrase::from_file(&path).is_err());
    }
    assert!(GivenPassphrase::from_file(folder.path()).is_err());
    assert!(GivenPassphrase::from_file(&folder.path().join("none")).is_err());
}

#[test]
fn the_first_line_of_a_pipe() {
    use std::io::Write as _;
    let folder = Folder::new();
    let key = folder.with_key("alice", None);
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"correct horse\n").unwrap();
    drop(writer);
    let mut source = GivenPassphrase::from_descriptor(OwnedFd::from(reader)).unwrap();
    folder.store.read(key.id(), &mut source).unwrap();
}

#[test]
fn a_chain_asks_the_next_only_where_the_first_knows_nothing() {
    let folder = Folder::new();
    let [root, alice] = [folder.with_key("root", None), folder.with_key("alice", None)];
    let chain = |root: &'static str| {
        let first = variables(&[("DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE", root)]);
        let second = variables(&[("NOTARY_DELEGATION_PASSPHRASE", GOOD), ("NOTARY_ROOT_PASSPHRASE", GOOD)]);
        ChainedPassphrases::new(vec![Box::new(first), Box::new(second)])
    };
    folder.store.read(root.id(), &mut chain(GOOD)).unwrap();
    folder.store.read(alice.id(), &mut chain(GOOD)).unwrap();
    let error = folder.store.read(root.id(), &mut chain("wrong")).unwrap_err();
    assert!(error.to_string().contains("DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE"), "{error}");
    let error = folder.store.read(root.id(), &mut ChainedPassphrases::default()).unwrap_err();
    assert!(matches!(error, KeyError::NoPassphrase { .. }), "{error}");
    assert!(error.help().unwrap().contains("DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE"));
}

#[test]
fn eight_characters_at_least() {
    assert!(!passphrase("1234567").is_long_enough());
    assert!(passphrase("12345678").is_long_enough());
    assert!(!passphrase("éééé").is_long_enough(), "characters count, not bytes");
    let folder = Folder::new();
    let key = crate::keys::PrivateKey::generate_ed25519().unwrap();
    let mut short = variables(&[("DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE", "1234567")]);
    let error = folder.store.write(&key, &crate::keys::KeyRole::root(), None, &mut short).unwrap_err();
    assert!(matches!(error, KeyError::PassphraseTooShort { .. }), "{error}");
    assert!(error.to_string().contains("DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE"), "{error}");
    let _: &mut dyn PassphraseSource = &mut short;
}
