//! Who may do what at our trust server, as docker's own client is told: names and passwords, tokens of
//! a registry's token server.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::extract::Query;
use axum::http::HeaderMap;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::support::person::Person;
use crate::support::{Engine, Lab, lab};

#[test]
fn docker_signs_with_a_name_and_a_password() {
    let Some(lab) = lab() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let hash = bcrypt::hash("wonderland", 4).expect("a hash");
    fs::write(folder.path().join("htpasswd"), format!("alice:{hash}\n")).expect("the users");
    let access = "[access]\nanonymous-pull = true\n[access.htpasswd]\npath = \"htpasswd\"\n";
    let server = Server::start(folder.path(), access);
    let person = |password: &str| person(lab, &server, password);

    let alice = person("wonderland");
    let name = alice.make("access/password:1");
    alice.docker(Engine::Bookworm, &["push", &name]).expect(0, &["Successfully signed"]);
    alice.docker(Engine::Bookworm, &["pull", &name]).expect(0, &["sha256:"]);
    // The registry asks for no password, so that this one is wrong at the trust server alone.
    let mistaken = person("wonderworld");
    let other = mistaken.make("access/mistaken:1");
    mistaken.docker(Engine::Bookworm, &["push", &other]).expect(1, &["not authorized", "401"]);
    // trustgate asks for nothing but what it is asked for.
    let reader = Person::new(lab).at_server(&server.url);
    server.introduce(&reader);
    reader.run(&["inspect", &name]).expect(0, &["\"SignedTag\": \"1\""]);
    reader.notary(&["list", name.trim_end_matches(":1")]).expect(0, &["targets"]);
    // docker asks at `/v2/` who may come in, and has nobody to name; what it has read before counts on.
    reader.docker(Engine::Bookworm, &["pull", &name]).expect(0, &["using cached timestamp"]);
    for engine in Engine::ALL {
        let stranger = Person::new(lab).at_server(&server.url);
        server.introduce(&stranger);
        stranger.docker(engine, &["pull", &name]).expect(1, &["no basic auth credentials"]);
        stranger.docker(engine, &["trust", "inspect", &name]).expect(1, &[]);
    }
    // Any account will do, so that one that may only read can be given to everybody.
    let guest = person("wonderland");
    guest.docker(Engine::Bookworm, &["pull", &name]).expect(0, &["sha256:"]);
    let log = server.end();
    assert!(log.iter().any(|it| it.contains("alice") && it.contains("access/password")), "{log:#?}");
}

#[test]
fn docker_signs_with_a_token() {
    let Some(lab) = lab() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let issuer = Issuer::start();
    fs::write(folder.path().join("keys.json"), issuer.keys.to_string()).expect("the keys");
    let access = format!(
        "[access.token]\nrealm = \"{}\"\nservice = \"trust\"\nissuer = \"issuer\"\nkey-set = \"keys.json\"\n",
        issuer.realm
    );
    let server = Server::start(folder.path(), &access);
    let alice = person(lab, &server, "wonderland");
    let name = alice.make("access/token:1");
    alice.docker(Engine::Bookworm, &["push", &name]).expect(0, &["Successfully signed"]);
    alice.docker(Engine::Trixie, &["pull", &name]).expect(0, &["sha256:"]);
    // Without a login there are tokens for reading.
    let reader = Person::new(lab).at_server(&server.url);
    server.introduce(&reader);
    reader.docker(Engine::Bookworm, &["pull", &name]).expect(0, &["sha256:"]);
    // trustgate gives no password to a token server without TLS, and asks none.
    reader.run(&["inspect", &name]).expect(3, &["is not a plain https URL"]);
    let theirs = reader.make("access/nobody:1");
    reader.docker(Engine::Bookworm, &["push", &theirs]).expect(1, &["not authorized", "401"]);
    // Tokens for another service are nothing here.
    "another".clone_into(&mut issuer.audience.lock().expect("nobody panicked"));
    let next = alice.make("access/token:2");
    alice.docker(Engine::Bookworm, &["push", &next]).expect(1, &["not authorized", "401"]);
    let log = server.end();
    assert!(log.iter().any(|it| it.contains("alice") && it.contains("access/token")), "{log:#?}");
}

