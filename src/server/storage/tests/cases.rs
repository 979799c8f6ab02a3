//! The cases, each with repositories of its own.

use super::*;

pub(super) async fn all(storage: &SqlStorage) {
    files_are_found_again(storage).await;
    hashes_are_bound_to_their_repository(storage).await;
    roles_may_have_the_same_bytes(storage).await;
    versions_only_grow(storage).await;
    a_change_lands_on_the_state_it_was_made_for(storage).await;
    unfit_changes_are_refused(storage).await;
    a_retired_role_begins_anew(storage).await;
    a_deleted_repository_is_gone(storage).await;
    the_list_of_changes_is_in_order(storage).await;
    signing_keys_are_kept(storage).await;
    what_expires_is_found(storage).await;
    repositories_are_listed_page_by_page(storage).await;
    a_repositorys_standing_is_that_of_its_newest_files(storage).await;
    pruning_keeps_roots_and_what_is_current(storage).await;
    one_of_many_writers_wins(std::slice::from_ref(storage)).await;
    sealed_keys_are_kept_as_in_memory(storage).await;
    Storage::health(storage).await.unwrap();
}

async fn files_are_found_again(storage: &SqlStorage) {
    let name = gun("found/base");
    assert_eq!(storage.heads(&name).await.unwrap(), BTreeMap::new());
    assert_eq!(storage.current(&name, &RoleName::ROOT).await.unwrap(), None);
    let large = NewFile::new(RoleName::TARGETS, version(2), days(1), vec![0xff; 3 << 20]);
    let first = [file("root", 1, ""), large.clone(), file("snapshot", 1, ""), file("timestamp", 1, "")];
    publish(storage, &name, &first).await.unwrap();
    publish(storage, &name, &[file("targets/a", 1, ""), file("timestamp", 2, "")]).await.unwrap();
    let heads = storage.heads(&name).await.unwrap();
    let expected = [("root", 1), ("snapshot", 1), ("targets", 2), ("targets/a", 1), ("timestamp", 2)];
    assert_eq!(versions(&heads), expected.map(|(role, number)| (role.to_owned(), number)));

    let found = storage.current(&name, &RoleName::TARGETS).await.unwrap().unwrap();
    assert_eq!((found.role, found.version, found.sha256), (large.role, large.version, large.sha256));
    assert_eq!(found.content, large.content);
    assert_eq!(found.stored, now());
    for first in &first {
        let by_hash = storage.by_hash(&name, &first.role, &first.sha256).await.unwrap().unwrap();
        assert_eq!(by_hash.content, first.content);
        let by_version = storage.by_version(&name, &first.role, first.version).await.unwrap().unwrap();
        assert_eq!(by_version, by_hash);
    }
    assert_eq!(storage.by_version(&name, &RoleName::TARGETS, version(1)).await.unwrap(), None);
    assert_eq!(storage.by_version(&name, &RoleName::TARGETS, version(1 << 53)).await.unwrap(), None);
    assert_eq!(storage.by_hash(&name, &RoleName::ROOT, &[0; 32]).await.unwrap(), None);
}

async fn hashes_are_bound_to_their_repository(storage: &SqlStorage) {
    let (one, other) = (gun("bound/one"), gun("bound/other"));
    let secret = file("timestamp", 1, "secret");
    publish(storage, &one, std::slice::from_ref(&secret)).await.unwrap();
    publish(storage, &other, &[file("timestamp", 1, "")]).await.unwrap();
    assert!(storage.by_hash(&one, &secret.role, &secret.sha256).await.unwrap().is_some());
    assert_eq!(storage.by_hash(&other, &secret.role, &secret.sha256).await.unwrap(), None);
}

