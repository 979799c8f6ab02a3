//! Many repositories behind one client and one cache, each read once.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;
use url::Url;

use super::refresh::Refresh;
use super::remote::{Contact, Remote};
use super::repository::Repository;
use super::server::check_server;
use super::{Cache, Freshness, RepositoryTerms, SignedTarget, TrustError, TrustSource, Want, server_for};
use crate::http::HttpClient;
use crate::image::Gun;
use crate::tuf::RootPins;

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>;

/// Reads the trust data of any number of repositories, each at most once.
///
/// Clones share what was read. Everything runs on the tokio runtime that calls it.
#[derive(Clone)]
pub struct TrustReader {
    http: HttpClient,
    cache: Option<Cache>,
    clock: Clock,
    server: Option<String>,
    signers: SignerListing,
    repositories: Arc<Mutex<Repositories>>,
}

impl TrustReader {
    /// A reader over this client and, where there is one, this cache.
    #[must_use]
    pub fn new(http: HttpClient, cache: Option<Cache>, clock: Clock) -> Self {
        let signers = SignerListing::Required;
        Self { http, cache, clock, server: None, signers, repositories: Arc::default() }
    }

    /// The same with the value of `DOCKER_CONTENT_TRUST_SERVER`.
    #[must_use]
    pub fn with_server(mut self, override_url: Option<String>) -> Self {
        self.server = override_url;
        self
    }

    /// The same with another depth of [`SignedTarget::signers`].
    #[must_use]
    pub fn with_signers(mut self, listing: SignerListing) -> Self {
        self.signers = listing;
        self
    }

    async fn look_up(
        &self,
        gun: &Gun,
        want: Want<'_>,
        terms: &RepositoryTerms,
    ) -> Result<SignedTarget, TrustError> {
        let server = match &terms.server {
            Some(server) => {
                check_server(server)?;
                server.clone()
            }
            None => server_for(gun, self.server.as_deref())?,
        };
        let repository = self.repository(gun, server, &terms.pins).await?;
        if let Freshness::Cached { reason } = &repository.account().freshness
            && terms.require_fresh
        {
            return Err(TrustError::StaleForbidden {
                gun: gun.clone(),
                server: repository.server(),
                reason: reason.clone(),
            });
        }
        repository.find(want, terms, self.signers, (self.clock)()).await
    }

    /// The repository's state, read when it is first asked for; all others wait for that.
    async fn repository(
        &self,
        gun: &Gun,
        server: Url,
        pins: &RootPins,
    ) -> Result<Arc<Repository>, TrustError> {
        let state = {
            let mut repositories = self.repositories.lock().unwrap_or_else(PoisonError::into_inner);
            let known = repositories.entry((gun.clone(), server.clone())).or_default();
            if let Some(known) = known.iter().find(|known| known.pins == *pins) {
                Arc::clone(&known.state)
            } else {
                let state = Arc::default();
                known.push(Known { pins: pins.clone(), state: Arc::clone(&state) });
                state
            }
        };
        let now = (self.clock)();
        let refresh = Refresh {
            remote: Arc::new(Remote::new(self.http.clone(), server, gun.clone(), Contact::Pull)),
            cache: self.cache.clone(),
            pins: pins.clone(),
            now,
            when: now,
        };
        // A task of its own: repositories are verified on all cores, and a caller that goes away
        // does not leave the others without an answer.
        let read = || async {
            let task = tokio::spawn(async move { refresh.run().await.map(Arc::new) });
            task.await.unwrap_or_else(|error| {
                Err(TrustError::Internal { gun: gun.clone(), reason: error.to_string() })
            })
        };
        state.get_or_init(read).await.clone()
    }
}

/// What was read, by the repository's name and its server.
type Repositories = HashMap<(Gun, Url), Vec<Known>>;

/// A repository under one set of pins. Each set is checked by a refresh of its own.
struct Known {
    pins: RootPins,
    state: Arc<OnceCell<Result<Arc<Repository>, TrustError>>>,
}

impl fmt::Debug for TrustReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustReader").field("cache", &self.cache).finish_non_exhaustive()
    }
}

impl TrustSource for TrustReader {
    fn find<'a>(
        &'a self,
        gun: &'a Gun,
        want: Want<'a>,
        terms: &'a RepositoryTerms,
    ) -> BoxFuture<'a, Result<SignedTarget, TrustError>> {
        self.look_up(gun, want, terms).boxed()
    }
}

/// How far [`SignedTarget::signers`] goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignerListing {
    /// Only the signers that the terms demand: no request more than the look-up needs.
    Required,
    /// Every direct delegation is read, as `docker trust inspect` does.
    All,
}
