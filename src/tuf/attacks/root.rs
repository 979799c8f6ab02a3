//! Attacks on the root: whose it is, who vouches for it, and how it came to be the current one.

use std::collections::BTreeSet;

use serde_json::json;

use super::{GUN, assert_refused, refusal, repository};
use crate::tuf::testing::{
    DIGITAL_SIGNATURE, ECDSA_SHA1, Files, Repository, TestCertificate, TestKey, days, now,
};
use crate::tuf::{KeyType, PublicKey, RoleName, RootChain, RootPins, TufError, Version, verify_snapshot};

const ANYONE: &RootPins = &RootPins::TrustOnFirstUse;

fn trusted(files: &Files) -> RootChain {
    RootChain::bootstrap(&files.gun(), files.get("root"), ANYONE, now()).unwrap()
}

fn with_root_key(key: TestKey) -> Repository {
    let mut repository = repository();
    repository.replace_keys("root", vec![key], 1);
    repository
}

fn with_certificate(edit: impl Fn(&mut TestCertificate)) -> Repository {
    let mut certificate = TestCertificate::for_gun(GUN, days(-30));
    edit(&mut certificate);
    with_root_key(TestKey::p256("root").in_certificate(&certificate))
}

#[test]
fn root_of_another_repository() {
    let repository = with_certificate(|it| it.common_names = vec!["docker.io/mallory/base".to_owned()]);
    assert_refused!(refusal(&repository), TufError::WrongRepository { names, gun }
        if names == &["docker.io/mallory/base"] && gun == GUN);
}

#[test]
fn root_of_names_that_look_alike() {
    for name in [
        "docker.io/acme/bas",
        "docker.io/acme/base2",
        "docker.io/acme/base ",
        "Docker.io/acme/base",
        "docker.io/acme*/base",
        "docker.io/acme/bases*",
        "*.io/acme/base",
        "",
        "docker.io/acme/base\u{200b}",
    ] {
        let repository = with_certificate(|it| it.common_names = vec![name.to_owned()]);
        assert_refused!(refusal(&repository), TufError::WrongRepository { .. });
    }
}

#[test]
fn certificate_with_two_names_or_none() {
    for names in [vec!["docker.io/mallory/base".to_owned(), GUN.to_owned()], Vec::new()] {
        let repository = with_certificate(|it| it.common_names.clone_from(&names));
        assert_refused!(refusal(&repository), TufError::Certificate { reason, .. } if reason.contains("one common name"));
    }
}

#[test]
fn root_replaced_by_another() {
    let mut chain = trusted(&repository().publish());
    let mallory = with_root_key(repository().root_key("mallory")).publish();
    let before = chain.root().raw().to_vec();
    let error = chain.advance(mallory.get("root"), ANYONE, false, now()).unwrap_err();
    assert_refused!(error, TufError::NotSignedByPrevious { valid: 0, needed: 1, .. });
    assert_eq!(chain.root().raw(), before, "a refused root must leave no trace");
}

#[test]
fn rotated_root_signed_only_by_the_new_key() {
    let mut repository = repository();
    let mut chain = trusted(&repository.publish());
    let key = repository.root_key("new");
    repository.rotate_root(std::slice::from_ref(&key));
    repository.role("root").signers = vec![key];
    let error = chain.advance(repository.publish().get("root"), ANYONE, false, now()).unwrap_err();
    assert_refused!(error, TufError::NotSignedByPrevious { .. });
}

#[test]
fn rotated_root_signed_only_by_the_old_key() {
    let mut repository = repository();
    let mut chain = trusted(&repository.publish());
    repository.rotate_root(&[repository.root_key("new")]);
    repository.role("root").signers.truncate(1);
    let error = chain.advance(repository.publish().get("root"), ANYONE, false, now()).unwrap_err();
    assert_refused!(error, TufError::Threshold { role, .. } if *role == RoleName::ROOT);
}

/// Version 1 by key a, 2 by a and b, 3 by b and c.
fn two_rotations() -> [Vec<u8>; 3] {
    let mut repository = repository();
    let first = repository.publish().get("root");
    repository.rotate_root(&[repository.root_key("b")]);
    let second = repository.publish().get("root");
    repository.role("root").signers.remove(0);
    repository.rotate_root(&[repository.root_key("c")]);
    [first, second, repository.publish().get("root")]
}

