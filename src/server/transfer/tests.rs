//! Repositories from one storage into another, and what must not arrive.

use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::*;
use crate::image::Gun;
use crate::server::storage::{Change, ChangeQuery, ChangeStart, NewFile, SqlStorage, Storage as _};
use crate::signer::vault::{SealingKey, SealingKeys};
use crate::signer::{KeyAlgorithm, KeyService as _, KeyServiceError, Vault};
use crate::tuf::testing::{Files, Repository, TestKey, days, now};
use crate::tuf::{RoleName, peek_version};

const NOBODY: SignerInside<'_> = SignerInside { vault: None, keys: None, variables: &|_| None };

async fn store(storage: &SqlStorage, files: &Files) {
    let gun = files.gun();
    let heads = storage.heads(&gun).await.unwrap();
    let new = files.files.iter().filter_map(|(role, content)| {
        let version = peek_version(content).unwrap();
        let role: RoleName = role.parse().unwrap();
        let here = heads.get(&role).map(|it| it.version);
        (here.is_none_or(|it| it < version)).then(|| NewFile::new(role, version, days(14), content.clone()))
    });
    let expected = heads.get(&RoleName::TIMESTAMP).map(|it| it.sha256);
    let change = Change { expected, files: new.collect(), retired: Vec::new() };
    storage.publish(&gun, &change, now()).await.unwrap();
}

/// The next state of a repository: another tag, and new files of all roles but the root.
fn next(repository: &mut Repository, tag: &str) -> Files {
    let version = peek_version(&repository.publish().get("timestamp")).unwrap().get() + 1;
    repository.tag("targets", tag, tag.as_bytes());
    for role in ["targets", "snapshot", "timestamp"] {
        repository.role(role).set_version(version);
    }
    repository.publish()
}

/// Two repositories, one of which was published three times, with a new root at the second.
async fn server() -> (SqlStorage, Repository) {
    let storage = SqlStorage::in_memory().await.unwrap();
    let mut base = Repository::new("docker.io/acme/base");
    base.delegate("targets/releases", &[TestKey::ed25519("releases")], 1, &[""]);
    store(&storage, &base.publish()).await;
    let key = base.root_key("second");
    base.rotate_root(&[key]);
    store(&storage, &next(&mut base, "1")).await;
    store(&storage, &next(&mut base, "2")).await;
    store(&storage, &Repository::new("docker.io/other/app").publish()).await;
    let handed_out = TestKey::ed25519("handed out");
    let gun = base.publish().gun();
    storage.add_signing_key(&gun, &RoleName::SNAPSHOT, handed_out.public(), now()).await.unwrap();
    (storage, base)
}

async fn export(storage: &SqlStorage, path: &Path) -> ExportReport {
    Export::default().run(storage, path, &mut |_| {}).await.unwrap()
}

async fn import(storage: &SqlStorage, path: &Path) -> Result<ImportReport, TransferError> {
    let import = Import { from: ImportFrom::Archive(path.to_owned()), strict: false, passphrase: None };
    import.run(storage, &NOBODY, now(), &mut |_| {}).await
}

fn outcomes(report: &ImportReport) -> Vec<Outcome> {
    report.repositories.iter().map(|it| it.outcome).collect()
}

async fn changes(storage: &SqlStorage) -> Vec<crate::server::storage::ChangeRecord> {
    storage.changes(&ChangeQuery { gun: None, start: ChangeStart::After(0), count: 1000 }).await.unwrap()
}

async fn same(one: &SqlStorage, other: &SqlStorage, gun: &str) {
    let gun: Gun = gun.parse().unwrap();
    assert_eq!(one.heads(&gun).await.unwrap(), other.heads(&gun).await.unwrap());
    assert_eq!(one.known_files(&gun).await.unwrap(), other.known_files(&gun).await.unwrap());
    for role in [RoleName::ROOT, RoleName::TIMESTAMP, RoleName::TARGETS, RoleName::RELEASES] {
        let stored = |it: Option<crate::server::storage::StoredFile>| it.map(|it| (it.content, it.stored));
        let [one, other] =
            [one.current(&gun, &role).await.unwrap(), other.current(&gun, &role).await.unwrap()];
        assert_eq!(stored(one), stored(other), "{gun} {role}");
    }
}

