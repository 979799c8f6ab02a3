//! What must not be stored: each attack is handed in to a healthy repository, which stays as it is.

use std::sync::atomic::Ordering;

use serde_json::Value;

use super::desk::upload;
use super::*;

/// Hands in what `attack` makes of the repository. Returns the name and text of the refusal.
async fn refused(
    make: fn(&Desk) -> Repository,
    attack: impl FnOnce(&mut Repository) -> Upload,
) -> (String, String) {
    let (desk, mut repository) = Desk::with(make).await;
    repository.role("targets").set_version(2);
    let upload = attack(&mut repository);
    let before = desk.versions().await;
    let error = desk.publisher.publish(&gun(), upload, now()).await.unwrap_err();
    assert_eq!(desk.versions().await, before);
    desk.read().await;
    let answer = error.answer();
    assert_eq!((answer.status, answer.code), (400, ErrorCode::InvalidUpdate), "{error}");
    let detail = answer.detail.unwrap();
    (text(&detail["Name"]), text(&detail["Error"]["Msg"]))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

macro_rules! attacks {
    ($($name:ident: $make:ident, $refusal:literal, $reason:literal, $attack:expr;)*) => {$(
        #[tokio::test]
        async fn $name() {
            let (name, reason) = refused(Desk::$make, $attack).await;
            assert_eq!(name, $refusal, "{reason}");
            assert!(reason.contains($reason), "{reason}");
        }
    )*};
}

attacks! {
    targets_signed_by_a_stranger: repository, "ErrBadTargets", "0 of 1 valid signatures", |it| {
        it.role("targets").signers = vec![TestKey::p256("mallory")];
        upload(it, &["targets"])
    };
    targets_signed_by_nobody: repository, "ErrBadTargets", "no signatures", |it| {
        it.role("targets").signers.clear();
        upload(it, &["targets"])
    };
    targets_whose_signature_is_of_another_file: repository, "ErrBadTargets", "0 of 1 valid signatures", |it| {
        let files = it.publish();
        let mut file: Value = serde_json::from_slice(&files.get("targets")).unwrap();
        file["signed"]["version"] = json!(3);
        Upload::new([(RoleName::TARGETS, file.to_string().into_bytes())]).unwrap()
    };
    expired_targets: repository, "ErrBadTargets", "expired", |it| {
        it.role("targets").set_expires(now());
        upload(it, &["targets"])
    };
    targets_of_the_wrong_type: repository, "ErrBadTargets", "`_type`", |it| {
        it.role("targets").signed["_type"] = json!("Snapshot");
        upload(it, &["targets"])
    };
    a_version_that_would_be_the_last: repository, "ErrBadTargets", "more than 1000 versions after", |it| {
        it.role("targets").set_version(1 << 53);
        upload(it, &["targets"])
    };
    a_version_just_too_far: repository, "ErrBadTargets", "version 1002 is more than", |it| {
        it.role("targets").set_version(1002);
        upload(it, &["targets"])
    };
    a_delegation_that_nobody_made: repository, "ErrBadTargets", "does not delegate to", |it| {
        it.delegate("targets/mallory", &[TestKey::p256("mallory")], 1, &[""]);
        upload(it, &["targets/mallory"])
    };
    a_delegation_below_nothing: repository, "ErrBadHierarchy", "never published", |it| {
        it.delegate("targets/a", &[TestKey::p256("a")], 1, &[""]);
        it.delegate("targets/a/b", &[TestKey::p256("a")], 1, &[""]);
        upload(it, &["targets", "targets/a/b"])
    };
    a_delegation_signed_by_another: repository, "ErrBadTargets", "0 of 1 valid signatures", |it| {
        it.delegate("targets/a", &[TestKey::p256("a")], 1, &[""]);
        it.role("targets/a").signers = vec![TestKey::p256("b")];
        upload(it, &["targets", "targets/a"])
    };
    a_delegation_below_its_threshold: repository, "ErrBadTargets", "1 of 2 valid signatures", |it| {
        let keys = ["a", "b"].map(TestKey::p256);
        it.delegate("targets/a", &keys, 2, &[""]);
        it.role("targets/a").signers.pop();
        upload(it, &["targets", "targets/a"])
    };
    an_expired_delegation: repository, "ErrBadTargets", "expired", |it| {
        it.delegate("targets/a", &[TestKey::p256("a")], 1, &[""]);
        it.role("targets/a").set_expires(days(-1));
        upload(it, &["targets", "targets/a"])
    };
    a_root_by_a_stranger: repository, "ErrBadRoot", "signatures by the keys of the trusted version", |it| {
        let key = it.root_key("mallory");
        it.rotate_root(std::slice::from_ref(&key));
        it.role("root").signers = vec![key];
        upload(it, &["root"])
    };
    a_root_of_another_repository: repository, "ErrBadRoot", "signatures by the keys", |_| {
        let mut other = Repository::new("docker.io/mallory/base");
        other.role("root").set_version(2);
        upload(&other, &["root"])
    };
    a_root_that_skips_a_version: repository, "ErrBadRoot", "Root modifications must increment the version. Current 1, new 3", |it| {
        it.role("root").set_version(3);
        upload(it, &["root"])
    };
    an_expired_root: repository, "ErrBadRoot", "expired", |it| {
        it.role("root").set_version(2);
        it.role("root").set_expires(days(-1));
        upload(it, &["root"])
    };
    a_root_that_disowns_the_targets: repository, "ErrBadTargets", "0 of 1 valid signatures", |it| {
        it.set_keys("targets", &[TestKey::p256("new targets")], 1);
        it.role("root").set_version(2);
        upload(it, &["root"])
    };
    a_root_whose_timestamp_is_not_the_servers: repository, "ErrValidation", "timestamp key", |it| {
        it.set_keys("timestamp", &[TestKey::p256("own timestamp")], 1);
        it.role("root").set_version(2);
        upload(it, &["root"])
    };
    a_root_that_wants_two_timestamp_keys: repository, "ErrValidation", "1 of the 2 keys", |it| {
        let keys = [it.roles["timestamp"].signers[0].clone(), TestKey::p256("another")];
        it.set_keys("timestamp", &keys, 2);
        it.role("root").set_version(2);
        upload(it, &["root"])
    };
    no_snapshot_and_no_key_for_it: repository_with_snapshot, "ErrBadHierarchy", "snapshot key", |it| {
        upload(it, &["targets"])
    };
    a_snapshot_without_what_is_handed_in: repository_with_snapshot, "ErrBadTargets", "", |it| {
        let targets = it.publish().get("targets");
        it.role("targets").set_version(1);
        it.role("snapshot").set_version(2);
        let snapshot = it.publish().get("snapshot");
        Upload::new([(RoleName::TARGETS, targets), (RoleName::SNAPSHOT, snapshot)]).unwrap()
    };
    a_snapshot_that_lists_what_nobody_has: repository_with_snapshot, "ErrBadSnapshot", "otherwise than it is here", |it| {
        it.role("snapshot").set_version(2);
        upload(it, &["snapshot"])
    };
    a_snapshot_that_lists_a_role_nobody_published: repository_with_snapshot, "ErrBadSnapshot", "`targets/a` otherwise", |it| {
        it.delegate("targets/a", &[TestKey::p256("a")], 1, &[""]);
        it.role("snapshot").set_version(2);
        upload(it, &["targets", "snapshot"])
    };
    a_snapshot_of_another_root: repository_with_snapshot, "ErrBadSnapshot", "", |it| {
        it.role("root").set_version(2);
        it.role("snapshot").set_version(2);
        upload(it, &["targets", "snapshot"])
    };
    a_snapshot_by_a_stranger: repository_with_snapshot, "ErrBadSnapshot", "0 of 1 valid signatures", |it| {
        it.role("snapshot").set_version(2);
        it.role("snapshot").signers = vec![TestKey::p256("mallory")];
        upload(it, &["targets", "snapshot"])
    };
    an_expired_snapshot: repository_with_snapshot, "ErrBadSnapshot", "expired", |it| {
        it.role("snapshot").set_version(2);
        it.role("snapshot").set_expires(days(-1));
        upload(it, &["targets", "snapshot"])
    };
    a_snapshot_whose_version_is_the_last: repository_with_snapshot, "ErrBadSnapshot", "more than 1000", |it| {
        it.role("snapshot").set_version(1 << 53);
        upload(it, &["targets", "snapshot"])
    };
}

#[tokio::test]
async fn a_wrong_length_for_a_file_that_stays_is_seen() {
    let (desk, mut repository) = Desk::with(Desk::repository_with_snapshot).await;
    repository.role("snapshot").set_version(2);
    repository.role("snapshot").before_signing = Some(Box::new(|signed| {
        signed["meta"]["targets"]["length"] = json!(1);
    }));
    let error = desk.publish(&repository, &["snapshot"]).await.unwrap_err();
    assert!(matches!(error, PublicationError::Snapshot { .. }), "{error}");
}

#[tokio::test]
async fn a_repository_starts_whole_or_not_at_all() {
    let desk = Desk::new().await;
    let mut repository = desk.repository();
    let update =
        |error: &PublicationError| error.answer().detail.unwrap()["Name"].as_str().unwrap().to_owned();
    let error = desk.publish(&repository, &["targets"]).await.unwrap_err();
    assert_eq!(update(&error), "ErrValidation");
    assert!(error.to_string().contains("no pre-existing root"), "{error}");
    let error = desk.publish(&repository, &[]).await.unwrap_err();
    assert_eq!(update(&error), "ErrValidation");
    let error = desk.publish(&repository, &["root"]).await.unwrap_err();
    assert_eq!(update(&error), "ErrBadHierarchy");
    repository.role("root").set_version(3);
    let error = desk.publish(&repository, &["root", "targets"]).await.unwrap_err();
    assert_eq!(update(&error), "ErrBadRoot");
    let other: Gun = "docker.io/acme/other".parse().unwrap();
    repository.role("root").set_version(1);
    let error =
        desk.publisher.publish(&other, upload(&repository, &["root", "targets"]), now()).await.unwrap_err();
    assert_eq!(update(&error), "ErrBadRoot");
    assert_eq!(desk.versions().await, []);
}

/// A name that is listed twice, or in two ways, must not have the server and its clients disagree.
#[tokio::test]
async fn members_that_two_readers_read_differently_are_refused() {
    let (desk, mut repository) = Desk::with(Desk::repository).await;
    repository.role("targets").set_version(2);
    let file = String::from_utf8(repository.publish().get("targets")).unwrap();
    for (from, to) in [
        (r#""delegations":{"#, r#""delegations":null,"delegations":{"#),
        (r#""version":2"#, r#""version":2,"version":3"#),
        (r#""version":2"#, r#""Version":9,"version":2"#),
        (r#","signatures""#, r#","unsigned":{},"signatures""#),
        (r#"{"signed""#, r#"{"Signed":{},"signed""#),
    ] {
        let file = file.replacen(from, to, 1);
        let upload = match Upload::new([(RoleName::TARGETS, file.clone().into_bytes())]) {
            Ok(upload) => upload,
            Err(error) => {
                assert_eq!(error.answer().code, ErrorCode::InvalidUpdate, "{error}");
                continue;
            }
        };
        let error = desk.publisher.publish(&gun(), upload, now()).await.unwrap_err();
        assert!(matches!(error, PublicationError::Targets { .. }), "{error}");
    }
}

#[tokio::test]
async fn what_is_refused_early_costs_no_signature() {
    let (desk, repository) = Desk::with(Desk::repository).await;
    let before = desk.keys.signed.load(Ordering::SeqCst);
    assert!(desk.publish(&repository, &["root", "targets"]).await.is_err());
    assert_eq!(desk.keys.signed.load(Ordering::SeqCst), before);
}