/// The files of two signers may be the same to the byte: as they are when a signer is added.
async fn roles_may_have_the_same_bytes(storage: &SqlStorage) {
    let name = gun("same/base");
    let roles = ["targets/a", "targets/releases"].map(role);
    let same = roles.clone().map(|it| NewFile::new(it, version(1), days(1), b"the same".to_vec()));
    let [a, b] = same;
    publish(storage, &name, &[a.clone(), b, file("timestamp", 1, "")]).await.unwrap();
    for role in &roles {
        let found = storage.by_hash(&name, role, &a.sha256).await.unwrap().unwrap();
        assert_eq!(found.role, *role);
    }
    assert_eq!(storage.by_hash(&name, &RoleName::TARGETS, &a.sha256).await.unwrap(), None);
}

async fn versions_only_grow(storage: &SqlStorage) {
    let name = gun("grow/base");
    publish(storage, &name, &[file("targets", 5, ""), file("timestamp", 1, "")]).await.unwrap();
    let before = storage.heads(&name).await.unwrap();
    for number in [1, 4, 5] {
        let files = [file("timestamp", 2, "new"), file("targets", number, "new")];
        let error = publish(storage, &name, &files).await.unwrap_err();
        assert!(
            matches!(&error, StorageError::Version { role, stored } if *role == RoleName::TARGETS && stored.get() == 5),
            "{error}"
        );
    }
    // Nothing of it stays, the file that could have been stored neither.
    assert_eq!(storage.heads(&name).await.unwrap(), before);
    assert_eq!(
        storage.by_hash(&name, &RoleName::TIMESTAMP, &file("timestamp", 2, "new").sha256).await.unwrap(),
        None
    );
    publish(storage, &name, &[file("targets", 9, ""), file("timestamp", 2, "")]).await.unwrap();
}

async fn a_change_lands_on_the_state_it_was_made_for(storage: &SqlStorage) {
    let name = gun("state/base");
    let change = |expected, number| Change {
        expected,
        files: vec![file("timestamp", number, "")],
        retired: Vec::new(),
    };
    let error = storage.publish(&name, &change(Some([7; 32]), 1), now()).await.unwrap_err();
    assert!(matches!(error, StorageError::Moved), "{error}");
    assert_eq!(storage.heads(&name).await.unwrap(), BTreeMap::new());
    storage.publish(&name, &change(None, 1), now()).await.unwrap();
    let first = state(storage, &name).await;
    storage.publish(&name, &change(first, 2), now()).await.unwrap();
    for expected in [None, first] {
        let error = storage.publish(&name, &change(expected, 3), now()).await.unwrap_err();
        assert!(matches!(error, StorageError::Moved), "{error}");
    }
}

async fn unfit_changes_are_refused(storage: &SqlStorage) {
    let name = gun("unfit/base");
    let timestamp = file("timestamp", 1, "");
    for (files, retired) in [
        (vec![], vec![]),
        (vec![file("root", 1, "")], vec![]),
        (vec![timestamp.clone(), timestamp.clone()], vec![]),
        (vec![timestamp.clone(), file("targets/a", 1, "")], vec![role("targets/a")]),
    ] {
        let change = Change { expected: None, files, retired };
        let error = storage.publish(&name, &change, now()).await.unwrap_err();
        assert!(matches!(error, StorageError::Unfit { .. }), "{error}");
    }
}

async fn a_retired_role_begins_anew(storage: &SqlStorage) {
    let name = gun("retired/base");
    let (bob, old) = (role("targets/bob"), file("targets/bob", 7, "old"));
    publish(storage, &name, &[old.clone(), file("timestamp", 1, "")]).await.unwrap();
    let expected = state(storage, &name).await;
    let change = Change { expected, files: vec![file("timestamp", 2, "")], retired: vec![bob.clone()] };
    storage.publish(&name, &change, now()).await.unwrap();
    assert_eq!(storage.current(&name, &bob).await.unwrap(), None);
    // Who read the snapshot before still finds what it lists.
    assert!(storage.by_hash(&name, &old.role, &old.sha256).await.unwrap().is_some());
    for number in [1, 7] {
        let new = file("targets/bob", number, "new");
        publish(storage, &name, &[new.clone(), file("timestamp", 2 + number, "")]).await.unwrap();
        let by_version = storage.by_version(&name, &bob, version(number)).await.unwrap().unwrap();
        assert_eq!(by_version.content, new.content);
    }
}

