//! The client itself: redirects and credentials around the transport.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use url::Url;

use super::auth::Authorizer;
use super::error::{excerpt, shown};
use super::transport::{Incoming, Method, Outgoing, Transport};
use super::{HttpError, HttpOptions, Waiting};

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
        let whole = self.inner.follow(url, limit, access);
        match tokio::time::timeout(self.inner.transport.options().timeouts.total, whole).await {
            Ok(result) => result,
            Err(_) => Err(HttpError::Timeout { url: shown(url), waiting: Waiting::Answer }),
        }
    }
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
    /// The `Content-Type`, or empty.
    pub content_type: String,
    /// The whole body.
    pub body: Vec<u8>,
    /// How many requests it took, with redirects and tokens.
    pub requests: u32,
}

#[derive(Debug)]
struct Inner {
    transport: Transport,
    authorizer: Authorizer,
}

impl Inner {
    async fn follow(&self, url: &Url, limit: usize, access: Option<&Access>) -> Result<Response, HttpError> {
        let requests = AtomicU32::new(0);
        let mut current = url.clone();
        for _ in 0..=REDIRECT_LIMIT {
            // Credentials are for the server that was named, not for where it points.
            let access = access.filter(|_| current.origin() == url.origin());
            let answer = self.answer(&current, limit, access, &requests).await?;
            match answer.status {
                200..=299 => {
                    return Ok(Response {
                        content_type: content_type(&answer.headers),
                        url: current,
                        body: answer.body,
                        requests: requests.into_inner(),
                    });
                }
                301 | 302 | 303 | 307 | 308 => current = redirect_target(&current, &answer.headers)?,
                status => {
                    return Err(HttpError::Status {
                        url: shown(&current),
                        status,
                        message: message(&answer),
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
    async fn answer(
        &self,
        url: &Url,
        limit: usize,
        access: Option<&Access>,
        requests: &AtomicU32,
    ) -> Result<Incoming, HttpError> {
        let Some(access) = access else {
            let answer = self.send(url, limit, None, requests).await?;
            return if answer.status == UNAUTHORIZED {
                Err(unauthorized(url, "it asks for credentials"))
            } else {
                Ok(answer)
            };
        };
        let first = self.authorizer.grant_for_origin(&self.transport, url, access, requests).await?;
        let answer = self.send(url, limit, first.as_deref(), requests).await?;
        if answer.status != UNAUTHORIZED {
            return Ok(answer);
        }
        let scheme = self.authorizer.learn(url, &answer.headers)?;
        let second =
            self.authorizer.grant(&self.transport, url, &scheme, access, first.as_ref(), requests).await?;
        let answer = self.send(url, limit, Some(&second), requests).await?;
        if answer.status == UNAUTHORIZED {
            return Err(unauthorized(url, &scheme.rejection(&access.registry)));
        }
        Ok(answer)
    }

    async fn send(
        &self,
        url: &Url,
        limit: usize,
        authorization: Option<&super::Secret>,
        requests: &AtomicU32,
    ) -> Result<Incoming, HttpError> {
        requests.fetch_add(1, Ordering::Relaxed);
        self.transport.send(Outgoing { url, method: Method::Get, authorization, limit }).await
    }
}

/// Where a redirect leads, if we go there: to `https` only.
fn redirect_target(from: &Url, headers: &HeaderMap) -> Result<Url, HttpError> {
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
    if target.scheme() != "https" {
        return Err(refused(shown(&target), "the target is not https"));
    }
    if !target.username().is_empty() || target.password().is_some() {
        return Err(refused(shown(&target), "the target holds credentials"));
    }
    Ok(target)
}

fn content_type(headers: &HeaderMap) -> String {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// The message of docker's error format, `{"errors":[{"message":…}]}`, where the body has one.
fn message(answer: &Incoming) -> String {
    #[derive(serde::Deserialize)]
    struct Errors {
        errors: Vec<Message>,
    }
    #[derive(serde::Deserialize)]
    struct Message {
        message: String,
    }
    let errors: Option<Errors> = serde_json::from_slice(&answer.body).ok();
    let first = errors.and_then(|errors| errors.errors.into_iter().next());
    first.map(|first| excerpt(&first.message)).unwrap_or_default()
}

pub(super) fn unauthorized(url: &Url, reason: &str) -> HttpError {
    HttpError::Unauthorized { url: shown(url), reason: reason.to_owned() }
}

const UNAUTHORIZED: u16 = 401;
/// A server behind a load balancer or a CDN redirects once or twice.
const REDIRECT_LIMIT: usize = 4;
