//! What trustgate signs docker and notary read, and the other way round, through the life of a repository.

use trustgate::image::{Digest, Gun};
use trustgate::keys::PrivateKey;
use trustgate::trust::TrustError;
use trustgate::trust::publish::{
    Change, DelegationChange, Event, Init, LastSigner, ManagedBy, Outcome, PublishError, Rotation, SignAs,
    SignOptions, SurveyScope, Tags,
};
use trustgate::tuf::RoleName;

use super::{Machine, block_on, gun, passphrases, published, target, versions};
use crate::support::image::Recipe;
use crate::support::{Engine, lab};

fn role(name: &str) -> RoleName {
    name.parse().expect("a role")
}

fn by_client() -> Rotation {
    Rotation { managed_by: ManagedBy::Client, new_keys: Vec::new(), legacy: 0 }
}

fn by_server() -> Rotation {
    Rotation { managed_by: ManagedBy::Server, ..by_client() }
}

#[test]
fn the_first_tags_of_a_repository() {
    let Some(lab) = lab() else { return };
    let machine = Machine::new(lab);
    let gun = gun("first");
    let first = published(machine.sign(&gun, "v1", b"one"));
    assert!(first.initialized);
    assert_eq!(versions(&first), ["root 1", "targets 1"]);
    assert_eq!(machine.digest(&gun, "v1").expect("a digest"), Digest::of(b"one"));
    let second = published(machine.sign(&gun, "v2", b"two"));
    assert_eq!(versions(&second), ["targets 2"]);
    assert!(matches!(machine.sign(&gun, "v2", b"two"), Ok(Outcome::Unchanged)));
    let list = machine.notary(&["list", gun.as_str()]);
    assert!(list.contains("v1") && list.contains("v2"), "{list}");
    // Somebody who never saw the repository reads it, too.
    assert_eq!(Machine::new(lab).digest(&gun, "v2").expect("a digest"), Digest::of(b"two"));
    // A second repository has the same root key, in a certificate of its own.
    let other = super::gun("second");
    published(machine.sign(&other, "v1", b"one"));
    let keys = machine.keys().list().expect("a list").keys;
    assert_eq!(keys.len(), 3, "{keys:?}");
}

#[test]
fn docker_pulls_inspects_and_pushes_what_trustgate_began() {
    let Some(lab) = lab() else { return };
    let machine = Machine::new(lab);
    let image = lab.push_unsigned("publish/docker:v1", &Recipe::busybox());
    let gun: Gun = image.repository.parse().expect("a name");
    let manifest = image_target(&image.digest);
    let tags = [("v1".to_owned(), manifest)];
    let publisher = machine.publisher();
    published(block_on(publisher.sign(&gun, &tags, &SignOptions::docker(), &mut passphrases())));
    let stranger = Machine::new(lab);
    for text in stranger.every_docker(&["pull", &image.by_tag()]) {
        assert!(text.contains(&image.digest), "{text}");
    }
    for text in stranger.every_docker(&["trust", "inspect", &image.repository]) {
        assert!(text.contains(image.digest.trim_start_matches("sha256:")), "{text}");
    }
    // The repository key is Ed25519, and docker goes on with it.
    for (number, engine) in Engine::ALL.into_iter().enumerate() {
        let tag = format!("{}:by-docker-{number}", image.repository);
        engine.run(lab, &["pull", &image.by_digest()]);
        engine.run(lab, &["tag", &image.by_digest(), &tag]);
        let text = machine.docker(engine, &["push", &tag]);
        assert!(text.contains("Successfully signed"), "{text}");
        assert_eq!(
            machine.digest(&gun, &format!("by-docker-{number}")).expect("a digest").to_string(),
            image.digest
        );
    }
    // So is a signer's key.
    let key = machine.signer_key("alice", &PrivateKey::generate_ed25519().expect("a key"));
    machine.add_signer(&gun, "alice", &key);
    for (number, engine) in Engine::ALL.into_iter().enumerate() {
        let tag = format!("{}:by-alice-{number}", image.repository);
        engine.run(lab, &["tag", &image.by_digest(), &tag]);
        let text = machine.docker(engine, &["trust", "sign", &tag]);
        assert!(text.contains("Successfully signed"), "{text}");
    }
    if let Some(text) = {
        let tag = format!("{}:by-alice-28", image.repository);
        Engine::Bookworm.run(lab, &["tag", &image.by_digest(), &tag]);
        machine.docker_of_this_machine(&["push", &tag])
    } {
        assert!(text.contains("Successfully signed"), "{text}");
    }
    let tags = [("by-us".to_owned(), image_target(&image.digest))];
    let ours = published(block_on(publisher.sign(&gun, &tags, &SignOptions::docker(), &mut passphrases())));
    assert_eq!(ours.roles.len(), 2, "{ours:?}");
    for text in stranger.every_docker(&["trust", "inspect", "--pretty", &image.repository]) {
        for tag in ["by-us", "by-alice-0", "by-alice-1", "by-docker-0", "v1"] {
            assert!(text.contains(tag), "{tag}: {text}");
        }
    }
    for text in stranger.every_docker(&["pull", &format!("{}:by-us", image.repository)]) {
        assert!(text.contains(&image.digest), "{text}");
    }
}