async fn a_deleted_repository_is_gone(storage: &SqlStorage) {
    let (name, other) = (gun("deleted/base"), gun("deleted/other"));
    let files = [file("root", 1, ""), file("timestamp", 1, "")];
    assert!(!storage.delete(&name, now()).await.unwrap());
    publish(storage, &name, &files).await.unwrap();
    publish(storage, &other, &files).await.unwrap();
    assert!(storage.delete(&name, now()).await.unwrap());
    assert!(!storage.delete(&name, now()).await.unwrap());
    assert_eq!(storage.heads(&name).await.unwrap(), BTreeMap::new());
    assert_eq!(storage.current(&name, &RoleName::ROOT).await.unwrap(), None);
    for file in &files {
        assert_eq!(storage.by_hash(&name, &file.role, &file.sha256).await.unwrap(), None);
        assert!(storage.by_hash(&other, &file.role, &file.sha256).await.unwrap().is_some());
    }
    // It may come again, and what was made for its former life does not land on it.
    publish(storage, &name, &files).await.unwrap();
}

async fn the_list_of_changes_is_in_order(storage: &SqlStorage) {
    let (name, other) = (gun("changes/base"), gun("changes/other"));
    for number in 1..=3 {
        publish(storage, &name, &[file("timestamp", number, "")]).await.unwrap();
        publish(storage, &other, &[file("timestamp", number, "")]).await.unwrap();
    }
    storage.delete(&name, now()).await.unwrap();
    let list = async |gun: Option<&Gun>, start, count| {
        storage.changes(&ChangeQuery { gun: gun.cloned(), start, count }).await.unwrap()
    };
    let mine = list(Some(&name), ChangeStart::After(0), 100).await;
    let shown: Vec<_> = mine.iter().map(|it| (it.gun.clone(), it.at, it.kind)).collect();
    let update = |number| ChangeKind::Update {
        version: version(number),
        sha256: file("timestamp", number, "").sha256,
    };
    let expected = [update(1), update(2), update(3), ChangeKind::Deletion];
    assert_eq!(shown, expected.map(|kind| (name.clone(), now(), kind)));
    assert!(mine.is_sorted_by(|one, next| one.id < next.id));

    let ids = |list: Vec<ChangeRecord>| list.into_iter().map(|it| it.id).collect::<Vec<_>>();
    let all: Vec<i64> = mine.iter().map(|it| it.id).collect();
    assert_eq!(ids(list(Some(&name), ChangeStart::After(all[0]), 2).await), all[1..3]);
    assert_eq!(ids(list(Some(&name), ChangeStart::Before(all[3]), 2).await), all[1..3]);
    assert_eq!(ids(list(Some(&name), ChangeStart::Newest, 2).await), all[2..]);
    assert_eq!(ids(list(Some(&name), ChangeStart::Newest, 0).await), Vec::<i64>::new());
    assert_eq!(ids(list(Some(&name), ChangeStart::After(all[3]), 9).await), Vec::<i64>::new());
    let newest = list(None, ChangeStart::Newest, 4).await;
    let guns: Vec<_> = newest.iter().map(|it| &it.gun).collect();
    assert_eq!(guns, [&other, &name, &other, &name]);
    let all_after = list(None, ChangeStart::After(all[2]), 100).await;
    assert_eq!(all_after.len(), 2);
    assert_eq!(list(None, ChangeStart::Before(all[3]), 1).await, all_after[..1]);
}

