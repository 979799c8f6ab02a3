//! One request to an engine over a connection of its own: a socket, TLS, or `ssh`.
//!
//! A request that is dropped takes its connection along, and the engine stops what it was doing
//! for it. Knows HTTP, not what docker's API means.

use std::convert::Infallible;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, Command};

use super::endpoint::Way;
use super::{Endpoint, EngineError};
use crate::http::Secret;
use crate::text::visible_prefix;

/// One request.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// With the version of the API, percent-encoded where needed.
    pub(super) path: &'a str,
    pub(super) query: &'a [(&'a str, &'a str)],
    /// The `X-Registry-Auth` header.
    pub(super) authorization: Option<&'a Secret>,
    /// How long the engine may be silent.
    pub(super) patience: Duration,
}

/// The head of an answer, and a body that is still to come.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Incoming,
    address: String,
    patience: Duration,
    _connection: Connection,
}

impl Endpoint {
    /// Sends one request, and waits for the head of its answer.
    pub(super) async fn send(&self, call: Call<'_>) -> Result<Answer, EngineError> {
        let (stream, mut child) = self.dial().await?;
        match self.exchange(stream, &call).await {
            Ok((parts, body, driver)) => Ok(Answer {
                status: parts.status,
                headers: parts.headers,
                body,
                address: self.address.clone(),
                patience: call.patience,
                _connection: Connection { driver, _child: child },
            }),
            Err(error) => Err(match child.as_mut() {
                // What went wrong is then what `ssh` says.
                Some(child) => self.last_words(child).await.unwrap_or(error),
                None => error,
            }),
        }
    }

    async fn exchange(
        &self,
        stream: Box<dyn Stream>,
        call: &Call<'_>,
    ) -> Result<(hyper::http::response::Parts, Incoming, tokio::task::JoinHandle<()>), EngineError> {
        let closed = |error: hyper::Error| self.broken(&error);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(closed)?;
        let driver = AbortOnDrop(Some(tokio::spawn(async move {
            // Its end shows up where the answer is read.
            let _ = connection.await;
        })));
        let request = self.request(call)?;
        let answer = tokio::time::timeout(call.patience, sender.send_request(request)).await;
        let answer = answer.map_err(|_| self.silent(call.patience))?.map_err(closed)?;
        let (parts, body) = answer.into_parts();
        Ok((parts, body, driver.keep()))
    }

    fn request(&self, call: &Call<'_>) -> Result<Request<NoBody>, EngineError> {
        let (host, prefix) = match &self.way {
            Way::Unix(_) | Way::Ssh { .. } => ("docker".to_owned(), ""),
            Way::Tcp { host, port, prefix, .. } => (format!("{host}:{port}"), prefix.as_str()),
        };
        let mut target = format!("{prefix}{}", call.path);
        if !call.query.is_empty() {
            let query =
                url::form_urlencoded::Serializer::new(String::new()).extend_pairs(call.query).finish();
            target = format!("{target}?{query}");
        }
        let mut builder = Request::builder()
            .method(call.method.clone())
            .uri(target)
            .header("host", host)
            .header("user-agent", concat!("trustgate/", env!("CARGO_PKG_VERSION")));
        if let Some(authorization) = call.authorization {
            builder = builder.header("x-registry-auth", authorization.expose());
        }
        builder.body(NoBody).map_err(|_| EngineError::Protocol {
            address: self.address.clone(),
            reason: "the request can't be written as HTTP".to_owned(),
        })
    }

