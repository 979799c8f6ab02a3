//! Manifests read, stored and tagged.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use sha2::Digest as _;
use url::Url;

use super::index::{self, CHILD_LIMIT};
use super::{Child, Insecure, MediaType, RegistryError};
use crate::http::{Access, HttpClient, HttpError, Request, Response, Upload, Verb, Waiting};
use crate::image::{Digest, DigestAlgorithm, Reference, Tag};

/// What is asked of registries; clones share connections and tokens.
#[derive(Clone, Debug)]
pub struct Registry {
    http: HttpClient,
    insecure: Insecure,
    /// The registries that answered without TLS, so that each is asked in vain only once.
    plain: Arc<Mutex<HashMap<String, bool>>>,
}

/// What a manifest is known by.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Manifest {
    /// The digest of its bytes.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
    /// What it is.
    pub media_type: MediaType,
}

/// A manifest and its bytes, which were hashed here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// What the bytes are known by.
    pub manifest: Manifest,
    /// The bytes, as the registry has them.
    pub bytes: Bytes,
}

impl Content {
    /// Hashes these bytes. `media_type` is what somebody says that they are; where the manifest
    /// itself says it, too, the two have to agree.
    pub fn new(media_type: &str, bytes: Bytes) -> Result<Self, String> {
        let media_type = MediaType::of_content(media_type, &bytes)?;
        let size = u64::try_from(bytes.len()).map_err(|error| error.to_string())?;
        Ok(Self { manifest: Manifest { digest: Digest::of(&bytes), size, media_type }, bytes })
    }
}

impl Registry {
    /// Asks through this client; `insecure` are the registries that may be asked without TLS.
    #[must_use]
    pub fn new(http: HttpClient, insecure: Insecure) -> Self {
        Self { http, insecure, plain: Arc::default() }
    }

