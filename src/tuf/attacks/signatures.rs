//! Attacks on who signed, and how.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{GUN, assert_refused, refusal, repository};
use crate::tuf::testing::{Repository, Role, TestCertificate, TestKey, days, envelope};
use crate::tuf::{KeyType, PublicKey, RoleName, TufError, canonical};

/// A repository whose timestamp carries these signatures instead of its own.
fn signed_otherwise(signatures: impl Fn(&[u8], &[TestKey]) -> Value + Send + Sync + 'static) -> Repository {
    let mut repository = repository();
    resign(repository.role("timestamp"), signatures);
    repository
}

fn resign(role: &mut Role, signatures: impl Fn(&[u8], &[TestKey]) -> Value + Send + Sync + 'static) {
    let signers = role.signers.clone();
    role.after_signing = Some(Box::new(move |file| {
        let file: Value = serde_json::from_slice(&file).unwrap();
        let body = canonical::to_vec(&file["signed"]).unwrap();
        envelope(&body, &signatures(&body, &signers))
    }));
}

/// The honest signature with its value replaced.
fn with_value(edit: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static) -> Repository {
    signed_otherwise(move |body, signers| {
        let mut signature = signers[0].sign(body);
        let value = STANDARD.decode(signature["sig"].as_str().unwrap()).unwrap();
        signature["sig"] = json!(STANDARD.encode(edit(value)));
        json!([signature])
    })
}

fn because(error: &TufError, role: &RoleName, reason: &str) -> bool {
    matches!(error, TufError::Threshold { role: found, reasons, .. }
        if found == role && reasons.iter().any(|it| it.contains(reason)))
}

#[test]
fn threshold_not_met() {
    let mut repository = repository();
    let keys = [TestKey::p256("one"), TestKey::p256("two"), TestKey::p256("three")];
    repository.set_keys("targets", &keys, 2);
    repository.role("targets").signers = vec![keys[0].clone()];
    assert_refused!(refusal(&repository), TufError::Threshold { role, valid: 1, needed: 2, .. } if *role == RoleName::TARGETS);
}

#[test]
fn delegation_threshold_not_met() {
    let mut repository = repository();
    let keys = [TestKey::p256("one"), TestKey::p256("two")];
    repository.delegate("targets/team", &keys, 2, &[""]);
    repository.role("targets/team").signers.pop();
    assert_refused!(refusal(&repository), TufError::Threshold { role, valid: 1, .. } if role.as_str() == "targets/team");
}

#[test]
fn one_key_signs_twice() {
    let mut repository = repository();
    let keys = [TestKey::p256("one"), TestKey::p256("two")];
    repository.set_keys("targets", &keys, 2);
    repository.role("targets").signers = vec![keys[0].clone(), keys[0].clone()];
    assert_refused!(refusal(&repository), TufError::Threshold { valid: 1, needed: 2, .. });
}

#[test]
fn one_key_under_two_ids() {
    let mut repository = repository();
    let plain = TestKey::p256("one");
    let wrapped = plain.in_certificate(&TestCertificate::for_gun("someone", days(-1)));
    let again = plain.in_certificate(&TestCertificate::for_gun("someone else", days(-1)));
    repository.replace_keys("targets", vec![plain, wrapped, again], 2);
    let error = refusal(&repository);
    assert!(because(&error, &RoleName::TARGETS, "several IDs"), "{error:?}");
}

#[test]
fn one_key_listed_twice() {
    let mut repository = repository();
    let key = TestKey::p256("one");
    repository.replace_keys("targets", vec![key.clone(), key], 2);
    assert_refused!(refusal(&repository), TufError::Threshold { valid: 1, needed: 2, .. });
}

#[test]
fn unknown_key() {
    let mut repository = repository();
    repository.role("timestamp").signers = vec![TestKey::p256("mallory")];
    let error = refusal(&repository);
    assert!(because(&error, &RoleName::TIMESTAMP, "not one of the role's"), "{error:?}");
}

#[test]
fn key_of_another_role() {
    let mut repository = repository();
    let targets = repository.role("targets").signers.clone();
    repository.role("timestamp").signers = targets;
    assert_refused!(refusal(&repository), TufError::Threshold { role, valid: 0, .. } if *role == RoleName::TIMESTAMP);
}

#[test]
fn parent_key_signs_for_delegation() {
    let mut repository = repository();
    let targets = repository.role("targets").signers.clone();
    repository.role("targets/releases").signers = targets;
    assert_refused!(refusal(&repository), TufError::Threshold { role, .. } if *role == RoleName::RELEASES);
}

#[test]
fn wrong_method_for_key_type() {
    for (key, method) in [
        (TestKey::p256("one"), "rsapss"),
        (TestKey::p256("one"), "rsapkcs1v15"),
        (TestKey::p256("one"), "eddsa"),
        (TestKey::p384("one"), "eddsa"),
        (TestKey::ed25519("one"), "ecdsa"),
        (TestKey::ed25519("one"), "rsapss"),
    ] {
        let mut repository = repository();
        repository.replace_keys("timestamp", vec![key.with_method(method)], 1);
        let error = refusal(&repository);
        assert!(because(&error, &RoleName::TIMESTAMP, "is not for keys of type"), "{method}: {error:?}");
    }
}

