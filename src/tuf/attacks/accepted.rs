//! What looks odd and is honest: everything here was seen to be accepted by Notary's own client.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{GUN, repository};
use crate::tuf::testing::{Repository, TestCertificate, TestKey, days, envelope, now};
use crate::tuf::{RoleName, RootChain, RootPins, Version, canonical, peek_version, verify_timestamp};

fn passes(repository: &Repository) {
    repository.publish().verify(now()).unwrap();
}

/// A role whose file is written differently, with the signatures that it had.
fn rewritten(role: &str, edit: impl Fn(&Value) -> Vec<u8> + Send + Sync + 'static) -> Repository {
    let mut repository = repository();
    repository.role(role).after_signing =
        Some(Box::new(move |file| edit(&serde_json::from_slice(&file).unwrap())));
    repository
}

#[test]
fn unknown_members() {
    for role in ["root", "targets", "snapshot", "timestamp", "targets/releases"] {
        let mut repository = repository();
        repository.role(role).signed["zebra"] = json!({"a": [1, "x", null, true]});
        repository.role(role).signed["Aardvark"] = json!(false);
        passes(&repository);
    }
}

#[test]
fn pretty_printed_files() {
    for role in ["root", "targets", "snapshot", "timestamp"] {
        let repository = rewritten(role, |file| serde_json::to_vec_pretty(file).unwrap());
        passes(&repository);
        let it = repository.publish().verify(now()).unwrap();
        assert!(it.targets.find("v1").unwrap().is_some());
        assert_eq!(it.targets.names(5), ["v1"]);
    }
}

#[test]
fn members_in_another_order_and_escaped_otherwise() {
    let repository = rewritten("targets", |file| {
        let signed = &file["signed"];
        let text = format!(
            "{{ \"signatures\" : {}, \"signed\":{{\"version\":1.0,\"targets\":{},\"expires\":{},\"\\u005ftype\":\"T\\u0061rgets\",\"delegations\":{}}}}}\n",
            file["signatures"], signed["targets"], signed["expires"], signed["delegations"]
        );
        text.into_bytes()
    });
    assert!(repository.publish().verify(now()).unwrap().targets.find("v1").unwrap().is_some());
}

#[test]
fn more_members_around_and_a_line_end() {
    let repository = rewritten("timestamp", |file| {
        let mut file = file.clone();
        file["comment"] = json!({"signed": [], "signatures": 1});
        format!("\r\n\t {file}\n").into_bytes()
    });
    passes(&repository);
}

#[test]
fn methods_in_upper_case() {
    let mut repository = repository();
    let key = repository.role("timestamp").signers[0].with_method("ECDSA");
    repository.role("timestamp").signers = vec![key];
    passes(&repository);
}

#[test]
fn more_signatures_than_needed() {
    let mut repository = repository();
    let own = repository.role("timestamp").signers[0].clone();
    let strangers =
        [TestKey::p256("stranger"), TestKey::ed25519("stranger"), TestKey::p384("x").with_method("quantum")];
    repository.role("timestamp").signers = strangers.into_iter().chain([own.clone(), own.clone()]).collect();
    let it = repository.publish().verify(now()).unwrap();
    assert_eq!(it.timestamp.signatures(), [own.public().id().clone()]);
}

#[test]
fn a_wrong_signature_before_a_right_one_of_the_same_key() {
    let mut repository = repository();
    let signers = repository.role("timestamp").signers.clone();
    repository.role("timestamp").after_signing = Some(Box::new(move |file| {
        let file: Value = serde_json::from_slice(&file).unwrap();
        let body = canonical::to_vec(&file["signed"]).unwrap();
        envelope(&body, &json!([signers[0].sign(b"other"), signers[0].sign(&body)]))
    }));
    passes(&repository);
}

#[test]
fn a_key_that_cannot_verify_beside_one_that_can() {
    let mut repository = repository();
    let own = repository.role("timestamp").signers.clone();
    let odd = crate::tuf::PublicKey::new(crate::tuf::KeyType::Other("quantum".to_owned()), b"?".to_vec());
    let odd = TestKey::p256("odd").with_public(odd);
    repository.set_keys("timestamp", &[own[0].clone(), odd.clone()], 1);
    repository.role("timestamp").signers.push(odd);
    passes(&repository);
}

