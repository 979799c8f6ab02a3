//! Many repositories behind one client and one cache.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Cache, RepositoryTerms, SignedTarget, TrustError, TrustSource, Want};
use crate::http::HttpClient;
use crate::image::Gun;

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>;

/// Reads the trust data of any number of repositories, each at most once.
#[derive(Clone)]
pub struct TrustReader {}

impl TrustReader {
    /// A reader over this client and, where there is one, this cache.
    #[must_use]
    pub fn new(_http: HttpClient, _cache: Option<Cache>, _clock: Clock) -> Self {
        todo!()
    }

    /// The same with the value of `DOCKER_CONTENT_TRUST_SERVER`.
    #[must_use]
    pub fn with_server(self, _override_url: Option<String>) -> Self {
        todo!()
    }

    /// The same with another depth of [`SignedTarget::signers`].
    #[must_use]
    pub fn with_signers(self, _listing: SignerListing) -> Self {
        todo!()
    }
}

impl fmt::Debug for TrustReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustReader").finish_non_exhaustive()
    }
}

impl TrustSource for TrustReader {
    fn find<'a>(
        &'a self,
        _gun: &'a Gun,
        _want: Want<'a>,
        _terms: &'a RepositoryTerms,
    ) -> BoxFuture<'a, Result<SignedTarget, TrustError>> {
        todo!()
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
