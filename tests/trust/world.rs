//! A trust server, a docker folder and a clock, for one test.

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use trustgate::http::{HttpClient, HttpOptions, Proxies, Timeouts};
use trustgate::image::{Digest, Gun, Tag};
use trustgate::trust::{
    Cache, RepositoryTerms, SignedTarget, SignerListing, TrustError, TrustReader, TrustSource as _, Want,
};
use trustgate::tuf::testing::{self, Repository, TestKey};

use crate::notary::{FakeNotary, Reply, Request, Shelf};

pub(crate) const GUN: &str = "registry.example/acme/base";

/// Long enough for loopback, short enough to wait for.
pub(crate) const SHORT: Duration = Duration::from_millis(250);

pub(crate) struct World {
    pub(crate) timeouts: Timeouts,
    pub(crate) server: FakeNotary,
    pub(crate) folder: tempfile::TempDir,
    shelf: Arc<Mutex<Shelf>>,
    now: Arc<AtomicI64>,
}

impl World {
    /// A server without files.
    pub(crate) async fn new() -> Self {
        let shelf: Arc<Mutex<Shelf>> = Arc::default();
        let on_shelf = Arc::clone(&shelf);
        let server = FakeNotary::start(move |request| on_shelf.lock().unwrap().reply(request)).await;
        Self::with_server(server, shelf)
    }

    pub(crate) async fn with_http2() -> Self {
        let shelf: Arc<Mutex<Shelf>> = Arc::default();
        let on_shelf = Arc::clone(&shelf);
        let server = FakeNotary::with_http2(move |request| on_shelf.lock().unwrap().reply(request)).await;
        Self::with_server(server, shelf)
    }

    fn with_server(server: FakeNotary, shelf: Arc<Mutex<Shelf>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        server.trust_in(folder.path());
        let now = Arc::new(AtomicI64::new(testing::now().as_second()));
        let long = Duration::from_secs(20);
        let timeouts = Timeouts { connect: long, idle: long, total: long, helper: long };
        Self { timeouts, server, folder, shelf, now }
    }

    /// A server with one repository.
    pub(crate) async fn of(repository: &Repository) -> Self {
        let world = Self::new().await;
        world.publish(repository);
        world
    }

    pub(crate) fn publish(&self, repository: &Repository) {
        self.shelf.lock().unwrap().publish(&repository.publish());
    }

    /// Takes files away whose path contains this text.
    pub(crate) fn remove(&self, text: &str) {
        self.shelf.lock().unwrap().remove(text);
    }

    /// Answers as before, but for the requests that `fault` has an answer for.
    pub(crate) fn fault(&self, fault: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) {
        let files = Arc::clone(&self.shelf);
        self.server
            .answer(move |request| fault(request).unwrap_or_else(|| files.lock().unwrap().reply(request)));
    }

    pub(crate) fn set_now(&self, now: Timestamp) {
        self.now.store(now.as_second(), Ordering::SeqCst);
    }

    pub(crate) fn options(&self) -> HttpOptions {
        HttpOptions {
            config_dir: Some(self.folder.path().to_owned()),
            certificate_bundles: Vec::new(),
            proxies: Proxies::None,
            timeouts: self.timeouts,
            ..HttpOptions::new()
        }
    }

    pub(crate) fn trust_folder(&self) -> PathBuf {
        self.folder.path().join("trust")
    }

    pub(crate) fn cached(&self, role: &str) -> PathBuf {
        self.trust_folder().join(format!("tuf/{GUN}/metadata/{role}.json"))
    }

    /// A reader as a new process would have it: nothing is known but the cache.
    pub(crate) fn reader(&self) -> TrustReader {
        self.reader_with(Some(Cache::new(self.trust_folder())))
    }

    pub(crate) fn reader_with(&self, cache: Option<Cache>) -> TrustReader {
        self.reader_of(cache, self.options())
    }

