//! Publishing, handed back and forth between trustgate, docker and notary on a real trust server.

use std::process::Command;
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use sha2::Digest as _;
use trustgate::http::{HttpClient, HttpOptions, Proxies};
use trustgate::image::{Digest, Gun};
use trustgate::keys::{KeyRole, KeyStore, PrivateKey};
use trustgate::trust::publish::{Event, NewSigner, Outcome, PublishError, Published, Publisher, SignOptions};
use trustgate::trust::{Cache, RepositoryTerms, TrustError, TrustReader, TrustSource as _, Want};
use trustgate::tuf::{PublicKey, Target};

use crate::support::image::succeed;
use crate::support::person::{passphrases, unattended};
use crate::support::{Engine, Lab};

mod faults;
mod stories;
mod thresholds;

/// A machine with a docker configuration of its own, and a clock that can be wrong.
struct Machine {
    lab: &'static Lab,
    config: tempfile::TempDir,
    now: Arc<Mutex<SignedDuration>>,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Machine {
    fn new(lab: &'static Lab) -> Self {
        let config = lab.fresh_config();
        Self { lab, config, now: Arc::default(), events: Arc::default() }
    }

    fn keys(&self) -> KeyStore {
        KeyStore::new(&self.config.path().join("trust")).with_rounds(2048)
    }

    fn http(&self) -> HttpClient {
        HttpClient::new(HttpOptions {
            config_dir: Some(self.config.path().to_owned()),
            proxies: Proxies::None,
            ..HttpOptions::new()
        })
        .expect("a client")
    }

    fn clock(&self) -> trustgate::trust::Clock {
        let ahead = Arc::clone(&self.now);
        Arc::new(move || Timestamp::now() + *ahead.lock().expect("a clock"))
    }

    fn publisher(&self) -> Publisher {
        let events = Arc::clone(&self.events);
        let cache = Cache::new(self.config.path().join("trust"));
        Publisher::new(self.http(), cache, self.keys(), self.clock())
            .with_server(Some(self.lab.trust_server().to_owned()))
            .with_events(Arc::new(move |event| events.lock().expect("events").push(event)))
    }

    fn digest(&self, gun: &Gun, tag: &str) -> Result<Digest, TrustError> {
        let reader =
            TrustReader::new(self.http(), Some(Cache::new(self.config.path().join("trust"))), self.clock())
                .with_server(Some(self.lab.trust_server().to_owned()));
        let tag = tag.parse().expect("a tag");
        let terms = RepositoryTerms::docker();
        block_on(reader.find(gun, Want::Tag(&tag), &terms)).map(|it| it.digest)
    }

    fn sign(&self, gun: &Gun, tag: &str, content: &[u8]) -> Result<Outcome, PublishError> {
        let tags = [(tag.to_owned(), target(content))];
        block_on(self.publisher().sign(gun, &tags, &SignOptions::docker(), &mut passphrases()))
    }

    /// A key of a signer, as `docker trust key generate` makes it, but for its kind.
    fn signer_key(&self, name: &str, key: &PrivateKey) -> PublicKey {
        let role: KeyRole = name.parse().expect("a role");
        self.keys().write(key, &role, None, &mut passphrases()).expect("a stored key");
        key.public().clone()
    }

    fn add_signer(&self, gun: &Gun, name: &str, key: &PublicKey) -> Published {
        let signer = NewSigner { name: name.to_owned(), keys: vec![key.clone()], paths: Vec::new() };
        published(block_on(self.publisher().add_signer(gun, &signer, &mut passphrases())))
    }

    /// Whichever docker people have here; from version 29 on it signs nothing.
    fn docker_of_this_machine(&self, arguments: &[&str]) -> Option<String> {
        let output = Command::new("docker").arg("--version").output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let major: u32 = text.strip_prefix("Docker version ")?.split('.').next()?.parse().ok()?;
        let mut command = Command::new("docker");
        command.env("DOCKER_HOST", self.lab.variable("LAB_DOCKER_HOST"));
        command.env("DOCKER_CONFIG", self.config.path()).env("DOCKER_CONTENT_TRUST", "1");
        command.env("DOCKER_CONTENT_TRUST_SERVER", self.lab.trust_server()).args(arguments);
        (major < 29).then(|| succeed(unattended(command)))
    }

    /// Every docker command here, each with its own wording of the same.
    fn every_docker(&self, arguments: &[&str]) -> Vec<String> {
        let known = Engine::ALL.iter().map(|engine| self.docker(*engine, arguments));
        known.chain(self.docker_of_this_machine(arguments)).collect()
    }

    fn events(&self) -> Vec<Event> {
        std::mem::take(&mut self.events.lock().expect("events"))
    }

    fn notary(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(self.lab.variable("LAB_NOTARY"));
        command.arg("-d").arg(self.config.path().join("trust"));
        command.arg("--tlscacert").arg(self.lab.trust_authority()).args(["-s", self.lab.trust_server()]);
        command.args(arguments);
        succeed(unattended(command))
    }

    /// What notary says of something that it cannot do.
    fn notary_fails(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(self.lab.variable("LAB_NOTARY"));
        command.arg("-d").arg(self.config.path().join("trust"));
        command.arg("--tlscacert").arg(self.lab.trust_authority()).args(["-s", self.lab.trust_server()]);
        let output = unattended(command).args(arguments).output().expect("notary starts");
        assert!(!output.status.success(), "notary {arguments:?} succeeds");
        [output.stdout, output.stderr].iter().map(|it| String::from_utf8_lossy(it).into_owned()).collect()
    }

    fn docker(&self, engine: Engine, arguments: &[&str]) -> String {
        let mut command = engine.docker(self.lab);
        for name in ["DOCKER_CONFIG", "LAB_CONFIG"] {
            command.env(name, self.config.path());
        }
        command.env("DOCKER_CONTENT_TRUST", "1");
        command.env("DOCKER_CONTENT_TRUST_SERVER", self.lab.trust_server()).args(arguments);
        succeed(unattended(command))
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

fn target(content: &[u8]) -> Target {
    let length = u64::try_from(content.len()).expect("a short content");
    Target { length, sha256: Some(sha2::Sha256::digest(content).into()), sha512: None, custom: None }
}

fn gun(name: &str) -> Gun {
    format!("example.com/publish/{name}").parse().expect("a name")
}

fn published(outcome: Result<Outcome, PublishError>) -> Published {
    match outcome.expect("a publication") {
        Outcome::Published(published) => {
            assert_eq!(published.notes, Vec::<String>::new());
            published
        }
        other => panic!("not published: {other:?}"),
    }
}

fn versions(published: &Published) -> Vec<String> {
    published.roles.iter().map(|it| format!("{} {}", it.role, it.version)).collect()
}
