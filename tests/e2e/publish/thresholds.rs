//! More than one signature, and more than enough time.

use jiff::SignedDuration;
use trustgate::image::Digest;
use trustgate::keys::{KeyRole, PrivateKey};
use trustgate::trust::TrustError;
use trustgate::trust::publish::{
    DelegationChange, Event, ManagedBy, Outcome, Part, PublishError, Publisher, Rotation, SignAs,
    SignOptions, SurveyScope, WithoutTrust,
};
use trustgate::tuf::{KeyId, RoleName};

use super::{Machine, block_on, gun, passphrases, published, target, versions};
use crate::support::lab;

/// What is passed round, as it would be in a file.
fn passed_round(outcome: Result<Outcome, PublishError>) -> Vec<u8> {
    match outcome.expect("documents") {
        Outcome::Incomplete(parts) => Publisher::write_parts(&parts).expect("a file"),
        other => panic!("nothing to pass round: {other:?}"),
    }
}

#[test]
fn two_signers_release_together() {
    let Some(lab) = lab() else { return };
    let (admin, alice, bob) = (Machine::new(lab), Machine::new(lab), Machine::new(lab));
    let gun = gun("threshold");
    let admin_publisher = admin.publisher();
    published(admin.sign(&gun, "v0", b"zero"));
    for (name, machine) in [("alice", &alice), ("bob", &bob)] {
        let key = machine.signer_key(name, &PrivateKey::generate_ed25519().expect("a key"));
        admin.add_signer(&gun, name, &key);
    }
    published(alice.sign(&gun, "v1", b"one"));
    // The release role has one signature, and now needs two: both must sign it anew first.
    let set = |role: &RoleName, threshold| {
        block_on(admin_publisher.set_threshold(&gun, role, threshold, &mut passphrases()))
    };
    assert!(matches!(set(&RoleName::RELEASES, 3), Err(PublishError::Author { .. })), "there are two keys");
    let text = passed_round(set(&RoleName::RELEASES, 2));
    let add = |machine: &Machine, texts: &[Vec<u8>]| {
        block_on(machine.publisher().publish_partial(&gun, texts, &mut passphrases()))
    };
    let read =
        block_on(admin_publisher.read_parts(&gun, std::slice::from_ref(&text))).expect("the documents");
    assert_eq!(summary(&read), [("targets".to_owned(), 1, 0), ("targets/releases".to_owned(), 0, 2)]);
    // Each gets the same file, and the copies are put together by whoever has them.
    let by_alice = passed_round(add(&alice, std::slice::from_ref(&text)));
    published(add(&bob, &[text.clone(), by_alice]));
    assert_eq!(alice.digest(&gun, "v1").expect("a digest"), Digest::of(b"one"));
    // From here on, one alone cannot release.
    let options =
        SignOptions { roles: SignAs::Roles(vec![RoleName::RELEASES]), without_trust: WithoutTrust::Refuse };
    let sign = |machine: &Machine, tag: &str, content: &[u8]| {
        let tags = [(tag.to_owned(), target(content))];
        block_on(machine.publisher().sign(&gun, &tags, &options, &mut passphrases()))
    };
    let text = passed_round(sign(&alice, "v2", b"two"));
    assert!(matches!(alice.digest(&gun, "v2"), Err(TrustError::NotSigned { .. })));
    assert!(
        matches!(add(&alice, std::slice::from_ref(&text)), Ok(Outcome::Incomplete(_))),
        "she signed already"
    );
    assert_eq!(versions(&published(add(&bob, std::slice::from_ref(&text)))), ["targets/releases 3"]);
    assert_eq!(admin.digest(&gun, "v2").expect("a digest"), Digest::of(b"two"));
    assert!(Machine::new(lab).notary(&["list", gun.as_str()]).contains("v2"));
    let outdated = add(&bob, &[text]);
    assert!(matches!(outdated, Err(PublishError::PartOutdated { .. })), "{outdated:?}");
    let broken = add(&bob, &[b"{}".to_vec()]);
    assert!(matches!(broken, Err(PublishError::Parts { .. })), "{broken:?}");
    // Back to one.
    published(set(&RoleName::RELEASES, 1));
    published(sign(&bob, "v3", b"three"));
}