fn image_target(digest: &str) -> trustgate::tuf::Target {
    let sha256 = hex::decode(digest.trim_start_matches("sha256:")).expect("a digest");
    let sha256 = Some(sha256.try_into().expect("32 bytes"));
    trustgate::tuf::Target { length: 500, sha256, sha512: None, custom: None }
}

#[test]
fn a_repository_goes_back_and_forth_through_rotations() {
    let Some(lab) = lab() else { return };
    let (machine, reader) = (Machine::new(lab), Machine::new(lab));
    let gun = gun("rotations");
    let file = machine.config.path().join("content");
    std::fs::write(&file, "notary's").expect("a file");
    let add = |tag: &str| {
        machine.notary(&["add", "-p", gun.as_str(), tag, file.to_str().expect("a path")]);
    };
    let rotate = |name: &str, rotation: &Rotation| {
        let rotated = machine.publisher();
        published(block_on(rotated.rotate(&gun, &role(name), rotation, &mut passphrases())))
    };
    let check = |tags: &[&str]| {
        let list = reader.notary(&["list", gun.as_str()]);
        for tag in tags {
            assert!(list.contains(tag), "{tag}: {list}");
            reader.digest(&gun, tag).unwrap_or_else(|error| panic!("{tag}: {error}"));
        }
    };
    // Notary keeps the snapshot key itself where nobody says otherwise.
    machine.notary(&["init", "-p", gun.as_str()]);
    add("n1");
    let ours = published(machine.sign(&gun, "t1", b"ours"));
    assert_eq!(versions(&ours), ["targets 4", "snapshot 4"]);
    check(&["n1", "t1"]);
    assert_eq!(versions(&rotate("targets", &by_client())), ["root 2", "targets 5", "snapshot 5"]);
    check(&["n1", "t1"]);
    add("n2");
    assert_eq!(versions(&rotate("snapshot", &by_server())), ["root 3"]);
    check(&["n2", "t1"]);
    published(machine.sign(&gun, "t2", b"ours too"));
    add("n3");
    let rotated = rotate("snapshot", &by_client());
    assert_eq!(rotated.roles.last().map(|it| it.role.clone()), Some(RoleName::SNAPSHOT));
    add("n4");
    rotate("timestamp", &by_server());
    check(&["n3", "n4", "t2"]);
    let old = Machine::new(lab);
    old.digest(&gun, "t2").expect("a digest");
    let rotated = rotate("root", &by_client());
    assert_eq!(rotated.roles[0].key_ids.len(), 2, "old and new sign");
    machine.notary(&["key", "rotate", gun.as_str(), "targets"]);
    add("n5");
    published(machine.sign(&gun, "t3", b"again"));
    check(&["n5", "t3"]);
    assert_eq!(old.digest(&gun, "t3").expect("a digest"), Digest::of(b"again"));
    // A client that missed rotations of the root is led by those that come after.
    let rotated = rotate("root", &Rotation { legacy: 8, ..by_client() });
    assert!(2 < rotated.roles[0].key_ids.len(), "{rotated:?}");
    check(&["n5", "t3"]);
    let left = machine.keys().list().expect("a list").keys;
    let here = |name: &str| left.iter().filter(|it| it.role.as_str() == name).count();
    assert_eq!((here("root"), here("targets"), here("snapshot")), (3, 1, 1), "{left:?}");
}

