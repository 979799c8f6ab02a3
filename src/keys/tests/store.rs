use super::{Folder, GOOD, Says, gun, mode, set_mode, text};
use crate::keys::{KeyError, KeyRole, KeyStore, PrivateKey};
use crate::tuf::author::Signer as _;

#[test]
fn what_is_written_is_read_again() {
    let folder = Folder::new();
    for (role, gun) in [("root", None), ("targets", Some(gun())), ("snapshot", Some(gun())), ("alice", None)]
    {
        for key in [PrivateKey::generate_p256().unwrap(), PrivateKey::generate_ed25519().unwrap()] {
            let role: KeyRole = role.parse().unwrap();
            folder.store.write(&key, &role, gun.as_ref(), &mut Says::new(&[GOOD])).unwrap();
            let read = folder.store.read(key.id(), &mut Says::new(&[GOOD])).unwrap();
            assert_eq!(read.public(), key.public());
            assert_eq!(read.sign(b"m").unwrap().bytes, key.sign(b"m").unwrap().bytes);
            let stored = folder.store.find(key.id()).unwrap().unwrap();
            assert_eq!((stored.role, stored.gun, stored.encrypted), (role, gun.clone(), true));
        }
    }
    let listing = folder.store.list().unwrap();
    assert_eq!(listing.keys.len(), 8);
    assert_eq!(listing.warnings, []);
    let roles: Vec<_> = listing.keys.iter().map(|it| it.role.as_str()).collect();
    assert_eq!(roles, ["root", "root", "alice", "alice", "snapshot", "snapshot", "targets", "targets"]);
}

#[test]
fn the_layout_is_dockers() {
    let folder = Folder::new();
    let key = folder.with_key("targets", Some(&gun()));
    let path = folder.trust.join(format!("private/{}.key", key.id()));
    let text = std::fs::read_to_string(&path).unwrap();
    let head = "-----BEGIN ENCRYPTED PRIVATE KEY-----\ngun: 127.0.0.1:5000/acme/base\nrole: targets\n\n";
    assert!(text.starts_with(head), "{text}");
    assert_eq!((mode(&path), mode(path.parent().unwrap()), mode(&folder.trust)), (0o600, 0o700, 0o700));
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "a temporary file was left");
}

#[test]
fn a_key_that_is_stored_already_is_not_touched() {
    let folder = Folder::new();
    let key = folder.with_key("alice", None);
    let before = std::fs::read(folder.store.place(key.id())).unwrap();
    let mut nobody = Says::default();
    folder.store.write(&key, &"alice".parse().unwrap(), None, &mut nobody).unwrap();
    assert_eq!(std::fs::read(folder.store.place(key.id())).unwrap(), before);
    let error = folder.store.write(&key, &KeyRole::root(), None, &mut nobody).unwrap_err();
    assert!(matches!(error, KeyError::Conflict { .. }), "{error}");
}

#[test]
fn a_key_of_a_repository_needs_the_repository() {
    let folder = Folder::new();
    let key = PrivateKey::generate_ed25519().unwrap();
    for role in ["targets", "snapshot", "timestamp"] {
        let error =
            folder.store.write(&key, &role.parse().unwrap(), None, &mut Says::new(&[GOOD])).unwrap_err();
        assert!(matches!(error, KeyError::NoGun { .. }), "{error}");
    }
    assert!(folder.store.list().unwrap().keys.is_empty());
}

#[test]
fn keys_are_found_anywhere_below_as_docker_does() {
    let folder = Folder::new();
    let key = PrivateKey::generate_p256().unwrap();
    folder.put(&format!("some/where/{}.key", key.id()), &text(&key, "alice", None, GOOD));
    assert_eq!(folder.store.list().unwrap().keys[0].id, *key.id());
    assert!(folder.store.read(key.id(), &mut Says::new(&[GOOD])).is_ok());
    assert!(folder.store.remove(key.id()).unwrap());
    assert!(!folder.store.remove(key.id()).unwrap());
}

#[test]
fn a_folder_that_is_not_there_holds_nothing() {
    let folder = Folder::new();
    assert!(folder.store.list().unwrap().keys.is_empty());
    let key = PrivateKey::generate_ed25519().unwrap();
    assert!(matches!(folder.store.read(key.id(), &mut Says::default()), Err(KeyError::NotFound { .. })));
    assert!(!folder.store.remove(key.id()).unwrap());
    assert!(!folder.trust.exists(), "reading made a folder");
}