fn summary(parts: &[Part]) -> Vec<(String, usize, u64)> {
    let one = |part: &Part| {
        let missing = part.missing.first().map_or(0, |it| it.count);
        (part.document.role().to_string(), part.document.signatures().count(), missing)
    };
    parts.iter().map(one).collect()
}

#[test]
fn what_expired_is_signed_again_where_docker_and_notary_are_locked_out() {
    let Some(lab) = lab() else { return };
    let machine = Machine::new(lab);
    let gun = gun("expired");
    // Signed so long ago that it ends in a moment.
    *machine.now.lock().expect("a clock") =
        SignedDuration::from_hours(-24 * 1095) + SignedDuration::from_secs(6);
    published(machine.sign(&gun, "v1", b"one"));
    let key = machine.signer_key("alice", &PrivateKey::generate_ed25519().expect("a key"));
    // A reader in the past finds the timestamp good, and so does a publisher.
    machine.add_signer(&gun, "alice", &key);
    published(machine.sign(&gun, "v2", b"two"));
    *machine.now.lock().expect("a clock") = SignedDuration::ZERO;
    let survey = |scope| block_on(machine.publisher().survey(&gun, scope));
    let expired = |error: &TrustError| error.to_string().contains("expired");
    let over = (0..200).any(|_| {
        // Notary goes by the machine's clock, and its server takes nothing that has expired already: so
        // the end has to be awaited. What is tested is that it came, however late.
        std::thread::sleep(std::time::Duration::from_millis(50));
        machine.digest(&gun, "v2").is_err_and(|it| expired(&it))
    });
    assert!(over, "the metadata does not expire");
    let stranger = Machine::new(lab);
    assert!(!stranger.notary_fails(&["list", gun.as_str()]).is_empty());
    let error = machine.sign(&gun, "v3", b"three").expect_err("it is expired");
    assert!(error.help().join("\n").contains("repo refresh"), "{error}");
    assert!(survey(SurveyScope::Valid).is_err());
    let seen = survey(SurveyScope::EvenExpired).expect("a survey");
    assert_eq!(seen.targets.iter().filter(|it| it.name == "v2").count(), 2);
    // Who has no key cannot help.
    let within = SignedDuration::from_hours(24);
    let refresh = |machine: &Machine| block_on(machine.publisher().refresh(&gun, within, &mut passphrases()));
    assert!(matches!(refresh(&stranger), Err(PublishError::NoSigningKey { .. })));
    let refreshed = published(refresh(&machine));
    assert_eq!(versions(&refreshed), ["targets 3", "targets/alice 2", "targets/releases 2"]);
    assert!(machine.events().contains(&Event::Renewed { role: RoleName::TARGETS }));
    assert_eq!(stranger.digest(&gun, "v2").expect("a digest"), Digest::of(b"two"));
    assert!(stranger.notary(&["list", gun.as_str()]).contains("v2"));
    published(machine.sign(&gun, "v3", b"three"));
    assert!(matches!(refresh(&machine), Ok(Outcome::Unchanged)));
    // Without the server, the cache tells what this machine knows.
    let cached = survey(SurveyScope::Cached).expect("a survey");
    assert_eq!(cached.roles, survey(SurveyScope::Valid).expect("a survey").roles);
}

