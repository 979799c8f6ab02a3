//! The client itself: redirects and credentials around the transport.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use url::Url;

use super::auth::Authorizer;
use super::error::{excerpt, shown};
use super::transport::{Incoming, Method, Outgoing, Transport};
use super::{HttpError, HttpOptions, Problem, Secret, Waiting};

/// An HTTPS client; clones share connections, tokens and limits.
#[derive(Clone, Debug)]
pub struct HttpClient {
    inner: Arc<Inner>,
}

impl HttpClient {
    /// A client with these options. It connects to nothing yet.
    pub fn new(options: HttpOptions) -> Result<Self, HttpError> {
        let authorizer = Authorizer::new(&options);
        let transport = Transport::new(options)?;
        Ok(Self { inner: Arc::new(Inner { transport, authorizer }) })
    }

    /// The body at `url`, of at most `limit` bytes.
    ///
    /// Where the server asks for credentials, `access` says whose, and for what; without it such a
    /// server is an error. Any status but success is an error, too.
    pub async fn get(&self, url: &Url, limit: usize, access: Option<&Access>) -> Result<Response, HttpError> {
        let request = Request { access, ..Request::new(Verb::Get, url, limit) };
        self.send(&request).await
    }

    /// The answer to any request. Any status but success is an error, and redirects are followed
    /// only where nothing is sent that could arrive twice.
    pub async fn send(&self, request: &Request<'_>) -> Result<Response, HttpError> {
        match tokio::time::timeout(self.inner.transport.options().timeouts.total, self.inner.follow(request))
            .await
        {
            Ok(result) => result,
            Err(_) => Err(HttpError::Timeout { url: shown(request.url), waiting: Waiting::Answer }),
        }
    }

    /// Docker's credentials of a registry as its engine takes them, in the header `X-Registry-Auth`.
    pub async fn engine_authorization(&self, registry: &str) -> Result<Secret, HttpError> {
        self.inner.authorizer.credentials().engine_header(registry).await
    }
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// What is done there.
    pub verb: Verb,
    /// Where.
    pub url: &'a Url,
    /// The media types that are wanted, as the `Accept` header has them.
    pub accept: Option<&'a str>,
    /// The most bytes of a successful answer.
    pub limit: usize,
    /// Whose credentials may be used where the server asks for some.
    pub access: Option<&'a Access>,
    /// Whether `http` will do: for a registry that docker, too, asks without TLS.
    pub plain: bool,
}

impl<'a> Request<'a> {
    /// A request without credentials, over TLS.
    #[must_use]
    pub fn new(verb: Verb, url: &'a Url, limit: usize) -> Self {
        Self { verb, url, accept: None, limit, access: None, plain: false }
    }
}

/// What a request does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Reads.
    Get,
    /// Reads the headers only.
    Head,
    /// Removes.
    Delete,
    /// Hands something in.
    Post(Upload),
    /// Stores under the URL.
    Put(Upload),
}

/// What a request brings along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Its `Content-Type`.
    pub content_type: String,
    /// All of it.
    pub content: bytes::Bytes,
}

/// Whose credentials a request may use, and for what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Access {
    /// The registry whose entry in docker's configuration counts: `docker.io`, `registry.example:5000`.
    pub registry: String,
    /// What a token is asked for: `repository:<name>:pull`.
    pub scope: String,
}

/// A successful answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// Where it came from in the end.
    pub url: Url,
    /// The status, between 200 and 299.
    pub status: u16,
    /// The `Content-Type`, or empty.
    pub content_type: String,
    /// The whole body.
    pub body: Vec<u8>,
    /// How many requests it took, with redirects and tokens.
    pub requests: u32,
    headers: HeaderMap,
}

