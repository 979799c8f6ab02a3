//! Our signer under a real notary-server, and a real notary-signer under our client.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use p256::ecdsa::signature::Verifier as _;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use trustgate::image::Gun;
use trustgate::signer::{KeyAlgorithm, KeyService, KeyServiceError, RemoteSigner, TlsFiles};
use trustgate::tuf::author::SignatureMethod;
use trustgate::tuf::{KeyType, RoleName};

use crate::support::lab::{debian_program, unavailable};

#[tokio::test(flavor = "multi_thread")]
async fn a_real_notary_signer_keeps_our_keys() {
    let Some(program) = program("notary-signer") else { return };
    let folder = folder();
    let (port, _signer) = start_signer(&program, "-config", folder.path(), "./ca.crt");
    let signer = client(folder.path(), port);
    signer.health().await.expect("the signer is healthy");
    let gun: Gun = "127.0.0.1/acme/base".parse().expect("a GUN");
    let other = "0".repeat(64).parse().expect("a key ID");
    let unknown = signer.sign(&other, b"m").await;
    assert_eq!(unknown, Err(KeyServiceError::Unknown { key: other }));

    let key = signer.create(&gun, &RoleName::TIMESTAMP, KeyAlgorithm::P256).await.expect("a P-256 key");
    assert_eq!(key.key_type(), &KeyType::Ecdsa);
    let info = signer.info(key.canonical_id()).await.expect("what it is");
    assert_eq!((info.public, info.role), (key.clone(), RoleName::TIMESTAMP));
    // A snapshot of a thousand delegations, and then some.
    for text in [&b"{}"[..], &vec![b' '; 3 << 20]] {
        let signature = signer.sign(key.canonical_id(), text).await.expect("a signature");
        assert_eq!(signature.method, SignatureMethod::Ecdsa);
        let point = &key.public()[key.public().len() - 65..];
        let verifier = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).expect("a point");
        let signature = p256::ecdsa::Signature::from_slice(&signature.bytes).expect("r and s");
        verifier.verify(text, &signature).expect("it verifies");
    }

    let key = signer.create(&gun, &RoleName::SNAPSHOT, KeyAlgorithm::Ed25519).await.expect("an Ed25519 key");
    let signature = signer.sign(key.canonical_id(), b"{}").await.expect("a signature");
    assert_eq!(signature.method, SignatureMethod::Eddsa);
    let point = key.public().try_into().expect("32 bytes");
    let verifier = ed25519_dalek::VerifyingKey::from_bytes(point).expect("a point");
    let signature = ed25519_dalek::Signature::from_slice(&signature.bytes).expect("64 bytes");
    verifier.verify_strict(b"{}", &signature).expect("it verifies");
    signer.delete(key.canonical_id()).await.expect("it is deleted");
    assert!(signer.sign(key.canonical_id(), b"{}").await.is_err());
}

/// Notary's own server and client, with its own configuration of the signer: only the signer is ours.
#[test]
fn a_real_notary_server_signs_with_our_keys() {
    let (Some(server), Some(notary)) = (program("notary-server"), program("notary")) else { return };
    // An authority, or the server's own certificate: Notary takes both in one place.
    for (algorithm, clients) in [("ecdsa", "./ca.crt"), ("ed25519", "./peer.crt")] {
        let folder = folder();
        let ours = Path::new(env!("CARGO_BIN_EXE_trustgate-signer"));
        let (signer_port, _signer) = start_signer(ours, "--config", folder.path(), clients);
        let (port, _server) = start_server(&server, folder.path(), signer_port, algorithm);
        let notary = |arguments: &[&str]| ask(&notary, folder.path(), port, arguments);
        let content = folder.path().join("content");
        fs::write(&content, "content").expect("a target");
        let content = content.to_str().expect("a path");
        let gun = "127.0.0.1/acme/base";
        notary(&["init", "-p", gun]);
        notary(&["add", "-p", gun, "1", content]);
        // From here on both of the server's roles are signed by our signer.
        notary(&["key", "rotate", gun, "snapshot", "-r"]);
        notary(&["key", "rotate", gun, "timestamp", "-r"]);
        notary(&["add", "-p", gun, "2", content]);
        let listed = notary(&["list", gun]);
        assert!(listed.contains("\n1 ") && listed.contains("\n2 "), "{algorithm}: {listed}");
    }
}