#[test]
fn unknown_and_legacy_methods() {
    for method in ["none", "", "ecdsa ", "pycrypto-pkcs#1 pss", "ECDSA\u{7f}"] {
        let mut repository = repository();
        let key = repository.role("timestamp").signers[0].with_method(method);
        repository.role("timestamp").signers = vec![key];
        let error = refusal(&repository);
        assert!(because(&error, &RoleName::TIMESTAMP, "is not supported"), "{method}: {error:?}");
    }
}

#[test]
fn der_encoded_ecdsa_signature() {
    let repository = signed_otherwise(
        |body, signers| json!([{"keyid": signers[0].id(), "method": "ecdsa", "sig": STANDARD.encode(signers[0].sign_der(body))}]),
    );
    let error = refusal(&repository);
    assert!(because(&error, &RoleName::TIMESTAMP, "instead of 64"), "{error:?}");
}

#[test]
fn signature_of_another_length() {
    for length in [0, 1, 32, 63, 65, 96, 128] {
        let repository = with_value(move |mut value| {
            value.resize(length, 0);
            value
        });
        assert_refused!(refusal(&repository), TufError::Threshold { valid: 0, .. });
    }
}

#[test]
fn signature_of_zeros_or_ones() {
    for byte in [0, 1, 0xff] {
        let repository = with_value(move |value| vec![byte; value.len()]);
        assert_refused!(refusal(&repository), TufError::Threshold { valid: 0, .. });
    }
}

#[test]
fn signature_of_another_file() {
    let repository = signed_otherwise(|_, signers| json!([signers[0].sign(b"{}")]));
    let error = refusal(&repository);
    assert!(because(&error, &RoleName::TIMESTAMP, "does not fit"), "{error:?}");
}

#[test]
fn signature_over_the_escaped_bytes() {
    let mut repository = repository();
    repository.tag("targets", "a<b", b"manifest");
    resign(repository.role("targets"), |body, signers| json!([signers[0].sign(&canonical::to_wire(body))]));
    assert_refused!(refusal(&repository), TufError::Threshold { role, .. } if *role == RoleName::TARGETS);
}

/// The neutral element signs every message where a verifier does not look for it.
#[test]
fn ed25519_key_of_small_order() {
    let mut point = vec![0; 32];
    point[0] = 1;
    let key = TestKey::ed25519("one").with_public(PublicKey::new(KeyType::Ed25519, point.clone()));
    let mut repository = repository();
    repository.replace_keys("timestamp", vec![key], 1);
    point.resize(64, 0);
    resign(
        repository.role("timestamp"),
        move |_, signers| json!([{"keyid": signers[0].id(), "method": "eddsa", "sig": STANDARD.encode(&point)}]),
    );
    assert_refused!(refusal(&repository), TufError::Threshold { valid: 0, .. });
}

#[test]
fn key_id_is_not_the_hash_of_the_key() {
    let other = TestKey::p256("mallory");
    let mut repository = repository();
    let id = repository.role("timestamp").signers[0].id().to_owned();
    repository.role("root").signed["keys"][&id] = other.to_json();
    assert_refused!(refusal(&repository), TufError::KeyIdMismatch { role, claimed, .. }
        if *role == RoleName::ROOT && claimed.as_str() == id);
}

#[test]
fn delegation_key_id_is_not_the_hash_of_the_key() {
    let mut repository = repository();
    let id = repository.role("targets/releases").signers[0].id().to_owned();
    repository.role("targets").signed["delegations"]["keys"][&id] = TestKey::p256("mallory").to_json();
    assert_refused!(refusal(&repository), TufError::KeyIdMismatch { role, .. } if *role == RoleName::TARGETS);
}

#[test]
fn key_id_in_upper_case_or_no_key_id() {
    let shapes: [fn(&str) -> String; 4] =
        [|it| it.to_uppercase(), |it| it[1..].to_owned(), |it| format!("{it}0"), |_| String::new()];
    for shape in shapes {
        let mut repository = repository();
        let key = TestKey::p256("one");
        repository.role("root").signed["keys"][shape(key.id())] = key.to_json();
        assert_refused!(refusal(&repository), TufError::Malformed { reason, .. } if reason.contains("not a key ID"));
    }
}

#[test]
fn role_names_a_key_that_is_not_there() {
    let mut repository = repository();
    let id = repository.role("timestamp").signers[0].id().to_owned();
    repository.role("root").signed["keys"].as_object_mut().unwrap().remove(&id);
    assert_refused!(refusal(&repository), TufError::Malformed { reason, .. } if reason.contains("not among the file's keys"));
}