    /// A reader that the server can tell from others.
    pub(crate) fn reader_named(&self, name: &str) -> TrustReader {
        self.reader_with_options(HttpOptions { user_agent: name.to_owned(), ..self.options() })
    }

    pub(crate) fn reader_with_options(&self, options: HttpOptions) -> TrustReader {
        self.reader_of(Some(Cache::new(self.trust_folder())), options)
    }

    fn reader_of(&self, cache: Option<Cache>, options: HttpOptions) -> TrustReader {
        let now = Arc::clone(&self.now);
        let clock = Arc::new(move || Timestamp::from_second(now.load(Ordering::SeqCst)).unwrap());
        let server = self.server.url("").to_string();
        TrustReader::new(HttpClient::new(options).unwrap(), cache, clock).with_server(Some(server))
    }

    /// Looks a tag up as a new process with docker's terms.
    pub(crate) async fn find(&self, tag: &str) -> Result<SignedTarget, TrustError> {
        self.find_on(tag, &RepositoryTerms::docker()).await
    }

    pub(crate) async fn find_on(
        &self,
        tag: &str,
        terms: &RepositoryTerms,
    ) -> Result<SignedTarget, TrustError> {
        find(&self.reader(), tag, terms).await
    }

    pub(crate) async fn find_all_signers(&self, tag: &str) -> Result<SignedTarget, TrustError> {
        let reader = self.reader().with_signers(SignerListing::All);
        find(&reader, tag, &RepositoryTerms::docker()).await
    }

    pub(crate) async fn find_digest(
        &self,
        digest: &Digest,
        terms: &RepositoryTerms,
    ) -> Result<SignedTarget, TrustError> {
        self.reader().find(&gun(), Want::Digest(digest), terms).await
    }

    /// The files that were asked for, in order.
    pub(crate) fn files_asked(&self) -> Vec<String> {
        let names = self.server.take_requests();
        names.iter().map(|request| without_hash(request.file())).collect()
    }
}

pub(crate) async fn find(
    reader: &TrustReader,
    tag: &str,
    terms: &RepositoryTerms,
) -> Result<SignedTarget, TrustError> {
    let tag: Tag = tag.parse().unwrap();
    reader.find(&gun(), Want::Tag(&tag), terms).await
}

pub(crate) fn gun() -> Gun {
    GUN.parse().unwrap()
}

/// A repository with the tag 1.4, signed in `targets`.
pub(crate) fn simple() -> Repository {
    let mut repository = Repository::new(GUN);
    repository.tag("targets", "1.4", b"manifest 1.4");
    repository
}

/// A repository as `docker trust signer add` leaves it: `targets/releases` and two signers.
pub(crate) fn with_signers() -> Repository {
    let mut repository = simple();
    let (alice, bob) = (TestKey::p256("alice"), TestKey::ed25519("bob"));
    repository.delegate("targets/releases", &[alice.clone(), bob.clone()], 1, &[""]);
    repository.delegate("targets/alice", &[alice], 1, &[""]);
    repository.delegate("targets/bob", &[bob], 1, &[""]);
    repository.role("targets/releases").signers.truncate(1);
    for role in ["targets/releases", "targets/alice"] {
        repository.tag(role, "2.0", b"manifest 2.0");
    }
    repository
}

/// Publishes again: every version below the root goes up by one.
pub(crate) fn next_version(repository: &mut Repository) {
    for (name, role) in &mut repository.roles {
        if name != "root" {
            let version = role.signed["version"].as_u64().unwrap();
            role.set_version(version + 1);
        }
    }
}

pub(crate) fn digest(manifest: &[u8]) -> Digest {
    Digest::of(manifest)
}

/// `targets.<64 hex>.json` is `targets.#.json`.
fn without_hash(file: &str) -> String {
    file.split('.').map(|part| if part.len() == 64 { "#" } else { part }).collect::<Vec<_>>().join(".")
}
