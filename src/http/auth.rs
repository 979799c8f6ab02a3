//! The token dance: from a challenge to an `Authorization` header, once for all who wait for it.
//!
//! Docker's credentials are those of the *registry* that a repository belongs to; the server that
//! asks may be another one. They are sent to the token server that the challenge names, so that
//! one must be `https`, on loopback too. A token is used until the server refuses it: its time of
//! expiry is never looked at, so no clock is needed.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use url::Url;

use super::challenge::{Challenge, parse_challenges};
use super::client::unauthorized;
use super::credentials::{Credential, Credentials};
use super::error::shown;
use super::transport::{Incoming, Method, Outgoing, Transport};
use super::{Access, HttpError, HttpOptions, Problem, Secret};

/// What servers asked for, and what was granted.
pub(super) struct Authorizer {
    credentials: Credentials,
    schemes: Mutex<HashMap<String, Scheme>>,
    grants: Mutex<HashMap<(Scheme, Access), Slot>>,
}

/// A grant, locked while it is fetched so that each is fetched once.
type Slot = Arc<tokio::sync::Mutex<Option<Arc<Secret>>>>;

/// How a server wants to be talked to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scheme {
    /// With a token of this token server.
    Bearer { realm: Url, service: Option<String> },
    /// With user and password, which go to the server itself.
    Basic { origin: String },
}

impl Scheme {
    pub(super) fn rejection(&self, registry: &str) -> String {
        match self {
            Self::Bearer { realm, .. } => format!("it does not accept the token of `{}`", shown(realm)),
            Self::Basic { .. } => format!("it does not accept the credentials of `{registry}`"),
        }
    }
}

impl Authorizer {
    pub(super) fn new(options: &HttpOptions) -> Self {
        Self { credentials: Credentials::new(options), schemes: Mutex::default(), grants: Mutex::default() }
    }

    pub(super) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// A grant for a server whose challenge is known already.
    pub(super) async fn grant_for_origin(
        &self,
        transport: &Transport,
        url: &Url,
        access: &Access,
        requests: &AtomicU32,
    ) -> Result<Option<Arc<Secret>>, HttpError> {
        let scheme = {
            let schemes = self.schemes.lock().unwrap_or_else(PoisonError::into_inner);
            schemes.get(&origin(url)).cloned()
        };
        match scheme {
            Some(scheme) => self.grant(transport, url, &scheme, access, None, requests).await.map(Some),
            None => Ok(None),
        }
    }

    /// Remembers what the server of `url` asks for. `Bearer` comes before `Basic`, as in docker.
    pub(super) fn learn(&self, url: &Url, headers: &HeaderMap) -> Result<Scheme, HttpError> {
        let mut challenges = Vec::new();
        for value in headers.get_all(WWW_AUTHENTICATE).iter().take(HEADER_COUNT_LIMIT) {
            let parsed = parse_challenges(value.as_bytes());
            challenges.extend(parsed.map_err(|error| unauthorized(url, &error.to_string()))?);
        }
        let find = |scheme: &str| challenges.iter().find(|challenge| challenge.scheme() == scheme);
        let scheme = match (find("bearer"), find("basic")) {
            (Some(bearer), _) => bearer_scheme(url, bearer)?,
            (None, Some(_)) => Scheme::Basic { origin: origin(url) },
            (None, None) => {
                return Err(unauthorized(url, "it asks for credentials in no way that is known here"));
            }
        };
        let mut schemes = self.schemes.lock().unwrap_or_else(PoisonError::into_inner);
        schemes.insert(origin(url), scheme.clone());
        Ok(scheme)
    }

    /// The header for this scheme and access; a `rejected` one is replaced.
    pub(super) async fn grant(
        &self,
        transport: &Transport,
        url: &Url,
        scheme: &Scheme,
        access: &Access,
        rejected: Option<&Arc<Secret>>,
        requests: &AtomicU32,
    ) -> Result<Arc<Secret>, HttpError> {
        let slot = {
            let mut grants = self.grants.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(grants.entry((scheme.clone(), access.clone())).or_default())
        };
        let mut granted = slot.lock().await;
        let stale = |grant: &Arc<Secret>| rejected.is_some_and(|rejected| Arc::ptr_eq(grant, rejected));
        if let Some(grant) = granted.as_ref().filter(|grant| !stale(grant)) {
            return Ok(Arc::clone(grant));
        }
        let credential = self.credentials.of_registry(&access.registry).await?;
        let header = match scheme {
            Scheme::Bearer { realm, service } => {
                let token = Token { realm, service: service.as_deref(), access };
                format!("Bearer {}", token.fetch(transport, credential.as_ref(), requests).await?.expose())
            }
            Scheme::Basic { .. } => match credential {
                Some(Credential::Password { user, password }) => basic(&user, &password),
                Some(Credential::IdentityToken(_) | Credential::RegistryToken(_)) => {
                    return Err(unauthorized(
                        url,
                        &format!("it wants user and password, and `{}` has only a token", access.registry),
                    ));
                }
                None => return Err(unauthorized(url, &no_credentials(&access.registry))),
            },
        };
        let grant = Arc::new(Secret::new(header));
        *granted = Some(Arc::clone(&grant));
        Ok(grant)
    }
}