impl Response {
    /// The first header of this name, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

#[derive(Debug)]
struct Inner {
    transport: Transport,
    authorizer: Authorizer,
}

impl Inner {
    async fn follow(&self, request: &Request<'_>) -> Result<Response, HttpError> {
        let requests = AtomicU32::new(0);
        let url = request.url;
        let repeatable = matches!(request.verb, Verb::Get | Verb::Head);
        let mut current = url.clone();
        for _ in 0..=REDIRECT_LIMIT {
            // Credentials are for the server that was named, not for where it points.
            let same = current.origin() == url.origin();
            let access = request.access.filter(|_| same);
            let step = Request { url: &current, access, plain: request.plain && same, ..request.clone() };
            let answer = self.answer(&step, &requests).await?;
            match answer.status {
                200..=299 => {
                    return Ok(Response {
                        status: answer.status,
                        content_type: content_type(&answer.headers),
                        url: current,
                        body: answer.body,
                        requests: requests.into_inner(),
                        headers: answer.headers,
                    });
                }
                301 | 302 | 303 | 307 | 308 if repeatable => {
                    current = redirect_target(&current, &answer.headers, request.plain.then_some(url))?;
                }
                status => {
                    return Err(HttpError::Status {
                        url: shown(&current),
                        status,
                        problem: Problem::read(&answer.body, retry_after(&answer.headers)),
                    });
                }
            }
        }
        Err(HttpError::Redirect {
            url: shown(url),
            target: shown(&current),
            reason: format!("there are more than {REDIRECT_LIMIT} redirects"),
        })
    }

    /// One URL's answer, with credentials where the server asks for them.
    ///
    /// The challenge is learnt from the request itself, not from a ping before it; from then on
    /// the same server's other requests bring a token along.
    async fn answer(&self, request: &Request<'_>, requests: &AtomicU32) -> Result<Incoming, HttpError> {
        let url = request.url;
        let Some(access) = request.access else {
            let answer = self.exchange(request, None, requests).await?;
            return if answer.status == UNAUTHORIZED {
                Err(unauthorized(url, "it asks for credentials"))
            } else {
                Ok(answer)
            };
        };
        let first = self.authorizer.grant_for_origin(&self.transport, url, access, requests).await?;
        let answer = self.exchange(request, first.as_deref(), requests).await?;
        if answer.status != UNAUTHORIZED {
            return Ok(answer);
        }
        let scheme = self.authorizer.learn(url, &answer.headers)?;
        let second =
            self.authorizer.grant(&self.transport, url, &scheme, access, first.as_ref(), requests).await?;
        let answer = self.exchange(request, Some(&second), requests).await?;
        if answer.status == UNAUTHORIZED {
            return Err(unauthorized(url, &scheme.rejection(&access.registry)));
        }
        Ok(answer)
    }

    async fn exchange(
        &self,
        request: &Request<'_>,
        authorization: Option<&Secret>,
        requests: &AtomicU32,
    ) -> Result<Incoming, HttpError> {
        requests.fetch_add(1, Ordering::Relaxed);
        let method = match &request.verb {
            Verb::Get => Method::Get,
            Verb::Head => Method::Head,
            Verb::Delete => Method::Delete,
            Verb::Post(upload) => Method::Post(upload),
            Verb::Put(upload) => Method::Put(upload),
        };
        let Request { url, accept, limit, plain, .. } = *request;
        self.transport.send(Outgoing { url, method, authorization, accept, limit, plain }).await
    }
}

/// Where a redirect leads, if we go there: to `https`, or to the very server `plain` that was
/// asked without TLS.
fn redirect_target(from: &Url, headers: &HeaderMap, plain: Option<&Url>) -> Result<Url, HttpError> {
    let location = headers.get(LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let refused = |target: String, reason: &str| HttpError::Redirect {
        url: shown(from),
        target,
        reason: reason.to_owned(),
    };
    let Some(location) = location else { return Err(refused(String::new(), "it names no target")) };
    let Ok(target) = from.join(&location) else {
        return Err(refused(excerpt(&location), "the target is not a URL"));
    };
    let same = plain.is_some_and(|plain| plain.origin() == target.origin());
    if target.scheme() != "https" && !same {
        return Err(refused(shown(&target), "the target is not https"));
    }
    if !target.username().is_empty() || target.password().is_some() {
        return Err(refused(shown(&target), "the target holds credentials"));
    }
    Ok(target)
}

/// The other form of the header, a date, is seldom seen, and would need a clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

fn content_type(headers: &HeaderMap) -> String {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

pub(super) fn unauthorized(url: &Url, reason: &str) -> HttpError {
    HttpError::Unauthorized { url: shown(url), reason: reason.to_owned() }
}

const UNAUTHORIZED: u16 = 401;
/// A server behind a load balancer or a CDN redirects once or twice.
const REDIRECT_LIMIT: usize = 4;