async fn signing_keys_are_kept(storage: &SqlStorage) {
    use crate::tuf::testing::TestKey;
    let name = gun("keys/base");
    let [one, two] = ["one", "two"].map(|it| TestKey::p256(it).public().clone());
    for key in [&one, &two, &one] {
        storage.add_signing_key(&name, &RoleName::TIMESTAMP, key, now()).await.unwrap();
    }
    publish(storage, &name, &[file("timestamp", 1, "")]).await.unwrap();
    storage.delete(&name, now()).await.unwrap();
    assert_eq!(storage.signing_keys(&name, &RoleName::TIMESTAMP).await.unwrap(), [two, one]);
    assert_eq!(storage.signing_keys(&name, &RoleName::SNAPSHOT).await.unwrap(), []);
    assert_eq!(storage.signing_keys(&gun("keys/other"), &RoleName::TIMESTAMP).await.unwrap(), []);
}

async fn what_expires_is_found(storage: &SqlStorage) {
    // Its own role, as the other cases' timestamps expire, too.
    let watched = role("targets/expiring");
    for (name, day) in [("expiring/soon", 3), ("expiring/later", 9), ("expiring/now", 1)] {
        let watched = NewFile::new(watched.clone(), version(1), days(day), b"x".to_vec());
        publish(storage, &gun(name), &[watched, file("timestamp", 1, "")]).await.unwrap();
    }
    let expiring = async |day, limit| storage.expiring(&watched, days(day), limit).await.unwrap();
    assert_eq!(expiring(9, 100).await, [gun("expiring/now"), gun("expiring/soon")]);
    assert_eq!(expiring(9, 1).await, [gun("expiring/now")]);
    let renewed = NewFile::new(watched.clone(), version(2), days(20), b"y".to_vec());
    publish(storage, &gun("expiring/now"), &[renewed, file("timestamp", 2, "")]).await.unwrap();
    assert_eq!(expiring(9, 100).await, [gun("expiring/soon")]);
    storage.delete(&gun("expiring/soon"), now()).await.unwrap();
    assert_eq!(expiring(9, 100).await, []);
}

async fn repositories_are_listed_page_by_page(storage: &SqlStorage) {
    // A database that sorts by a language would have `B` beside `b`, and pass over `-` and `_`.
    let names = ["listed/A", "listed/B-a", "listed/Ba", "listed/a", "listed/a-b", "listed/a_b", "listed/ab"];
    for name in names.iter().rev() {
        publish(storage, &gun(name), &[file("timestamp", 1, "")]).await.unwrap();
    }
    let list = async |after: Option<&str>, search: &str, limit| {
        let query = RepositoryQuery { after: after.map(gun), search: Some(search.to_owned()), limit };
        let found = storage.repositories(&query).await.unwrap();
        found.iter().map(|it| it.as_str().replace("docker.io/", "")).collect::<Vec<_>>()
    };
    assert_eq!(list(None, "listed/", 100).await, names);
    assert_eq!(list(None, "listed/", 3).await, names[..3]);
    assert_eq!(list(Some(names[2]), "listed/", 3).await, names[3..6]);
    assert_eq!(list(Some(names[6]), "listed/", 3).await, Vec::<String>::new());
    // What comes after need not be there.
    assert_eq!(list(Some("listed/Az"), "listed/", 1).await, names[1..2]);
    assert_eq!(list(None, "listed/", 0).await, Vec::<String>::new());
    assert_eq!(
        list(None, "LISTED/a", 9).await,
        ["listed/A", "listed/a", "listed/a-b", "listed/a_b", "listed/ab"]
    );
    assert_eq!(list(None, "listed/a_b", 9).await, ["listed/a_b"]);
    for none in ["listed%a", "listed/__", "listed/!a", "listed\\", "';--", "\u{1F600}", &"x".repeat(10_000)] {
        assert_eq!(list(None, none, 9).await, Vec::<String>::new(), "{none}");
    }
    let all = RepositoryQuery { after: Some(gun("listed")), search: None, limit: 1 };
    assert_eq!(storage.repositories(&all).await.unwrap(), [gun(names[0])]);
    storage.delete(&gun(names[0]), now()).await.unwrap();
    assert_eq!(storage.repositories(&all).await.unwrap(), [gun(names[1])]);
}

