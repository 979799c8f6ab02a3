//! The same against a real PostgreSQL of its own, where the machine has one.

#[path = "../../../../tests/support/postgres.rs"]
mod server;

use std::io::Write as _;

use rustix::process::Signal;

use self::server::Postgres;
use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_postgresql() {
    let Some(mut server) = Postgres::start(false) else {
        let required = std::env::var_os("TRUSTGATE_REQUIRE_ENGINES").is_some_and(|value| value == "1");
        assert!(!required, "missing here: PostgreSQL's server programs");
        writeln!(std::io::stderr(), "skipped: PostgreSQL's server programs are missing").unwrap();
        return;
    };
    server.create("storage", "");
    let url = server.url("storage");
    let storage = SqlStorage::postgres(&url).await.unwrap();
    cases::all(&storage).await;
    // Two servers of a cluster, which both bring the tables up to date as they start.
    let (one, two) = futures_util::future::join(SqlStorage::postgres(&url), SqlStorage::postgres(&url)).await;
    cases::one_of_many_writers_wins(&[one.unwrap(), two.unwrap()]).await;

    for outrun in [false, true] {
        waiting_for_a_lock(&storage, outrun).await;
    }

    let name = gun("gone/base");
    publish(&storage, &name, &[file("timestamp", 1, "")]).await.unwrap();
    server.end(Signal::QUIT);
    let change = Change { expected: None, files: vec![file("timestamp", 2, "")], retired: Vec::new() };
    let error = storage.publish(&name, &change, now()).await.unwrap_err();
    assert!(matches!(error, StorageError::Unavailable { .. }), "{error}");
}

/// A publish that waited for somebody else's transaction lands if that left the state as it was, and only then.
async fn waiting_for_a_lock(storage: &SqlStorage, outrun: bool) {
    let name = gun(if outrun { "waiting/outrun" } else { "waiting/kept" });
    let files = ["root", "targets", "timestamp"].map(|role| file(role, 1, ""));
    publish(storage, &name, &files).await.unwrap();
    let mut other = storage.database.begin().await.unwrap();
    let repository = super::super::sql::lock(&mut other, &name, 0).await.unwrap();
    let expected = state(storage, &name).await;
    let files = vec![file("targets", 2, ""), file("timestamp", 2, "")];
    let change = Change { expected, files, retired: Vec::new() };
    let waiting = {
        let (storage, name) = (storage.clone(), name.clone());
        tokio::spawn(async move { storage.publish(&name, &change, now()).await })
    };
    let waits = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted";
    while storage.database.read(waits, &[]).await.unwrap()[0].integer(0).unwrap() == 0 {
        assert!(!waiting.is_finished(), "it did not wait");
        tokio::task::yield_now().await;
    }
    if outrun {
        let newer = "INSERT INTO files (repository, role, version, sha256, content, expires_at, stored_at) \
                     SELECT $1, 'timestamp', 2, $2, $2, 0, 0 RETURNING id";
        let values = [repository.into(), [2; 32].as_slice().into()];
        let id = other.fetch(newer, &values).await.unwrap()[0].integer(0).unwrap();
        let newest = "UPDATE current_files SET file = $1 WHERE repository = $2 AND role = 'timestamp'";
        other.execute(newest, &[id.into(), repository.into()]).await.unwrap();
    }
    other.commit().await.unwrap();
    let outcome = waiting.await.unwrap();
    let targets = storage.heads(&name).await.unwrap()[&RoleName::TARGETS].version.get();
    if outrun {
        assert!(matches!(outcome, Err(StorageError::Moved)), "{outcome:?}");
        assert_eq!((state(storage, &name).await, targets), (Some([2; 32]), 1));
    } else {
        outcome.unwrap();
        assert_eq!(targets, 2);
    }
}
