use super::{Folder, GOOD, Says, gun, set_mode, text};
use crate::keys::{Export, ImportAs, KeyError, KeyRole, KeyStore, PrivateKey};

fn import(
    folder: &Folder,
    text: &[u8],
    role: Option<&str>,
    answers: &[&'static str],
) -> Result<Vec<(String, bool)>, KeyError> {
    let options = ImportAs { role: role.map(|it| it.parse().unwrap()), ..ImportAs::default() };
    let keys = folder.store.import(text, "the file", &options, &mut Says::new(answers))?;
    Ok(keys.into_iter().map(|it| (it.role.to_string(), it.known)).collect())
}

#[test]
fn an_export_can_be_imported_elsewhere() {
    let [from, to] = [Folder::new(), Folder::new()];
    let keys =
        [from.with_key("root", None), from.with_key("targets", Some(&gun())), from.with_key("alice", None)];
    let export = from.store.export(Export::All).unwrap();
    let text = std::str::from_utf8(&export).unwrap();
    assert!(text.contains(&format!("\npath: {}\nrole: root\n\n", keys[0].id())), "{text}");
    let mut imported = import(&to, &export, None, &[GOOD, GOOD, GOOD]).unwrap();
    imported.sort();
    let names = ["alice", "root", "targets"].map(|it| (it.to_owned(), false));
    assert_eq!(imported, names);
    for key in &keys {
        assert_eq!(to.store.find(key.id()).unwrap().unwrap().path, to.store.place(key.id()));
        assert!(to.store.read(key.id(), &mut Says::new(&[GOOD])).is_ok());
        let [before, after] = [&from, &to].map(|it| std::fs::read(it.store.place(key.id())).unwrap());
        assert_eq!(before, after, "what docker can read stays as it is");
    }
    let again = import(&to, &export, None, &[GOOD, GOOD, GOOD]).unwrap();
    assert!(again.iter().all(|(_, known)| *known));
}

#[test]
fn exports_of_some() {
    let folder = Folder::new();
    let [root, targets] = [folder.with_key("root", None), folder.with_key("targets", Some(&gun()))];
    let holds = |export: Export<'_>| {
        let text = folder.store.export(export).unwrap();
        let text = std::str::from_utf8(&text).unwrap();
        [&root, &targets].map(|it| text.contains(it.id().as_str()))
    };
    assert_eq!(holds(Export::All), [true, true]);
    assert_eq!(holds(Export::Gun(&gun())), [false, true]);
    assert_eq!(holds(Export::Gun(&"docker.io/library/other".parse().unwrap())), [false, false]);
    assert_eq!(holds(Export::Keys(std::slice::from_ref(root.id()))), [true, false]);
    let other = PrivateKey::generate_p256().unwrap();
    let none = folder.store.export(Export::Keys(std::slice::from_ref(other.id())));
    assert!(matches!(none, Err(KeyError::NotFound { .. })));
}

/// Docker says "Successfully imported" of these, and stores nothing.
#[test]
fn an_encrypted_key_without_a_path_is_really_imported() {
    let folder = Folder::new();
    let key = PrivateKey::generate_p256().unwrap();
    let text = text(&key, "x", None, GOOD);
    let text = String::from_utf8(text).unwrap().replace("role: x\n\n", "");
    assert_eq!(
        import(&folder, text.as_bytes(), Some("alice"), &[GOOD]).unwrap(),
        [("alice".to_owned(), false)]
    );
    assert!(folder.store.read(key.id(), &mut Says::new(&[GOOD])).is_ok());
    let empty = Folder::new();
    assert!(matches!(
        import(&empty, text.as_bytes(), Some("alice"), &["wrong", "worse", "worst"]),
        Err(KeyError::WrongPassphrase { .. })
    ));
    assert!(empty.store.list().unwrap().keys.is_empty());
}

#[test]
fn a_plain_key_gets_a_passphrase() {
    let folder = Folder::new();
    let key = PrivateKey::generate_p256().unwrap();
    let text = text(&key, "alice", None, "");
    assert!(matches!(import(&folder, &text, None, &["short"]), Err(KeyError::PassphraseTooShort { .. })));
    assert_eq!(import(&folder, &text, None, &[GOOD]).unwrap(), [("alice".to_owned(), false)]);
    assert!(folder.store.find(key.id()).unwrap().unwrap().encrypted);
}

#[test]
fn what_an_imported_key_is_for() {
    let folder = Folder::new();
    let key = PrivateKey::generate_p256().unwrap();
    let plain = String::from_utf8(text(&key, "targets", None, "")).unwrap();
    assert!(matches!(import(&folder, plain.as_bytes(), None, &[GOOD]), Err(KeyError::NoGun { .. })));
    let options = ImportAs { gun: Some(gun()), ..ImportAs::default() };
    folder.store.import(plain.as_bytes(), "it", &options, &mut Says::new(&[GOOD])).unwrap();
    assert_eq!(folder.store.find(key.id()).unwrap().unwrap().gun, Some(gun()));
    assert!(matches!(
        import(&folder, plain.as_bytes(), Some("root"), &[GOOD]),
        Err(KeyError::Conflict { .. })
    ));
    let bare = plain.replace("role: targets\n\n", "");
    let other = Folder::new();
    import(&other, bare.as_bytes(), None, &[GOOD]).unwrap();
    assert_eq!(other.store.find(key.id()).unwrap().unwrap().role, KeyRole::delegation());
}

#[test]
fn a_text_with_one_bad_key_imports_none() {
    let folder = Folder::new();
    let [good, bad] = std::array::from_fn(|_| text(&PrivateKey::generate_p256().unwrap(), "alice", None, ""));
    let bad = String::from_utf8(bad).unwrap().replacen("MIG", "MIH", 1);
    let both = [good, bad.into_bytes()].concat();
    assert!(import(&folder, &both, None, &[GOOD, GOOD]).is_err());
    assert!(folder.store.list().unwrap().keys.is_empty());
    for text in [&b""[..], b"nothing", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"] {
        assert!(matches!(import(&folder, text, None, &[GOOD]), Err(KeyError::NoKey { .. })));
    }
}

#[test]
fn a_file_that_others_can_read_is_not_imported() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    std::fs::write(&path, "x").unwrap();
    for (mode, accepted) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false)] {
        set_mode(&path, mode);
        let result = KeyStore::read_import(&path);
        assert_eq!(result.is_ok(), accepted, "{mode:o}");
        if let Err(error) = result {
            assert!(error.help().unwrap().starts_with("chmod 600"), "{error}");
        }
    }
}