#[tokio::test]
async fn what_was_exported_is_there_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all");
    let (storage, _) = server().await;
    let report = export(&storage, &path).await;
    assert_eq!((report.repositories, report.changes, report.keys), (2, 4, 0));
    let metadata = std::fs::metadata(&path).unwrap();
    assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (report.bytes, 0o600));

    let other = SqlStorage::sqlite(&folder.path().join("other.db")).await.unwrap();
    let first = import(&other, &path).await.unwrap();
    assert_eq!(outcomes(&first), [Outcome::Imported, Outcome::Imported]);
    assert!(first.complete() && first.changes == 4);
    for gun in ["docker.io/acme/base", "docker.io/other/app"] {
        same(&storage, &other, gun).await;
    }
    assert_eq!(changes(&storage).await, changes(&other).await);
    let gun = "docker.io/acme/base".parse().unwrap();
    let keys = storage.signing_keys(&gun, &RoleName::SNAPSHOT).await.unwrap();
    assert_eq!(other.signing_keys(&gun, &RoleName::SNAPSHOT).await.unwrap(), keys);

    // Twice is once.
    let second = import(&other, &path).await.unwrap();
    assert_eq!(outcomes(&second), [Outcome::Unchanged, Outcome::Unchanged]);
    assert_eq!((second.changes, second.repositories[0].past_files), (0, 0));
    same(&storage, &other, "docker.io/acme/base").await;
    assert_eq!(changes(&storage).await, changes(&other).await);
}

#[tokio::test]
async fn chosen_repositories_are_exported_and_no_file_is_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let (storage, _) = server().await;
    let chosen = async |name: &str, file: &str| {
        let export = Export { repositories: vec![name.to_owned()], ..Export::default() };
        export.run(&storage, &folder.path().join(file), &mut |_| {}).await
    };
    for (name, file) in [("docker.io/acme", "a"), ("docker.io/acme/base", "b"), ("docker.io/acme/", "c")] {
        let report = chosen(name, file).await.unwrap();
        assert_eq!((report.repositories, report.changes), (1, 3), "{name}");
    }
    for name in ["docker.io/acm", "docker.io/acme/base/", "docker.io/acme/bas"] {
        let error = chosen(name, "none").await.unwrap_err();
        assert!(matches!(error, TransferError::Nothing { .. }), "{error}");
    }
    let error = chosen("docker.io/acme", "a").await.unwrap_err();
    assert!(matches!(error, TransferError::Exists { .. }), "{error}");
    // Nothing half-written is left.
    let mut names: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a", "b", "c"]);
}

#[tokio::test]
async fn an_archive_that_was_cut_or_changed_is_refused_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all");
    let (storage, _) = server().await;
    export(&storage, &path).await;
    let whole = std::fs::read(&path).unwrap();
    let other = SqlStorage::in_memory().await.unwrap();
    let refused = async |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let error = import(&other, &path).await.unwrap_err();
        assert!(changes(&other).await.is_empty());
        error.to_string()
    };
    for end in (0..whole.len()).step_by(whole.len() / 60) {
        refused(&whole[..end]).await;
    }
    for place in (0..whole.len()).step_by(whole.len() / 60) {
        let mut changed = whole.clone();
        changed[place] ^= 4;
        refused(&changed).await;
    }
    refused(&[&whole[..], b"\n"].concat()).await;
    let later = refused(b"trustgate export 2\n").await;
    assert!(later.contains("that this version can read"), "{later}");
    let foreign = refused(b"-- PostgreSQL database dump\n").await;
    assert!(foreign.contains("no export of trustgate-server"), "{foreign}");
    let long = refused(&[&b"trustgate export 1\n"[..], &vec![b'x'; 100_000]].concat()).await;
    assert!(long.contains("a record has no end"), "{long}");
    let length = r#"{"record":"file","role":"root","version":1,"sha256":"","length":18446744073709551615,"stored":""}"#;
    for record in
        [length, "{}", r#"{"record":"x"}"#, r#"{"record":"repository","gun":"../x"}"#, "[1]", "\"\""]
    {
        refused(format!("trustgate export 1\n{record}\n").as_bytes()).await;
    }
}

