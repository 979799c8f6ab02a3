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

    let name = gun("gone/base");
    publish(&storage, &name, &[file("timestamp", 1, "")]).await.unwrap();
    server.end(Signal::QUIT);
    let change = Change { expected: None, files: vec![file("timestamp", 2, "")], retired: Vec::new() };
    let error = storage.publish(&name, &change, now()).await.unwrap_err();
    assert!(matches!(error, StorageError::Unavailable { .. }), "{error}");
}
