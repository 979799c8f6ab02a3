//! What holds of a storage, whichever database is below it.

mod cases;
mod model;
mod postgres;

use std::collections::BTreeMap;

use super::*;
use crate::tuf::testing::{days, now};

fn gun(name: &str) -> Gun {
    format!("docker.io/{name}").parse().unwrap()
}

fn role(name: &str) -> RoleName {
    name.parse().unwrap()
}

fn version(number: u64) -> Version {
    Version::new(number).unwrap()
}

/// A file whose bytes say which it is.
fn file(name: &str, number: u64, mark: &str) -> NewFile {
    let content = format!("{name} {number} {mark}").into_bytes();
    NewFile::new(role(name), version(number), days(14), content)
}

/// The SHA-256 of the current timestamp: what the next change starts from.
async fn state(storage: &SqlStorage, gun: &Gun) -> Option<[u8; 32]> {
    storage.heads(gun).await.unwrap().get(&RoleName::TIMESTAMP).map(|it| it.sha256)
}

/// Publishes these on whatever is there.
async fn publish(storage: &SqlStorage, gun: &Gun, files: &[NewFile]) -> Result<(), StorageError> {
    let expected = state(storage, gun).await;
    storage.publish(gun, &Change { expected, files: files.to_vec(), retired: Vec::new() }, now()).await
}

fn versions(heads: &BTreeMap<RoleName, Head>) -> Vec<(String, u64)> {
    heads.iter().map(|(role, it)| (role.to_string(), it.version.get())).collect()
}

#[tokio::test]
async fn in_memory() {
    cases::all(&SqlStorage::in_memory().await.unwrap()).await;
}

#[tokio::test]
async fn in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trust.db");
    let storage = SqlStorage::sqlite(&path).await.unwrap();
    cases::all(&storage).await;
    cases::one_of_many_writers_wins(&[storage.clone(), SqlStorage::sqlite(&path).await.unwrap()]).await;

    // What was acknowledged is there for whoever opens the file next.
    let name = gun("reopened/one");
    publish(&storage, &name, &[file("root", 1, ""), file("timestamp", 1, "")]).await.unwrap();
    let heads = storage.heads(&name).await.unwrap();
    drop(storage);
    let storage = SqlStorage::sqlite(&path).await.unwrap();
    assert_eq!(storage.heads(&name).await.unwrap(), heads);
    storage.close().await;
    assert!(matches!(Storage::health(&storage).await, Err(StorageError::Unavailable { .. })));
}

#[tokio::test]
async fn a_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trust.db");
    let storage = SqlStorage::sqlite(&path).await.unwrap();
    publish(&storage, &gun("acme/base"), &[file("timestamp", 1, "")]).await.unwrap();
    for name in ["trust.db", "trust.db-wal"] {
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn what_is_no_database_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trust.db");
    std::fs::write(&path, "x".repeat(5000)).unwrap();
    let error = SqlStorage::sqlite(&path).await.unwrap_err();
    assert!(matches!(error, StorageError::Corrupt { .. }), "{error}");
    let error = SqlStorage::sqlite(&folder.path().join("none/trust.db")).await.unwrap_err();
    assert!(matches!(error, StorageError::Configuration { .. }), "{error}");
    let error = SqlStorage::postgres("mysql://someone:hunter2@localhost/x").await.unwrap_err();
    assert!(matches!(error, StorageError::Configuration { .. }), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}