async fn a_repositorys_standing_is_that_of_its_newest_files(storage: &SqlStorage) {
    let name = gun("standing/base");
    assert_eq!(storage.standing(&name).await.unwrap(), []);
    publish(storage, &name, &[file("targets", 1, ""), file("timestamp", 1, "")]).await.unwrap();
    let timestamp = NewFile::new(RoleName::TIMESTAMP, version(2), days(3), vec![0xff; 3 << 20]);
    publish(storage, &name, std::slice::from_ref(&timestamp)).await.unwrap();
    let standing = |file: NewFile| Standing {
        role: file.role,
        version: file.version,
        sha256: file.sha256,
        size: u64::try_from(file.content.len()).unwrap(),
        expires: file.expires,
        stored: now(),
    };
    let expected = [file("targets", 1, ""), timestamp].map(standing);
    assert_eq!(storage.standing(&name).await.unwrap(), expected);
}

async fn pruning_keeps_roots_and_what_is_current(storage: &SqlStorage) {
    let name = gun("pruned/base");
    for (day, number) in [(-20, 1), (-10, 2), (-1, 3)] {
        let files = ["root", "targets", "timestamp"].map(|it| file(it, number, ""));
        let expected = state(storage, &name).await;
        let change = Change { expected, files: files.to_vec(), retired: Vec::new() };
        storage.publish(&name, &change, days(day)).await.unwrap();
    }
    let found = async |role: &str, number| {
        let role = role.parse().unwrap();
        storage.by_version(&name, &role, version(number)).await.unwrap().is_some()
    };
    // Version 1 was replaced ten days ago, version 2 yesterday.
    assert_eq!(storage.prune(days(-5)).await.unwrap(), 2);
    for (number, kept) in [(1, false), (2, true), (3, true)] {
        assert_eq!(found("timestamp", number).await, kept, "{number}");
        assert_eq!(found("targets", number).await, kept, "{number}");
        assert!(found("root", number).await, "{number}");
    }
    assert_eq!(storage.prune(days(-5)).await.unwrap(), 0);
    storage.prune(days(100)).await.unwrap();
    let heads = storage.heads(&name).await.unwrap();
    assert_eq!(heads.len(), 3);
    for (role, head) in heads {
        assert!(storage.by_hash(&name, &role, &head.sha256).await.unwrap().is_some(), "{role}");
    }
}