#[test]
fn times_as_go_writes_them() {
    for expires in [
        "2026-06-15T12:00:00Z",
        "2026-06-15T12:00:00.123456789Z",
        "2026-06-15T12:00:00.5-08:00",
        "2026-06-15T12:00:00+14:00",
    ] {
        let mut repository = repository();
        repository.role("timestamp").signed["expires"] = json!(expires);
        passes(&repository);
    }
}

#[test]
fn absent_delegations() {
    for edit in [
        (|it| drop(it.as_object_mut().unwrap().remove("delegations"))) as fn(&mut Value),
        |it| it["delegations"] = json!(null),
        |it| it["delegations"] = json!({}),
        |it| it["delegations"] = json!({"keys": null, "roles": null}),
    ] {
        let mut repository = Repository::new(GUN);
        repository.role("targets").before_signing = Some(Box::new(edit));
        passes(&repository);
    }
}

#[test]
fn no_targets_at_all() {
    for edit in [(|it| drop(it.as_object_mut().unwrap().remove("targets"))) as fn(&mut Value), |it| {
        it["targets"] = json!(null);
    }] {
        let mut repository = Repository::new(GUN);
        repository.role("targets").before_signing = Some(Box::new(edit));
        let it = repository.publish().verify(now()).unwrap();
        assert_eq!(it.targets.find("v1").unwrap(), None);
        assert_eq!(it.targets.count(), 0);
    }
}

#[test]
fn keys_of_every_kind() {
    let wrapped = TestKey::p256("wrapped").in_certificate(&TestCertificate::for_gun("alice", days(-900)));
    for key in [TestKey::p256("a"), TestKey::p384("a"), TestKey::ed25519("a"), wrapped] {
        let mut repository = repository();
        repository.replace_keys("timestamp", vec![key.clone()], 1);
        repository.delegate("targets/alice", &[key], 1, &[""]);
        passes(&repository);
    }
}

#[test]
fn expired_certificate_of_a_delegation() {
    let mut certificate = TestCertificate::for_gun("alice", days(-900));
    certificate.not_after = days(-1);
    let mut repository = repository();
    repository.delegate("targets/alice", &[TestKey::p256("alice").in_certificate(&certificate)], 1, &[""]);
    passes(&repository);
}

#[test]
fn two_of_three() {
    let mut repository = repository();
    let keys = [TestKey::p256("one"), TestKey::ed25519("two"), TestKey::p384("three")];
    repository.set_keys("targets", &keys, 2);
    repository.role("targets").signers = keys[1..].to_vec();
    assert_eq!(repository.publish().verify(now()).unwrap().targets.signatures().len(), 2);
}

#[test]
fn snapshot_and_timestamp_with_sha256_only() {
    for role in ["snapshot", "timestamp"] {
        let mut repository = repository();
        repository.role(role).before_signing = Some(Box::new(|signed| {
            for meta in signed["meta"].as_object_mut().unwrap().values_mut() {
                let hashes = meta["hashes"].as_object_mut().unwrap();
                hashes.remove("sha512");
                hashes.insert("blake3".to_owned(), json!("?"));
            }
        }));
        passes(&repository);
    }
}

#[test]
fn snapshot_that_lists_more() {
    let mut repository = repository();
    repository.role("snapshot").before_signing = Some(Box::new(|signed| {
        let meta = signed["meta"]["targets"].clone();
        signed["meta"]["targets/gone"] = meta.clone();
        signed["meta"]["Not A Role"] = meta;
    }));
    passes(&repository);
}

#[test]
fn consistent_snapshot_and_more_roles_in_root() {
    let mut repository = repository();
    repository.role("root").signed["consistent_snapshot"] = json!(true);
    repository.role("root").signed["roles"]["mirrors"] = json!({"keyids": [], "threshold": 0});
    passes(&repository);
}

