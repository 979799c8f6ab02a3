//! What is done for each route.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::json;

use super::caching::Kind;
use super::metrics::METRICS_TYPE;
use super::refusal::Refusal;
use super::route::Route;
use super::{Call, feed};
use crate::image::Gun;
use crate::server::ErrorCode;
use crate::server::access::Action;
use crate::server::page::{PageAnswer, PageRequest, Subject};
use crate::server::publication::{PublicationError, Published, Upload, checked_aside};
use crate::server::storage::StoredFile;
use crate::tuf::{PublicKey, RoleName};

impl Call<'_> {
    /// Answers, or says why not.
    pub(super) async fn answer(&mut self, body: Body) -> Result<Response, Refusal> {
        let server = Arc::clone(self.server);
        match self.route {
            Route::Current { gun, role } => {
                self.admit_to(gun, Action::Pull).await?;
                let file = server.storage.current(gun, role).await.map_err(Refusal::storage)?;
                let mut file = file.ok_or_else(Refusal::not_found)?;
                if (*role == RoleName::TIMESTAMP || *role == RoleName::SNAPSHOT)
                    && let Some(fresh) = server.freshness.before_read(gun, &file).await
                {
                    file = fresh;
                }
                Ok(self.file(file, Kind::Current))
            }
            Route::ByHash { gun, role, sha256 } => {
                self.admit_to(gun, Action::Pull).await?;
                let file = server.storage.by_hash(gun, role, sha256).await.map_err(Refusal::storage)?;
                Ok(self.file(file.ok_or_else(Refusal::not_found)?, Kind::Consistent))
            }
            Route::ByVersion { gun, role, version } => {
                self.admit_to(gun, Action::Pull).await?;
                let file = server.storage.by_version(gun, role, *version).await.map_err(Refusal::storage)?;
                Ok(self.file(file.ok_or_else(Refusal::not_found)?, Kind::Consistent))
            }
            Route::Publish { gun } => {
                self.admit_to(gun, Action::Push).await?;
                self.publish(gun, body).await
            }
            Route::Delete { gun } => {
                self.admit_to(gun, Action::Admin).await?;
                let now = (server.clock)();
                let existed = server.storage.delete(gun, now).await.map_err(PublicationError::Storage)?;
                (if existed { "deleted" } else { "there was none" }).clone_into(&mut self.outcome);
                Ok(Response::new(Body::empty()))
            }
            Route::Key { gun, role } => {
                self.admit_to(gun, Action::Push).await?;
                let key = server.publisher.signing_key(gun, role, (server.clock)()).await?;
                Ok(key_response(&key))
            }
            Route::RotateKey { gun, role } => {
                self.admit_to(gun, Action::Admin).await?;
                let key = server.publisher.rotate_signing_key(gun, role, (server.clock)()).await?;
                self.outcome = format!("{role} key {}", key.id());
                Ok(key_response(&key))
            }
            Route::Changes { gun } => {
                match gun {
                    Some(gun) => self.admit_to(gun, Action::Pull).await?,
                    None => self.admit(None, Action::Catalog).await?,
                }
                let query = feed::query(self.uri.query().unwrap_or_default(), gun.clone())?;
                let changes = server.storage.changes(&query).await.map_err(Refusal::storage)?;
                Ok(json_response(feed::page(&changes)))
            }
            Route::Welcome => {
                self.admit(None, Action::Any).await?;
                Ok(json_response("{}"))
            }
            Route::Health => Ok(self.health().await),
            Route::Metrics if server.shows_metrics => {
                let text = server.metrics.text(&server.freshness.health());
                let mut response = Response::new(Body::from(text));
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(METRICS_TYPE));
                Ok(response)
            }
            Route::Page { subject } => {
                match subject {
                    Subject::Index => self.admit(None, Action::Catalog).await?,
                    Subject::Repository(gun) => self.admit_to(gun, Action::Pull).await?,
                }
                let request = PageRequest::read(self.uri.path(), self.uri.query());
                let page = server.page.answer(&request.ok_or_else(Refusal::nothing)?, (server.clock)()).await;
                self.outcome = page.failure.clone().unwrap_or_default();
                page_response(page)
            }
            Route::UnfitGun { .. } => {
                self.admit(None, Action::Any).await?;
                let reason = "this is no name of a repository";
                Err(Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::InvalidGun, reason))
            }
            Route::Metrics | Route::Nothing => {
                self.admit(None, Action::Any).await?;
                Err(Refusal::nothing())
            }
        }
    }

    /// Lets whoever asks do this to a repository that this server takes.
    async fn admit_to(&mut self, gun: &Gun, action: Action) -> Result<(), Refusal> {
        let prefixes = &self.server.gun_prefixes;
        if !prefixes.take(gun) {
            if !self.route.writes() {
                return Err(Refusal::not_found());
            }
            // Notary's words.
            let reason = format!("Require GUNs with prefix: [{}]", prefixes.as_slice().join(" "));
            let mut refusal = Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::InvalidGun, reason.clone());
            refusal.answer.detail = Some(json!(reason));
            return Err(refusal);
        }
        self.admit(Some(gun), action).await
    }

    async fn admit(&mut self, gun: Option<&Gun>, action: Action) -> Result<(), Refusal> {
        self.server.admit(self.address, self.headers, gun, action, &mut self.caller).await
    }

    fn file(&self, file: StoredFile, kind: Kind) -> Response {
        self.server.headers.answer(file, kind, &self.caller, self.headers)
    }

    async fn publish(&mut self, gun: &Gun, body: Body) -> Result<Response, Refusal> {
        let kind = self.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
        let kind = kind.to_owned();
        let received = self.server.uploads.receive(body).await?;
        let length = received.bytes.len();
        let (server, gun) = (Arc::clone(self.server), gun.clone());
        // On its own: a client that goes away must not have a publish end somewhere in its middle.
        let work = tokio::spawn(async move {
            let parsing = move || {
                let upload = Upload::from_multipart(&kind, &received.bytes);
                (upload, received)
            };
            // What was received counts as memory in use until it is published.
            let (upload, _received) = checked_aside(length, parsing).await?;
            server.publisher.publish(&gun, upload?, (server.clock)()).await
        });
        let published = work.await.map_err(|it| broken(&it))??;
        self.outcome = versions(&published);
        Ok(Response::new(Body::empty()))
    }

    async fn health(&self) -> Response {
        let server = self.server;
        let keys = &*server.keys;
        let problems =
            server.health.problems(&*server.storage, keys, &server.freshness, &server.access).await;
        let mut response = json_response(json!(*problems).to_string());
        if !problems.is_empty() {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        response
    }
}

fn broken(error: &tokio::task::JoinError) -> PublicationError {
    PublicationError::Work { reason: error.to_string() }
}

fn versions(published: &Published) -> String {
    let versions: Vec<String> =
        published.versions.iter().map(|(role, version)| format!("{role}={version}")).collect();
    versions.join(" ")
}

fn page_response(page: PageAnswer) -> Result<Response, Refusal> {
    let unfit = |reason: String| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Unknown, reason);
    let mut response = Response::new(Body::from(page.body));
    *response.status_mut() = StatusCode::from_u16(page.status).map_err(|it| unfit(it.to_string()))?;
    for (name, value) in page.headers {
        let value = HeaderValue::try_from(value).map_err(|it| unfit(it.to_string()))?;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

fn key_response(key: &PublicKey) -> Response {
    json_response(key.to_json().to_string())
}

fn json_response(body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