#[test]
fn skipped_rotation() {
    let [first, second, third] = two_rotations();
    let mut chain = RootChain::bootstrap(&GUN.parse().unwrap(), first, ANYONE, now()).unwrap();
    let error = chain.advance(third.clone(), ANYONE, false, now()).unwrap_err();
    assert_refused!(error, TufError::NotSignedByPrevious { .. });
    chain.advance(second, ANYONE, true, now()).unwrap();
    chain.advance(third, ANYONE, false, now()).unwrap();
    assert_eq!(chain.root().version(), Version::new(3).unwrap());
}

#[test]
fn intermediate_that_is_not_the_next() {
    let mut repository = repository();
    let mut chain = trusted(&repository.publish());
    repository.role("root").set_version(3);
    let third = repository.publish().get("root");
    assert_refused!(
        chain.advance(third.clone(), ANYONE, true, now()).unwrap_err(),
        TufError::Malformed { .. }
    );
    chain.advance(third, ANYONE, false, now()).unwrap();
}

#[test]
fn rollback_of_root() {
    let mut repository = repository();
    let first = repository.publish().get("root");
    repository.role("root").set_version(2);
    let mut chain = trusted(&repository.publish());
    for intermediate in [false, true] {
        let error = chain.advance(first.clone(), ANYONE, intermediate, now()).unwrap_err();
        assert_refused!(error, TufError::Rollback { role, .. } if *role == RoleName::ROOT);
    }
}

#[test]
fn two_roots_of_one_version() {
    let mut repository = repository();
    let mut chain = trusted(&repository.publish());
    repository.replace_keys("timestamp", vec![TestKey::p256("mallory")], 1);
    let error = chain.advance(repository.publish().get("root"), ANYONE, false, now()).unwrap_err();
    assert_refused!(error, TufError::Conflict { .. });
}

#[test]
fn previous_threshold_not_met() {
    let mut repository = repository();
    let keys = [repository.root_key("a"), repository.root_key("b")];
    repository.replace_keys("root", keys.to_vec(), 2);
    let mut chain = trusted(&repository.publish());
    repository.set_keys("root", &keys[..1], 1);
    repository.role("root").signers.truncate(1);
    repository.role("root").set_version(2);
    let error = chain.advance(repository.publish().get("root"), ANYONE, false, now()).unwrap_err();
    assert_refused!(error, TufError::NotSignedByPrevious { valid: 1, needed: 2, .. });
}

#[test]
fn own_threshold_not_met() {
    let mut repository = repository();
    let keys = [repository.root_key("a"), repository.root_key("b")];
    repository.set_keys("root", &keys, 2);
    repository.role("root").signers = vec![keys[0].clone()];
    assert_refused!(refusal(&repository), TufError::Threshold { role, valid: 1, needed: 2, .. } if *role == RoleName::ROOT);
}

#[test]
fn own_threshold_met_only_with_an_expired_certificate() {
    let mut repository = repository();
    let mut certificate = TestCertificate::for_gun(GUN, days(-30));
    certificate.not_after = days(-1);
    let keys = vec![repository.root_key("a"), TestKey::p256("b").in_certificate(&certificate)];
    repository.replace_keys("root", keys, 2);
    assert_refused!(refusal(&repository), TufError::Threshold { valid: 1, reasons, .. }
        if reasons.iter().any(|it| it.contains("is valid from")));
}

#[test]
fn own_threshold_met_only_with_one_key_in_two_certificates() {
    let mut repository = repository();
    let key = TestKey::p256("a");
    let certificate = |start| key.in_certificate(&TestCertificate::for_gun(GUN, days(start)));
    repository.replace_keys("root", vec![certificate(-1), certificate(-2)], 2);
    assert_refused!(refusal(&repository), TufError::Threshold { valid: 1, needed: 2, .. });
}

#[test]
fn expired_root() {
    let mut repository = repository();
    repository.role("root").set_expires(days(-1));
    assert_refused!(refusal(&repository), TufError::Expired { role, .. } if *role == RoleName::ROOT);
}