/// Somebody who is logged in at the registry, and asks this trust server.
fn person(lab: &'static Lab, server: &Server, password: &str) -> Person {
    let person = Person::new(lab).at_server(&server.url);
    server.introduce(&person);
    let login = ["login", "-u", "alice", "-p", password, lab.registry()];
    person.docker(Engine::Bookworm, &login).expect(0, &["Login Succeeded"]);
    person
}

/// A trust server of ours, with everything in one folder.
struct Server {
    url: String,
    authority: std::path::PathBuf,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    fn start(folder: &Path, access: &str) -> Self {
        let settings = folder.join("server.toml");
        fs::write(&settings, format!("listen = \"127.0.0.1:0\"\nstate = \"state\"\n{access}"))
            .expect("settings");
        let mut child = Command::new(env!("CARGO_BIN_EXE_trustgate-server"))
            .arg("--config")
            .arg(&settings)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut lines =
            BufReader::new(child.stderr.take().expect("it is piped")).lines().map_while(Result::ok);
        let url = lines.by_ref().find_map(|it| Some(it.split_once("listening at ")?.1.to_owned()));
        let log = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            lines.for_each(|line| written.lock().expect("nobody panicked").push(line));
        });
        let url = url.expect("the server listens").trim().to_owned();
        Self { url, authority: folder.join("state/ca.crt"), child, log, reader: Some(reader) }
    }

    /// Has a person know the server's authority.
    fn introduce(&self, person: &Person) {
        let host = self.url.trim_start_matches("https://");
        let folder = person.config().join("tls").join(host);
        fs::create_dir_all(&folder).expect("a folder");
        fs::copy(&self.authority, folder.join("ca.crt")).expect("the authority");
    }

    /// Ends the server, and returns what it wrote.
    fn end(mut self) -> Vec<String> {
        self.child.kill().expect("it runs");
        if let Some(reader) = self.reader.take() {
            reader.join().expect("it reads to the end");
        }
        self.log.lock().expect("nobody panicked").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A token server as registries have one: to whom gives a name everything, to others reading.
struct Issuer {
    realm: String,
    keys: Value,
    audience: Arc<Mutex<String>>,
    // Dropped with the value, and the server with it.
    _runtime: tokio::runtime::Runtime,
}

impl Issuer {
    fn start() -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref(), &random).expect("it");
        let point = key.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        let keys = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "one", "x": x, "y": y}]});
        let audience = Arc::new(Mutex::new("trust".to_owned()));
        let (key, named) = (Arc::new(key), Arc::clone(&audience));
        let answer = move |Query(asked): Query<Vec<(String, String)>>, headers: HeaderMap| {
            let audience = named.lock().expect("nobody panicked").clone();
            let token = issue(&key, &audience, &asked, &headers);
            std::future::ready(json!({"token": token, "access_token": token, "expires_in": 300}).to_string())
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
        let realm = format!("http://{}/token", listener.local_addr().expect("its address"));
        let router = axum::Router::new().route("/token", get(answer));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { realm, keys, audience, _runtime: runtime }
    }
}

fn issue(key: &EcdsaKeyPair, audience: &str, asked: &[(String, String)], headers: &HeaderMap) -> String {
    let basic = headers.get("authorization").and_then(|it| it.to_str().ok()?.strip_prefix("Basic "));
    let credentials = basic.and_then(|it| String::from_utf8(STANDARD.decode(it).ok()?).ok());
    let name =
        credentials.and_then(|it| it.split_once(':').map(|(name, _)| name.to_owned())).unwrap_or_default();
    let mut access = Vec::new();
    for scope in asked.iter().filter(|(it, _)| it == "scope").flat_map(|(_, it)| it.split(' ')) {
        let Some((kind, rest)) = scope.split_once(':') else { continue };
        let Some((repository, actions)) = rest.rsplit_once(':') else { continue };
        let actions: Vec<_> = actions.split(',').filter(|it| !name.is_empty() || *it == "pull").collect();
        access.push(json!({"type": kind, "name": repository, "actions": actions}));
    }
    let now = jiff::Timestamp::now().as_second();
    let claims = json!({
        "iss": "issuer", "sub": name, "aud": audience, "exp": now + 300, "nbf": now - 10, "access": access,
    });
    let header = json!({"typ": "JWT", "alg": "ES256", "kid": "one"});
    let signed = [header, claims].map(|it| URL_SAFE_NO_PAD.encode(it.to_string())).join(".");
    let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).expect("a signature");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
