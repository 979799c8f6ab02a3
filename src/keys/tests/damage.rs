use super::{Folder, GOOD, Says, gun, set_mode, text};
use crate::keys::{KeyError, PrivateKey};

fn read(
    folder: &Folder,
    key: &PrivateKey,
    answers: &[&'static str],
) -> (Result<PrivateKey, KeyError>, usize) {
    let mut says = Says::new(answers);
    let result = folder.store.read(key.id(), &mut says);
    (result, says.asked)
}

#[test]
fn a_wrong_passphrase_is_asked_for_three_times() {
    let folder = Folder::new();
    let key = folder.with_key("targets", Some(&gun()));
    let (result, asked) = read(&folder, &key, &["wrong", "worse", GOOD]);
    assert!(result.is_ok());
    assert_eq!(asked, 3);
    let (result, asked) = read(&folder, &key, &["wrong", "worse", "worst", GOOD]);
    assert_eq!(asked, 3);
    let error = result.unwrap_err();
    assert!(matches!(error, KeyError::WrongPassphrase { .. }), "{error}");
    assert!(error.to_string().contains("targets key"), "{error}");
    assert!(error.to_string().contains("127.0.0.1:5000/acme/base"), "{error}");
}

/// A wrong passphrase leaves a valid padding once in 256 times; that must not look like damage.
#[test]
fn no_wrong_passphrase_looks_like_a_damaged_file() {
    let folder = Folder::new();
    let key = folder.with_key("targets", Some(&gun()));
    for number in 0..600 {
        let wrong: &'static str = Box::leak(format!("wrong {number}").into_boxed_str());
        let (result, _) = read(&folder, &key, &[wrong, wrong, wrong]);
        assert!(matches!(result, Err(KeyError::WrongPassphrase { .. })), "{result:?}");
    }
}

#[test]
fn damage_is_told_before_a_passphrase_is_asked_for() {
    let folder = Folder::new();
    let key = PrivateKey::generate_p256().unwrap();
    let whole = String::from_utf8(text(&key, "alice", None, GOOD)).unwrap();
    let place = format!("{}.key", key.id());
    let lines: Vec<&str> = whole.lines().collect();
    let cases = [
        String::new(),
        "\n".to_owned(),
        whole[..whole.len() / 2].to_owned(),
        whole.replace("-----END", "-----ENDE"),
        whole.replace('\n', ""),
        [&lines[..3], &lines[4..]].concat().join("\n"),
        whole.replace(lines[4], &lines[4][..60]),
        whole.replace("ENCRYPTED PRIVATE KEY", "PRIVATE KEY"),
        whole.replace("ENCRYPTED PRIVATE KEY", "CERTIFICATE"),
        "\0".repeat(1000),
    ];
    for case in cases {
        folder.put(&place, case.as_bytes());
        let (result, asked) = read(&folder, &key, &[GOOD]);
        assert!(
            matches!(result, Err(KeyError::Damaged { .. } | KeyError::NoKey { .. })),
            "{result:?} for {case:?}"
        );
        assert_eq!(asked, 0, "{case:?}");
        let listing = folder.store.list().unwrap();
        assert!(listing.keys.is_empty() && listing.warnings.len() == 1, "{listing:?}");
    }
}

/// Every byte of a file, changed: the key is read as it was, or there is an error, and never another key.
#[test]
fn no_single_byte_can_be_changed_unseen() {
    let folder = Folder::new();
    let key = PrivateKey::generate_ed25519().unwrap();
    for passphrase in ["", GOOD] {
        let whole = text(&key, "alice", None, passphrase);
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            folder.put(&format!("{}.key", key.id()), &damaged);
            if let (Ok(read), _) = read(&folder, &key, &[GOOD, GOOD, GOOD]) {
                assert_eq!(read.id(), key.id(), "byte {at}");
            }
        }
    }
}

#[test]
fn a_key_under_another_keys_name_is_refused() {
    let folder = Folder::new();
    let [key, other] = std::array::from_fn(|_| PrivateKey::generate_p256().unwrap());
    folder.put(&format!("{}.key", key.id()), &text(&other, "alice", None, GOOD));
    let (result, _) = read(&folder, &key, &[GOOD]);
    assert!(matches!(result, Err(KeyError::WrongKey { found, .. }) if found == *other.id()));
}