#[test]
fn expired_root_after_a_rotation() {
    let mut repository = repository();
    let mut chain = trusted(&repository.publish());
    repository.rotate_root(&[repository.root_key("new")]);
    repository.role("root").set_expires(days(-1));
    let expired = repository.publish().get("root");
    let error = chain.clone().advance(expired.clone(), ANYONE, false, now()).unwrap_err();
    assert_refused!(error, TufError::Expired { .. });
    chain.advance(expired, ANYONE, true, now()).unwrap();
    assert_refused!(chain.check_expiry(now()).unwrap_err(), TufError::Expired { .. });
}

#[test]
fn expired_root_certificate() {
    let repository = with_certificate(|it| it.not_after = days(-1));
    assert_refused!(refusal(&repository), TufError::CertificateExpired { until, .. } if *until == days(-1));
}

#[test]
fn root_certificate_of_the_future() {
    let repository = with_certificate(|it| it.not_before = days(2));
    assert_refused!(refusal(&repository), TufError::CertificateExpired { .. });
}

#[test]
fn expired_certificate_in_the_cache_is_found_later() {
    let repository = with_certificate(|it| it.not_after = days(-1));
    let chain =
        RootChain::from_cache(&GUN.parse().unwrap(), repository.publish().get("root"), ANYONE).unwrap();
    assert_refused!(chain.check_expiry(now()).unwrap_err(), TufError::CertificateExpired { .. });
    chain.check_expiry(days(-2)).unwrap();
}

#[test]
fn certificate_that_ends_before_it_starts() {
    let repository = with_certificate(|it| (it.not_before, it.not_after) = (days(10), days(-10)));
    assert_refused!(refusal(&repository), TufError::Certificate { reason, .. } if reason.contains("before it starts"));
}

#[test]
fn certificate_signed_with_sha1() {
    let repository = with_certificate(|it| it.signature_algorithm = ECDSA_SHA1.to_vec());
    assert_refused!(refusal(&repository), TufError::Certificate { reason, .. } if reason.contains("SHA-1"));
}

#[test]
fn root_key_without_certificate() {
    for key in [TestKey::p256("root"), TestKey::ed25519("root")] {
        assert_refused!(refusal(&with_root_key(key)), TufError::Certificate { reason, .. } if reason.contains("not inside a certificate"));
    }
}

#[test]
fn root_bundle_of_another_order_or_kind() {
    let key = TestKey::p256("root");
    let leaf = TestCertificate::for_gun(GUN, days(-1)).issue(&key, &key);
    let authority = TestCertificate::authority(GUN, days(-1)).issue(&key, &key);
    for (bundle, reason) in [
        (vec![authority.clone(), leaf.clone()], "first certificate is an authority's"),
        (vec![authority], "first certificate is an authority's"),
        (vec![leaf.clone(), leaf.clone()], "more than one certificate"),
        (Vec::new(), "no certificate"),
        (vec![b"junk".to_vec()], "malformed"),
        (vec![leaf[..leaf.len() - 1].to_vec()], "malformed"),
        (vec![[leaf.clone(), vec![0]].concat()], "malformed"),
        (vec![leaf; 17], "more than 16 certificates"),
    ] {
        let error = refusal(&with_root_key(key.in_bundle(&bundle)));
        assert!(
            matches!(&error, TufError::Certificate { reason: it, .. } if it.contains(reason)),
            "{reason}: {error:?}"
        );
    }
}

#[test]
fn certificate_around_a_key_of_another_type() {
    let wrapped = TestKey::p256("root").in_certificate(&TestCertificate::for_gun(GUN, days(-1)));
    let public = PublicKey::new(KeyType::RsaX509, wrapped.public().public().to_vec());
    assert_refused!(refusal(&with_root_key(wrapped.with_public(public))), TufError::Certificate { reason, .. } if reason.contains("not an RSA key"));
}

#[test]
fn private_key_block_in_the_bundle() {
    let key = TestKey::p256("root");
    let text = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_vec();
    let key = key.with_public(PublicKey::new(KeyType::EcdsaX509, text));
    assert_refused!(refusal(&with_root_key(key)), TufError::Certificate { reason, .. } if reason.contains("PRIVATE KEY"));
}

#[test]
fn root_that_lacks_a_role() {
    for role in ["root", "targets", "snapshot", "timestamp"] {
        let mut repository = repository();
        repository.role("root").signed["roles"].as_object_mut().unwrap().remove(role);
        assert_refused!(refusal(&repository), TufError::Malformed { reason, .. } if reason.contains(role));
    }
}

