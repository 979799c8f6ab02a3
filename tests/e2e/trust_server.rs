//! Our trust server as it is started without settings, under docker, notary and trustgate.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use trustgate::tuf::PublicKey;
use trustgate::tuf::testing::{Repository, TestKey};

use crate::support::image::{Recipe, server_program};
use crate::support::person::Person;
use crate::support::{Engine, Lab, lab};

/// A server with a state folder of its own; it is killed when it is dropped.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) url: String,
    pub(crate) folder: Arc<tempfile::TempDir>,
    lines: Receiver<String>,
}

impl Server {
    fn start() -> Self {
        Self::start_in(Arc::new(tempfile::tempdir().expect("a temporary folder")), "127.0.0.1:0")
    }

    /// One that finds what an earlier one left.
    fn start_in(folder: Arc<tempfile::TempDir>, listen: &str) -> Self {
        // The one thing that differs from no settings at all: tests run beside each other.
        Self::start_with(folder, &format!("listen = \"{listen}\"\n"))
    }

    /// One that is told this.
    pub(crate) fn start_with(folder: Arc<tempfile::TempDir>, settings: &str) -> Self {
        Self::run(Command::new(server_program()), folder, settings)
    }

    /// The same by another command, which ends in the program's.
    pub(crate) fn run(mut command: Command, folder: Arc<tempfile::TempDir>, settings: &str) -> Self {
        let path = folder.path().join("server.toml");
        fs::write(&path, settings).expect("settings");
        let settings = path;
        command.arg("--config").arg(&settings);
        command.env("TRUSTGATE_SERVER_STATE", folder.path().join("state"));
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let stderr = child.stderr.take().expect("it is piped");
        let lines = lines_of(stderr);
        let url = wait_for(&lines, "listening at ").trim_start_matches("listening at ").to_owned();
        Self { child, url, folder, lines }
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("state/ca.crt")
    }

    pub(crate) fn host(&self) -> &str {
        self.url.trim_start_matches("https://").trim_start_matches("http://")
    }

    pub(crate) fn person(&self, lab: &'static Lab) -> Person {
        Person::new(lab).at_server_of(&self.url, &self.authority())
    }

    pub(crate) fn client(&self) -> reqwest::Client {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        // Another test of this process may have been faster.
        let _ = rustls::crypto::CryptoProvider::install_default((*provider).clone());
        // A server without TLS has made none.
        let authority = fs::read(self.authority()).ok();
        let certificates = authority.map(|it| reqwest::Certificate::from_pem(&it).expect("a certificate"));
        reqwest::Client::builder().no_proxy().tls_certs_only(certificates).build().expect("a client")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// The next line that has this in it.
    #[track_caller]
    pub(crate) fn line(&self, part: &str) -> String {
        wait_for(&self.lines, part)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program's lines, read on even if nobody waits for one: a full pipe would stop it.
pub(crate) fn lines_of(stderr: ChildStderr) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            // Whoever listened may be gone.
            let _ = sender.send(line);
        }
    });
    lines
}

#[track_caller]
pub(crate) fn wait_for(lines: &Receiver<String>, part: &str) -> String {
    loop {
        let line = lines.recv_timeout(DEADLINE).unwrap_or_else(|_| panic!("no line with {part:?}"));
        if line.contains(part) {
            return line;
        }
    }
}

/// A publisher that speaks to the server as its own client would, below every program.
pub(crate) struct Publisher {
    pub(crate) client: reqwest::Client,
    pub(crate) files: String,
    repository: Repository,
}

impl Publisher {
    pub(crate) async fn begin(server: &Server, gun: &str) -> Self {
        let client = server.client();
        let files = format!("{}/v2/{gun}/_trust/tuf/", server.url);
        let mut repository = Repository::new(gun);
        // The test repositories are of June 2026, and the server's clock is not.
        let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * 365);
        for role in ["root", "targets"] {
            repository.role(role).set_expires(soon);
        }
        for role in ["snapshot", "timestamp"] {
            let key = client.get(format!("{files}{role}.key")).send().await.expect("an answer");
            let key = PublicKey::from_json(&key.bytes().await.expect("a key")).expect("a key");
            repository.replace_keys(role, vec![TestKey::ed25519(role).with_public(key)], 1);
        }
        repository.tag("targets", "v0", b"manifest");
        let publisher = Self { client, files, repository };
        let first = publisher.post(&["root", "targets"]).await.expect("an answer");
        assert_eq!(first, StatusCode::OK, "the first publish");
        publisher
    }

    /// The same person at another server, or at one that was started again.
    pub(crate) fn at(self, server: &Server) -> Self {
        let (_, path) = self.files.split_once("/v2/").expect("a path of the API");
        Self { files: format!("{}/v2/{path}", server.url), client: server.client(), ..self }
    }

    /// Another hand of the same person.
    pub(crate) fn again(&self) -> (reqwest::Client, String) {
        (self.client.clone(), self.files.clone())
    }

    pub(crate) async fn post(&self, roles: &[&str]) -> reqwest::Result<StatusCode> {
        let files = self.repository.publish();
        let parts: Vec<(&str, Vec<u8>)> = roles.iter().map(|it| (*it, files.get(it))).collect();
        Ok(post(&self.client, &self.files, &parts).await?.0)
    }

    /// `targets` in this version.
    pub(crate) fn targets(&self, version: u64) -> Vec<u8> {
        let targets = &self.repository.roles["targets"];
        let mut signed = targets.signed.clone();
        signed["version"] = version.into();
        trustgate::tuf::testing::sign(&signed, &targets.signers)
    }
}