#[test]
fn symbolic_links_are_not_followed() {
    let folder = Folder::new();
    let key = PrivateKey::generate_p256().unwrap();
    let elsewhere = folder.trust.join("elsewhere");
    folder.put("x", b"");
    std::fs::write(&elsewhere, text(&key, "alice", None, GOOD)).unwrap();
    std::os::unix::fs::symlink(&elsewhere, folder.store.place(key.id())).unwrap();
    let (result, asked) = read(&folder, &key, &[GOOD]);
    assert!(matches!(result, Err(KeyError::NotAFile { what: "a symbolic link", .. })), "{result:?}");
    assert_eq!(asked, 0);
    let listing = folder.store.list().unwrap();
    assert!(listing.keys.is_empty());
    assert_eq!(listing.warnings[0].reason, "is not used: it is a symbolic link");
}

#[test]
fn what_is_no_regular_file_does_not_block() {
    let folder = Folder::new();
    let key = PrivateKey::generate_p256().unwrap();
    let place = folder.put(&format!("{}.key", key.id()), b"");
    std::fs::remove_file(&place).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &place,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let (result, _) = read(&folder, &key, &[GOOD]);
    assert!(matches!(result, Err(KeyError::NotAFile { .. })), "{result:?}");
    std::fs::remove_file(&place).unwrap();
    std::fs::create_dir(&place).unwrap();
    let (result, _) = read(&folder, &key, &[GOOD]);
    assert!(matches!(result, Err(KeyError::NotAFile { what: "a folder", .. })), "{result:?}");
}

#[test]
fn huge_files_are_not_read() {
    let folder = Folder::new();
    let key = PrivateKey::generate_p256().unwrap();
    let place = folder.put(&format!("{}.key", key.id()), b"");
    std::fs::File::options().write(true).open(&place).unwrap().set_len(1 << 40).unwrap();
    let (result, _) = read(&folder, &key, &[GOOD]);
    assert!(matches!(result, Err(KeyError::Io { .. })), "{result:?}");
}

#[test]
fn files_that_others_may_read_are_warned_of() {
    let folder = Folder::new();
    let key = folder.with_key("alice", None);
    let plain = PrivateKey::generate_p256().unwrap();
    folder.put(&format!("{}.key", plain.id()), &text(&plain, "bob", None, ""));
    folder.put("notes.key", &text(&plain, "bob", None, GOOD));
    folder.put("README", b"no key, and none is meant");
    set_mode(&folder.store.place(key.id()), 0o640);
    let listing = folder.store.list().unwrap();
    assert_eq!(listing.keys.len(), 2);
    let mut reasons: Vec<_> = listing.warnings.iter().map(|it| it.reason.as_str()).collect();
    reasons.sort_unstable();
    let expected =
        ["can be read or written by others: its mode is 640", "is not encrypted", "is not named by a key ID"];
    assert_eq!(reasons, expected);
    assert!(folder.store.read(key.id(), &mut Says::new(&[GOOD])).is_ok(), "docker reads it, too");
}

/// The first block of the ciphertext: the padding, at its end, says that the passphrase was right.
#[test]
fn damage_inside_is_told_from_a_wrong_passphrase() {
    use crate::keys::block::Block;
    let folder = Folder::new();
    for key in [PrivateKey::generate_p256().unwrap(), PrivateKey::generate_ed25519().unwrap()] {
        let mut file = Block::parse_all(&text(&key, "alice", None, GOOD)).unwrap().remove(0);
        let start = file.contents.len() - if key.public().public().len() == 32 { 128 } else { 160 };
        for at in [start, start + 20, start + 50] {
            let byte = file.contents[at];
            file.contents[at] ^= 1;
            folder.put(&format!("{}.key", key.id()), &file.to_text());
            let (result, asked) = read(&folder, &key, &[GOOD, GOOD, GOOD]);
            assert!(matches!(result, Err(KeyError::Damaged { .. })), "{result:?}");
            assert_eq!(asked, 1);
            file.contents[at] = byte;
        }
    }
}

#[test]
fn a_folder_that_others_may_write_is_warned_of() {
    let folder = Folder::new();
    folder.with_key("alice", None);
    set_mode(folder.store.folder(), 0o770);
    let listing = folder.store.list().unwrap();
    assert_eq!(listing.keys.len(), 1);
    assert_eq!(listing.warnings[0].path, folder.store.folder());
}