impl fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorizer").finish_non_exhaustive()
    }
}

/// One token that is asked for.
struct Token<'a> {
    realm: &'a Url,
    service: Option<&'a str>,
    access: &'a Access,
}

impl Token<'_> {
    /// Docker's three ways: a token that needs no exchange, an identity token by POST, else GET
    /// with user and password where there are any.
    async fn fetch(
        &self,
        transport: &Transport,
        credential: Option<&Credential>,
        requests: &AtomicU32,
    ) -> Result<Secret, HttpError> {
        if let Some(Credential::RegistryToken(token)) = credential {
            return Ok(token.clone());
        }
        requests.fetch_add(1, Ordering::Relaxed);
        let answer = match credential {
            Some(Credential::IdentityToken(token)) => self.exchange(transport, token).await?,
            Some(Credential::Password { user, password }) => {
                let authorization = Secret::new(basic(user, password));
                self.ask(transport, Some(user), Some(&authorization)).await?
            }
            Some(Credential::RegistryToken(_)) | None => self.ask(transport, None, None).await?,
        };
        self.read(&answer, credential.is_some())
    }

    async fn ask(
        &self,
        transport: &Transport,
        user: Option<&str>,
        authorization: Option<&Secret>,
    ) -> Result<Incoming, HttpError> {
        let mut url = self.realm.clone();
        {
            let mut query = url.query_pairs_mut();
            if let Some(user) = user {
                query.append_pair("account", user);
            }
            query.append_pair("scope", &self.access.scope);
            if let Some(service) = self.service {
                query.append_pair("service", service);
            }
        }
        transport.send(token_request(&url, Method::Get, authorization)).await
    }

    async fn exchange(&self, transport: &Transport, token: &Secret) -> Result<Incoming, HttpError> {
        let form = [
            ("grant_type", "refresh_token"),
            ("service", self.service.unwrap_or_default()),
            ("client_id", CLIENT_ID),
            ("scope", &self.access.scope),
            ("refresh_token", token.expose()),
        ];
        let method = Method::PostForm(&form);
        transport.send(token_request(self.realm, method, None)).await
    }

    fn read(&self, answer: &Incoming, with_credentials: bool) -> Result<Secret, HttpError> {
        #[derive(serde::Deserialize)]
        struct Body {
            token: Option<Secret>,
            access_token: Option<Secret>,
        }
        let registry = &self.access.registry;
        let refused = |reason: &str| HttpError::Token { realm: shown(self.realm), reason: reason.to_owned() };
        match answer.status {
            200..=299 => {}
            401 | 403 if with_credentials => {
                let reason = format!("it does not accept the credentials of `{registry}`");
                return Err(unauthorized(self.realm, &reason));
            }
            401 | 403 => return Err(unauthorized(self.realm, &no_credentials(registry))),
            status @ 500..=599 => {
                return Err(HttpError::Status {
                    url: shown(self.realm),
                    status,
                    problem: Problem::default(),
                });
            }
            status => return Err(refused(&format!("it answered with status {status}"))),
        }
        // The parser's own message could quote the token.
        let body: Body = serde_json::from_slice(&answer.body)
            .map_err(|_| refused("its answer is not the expected JSON"))?;
        let given = |token: &Secret| !token.expose().is_empty();
        let token = body.token.filter(given).or(body.access_token.filter(given));
        let token = token.ok_or_else(|| refused("its answer holds no token"))?;
        if token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(token)
        } else {
            Err(refused("the token holds characters that no header can carry"))
        }
    }
}

fn token_request<'a>(url: &'a Url, method: Method<'a>, authorization: Option<&'a Secret>) -> Outgoing<'a> {
    Outgoing { url, method, authorization, accept: None, limit: TOKEN_LIMIT, plain: false }
}

fn bearer_scheme(url: &Url, challenge: &Challenge) -> Result<Scheme, HttpError> {
    let Some(realm) = challenge.parameter("realm") else {
        return Err(unauthorized(url, "its challenge names no token server"));
    };
    let Ok(realm) = realm.parse::<Url>() else {
        return Err(unauthorized(url, "its challenge names a token server that is not a URL"));
    };
    if realm.scheme() != "https" || !realm.username().is_empty() || realm.password().is_some() {
        let reason = format!("its token server `{}` is not a plain https URL", shown(&realm));
        return Err(unauthorized(url, &reason));
    }
    Ok(Scheme::Bearer { realm, service: challenge.parameter("service").map(str::to_owned) })
}

fn basic(user: &str, password: &Secret) -> String {
    let pair = Secret::new(format!("{user}:{}", password.expose()));
    format!("Basic {}", BASE64_STANDARD.encode(pair.expose()))
}

fn no_credentials(registry: &str) -> String {
    format!("it asks for credentials, and docker has none for `{registry}`")
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// The name that docker itself gives; token servers know it.
const CLIENT_ID: &str = "docker";
/// A token with many scopes has a few kilobytes.
const TOKEN_LIMIT: usize = 256 << 10;
/// A server repeats the header for two schemes, not for more.
const HEADER_COUNT_LIMIT: usize = 8;
