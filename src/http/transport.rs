//! Requests without credentials: connections, limits, and what a peer can do wrong with them.
//!
//! Knows hosts and bytes; redirects, tokens and what a status means are the client's.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio::sync::{Semaphore, SemaphorePermit};
use url::Url;

use super::authorities::System;
use super::error::shown;
use super::options::Proxies;
use super::{HttpError, HttpOptions, Secret, Upload, tls};

/// The connections of one client.
pub(super) struct Transport {
    options: HttpOptions,
    system: Arc<System>,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
}

/// One request, as it goes over the wire.
pub(super) struct Outgoing<'a> {
    pub(super) url: &'a Url,
    pub(super) method: Method<'a>,
    pub(super) authorization: Option<&'a Secret>,
    /// The media types that are wanted, as the header has them.
    pub(super) accept: Option<&'a str>,
    /// The most bytes of a successful answer.
    pub(super) limit: usize,
    /// Whether a URL without TLS may be asked.
    pub(super) plain: bool,
}

pub(super) enum Method<'a> {
    Get,
    Head,
    Delete,
    Post(&'a Upload),
    Put(&'a Upload),
    PostForm(&'a [(&'a str, &'a str)]),
}

/// One answer, whatever its status; the body of an unsuccessful one is only its beginning.
pub(super) struct Incoming {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Transport {
    pub(super) fn new(options: HttpOptions) -> Result<Self, HttpError> {
        let system = Arc::new(System::new(&options)?);
        Ok(Self { options, system, hosts: Mutex::default() })
    }

    pub(super) fn options(&self) -> &HttpOptions {
        &self.options
    }

    /// Sends one request and reads its answer.
    pub(super) async fn send(&self, request: Outgoing<'_>) -> Result<Incoming, HttpError> {
        let host = self.host(request.url, request.plain)?;
        let lane = host.lanes.enter().await;
        let result = exchange(&host, request).await;
        drop(lane);
        result
    }

    /// The connections of the URL's host; made when it is first asked for.
    fn host(&self, url: &Url, plain: bool) -> Result<Arc<Host>, HttpError> {
        let refused = |reason: &str| HttpError::Url { url: shown(url), reason: reason.to_owned() };
        let secure = match url.scheme() {
            "https" => true,
            "http" if plain => false,
            _ => return Err(refused("is not an https URL")),
        };
        let (Some(name), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(refused("names no host"));
        };
        // `..` would leave the folder of certificates.
        if name.split('.').all(str::is_empty) {
            return Err(refused("names no host"));
        }
        let key = format!("{}://{name}:{port}", url.scheme());
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(&key) {
            return Ok(Arc::clone(host));
        }
        let folders = tls::host_folders(&self.options, name, port);
        let config = tls::client_config(&self.system, &folders)?;
        let client =
            self.connections(config, secure).map_err(|error| refused(&format!("can't be read: {error}")))?;
        let host = Arc::new(Host { client, lanes: Lanes::new() });
        hosts.insert(key, Arc::clone(&host));
        Ok(host)
    }

    fn connections(
        &self,
        config: rustls::ClientConfig,
        secure: bool,
    ) -> Result<reqwest::Client, reqwest::Error> {
        let timeouts = &self.options.timeouts;
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(config)
            .https_only(secure)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .user_agent(&self.options.user_agent)
            .connect_timeout(timeouts.connect)
            .read_timeout(timeouts.idle)
            .pool_max_idle_per_host(LANE_LIMIT)
            .http2_max_header_list_size(HEADER_LIMIT);
        if self.options.proxies == Proxies::None {
            builder = builder.no_proxy();
        }
        builder.build()
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("options", &self.options).finish_non_exhaustive()
    }
}

struct Host {
    client: reqwest::Client,
    lanes: Lanes,
}

/// How many requests go to one host at the same time.
///
/// HTTP/2 carries any number on one connection, and a near server answers the next request sooner
/// than a second TLS handshake takes. Only where an answer takes long is another HTTP/1.1
/// connection worth its price: each request adds a lane whenever it has waited for [`PATIENCE`].
struct Lanes {
    free: Semaphore,
    count: AtomicUsize,
    multiplexed: AtomicBool,
}

impl Lanes {
    fn new() -> Self {
        Self { free: Semaphore::new(1), count: AtomicUsize::new(1), multiplexed: AtomicBool::new(false) }
    }

    async fn enter(&self) -> Option<SemaphorePermit<'_>> {
        if self.multiplexed.load(Ordering::Relaxed) {
            return None;
        }
        let permit = loop {
            if let Ok(permit) = tokio::time::timeout(PATIENCE, self.free.acquire()).await {
                break permit.ok();
            }
            // Who asked before may take the new lane; then the next one is added in a while.
            let grown = |count| (count < LANE_LIMIT).then_some(count + 1);
            if self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown).is_ok() {
                self.free.add_permits(1);
            } else {
                break self.free.acquire().await.ok();
            }
        };
        // The answer that freed the lane may have shown that none is needed.
        if self.multiplexed.load(Ordering::Relaxed) { None } else { permit }
    }
}

async fn exchange(host: &Host, request: Outgoing<'_>) -> Result<Incoming, HttpError> {
    let Outgoing { url, method, authorization, accept, limit, plain: _ } = request;
    let carrying = |builder: reqwest::RequestBuilder, upload: &Upload| {
        builder.header(CONTENT_TYPE, upload.content_type.as_str()).body(upload.content.clone())
    };
    let without_body = matches!(method, Method::Head);
    let mut builder = match method {
        Method::Get => host.client.get(url.clone()),
        Method::Head => host.client.head(url.clone()),
        Method::Delete => host.client.delete(url.clone()),
        Method::Post(upload) => carrying(host.client.post(url.clone()), upload),
        Method::Put(upload) => carrying(host.client.put(url.clone()), upload),
        Method::PostForm(form) => host.client.post(url.clone()).form(form),
    };
    if let Some(accept) = accept {
        builder = builder.header(ACCEPT, accept);
    }
    if let Some(secret) = authorization {
        let mut value = HeaderValue::from_str(secret.expose()).map_err(|_| HttpError::Unauthorized {
            url: shown(url),
            reason: "the credentials hold characters that no header can carry".to_owned(),
        })?;
        value.set_sensitive(true);
        builder = builder.header(AUTHORIZATION, value);
    }
    let mut response = builder.send().await.map_err(|error| HttpError::from_transport(&error, url, 0))?;
    if response.version() == reqwest::Version::HTTP_2 {
        host.lanes.multiplexed.store(true, Ordering::Relaxed);
    }
    let status = response.status();
    let headers = std::mem::take(response.headers_mut());
    let body = if without_body {
        Vec::new()
    } else if status.is_success() {
        whole_body(&mut response, &headers, url, limit).await?
    } else {
        beginning_of_body(&mut response).await
    };
    Ok(Incoming { status: status.as_u16(), headers, body })
}

async fn whole_body(
    response: &mut reqwest::Response,
    headers: &HeaderMap,
    url: &Url,
    limit: usize,
) -> Result<Vec<u8>, HttpError> {
    if let Some(encoding) = headers.get(CONTENT_ENCODING).filter(|value| *value != "identity") {
        let encoding = super::error::excerpt(&String::from_utf8_lossy(encoding.as_bytes()));
        return Err(HttpError::Encoding { url: shown(url), encoding });
    }
    let too_large =
        || HttpError::TooLarge { url: shown(url), limit: u64::try_from(limit).unwrap_or(u64::MAX) };
    let announced =
        usize::try_from(response.content_length().unwrap_or_default()).map_err(|_| too_large())?;
    if announced > limit {
        return Err(too_large());
    }
    // What a server announces is only a hint: memory is taken for bytes that came.
    let mut body = Vec::with_capacity(announced.min(CAPACITY_LIMIT));
    loop {
        let received = u64::try_from(body.len()).unwrap_or(u64::MAX);
        match response.chunk().await.map_err(|error| HttpError::from_transport(&error, url, received))? {
            Some(chunk) if body.len().saturating_add(chunk.len()) <= limit => body.extend_from_slice(&chunk),
            Some(_) => return Err(too_large()),
            None => {
                body.shrink_to_fit();
                return Ok(body);
            }
        }
    }
}

/// Enough of an error's body to show its message; what goes wrong here is of no interest.
async fn beginning_of_body(response: &mut reqwest::Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = ERROR_BODY_LIMIT.saturating_sub(body.len());
        body.extend(chunk.iter().take(room));
        if room <= chunk.len() {
            break;
        }
    }
    body
}

/// A loopback or LAN server has answered by then, one across an ocean has not begun to.
const PATIENCE: Duration = Duration::from_millis(5);
/// More connections than this to one host are a burden to it.
const LANE_LIMIT: usize = 16;
/// Servers' heads have about one kilobyte.
const HEADER_LIMIT: u32 = 64 << 10;
/// The most memory that an announced length takes before its bytes came.
const CAPACITY_LIMIT: usize = 1 << 20;
/// Notary's and docker's error bodies have less than one kilobyte.
const ERROR_BODY_LIMIT: usize = 4 << 10;