/// The signer ends, and another one goes on with its file, while the server runs.
#[test]
fn keys_in_a_file_outlive_the_signer() {
    let (Some(server), Some(notary)) = (program("notary-server"), program("notary")) else { return };
    let folder = folder();
    let (signer_port, listener) = free_port();
    drop(listener);
    let tls = "[tls]\ncertificate = \"peer.crt\"\nkey = \"peer.key\"\nauthorities = \"ca.crt\"\n";
    let storage = "[storage]\nbackend = \"sqlite\"\npath = \"keys.db\"\n";
    let sealing = "[sealing]\ncurrent = \"a\"\n[sealing.keys.a]\nenvironment = \"KEK\"\n";
    let settings = format!("listen = \"127.0.0.1:{signer_port}\"\n{tls}{storage}{sealing}");
    fs::write(folder.path().join("signer.toml"), settings).expect("settings");
    let signer = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trustgate-signer"));
        command.args(["--config", "signer.toml"]).current_dir(folder.path()).env("KEK", "0b".repeat(32));
        Running::start(&mut command, signer_port)
    };
    let first = signer();
    let (port, _server) = start_server(&server, folder.path(), signer_port, "ecdsa");
    let notary = |arguments: &[&str]| ask(&notary, folder.path(), port, arguments);
    let content = folder.path().join("content");
    fs::write(&content, "content").expect("a target");
    let content = content.to_str().expect("a path");
    let gun = "127.0.0.1/acme/base";
    notary(&["init", "-p", gun]);
    notary(&["key", "rotate", gun, "snapshot", "-r"]);
    notary(&["add", "-p", gun, "1", content]);
    // Killed, not asked to end.
    drop(first);
    let _second = signer();
    let keys = || fs::read(folder.path().join("keys.db")).expect("the signer's file");
    assert!(!keys().windows(11).any(|it| it == b"PRIVATE KEY"), "nothing in it is plain");
    let start = Instant::now();
    // The server's connection to the signer backs off for some seconds.
    while try_ask(
        &program("notary").expect("it was there"),
        folder.path(),
        port,
        &["add", "-p", gun, "2", content],
    )
    .is_err()
    {
        assert!(start.elapsed() < START_DEADLINE, "the server does not find the signer again");
    }
    let listed = notary(&["list", gun]);
    assert!(listed.contains("\n1 ") && listed.contains("\n2 "), "{listed}");
}

/// Needs no other program than ours.
#[tokio::test(flavor = "multi_thread")]
async fn the_key_encryption_key_is_changed_while_the_signer_runs() {
    let folder = folder();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("the test's own file");
    };
    write("old", &"0a".repeat(32));
    write("new", &"0b".repeat(32));
    let settings = |current: &str, sealing: &str| {
        let tls = "[tls]\ncertificate = \"peer.crt\"\nkey = \"peer.key\"\nauthorities = \"ca.crt\"\n";
        let storage = "[storage]\nbackend = \"memory\"\n";
        write(
            "signer.toml",
            &format!("listen = \"127.0.0.1:0\"\n{tls}{storage}[sealing]\ncurrent = \"{current}\"\n{sealing}"),
        );
    };
    let old = "[sealing.keys.old]\nfile = \"old\"\n";
    let new = "[sealing.keys.new]\ncommand = [\"cat\", \"new\"]\n";
    settings("old", old);
    let mut command = Command::new(env!("CARGO_BIN_EXE_trustgate-signer"));
    command.args(["--config", "signer.toml"]).current_dir(folder.path()).stderr(Stdio::piped());
    let mut signer = Running(command.spawn().expect("the signer starts"));
    let mut lines = BufReader::new(signer.0.stderr.take().expect("it is piped")).lines();
    let mut line = |part: &str| {
        lines.find_map(|it| it.ok().filter(|it| it.contains(part))).unwrap_or_else(|| panic!("no {part}"))
    };
    let port = line("listening at").rsplit_once(':').and_then(|(_, it)| it.parse().ok()).expect("a port");
    let client = client(folder.path(), port);
    let gun: Gun = "127.0.0.1/acme/base".parse().expect("a GUN");
    let key = client.create(&gun, &RoleName::TIMESTAMP, KeyAlgorithm::Ed25519).await.expect("a key");
    let signature = client.sign(key.canonical_id(), b"{}").await.expect("a signature");

    let process = Pid::from_child(&signer.0);
    let signal = |it| kill_process(process, it).expect("it runs");
    settings("new", &format!("{old}{new}"));
    signal(Signal::HUP);
    line("keys are sealed under `new`");
    line("keys sealed anew: 1");
    assert_eq!(client.sign(key.canonical_id(), b"{}").await.as_ref(), Ok(&signature));
    // The old one is needed no more; one that cannot be had changes nothing.
    fs::remove_file(folder.path().join("old")).expect("it is there");
    signal(Signal::HUP);
    line("nothing changed: the key-encryption key `old` from");
    settings("new", new);
    signal(Signal::HUP);
    line("keys are sealed under `new`");
    assert_eq!(client.sign(key.canonical_id(), b"{}").await.as_ref(), Ok(&signature));
    signal(Signal::TERM);
    assert!(signer.0.wait().expect("it ends").success());
}