    /// What the registry *says* of a manifest, without reading it; `None` where it has none.
    ///
    /// Good for "is it there"; what is signed comes from [`Registry::get`].
    pub async fn head(&self, reference: &Reference) -> Result<Option<Manifest>, RegistryError> {
        let place = Place::of(reference);
        let answer = match self.ask(&place, Verb::Head).await {
            Ok(answer) => answer,
            Err(RegistryError::UnknownManifest { .. } | RegistryError::UnknownRepository { .. }) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let digest = answer.header(DIGEST_HEADER).and_then(|text| text.parse().ok());
        let size = answer.header("content-length").and_then(|text| text.parse().ok());
        match (digest, size, MediaType::of_header(&answer.content_type)) {
            (Some(digest), Some(size), Some(media_type)) => Ok(Some(Manifest { digest, size, media_type })),
            // Not every registry answers in full; reading it tells.
            _ => self.get(reference).await.map(|content| Some(content.manifest)),
        }
    }

    /// A manifest, by digest where the reference has one, else by tag (`latest` where it has
    /// none).
    pub async fn get(&self, reference: &Reference) -> Result<Content, RegistryError> {
        let place = Place::of(reference);
        let mut answer = self.ask(&place, Verb::Get).await?;
        let bytes = Bytes::from(std::mem::take(&mut answer.body));
        let own = Digest::of(&bytes);
        if let Some(wanted) = reference.digest()
            && !hashes_to(&bytes, wanted)
        {
            return Err(RegistryError::Digest { reference: place.shown, found: own });
        }
        place.check_claim(&answer, &bytes)?;
        let mut content = Content::new(&answer.content_type, bytes)
            .map_err(|reason| RegistryError::Malformed { reference: place.shown, reason })?;
        if let Some(wanted) = reference.digest() {
            content.manifest.digest = wanted.clone();
        }
        Ok(content)
    }

    /// The manifests of an index with their platforms, those of indexes in it, too; none for a
    /// manifest of one platform. `repository` is where the nested ones are read from.
    pub async fn children(
        &self,
        repository: &Reference,
        content: &Content,
    ) -> Result<Vec<Child>, RegistryError> {
        let mut children = Vec::new();
        let mut seen = HashSet::from([content.manifest.digest.clone()]);
        let mut level = vec![content.clone()];
        for _ in 0..DEPTH_LIMIT {
            let mut next = Vec::new();
            for content in level.iter().filter(|content| content.manifest.media_type.is_index()) {
                let reference = repository.without_digest().with_digest(content.manifest.digest.clone());
                let malformed = |reason| RegistryError::Malformed { reference: reference.familiar(), reason };
                for entry in index::entries(&content.bytes).map_err(malformed)? {
                    if CHILD_LIMIT <= children.len() {
                        return Err(malformed(format!("it lists more than {CHILD_LIMIT} manifests")));
                    }
                    if entry.is_index && seen.insert(entry.child.digest.clone()) {
                        if NESTED_LIMIT < seen.len() {
                            return Err(malformed(format!("it lists more than {NESTED_LIMIT} indexes")));
                        }
                        let nested = repository.without_digest().with_digest(entry.child.digest.clone());
                        let content = self.get(&nested).await?;
                        if content.manifest.size != entry.child.size {
                            return Err(malformed(format!(
                                "the size of {} in it is wrong",
                                entry.child.digest
                            )));
                        }
                        next.push(content);
                    }
                    children.push(entry.child);
                }
            }
            if next.is_empty() {
                return Ok(children);
            }
            level = next;
        }
        let reason = format!("indexes are nested more than {DEPTH_LIMIT} deep");
        Err(RegistryError::Malformed { reference: repository.familiar(), reason })
    }

    /// Stores a manifest: under the digest that the reference names, else under its tag.
    pub async fn put(&self, reference: &Reference, content: &Content) -> Result<(), RegistryError> {
        let place = Place::to_store(reference);
        if let Some(digest) = reference.digest()
            && !hashes_to(&content.bytes, digest)
        {
            return Err(RegistryError::Digest { reference: place.shown, found: Digest::of(&content.bytes) });
        }
        let upload =
            Upload { content_type: content.manifest.media_type.to_string(), content: content.bytes.clone() };
        let answer = self.ask(&place, Verb::Put(upload)).await?;
        place.check_claim(&answer, &content.bytes)
    }

    /// Makes `tag` name the manifest with this digest, which the repository has already.
    pub async fn tag(
        &self,
        repository: &Reference,
        digest: &Digest,
        tag: &Tag,
    ) -> Result<Manifest, RegistryError> {
        let bare = repository.without_digest();
        let content = self.get(&bare.with_digest(digest.clone())).await?;
        self.put(&bare.with_tag(tag.clone()), &content).await?;
        Ok(content.manifest)
    }

    /// Asks over TLS; where that does not answer and docker would do so, too, without it.
    async fn ask(&self, place: &Place, verb: Verb) -> Result<Response, RegistryError> {
        let known = {
            let plain = self.plain.lock().unwrap_or_else(PoisonError::into_inner);
            plain.get(&place.host).copied()
        };
        let sort =
            |error| RegistryError::of(error, &place.shown, &place.repository, matches!(verb, Verb::Put(_)));
        if known == Some(true) {
            return self.send(place, "http", &verb).await.map_err(sort);
        }
        let error = match self.send(place, "https", &verb).await {
            Ok(answer) => {
                self.remember(place, false);
                return Ok(answer);
            }
            Err(error) => error,
        };
        if known.is_some() || !self.insecure.allows(&place.host) || !speaks_no_tls(&error) {
            return Err(sort(error));
        }
        match self.send(place, "http", &verb).await {
            // A server with TLS answers so to who comes without; then its first word counts.
            Err(HttpError::Status { status: 400, .. }) => Err(sort(error)),
            Err(again) if speaks_no_tls(&again) => Err(sort(error)),
            other => {
                self.remember(place, true);
                other.map_err(sort)
            }
        }
    }

    fn remember(&self, place: &Place, plain: bool) {
        self.plain.lock().unwrap_or_else(PoisonError::into_inner).insert(place.host.clone(), plain);
    }

    async fn send(&self, place: &Place, scheme: &str, verb: &Verb) -> Result<Response, HttpError> {
        let url = place.url(scheme)?;
        let accept = MediaType::ALL.map(MediaType::as_str).join(", ");
        let request = Request {
            accept: Some(&accept),
            access: Some(&place.access),
            plain: scheme == "http",
            ..Request::new(verb.clone(), &url, MANIFEST_LIMIT)
        };
        self.http.send(&request).await
    }
}

/// One manifest's address.
struct Place {
    /// `host[:port]`.
    host: String,
    path: String,
    access: Access,
    /// The reference, and its repository, as people know them.
    shown: String,
    repository: String,
}

impl Place {
    fn of(reference: &Reference) -> Self {
        Self::new(reference, "pull")
    }