#[test]
fn another_passphrase_takes_the_place_of_the_old_one() {
    let folder = Folder::new();
    let key = folder.with_key("targets", Some(&gun()));
    let change =
        |old, new| folder.store.change_passphrase(key.id(), &mut Says::new(&[old]), &mut Says::new(&[new]));
    assert!(matches!(change(GOOD, "short"), Err(KeyError::PassphraseTooShort { .. })));
    assert!(folder.store.read(key.id(), &mut Says::new(&[GOOD])).is_ok());
    change(GOOD, "battery staple").unwrap();
    assert!(folder.store.read(key.id(), &mut Says::new(&[GOOD])).is_err());
    assert!(folder.store.read(key.id(), &mut Says::new(&["battery staple"])).is_ok());
    assert_eq!(folder.store.find(key.id()).unwrap().unwrap().gun, Some(gun()));
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_that_names_it() {
    if rustix::process::geteuid().is_root() {
        // Root writes anywhere; a file where the folder should be stops even root.
        let folder = Folder::new();
        std::fs::create_dir_all(&folder.trust).unwrap();
        std::fs::write(folder.trust.join("private"), "").unwrap();
        let key = PrivateKey::generate_ed25519().unwrap();
        let error = folder
            .store
            .write(&key, &KeyRole::root(), None, &mut Says::new(&[GOOD]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("private"), "{error}");
        return;
    }
    let folder = Folder::new();
    folder.with_key("alice", None);
    set_mode(&folder.trust.join("private"), 0o500);
    let key = PrivateKey::generate_ed25519().unwrap();
    let error = folder.store.write(&key, &KeyRole::root(), None, &mut Says::new(&[GOOD])).unwrap_err();
    assert!(matches!(error, KeyError::Io { .. }), "{error}");
    set_mode(&folder.trust.join("private"), 0o700);
}

#[test]
fn nothing_secret_is_shown() {
    let key = PrivateKey::generate_p256().unwrap();
    assert_eq!(format!("{key:?}"), format!("PrivateKey(ecdsa {}, …)", key.id()));
    assert_eq!(format!("{:?}", super::passphrase(GOOD)), "…");
}

#[test]
fn old_folders_are_moved_without_loss() {
    let folder = Folder::new();
    let [root, targets, strange] = std::array::from_fn(|_| PrivateKey::generate_p256().unwrap());
    let without_headers = |key: &PrivateKey| {
        let text = String::from_utf8(text(key, "root", None, GOOD)).unwrap();
        text.replace("role: root\n\n", "")
    };
    folder.put(&format!("root_keys/{}_root.key", root.id()), without_headers(&root).as_bytes());
    let place = format!("tuf_keys/{}/{}_targets.key", gun(), targets.id());
    folder.put(&place, without_headers(&targets).as_bytes());
    let odd = folder.put("tuf_keys/notes.key", without_headers(&strange).as_bytes());

    let migration = folder.store.migrate_legacy().unwrap();
    assert_eq!(migration.moved, [root.id().clone(), targets.id().clone()]);
    assert_eq!(migration.left.len(), 1);
    assert!(odd.exists());
    assert!(!folder.trust.join("private/root_keys").exists());
    assert!(!folder.trust.join("private/tuf_keys/127.0.0.1:5000").exists());

    let stored = folder.store.find(targets.id()).unwrap().unwrap();
    assert_eq!((stored.role, stored.gun), (KeyRole::targets(), Some(gun())));
    assert_eq!(stored.path, folder.store.place(targets.id()));
    for key in [&root, &targets] {
        folder.store.read(key.id(), &mut Says::new(&[GOOD])).unwrap();
    }
    assert!(folder.store.migrate_legacy().unwrap().moved.is_empty());
}

#[test]
fn a_migration_that_was_interrupted_goes_on() {
    let folder = Folder::new();
    let key = folder.with_key("root", None);
    let stored = std::fs::read(folder.store.place(key.id())).unwrap();
    let old = folder.put(&format!("root_keys/{}_root.key", key.id()), &stored);
    assert_eq!(folder.store.migrate_legacy().unwrap().moved, [key.id().clone()]);
    assert!(!old.exists());
    // Another file of the same name is not thrown away.
    let old = folder
        .put(&format!("root_keys/{}_root.key", key.id()), &text(&key, "root", None, "other passphrase"));
    assert_eq!(folder.store.migrate_legacy().unwrap().left.len(), 1);
    assert!(old.exists());
}

#[test]
fn a_passphrase_that_a_machine_drew_is_hashed_less_often() {
    let folder = tempfile::tempdir().unwrap();
    let store = KeyStore::new(folder.path());
    let key = PrivateKey::generate_ed25519().unwrap();
    let rounds = || {
        let path = store.find(key.id()).unwrap().unwrap().path;
        let text = pem::parse(std::fs::read(path).unwrap()).unwrap();
        let info = pkcs8::EncryptedPrivateKeyInfoRef::try_from(text.contents()).unwrap();
        info.encryption_algorithm.pbes2().unwrap().kdf.pbkdf2().unwrap().iteration_count
    };
    let drawn = "0123456789abcdef0123456789abcdef";
    store.write(&key, &KeyRole::root(), None, &mut Says::new(&[drawn])).unwrap();
    assert_eq!(rounds(), 16_384);
    store.change_passphrase(key.id(), &mut Says::new(&[drawn]), &mut Says::new(&[GOOD])).unwrap();
    assert_eq!(rounds(), 600_000);
}