/// Sealed keys in tables answer as those in memory do, which is what the signer is tested with.
async fn sealed_keys_are_kept_as_in_memory(storage: &SqlStorage) {
    use crate::signer::{Alias, KeyRow, KeyRows, MemoryRows, RowsError, SealedKey};
    use crate::tuf::KeyType;
    use crate::tuf::testing::TestKey;

    let memory = MemoryRows::new();
    let stored = storage.key_rows().await.unwrap();
    let tables: [&dyn KeyRows; 2] = [&stored, &memory];
    let sealed = |alias: &str, mark: u8| SealedKey { alias: alias.parse().unwrap(), bytes: vec![mark; 90] };
    let row = |name: &str, day, alias: &str| KeyRow {
        public: TestKey::ed25519(name).public().clone(),
        gun: gun("sealed/base"),
        role: RoleName::TIMESTAMP,
        sealed: sealed(alias, 1),
        created: days(day),
        last_used: None,
    };
    let rows = [row("later", 2, "new"), row("first", 1, "old"), row("used", 0, "old")];
    let used = KeyRow { last_used: Some(days(3)), ..rows[2].clone() };
    let id = |row: &KeyRow| row.public.id().clone();
    for table in tables {
        for row in [&rows[0], &rows[1], &used] {
            table.insert(row.clone()).await.unwrap();
            let again = table.insert(row.clone()).await;
            assert_eq!(again, Err(RowsError::Exists { key: id(row) }));
            assert_eq!(table.find(&id(row)).await.unwrap().as_ref(), Some(row));
        }
        let unused = async |gun: &Gun, role: &RoleName, key_type: &KeyType| {
            table.find_unused(gun, role, key_type).await.unwrap().map(|it| id(&it))
        };
        let here = gun("sealed/base");
        assert_eq!(unused(&here, &RoleName::TIMESTAMP, &KeyType::Ed25519).await, Some(id(&rows[1])));
        assert_eq!(unused(&here, &RoleName::SNAPSHOT, &KeyType::Ed25519).await, None);
        assert_eq!(unused(&here, &RoleName::TIMESTAMP, &KeyType::Ecdsa).await, None);
        assert_eq!(unused(&gun("sealed/other"), &RoleName::TIMESTAMP, &KeyType::Ed25519).await, None);
        table.mark_used(&id(&rows[1]), days(4)).await.unwrap();
        assert_eq!(unused(&here, &RoleName::TIMESTAMP, &KeyType::Ed25519).await, Some(id(&rows[0])));
        assert_eq!(table.find(&id(&rows[1])).await.unwrap().unwrap().last_used, Some(days(4)));

        let aliases: Vec<String> =
            table.aliases().await.unwrap().iter().map(|it: &Alias| it.as_str().to_owned()).collect();
        assert_eq!(aliases, ["new", "old"]);
        let old: Alias = "old".parse().unwrap();
        let page = table.sealed_under(&old, None, 1).await.unwrap();
        let rest = table.sealed_under(&old, Some(&id(&page[0])), 9).await.unwrap();
        let mut expected = [id(&rows[1]), id(&used)];
        expected.sort();
        assert_eq!([id(&page[0]), id(&rest[0])], expected);
        assert_eq!(rest.len(), 1);

        let key = id(&rows[0]);
        assert!(!table.reseal(&key, &sealed("new", 2), sealed("newer", 3)).await.unwrap());
        assert!(!table.reseal(&key, &sealed("old", 1), sealed("newer", 3)).await.unwrap());
        assert!(table.reseal(&key, &sealed("new", 1), sealed("newer", 3)).await.unwrap());
        assert_eq!(table.find(&key).await.unwrap().unwrap().sealed, sealed("newer", 3));
        assert!(table.delete(&key, days(5)).await.unwrap());
        assert!(!table.delete(&key, days(5)).await.unwrap());
        assert_eq!(table.find(&key).await.unwrap(), None);
        assert!(table.insert(rows[0].clone()).await.is_err());
        assert_eq!(table.sealed_under(&"newer".parse().unwrap(), None, 9).await.unwrap().len(), 1);
        table.health().await.unwrap();
    }
}

/// Many write at a time what only one can have, until each had it once.
pub(super) async fn one_of_many_writers_wins(storages: &[SqlStorage]) {
    const WRITERS: u64 = 8;
    let name = gun(&format!("race/{}", storages.len()));
    publish(&storages[0], &name, &[file("timestamp", 1, "")]).await.unwrap();
    let tasks: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let storage = storages[usize::try_from(writer).unwrap() % storages.len()].clone();
            let name = name.clone();
            tokio::spawn(async move {
                loop {
                    let heads = storage.heads(&name).await.unwrap();
                    let head = heads[&RoleName::TIMESTAMP];
                    let next = file("timestamp", head.version.get() + 1, &writer.to_string());
                    let change =
                        Change { expected: Some(head.sha256), files: vec![next], retired: Vec::new() };
                    match storage.publish(&name, &change, now()).await {
                        Ok(()) => return,
                        Err(StorageError::Moved) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let heads = storages[0].heads(&name).await.unwrap();
    assert_eq!(heads[&RoleName::TIMESTAMP].version.get(), 1 + WRITERS);
    let query = ChangeQuery { gun: Some(name.clone()), start: ChangeStart::After(0), count: 100 };
    let changes = storages[0].changes(&query).await.unwrap();
    let numbers: Vec<u64> = changes
        .iter()
        .map(|it| match it.kind {
            ChangeKind::Update { version, .. } => version.get(),
            ChangeKind::Deletion => 0,
        })
        .collect();
    assert_eq!(numbers, (1..=1 + WRITERS).collect::<Vec<_>>());
}
