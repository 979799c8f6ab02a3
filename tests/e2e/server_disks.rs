//! Our trust server on a disk that is full: nothing that was acknowledged is lost, and it goes on when there is room.

use std::sync::Arc;
use std::time::Instant;

use reqwest::StatusCode;
use rustix::process::Signal;

use crate::server_databases::{folder, missing, settings_for};
use crate::support::postgres::Postgres;
use crate::support::space::Space;
use crate::trust_server::{DEADLINE, Publisher, Server, post};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_sqlite_costs_nothing_that_was_acknowledged() {
    let name = "server_disks::a_full_disk_under_sqlite_costs_nothing_that_was_acknowledged";
    let Some(space) = Space::of_test(name, 16) else { return };
    let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
    let settings = "listen = \"127.0.0.1:0\"\n";
    let server = Server::start_with(Arc::clone(&folder), settings);
    let publisher = Publisher::begin(&server, GUN).await;
    let mut known = publish_until(&publisher, 1, |_, version| version == 3).await;
    space.fill();
    // What SQLite has of the disk already is used up first.
    known = publish_until(&publisher, known, |status, _| status != StatusCode::OK).await;
    assert_all_there(&publisher, known).await;
    server.line("the storage is full");
    space.clear();
    known = publish_until(&publisher, known, |status, _| status == StatusCode::OK).await;
    space.fill();
    known = publish_until(&publisher, known, |status, _| status != StatusCode::OK).await;
    // It starts where there is no room, too: reading needs none.
    server.signal(Signal::KILL);
    drop(server);
    let server = Server::start_with(folder, settings);
    let publisher = publisher.at(&server);
    assert_all_there(&publisher, known).await;
    space.clear();
    known = publish_until(&publisher, known, |status, _| status == StatusCode::OK).await;
    assert_all_there(&publisher, known).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_postgresql_costs_nothing_that_was_acknowledged() {
    let name = "server_disks::a_full_disk_under_postgresql_costs_nothing_that_was_acknowledged";
    let Some(space) = Space::of_test(name, 128) else { return };
    let Some(mut postgres) = Postgres::start(true) else { return missing() };
    let folder = folder(&postgres, "trust");
    let server = Server::start_with(folder, &settings_for(""));
    let publisher = Publisher::begin(&server, GUN).await;
    let mut known = publish_until(&publisher, 1, |_, version| version == 3).await;
    space.fill();
    known = publish_until(&publisher, known, |status, _| status != StatusCode::OK).await;
    space.clear();
    // PostgreSQL itself may have ended over it, or not.
    postgres.end(Signal::QUIT);
    postgres.launch();
    postgres.wait();
    known = publish_until(&publisher, known, |status, _| status == StatusCode::OK).await;
    assert_all_there(&publisher, known).await;
}

/// Publishes one version after the other, until this holds for a status and a version; each refusal is told as one of
/// the server's own storage. Returns the last version that was acknowledged.
async fn publish_until(publisher: &Publisher, mut known: u64, done: impl Fn(StatusCode, u64) -> bool) -> u64 {
    let (client, url) = publisher.again();
    let started = Instant::now();
    loop {
        let parts = [("targets", publisher.targets(known + 1))];
        let (status, code) = post(&client, &url, &parts).await.expect("an answer");
        match (status.as_u16(), code.as_deref()) {
            (200, _) => known += 1,
            (503 | 507, Some("UPDATING")) | (503, Some("NO_CRYPTOSERVICE")) => {}
            other => panic!("version {}: {other:?}", known + 1),
        }
        if done(status, known) {
            return known;
        }
        assert!(started.elapsed() < DEADLINE, "version {known}, {status}");
    }
}

async fn assert_all_there(publisher: &Publisher, known: u64) {
    for file in (1..=known).map(|it| format!("{it}.targets.json")).chain(["timestamp.json".to_owned()]) {
        let answer = publisher.client.get(format!("{}{file}", publisher.files)).send().await;
        assert_eq!(answer.expect("an answer").status(), StatusCode::OK, "{file} of {known}");
    }
}

const GUN: &str = "registry.example/lab/full";
