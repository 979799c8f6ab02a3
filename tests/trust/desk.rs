//! A publisher's desk: a server that takes files as notary's does, keys, a cache, a clock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use trustgate::http::{HttpClient, HttpOptions, Proxies};
use trustgate::image::Digest;
use trustgate::keys::{EnvironmentPassphrases, KeyStore, Passphrase, PassphraseVariables};
use trustgate::trust::publish::{Event, Outcome, PublishError, Published, Publisher, SignOptions};
use trustgate::trust::{Cache, RepositoryTerms, TrustReader, TrustSource as _, Want};
use trustgate::tuf::author::{SnapshotDraft, TimestampDraft};
use trustgate::tuf::testing::{self, TestKey};
use trustgate::tuf::{RoleKeys, Target, Version, peek_version};

use crate::notary::{FakeNotary, Reply, Request};
use crate::world::gun;

/// A publisher's machine, and the server that it publishes to.
pub(crate) struct Desk {
    pub(crate) server: FakeNotary,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) stock: Arc<Mutex<Stock>>,
    pub(crate) now: Arc<AtomicI64>,
    pub(crate) pauses: Arc<Mutex<Vec<Duration>>>,
    pub(crate) events: Arc<Mutex<Vec<Event>>>,
}

/// What the server has: every file under each of its names.
pub(crate) struct Stock {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) snapshot: TestKey,
    pub(crate) timestamp: TestKey,
    pub(crate) version: Version,
    pub(crate) now: Timestamp,
}

impl Stock {
    pub(crate) fn reply(&mut self, request: &Request) -> Reply {
        let name = request.file();
        match (request.method.as_str(), name) {
            ("GET", "timestamp.key") => Reply::ok(self.timestamp.to_json().to_string()),
            ("GET", "snapshot.key") => Reply::ok(self.snapshot.to_json().to_string()),
            ("GET", "timestamp.json") if self.is_stuck() => problem(500, "UNKNOWN", "root is expired", ""),
            ("GET", _) => match self.files.get(path(request)) {
                Some(content) => Reply::ok(content.clone()),
                None => Reply::not_found(),
            },
            ("POST", "") => self.take(request),
            other => panic!("{other:?} is not asked for here"),
        }
    }

    /// Notary's server renews no timestamp below an expired root.
    pub(crate) fn is_stuck(&self) -> bool {
        let Some(root) = self.files.get("root.json") else { return false };
        let root: serde_json::Value = serde_json::from_slice(root).unwrap();
        let expires: Timestamp = root["signed"]["expires"].as_str().unwrap().parse().unwrap();
        expires <= self.now
    }

    /// As notary's server: all or nothing, each with a new version, then a snapshot and a timestamp.
    pub(crate) fn take(&mut self, request: &Request) -> Reply {
        let files = parts(request);
        for (role, content) in &files {
            let old = self.files.get(&format!("{role}.json")).and_then(|it| peek_version(it));
            if peek_version(content) <= old {
                return problem(400, "VERSION", "", "");
            }
        }
        for (role, content) in files {
            self.add(&role, &content);
        }
        let keys = |key: &TestKey| RoleKeys { keys: vec![key.public().clone()], threshold: 1 };
        let mut draft = SnapshotDraft::new(self.now + jiff::SignedDuration::from_hours(24 * 1095));
        for role in ["root", "targets", "targets/alice", "targets/releases"] {
            if let Some(content) = self.files.get(&format!("{role}.json")) {
                draft.set(&role.parse().unwrap(), content);
            }
        }
        let snapshot = draft.finish(&keys(&self.snapshot)).unwrap().sign(&[&self.snapshot]).unwrap();
        let draft = TimestampDraft::new(
            self.version,
            self.now + jiff::SignedDuration::from_hours(24 * 14),
            &snapshot,
        );
        let timestamp = draft.finish(&keys(&self.timestamp)).unwrap().sign(&[&self.timestamp]).unwrap();
        self.version = self.version.next().unwrap();
        self.add("snapshot", &snapshot);
        self.add("timestamp", &timestamp);
        Reply::ok("")
    }

    pub(crate) fn add(&mut self, role: &str, content: &[u8]) {
        let version = peek_version(content).unwrap();
        let hash = hex::encode(Sha256::digest(content));
        for name in [format!("{role}.json"), format!("{role}.{hash}.json"), format!("{version}.{role}.json")]
        {
            self.files.insert(name, content.to_vec());
        }
    }
}

/// The part of a path behind the repository's own.
pub(crate) fn path(request: &Request) -> &str {
    request.target.split_once("/_trust/tuf/").map(|(_, rest)| rest).unwrap_or_default()
}

pub(crate) fn is_key(request: &Request) -> bool {
    matches!(request.file(), "timestamp.key" | "snapshot.key")
}

pub(crate) fn parts(request: &Request) -> Vec<(String, Vec<u8>)> {
    let kind = request.header("content-type").unwrap();
    let boundary = format!("--{}", kind.split_once("boundary=").unwrap().1);
    let of_part = |part: &str| {
        let (head, body) = part.split_once("\r\n\r\n")?;
        let name = head.split_once("filename=\"")?.1.split_once('"')?.0;
        Some((name.to_owned(), body.trim_end().as_bytes().to_vec()))
    };
    request.body.split(&boundary).filter_map(of_part).collect()
}

pub(crate) fn problem(status: u16, code: &str, message: &str, detail: &str) -> Reply {
    let body = serde_json::json!({"errors": [{"code": code, "message": message, "detail": {"Error": {"Msg": detail}}}]});
    Reply::Answer { status, headers: Vec::new(), body: body.to_string().into() }
}