#[tokio::test]
async fn no_repository_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    let (storage, mut base) = server().await;
    let old = folder.path().join("old");
    export(&storage, &old).await;
    let other = SqlStorage::in_memory().await.unwrap();
    import(&other, &old).await.unwrap();
    store(&storage, &next(&mut base, "3")).await;
    let new = folder.path().join("new");
    export(&storage, &new).await;

    // What is older here goes on, and says so in the list of changes.
    let updated = import(&other, &new).await.unwrap();
    assert_eq!(outcomes(&updated), [Outcome::Updated, Outcome::Unchanged]);
    same(&storage, &other, "docker.io/acme/base").await;
    assert_eq!(changes(&other).await.len(), 5);
    let kept = import(&other, &old).await.unwrap();
    assert_eq!(outcomes(&kept), [Outcome::Kept, Outcome::Unchanged]);
    assert!(kept.complete());
    same(&storage, &other, "docker.io/acme/base").await;

    // Another state of the same version, and another repository of the same name.
    let fork = SqlStorage::in_memory().await.unwrap();
    import(&fork, &old).await.unwrap();
    base.role("timestamp").set_expires(days(3));
    store(&fork, &base.publish()).await;
    let conflict = import(&fork, &new).await.unwrap();
    assert_eq!(conflict.repositories[0].outcome, Outcome::Refused);
    assert!(conflict.repositories[0].reason.as_ref().unwrap().contains("is another file"), "{conflict:?}");
    let stranger = SqlStorage::in_memory().await.unwrap();
    let mut again = Repository::new("docker.io/acme/base");
    let key = again.root_key("a stranger's");
    again.replace_keys("root", vec![key], 1);
    store(&stranger, &again.publish()).await;
    let refused = import(&stranger, &new).await.unwrap();
    assert!(refused.repositories[0].reason.as_ref().unwrap().contains("other roots"), "{refused:?}");
    assert!(!refused.complete());
    assert_eq!(refused.repositories[1].outcome, Outcome::Imported);
}

#[tokio::test]
async fn damaged_repositories_are_left_out_or_stop_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all");
    let (storage, _) = server().await;
    let mut files = Repository::new("docker.io/acme/damaged").publish();
    let other = Repository::new("docker.io/acme/damaged2").publish();
    files.files.insert("targets".to_owned(), other.get("targets"));
    store(&storage, &files).await;
    export(&storage, &path).await;
    let target = SqlStorage::in_memory().await.unwrap();
    let strict = Import { from: ImportFrom::Archive(path.clone()), strict: true, passphrase: None };
    let error = strict.run(&target, &NOBODY, now(), &mut |_| {}).await.unwrap_err();
    assert!(matches!(&error, TransferError::Damaged { gun, .. } if gun.ends_with("damaged")), "{error}");
    assert!(changes(&target).await.is_empty());
    let report = import(&target, &path).await.unwrap();
    assert_eq!(outcomes(&report), [Outcome::Imported, Outcome::Imported, Outcome::Damaged]);
    assert!(!report.complete());
    assert!(target.heads(&files.gun()).await.unwrap().is_empty());
}

