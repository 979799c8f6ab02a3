//! From the server to a verified state: requests, rollback, freeze, rotation, pins.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use trustgate::http::HttpError;
use trustgate::trust::{Freshness, RepositoryTerms, TrustError, TrustSource as _, Want};
use trustgate::tuf::testing::{Repository, TestKey, days};
use trustgate::tuf::{KeyId, RootPins, TufError};

use crate::notary::Reply;
use crate::world::{GUN, SHORT, World, digest, find, gun, next_version, simple, with_signers};

#[tokio::test]
async fn cold_takes_four_requests_and_warm_takes_one() {
    let world = World::of(&simple()).await;
    let cold = world.find("1.4").await.unwrap();
    assert_eq!(cold.digest, digest(b"manifest 1.4"));
    assert_eq!((cold.size, cold.role.as_str(), cold.requests), (12, "targets", 4));
    assert!(cold.first_use && cold.cached.is_empty() && cold.notes.is_empty(), "{cold:?}");
    assert_eq!(cold.freshness, Freshness::Fresh);
    assert_eq!(cold.signers[0].name, "Repo Admin");
    let mut asked = world.files_asked();
    asked[..2].sort();
    assert_eq!(asked, ["root.json", "timestamp.json", "snapshot.#.json", "targets.#.json"]);

    let warm = world.find("1.4").await.unwrap();
    assert_eq!(world.files_asked(), ["timestamp.json"]);
    assert_eq!((warm.digest, warm.requests, warm.first_use), (cold.digest, 1, false));
    assert_eq!(warm.cached, ["root", "snapshot", "targets"]);
    assert_eq!(warm.roles, cold.roles);
}

#[tokio::test]
async fn with_signers_cold_takes_five_requests_and_warm_takes_one() {
    let world = World::of(&with_signers()).await;
    let cold = world.find("2.0").await.unwrap();
    assert_eq!((cold.role.as_str(), cold.requests), ("targets/releases", 5));
    assert_eq!(world.files_asked().len(), 5);
    let warm = world.find("2.0").await.unwrap();
    assert_eq!((warm.digest, warm.requests), (cold.digest, 1));
    assert_eq!(world.files_asked(), ["timestamp.json"]);
}

#[tokio::test]
async fn without_a_cache_everything_is_asked_for_again() {
    let world = World::of(&simple()).await;
    for _ in 0..2 {
        let target = find(&world.reader_with(None), "1.4", &RepositoryTerms::docker()).await.unwrap();
        assert_eq!((target.requests, target.first_use), (4, true));
    }
    assert!(!world.trust_folder().exists());
}

#[tokio::test]
async fn a_repository_is_read_once_for_many_tags() {
    let mut repository = simple();
    for tag in ["a", "b", "c"] {
        repository.tag("targets", tag, tag.as_bytes());
    }
    let world = World::of(&repository).await;
    let (reader, terms) = (world.reader(), RepositoryTerms::docker());
    let tags = ["1.4", "a", "b", "c", "a"];
    let found = futures_util::future::join_all(tags.iter().map(|tag| find(&reader, tag, &terms))).await;
    assert!(found.iter().all(Result::is_ok), "{found:?}");
    assert_eq!(world.files_asked().len(), 4);
}

#[tokio::test]
async fn many_repositories_share_one_http2_connection() {
    let world = World::with_http2().await;
    let names: Vec<String> = (0..10).map(|n| format!("registry.example/acme/r{n}")).collect();
    for name in &names {
        let mut repository = Repository::new(name);
        repository.tag("targets", "1", name.as_bytes());
        world.publish(&repository);
    }
    let (reader, terms) = (world.reader(), RepositoryTerms::docker());
    let tag = "1".parse().unwrap();
    let guns: Vec<_> = names.iter().map(|name| name.parse().unwrap()).collect();
    let found =
        futures_util::future::join_all(guns.iter().map(|gun| reader.find(gun, Want::Tag(&tag), &terms)))
            .await;
    for (name, target) in names.iter().zip(found) {
        assert_eq!(target.unwrap().digest, digest(name.as_bytes()));
    }
    assert_eq!(world.server.take_requests().len(), 40);
    // A second connection may be begun while the first one is not ready yet; no more than that.
    assert!(world.server.connections() <= 2, "{} connections", world.server.connections());
}

