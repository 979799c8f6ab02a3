//! Where the keys come from, and how they are kept up to date.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use url::Url;

use super::super::AccessError;
use super::super::watched::Watched;
use super::jwt::{Algorithm, Jwt};
use super::keys::{KeySet, TrustedCertificates, VerifyingKey};
use crate::http::{HttpClient, HttpOptions, Request, Timeouts, Verb};
use crate::server::settings::TokenKeys;

/// Where the keys come from.
pub(super) enum KeySource {
    Bundle(Watched<TrustedCertificates>),
    File(Watched<KeySet>),
    Url(FetchedKeys),
}

/// Why there is no key for a token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    /// The keys cannot be had now.
    Unavailable(String),
    /// The token is of nobody whom we know.
    Unknown(String),
}

impl KeySource {
    pub(super) async fn open(keys: &TokenKeys, now: Timestamp) -> Result<Self, AccessError> {
        match keys {
            TokenKeys::Bundle(path) => {
                Ok(Self::Bundle(Watched::open(path, FILE_LIMIT, TrustedCertificates::parse, now)?))
            }
            TokenKeys::SetFile(path) => Ok(Self::File(Watched::open(path, FILE_LIMIT, KeySet::parse, now)?)),
            TokenKeys::SetUrl { url, authorities } => {
                let fetched = FetchedKeys::new(url, authorities.as_deref())?;
                fetched.refresh(now).await;
                Ok(Self::Url(fetched))
            }
        }
    }

    /// The keys that may have signed a token.
    pub(super) async fn find(&self, token: &Jwt<'_>, now: Timestamp) -> Result<Vec<VerifyingKey>, NoKey> {
        let (name, algorithm) = (token.key.as_deref(), token.algorithm);
        let unknown = || NoKey::Unknown("the token is of a key that is not known".to_owned());
        let found = match self {
            Self::Bundle(file) => {
                let trusted = file.value(now);
                let found = trusted.find(name, algorithm);
                if found.is_empty() && !token.chain.is_empty() {
                    let key = trusted.below(token.chain.clone(), now);
                    let refused =
                        |it| NoKey::Unknown(format!("the certificates of the token are refused: {it}"));
                    return Ok(vec![key.map_err(refused)?]);
                }
                found
            }
            Self::File(file) => file.value(now).find(name, algorithm),
            Self::Url(fetched) => fetched.find(name, algorithm, now).await?,
        };
        if found.is_empty() { Err(unknown()) } else { Ok(found) }
    }

    pub(super) fn problem(&self) -> Option<String> {
        match self {
            Self::Bundle(file) => file.problem(),
            Self::File(file) => file.problem(),
            Self::Url(fetched) => fetched.state().problem.clone(),
        }
    }
}

/// Keys that a server hands out.
pub(super) struct FetchedKeys {
    client: HttpClient,
    url: Url,
    state: Mutex<Fetched>,
    /// Whoever fetches holds this; whoever waits for it finds what was fetched.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Fetched {
    keys: Option<Arc<KeySet>>,
    at: Option<Timestamp>,
    tried: Option<Timestamp>,
    problem: Option<String>,
}

impl FetchedKeys {
    fn new(url: &Url, authorities: Option<&Path>) -> Result<Self, AccessError> {
        let options = HttpOptions {
            certificate_file: authorities.map(Path::to_owned),
            timeouts: Timeouts {
                connect: FETCH_PATIENCE,
                idle: FETCH_PATIENCE,
                total: FETCH_PATIENCE,
                helper: FETCH_PATIENCE,
            },
            ..HttpOptions::new()
        };
        let client = HttpClient::new(options)
            .map_err(|it| AccessError::File { path: url.to_string(), reason: it.to_string() })?;
        Ok(Self { client, url: url.clone(), state: Mutex::default(), turn: tokio::sync::Mutex::default() })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, Fetched> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn find(
        &self,
        name: Option<&str>,
        algorithm: Algorithm,
        now: Timestamp,
    ) -> Result<Vec<VerifyingKey>, NoKey> {
        let look = || {
            let state = self.state();
            let fresh = state.at.is_some_and(|at| is_within(at, now, FRESH_FOR));
            state.keys.as_ref().map(|it| (it.find(name, algorithm), fresh))
        };
        if let Some((found, true)) = look()
            && !found.is_empty()
        {
            return Ok(found);
        }
        self.refresh(now).await;
        let Some((found, _)) = look() else {
            return Err(NoKey::Unavailable(self.state().problem.clone().unwrap_or_default()));
        };
        Ok(found)
    }

    /// Fetches the keys, unless that was tried a moment ago. Old keys stay until there are new ones.
    async fn refresh(&self, now: Timestamp) {
        let _turn = self.turn.lock().await;
        {
            let mut state = self.state();
            if state.tried.is_some_and(|at| is_within(at, now, TRY_EVERY)) {
                return;
            }
            state.tried = Some(now);
        }
        let request =
            Request { plain: self.url.scheme() == "http", ..Request::new(Verb::Get, &self.url, SET_LIMIT) };
        let answer = self.client.send(&request).await.map_err(|it| it.to_string());
        let keys = answer.and_then(|it| KeySet::parse(&it.body));
        let mut state = self.state();
        match keys {
            Ok(keys) => {
                state.keys = Some(Arc::new(keys));
                state.at = Some(now);
                state.problem = None;
            }
            Err(reason) => {
                state.problem = Some(format!("the keys of `{}` cannot be had: {reason}", self.url));
            }
        }
    }
}

/// Whether something was less than this ago. A clock that went back makes it long ago.
fn is_within(at: Timestamp, now: Timestamp, span: SignedDuration) -> bool {
    let since = now.duration_since(at);
    !since.is_negative() && since < span
}

/// Bundles of certificates and sets of keys have a few kilobytes.
const FILE_LIMIT: u64 = 1 << 20;
const SET_LIMIT: usize = 1 << 20;
/// A key that was withdrawn is good for no longer.
const FRESH_FOR: SignedDuration = SignedDuration::from_hours(1);
/// Made-up names of keys must not have us flood the server that hands keys out.
const TRY_EVERY: SignedDuration = SignedDuration::from_mins(1);
/// Somebody waits for an answer meanwhile.
const FETCH_PATIENCE: Duration = Duration::from_secs(5);
