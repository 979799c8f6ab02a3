//! Key files and signatures, handed back and forth between trustgate, docker, notary and OpenSSL.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use jiff::{SignedDuration, Timestamp};
use trustgate::image::Gun;
use trustgate::keys::{Export, ImportAs, KeyError, KeyRole, KeyStore, PrivateKey};
use trustgate::tuf::author::{RootDraft, TargetsDraft, root_certificate};
use trustgate::tuf::{PublicKey, RoleKeys, RoleName};

use crate::support::image::{Recipe, succeed};
use crate::support::person::{REPOSITORY_PASSPHRASE, passphrases, unattended};
use crate::support::{Engine, Lab, lab};

/// A person with a docker configuration of their own.
struct Publisher {
    lab: &'static Lab,
    config: tempfile::TempDir,
    store: KeyStore,
}

impl Publisher {
    fn new(lab: &'static Lab) -> Self {
        let config = lab.fresh_config();
        let store = KeyStore::new(&config.path().join("trust"));
        Self { lab, config, store }
    }

    /// The same, with fewer rounds: for many keys that nobody but the test opens.
    fn hasty(lab: &'static Lab) -> Self {
        let publisher = Self::new(lab);
        Self { store: publisher.store.clone().with_rounds(2048), ..publisher }
    }

    fn read(&self, id: &trustgate::tuf::KeyId) -> PrivateKey {
        self.store.read(id, &mut passphrases()).expect("the key opens")
    }

    fn write(&self, key: &PrivateKey, role: &KeyRole, gun: Option<&Gun>) {
        self.store.write(key, role, gun, &mut passphrases()).expect("the key is stored");
    }

    /// Notary's command on this person's trust folder.
    fn notary(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(self.lab.variable("LAB_NOTARY"));
        command.arg("-d").arg(self.config.path().join("trust"));
        command.arg("--tlscacert").arg(self.lab.trust_authority()).args(["-s", self.lab.trust_server()]);
        command.args(arguments);
        succeed(unattended(command))
    }

    /// A docker command with content trust on.
    fn docker(&self, engine: Engine, arguments: &[&str]) -> String {
        let mut command = engine.docker(self.lab);
        for name in ["DOCKER_CONFIG", "LAB_CONFIG"] {
            command.env(name, self.config.path());
        }
        command.env("DOCKER_CONTENT_TRUST", "1");
        command.env("DOCKER_CONTENT_TRUST_SERVER", self.lab.trust_server()).args(arguments);
        succeed(unattended(command))
    }

    /// The docker command of `$PATH`, if it knows content trust.
    fn docker_of_this_machine(&self) -> Option<Command> {
        let output = Command::new("docker").arg("--version").stdin(Stdio::null()).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.strip_prefix("Docker version ")?;
        let major: u32 = version.split('.').next()?.parse().ok()?;
        let mut command = Command::new("docker");
        command.env("DOCKER_HOST", self.lab.variable("LAB_DOCKER_HOST"));
        command.env("DOCKER_CONFIG", self.config.path()).env("DOCKER_CONTENT_TRUST", "1");
        command.env("DOCKER_CONTENT_TRUST_SERVER", self.lab.trust_server());
        (major < 29).then(|| unattended(command))
    }

    /// A key that the server keeps for a repository.
    fn server_key(&self, gun: &Gun, role: &str) -> PublicKey {
        let text = self.curl(&[&format!("{}/v2/{gun}/_trust/tuf/{role}.key", self.lab.trust_server())]);
        let key: serde_json::Value = serde_json::from_str(&text).expect("a key");
        assert_eq!(key["keytype"], "ecdsa");
        let public = key["keyval"]["public"].as_str().expect("its public half");
        let public = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, public);
        PublicKey::new(trustgate::tuf::KeyType::Ecdsa, public.expect("base64"))
    }

    /// Publishes files under the names of their roles, in one request as Notary's clients do.
    fn publish(&self, gun: &Gun, files: &[(&str, Vec<u8>)]) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut arguments = vec!["--fail-with-body".to_owned()];
        for (index, (role, content)) in files.iter().enumerate() {
            let path = folder.path().join(index.to_string());
            std::fs::write(&path, content).expect("a file");
            arguments.push("--form".to_owned());
            arguments.push(format!("files=@{};filename={role}", path.display()));
        }
        arguments.push(format!("{}/v2/{gun}/_trust/tuf/", self.lab.trust_server()));
        self.curl(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    }

    fn curl(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--show-error", "--cacert"])
            .arg(self.lab.trust_authority())
            .args(arguments);
        succeed(command)
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.config.path().join(name);
        std::fs::write(&path, content).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
        path
    }
}