#[test]
fn threshold_that_is_no_threshold() {
    for (threshold, reason) in [
        (json!(0), "threshold is 0"),
        (json!(-1), "negative number"),
        (json!("1"), "a string where an integer"),
        (json!(null), "null where an integer"),
        (json!(true), "a truth value where an integer"),
        (json!([1]), "an array where an integer"),
    ] {
        for (role, place) in
            [("root", "/roles/targets/threshold"), ("targets", "/delegations/roles/0/threshold")]
        {
            let mut repository = repository();
            *repository.role(role).signed.pointer_mut(place).unwrap() = threshold.clone();
            let error = refusal(&repository);
            assert!(
                matches!(&error, TufError::Malformed { reason: it, .. } if it.contains(reason)),
                "{threshold}: {error:?}"
            );
        }
    }
}

#[test]
fn threshold_that_nobody_can_meet() {
    let mut repository = repository();
    let keys = repository.role("targets").signers.clone();
    repository.set_keys("targets", &keys, 1 << 53);
    assert_refused!(refusal(&repository), TufError::Threshold { valid: 1, .. });
}

#[test]
fn signatures_stripped() {
    for signatures in [json!([]), json!(null)] {
        let signatures = signatures.clone();
        let repository = signed_otherwise(move |_, _| signatures.clone());
        assert_refused!(refusal(&repository), TufError::NoSignatures { role } if *role == RoleName::TIMESTAMP);
    }
    let mut repository = repository();
    repository.role("timestamp").after_signing = Some(Box::new(|file| {
        let file: Value = serde_json::from_slice(&file).unwrap();
        serde_json::to_vec(&json!({"signed": file["signed"]})).unwrap()
    }));
    assert_refused!(refusal(&repository), TufError::NoSignatures { .. });
}

#[test]
fn signatures_of_the_wrong_shape() {
    for signatures in [
        json!({}),
        json!("x"),
        json!(1),
        json!([null]),
        json!([1]),
        json!([{}]),
        json!([{"keyid": "a", "method": "ecdsa"}]),
        json!([{"keyid": "a", "method": 1, "sig": ""}]),
        json!([{"keyid": "a", "method": "ecdsa", "sig": "***"}]),
        json!([{"keyid": "a", "method": "ecdsa", "sig": "AA"}]),
        json!([{"keyid": null, "method": "ecdsa", "sig": "AAAA"}]),
        json!([{"keyid": "a", "KeyID": "b", "method": "ecdsa", "sig": "AAAA"}]),
    ] {
        let shown = signatures.to_string();
        let repository = signed_otherwise(move |_, _| signatures.clone());
        let error = refusal(&repository);
        assert!(
            matches!(&error, TufError::Malformed { reason, .. } if reason.contains("signatures")),
            "{shown}: {error:?}"
        );
    }
}

#[test]
fn ten_thousand_signatures() {
    let mut repository = repository();
    resign(repository.role("targets"), |body, signers| json!(vec![signers[0].sign(body); 10_000]));
    assert_refused!(refusal(&repository), TufError::Malformed { reason, .. } if reason.contains("more than 256 signatures"));
}

#[test]
fn keys_that_cannot_verify() {
    let p256 = TestKey::p256("one");
    let info = p256.key_info();
    // The same key with its point compressed would be one key under two canonical IDs.
    let mut compressed = info.clone();
    compressed.truncate(info.len() - 32);
    compressed[1] -= 32;
    compressed[24] -= 32;
    compressed[26] = 2;
    let mut other_curve = info.clone();
    other_curve[22] = 1;
    for (key_type, public, reason) in [
        (KeyType::Other("sphincs".to_owned()), info.clone(), "are not supported"),
        (KeyType::Rsa, info.clone(), "not an RSA key"),
        (KeyType::Ed25519, info.clone(), "has 32 bytes"),
        (KeyType::EcdsaX509, info.clone(), "no certificate"),
        (KeyType::Ecdsa, b"junk".to_vec(), "not a DER public key"),
        (KeyType::Ecdsa, Vec::new(), "not a DER public key"),
        (KeyType::Ecdsa, compressed, "not an uncompressed point"),
        (KeyType::Ecdsa, other_curve, "not supported; P-256 and P-384 are"),
        (KeyType::Ecdsa, [info.clone(), vec![0]].concat(), "not a DER public key"),
    ] {
        let mut repository = repository();
        repository.replace_keys("timestamp", vec![p256.with_public(PublicKey::new(key_type, public))], 1);
        let error = refusal(&repository);
        assert!(because(&error, &RoleName::TIMESTAMP, reason), "{reason}: {error:?}");
    }
}

#[test]
fn point_that_is_not_on_the_curve() {
    let key = TestKey::p256("one");
    let mut public = key.key_info();
    *public.last_mut().unwrap() ^= 1;
    let mut repository = Repository::new(GUN);
    repository.replace_keys("timestamp", vec![key.with_public(PublicKey::new(KeyType::Ecdsa, public))], 1);
    let error = refusal(&repository);
    assert!(because(&error, &RoleName::TIMESTAMP, "no point of its curve"), "{error:?}");
}

#[test]
fn a_thousand_signatures_of_strangers_make_a_short_message() {
    let repository = signed_otherwise(|body, _| {
        let strangers = (0..200).map(|it| TestKey::ed25519(&it.to_string()).sign(body));
        Value::Array(strangers.collect())
    });
    assert!(refusal(&repository).to_string().len() < 1024);
}
