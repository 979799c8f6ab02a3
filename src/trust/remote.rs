//! A trust server's files of one repository: Notary v1's paths, and what can come back.

use std::sync::atomic::{AtomicU32, Ordering};

use url::Url;

use super::TrustError;
use crate::http::{Access, HttpClient, HttpError, Request, Response, Verb, shown};
use crate::image::Gun;
use crate::tuf::RoleName;

/// One repository on its trust server.
#[derive(Debug)]
pub(super) struct Remote {
    http: HttpClient,
    server: Url,
    gun: Gun,
    access: Access,
    contact: Contact,
    requests: AtomicU32,
}

/// What the server is contacted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contact {
    /// Reading.
    Pull,
    /// Publishing what was read, changed.
    Push,
    /// Reading what was published just now.
    Confirm,
    /// Nothing: it is not contacted at all.
    Never,
}

impl Remote {
    pub(super) fn new(http: HttpClient, server: Url, gun: Gun, contact: Contact) -> Self {
        let actions = match contact {
            Contact::Pull | Contact::Never => PULL,
            Contact::Push | Contact::Confirm => PUSH,
        };
        let access = access(&gun, actions);
        Self { http, server, gun, access, contact, requests: AtomicU32::new(0) }
    }

    pub(super) fn contact(&self) -> Contact {
        self.contact
    }

    /// The registry whose credentials count.
    pub(super) fn registry(&self) -> &str {
        &self.access.registry
    }

    pub(super) fn gun(&self) -> &Gun {
        &self.gun
    }

    /// The server as people see it.
    pub(super) fn server(&self) -> String {
        shown(&self.server).trim_end_matches('/').to_owned()
    }

    /// How many requests there were.
    pub(super) fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The role's current file.
    pub(super) async fn current(&self, role: &RoleName, limit: usize) -> Result<Vec<u8>, RemoteError> {
        self.file(&format!("{role}.json"), limit).await
    }

    /// The role's file with this hash.
    pub(super) async fn by_hash(
        &self,
        role: &RoleName,
        sha256: &[u8; 32],
        limit: usize,
    ) -> Result<Vec<u8>, RemoteError> {
        self.file(&format!("{role}.{}.json", hex::encode(sha256)), limit).await
    }

    /// The role's file of this version.
    pub(super) async fn by_version(
        &self,
        role: &RoleName,
        version: u64,
        limit: usize,
    ) -> Result<Vec<u8>, RemoteError> {
        self.file(&format!("{version}.{role}.json"), limit).await
    }

    /// Any request to one of the repository's paths; `actions` is what a token must allow, where that is
    /// more than the rest needs.
    pub(super) async fn request(
        &self,
        verb: Verb,
        name: &str,
        limit: usize,
        actions: Option<&str>,
    ) -> Result<Response, HttpError> {
        let access = actions.map(|it| access(&self.gun, it));
        let access = access.as_ref().unwrap_or(&self.access);
        let url = self.url(name);
        let request = Request { access: Some(access), ..Request::new(verb, &url, limit) };
        let answer = self.http.send(&request).await;
        self.requests.fetch_add(answer.as_ref().map_or(1, |it| it.requests), Ordering::Relaxed);
        answer
    }

    fn url(&self, name: &str) -> Url {
        let mut url = self.server.clone();
        let base = self.server.path().trim_end_matches('/');
        url.set_path(&format!("{base}/v2/{}/_trust/tuf/{name}", self.gun));
        url
    }

    async fn file(&self, name: &str, limit: usize) -> Result<Vec<u8>, RemoteError> {
        if self.contact == Contact::Never {
            return Err(RemoteError::NotAsked);
        }
        let url = self.url(name);
        match self.http.get(&url, limit, Some(&self.access)).await {
            Ok(response) => {
                self.requests.fetch_add(response.requests, Ordering::Relaxed);
                match not_metadata(&response.body, &response.content_type) {
                    None => Ok(response.body),
                    Some(reason) => Err(RemoteError::NotMetadata { url: shown(&response.url), reason }),
                }
            }
            Err(error) => {
                self.requests.fetch_add(1, Ordering::Relaxed);
                Err(if error.status() == Some(NOT_FOUND) {
                    RemoteError::Missing
                } else {
                    RemoteError::Http(error)
                })
            }
        }
    }

    /// Tells a failure in the words of the repository.
    pub(super) fn explain(&self, error: RemoteError, file: &str) -> TrustError {
        let (gun, server) = (self.gun.clone(), self.server());
        match error {
            RemoteError::Missing => TrustError::MissingRole { gun, server, role: file.to_owned() },
            RemoteError::NotAsked => TrustError::StaleCache {
                gun,
                server,
                reason: NOT_ASKED.to_owned(),
                cached: format!("`{file}` is not in the cache"),
            },
            RemoteError::NotMetadata { url, reason } => TrustError::NotMetadata { gun, url, reason },
            RemoteError::Http(source) => match source {
                HttpError::Unauthorized { .. } | HttpError::Status { status: FORBIDDEN, .. } => {
                    TrustError::Unauthorized { gun, registry: self.access.registry.clone(), source }
                }
                source => TrustError::Unreachable { gun, server, source },
            },
        }
    }
}

/// Why a file did not come.
#[derive(Clone, Debug)]
pub(super) enum RemoteError {
    /// The server does not have it.
    Missing,
    /// The server is not to be contacted.
    NotAsked,
    /// Something else came in its place.
    NotMetadata { url: String, reason: String },
    /// The request itself failed.
    Http(HttpError),
}

/// Proxies and login pages answer with 200, too: what can't be metadata is named for what it is.
fn not_metadata(body: &[u8], content_type: &str) -> Option<String> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let reason = match first {
        Some(b'{') => return None,
        None => "the answer is empty",
        Some(b'<') => "an HTML page came in its place; a proxy or a login page may stand in between",
        Some(_) if content_type.contains("html") => {
            "an HTML page came in its place; a proxy or a login page may stand in between"
        }
        Some(_) => "the answer is not JSON",
    };
    Some(reason.to_owned())
}

/// Docker logs in to the trust server with the credentials of the registry.
fn access(gun: &Gun, actions: &str) -> Access {
    Access { registry: gun.domain().to_owned(), scope: format!("repository:{gun}:{actions}") }
}

const PULL: &str = "pull";
const PUSH: &str = "push,pull";
/// Why a server that is not contacted gave nothing.
pub(super) const NOT_ASKED: &str = "it was not asked";
const NOT_FOUND: u16 = 404;
const FORBIDDEN: u16 = 403;