#[test]
fn signers_come_and_go() {
    let Some(lab) = lab() else { return };
    let (admin, alice, bob) = (Machine::new(lab), Machine::new(lab), Machine::new(lab));
    let gun = gun("signers");
    published(admin.sign(&gun, "v0", b"by the admin"));
    let folder = alice.config.path().to_str().expect("a path").to_owned();
    alice.docker(Engine::Bookworm, &["trust", "key", "generate", "alice", "--dir", &folder]);
    let text = std::fs::read(alice.config.path().join("alice.pub")).expect("a public key");
    let pem = pem::parse(text).expect("a PEM file");
    let key = trustgate::tuf::PublicKey::from_key_info(pem.contents()).expect("a key");
    assert_eq!(versions(&admin.add_signer(&gun, "alice", &key)), ["targets 2"]);
    let key = bob.signer_key("bob", &PrivateKey::generate_ed25519().expect("a key"));
    admin.add_signer(&gun, "bob", &key);
    let list = admin.notary(&["delegation", "list", gun.as_str()]);
    for name in ["targets/alice", "targets/bob", "targets/releases"] {
        assert!(list.contains(name), "{list}");
    }
    // The admin's key is no signer's: docker's rule.
    let error = admin.sign(&gun, "v1", b"one").expect_err("no key");
    assert!(matches!(&error, PublishError::NoSigningKey { roles, .. } if roles.len() == 3), "{error}");
    assert!(error.help().join("\n").contains(key.canonical_id().as_str()));
    let signed = published(alice.sign(&gun, "v1", b"one"));
    assert_eq!(versions(&signed), ["targets/alice 1", "targets/releases 1"]);
    let signed = published(bob.sign(&gun, "v1", b"one"));
    assert_eq!(versions(&signed), ["targets/bob 1"]);
    let file = alice.config.path().join("content");
    std::fs::write(&file, "two").expect("a file");
    alice.notary(&[
        "add",
        "-p",
        gun.as_str(),
        "v2",
        file.to_str().expect("a path"),
        "-r",
        "targets/releases",
    ]);
    assert_eq!(bob.digest(&gun, "v2").expect("a digest"), Digest::of(b"two"));
    let survey = block_on(bob.publisher().survey(&gun, SurveyScope::Valid)).expect("a survey");
    assert_eq!(survey.targets.len(), 5);
    let names: Vec<&str> = survey.delegations.iter().map(|it| it.role.as_str()).collect();
    assert_eq!(names, ["targets/alice", "targets/releases", "targets/bob"]);
    assert!(survey.delegations[2].keys[0].here && survey.delegations[2].keys[0].signed);
    assert!(!survey.delegations[0].keys[0].here && survey.delegations[0].problem.is_none());

    // Alice goes. She signed `targets/releases` last, so bob has to sign it anew before anybody can read.
    let remove =
        |name: &str, last| block_on(admin.publisher().remove_signer(&gun, name, last, &mut passphrases()));
    published(remove("alice", LastSigner::Refuse));
    let unsigned = |it: &Event| matches!(it, Event::NeedsSigning { role, .. } if *role == RoleName::RELEASES);
    assert!(admin.events().iter().any(unsigned));
    assert!(matches!(bob.digest(&gun, "v1"), Err(TrustError::Metadata { .. })));
    let content = bob.config.path().join("content");
    std::fs::write(&content, "lost").expect("a file");
    let content = content.to_str().expect("a path");
    // Notary begins the file at version 1, which the server never takes.
    let refused = bob.notary_fails(&["add", "-p", gun.as_str(), "lost", content, "-r", "targets/releases"]);
    assert!(refused.contains("rejected"), "{refused}");
    assert_eq!(bob.publisher().clear_staged(&gun).expect("a number"), 1);
    let witness = Change::Witness { role: RoleName::RELEASES };
    bob.publisher().stage(&gun, &witness).expect("a staged change");
    let refused = block_on(bob.publisher().publish_staged(&gun, &mut passphrases()));
    assert!(matches!(refused, Err(PublishError::Trust(TrustError::Metadata { .. }))), "{refused:?}");
    bob.publisher().clear_staged(&gun).expect("a number");
    published(bob.sign(&gun, "v3", b"three"));
    assert_eq!(bob.digest(&gun, "v3").expect("a digest"), Digest::of(b"three"));
    assert!(matches!(bob.digest(&gun, "v1"), Err(TrustError::NotReleased { .. })), "it was alice's word");
    assert!(matches!(alice.sign(&gun, "v4", b"four"), Err(PublishError::NoSigningKey { .. })));
    assert!(admin.notary(&["list", gun.as_str()]).contains("v3"));
    // Back again, her role's old file still is on the server.
    let pem = pem::parse(std::fs::read(alice.config.path().join("alice.pub")).expect("a file")).expect("PEM");
    let key = trustgate::tuf::PublicKey::from_key_info(pem.contents()).expect("a key");
    admin.add_signer(&gun, "alice", &key);
    published(alice.sign(&gun, "v4", b"four"));
    assert_eq!(bob.digest(&gun, "v4").expect("a digest"), Digest::of(b"four"));
    published(remove("alice", LastSigner::Refuse));
    // And with another key, below which the old file does not hold.
    let key = alice.signer_key("alice-again", &PrivateKey::generate_ed25519().expect("a key"));
    admin.add_signer(&gun, "alice", &key);
    published(alice.sign(&gun, "v5", b"five"));
    published(remove("alice", LastSigner::Refuse));
    published(bob.sign(&gun, "v5", b"five"));

    assert!(matches!(remove("carol", LastSigner::Refuse), Err(PublishError::NoSuchSigner { .. })));
    assert!(matches!(remove("bob", LastSigner::Refuse), Err(PublishError::LastSigner { .. })));
    published(remove("bob", LastSigner::Remove));
    published(admin.sign(&gun, "v6", b"six"));
    assert_eq!(bob.digest(&gun, "v6").expect("a digest"), Digest::of(b"six"));
}