#[test]
fn another_root_under_a_snapshot() {
    let files = repository().publish();
    let it = files.verify(now()).unwrap();
    let mut other = repository();
    other.role("root").set_version(2);
    let root = trusted(&other.publish());
    let error = verify_snapshot(root.root(), &it.timestamp, files.get("snapshot"), None, now()).unwrap_err();
    assert_refused!(error, TufError::Hash { role, .. } if *role == RoleName::ROOT);
}

#[test]
fn root_key_that_is_not_pinned() {
    let files = repository().publish();
    let pins = RootPins::Keys(BTreeSet::from([TestKey::p256("mine").public().id().clone()]));
    assert_refused!(files.verify_pinned(&pins, now()).err().unwrap(), TufError::PinMismatch { found, .. } if found.len() == 1);
    let error = RootChain::from_cache(&files.gun(), files.get("root"), &pins).unwrap_err();
    assert_refused!(error, TufError::PinMismatch { .. });
    assert_refused!(
        files.verify_pinned(&RootPins::Keys(BTreeSet::new()), now()).err().unwrap(),
        TufError::PinMismatch { .. }
    );
}

#[test]
fn pinned_key_beside_one_that_signs() {
    let mut repository = repository();
    let keys = [repository.root_key("pinned"), repository.root_key("mallory")];
    repository.set_keys("root", &keys, 1);
    repository.role("root").signers = vec![keys[1].clone()];
    let pins = RootPins::Keys(BTreeSet::from([keys[0].public().id().clone()]));
    assert_refused!(
        repository.publish().verify_pinned(&pins, now()).err().unwrap(),
        TufError::Threshold { valid: 0, .. }
    );
}

#[test]
fn rotation_away_from_the_pinned_key() {
    let mut repository = repository();
    let pinned = repository.role("root").signers[0].public().id().clone();
    let pins = RootPins::Keys(BTreeSet::from([pinned]));
    let mut chain =
        RootChain::bootstrap(&GUN.parse().unwrap(), repository.publish().get("root"), &pins, now()).unwrap();
    repository.rotate_root(&[repository.root_key("new")]);
    let error = chain.advance(repository.publish().get("root"), &pins, false, now()).unwrap_err();
    assert_refused!(error, TufError::PinMismatch { .. });
}

/// An authority, an intermediate, a leaf; each may be spoilt.
struct Chain {
    authority: TestCertificate,
    intermediate: TestCertificate,
    leaf: TestCertificate,
    authority_signs_with: TestKey,
    intermediate_signs_with: TestKey,
}

impl Chain {
    fn new() -> Self {
        let mut intermediate = TestCertificate::authority("Intermediate", days(-20));
        intermediate.issuer = Some("Authority".to_owned());
        let mut leaf = TestCertificate::for_gun(GUN, days(-10));
        leaf.issuer = Some("Intermediate".to_owned());
        Self {
            authority: TestCertificate::authority("Authority", days(-30)),
            intermediate,
            leaf,
            authority_signs_with: TestKey::p256("authority"),
            intermediate_signs_with: TestKey::p256("intermediate"),
        }
    }

    /// What verification says of a root of this chain, the authority being pinned.
    fn verify(&self) -> Result<(), TufError> {
        let (authority, intermediate, leaf) =
            (TestKey::p256("authority"), TestKey::p256("intermediate"), TestKey::p256("leaf"));
        let pinned = self.authority.issue(&authority, &authority);
        let middle = self.intermediate.issue(&intermediate, &self.authority_signs_with);
        let end = self.leaf.issue(&leaf, &self.intermediate_signs_with);
        let files = with_root_key(leaf.in_bundle(&[end, middle])).publish();
        files.verify_pinned(&RootPins::Authority(vec![pinned]), now()).map(drop)
    }
}

#[test]
fn chain_to_a_pinned_authority_holds() {
    Chain::new().verify().unwrap();
}