#[test]
fn declared_role_that_was_never_published() {
    let mut repository = repository();
    repository.delegate("targets/new", &[TestKey::p256("new")], 1, &[""]);
    repository.roles.remove("targets/new");
    passes(&repository);
}

#[test]
fn versions_that_stay_or_jump() {
    let mut repository = repository();
    repository.role("timestamp").set_version(100);
    let files = repository.publish();
    let it = files.verify(now()).unwrap();
    verify_timestamp(it.chain.root(), files.get("timestamp"), Version::new(100), now()).unwrap();
    verify_timestamp(it.chain.root(), files.get("timestamp"), Version::new(3), now()).unwrap();
    assert_eq!(peek_version(&files.get("timestamp")), Version::new(100));
}

#[test]
fn root_for_every_repository_of_a_prefix() {
    for name in ["docker.io/acme/*", "docker.io/acme/base*", "*", "docker.io/**"] {
        let certificate = TestCertificate::for_gun(name, days(-30));
        let mut repository = repository();
        repository.replace_keys("root", vec![TestKey::p256("root").in_certificate(&certificate)], 1);
        passes(&repository);
    }
}

#[test]
fn certificate_that_starts_tomorrow() {
    let certificate = TestCertificate::for_gun(GUN, days(1));
    let mut repository = repository();
    repository.replace_keys("root", vec![TestKey::p256("root").in_certificate(&certificate)], 1);
    passes(&repository);
}

#[test]
fn certificates_of_any_use_and_of_years_beyond_2050() {
    for usages in [Vec::new(), vec![vec![0x2b, 6, 1, 5, 5, 7, 3, 1]]] {
        let mut certificate = TestCertificate::for_gun(GUN, days(-30));
        certificate.extended_key_usages = usages;
        certificate.not_after = days(365 * 100);
        let mut repository = repository();
        repository.replace_keys("root", vec![TestKey::p256("root").in_certificate(&certificate)], 1);
        passes(&repository);
    }
}

#[test]
fn pins_by_either_id() {
    let files = repository().publish();
    let key = TestKey::p256(&format!("{GUN} root"));
    let wrapped = repository().role("root").signers[0].public().id().clone();
    for id in [wrapped, key.public().id().clone()] {
        let pins = RootPins::Keys(BTreeSet::from([id]));
        let it = files.verify_pinned(&pins, now()).unwrap();
        RootChain::from_cache(&files.gun(), it.chain.root().raw().to_vec(), &pins).unwrap();
    }
}

#[test]
fn pinned_authority_directly_and_itself() {
    let (key, authority) = (TestKey::p256("leaf"), TestKey::p256("authority"));
    let pinned = TestCertificate::authority("Authority", days(-30)).issue(&authority, &authority);
    let mut leaf = TestCertificate::for_gun(GUN, days(-30));
    leaf.issuer = Some("Authority".to_owned());
    let leaf = leaf.issue(&key, &authority);
    let mut repository = repository();
    repository.replace_keys("root", vec![key.in_bundle(std::slice::from_ref(&leaf))], 1);
    for pin in [pinned, leaf] {
        let pins = RootPins::Authority(vec![pin]);
        let it = repository.publish().verify_pinned(&pins, now()).unwrap();
        RootChain::from_cache(it.chain.gun(), it.chain.root().raw().to_vec(), &pins).unwrap();
    }
}

#[test]
fn root_that_is_the_same_or_signed_again() {
    let mut repository = repository();
    let extra = repository.root_key("extra");
    let files = repository.publish();
    let mut chain = files.verify(now()).unwrap().chain;
    chain.advance(files.get("root"), &RootPins::TrustOnFirstUse, false, now()).unwrap();
    repository.role("root").signers.push(extra);
    let again = repository.publish().get("root");
    assert_ne!(again, files.get("root"));
    chain.advance(again.clone(), &RootPins::TrustOnFirstUse, false, now()).unwrap();
    assert_eq!(chain.root().raw(), again);
}