impl Desk {
    pub(crate) async fn new() -> Self {
        let stock = Arc::new(Mutex::new(Stock {
            files: BTreeMap::new(),
            snapshot: TestKey::p256("the server's snapshot"),
            timestamp: TestKey::p256("the server's timestamp"),
            version: Version::FIRST,
            now: testing::now(),
        }));
        let taking = Arc::clone(&stock);
        let server = FakeNotary::start(move |request| taking.lock().unwrap().reply(request)).await;
        let folder = tempfile::tempdir().unwrap();
        server.trust_in(folder.path());
        let now = Arc::new(AtomicI64::new(testing::now().as_second()));
        Self { server, folder, stock, now, pauses: Arc::default(), events: Arc::default() }
    }

    /// Answers as ever, but for the requests that `fault` has an answer for.
    pub(crate) fn fault(&self, fault: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) {
        let stock = Arc::clone(&self.stock);
        self.server
            .answer(move |request| fault(request).unwrap_or_else(|| stock.lock().unwrap().reply(request)));
    }

    /// Answers the first so many requests with this method like this.
    pub(crate) fn fault_at_first(&self, method: &'static str, times: u32, reply: Reply) {
        let left = AtomicU32::new(times);
        self.fault(move |request| {
            let hit = request.method == method
                && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |it| it.checked_sub(1)).is_ok();
            hit.then(|| reply.clone())
        });
    }

    pub(crate) fn set_now(&self, now: Timestamp) {
        self.now.store(now.as_second(), Ordering::SeqCst);
        self.stock.lock().unwrap().now = now;
    }

    pub(crate) fn cache(&self) -> Cache {
        Cache::new(self.folder.path().join("trust"))
    }

    pub(crate) fn keys(&self) -> KeyStore {
        KeyStore::new(&self.folder.path().join("trust")).with_rounds(2048)
    }

    pub(crate) fn http(&self) -> HttpClient {
        let options = HttpOptions {
            config_dir: Some(self.folder.path().to_owned()),
            certificate_bundles: Vec::new(),
            proxies: Proxies::None,
            ..HttpOptions::new()
        };
        HttpClient::new(options).unwrap()
    }

    pub(crate) fn clock(&self) -> trustgate::trust::Clock {
        let now = Arc::clone(&self.now);
        Arc::new(move || Timestamp::from_second(now.load(Ordering::SeqCst)).unwrap())
    }

    pub(crate) fn publisher(&self) -> Publisher {
        let (pauses, events) = (Arc::clone(&self.pauses), Arc::clone(&self.events));
        Publisher::new(self.http(), self.cache(), self.keys(), self.clock())
            .with_server(Some(self.server.url("").to_string()))
            .with_events(Arc::new(move |it| events.lock().unwrap().push(it)))
            .with_chance(
                Arc::new(|| Ok([0x55; 16])),
                Arc::new(move |it| {
                    pauses.lock().unwrap().push(it);
                    Box::pin(std::future::ready(()))
                }),
            )
    }

    pub(crate) async fn sign(&self, tag: &str) -> Result<Outcome, PublishError> {
        self.publisher().sign(&gun(), &tags(tag), &SignOptions::docker(), &mut passphrases()).await
    }

    pub(crate) async fn digest(&self, tag: &str) -> Digest {
        let reader = TrustReader::new(self.http(), Some(self.cache()), self.clock())
            .with_server(Some(self.server.url("").to_string()));
        let tag = tag.parse().unwrap();
        reader.find(&gun(), Want::Tag(&tag), &RepositoryTerms::docker()).await.unwrap().digest
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        std::mem::take(&mut self.events.lock().unwrap())
    }

    pub(crate) fn pauses(&self) -> Vec<Duration> {
        std::mem::take(&mut self.pauses.lock().unwrap())
    }

    /// What was asked of the server, hashes left out.
    pub(crate) fn requests(&self) -> Vec<String> {
        let shown = |it: &Request| {
            let parts = path(it).split('.').map(|part| if part.len() == 64 { "#" } else { part });
            format!("{} {}", it.method, parts.collect::<Vec<_>>().join("."))
        };
        self.server.take_requests().iter().map(shown).collect()
    }
}

pub(crate) fn tags(tag: &str) -> [(String, Target); 1] {
    let sha256 = Some(Sha256::digest(tag).into());
    [(tag.to_owned(), Target { length: 3, sha256, sha512: None, custom: None })]
}

pub(crate) fn passphrases() -> EnvironmentPassphrases {
    let passphrase = |text: &str| Some(Passphrase::new(text.to_owned()));
    EnvironmentPassphrases::new(PassphraseVariables {
        docker_root: passphrase("root passphrase"),
        docker_repository: passphrase("repository passphrase"),
        ..PassphraseVariables::default()
    })
}

pub(crate) fn published(outcome: Result<Outcome, PublishError>) -> Published {
    match outcome.unwrap() {
        Outcome::Published(published) => published,
        other => panic!("not published: {other:?}"),
    }
}

impl Stock {
    /// The timestamp anew, as servers do.
    pub(crate) fn renew(&mut self) {
        let request = Request {
            method: "POST".to_owned(),
            target: String::new(),
            headers: BTreeMap::from([("content-type".to_owned(), "boundary=x".to_owned())]),
            body: String::new(),
        };
        self.take(&request);
    }
}
