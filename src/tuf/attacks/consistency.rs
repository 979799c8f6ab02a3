//! Attacks with files that were signed, but not for now or not for each other.

use serde_json::json;

use super::{assert_refused, refusal, refusal_of, repository};
use crate::tuf::testing::{days, describe, now};
use crate::tuf::{
    RoleName, TufError, Version, signed_delegation_version, signed_version, verify_delegation,
    verify_snapshot, verify_targets, verify_timestamp,
};

fn version(number: u64) -> Option<Version> {
    Version::new(number)
}

#[test]
fn rollback_of_timestamp() {
    let files = repository().publish();
    let verified = files.verify(now()).unwrap();
    let error =
        verify_timestamp(verified.chain.root(), files.get("timestamp"), version(2), now()).unwrap_err();
    assert_refused!(error, TufError::Rollback { role, found, minimum } if *role == RoleName::TIMESTAMP && found.get() == 1 && minimum.get() == 2);
}

#[test]
fn rollback_of_snapshot() {
    let files = repository().publish();
    let it = files.verify(now()).unwrap();
    let error = verify_snapshot(it.chain.root(), &it.timestamp, files.get("snapshot"), version(5), now())
        .unwrap_err();
    assert_refused!(error, TufError::Rollback { role, .. } if *role == RoleName::SNAPSHOT);
}

#[test]
fn rollback_of_targets() {
    let files = repository().publish();
    let it = files.verify(now()).unwrap();
    let error =
        verify_targets(it.chain.root(), &it.snapshot, files.get("targets"), version(2), now()).unwrap_err();
    assert_refused!(error, TufError::Rollback { role, .. } if *role == RoleName::TARGETS);
}

#[test]
fn rollback_of_delegation() {
    let files = repository().publish();
    let it = files.verify(now()).unwrap();
    let role = RoleName::RELEASES;
    let file = files.get("targets/releases");
    let error = verify_delegation(&it.targets, &role, &it.snapshot, file, version(2), now()).unwrap_err();
    assert_refused!(error, TufError::Rollback { role, .. } if *role == RoleName::RELEASES);
}

#[test]
fn rollback_below_an_expired_file_that_was_seen() {
    let mut old = repository();
    old.role("timestamp").set_version(7);
    old.role("timestamp").set_expires(days(-100));
    let files = repository().publish();
    let it = files.verify(now()).unwrap();
    let minimum =
        signed_version(it.chain.root(), &RoleName::TIMESTAMP, old.publish().get("timestamp")).unwrap();
    let error = verify_timestamp(it.chain.root(), files.get("timestamp"), Some(minimum), now()).unwrap_err();
    assert_refused!(error, TufError::Rollback { minimum, .. } if minimum.get() == 7);
    let file = files.get("targets/releases");
    assert_eq!(signed_delegation_version(&it.targets, &RoleName::RELEASES, file).ok(), version(1));
}

#[test]
fn a_minimum_needs_a_signature() {
    let files = repository().publish();
    let it = files.verify(now()).unwrap();
    let mut other = repository();
    other.role("timestamp").set_version(99);
    other.role("timestamp").signers.clear();
    let forged = other.publish().get("timestamp");
    assert!(signed_version(it.chain.root(), &RoleName::TIMESTAMP, forged).is_err());
    let error =
        signed_version(it.chain.root(), &RoleName::RELEASES, files.get("targets/releases")).unwrap_err();
    assert_refused!(error, TufError::UnknownDelegation { .. });
}

#[test]
fn freeze_with_an_expired_timestamp() {
    let mut repository = repository();
    repository.role("timestamp").set_expires(days(-1));
    assert_refused!(refusal(&repository), TufError::Expired { role, at } if *role == RoleName::TIMESTAMP && *at == days(-1));
}

#[test]
fn a_file_is_expired_at_the_very_moment() {
    let mut repository = repository();
    repository.role("timestamp").set_expires(now());
    assert_refused!(refusal(&repository), TufError::Expired { .. });
}

#[test]
fn expired_snapshot() {
    let mut repository = repository();
    repository.role("snapshot").set_expires(days(-1));
    assert_refused!(refusal(&repository), TufError::Expired { role, .. } if *role == RoleName::SNAPSHOT);
}

#[test]
fn expired_targets() {
    let mut repository = repository();
    repository.role("targets").set_expires(days(-1));
    assert_refused!(refusal(&repository), TufError::Expired { role, .. } if *role == RoleName::TARGETS);
}

#[test]
fn expired_delegation() {
    let mut repository = repository();
    repository.role("targets/releases").set_expires(days(-1));
    assert_refused!(refusal(&repository), TufError::Expired { role, .. } if *role == RoleName::RELEASES);
}

#[test]
fn mix_and_match_of_targets() {
    let mut files = repository().publish();
    let mut older = repository();
    older.tag("targets", "v1", b"manifest 0ld");
    let older = older.publish();
    assert_eq!(older.get("targets").len(), files.get("targets").len());
    files.files.insert("targets".to_owned(), older.get("targets"));
    assert_refused!(refusal_of(&files), TufError::Hash { role, named_by, algorithm: "SHA-256", .. }
        if *role == RoleName::TARGETS && *named_by == RoleName::SNAPSHOT);
}

#[test]
fn mix_and_match_of_long_targets() {
    let filled = |first: &[u8]| {
        let mut repository = repository();
        let padding = "x".repeat(2 << 20);
        repository.role("targets").signed["padding"] = json!(padding);
        repository.tag("targets", "v1", first);
        repository.publish()
    };
    let mut files = filled(b"manifest one");
    files.files.insert("targets".to_owned(), filled(b"manifest 0ld").get("targets"));
    assert_refused!(refusal_of(&files), TufError::Hash { role, .. } if *role == RoleName::TARGETS);
}