/// A kill between the state and the files of its past.
#[tokio::test]
async fn an_import_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all");
    let (storage, base) = server().await;
    export(&storage, &path).await;
    let other = SqlStorage::in_memory().await.unwrap();
    let files = base.publish();
    let state = files.files.iter().map(|(role, content)| {
        NewFile::new(role.parse().unwrap(), peek_version(content).unwrap(), days(14), content.clone())
    });
    let change = Change { expected: None, files: state.collect(), retired: Vec::new() };
    other
        .restore_state(&files.gun(), &change, &std::collections::BTreeMap::new(), false, now())
        .await
        .unwrap();
    let report = import(&other, &path).await.unwrap();
    assert_eq!(outcomes(&report), [Outcome::Unchanged, Outcome::Imported]);
    assert!(0 < report.repositories[0].past_files);
    let gun = files.gun();
    assert_eq!(storage.known_files(&gun).await.unwrap(), other.known_files(&gun).await.unwrap());
    assert_eq!(changes(&storage).await, changes(&other).await);
}

#[tokio::test]
async fn keys_move_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let (storage, _) = server().await;
    let sealing =
        |byte| SealingKeys::new("kek".parse().unwrap(), SealingKey::new(&Zeroizing::new([byte; 32])));
    let vault = async |storage: &SqlStorage, byte| {
        Vault::new(Arc::new(storage.key_rows().await.unwrap()), sealing(byte), Arc::new(now))
    };
    let here = vault(&storage, 1).await;
    let gun: Gun = "docker.io/acme/base".parse().unwrap();
    let key = here.create(&gun, &RoleName::TIMESTAMP, KeyAlgorithm::Ed25519).await.unwrap();
    let signature = here.sign(key.id(), b"{}").await.unwrap();
    let passphrase = |text: &str| MovePassphrase::new(Zeroizing::new(text.as_bytes().to_vec())).unwrap();
    let (stored, moved) = (folder.path().join("stored"), folder.path().join("moved"));
    let as_stored = Export { repositories: Vec::new(), keys: ExportedKeys::AsStored };
    assert_eq!(as_stored.run(&storage, &stored, &mut |_| {}).await.unwrap().keys, 1);
    let under = ExportedKeys::Under { stored: sealing(1), passphrase: passphrase("of this move") };
    let under = Export { repositories: Vec::new(), keys: under };
    assert_eq!(under.run(&storage, &moved, &mut |_| {}).await.unwrap().keys, 1);

    for (path, byte, given, imported) in [
        (&stored, 1, None, 1),
        (&stored, 2, None, 0),
        (&moved, 2, Some("of this move"), 1),
        (&moved, 2, Some("of another one"), 0),
        (&moved, 1, None, 0),
    ] {
        let other = SqlStorage::in_memory().await.unwrap();
        let there = vault(&other, byte).await;
        let signer = SignerInside { vault: Some(&there), keys: None, variables: &|_| None };
        let import = || Import {
            from: ImportFrom::Archive(path.clone()),
            strict: false,
            passphrase: given.map(passphrase),
        };
        let keys = import().run(&other, &signer, now(), &mut |_| {}).await.unwrap().keys.unwrap();
        assert_eq!((keys.imported, keys.left.len()), (imported, 1 - imported), "{given:?}");
        let there_too = there.sign(key.id(), b"{}").await;
        if imported == 1 {
            assert_eq!(there_too.as_ref(), Ok(&signature));
            let again = import().run(&other, &signer, now(), &mut |_| {}).await.unwrap().keys.unwrap();
            assert_eq!((again.imported, again.present), (0, 1));
        } else {
            assert!(matches!(there_too, Err(KeyServiceError::Unknown { .. })));
        }
    }
    // Keys have no place with a server that another process signs for.
    let error = import(&SqlStorage::in_memory().await.unwrap(), &moved).await.unwrap_err();
    assert!(matches!(error, TransferError::Vault(_)), "{error}");
}

#[tokio::test]
async fn a_full_disk_leaves_nothing_behind() {
    let (storage, _) = server().await;
    // A device that is always full stands for the folder: nothing can be made in it.
    let error = Export::default().run(&storage, Path::new("/dev/full/x"), &mut |_| {}).await.unwrap_err();
    assert!(matches!(error, TransferError::Write { .. }), "{error}");
    let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
    let error = TransferError::write(Path::new("x"), &full);
    assert!(error.help().unwrap().contains("more room"), "{error}");
}
