//! Whole repositories, from nothing to what a client trusts.

use super::*;
use crate::tuf::testing::Repository;
use crate::tuf::{Root, RootChain, RootPins, TufError, verify_snapshot, verify_targets, verify_timestamp};

/// Everything of a new repository, as docker makes it.
fn first_root(root: &PublicKey, keys: &[(&RoleName, &TestKey)]) -> RootDraft {
    let mut draft = RootDraft::new(days(3650));
    draft.set_keys(&RoleName::ROOT, &RoleKeys { keys: vec![root.clone()], threshold: 1 }).unwrap();
    for (role, key) in keys {
        draft.set_keys(role, &role_keys(&[key], 1)).unwrap();
    }
    draft
}

#[test]
fn a_repository_from_nothing_is_trusted() {
    let (root_key, certificate) = root_key("root");
    let [targets, snapshot, timestamp] = ["targets", "snapshot", "timestamp"].map(TestKey::ed25519);
    let keys = [
        (&RoleName::TARGETS, &targets),
        (&RoleName::SNAPSHOT, &snapshot),
        (&RoleName::TIMESTAMP, &timestamp),
    ];
    let root = first_root(&certificate, &keys).finish().unwrap().sign(&[&root_key]).unwrap();

    let mut draft = TargetsDraft::new(RoleName::TARGETS, in_three_years());
    draft.set_target("v1", &target(1)).unwrap();
    let targets_file = draft.finish(&role_keys(&[&targets], 1)).unwrap().sign(&[&targets]).unwrap();
    let mut draft = SnapshotDraft::new(in_three_years());
    draft.set(&RoleName::ROOT, &root);
    draft.set(&RoleName::TARGETS, &targets_file);
    let snapshot_file = draft.finish(&role_keys(&[&snapshot], 1)).unwrap().sign(&[&snapshot]).unwrap();
    let draft = TimestampDraft::new(crate::tuf::Version::FIRST, days(14), &snapshot_file);
    let timestamp_file = draft.finish(&role_keys(&[&timestamp], 1)).unwrap().sign(&[&timestamp]).unwrap();

    let chain = RootChain::bootstrap(&gun(), root, &RootPins::TrustOnFirstUse, now()).unwrap();
    let timestamp = verify_timestamp(chain.root(), timestamp_file, None, now()).unwrap();
    let snapshot = verify_snapshot(chain.root(), &timestamp, snapshot_file, None, now()).unwrap();
    let targets = verify_targets(chain.root(), &snapshot, targets_file, None, now()).unwrap();
    assert_eq!(targets.find("v1").unwrap(), Some(target(1)));
    assert_eq!(targets.version().get(), 1);
    assert_eq!(targets.expires(), in_three_years());
}

/// What docker 28.2.2 wrote at a first push, of which the signature is checked elsewhere.
#[test]
fn the_signed_bytes_are_dockers() {
    let expires = "2029-11-21T14:16:17.670745079Z".parse().unwrap();
    let mut draft = TargetsDraft::new(RoleName::TARGETS, expires);
    let digest = "76ef4a7963c5f458f4297c670f49e0463458f8042d6a661e21f164791baffc28";
    let sha256 = hex::decode(digest).unwrap().try_into().ok();
    draft.set_target("v1", &Target { length: 523, sha256, sha512: None, custom: None }).unwrap();
    let key = TestKey::p256("targets");
    let body = draft.finish(&role_keys(&[&key], 1)).unwrap().body;
    let expected = r#"{"_type":"Targets","delegations":{"keys":{},"roles":[]},"expires":"2029-11-21T14:16:17.670745079Z","targets":{"v1":{"hashes":{"sha256":"du9KeWPF9Fj0KXxnD0ngRjRY+AQtamYeIfFkeRuv/Cg="},"length":523}},"version":1}"#;
    assert_eq!(String::from_utf8(body).unwrap(), expected);
}

#[test]
fn times_are_written_as_go_writes_them() {
    for text in [
        "2029-11-21T14:16:17Z",
        "2029-11-21T14:16:17.5Z",
        "2029-11-21T14:16:17.000000001Z",
        "2029-11-21T14:16:00Z",
    ] {
        let draft = TargetsDraft::new(RoleName::TARGETS, text.parse().unwrap());
        let body = draft.finish(&role_keys(&[&TestKey::p256("a")], 1)).unwrap().body;
        assert!(String::from_utf8(body).unwrap().contains(&format!("\"expires\":\"{text}\"")), "{text}");
    }
}