    async fn dial(&self) -> Result<(Box<dyn Stream>, Option<Child>), EngineError> {
        let connect = |error: std::io::Error| self.no_connection(&error);
        let late = |_| self.silent(CONNECT_PATIENCE);
        match &self.way {
            Way::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(connect)?;
                Ok((Box::new(stream), None))
            }
            Way::Tcp { host, port, tls, .. } => {
                let name = host.trim_matches(['[', ']']);
                let stream = tokio::time::timeout(CONNECT_PATIENCE, TcpStream::connect((name, *port))).await;
                let stream = stream.map_err(late)?.map_err(connect)?;
                let Some(tls) = tls else { return Ok((Box::new(stream), None)) };
                let server = ServerName::try_from(name.to_owned()).map_err(|error| {
                    EngineError::Configuration { place: self.named_by.clone(), reason: error.to_string() }
                })?;
                let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::clone(tls));
                let stream = tokio::time::timeout(CONNECT_PATIENCE, connector.connect(server, stream)).await;
                let stream = stream.map_err(late)?.map_err(connect)?;
                Ok((Box::new(stream), None))
            }
            Way::Ssh { program, arguments } => {
                let mut command = Command::new(program);
                command.args(arguments).kill_on_drop(true);
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
                let mut child = command.spawn().map_err(connect)?;
                match (child.stdout.take(), child.stdin.take()) {
                    (Some(output), Some(input)) => {
                        Ok((Box::new(tokio::io::join(output, input)), Some(child)))
                    }
                    _ => Err(connect(std::io::Error::other("`ssh` has no input or output"))),
                }
            }
        }
    }

    /// What `ssh` said before it gave up.
    async fn last_words(&self, child: &mut Child) -> Option<EngineError> {
        let mut words = Vec::new();
        let output = child.stderr.take()?;
        let mut output = output.take(LAST_WORDS_LIMIT);
        tokio::time::timeout(LAST_WORDS_PATIENCE, output.read_to_end(&mut words)).await.ok()?.ok()?;
        let text = String::from_utf8_lossy(&words);
        let text = text.trim();
        (!text.is_empty()).then(|| EngineError::Connect {
            address: self.address.clone(),
            reason: visible_prefix(&text.replace("\r\n", "; ").replace('\n', "; "), SHOWN_LIMIT),
        })
    }

    fn no_connection(&self, error: &std::io::Error) -> EngineError {
        let address = self.address.clone();
        if error.kind() == std::io::ErrorKind::PermissionDenied && matches!(self.way, Way::Unix(_)) {
            return EngineError::Permission { address };
        }
        EngineError::Connect { address, reason: error.to_string() }
    }

    fn broken(&self, error: &hyper::Error) -> EngineError {
        broken(&self.address, error)
    }

    fn silent(&self, patience: Duration) -> EngineError {
        EngineError::Timeout { address: self.address.clone(), seconds: patience.as_secs() }
    }
}

impl Answer {
    /// The next bytes of the body; `None` at its end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, EngineError> {
        loop {
            let next = std::future::poll_fn(|context| Pin::new(&mut self.body).poll_frame(context));
            let next = tokio::time::timeout(self.patience, next).await.map_err(|_| EngineError::Timeout {
                address: self.address.clone(),
                seconds: self.patience.as_secs(),
            })?;
            let Some(frame) = next else { return Ok(None) };
            let frame = frame.map_err(|error| broken(&self.address, &error))?;
            // Trailers say nothing that matters here.
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }

    /// The whole body, of at most `limit` bytes.
    pub(super) async fn whole(mut self, limit: usize) -> Result<Vec<u8>, EngineError> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if limit.saturating_sub(body.len()) < chunk.len() {
                return Err(EngineError::Protocol {
                    address: self.address,
                    reason: format!("it is longer than {limit} bytes"),
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// What keeps an answer coming.
struct Connection {
    driver: tokio::task::JoinHandle<()>,
    _child: Option<Child>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A task that does not outlive an attempt that was given up.
struct AbortOnDrop(Option<tokio::task::JoinHandle<()>>);

impl AbortOnDrop {
    fn keep(mut self) -> tokio::task::JoinHandle<()> {
        self.0.take().expect("it is taken once")
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// What requests to an engine are sent over.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The body of every request: none.
struct NoBody;

impl Body for NoBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(0)
    }
}

fn broken(address: &str, error: &hyper::Error) -> EngineError {
    let address = address.to_owned();
    let reason = visible_prefix(&error.to_string(), SHOWN_LIMIT);
    if error.is_parse() {
        EngineError::Protocol { address, reason }
    } else {
        EngineError::Closed { address, reason }
    }
}

/// An engine that is there takes a connection at once; one behind a slow network within this time.
const CONNECT_PATIENCE: Duration = Duration::from_secs(15);
/// `ssh` has said why by then.
const LAST_WORDS_PATIENCE: Duration = Duration::from_secs(2);
/// A few lines.
const LAST_WORDS_LIMIT: u64 = 4 << 10;
/// Enough to understand what went wrong.
const SHOWN_LIMIT: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_of_others() {
        // Root is let in everywhere, so the system's answer stands here by itself.
        let options =
            crate::docker::EngineOptions { host: Some("unix:///x".to_owned()), ..Default::default() };
        let endpoint = Endpoint::find(&options).unwrap();
        let error = endpoint.no_connection(&std::io::ErrorKind::PermissionDenied.into());
        assert_eq!(error.to_string(), "permission denied at the docker engine's socket `unix:///x`");
        assert!(error.help().unwrap().contains("group"));
    }
}
