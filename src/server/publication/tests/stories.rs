//! What honest clients do.

use std::sync::atomic::Ordering;

use super::desk::{upload, versions};
use super::*;

#[tokio::test]
async fn a_first_push_as_docker_does_it() {
    let (desk, repository) = Desk::with(Desk::repository).await;
    assert_eq!(
        desk.versions().await,
        versions([("root", 1), ("snapshot", 1), ("targets", 1), ("timestamp", 1)])
    );
    let read = desk.read().await;
    assert!(read.targets.find("v1").unwrap().is_some());
    assert_eq!(read.timestamp.expires(), days(14));
    assert_eq!(read.snapshot.expires(), days(3 * 365));
    assert_eq!(read.targets.raw(), repository.publish().get("targets"));
}

#[tokio::test]
async fn a_first_push_starts_with_version_two_as_well() {
    let desk = Desk::new().await;
    let mut repository = desk.repository();
    repository.role("root").set_version(2);
    repository.role("targets").set_version(2);
    desk.publish(&repository, &["root", "targets"]).await.unwrap();
    desk.read().await;
}

#[tokio::test]
async fn nothing_handed_in_is_signed_anew() {
    let (desk, _) = Desk::with(Desk::repository).await;
    for number in 2..4 {
        let published = desk.publisher.publish(&gun(), Upload::default(), now()).await.unwrap();
        let expected = [("snapshot", number), ("timestamp", number)];
        let found: Vec<_> = published.versions.iter().map(|(it, n)| (it.as_str(), n.get())).collect();
        assert_eq!(found, expected);
        desk.read().await;
    }
}

#[tokio::test]
async fn a_second_tag_changes_targets_only() {
    let (desk, mut repository) = Desk::with(Desk::repository).await;
    repository.tag("targets", "v2", b"another");
    repository.role("targets").set_version(2);
    desk.publish(&repository, &["targets"]).await.unwrap();
    assert_eq!(
        desk.versions().await,
        versions([("root", 1), ("snapshot", 2), ("targets", 2), ("timestamp", 2)])
    );
    assert!(desk.read().await.targets.find("v2").unwrap().is_some());
}

#[tokio::test]
async fn a_client_may_sign_the_snapshot_itself() {
    let (desk, mut repository) = Desk::with(Desk::repository_with_snapshot).await;
    for number in 2..4 {
        repository.role("targets").set_version(number);
        repository.role("snapshot").set_version(number);
        desk.publish(&repository, &["targets", "snapshot"]).await.unwrap();
    }
    let read = desk.read().await;
    assert_eq!((read.snapshot.version().get(), read.timestamp.version().get()), (3, 3));
    // Only the timestamp can be renewed then.
    let error = desk.publisher.renew(&gun(), Renewal::Snapshot, now()).await.unwrap_err();
    assert!(matches!(error, PublicationError::Hierarchy { .. }), "{error}");
    let published = desk.publisher.renew(&gun(), Renewal::Timestamp, now()).await.unwrap();
    assert_eq!(
        published.versions.into_iter().collect::<Vec<_>>(),
        [(RoleName::TIMESTAMP, Version::new(4).unwrap())]
    );
    desk.read().await;
}

#[tokio::test]
async fn the_snapshot_changes_hands_with_the_root() {
    let (desk, mut repository) = Desk::with(Desk::repository_with_snapshot).await;
    let server = TestKey::ed25519("server snapshot");
    repository.replace_keys("snapshot", vec![server], 1);
    repository.role("root").set_version(2);
    desk.publish(&repository, &["root"]).await.unwrap();
    assert_eq!(desk.read().await.snapshot.version().get(), 2);

    repository.replace_keys("snapshot", vec![TestKey::p256("own snapshot again")], 1);
    repository.role("root").set_version(3);
    repository.role("snapshot").set_version(3);
    desk.publish(&repository, &["root", "snapshot"]).await.unwrap();
    assert_eq!(desk.read().await.snapshot.version().get(), 3);
}