#[test]
fn a_root_rotates_with_signatures_of_both() {
    let repository = Repository::new(BASE);
    let verified = repository.publish().verify(now()).unwrap();
    let old = repository.roles["root"].signers[0].clone();
    let (new, certificate) = root_key("another");
    let draft = || {
        let mut draft = RootDraft::edit(verified.chain.root(), days(3650)).unwrap();
        assert!(!draft.is_changed());
        draft.set_keys(&RoleName::ROOT, &RoleKeys { keys: vec![certificate.clone()], threshold: 1 }).unwrap();
        draft.finish().unwrap()
    };
    for alone in [&old, &new] {
        let error = draft().sign(&[alone]).unwrap_err();
        assert!(matches!(error, AuthorError::Threshold { valid: 0, needed: 1, .. }), "{error}");
    }
    let file = draft().sign(&[&old, &new]).unwrap();
    let mut chain = verified.chain.clone();
    chain.advance(file, &RootPins::TrustOnFirstUse, false, now()).unwrap();
    assert_eq!(chain.root().version().get(), 2);
    assert_eq!(chain.root().signatures(), [certificate.id().clone()]);
    // Old keys stay listed, as Notary leaves them.
    let text = String::from_utf8(chain.root().raw().to_vec()).unwrap();
    assert!(text.contains(&format!("\"{}\":{{\"keytype\"", old.id())), "{text}");
    assert_eq!(Root::role(chain.root(), &RoleName::ROOT).unwrap().keys, [certificate]);
}

#[test]
fn keys_of_older_roots_sign_where_they_are_at_hand() {
    let repository = Repository::new(BASE);
    let verified = repository.publish().verify(now()).unwrap();
    let current = repository.roles["root"].signers[0].clone();
    let older = repository.root_key("older");
    let mut draft = RootDraft::edit(verified.chain.root(), days(3650)).unwrap();
    draft.also_signed_by(vec![older.public().clone(), repository.root_key("lost").public().clone()]);
    let file = draft.finish().unwrap().sign(&[&current, &older]).unwrap();
    let text = String::from_utf8(file).unwrap();
    assert!(text.contains(&format!("\"keyid\":\"{}\"", older.id())));
}

#[test]
fn base_roles_need_enough_usable_keys() {
    let (_, certificate) = root_key("root");
    let [one, two] = ["one", "two"].map(TestKey::p256);
    let mut draft = first_root(&certificate, &[(&RoleName::TARGETS, &one)]);
    assert!(matches!(draft.clone().finish(), Err(AuthorError::KeysBelowThreshold { .. })));
    let below = |result| matches!(result, Err(AuthorError::KeysBelowThreshold { .. }));
    assert!(below(draft.set_keys(&RoleName::TARGETS, &role_keys(&[&one], 0))));
    assert!(below(draft.set_keys(&RoleName::TARGETS, &role_keys(&[&one], 2))));
    // One key twice is one key.
    assert!(below(draft.set_keys(&RoleName::TARGETS, &role_keys(&[&one, &one], 2))));
    assert!(below(draft.set_threshold(&RoleName::TARGETS, 2)));
    draft.set_keys(&RoleName::TARGETS, &role_keys(&[&one, &two], 2)).unwrap();
    draft.set_threshold(&RoleName::TARGETS, 1).unwrap();
    let plain = draft.set_keys(&RoleName::ROOT, &role_keys(&[&one], 1));
    assert!(matches!(plain, Err(AuthorError::Key { .. })));
    let unknown = PublicKey::new(crate::tuf::KeyType::Ed25519, vec![1; 31]);
    let unusable = draft.set_keys(&RoleName::SNAPSHOT, &RoleKeys { keys: vec![unknown], threshold: 1 });
    assert!(matches!(unusable, Err(AuthorError::Key { .. })));
    assert!(matches!(
        draft.set_keys(&RoleName::RELEASES, &role_keys(&[&one], 1)),
        Err(AuthorError::Role { .. })
    ));
}

#[test]
fn one_root_key_serves_many_repositories() {
    let key = TestKey::p256("root");
    let other: Gun = "127.0.0.1:5000/acme/other_one".parse().unwrap();
    let [first, second] = [gun(), other].map(|it| root_certificate(&key, &it, [1; 16], now()).unwrap());
    assert_ne!(first.id(), second.id());
    assert_eq!(first.canonical_id(), key.public().id());
    assert_eq!(second.canonical_id(), key.public().id());
    let ed25519 = root_certificate(&TestKey::ed25519("root"), &gun(), [1; 16], now());
    assert!(matches!(ed25519, Err(AuthorError::Key { .. })));
}

#[test]
fn a_signer_whose_signature_does_not_fit_is_found_out() {
    struct Liar(TestKey);
    impl Signer for Liar {
        fn public(&self) -> &PublicKey {
            self.0.public()
        }
        fn sign(&self, message: &[u8]) -> Result<RawSignature, SignerError> {
            Signer::sign(&TestKey::p256("another"), message)
        }
    }
    struct Refuses(TestKey);
    impl Signer for Refuses {
        fn public(&self) -> &PublicKey {
            self.0.public()
        }
        fn sign(&self, _message: &[u8]) -> Result<RawSignature, SignerError> {
            Err("the key is in a drawer".into())
        }
    }
    let key = TestKey::p256("one");
    let draft = || TargetsDraft::new(RoleName::TARGETS, days(1)).finish(&role_keys(&[&key], 1)).unwrap();
    assert!(matches!(draft().sign(&[&Liar(key.clone())]), Err(AuthorError::Threshold { valid: 0, .. })));
    let error = draft().sign(&[&Refuses(key.clone())]).unwrap_err();
    assert!(error.to_string().ends_with("did not sign: the key is in a drawer"), "{error}");
    assert!(draft().sign(&[&key]).is_ok());
    let _: Option<TufError> = None;
}
