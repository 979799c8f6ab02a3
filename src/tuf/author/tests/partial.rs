//! Signatures of several people.

use super::*;
use crate::tuf::testing::Repository;
use crate::tuf::{Root, RootChain, RootPins};

fn three() -> [TestKey; 3] {
    ["alice", "bob", "carol"].map(TestKey::ed25519)
}

fn started() -> (PartialDocument, RoleKeys) {
    let [alice, bob, carol] = three();
    let keys = role_keys(&[&alice, &bob, &carol], 2);
    let mut draft = TargetsDraft::new(RoleName::TARGETS, in_three_years());
    draft.set_target("v<1>", &target(1)).unwrap();
    (draft.finish(&keys).unwrap().into_partial(&gun()), keys)
}

fn read(text: &[u8], keys: &RoleKeys) -> Result<PartialDocument, AuthorError> {
    PartialDocument::from_text(text, &gun(), &RoleName::TARGETS, keys)
}

#[test]
fn a_document_is_passed_round_until_enough_have_signed() {
    let [alice, bob, carol] = three();
    let (mut partial, keys) = started();
    assert_eq!(partial.missing().unwrap()[0].count, 2);
    assert_eq!(partial.sign(&[&TestKey::ed25519("mallory")]).unwrap(), 0);
    assert_eq!(partial.sign(&[&alice]).unwrap(), 1);
    assert_eq!(partial.sign(&[&alice]).unwrap(), 0);
    let mut partial = read(&partial.to_text().unwrap(), &keys).unwrap();
    assert_eq!(partial.signatures().collect::<Vec<_>>(), [alice.public().id()]);
    let missing = Missing { count: 1, keys: vec![bob.public().id().clone(), carol.public().id().clone()] };
    assert_eq!(partial.missing().unwrap(), [missing]);
    let early = partial.clone().finish();
    assert!(matches!(early, Err(AuthorError::Threshold { valid: 1, needed: 2, .. })));
    assert_eq!(partial.unverified_targets().unwrap().names(9), ["v<1>"]);
    assert_eq!((partial.version().get(), partial.expires()), (1, in_three_years()));
    partial.sign(&[&carol]).unwrap();
    assert_eq!(partial.missing().unwrap(), []);

    let mut repository = Repository::new(BASE);
    repository.replace_keys("targets", vec![alice, bob, carol], 2);
    let mut files = repository.publish();
    let finished = partial.finish().unwrap();
    files.files.insert("targets".to_owned(), finished.clone());
    let chain = RootChain::bootstrap(&gun(), files.get("root"), &RootPins::TrustOnFirstUse, now()).unwrap();
    let version = crate::tuf::signed_version(chain.root(), &RoleName::TARGETS, finished).unwrap();
    assert_eq!(version.get(), 1);
}

#[test]
fn copies_are_put_together() {
    let [alice, bob, _] = three();
    let (mut first, keys) = started();
    let mut second = read(&first.to_text().unwrap(), &keys).unwrap();
    first.sign(&[&alice]).unwrap();
    second.sign(&[&bob, &alice]).unwrap();
    assert_eq!(first.merge(&second).unwrap(), 1);
    assert_eq!(first.missing().unwrap(), []);
    let other = TargetsDraft::new(RoleName::TARGETS, days(1)).finish(&keys).unwrap().into_partial(&gun());
    assert!(matches!(first.merge(&other), Err(AuthorError::Different { .. })));
}

#[test]
fn signatures_that_do_not_fit_are_dropped() {
    let [alice, bob, _] = three();
    let (mut partial, keys) = started();
    partial.sign(&[&alice, &bob]).unwrap();
    let text = String::from_utf8(partial.to_text().unwrap()).unwrap();
    let swapped = text.replace(alice.id(), "@").replace(bob.id(), alice.id()).replace('@', bob.id());
    assert_eq!(read(swapped.as_bytes(), &keys).unwrap().signatures().count(), 0);
    // What was signed cannot be changed behind the signers' backs.
    let changed = text.replace("\"length\":523", "\"length\":524");
    assert_eq!(read(changed.as_bytes(), &keys).unwrap().signatures().count(), 0);
    // Signatures of keys that the trusted parent does not name are nothing.
    let others = role_keys(&[&TestKey::ed25519("carol")], 1);
    assert_eq!(read(text.as_bytes(), &others).unwrap().signatures().count(), 0);
    assert_eq!(read(text.as_bytes(), &keys).unwrap().signatures().count(), 2);
}

#[test]
fn files_that_are_none_are_refused() {
    let (mut partial, keys) = started();
    partial.sign(&[&three()[0]]).unwrap();
    let text = String::from_utf8(partial.to_text().unwrap()).unwrap();
    for (what, damaged) in [
        ("empty", String::new()),
        ("cut", text[..text.len() / 2].to_owned()),
        ("another format", text.replace("trustgate-signatures-1", "trustgate-signatures-9")),
        ("another repository", text.replace(BASE, "docker.io/acme/other")),
        ("another role", text.replace("\"role\":\"targets\"", "\"role\":\"targets/a\"")),
        (
            "no document",
            "{\"format\":\"trustgate-signatures-1\",\"gun\":\"docker.io/acme/base\",\"role\":\"targets\"}"
                .to_owned(),
        ),
        ("twice", text.replacen("\"format\"", "\"format\":\"trustgate-signatures-1\",\"format\"", 1)),
        ("wrong type", text.replace("\"_type\":\"Targets\"", "\"_type\":\"Root\"")),
        ("base64", text.replace("\"sig\":\"", "\"sig\":\"!")),
        ("many", text.replace("\"signatures\":[", &format!("\"signatures\":[{}", "{},".repeat(300)))),
        ("deep", format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))),
    ] {
        let result = read(damaged.as_bytes(), &keys);
        assert!(matches!(result, Err(AuthorError::Partial { .. })), "{what}: {result:?}");
    }
    assert!(read(text.as_bytes(), &keys).is_ok());
}

#[test]
fn a_root_that_is_passed_round_needs_the_old_keys_and_its_own() {
    let repository = Repository::new(BASE);
    let verified = repository.publish().verify(now()).unwrap();
    let old = repository.roles["root"].signers[0].clone();
    let (one, first) = root_key("one");
    let (two, second) = root_key("two");
    let mut draft = RootDraft::edit(verified.chain.root(), days(3650)).unwrap();
    draft.set_keys(&RoleName::ROOT, &RoleKeys { keys: vec![first, second], threshold: 2 }).unwrap();
    let text = draft.finish().unwrap().into_partial(&gun()).to_text().unwrap();
    let trusted = Root::role(verified.chain.root(), &RoleName::ROOT).unwrap();
    let mut partial = PartialDocument::from_text(&text, &gun(), &RoleName::ROOT, trusted).unwrap();
    let counts =
        |partial: &PartialDocument| partial.missing().unwrap().iter().map(|it| it.count).collect::<Vec<_>>();
    assert_eq!(counts(&partial), [2, 1]);
    partial.sign(&[&one, &old]).unwrap();
    assert_eq!(counts(&partial), [1]);
    partial.sign(&[&two]).unwrap();
    let mut chain = verified.chain.clone();
    chain.advance(partial.finish().unwrap(), &RootPins::TrustOnFirstUse, false, now()).unwrap();
}