#[test]
fn revoked_tags_are_gone_for_everybody() {
    let Some(lab) = lab() else { return };
    let (admin, alice) = (Machine::new(lab), Machine::new(lab));
    let gun = gun("revoked");
    for tag in ["v1", "v2", "v3"] {
        published(admin.sign(&gun, tag, tag.as_bytes()));
    }
    let revoke = |machine: &Machine, tags: Tags| {
        block_on(machine.publisher().revoke(&gun, &tags, &SignAs::Automatic, &mut passphrases()))
    };
    let these = |tag: &str| Tags::These(vec![tag.to_owned()]);
    published(revoke(&admin, these("v1")));
    assert!(matches!(alice.digest(&gun, "v1"), Err(TrustError::NotSigned { .. })));
    assert!(!alice.notary(&["list", gun.as_str()]).contains("v1"));
    assert!(matches!(revoke(&admin, these("v1")), Err(PublishError::NotSigned { .. })));
    let key = alice.signer_key("alice", &PrivateKey::generate_p256().expect("a key"));
    admin.add_signer(&gun, "alice", &key);
    published(alice.sign(&gun, "v2", b"v2"));
    // Docker would take it from the delegations only, and then find it in `targets` again.
    let half = published(revoke(&alice, these("v2")));
    assert_eq!(half.still_signed, [("v2".to_owned(), RoleName::TARGETS)]);
    published(revoke(&admin, these("v2")));
    assert!(matches!(alice.digest(&gun, "v2"), Err(TrustError::NotSigned { .. })));
    assert!(matches!(revoke(&Machine::new(lab), Tags::All), Err(PublishError::NoSigningKey { .. })));
    published(revoke(&admin, Tags::All));
    assert!(matches!(alice.digest(&gun, "v3"), Err(TrustError::NotSigned { .. })));
}