/// Hands files in; returns the status and the code of the error.
pub(crate) async fn post(
    client: &reqwest::Client,
    url: &str,
    parts: &[(&str, Vec<u8>)],
) -> reqwest::Result<(StatusCode, Option<String>)> {
    let mut body = Vec::new();
    for (role, content) in parts {
        let head = format!("--b\r\nContent-Disposition: form-data; name=files; filename={role}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b--\r\n");
    let kind = "multipart/form-data; boundary=b";
    let answer = client.post(url).header("content-type", kind).body(body).send().await?;
    let status = answer.status();
    let body: Option<Value> = serde_json::from_slice(&answer.bytes().await?).ok();
    Ok((status, body.and_then(|it| Some(it["errors"][0]["code"].as_str()?.to_owned()))))
}

#[test]
fn docker_signs_inspects_and_revokes() {
    let Some(lab) = lab() else { return };
    let server = Server::start();
    let publisher = server.person(lab);
    let image = publisher.make("server/docker:1");
    let name = image.trim_end_matches(":1").to_owned();
    for engine in [Engine::Bookworm, Engine::Trixie] {
        let tagged = format!("{name}:{engine:?}").to_lowercase();
        lab.make(engine, &tagged, &Recipe::busybox().with_file("/engine", tagged.as_bytes()));
        publisher.docker(engine, &["push", &tagged]).expect(0, &["Successfully signed"]);
        server.line("UpdateTUF");
        let reader = server.person(lab);
        reader.docker(engine, &["pull", &tagged]).expect(0, &["Pull (1 of 1)"]);
        let inspected = reader.docker(engine, &["trust", "inspect", &name]).expect(0, &[]).json();
        assert!(!inspected[0]["SignedTags"].as_array().expect("tags").is_empty(), "{inspected}");
    }
    publisher.docker(Engine::Bookworm, &["trust", "sign", &image]).expect(0, &["Successfully signed"]);
    publisher.docker(Engine::Bookworm, &["pull", &image]).expect(0, &[]);
    // Signed already: docker sends no file at all, and the server signs its own anew.
    publisher.docker(Engine::Bookworm, &["push", &image]).expect(0, &[]);
    publisher.docker(Engine::Bookworm, &["trust", "revoke", &image]).expect(0, &["Successfully deleted"]);
    let reader = server.person(lab);
    reader.docker(Engine::Bookworm, &["pull", &image]).expect(1, &["No valid trust data for 1"]);
}

#[test]
fn notary_does_everything_it_can() {
    let Some(lab) = lab() else { return };
    let server = Server::start();
    let person = server.person(lab);
    fs::write(person.config().join("content"), "content").expect("a target");
    let gun = "registry.example/lab/notary";
    let run = |words: &str| {
        let words: Vec<&str> = words.split_whitespace().collect();
        person.notary(&words).expect(0, &[]).output
    };
    run(&format!("init -p {gun}"));
    run(&format!("add -p {gun} v1 content"));
    for role in ["snapshot", "timestamp"] {
        run(&format!("key rotate {gun} {role} -r"));
        server.line("RotateKey registry.example/lab/notary 200");
    }
    run(&format!("key rotate {gun} targets"));
    run(&format!("add -p {gun} v2 content"));
    run(&format!("remove -p {gun} v1"));
    let listed = run(&format!("list {gun}"));
    assert!(listed.contains("\nv2 ") && !listed.contains("\nv1 "), "{listed}");
    run(&format!("lookup {gun} v2"));
    run(&format!("delete {gun} --remote"));
    server.line("DeleteTUF registry.example/lab/notary 200");
    person.notary(&["list", gun]).expect(1, &["does not have trust data"]);
}

#[test]
fn trustgate_pushes_pulls_and_rotates() {
    let Some(lab) = lab() else { return };
    let server = Server::start();
    let (publisher, reader) = (server.person(lab), server.person(lab));
    let image = publisher.make("server/own:1");
    let name = image.trim_end_matches(":1").to_owned();
    publisher.run(&["push", &image]).expect(0, &["Successfully signed"]);
    reader.run(&["pull", &image]).expect(0, &[]);
    for role in ["timestamp", "snapshot", "targets"] {
        publisher.run(&["key", "rotate", &name, role]).expect(0, &[]);
        reader.run(&["verify", &image]).expect(0, &[]);
    }
    reader.docker(Engine::Bookworm, &["pull", &image]).expect(0, &[]);
    publisher.run(&["revoke", "--yes", &image]).expect(0, &[]);
    reader.run(&["verify", &image]).expect(1, &[]);
}

/// The three lines that are printed are all that a client needs, in a shell as they stand.
#[test]
fn what_is_printed_is_what_a_client_needs() {
    let Some(lab) = lab() else { return };
    let server = Server::start();
    let person = Person::new(lab);
    let lines: Vec<String> = ["install ", "export ", "export "].map(|it| server.line(it)).to_vec();
    let mut shell = Command::new("sh");
    let asking =
        "curl --silent --fail --cacert \"$DOCKER_CONFIG/tls/\"*/ca.crt $DOCKER_CONTENT_TRUST_SERVER/v2/";
    shell.args(["-ec", &format!("rm -r \"$DOCKER_CONFIG/tls\"\n{}\n{asking}", lines.join("\n"))]);
    shell.env("DOCKER_CONFIG", person.config());
    let output = shell.output().expect("a shell");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && output.stdout == b"{}", "{said}");
    assert!(person.config().join("tls").join(server.host()).join("ca.crt").is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_has_is_not_sent_again() {
    let server = Server::start();
    let publisher = Publisher::begin(&server, "registry.example/lab/conditional").await;
    let url = format!("{}timestamp.json", publisher.files);
    let get = |name: &'static str, value: String| publisher.client.get(&url).header(name, value).send();
    let first = publisher.client.get(&url).send().await.expect("an answer");
    assert_eq!(first.version(), reqwest::Version::HTTP_2);
    let header = |name: &str| first.headers()[name].to_str().expect("text").to_owned();
    for (name, value) in [("if-none-match", header("etag")), ("if-modified-since", header("last-modified"))] {
        let again = get(name, value).await.expect("an answer");
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{name}");
        assert_eq!(again.bytes().await.expect("nothing").len(), 0);
    }
    assert_eq!(publisher.post(&[]).await.expect("an answer"), StatusCode::OK);
    let changed = get("if-none-match", header("etag")).await.expect("an answer");
    assert_eq!(changed.status(), StatusCode::OK);
}

/// Notary lets three of four down, with a 500 for most of them.
#[tokio::test(flavor = "multi_thread")]
async fn writers_at_once_are_first_or_told_that_they_were_not() {
    let server = Server::start();
    let publisher = Arc::new(Publisher::begin(&server, "registry.example/lab/many").await);
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let publisher = Arc::clone(&publisher);
        writers.spawn(async move {
            let (client, url) = publisher.again();
            let mut won = 0;
            for version in 2..22 {
                let parts = [("targets", publisher.targets(version))];
                match post(&client, &url, &parts).await.expect("an answer") {
                    (StatusCode::OK, _) => won += 1,
                    (StatusCode::BAD_REQUEST, Some(code)) if code == "VERSION" => {}
                    other => panic!("{other:?}"),
                }
            }
            won
        });
    }
    let won: u64 = writers.join_all().await.into_iter().sum();
    // Whoever is first may be ahead of the others by more than one.
    assert!((1..=20).contains(&won), "{won}");
    let last = publisher.client.get(format!("{}21.targets.json", publisher.files)).send().await;
    assert_eq!(last.expect("an answer").status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_loses_nothing_that_was_acknowledged() {
    let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
    let mut known: u64 = 1;
    let mut begun: Option<Publisher> = None;
    for round in 0..3 {
        let server = Server::start_in(Arc::clone(&folder), "127.0.0.1:0");
        let gun = "registry.example/lab/kill";
        let publisher = match begun.take() {
            None => Publisher::begin(&server, gun).await,
            Some(it) => Publisher { files: format!("{}/v2/{gun}/_trust/tuf/", server.url), ..it },
        };
        for version in 1..=known {
            let url = format!("{}{version}.targets.json", publisher.files);
            let answer = publisher.client.get(url).send().await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::OK, "round {round}: version {version} of {known}");
        }
        let (acknowledged, mut counted) = tokio::sync::watch::channel(known);
        let (client, url) = publisher.again();
        // What a kill interrupts may be stored all the same; so the next one starts behind it.
        let targets: Vec<_> = (known + 1..known + 400).map(|it| (it, publisher.targets(it))).collect();
        let stream = tokio::spawn(async move {
            for (version, file) in targets {
                match post(&client, &url, &[("targets", file)]).await {
                    Ok((StatusCode::OK, _)) => drop(acknowledged.send_replace(version)),
                    Ok((StatusCode::BAD_REQUEST, Some(code))) if code == "VERSION" => {}
                    Ok(other) => panic!("{other:?}"),
                    Err(_) => return,
                }
            }
        });
        counted.wait_for(|it| known + 10 <= *it).await.expect("publishes");
        server.signal(Signal::KILL);
        stream.await.expect("the stream ends with the server");
        let last = *counted.borrow();
        known = last;
        begun = Some(publisher);
        drop(server);
    }
}

/// Who has begun to ask gets an answer; who comes later finds nobody.
#[test]
fn a_server_that_is_told_to_end_ends_what_it_began() {
    let mut server = Server::start();
    let mut stream = TlsStream::to(&server);
    stream.send("POST /v2/registry.example/lab/drain/_trust/tuf/ HTTP/1.1\r\nHost: x\r\n");
    stream.send("Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 7\r\n");
    stream.send("Expect: 100-continue\r\n\r\n");
    // It waits for the body now.
    assert!(stream.receive(1).starts_with('H'));
    server.signal(Signal::TERM);
    server.line("ending, once what was begun is done");
    stream.send("--b--\r\n");
    let answer = stream.receive(usize::MAX);
    assert!(answer.contains("400 Bad Request") && answer.contains("INVALID_UPDATE"), "{answer}");
    let status = server.child.wait().expect("it ends");
    assert!(status.success(), "{status}");
    assert!(TcpStream::connect(server.host()).is_err());
}

/// A connection that a test writes to byte by byte.
pub(crate) struct TlsStream(pub(crate) rustls::StreamOwned<rustls::ClientConnection, TcpStream>);

impl TlsStream {
    pub(crate) fn to(server: &Server) -> Self {
        use rustls::pki_types::CertificateDer;
        use rustls::pki_types::pem::PemObject as _;
        let mut roots = rustls::RootCertStore::empty();
        let authority = CertificateDer::from_pem_file(server.authority()).expect("a certificate");
        roots.add(authority).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "127.0.0.1".try_into().expect("a name");
        let connection = rustls::ClientConnection::new(Arc::new(config), name).expect("a connection");
        let socket = TcpStream::connect(server.host()).expect("it listens");
        socket.set_read_timeout(Some(DEADLINE)).expect("a socket");
        Self(rustls::StreamOwned::new(connection, socket))
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).expect("it is taken");
        self.0.flush().expect("it is sent");
    }

    /// This many bytes, or all until the end.
    pub(crate) fn receive(&mut self, count: usize) -> String {
        let mut bytes = Vec::new();
        let mut byte = [0];
        while bytes.len() < count {
            match self.0.read(&mut byte) {
                Ok(1) => bytes.push(byte[0]),
                _ => break,
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// A client that shows nothing is told so where certificates are asked for, and a renewed certificate is
/// shown once the server is told of it.
#[test]
fn certificates_are_read_again_on_a_signal() {
    let server = Server::start();
    let state = server.folder.path().join("state");
    let shown = |server: &Server| {
        let mut stream = TlsStream::to(server);
        stream.send("GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        assert!(stream.receive(usize::MAX).starts_with("HTTP/1.1 200"));
        stream.0.conn.peer_certificates().expect("a certificate")[0].clone().into_owned()
    };
    let first = shown(&server);
    fs::remove_file(state.join("server.crt")).expect("it is there");
    server.signal(Signal::HUP);
    server.line("made a certificate");
    server.line("keys are sealed under `state`");
    let second = shown(&server);
    assert_ne!(first, second);
    // One that cannot be used changes nothing.
    fs::write(state.join("ca.key"), "none").expect("a file");
    server.signal(Signal::HUP);
    server.line("the certificate stays as it is");
    assert_eq!(shown(&server), second);
}

#[test]
fn it_is_ready_at_once_and_checks_its_settings() {
    let started = Instant::now();
    let server = Server::start();
    // A second is for the release build on an idle machine; this one is neither.
    assert!(started.elapsed() < DEADLINE);
    let check = |settings: &str| {
        let file = server.folder.path().join("other.toml");
        fs::write(&file, settings).expect("settings");
        let output = Command::new(server_program())
            .args(["check", "--config"])
            .arg(&file)
            .env("TRUSTGATE_SERVER_STATE", server.folder.path().join("state"))
            .output()
            .expect("it starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = check("");
    assert!(code == Some(0) && said.contains("everything that the settings name works"), "{said}");
    let (code, said) = check("listne = \"x\"\n");
    assert!(code == Some(1) && said.contains("listne"), "{said}");
    let (code, said) = check("[tls]\ncertificate = \"none.crt\"\nkey = \"none.key\"\n");
    assert!(code == Some(1) && said.contains("none.crt"), "{said}");
}

pub(crate) const DEADLINE: Duration = Duration::from_mins(1);
