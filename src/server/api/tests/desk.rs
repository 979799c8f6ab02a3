//! An API over a database in memory, asked without a connection.

use std::sync::Mutex;

use axum::body::to_bytes;
use axum::http::request::Builder;
use axum::http::{Method, Request as HttpRequest};
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::server::settings::{AccessSettings, Settings};
use crate::server::storage::SqlStorage;
use crate::signer::settings::Sealing;
use crate::signer::{MemoryRows, Vault};
use crate::tuf::PublicKey;

/// An API, and what is behind it.
pub(super) struct Desk {
    router: Router,
    pub(super) storage: Arc<SqlStorage>,
    pub(super) clock: Arc<Mutex<Timestamp>>,
    log: Arc<Mutex<Vec<String>>>,
}

/// What came out.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Desk {
    pub(super) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// One whose settings were changed.
    pub(super) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let sealing = Sealing::Unknown.fetch(&|_: &str| None).await.unwrap();
        let clock = Arc::new(Mutex::new(now()));
        let vault = Vault::new(Arc::new(MemoryRows::new()), sealing, told_by(&clock));
        Self::over(Arc::new(vault), clock, change).await
    }

    /// One whose keys are elsewhere.
    pub(super) async fn over(
        keys: Arc<dyn KeyService>,
        clock: Arc<Mutex<Timestamp>>,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let mut settings = Settings::standalone(std::path::Path::new("/nowhere"));
        change(&mut settings);
        let storage = Arc::new(SqlStorage::in_memory().await.unwrap());
        let options = PublisherOptions::NOTARY;
        let publisher = Arc::new(Publisher::new(Arc::clone(&storage) as _, Arc::clone(&keys), options));
        let freshness = Freshness::new(
            Arc::clone(&publisher),
            Arc::clone(&storage) as _,
            told_by(&clock),
            FreshnessOptions {
                lifetimes: settings.lifetimes,
                history: None,
                read_patience: Duration::from_secs(5),
            },
        );
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let lines = Arc::clone(&log);
        let router = router(Api {
            publisher,
            storage: Arc::clone(&storage) as _,
            keys,
            access: Access::open(&settings.access, now()).await.unwrap(),
            rates: RateLimits::new(&settings.limits),
            freshness: Arc::new(freshness),
            clock: told_by(&clock),
            journal: Arc::new(move |event| {
                // How long it took is not the same twice.
                let event = Event { took: Duration::ZERO, ..event.clone() };
                lines.lock().unwrap().push(event.to_string());
            }),
            metrics: Arc::default(),
            options: ApiOptions {
                caching: settings.caching,
                gun_prefixes: settings.gun_prefixes,
                limits: settings.limits,
                log: settings.log,
                metrics: settings.metrics,
            },
        });
        Self { router, storage, clock, log }
    }

    /// Where names and passwords are in a file; alice's is `secret`.
    pub(super) async fn with_passwords(folder: &std::path::Path) -> Self {
        let path = folder.join("htpasswd");
        let hash = bcrypt::hash("secret", 4).unwrap();
        std::fs::write(&path, format!("alice:{hash}\n")).unwrap();
        Self::with(|settings| {
            settings.access = AccessSettings::Htpasswd(crate::server::settings::HtpasswdSettings {
                realm: "trust".to_owned(),
                path,
                anonymous_pull: false,
                groups: BTreeMap::new(),
                rules: Vec::new(),
            });
        })
        .await
    }

    pub(super) async fn send(&self, request: HttpRequest<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Reply { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.send(request(Method::GET, path).body(Body::empty()).unwrap()).await
    }

    pub(super) async fn get_with(&self, path: &str, name: HeaderName, value: &str) -> Reply {
        let request = request(Method::GET, path).header(name, value);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(super) async fn ask(&self, method: Method, path: &str) -> Reply {
        self.send(request(method, path).body(Body::empty()).unwrap()).await
    }

    /// Hands in these files as a client does.
    pub(super) async fn post(&self, gun: &str, files: &[(&str, Vec<u8>)]) -> Reply {
        let mut body = Vec::new();
        for (name, content) in files {
            let head = format!("--b\r\nContent-Disposition: form-data; name=files; filename={name}\r\n\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--b--\r\n");
        self.post_body(gun, MULTIPART, body).await
    }

    pub(super) async fn post_body(&self, gun: &str, kind: &str, body: impl Into<Body>) -> Reply {
        let request = request(Method::POST, &format!("/v2/{gun}/_trust/tuf/")).header(CONTENT_TYPE, kind);
        self.send(request.body(body.into()).unwrap()).await
    }

    /// The server's public key for a role.
    pub(super) async fn key(&self, role: &str) -> PublicKey {
        let reply = self.get(&format!("/v2/{BASE}/_trust/tuf/{role}.key")).await;
        assert_eq!(reply.status, 200);
        PublicKey::from_json(&reply.body).unwrap()
    }

    /// A repository as docker begins it: the server signs snapshot and timestamp.
    pub(super) async fn repository(&self) -> Repository {
        let mut repository = Repository::new(BASE);
        for role in ["snapshot", "timestamp"] {
            let key = TestKey::ed25519(role).with_public(self.key(role).await);
            repository.replace_keys(role, vec![key], 1);
        }
        repository.tag("targets", "v1", b"manifest");
        repository
    }

    /// The same, published.
    pub(super) async fn published(&self) -> Repository {
        let repository = self.repository().await;
        let files = repository.publish();
        let reply = self.post(BASE, &[("root", files.get("root")), ("targets", files.get("targets"))]).await;
        assert_eq!((reply.status, &*reply.body), (200, &b""[..]));
        repository
    }

    /// The lines of the access log so far, which begins anew.
    pub(super) fn log(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }
}

impl Reply {
    pub(super) fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name).map(|it| it.to_str().unwrap())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The status and the code of the one error, as a client of Notary's reads it.
    #[track_caller]
    pub(super) fn error(&self) -> (u16, String) {
        assert!(self.body.len() < 1024, "{} bytes", self.body.len());
        assert_eq!(self.header(CONTENT_TYPE), Some("application/json; charset=utf-8"));
        let body = self.json();
        let errors = body["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 1);
        (self.status, errors[0]["code"].as_str().unwrap().to_owned())
    }
}

pub(super) fn request(method: Method, path: &str) -> Builder {
    HttpRequest::builder().method(method).uri(path).extension(PeerAddress([192, 0, 2, 1].into()))
}

pub(super) fn told_by(clock: &Arc<Mutex<Timestamp>>) -> Clock {
    let clock = Arc::clone(clock);
    Arc::new(move || *clock.lock().unwrap())
}

pub(super) const BASE: &str = "docker.io/acme/base";
pub(super) const MULTIPART: &str = "multipart/form-data; boundary=b";