#[test]
fn what_is_near_its_end_is_renewed_by_those_who_can() {
    let Some(lab) = lab() else { return };
    let (admin, alice) = (Machine::new(lab), Machine::new(lab));
    let gun = gun("old-root");
    *admin.now.lock().expect("a clock") = SignedDuration::from_hours(-24 * 1000);
    published(admin.sign(&gun, "v0", b"zero"));
    let key = alice.signer_key("alice", &PrivateKey::generate_ed25519().expect("a key"));
    admin.add_signer(&gun, "alice", &key);
    *admin.now.lock().expect("a clock") = SignedDuration::ZERO;
    // Targets end within 95 days, and are signed again by whoever has their key.
    published(alice.sign(&gun, "v1", b"one"));
    assert!(
        alice
            .events()
            .iter()
            .any(|it| matches!(it, Event::NearExpiry { role, .. } if *role == RoleName::TARGETS))
    );
    let refresh = |days: i64| {
        let within = SignedDuration::from_hours(24 * days);
        published(block_on(admin.publisher().refresh(&gun, within, &mut passphrases())))
    };
    assert_eq!(versions(&refresh(100)), ["targets 3"]);
    // The root's certificate ends with the root, and is replaced by one around the same key.
    assert_eq!(refresh(2700).roles[0].role, RoleName::ROOT);
    assert_eq!(alice.digest(&gun, "v1").expect("a digest"), Digest::of(b"one"));
    assert!(Machine::new(lab).notary(&["list", gun.as_str()]).contains("v0"));
    let change = DelegationChange::Update {
        add_keys: Vec::new(),
        remove_keys: Vec::new(),
        add_paths: vec!["nightly-".to_owned()],
        remove_paths: Vec::new(),
        clear_paths: true,
    };
    let role: RoleName = "targets/alice".parse().expect("a role");
    published(block_on(admin.publisher().change_delegation(&gun, &role, &change, &mut passphrases())));
    let signed = published(alice.sign(&gun, "v2", b"two"));
    assert_eq!(versions(&signed), ["targets/releases 2"]);
    let signed = published(alice.sign(&gun, "nightly-2", b"two"));
    assert_eq!(versions(&signed), ["targets/alice 2", "targets/releases 3"]);
}

/// Two root keys on two machines: docker and notary count signatures, and need no more than that.
#[test]
fn two_root_keys_sign_together() {
    let Some(lab) = lab() else { return };
    let (one, other) = (Machine::new(lab), Machine::new(lab));
    let gun = gun("root-threshold");
    published(one.sign(&gun, "v1", b"one"));
    let second = PrivateKey::generate_p256().expect("a key");
    one.keys().write(&second, &KeyRole::root(), None, &mut passphrases()).expect("a stored key");
    let mut root_keys: Vec<KeyId> = one
        .keys()
        .list()
        .expect("a list")
        .keys
        .into_iter()
        .filter(|it| it.role == KeyRole::root())
        .map(|it| it.id)
        .collect();
    root_keys.sort_by_key(|it| it == second.id());
    let rotation = |new_keys: &[KeyId]| Rotation {
        managed_by: ManagedBy::Client,
        new_keys: new_keys.to_vec(),
        legacy: 0,
    };
    let rotate = |machine: &Machine, role, new_keys: &[KeyId]| {
        block_on(machine.publisher().rotate(&gun, &role, &rotation(new_keys), &mut passphrases()))
    };
    published(rotate(&one, RoleName::ROOT, &root_keys));
    published(block_on(one.publisher().set_threshold(&gun, &RoleName::ROOT, 2, &mut passphrases())));
    assert!(Machine::new(lab).notary(&["list", gun.as_str()]).contains("v1"));
    // The second key moves to another machine.
    other.keys().write(&second, &KeyRole::root(), None, &mut passphrases()).expect("a stored key");
    one.keys().remove(second.id()).expect("a key less");
    let refused = rotate(&one, RoleName::TARGETS, &[]);
    let text = passed_round(refused);
    let done = block_on(other.publisher().publish_partial(&gun, &[text], &mut passphrases()));
    assert_eq!(versions(&published(done)), ["root 4", "targets 2"]);
    published(one.sign(&gun, "v2", b"two"));
    let stranger = Machine::new(lab);
    assert_eq!(stranger.digest(&gun, "v2").expect("a digest"), Digest::of(b"two"));
    assert!(stranger.notary(&["list", gun.as_str()]).contains("v2"));
}