#[tokio::test]
async fn a_root_rotates() {
    let (desk, mut repository) = Desk::with(Desk::repository).await;
    for number in 2..5 {
        let key = repository.root_key(&format!("root {number}"));
        repository.rotate_root(&[key]);
        desk.publish(&repository, &["root"]).await.unwrap();
        assert_eq!(desk.read().await.chain.root().version().get(), number);
    }
    for number in 1..5 {
        let number = Version::new(number).unwrap();
        assert!(desk.storage.by_version(&gun(), &RoleName::ROOT, number).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn signers_come_and_go_and_come_again() {
    let (desk, mut repository) = Desk::with(Desk::repository).await;
    let alice = TestKey::p256("alice");
    repository.delegate("targets/alice", std::slice::from_ref(&alice), 1, &[""]);
    repository.delegate("targets/alice/ci", std::slice::from_ref(&alice), 1, &[""]);
    repository.tag("targets/alice", "v3", b"hers");
    repository.role("targets").set_version(2);
    repository.role("targets/alice").set_version(7);
    desk.publish(&repository, &["targets", "targets/alice", "targets/alice/ci"]).await.unwrap();
    assert_eq!(desk.read().await.delegations.len(), 2);
    // A delegation alone, below targets that stay.
    repository.role("targets/alice/ci").set_version(2);
    desk.publish(&repository, &["targets/alice/ci"]).await.unwrap();
    desk.read().await;

    repository.role("targets").signed["delegations"] = json!({"keys": {}, "roles": []});
    repository.role("targets").set_version(3);
    desk.publish(&repository, &["targets"]).await.unwrap();
    let read = desk.read().await;
    let listed: Vec<_> = read.snapshot.roles().map(RoleName::as_str).collect();
    assert_eq!(listed, ["root", "targets"]);
    assert_eq!(desk.storage.current(&gun(), &role("targets/alice")).await.unwrap(), None);

    repository.delegate("targets/alice", &[alice], 1, &[""]);
    repository.role("targets").set_version(4);
    desk.publish(&repository, &["targets", "targets/alice"]).await.unwrap();
    assert_eq!(desk.read().await.delegations[&role("targets/alice")].version().get(), 1);
}

#[tokio::test]
async fn expired_files_that_stay_do_not_lock_the_repository() {
    let desk = Desk::new().await;
    let mut repository = desk.repository();
    repository.role("targets").set_expires(days(1));
    repository.delegate("targets/a", &[TestKey::p256("a")], 1, &[""]);
    repository.role("targets/a").set_expires(days(30));
    desk.publish(&repository, &["root", "targets", "targets/a"]).await.unwrap();
    repository.role("targets/a").set_version(2);
    desk.publisher.publish(&gun(), upload(&repository, &["targets/a"]), days(2)).await.unwrap();
    desk.publisher.renew(&gun(), Renewal::Snapshot, days(4000)).await.unwrap();
    repository.role("targets").set_version(2);
    repository.role("targets").set_expires(days(100));
    desk.publisher.publish(&gun(), upload(&repository, &["targets"]), days(2)).await.unwrap();
}

#[tokio::test]
async fn whoever_is_late_is_told_so_and_can_go_on() {
    let (desk, mut repository) = Desk::with(Desk::repository).await;
    let error = desk.publish(&repository, &["targets"]).await.unwrap_err();
    assert_eq!(error.answer().code, ErrorCode::Version);
    let error = desk.publish(&repository, &["root", "targets"]).await.unwrap_err();
    assert_eq!((error.answer().status, error.answer().code), (400, ErrorCode::Version));
    repository.role("targets").set_version(2);
    desk.publish(&repository, &["targets"]).await.unwrap();
}

/// Eight writers, two servers, one repository: whoever tries again gets through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_writer_gets_through() {
    let (desk, repository) = Desk::with(Desk::repository).await;
    let servers = [desk.beside(), desk.beside()].map(std::sync::Arc::new);
    let repository = std::sync::Arc::new(std::sync::Mutex::new(repository));
    let writers: Vec<_> = (0..8_usize)
        .map(|writer| {
            let (server, repository) = (servers[writer % 2].clone(), repository.clone());
            let storage = desk.storage.clone();
            tokio::spawn(async move {
                loop {
                    let heads = storage.heads(&gun()).await.unwrap();
                    let next = heads[&RoleName::TARGETS].version.get() + 1;
                    let upload = {
                        let mut repository = repository.lock().unwrap();
                        repository.role("targets").set_version(next);
                        upload(&repository, &["targets"])
                    };
                    match server.publish(&gun(), upload, now()).await {
                        Ok(_) => return,
                        Err(error) => assert_eq!(error.answer().code, ErrorCode::Version, "{error}"),
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(
        desk.versions().await,
        versions([("root", 1), ("snapshot", 9), ("targets", 9), ("timestamp", 9)])
    );
    desk.read().await;
}

/// Those who only have it signed anew are not told of each other at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renewals_do_not_get_in_each_others_way() {
    let (desk, _) = Desk::with(Desk::repository).await;
    let servers = [desk.beside(), desk.beside()].map(std::sync::Arc::new);
    let tasks: Vec<_> = (0..8_usize)
        .map(|it| {
            let server = servers[it % 2].clone();
            tokio::spawn(async move { server.publish(&gun(), Upload::default(), now()).await.map(drop) })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(desk.read().await.timestamp.version().get(), 9);
}

#[tokio::test]
async fn keys_out_of_reach_are_not_the_clients_fault() {
    let (desk, mut repository) = Desk::with(Desk::repository).await;
    let before = desk.versions().await;
    desk.keys.away.store(true, Ordering::SeqCst);
    repository.role("targets").set_version(2);
    let error = desk.publish(&repository, &["targets"]).await.unwrap_err();
    assert_eq!((error.answer().status, error.answer().code), (503, ErrorCode::NoCryptoService));
    assert_eq!(desk.versions().await, before);
    desk.keys.away.store(false, Ordering::SeqCst);
    desk.publish(&repository, &["targets"]).await.unwrap();
}

#[tokio::test]
async fn a_storage_out_of_reach_is_not_the_clients_fault() {
    let (desk, _) = Desk::with(Desk::repository).await;
    desk.storage.close().await;
    let error = desk.publisher.publish(&gun(), Upload::default(), now()).await.unwrap_err();
    assert!(matches!(error, PublicationError::Storage(StorageError::Unavailable { .. })), "{error}");
    assert_eq!((error.answer().status, error.answer().code), (503, ErrorCode::Updating));
}

/// What a server remembers of its own last publish is not what is stored any more.
#[tokio::test]
async fn servers_take_turns() {
    let (desk, mut repository) = Desk::with(Desk::repository).await;
    let other = desk.beside();
    for number in (2..8).step_by(2) {
        for (publisher, version) in [(&desk.publisher, number), (&other, number + 1)] {
            repository.tag("targets", &format!("v{version}"), b"another");
            repository.role("targets").set_version(version);
            publisher.publish(&gun(), upload(&repository, &["targets"]), now()).await.unwrap();
            desk.read().await;
        }
    }
    desk.storage.delete(&gun(), now()).await.unwrap();
    let gone = desk.publisher.publish(&gun(), upload(&repository, &["targets"]), now()).await;
    assert!(matches!(gone, Err(PublicationError::Update { .. })), "{gone:?}");
}