    fn to_store(reference: &Reference) -> Self {
        Self::new(reference, "pull,push")
    }

    fn new(reference: &Reference, actions: &str) -> Self {
        let domain = reference.domain();
        let host = if domain == "docker.io" { HUB_HOST } else { domain };
        let name = match reference.digest() {
            Some(digest) => digest.to_string(),
            None => reference.tag_or_latest().to_string(),
        };
        Self {
            host: host.to_owned(),
            path: format!("/v2/{}/manifests/{name}", reference.path()),
            access: Access {
                registry: domain.to_owned(),
                scope: format!("repository:{}:{actions}", reference.path()),
            },
            shown: reference.with_default_tag().familiar(),
            repository: reference.familiar_name(),
        }
    }

    fn url(&self, scheme: &str) -> Result<Url, HttpError> {
        let text = format!("{scheme}://{}{}", self.host, self.path);
        text.parse().map_err(|error: url::ParseError| HttpError::Url { url: text, reason: error.to_string() })
    }

    /// The registry's own word for what it gave or took: clients that go by it alone have to see
    /// the same content.
    fn check_claim(&self, answer: &Response, bytes: &[u8]) -> Result<(), RegistryError> {
        let claim = answer.header(DIGEST_HEADER).and_then(|text| text.parse::<Digest>().ok());
        match claim {
            Some(claim) if !hashes_to(bytes, &claim) => Err(RegistryError::Contradiction {
                reference: self.shown.clone(),
                claimed: claim.to_string(),
                found: Digest::of(bytes),
            }),
            _ => Ok(()),
        }
    }
}

fn hashes_to(bytes: &[u8], digest: &Digest) -> bool {
    let own = match digest.algorithm() {
        DigestAlgorithm::Sha256 => hex::encode(sha2::Sha256::digest(bytes)),
        DigestAlgorithm::Sha384 => hex::encode(sha2::Sha384::digest(bytes)),
        DigestAlgorithm::Sha512 => hex::encode(sha2::Sha512::digest(bytes)),
    };
    own == digest.hex()
}

/// Whether nobody spoke TLS there, as opposed to a registry that answered.
fn speaks_no_tls(error: &HttpError) -> bool {
    matches!(
        error,
        HttpError::Connect { .. }
            | HttpError::Tls { .. }
            | HttpError::Closed { .. }
            | HttpError::Protocol { .. }
            | HttpError::Timeout { waiting: Waiting::Connection, .. }
    )
}

/// Where the Hub's manifests are.
const HUB_HOST: &str = "registry-1.docker.io";
const DIGEST_HEADER: &str = "docker-content-digest";
/// What registries take at most.
const MANIFEST_LIMIT: usize = 4 << 20;
/// An index of indexes is rare, one more is unheard of.
const DEPTH_LIMIT: usize = 3;
/// Each is another request, and up to four megabytes.
const NESTED_LIMIT: usize = 32;