fn gun(text: &str) -> Gun {
    text.parse().expect("a repository's name")
}

fn one(key: PublicKey) -> RoleKeys {
    RoleKeys { keys: vec![key], threshold: 1 }
}

fn in_days(days: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(24 * days)
}

#[test]
fn files_that_notary_and_docker_wrote_are_read() {
    let Some(lab) = lab() else { return };
    let publisher = Publisher::new(lab);
    let gun = gun("example.com/keys/read");
    publisher.notary(&["init", "-p", gun.as_str()]);
    for engine in Engine::ALL {
        let name = format!("signer-{engine}").to_lowercase();
        let public = publisher.config.path().to_str().expect("a path");
        publisher.docker(engine, &["trust", "key", "generate", &name, "--dir", public]);
        let listing = publisher.store.list().expect("a list");
        let key = listing.keys.iter().find(|it| it.role.as_str() == name).expect("docker's key");
        let theirs = std::fs::read(publisher.config.path().join(format!("{name}.pub"))).expect("a file");
        assert_eq!(KeyStore::public_text(&publisher.read(&key.id), &key.role), theirs);
    }
    let listing = publisher.store.list().expect("a list");
    assert_eq!(listing.warnings, []);
    let table = publisher.notary(&["key", "list"]);
    for key in &listing.keys {
        let line = table.lines().find(|it| it.contains(key.id.as_str())).expect("notary lists it, too");
        assert!(line.trim_start().starts_with(key.role.as_str()), "{line}");
        assert!(key.encrypted);
        assert_eq!(key.gun.is_some(), key.role.needs_gun());
        publisher.read(&key.id);
    }
    assert_eq!(listing.keys.len(), 5, "{table}");

    // What notary exports is what trustgate exports, and either can be imported.
    let path = publisher.config.path().join("export.pem");
    publisher.notary(&["key", "export", "-o", path.to_str().expect("a path")]);
    let theirs = String::from_utf8(std::fs::read(&path).expect("notary's export")).expect("text");
    let ours = publisher.store.export(Export::All).expect("an export");
    let ours = String::from_utf8(ours.to_vec()).expect("text");
    let blocks = |text: &str| {
        let mut blocks: Vec<String> = text.split_inclusive("KEY-----\n").map(str::to_owned).collect();
        blocks.sort();
        blocks
    };
    assert_eq!(blocks(&ours), blocks(&theirs));
    let other = Publisher::new(lab);
    let imported =
        other.store.import(theirs.as_bytes(), "the export", &ImportAs::default(), &mut passphrases());
    assert_eq!(imported.expect("an import").len(), 5);
    let third = Publisher::new(lab);
    let path = third.file("ours.pem", ours.as_bytes());
    third.notary(&["key", "import", path.to_str().expect("a path")]);
    assert_eq!(third.store.list().expect("a list").keys.len(), 5);
}