#[test]
fn rotation_whose_old_certificate_has_expired() {
    let mut certificate = TestCertificate::for_gun(GUN, days(-30));
    certificate.not_after = days(-1);
    let mut repository = repository();
    repository.replace_keys("root", vec![TestKey::p256("old").in_certificate(&certificate)], 1);
    repository.role("root").set_expires(days(-1));
    let cached = repository.publish().get("root");
    let mut chain = RootChain::from_cache(&GUN.parse().unwrap(), cached, &RootPins::TrustOnFirstUse).unwrap();
    repository.rotate_root(&[repository.root_key("new")]);
    repository.role("root").set_expires(days(100));
    chain.advance(repository.publish().get("root"), &RootPins::TrustOnFirstUse, false, now()).unwrap();
    chain.check_expiry(now()).unwrap();
}

#[test]
fn names_and_data_with_every_character() {
    let mut repository = Repository::new(GUN);
    let names = [
        "<&>",
        "a\"b\\c",
        "\u{2028}\u{2029}",
        "日本",
        "\u{1f600}",
        "\\u003c",
        "",
        " ",
        "\\",
        "\"",
        "/..",
        "\u{7f}",
    ];
    for name in names {
        repository.tag("targets", name, name.as_bytes());
        repository.role("targets").signed["targets"][name]["custom"] =
            json!({name: [name, null, true, -7, {"<": ">"}]});
    }
    let it = repository.publish().verify(now()).unwrap();
    for name in names {
        let target = it.targets.find(name).unwrap().unwrap();
        assert_eq!(usize::try_from(target.length).unwrap(), name.len(), "{name:?}");
        assert_eq!(target.custom.unwrap(), json!({name: [name, null, true, -7, {"<": ">"}]}));
    }
    assert_eq!(it.targets.count(), names.len());
    assert_eq!(it.targets.names(2), ["", " "]);
}

#[test]
fn ed25519_over_bytes_that_are_escaped_on_the_wire() {
    let mut repository = repository();
    repository.replace_keys("targets", vec![TestKey::ed25519("t")], 1);
    repository.tag("targets", "a<b>&\u{2028}", b"manifest");
    assert!(repository.publish().verify(now()).unwrap().targets.find("a<b>&\u{2028}").unwrap().is_some());
}

#[test]
fn control_characters_escaped_by_a_foreign_writer() {
    let mut repository = Repository::new(GUN);
    repository.tag("targets", "tab\there\u{0}", b"manifest");
    let signers = repository.role("targets").signers.clone();
    let signed = repository.role("targets").signed.clone();
    repository.role("targets").after_signing = Some(Box::new(move |_| {
        let signature = signers[0].sign(&canonical::to_vec(&signed).unwrap());
        serde_json::to_vec(&json!({"signed": signed, "signatures": [signature]})).unwrap()
    }));
    let it = repository.publish().verify(now()).unwrap();
    assert!(it.targets.find("tab\there\u{0}").unwrap().is_some());
}

#[test]
fn a_long_list_of_tags() {
    let mut repository = Repository::new(GUN);
    let digest = super::super::testing::describe(b"")["hashes"]["sha256"].clone();
    let all: serde_json::Map<_, _> = (0..20_000)
        .map(|it| (format!("tag-{it:05}"), json!({"hashes": {"sha256": digest}, "length": it})))
        .collect();
    repository.role("targets").signed["targets"] = Value::Object(all);
    let files = repository.publish();
    assert!(files.get("targets").len() > 1 << 20, "long enough for the second thread");
    let it = files.verify(now()).unwrap();
    for index in [0, 1, 9_999, 19_999] {
        assert_eq!(it.targets.find(&format!("tag-{index:05}")).unwrap().unwrap().length, index);
    }
    assert_eq!(it.targets.find("tag-20000").unwrap(), None);
    assert_eq!(it.targets.find("a").unwrap(), None);
    assert_eq!(it.targets.names(2), ["tag-00000", "tag-00001"]);
    assert_eq!(it.targets.count(), 20_000);
    assert_eq!(it.targets.role(), &RoleName::TARGETS);
}