#[test]
fn staged_changes_are_notarys_own() {
    let Some(lab) = lab() else { return };
    let machine = Machine::new(lab);
    let gun = gun("staged");
    let publisher = machine.publisher();
    let file = machine.config.path().join("content");
    std::fs::write(&file, "notary's").expect("a file");
    let file = file.to_str().expect("a path");
    // Notary begins the repository and stages; we publish all of it.
    machine.notary(&["init", gun.as_str()]);
    machine.notary(&["add", gun.as_str(), "n1", file]);
    machine.notary(&["add", gun.as_str(), "n2", file]);
    machine.notary(&["remove", gun.as_str(), "n1"]);
    let key = machine.signer_key("alice", &PrivateKey::generate_ed25519().expect("a key"));
    let other = machine.signer_key("bob", &PrivateKey::generate_p256().expect("a key"));
    std::fs::write(machine.config.path().join("bob.pem"), {
        let encoded = pem::Pem::new("PUBLIC KEY", other.public());
        pem::encode(&encoded)
    })
    .expect("a file");
    let pem = machine.config.path().join("bob.pem");
    machine.notary(&[
        "delegation",
        "add",
        gun.as_str(),
        "targets/bob",
        pem.to_str().expect("a path"),
        "--all-paths",
    ]);
    assert_eq!(publisher.staged(&gun).expect("a list").len(), 5);
    let done = published(block_on(publisher.publish_staged(&gun, &mut passphrases())));
    assert!(done.initialized);
    assert_eq!(publisher.staged(&gun).expect("a list"), []);
    assert!(machine.notary(&["status", gun.as_str()]).contains("No unpublished changes"));
    let list = Machine::new(lab).notary(&["list", gun.as_str()]);
    assert!(list.contains("n2") && !list.contains("n1"), "{list}");
    // We stage; notary lists and publishes it.
    let change = DelegationChange::Update {
        add_keys: vec![key.clone()],
        remove_keys: Vec::new(),
        add_paths: vec![String::new()],
        remove_paths: Vec::new(),
        clear_paths: false,
    };
    let action = trustgate::trust::publish::Action::Create;
    for change in [
        Change::AddTarget { role: RoleName::TARGETS, name: "t1".to_owned(), target: target(b"ours") },
        Change::RemoveTarget { role: RoleName::TARGETS, name: "n2".to_owned() },
        Change::Delegation { role: role("targets/alice"), action, change, threshold: Some(1) },
        Change::Witness { role: RoleName::TARGETS },
    ] {
        publisher.stage(&gun, &change).expect("a staged change");
    }
    let read: Vec<Change> = publisher.staged(&gun).expect("a list").into_iter().map(|it| it.change).collect();
    assert_eq!(read.len(), 4);
    let status = machine.notary(&["status", gun.as_str()]);
    assert!(status.contains("t1") && status.contains("targets/alice"), "{status}");
    machine.notary(&["publish", gun.as_str()]);
    assert_eq!(publisher.staged(&gun).expect("a list"), []);
    let list = machine.notary(&["list", gun.as_str()]);
    assert!(list.contains("t1") && !list.contains("n2"), "{list}");
    assert!(machine.notary(&["delegation", "list", gun.as_str()]).contains(key.canonical_id().as_str()));
    // What cannot be published stays, and can be cleared.
    let change =
        Change::AddTarget { role: role("targets/carol"), name: "x".to_owned(), target: target(b"x") };
    publisher.stage(&gun, &change).expect("a staged change");
    let refused = block_on(publisher.publish_staged(&gun, &mut passphrases()));
    assert!(matches!(refused, Err(PublishError::Staged { .. })), "{refused:?}");
    assert_eq!(publisher.clear_staged(&gun).expect("a number"), 1);
}

#[test]
fn a_repository_is_deleted_and_begun_again() {
    let Some(lab) = lab() else { return };
    let (machine, other) = (Machine::new(lab), Machine::new(lab));
    let gun = gun("deleted");
    published(machine.sign(&gun, "v1", b"one"));
    other.digest(&gun, "v1").expect("a digest");
    let publisher = machine.publisher();
    assert_eq!(publisher.known_repositories().expect("a list"), std::slice::from_ref(&gun));
    let again = block_on(publisher.initialize(&gun, &Init::docker(), &mut passphrases()));
    assert!(matches!(again, Err(PublishError::AlreadyInitialized { .. })));
    let deleted = block_on(publisher.delete(&gun, true, false)).expect("a deletion");
    assert!(deleted.remote && !deleted.local);
    assert!(matches!(other.digest(&gun, "v1"), Err(TrustError::MissingRole { .. })));
    // The machine remembers what the server forgot: that could be the wrong server.
    assert!(matches!(machine.sign(&gun, "v2", b"two"), Err(PublishError::Vanished { .. })));
    let deleted = block_on(publisher.delete(&gun, false, true)).expect("a deletion");
    assert!(deleted.local && deleted.keys.len() == 1, "{deleted:?}");
    assert_eq!(publisher.known_repositories().expect("a list"), []);
    let kept = block_on(publisher.initialize(
        &gun,
        &Init { snapshot: ManagedBy::Client, ..Init::docker() },
        &mut passphrases(),
    ));
    assert_eq!(versions(&published(kept)), ["root 1", "targets 1", "snapshot 1"]);
    published(machine.sign(&gun, "v2", b"two"));
    // Who knew the old repository must not take the new one for it.
    assert!(matches!(other.digest(&gun, "v2"), Err(TrustError::Metadata { .. })));
    assert_eq!(Machine::new(lab).digest(&gun, "v2").expect("a digest"), Digest::of(b"two"));
}