/// Every key here was made and stored by trustgate, with as many rounds as its users get, the targets key and the signer's
/// being Ed25519: docker's clients and notary publish with them.
#[test]
fn docker_and_notary_publish_with_keys_that_trustgate_wrote() {
    let Some(lab) = lab() else { return };
    let publisher = Publisher::new(lab);
    let image = lab.push_unsigned("keys/published:v0", &Recipe::busybox());
    let gun = gun(&image.repository);

    let root = PrivateKey::generate_p256().expect("a key");
    let targets = PrivateKey::generate_ed25519().expect("a key");
    publisher.write(&root, &KeyRole::root(), None);
    publisher.write(&targets, &KeyRole::targets(), Some(&gun));
    let certificate = root_certificate(&root, &gun, [0x5a; 16], Timestamp::now()).expect("a certificate");
    let mut draft = RootDraft::new(in_days(3650));
    for (role, key) in [
        (RoleName::ROOT, certificate),
        (RoleName::TARGETS, targets.public().clone()),
        (RoleName::SNAPSHOT, publisher.server_key(&gun, "snapshot")),
        (RoleName::TIMESTAMP, publisher.server_key(&gun, "timestamp")),
    ] {
        draft.set_keys(&role, &one(key)).expect("usable keys");
    }
    let root_file = draft.finish().expect("all roles").sign(&[&root]).expect("a signature");
    let targets_file = TargetsDraft::new(RoleName::TARGETS, in_days(1095))
        .finish(&one(targets.public().clone()))
        .expect("a document")
        .sign(&[&targets])
        .expect("a signature");
    publisher.publish(&gun, &[("root", root_file), ("targets", targets_file)]);

    let list = publisher.notary(&["key", "list"]);
    assert!(list.contains(root.id().as_str()) && list.contains(targets.id().as_str()), "{list}");
    let file = publisher.file("target", b"a target");
    publisher.notary(&["add", "-p", gun.as_str(), "by-notary", file.to_str().expect("a path")]);
    for engine in Engine::ALL {
        let tag = format!("{}:by-{engine}", image.repository).to_lowercase();
        engine.run(lab, &["pull", &image.by_tag()]);
        engine.run(lab, &["tag", &image.by_tag(), &tag]);
        let text = publisher.docker(engine, &["push", &tag]);
        assert!(text.contains("Successfully signed"), "{text}");
    }
    // Whichever docker people have here; from version 29 on it signs nothing.
    if let Some(mut command) = publisher.docker_of_this_machine() {
        let tag = format!("{}:by-others", image.repository);
        Engine::Bookworm.run(lab, &["tag", &image.by_tag(), &tag]);
        command.args(["push", &tag]);
        assert!(succeed(command).contains("Successfully signed"));
    }
    let list = publisher.notary(&["list", gun.as_str()]);
    for tag in ["by-notary", "by-bookworm", "by-trixie"] {
        assert!(list.contains(tag), "{tag} is missing:\n{list}");
    }
    let reader = Publisher::new(lab);
    for engine in Engine::ALL {
        let text = reader.docker(engine, &["trust", "inspect", "--pretty", &image.repository]);
        assert!(text.contains("by-bookworm") && text.contains("by-trixie"), "{text}");
        reader.docker(engine, &["pull", &format!("{}:by-bookworm", image.repository)]);
    }
    // The root key opens for notary, too: a rotation needs it.
    publisher.notary(&["key", "rotate", gun.as_str(), "targets"]);
    assert!(publisher.notary(&["list", gun.as_str()]).contains("by-notary"));
}

/// Notary 0.7 moves the files of notary 0.3 when it starts. Trustgate must make the same files of them.
#[test]
fn old_key_folders_become_what_notary_makes_of_them() {
    let Some(lab) = lab() else { return };
    let [theirs, ours] = [Publisher::new(lab), Publisher::new(lab)];
    let gun = gun("example.com/keys/old");
    theirs.notary(&["init", "-p", gun.as_str()]);
    let keys = theirs.store.list().expect("a list").keys;
    assert_eq!(keys.len(), 3);
    for key in &keys {
        let text = std::fs::read_to_string(&key.path).expect("a key file");
        let bare: String =
            text.split_inclusive('\n').filter(|it| *it != "\n" && !it.contains(": ")).collect();
        std::fs::remove_file(&key.path).expect("a file less");
        let folder = match &key.gun {
            Some(gun) => format!("tuf_keys/{gun}"),
            None => "root_keys".to_owned(),
        };
        for publisher in [&theirs, &ours] {
            let folder = publisher.store.folder().join(&folder);
            std::fs::create_dir_all(&folder).expect("a folder");
            std::fs::write(folder.join(format!("{}_{}.key", key.id, key.role)), &bare).expect("a file");
        }
    }
    theirs.notary(&["key", "list"]);
    assert_eq!(ours.store.migrate_legacy().expect("a migration").moved.len(), 3);
    for key in &keys {
        let [theirs, ours] = [&theirs, &ours].map(|it| {
            std::fs::read_to_string(it.store.folder().join(format!("{}.key", key.id))).expect("a key file")
        });
        assert_eq!(theirs, ours);
    }
    for publisher in [&theirs, &ours] {
        assert!(!publisher.store.folder().join("root_keys").exists());
        assert!(!publisher.store.folder().join("tuf_keys").exists());
    }
}