/// Starts a signer with the configuration of a notary-signer that keeps its keys in memory.
fn start_signer(program: &Path, flag: &str, folder: &Path, clients: &str) -> (u16, Running) {
    let (port, listener) = free_port();
    let configuration = json!({
        "server": {
            "grpc_addr": format!("127.0.0.1:{port}"),
            "tls_cert_file": "./peer.crt",
            "tls_key_file": "./peer.key",
            "client_ca_file": clients
        },
        "logging": {"level": "error"},
        "storage": {"backend": "memory"}
    });
    let file = folder.join("signer.json");
    fs::write(&file, configuration.to_string()).expect("the signer's configuration");
    drop(listener);
    (port, Running::start(Command::new(program).arg(flag).arg(&file), port))
}

/// Starts a notary-server that keeps its files in memory.
fn start_server(program: &Path, folder: &Path, signer_port: u16, algorithm: &str) -> (u16, Running) {
    let (port, listener) = free_port();
    let configuration = json!({
        "server": {
            "http_addr": format!("127.0.0.1:{port}"),
            "tls_cert_file": "./peer.crt",
            "tls_key_file": "./peer.key"
        },
        "trust_service": {
            "type": "remote", "hostname": "127.0.0.1", "port": signer_port.to_string(),
            "tls_ca_file": "./ca.crt", "tls_client_cert": "./peer.crt",
            "tls_client_key": "./peer.key", "key_algorithm": algorithm
        },
        "logging": {"level": "error"},
        "storage": {"backend": "memory"}
    });
    let file = folder.join("server.json");
    fs::write(&file, configuration.to_string()).expect("the server's configuration");
    drop(listener);
    (port, Running::start(Command::new(program).arg("-config").arg(&file), port))
}

/// What notary's client says.
pub(crate) fn ask(program: &Path, folder: &Path, port: u16, arguments: &[&str]) -> String {
    try_ask(program, folder, port, arguments).unwrap_or_else(|said| panic!("notary {arguments:?}: {said}"))
}

/// The same, or what it says where it does not succeed.
pub(crate) fn try_ask(
    program: &Path,
    folder: &Path,
    port: u16,
    arguments: &[&str],
) -> Result<String, String> {
    let output = Command::new(program)
        .args(["-s", &format!("https://127.0.0.1:{port}"), "--tlscacert"])
        .arg(folder.join("ca.crt"))
        .arg("-d")
        .arg(folder.join("trust"))
        .args(arguments)
        .env("NOTARY_ROOT_PASSPHRASE", "rootpass1")
        .env("NOTARY_TARGETS_PASSPHRASE", "targetspass1")
        .env("NOTARY_SNAPSHOT_PASSPHRASE", "snapshotpass1")
        .output()
        .expect("notary starts");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(said) } else { Err(said) }
}

pub(crate) fn client(folder: &Path, port: u16) -> RemoteSigner {
    let files = TlsFiles {
        certificate: folder.join("peer.crt"),
        key: folder.join("peer.key"),
        authorities: folder.join("ca.crt"),
    };
    let tls = files.client_config().expect("certificates");
    RemoteSigner::new("127.0.0.1", port, tls).expect("an address")
}

/// A folder with an authority, and a certificate of it for both sides.
pub(crate) fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).expect("a file");
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut authority = rcgen::CertificateParams::default();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    authority.distinguished_name.push(rcgen::DnType::CommonName, "lab");
    write("ca.crt", authority.self_signed(&key).expect("a certificate").pem());
    let issuer = rcgen::Issuer::new(authority, key);
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut peer = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address");
    peer.extended_key_usages =
        vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth, rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    write("peer.crt", peer.signed_by(&key, &issuer).expect("a certificate").pem());
    write("peer.key", key.serialize_pem());
    folder
}

/// A process that ends with the value.
pub(crate) struct Running(Child);

impl Running {
    /// Returns when something listens at the port.
    pub(crate) fn start(command: &mut Command, port: u16) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut running = Self(child.expect("the program starts"));
        let start = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = running.0.try_wait().expect("a child");
            assert!(ended.is_none(), "{command:?} ended with {ended:?}");
            assert!(start.elapsed() < START_DEADLINE, "{command:?} does not listen at {port}");
            std::thread::yield_now();
        }
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that is free as long as the listener lives, and most likely a moment after.
pub(crate) fn free_port() -> (u16, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    (listener.local_addr().expect("a listener has an address").port(), listener)
}

/// Where this program is; says so where it is nowhere.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    debian_program(name).or_else(|| unavailable(name))
}

const START_DEADLINE: Duration = Duration::from_secs(30);