#[tokio::test]
async fn a_new_tag_is_seen_at_once() {
    let mut repository = simple();
    let world = World::of(&repository).await;
    world.find("1.4").await.unwrap();
    assert!(matches!(world.find("1.5").await, Err(TrustError::NotSigned { .. })));
    repository.tag("targets", "1.5", b"manifest 1.5");
    next_version(&mut repository);
    world.publish(&repository);
    world.files_asked();
    assert_eq!(world.find("1.5").await.unwrap().digest, digest(b"manifest 1.5"));
    assert_eq!(world.files_asked(), ["timestamp.json", "snapshot.#.json", "targets.#.json"]);
}

#[tokio::test]
async fn rollback_is_refused_by_what_was_seen_before() {
    let old = simple();
    let mut new = simple();
    new.tag("targets", "1.4", b"fixed");
    next_version(&mut new);
    let world = World::of(&new).await;
    world.find("1.4").await.unwrap();
    world.publish(&old);
    assert_rollback(world.find("1.4").await, "timestamp");
    // What was refused must not have replaced what is known.
    assert_rollback(world.find("1.4").await, "timestamp");
}

#[tokio::test]
async fn rollback_of_a_role_below_a_new_timestamp_is_refused() {
    for role in ["snapshot", "targets", "targets/releases"] {
        let mut repository = with_signers();
        repository.role(role).set_version(7);
        let world = World::of(&repository).await;
        world.find("2.0").await.unwrap();
        next_version(&mut repository);
        repository.role(role).set_version(6);
        repository.tag(role.strip_prefix("snapshot").map_or(role, |_| "targets"), "2.0", b"older");
        world.publish(&repository);
        assert_rollback(world.find("2.0").await, role);
    }
}