#[test]
fn mix_and_match_of_snapshot() {
    let mut files = repository().publish();
    let mut newer = repository();
    newer.role("snapshot").set_version(2);
    files.files.insert("snapshot".to_owned(), newer.publish().get("snapshot"));
    assert_refused!(refusal_of(&files), TufError::Hash { role, named_by, .. }
        if *role == RoleName::SNAPSHOT && *named_by == RoleName::TIMESTAMP);
}

#[test]
fn mix_and_match_of_root() {
    let mut files = repository().publish();
    let mut newer = repository();
    newer.role("root").set_version(2);
    files.files.insert("root".to_owned(), newer.publish().get("root"));
    assert_refused!(refusal_of(&files), TufError::Hash { role, .. } if *role == RoleName::ROOT);
}

#[test]
fn one_delegation_served_as_another() {
    let mut repository = repository();
    let releases = repository.role("targets/releases").signers.clone();
    repository.delegate("targets/nightly", &releases, 1, &[""]);
    repository.tag("targets/nightly", "v9", b"manifest two");
    let mut files = repository.publish();
    let nightly = files.get("targets/nightly");
    files.files.insert("targets/releases".to_owned(), nightly);
    assert_refused!(refusal_of(&files), TufError::Hash { role, .. } if *role == RoleName::RELEASES);
}

#[test]
fn snapshot_served_as_timestamp() {
    let mut repository = repository();
    let keys = repository.role("timestamp").signers.clone();
    repository.replace_keys("snapshot", keys, 1);
    let mut files = repository.publish();
    let snapshot = files.get("snapshot");
    files.files.insert("timestamp".to_owned(), snapshot);
    assert_refused!(refusal_of(&files), TufError::Malformed { role, reason }
        if *role == RoleName::TIMESTAMP && reason.contains("_type"));
}

#[test]
fn hash_of_only_one_function_is_wrong() {
    let mut repository = repository();
    repository.role("snapshot").before_signing = Some(Box::new(|signed| {
        let other = describe(b"other")["hashes"]["sha512"].clone();
        signed["meta"]["targets"]["hashes"]["sha512"] = other;
    }));
    assert_refused!(refusal(&repository), TufError::Hash { algorithm: "SHA-512", .. });
}

#[test]
fn length_mismatch() {
    for difference in [-1, 1] {
        let mut repository = repository();
        repository.role("snapshot").before_signing = Some(Box::new(move |signed| {
            let length = &mut signed["meta"]["targets"]["length"];
            *length = json!(length.as_i64().unwrap() + difference);
        }));
        assert_refused!(refusal(&repository), TufError::Length { role, .. } if *role == RoleName::TARGETS);
    }
}

#[test]
fn snapshot_names_another_length_of_root() {
    let mut repository = repository();
    repository.role("snapshot").before_signing =
        Some(Box::new(|signed| signed["meta"]["root"]["length"] = json!(1)));
    assert_refused!(refusal(&repository), TufError::Length { role, .. } if *role == RoleName::ROOT);
}

#[test]
fn missing_sha256_in_snapshot() {
    for role in ["root", "targets", "targets/releases"] {
        let mut repository = repository();
        repository.role("snapshot").before_signing = Some(Box::new(move |signed| {
            signed["meta"][role]["hashes"].as_object_mut().unwrap().remove("sha256");
        }));
        assert_refused!(refusal(&repository), TufError::Malformed { reason, .. } if reason.contains("no SHA-256"));
    }
}

#[test]
fn missing_role_in_snapshot() {
    for role in ["root", "targets"] {
        let mut repository = repository();
        repository.role("snapshot").before_signing = Some(Box::new(move |signed| {
            signed["meta"].as_object_mut().unwrap().remove(role);
        }));
        assert_refused!(refusal(&repository), TufError::Malformed { reason, .. } if reason.contains("lacks"));
    }
}

#[test]
fn delegation_that_snapshot_does_not_list() {
    let mut repository = repository();
    repository.role("snapshot").before_signing = Some(Box::new(|signed| {
        signed["meta"].as_object_mut().unwrap().remove("targets/releases");
    }));
    assert_refused!(refusal(&repository), TufError::NotInSnapshot { role } if *role == RoleName::RELEASES);
}

#[test]
fn oversized_timestamp() {
    let mut repository = repository();
    repository.role("timestamp").after_signing = Some(Box::new(|mut file| {
        file.resize(crate::tuf::TIMESTAMP_LIMIT + 1, b' ');
        file
    }));
    assert_refused!(refusal(&repository), TufError::Oversized { role, .. } if *role == RoleName::TIMESTAMP);
}

#[test]
fn truncated_anywhere() {
    let files = repository().publish();
    for role in ["root", "timestamp"] {
        let whole = files.get(role);
        for length in 0..whole.len() {
            let mut files = files.clone();
            files.files.insert(role.to_owned(), whole[..length].to_vec());
            assert_refused!(refusal_of(&files), TufError::Malformed { .. });
        }
    }
}

#[test]
fn any_bit_of_the_signed_bytes_changed() {
    let files = repository().publish();
    let whole = files.get("timestamp");
    let end = whole.windows(13).position(|it| it == b",\"signatures\"").unwrap();
    for index in 10..end {
        let mut changed = whole.clone();
        changed[index] ^= 1;
        let mut files = files.clone();
        files.files.insert("timestamp".to_owned(), changed);
        let error = refusal_of(&files);
        assert!(
            matches!(error, TufError::Threshold { .. } | TufError::Malformed { .. }),
            "{index}: {error:?}"
        );
    }
}