#[test]
fn keys_that_openssl_wrote_are_imported() {
    let Some(lab) = lab() else { return };
    let publisher = Publisher::hasty(lab);
    let folder = publisher.config.path();
    let openssl = |arguments: &[&str]| {
        let mut command = Command::new("openssl");
        command.current_dir(folder).args(arguments);
        succeed(command)
    };
    openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "p256.pem"]);
    openssl(&["ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", "p384.pem"]);
    openssl(&["genrsa", "-traditional", "-out", "rsa.pem", "2048"]);
    openssl(&["genrsa", "-traditional", "-out", "small.pem", "1024"]);
    openssl(&["genpkey", "-algorithm", "ed25519", "-out", "ed25519.pem"]);
    let pass = format!("pass:{REPOSITORY_PASSPHRASE}");
    let mut usable: Vec<String> = Vec::new();
    for key in ["p256", "p384", "rsa", "ed25519"] {
        usable.push(format!("{key}.pem"));
        let encrypt = |out: &str, options: &[&str]| {
            let input = format!("{key}.pem");
            let common = ["pkcs8", "-topk8", "-in", &input, "-passout", &pass, "-out", out];
            openssl(&[&common[..], options].concat());
        };
        for (name, options) in [
            ("default", &[][..]),
            ("docker", &["-v2prf", "hmacWithSHA1"]),
            ("aes128", &["-v2", "aes-128-cbc"]),
            ("des3", &["-v2", "des3"]),
            ("sha512", &["-v2prf", "hmacWithSHA512"]),
        ] {
            usable.push(format!("{key}-{name}.pem"));
            encrypt(&format!("{key}-{name}.pem"), options);
        }
        encrypt(&format!("{key}-scrypt.pem"), &["-scrypt"]);
        openssl(&[
            "pkcs8",
            "-topk8",
            "-nocrypt",
            "-in",
            &format!("{key}.pem"),
            "-out",
            &format!("{key}-plain.pem"),
        ]);
        usable.push(format!("{key}-plain.pem"));
    }
    for cipher in ["aes128", "aes192", "aes256", "des3"] {
        for (key, command) in [("p256", "ec"), ("p384", "ec"), ("rsa", "rsa")] {
            let (input, out, option) =
                (format!("{key}.pem"), format!("{key}-dek-{cipher}.pem"), format!("-{cipher}"));
            let mut arguments = vec![command, "-in", &input, &option, "-passout", &pass, "-out", &out];
            arguments.extend((command == "rsa").then_some("-traditional"));
            openssl(&arguments);
            usable.push(out);
        }
    }
    assert!(std::fs::read_to_string(folder.join("rsa-dek-aes256.pem")).expect("a file").contains("DEK-Info"));

    let import = |name: &str, into: &Publisher| {
        let text = std::fs::read(folder.join(name)).expect("a file");
        into.store.import(&text, name, &ImportAs::default(), &mut passphrases())
    };
    for name in &usable {
        let (into, key) = (Publisher::hasty(lab), name.split(['-', '.']).next().expect("a name"));
        let imported = import(name, &into).unwrap_or_else(|error| panic!("{name}: {error}"));
        let id = &imported.first().expect("one key").id;
        let public = openssl(&["pkey", "-in", &format!("{key}.pem"), "-pubout"]);
        let ours = String::from_utf8(KeyStore::public_text(&into.read(id), &KeyRole::delegation()));
        assert_eq!(ours.expect("text").replace("role: delegation\n\n", ""), public, "{name}");
        // What is stored, notary can list and export, and OpenSSL can open where it knows the kind.
        assert!(into.notary(&["key", "list"]).contains(id.as_str()), "{name}");
        if key.starts_with('p') {
            let stored = into.store.folder().join(format!("{id}.key"));
            opened_by_openssl(&stored, &pass, &public);
        }
    }
    let refused = |name: &str| import(name, &publisher).expect_err(name);
    assert!(matches!(refused("p256-scrypt.pem"), KeyError::Unsupported { .. }));
    assert!(matches!(refused("small.pem"), KeyError::Unsupported { .. }));
    assert!(publisher.store.list().expect("a list").keys.is_empty());

    // A key that docker loads has the same name in both.
    let theirs = Publisher::hasty(lab);
    let path = theirs.file("p384.pem", &std::fs::read(folder.join("p384.pem")).expect("a file"));
    theirs.docker(
        Engine::Bookworm,
        &["trust", "key", "load", path.to_str().expect("a path"), "--name", "alice"],
    );
    let loaded = theirs.store.list().expect("a list").keys.remove(0);
    theirs.read(&loaded.id);
    let ours = Publisher::hasty(lab);
    assert_eq!(import("p384.pem", &ours).expect("an import").first().expect("one key").id, loaded.id);
}

/// OpenSSL reads no PEM headers of others, so that they are left out.
fn opened_by_openssl(stored: &Path, pass: &str, public: &str) {
    let text = std::fs::read_to_string(stored).expect("a file");
    let lines: Vec<&str> = text.lines().filter(|it| !it.contains(": ") && !it.is_empty()).collect();
    let bare = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(bare.path(), format!("{}\n", lines.join("\n"))).expect("a file");
    let mut command = Command::new("openssl");
    command.args(["pkey", "-pubout", "-passin", pass, "-in"]).arg(bare.path());
    assert_eq!(succeed(command), public);
}
