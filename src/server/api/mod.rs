//! Notary's API over HTTP: requests in, answers out.
//!
//! Each request is read into a `Route`, whoever asks is looked at, and the work is left to
//! `publication` and `storage`. A read is one look into the storage, and what comes out goes to the
//! client as it is. Knows nothing of connections; those are the listener's.

mod caching;
mod feed;
mod guard;
mod health;
mod journal;
mod metrics;
mod refusal;
mod route;
#[cfg(test)]
mod tests;
mod upload;
mod work;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::Response;
use futures_util::FutureExt as _;
use tokio::time::{Instant, timeout};
use tower_http::compression::predicate::{Predicate as _, SizeAbove};
use tower_http::compression::{CompressionLayer, CompressionLevel};

use super::access::{Access, Caller, RateLimits};
use super::freshness::Freshness;
use super::page::Page;
use super::publication::Publisher;
use super::settings::{AccessLog, Caching, GunPrefixes, Limits, Metrics};
use super::storage::Storage;
use crate::signer::{Clock, KeyService};

pub use guard::PeerAddress;
pub use journal::{Event, Journal};
pub use metrics::ServerMetrics;

use caching::CacheHeaders;
use health::Health;
use refusal::Refusal;
use route::Route;
use upload::UploadBudget;

/// What an API is made of.
pub struct Api {
    /// Publishes, and hands out the server's keys.
    pub publisher: Arc<Publisher>,
    /// Where files are.
    pub storage: Arc<dyn Storage>,
    /// Who signs; asked for its health only.
    pub keys: Arc<dyn KeyService>,
    /// Who may do what.
    pub access: Access,
    /// How often.
    pub rates: RateLimits,
    /// Keeps the server's own files fresh.
    pub freshness: Arc<Freshness>,
    /// Tells the time.
    pub clock: Clock,
    /// Takes the lines of the access log.
    pub journal: Journal,
    /// Counts.
    pub metrics: Arc<ServerMetrics>,
    /// What the settings say of answers.
    pub options: ApiOptions,
}

/// What the settings say of answers.
#[derive(Clone, Debug)]
pub struct ApiOptions {
    /// How long answers may be kept.
    pub caching: Caching,
    /// Which repositories are taken.
    pub gun_prefixes: GunPrefixes,
    /// What requests may cost.
    pub limits: Limits,
    /// Which requests have a line in the log.
    pub log: AccessLog,
    /// Where metrics are shown.
    pub metrics: Metrics,
}

/// Everything that the API answers.
pub fn router(api: Api) -> Router {
    let compressed = SizeAbove::new(COMPRESSED_FROM);
    let compression =
        CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(compressed.and(is_metadata));
    Router::new()
        .fallback(answer)
        .with_state(Arc::new(Server::new(api)))
        .layer(compression)
        .layer(axum::middleware::map_response(weaken_tag))
}

/// Only the metrics, for an address of their own.
pub fn metrics_router(metrics: Arc<ServerMetrics>, freshness: Arc<Freshness>) -> Router {
    let show = move || {
        let text = metrics.text(&freshness.health());
        async move { ([(CONTENT_TYPE, metrics::METRICS_TYPE)], text) }
    };
    Router::new().route("/metrics", axum::routing::get(show))
}

/// An API at work.
struct Server {
    publisher: Arc<Publisher>,
    storage: Arc<dyn Storage>,
    keys: Arc<dyn KeyService>,
    access: Access,
    rates: RateLimits,
    freshness: Arc<Freshness>,
    clock: Clock,
    journal: Journal,
    metrics: Arc<ServerMetrics>,
    gun_prefixes: GunPrefixes,
    limits: Limits,
    log: AccessLog,
    shows_metrics: bool,
    headers: CacheHeaders,
    health: Health,
    page: Page,
    uploads: UploadBudget,
}

impl Server {
    fn new(api: Api) -> Self {
        let Api { publisher, storage, keys, access, rates, freshness, clock, journal, metrics, options } =
            api;
        Self {
            page: Page::new(Arc::clone(&storage)),
            publisher,
            storage,
            keys,
            access,
            rates,
            freshness,
            clock,
            journal,
            metrics,
            gun_prefixes: options.gun_prefixes,
            headers: CacheHeaders::new(&options.caching),
            uploads: UploadBudget::new(&options.limits),
            limits: options.limits,
            log: options.log,
            shows_metrics: options.metrics == Metrics::Shared,
            health: Health::default(),
        }
    }
}

/// One request, from its arrival to its answer.
async fn answer(State(server): State<Arc<Server>>, request: Request) -> Response {
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    let route = Route::parse(&parts.method, parts.uri.path());
    let address = server.address(&parts.extensions, &parts.headers);
    let mut call = Call {
        server: &server,
        route: &route,
        uri: &parts.uri,
        headers: &parts.headers,
        address,
        caller: Caller::default(),
        outcome: String::new(),
    };
    let work = timeout(server.limits.request_patience, call.answer(body));
    let answered = match AssertUnwindSafe(work).catch_unwind().await {
        Ok(Ok(answered)) => answered,
        Ok(Err(_)) => Err(Refusal::busy("the request takes too long")),
        Err(_) => Err(Refusal::defect()),
    };
    let (status, notable) = match &answered {
        Ok(response) => {
            let broken = matches!(route, Route::Page { .. }) && response.status().is_server_error();
            (response.status(), broken || route.writes())
        }
        Err(refusal) => (refusal.status(), refusal.notable || route.writes()),
    };
    let took = started.elapsed();
    server.metrics.answered(route.operation(), &parts.method, status, took);
    if notable || server.log == AccessLog::All {
        let reason = answered.as_ref().err().and_then(|it| it.reason.as_deref());
        (server.journal)(&Event {
            at: (server.clock)(),
            address,
            caller: &call.caller,
            operation: route.operation(),
            gun: match &route {
                Route::UnfitGun { name } => Some(name),
                other => other.gun().map(crate::image::Gun::as_str),
            },
            status: status.as_u16(),
            outcome: reason.unwrap_or(&call.outcome),
            took,
        });
    }
    answered.unwrap_or_else(|refusal| refusal.response())
}

/// A request while it is worked at.
struct Call<'a> {
    server: &'a Arc<Server>,
    route: &'a Route,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    address: Option<std::net::IpAddr>,
    /// Who asks, once that is known.
    caller: Caller,
    /// What was done, for the log.
    outcome: String,
}

/// Only what is kept here is worth the time, and has a tag.
fn is_metadata(
    _: StatusCode,
    _: axum::http::Version,
    headers: &HeaderMap,
    _: &axum::http::Extensions,
) -> bool {
    headers.contains_key(ETAG)
}

/// A compressed copy is the same file in other bytes, which its tag has to say.
async fn weaken_tag(mut response: Response) -> Response {
    let headers = response.headers_mut();
    if headers.contains_key(CONTENT_ENCODING)
        && let Some(tag) = headers.get(ETAG)
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat())
    {
        headers.insert(ETAG, weak);
    }
    response
}

/// What is shorter fits into a few packets, and compressing it takes longer than sending it.
const COMPRESSED_FROM: u16 = 16 << 10;