#[test]
fn chains_that_are_broken() {
    type Spoil = fn(&mut Chain);
    let breaks: [(&str, Spoil); 13] = [
        ("not for signing certificates", |it| it.authority.key_usage = DIGITAL_SIGNATURE.to_vec()),
        ("signature of the chain is wrong", |it| it.authority_signs_with = TestKey::p256("mallory")),
        ("signature of the chain is wrong", |it| it.intermediate_signs_with = TestKey::p256("mallory")),
        ("neither pinned nor in the bundle", |it| it.intermediate.issuer = Some("Another".to_owned())),
        ("neither pinned nor in the bundle", |it| it.leaf.issuer = Some("Another".to_owned())),
        ("not valid now", |it| it.intermediate.not_after = days(-1)),
        ("not valid now", |it| it.authority.not_after = days(-1)),
        ("not valid now", |it| it.authority.not_before = days(1)),
        ("longer than an authority allows", |it| it.authority.authority = Some(Some(0))),
        ("not an authority", |it| it.authority.authority = None),
        ("not understood", |it| it.intermediate.critical = vec![vec![0x55, 0x1d, 30]]),
        ("not understood", |it| it.leaf.critical = vec![vec![0x2a, 3]]),
        ("SHA-1", |it| it.intermediate.signature_algorithm = ECDSA_SHA1.to_vec()),
    ];
    for (reason, spoil) in breaks {
        let mut chain = Chain::new();
        spoil(&mut chain);
        let error = chain.verify().unwrap_err();
        assert!(
            matches!(&error, TufError::Authority { reason: it, .. } if it.contains(reason)),
            "{reason}: {error:?}"
        );
    }
}

#[test]
fn authority_that_only_shares_its_name() {
    let files = repository().publish();
    let mallory = TestKey::p256("mallory");
    let pinned = TestCertificate::authority(GUN, days(-30)).issue(&mallory, &mallory);
    let error = files.verify_pinned(&RootPins::Authority(vec![pinned]), now()).err().unwrap();
    assert_refused!(error, TufError::Authority { reason, .. } if reason.contains("signature of the chain is wrong"));
}

#[test]
fn no_authority_at_all() {
    let files = repository().publish();
    assert_refused!(
        files.verify_pinned(&RootPins::Authority(Vec::new()), now()).err().unwrap(),
        TufError::Authority { .. }
    );
    let error = files.verify_pinned(&RootPins::Authority(vec![b"junk".to_vec()]), now()).err().unwrap();
    assert_refused!(error, TufError::AuthorityUnusable { .. });
}

/// Authorities that sign each other must not keep the search busy.
#[test]
fn authorities_in_a_circle() {
    let key = TestKey::p256("leaf");
    let mut circle = TestCertificate::authority("Circle", days(-30));
    circle.issuer = Some("Circle".to_owned());
    let mut leaf = TestCertificate::for_gun(GUN, days(-10));
    leaf.issuer = Some("Circle".to_owned());
    let mut bundle = vec![leaf.issue(&key, &key)];
    bundle.extend((1..16).map(|day| {
        circle.not_before = days(-day);
        circle.issue(&key, &key)
    }));
    let pinned = TestCertificate::authority("Pinned", days(-1)).issue(&key, &key);
    let files = with_root_key(key.in_bundle(&bundle)).publish();
    let error = files.verify_pinned(&RootPins::Authority(vec![pinned]), now()).err().unwrap();
    assert_refused!(error, TufError::Authority { .. });
}

#[test]
fn rotation_with_an_old_key_only_in_the_list_of_keys() {
    let mut repository = repository();
    let mut chain = trusted(&repository.publish());
    let mallory = repository.root_key("mallory");
    // The trusted root files the key, as roots keep keys of the past, but not under its root role.
    repository.role("root").signed["keys"][mallory.id()] = mallory.to_json();
    repository.role("root").set_version(2);
    chain.advance(repository.publish().get("root"), ANYONE, false, now()).unwrap();
    repository.replace_keys("root", vec![mallory], 1);
    repository.role("root").set_version(3);
    let error = chain.advance(repository.publish().get("root"), ANYONE, false, now()).unwrap_err();
    assert_refused!(error, TufError::NotSignedByPrevious { .. });
}

#[test]
fn junk_instead_of_a_root() {
    let mut chain = trusted(&repository().publish());
    let signed = json!({"signed": {}, "signatures": []}).to_string();
    for junk in ["", "null", "[]", "<html></html>", &signed] {
        assert!(chain.advance(junk.as_bytes().to_vec(), ANYONE, false, now()).is_err(), "{junk}");
    }
}