#[tokio::test]
async fn a_frozen_repository_is_refused_when_its_timestamp_expires() {
    let world = World::of(&simple()).await;
    world.find("1.4").await.unwrap();
    world.set_now(days(13));
    world.find("1.4").await.unwrap();
    world.set_now(days(15));
    match world.find("1.4").await {
        Err(error @ TrustError::Metadata { source: TufError::Expired { .. }, .. }) => {
            assert_eq!(error.exit(), 1);
            assert!(error.to_string().contains("`timestamp` metadata expired"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_role_expires() {
    for role in ["root", "snapshot", "targets", "targets/releases"] {
        let mut repository = with_signers();
        repository.role(role).set_expires(days(5));
        let world = World::of(&repository).await;
        world.find("2.0").await.unwrap();
        world.set_now(days(6));
        match world.find("2.0").await {
            Err(TrustError::Metadata { source: TufError::Expired { role: expired, .. }, .. }) => {
                assert_eq!(expired.as_str(), role);
            }
            other => panic!("{role}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_long_lived_reader_sees_the_timestamp_expire() {
    let world = World::of(&simple()).await;
    let (reader, terms) = (world.reader(), RepositoryTerms::docker());
    find(&reader, "1.4", &terms).await.unwrap();
    world.set_now(days(15));
    let error = find(&reader, "1.4", &terms).await.unwrap_err();
    assert!(matches!(error, TrustError::Metadata { source: TufError::Expired { .. }, .. }), "{error}");
}

#[tokio::test]
async fn the_cached_timestamp_serves_while_the_server_is_down() {
    let replies = [
        Reply::status(500),
        Reply::status(503),
        Reply::CutOff(Vec::new()),
        Reply::CutOff(b"HTTP/1.1 200 -\r\nContent-Length: 500\r\n\r\n{\"sig".to_vec()),
        Reply::Silence(Vec::new()),
    ];
    for reply in replies {
        let mut world = World::of(&simple()).await;
        world.find("1.4").await.unwrap();
        world.fault(move |_| Some(reply.clone()));
        world.timeouts.idle = SHORT;
        let target = world.find("1.4").await.unwrap();
        assert!(matches!(target.freshness, Freshness::Cached { .. }), "{target:?}");
        assert_eq!(target.cached, ["timestamp", "root", "snapshot", "targets"]);
        assert_eq!(target.digest, digest(b"manifest 1.4"));

        let fresh = RepositoryTerms { require_fresh: true, ..RepositoryTerms::docker() };
        let error = world.find_on("1.4", &fresh).await.unwrap_err();
        assert!(matches!(error, TrustError::StaleForbidden { .. }), "{error}");
        assert_eq!(error.exit(), 3);

        world.set_now(days(15));
        let error = world.find("1.4").await.unwrap_err();
        assert!(matches!(error, TrustError::StaleCache { .. }), "{error}");
        assert_eq!(error.exit(), 3);
    }
}

#[tokio::test]
async fn a_server_that_says_no_is_not_one_that_is_down() {
    for status in [400, 401, 403, 404, 429] {
        let world = World::of(&simple()).await;
        world.find("1.4").await.unwrap();
        world.fault(move |_| Some(Reply::status(status)));
        let error = world.find("1.4").await.unwrap_err();
        match (status, &error) {
            (401 | 403, TrustError::Unauthorized { registry, .. }) => {
                assert_eq!(registry, "registry.example");
            }
            (404, TrustError::MissingRole { role, .. }) => assert_eq!(role, "timestamp"),
            (400 | 429, TrustError::Unreachable { .. }) => {}
            _ => panic!("{status}: {error:?}"),
        }
        assert_eq!(error.exit(), 3);
    }
}

#[tokio::test]
async fn a_server_that_was_never_reached_is_unreachable() {
    let world = World::of(&simple()).await;
    world.fault(|_| Some(Reply::status(500)));
    let error = world.find("1.4").await.unwrap_err();
    assert!(matches!(error, TrustError::Unreachable { source: HttpError::Status { status: 500, .. }, .. }));
    assert_eq!(error.exit(), 3);
}

#[tokio::test]
async fn no_trust_data_is_a_refusal() {
    let world = World::new().await;
    let error = world.find("1.4").await.unwrap_err();
    assert!(matches!(error, TrustError::NoTrustData { .. }), "{error}");
    assert_eq!(error.exit(), 1);
    assert!(!error.help().is_empty());
}

#[tokio::test]
async fn each_missing_file_is_named() {
    for role in ["timestamp", "snapshot", "targets", "targets/releases"] {
        let world = World::of(&with_signers()).await;
        world.remove(&format!("/{role}."));
        match world.find("2.0").await {
            Err(TrustError::MissingRole { role: missing, .. }) => assert_eq!(missing, role),
            other => panic!("{role}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_no_metadata_is_named() {
    for (body, expected) in [
        ("<!doctype html><title>Log in</title>", "HTML"),
        ("", "empty"),
        ("  \n", "empty"),
        ("hello", "not JSON"),
        ("[]", "not JSON"),
    ] {
        for file in ["root.json", "timestamp.json"] {
            let world = World::of(&simple()).await;
            world.fault(move |request| (request.file() == file).then(|| Reply::ok(body)));
            let error = world.find("1.4").await.unwrap_err();
            assert!(matches!(error, TrustError::NotMetadata { .. }), "{error}");
            assert!(error.to_string().contains(expected) && error.to_string().contains(file), "{error}");
        }
    }
}

#[tokio::test]
async fn truncated_metadata_is_malformed() {
    for role in ["root", "timestamp"] {
        let repository = simple();
        let mut file = repository.publish().get(role);
        file.truncate(file.len() / 2);
        let world = World::of(&repository).await;
        world.fault(move |request| {
            (request.file() == format!("{role}.json")).then(|| Reply::ok(file.clone()))
        });
        match world.find("1.4").await {
            Err(TrustError::Metadata { source: TufError::Malformed { role: broken, .. }, .. }) => {
                assert_eq!(broken.as_str(), role);
            }
            other => panic!("{role}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_file_that_is_not_the_named_one_is_refused() {
    for role in ["snapshot", "targets"] {
        let world = World::of(&simple()).await;
        let mut other = simple().publish().get(role);
        let last = other.len() - 20;
        other[last] ^= 1;
        world.fault(move |request| {
            request.file().starts_with(&format!("{role}.")).then(|| Reply::ok(other.clone()))
        });
        match world.find("1.4").await {
            Err(TrustError::Metadata { source: TufError::Hash { role: broken, .. }, .. }) => {
                assert_eq!(broken.as_str(), role);
            }
            result => panic!("{role}: {result:?}"),
        }
    }
}

#[tokio::test]
async fn a_longer_file_than_the_named_one_is_cut() {
    let world = World::of(&simple()).await;
    world.fault(|request| request.file().starts_with("targets.").then_some(Reply::Endless));
    let error = world.find("1.4").await.unwrap_err();
    assert!(matches!(error, TrustError::Unreachable { source: HttpError::TooLarge { .. }, .. }), "{error}");
}

#[tokio::test]
async fn a_rotated_root_is_followed() {
    let mut repository = simple();
    let world = World::of(&repository).await;
    world.find("1.4").await.unwrap();
    repository.rotate_root(&[repository.root_key("second root")]);
    repository.replace_keys("timestamp", vec![TestKey::p256("second timestamp")], 1);
    next_version(&mut repository);
    world.publish(&repository);
    world.files_asked();
    let target = world.find("1.4").await.unwrap();
    assert!(!target.first_use && target.roles[0].version == 2, "{target:?}");
    assert_eq!(
        world.files_asked(),
        ["timestamp.json", "root.json", "timestamp.json", "snapshot.#.json", "targets.#.json"]
    );
    let again = world.find("1.4").await.unwrap();
    assert_eq!((again.requests, again.cached.len()), (1, 3), "{again:?}");
}

#[tokio::test]
async fn an_expired_root_still_leads_to_its_successor() {
    let mut repository = simple();
    repository.role("root").set_expires(days(5));
    let world = World::of(&repository).await;
    world.find("1.4").await.unwrap();
    repository.role("root").set_expires(days(50));
    repository.role("root").set_version(2);
    next_version(&mut repository);
    world.publish(&repository);
    world.set_now(days(6));
    let target = world.find("1.4").await.unwrap();
    assert_eq!((target.roles[0].version, target.first_use), (2, false));
    assert_eq!(world.find("1.4").await.unwrap().requests, 1);
}

#[tokio::test]
async fn five_rotations_are_followed_one_by_one() {
    let mut repository = simple();
    let world = World::of(&repository).await;
    world.find("1.4").await.unwrap();
    for round in 2..=6 {
        let old = repository.role("root").signers.last().unwrap().clone();
        repository.role("root").signers = vec![old];
        repository.rotate_root(&[repository.root_key(&format!("root {round}"))]);
        next_version(&mut repository);
        world.publish(&repository);
    }
    world.files_asked();
    let target = world.find("1.4").await.unwrap();
    assert_eq!(target.roles[0].version, 6);
    let asked = world.files_asked();
    for version in 2..=5 {
        assert!(asked.contains(&format!("{version}.root.json")), "{asked:?}");
    }
    assert!(asked.len() <= 10, "{asked:?}");
}

#[tokio::test]
async fn a_gap_in_the_chain_of_roots_is_refused() {
    let mut repository = simple();
    let world = World::of(&repository).await;
    world.find("1.4").await.unwrap();
    for round in 2..=4 {
        let old = repository.role("root").signers.last().unwrap().clone();
        repository.role("root").signers = vec![old];
        repository.rotate_root(&[repository.root_key(&format!("root {round}"))]);
        next_version(&mut repository);
        world.publish(&repository);
    }
    world.remove("/3.root.json");
    let error = world.find("1.4").await.unwrap_err();
    assert!(matches!(&error, TrustError::MissingRole { role, .. } if role == "3.root"), "{error}");
}

#[tokio::test]
async fn a_replaced_root_is_refused_by_those_who_know_the_old_one() {
    let world = World::of(&simple()).await;
    world.find("1.4").await.unwrap();
    let mut attacker = simple();
    let key = attacker.root_key("attacker");
    attacker.replace_keys("root", vec![key], 1);
    attacker.role("root").set_version(2);
    next_version(&mut attacker);
    attacker.tag("targets", "1.4", b"evil");
    world.publish(&attacker);
    for _ in 0..2 {
        let error = world.find("1.4").await.unwrap_err();
        assert!(
            matches!(error, TrustError::Metadata { source: TufError::NotSignedByPrevious { .. }, .. }),
            "{error}"
        );
        assert_eq!(error.exit(), 1);
    }
}

#[tokio::test]
async fn another_repositorys_data_is_refused() {
    let mut other = Repository::new("registry.example/acme/other");
    other.tag("targets", "1.4", b"evil");
    let files = other.publish();
    let world = World::new().await;
    world.fault(move |request| {
        let role = request.file().split('.').next().unwrap_or_default().to_owned();
        Some(Reply::ok(files.get(&role)))
    });
    let error = world.find("1.4").await.unwrap_err();
    assert!(
        matches!(error, TrustError::Metadata { source: TufError::WrongRepository { .. }, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn pins_hold_on_first_use_and_later() {
    let repository = simple();
    let world = World::of(&repository).await;
    let ours: KeyId = world.find("1.4").await.unwrap().root_key_ids[0].parse().unwrap();
    let other: KeyId = "0".repeat(64).parse().unwrap();
    let pinned = |key: &KeyId| RepositoryTerms {
        pins: RootPins::Keys(BTreeSet::from([key.clone()])),
        ..RepositoryTerms::docker()
    };
    for _ in 0..2 {
        let target = world.find_on("1.4", &pinned(&ours)).await.unwrap();
        assert!(!target.first_use);
        let error = world.find_on("1.4", &pinned(&other)).await.unwrap_err();
        assert!(
            matches!(error, TrustError::Metadata { source: TufError::PinMismatch { .. }, .. }),
            "{error}"
        );
        std::fs::remove_dir_all(world.trust_folder()).unwrap_or_default();
    }
}

#[tokio::test]
async fn a_pin_replaces_a_root_that_was_trusted_on_first_use() {
    let mut attacker = simple();
    let key = attacker.root_key("attacker");
    attacker.replace_keys("root", vec![key], 1);
    let world = World::of(&attacker).await;
    world.find("1.4").await.unwrap();
    let genuine = simple();
    world.publish(&genuine);
    let id = genuine.roles["root"].signers[0].id().parse().unwrap();
    let terms = RepositoryTerms { pins: RootPins::Keys(BTreeSet::from([id])), ..RepositoryTerms::docker() };
    let target = world.find_on("1.4", &terms).await.unwrap();
    assert!(target.notes.iter().any(|note| note.contains("cached root was passed over")), "{target:?}");
    assert!(world.find("1.4").await.unwrap().notes.is_empty(), "the cache kept the attacker's root");
}

#[tokio::test]
async fn two_terms_for_one_repository_are_both_checked() {
    let world = World::of(&simple()).await;
    let (reader, docker) = (world.reader(), RepositoryTerms::docker());
    let pinned = RepositoryTerms {
        pins: RootPins::Keys(BTreeSet::from(["0".repeat(64).parse().unwrap()])),
        ..RepositoryTerms::docker()
    };
    assert!(find(&reader, "1.4", &docker).await.is_ok());
    assert!(find(&reader, "1.4", &pinned).await.is_err());
    assert!(find(&reader, "1.4", &docker).await.is_ok());
}

#[tokio::test]
async fn a_failure_is_told_to_everybody_who_waits_but_asked_for_once() {
    let world = World::new().await;
    let asked = std::sync::Arc::new(AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&asked);
    world.fault(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Some(Reply::status(500))
    });
    let (reader, terms) = (world.reader(), RepositoryTerms::docker());
    let found = futures_util::future::join_all((0..8).map(|_| find(&reader, "1.4", &terms))).await;
    assert!(found.iter().all(Result::is_err));
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn two_of_two_keys_must_sign() {
    let mut repository = simple();
    let keys = [TestKey::p256("one"), TestKey::ed25519("two")];
    repository.replace_keys("targets", keys.to_vec(), 2);
    let world = World::of(&repository).await;
    assert_eq!(world.find("1.4").await.unwrap().roles[3].key_ids.len(), 2);
    repository.role("targets").signers.truncate(1);
    next_version(&mut repository);
    world.publish(&repository);
    let error = world.find("1.4").await.unwrap_err();
    assert!(
        matches!(error, TrustError::Metadata { source: TufError::Threshold { valid: 1, needed: 2, .. }, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_is_no_server_is_refused_before_anything_is_sent() {
    let world = World::of(&simple()).await;
    let server = format!("http://{}", world.server.host()).parse().unwrap();
    let terms = RepositoryTerms { server: Some(server), ..RepositoryTerms::docker() };
    let error = world.find_on("1.4", &terms).await.unwrap_err();
    assert!(matches!(error, TrustError::Server(_)), "{error}");
    assert!(world.files_asked().is_empty());
}

#[tokio::test]
async fn a_path_before_notarys_own_is_kept() {
    let world = World::of(&simple()).await;
    let terms = RepositoryTerms { server: Some(world.server.url("/notary/")), ..RepositoryTerms::docker() };
    let tag = "1.4".parse().unwrap();
    world.reader().find(&gun(), Want::Tag(&tag), &terms).await.unwrap_err();
    let asked = world.server.take_requests();
    assert!(
        asked.iter().all(|it| it.target.starts_with(&format!("/notary/v2/{GUN}/_trust/tuf/"))),
        "{asked:?}"
    );
}

fn assert_rollback(result: Result<trustgate::trust::SignedTarget, TrustError>, role: &str) {
    match result {
        Err(error @ TrustError::Metadata { source: TufError::Rollback { .. }, .. }) => {
            assert!(error.to_string().contains(&format!("`{role}`")), "{error}");
            assert_eq!(error.exit(), 1);
        }
        other => panic!("{role}: {other:?}"),
    }
}
