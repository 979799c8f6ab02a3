//! Connections to the server: TLS or none, a bounded number, each client its share, ended in order.
//!
//! Whoever is slow is given up: at the handshake, within a request's head, and while an answer waits to
//! be taken. What is asked and answered is the router's business.

mod places;
mod requests;
mod stream;
#[cfg(test)]
mod tests;
mod tls;

use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse as _;
use futures_util::FutureExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, server::conn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_rustls::TlsAcceptor;
use tower::Service as _;

use super::api::{PeerAddress, ServerMetrics};
use super::settings::Limits;
use super::{ErrorAnswer, ErrorCode};

pub use tls::server_config;

use places::{Place, Places};
use requests::{Requests, Upload};
use stream::{Patient, Progress};

/// What connections are secured with.
#[derive(Clone)]
pub enum Security {
    /// Nothing: a proxy on this machine does it.
    Off,
    /// TLS as it is set at the moment; connections that are there keep what they began with.
    Tls(watch::Receiver<Arc<ServerConfig>>),
}

/// Serves connections until it is told to stop.
pub struct Listener {
    /// What answers.
    pub router: Router,
    /// What connections are secured with.
    pub security: Security,
    /// How many, and how long each may take for what.
    pub limits: Limits,
    /// Counts connections.
    pub metrics: Arc<ServerMetrics>,
    /// Takes a line for the operator.
    pub line: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Listener {
    /// Serves at these sockets until `shutdown`, and then until what was begun is done, or too long has
    /// been waited for it.
    ///
    /// An error means that a defect ended it ahead of that.
    pub async fn serve(
        self,
        sockets: Vec<TcpListener>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), Defect> {
        let (stop, stopped) = watch::channel(false);
        let places = Places::new(&self.limits);
        let drain = self.limits.drain;
        let this = Arc::new(self);
        let mut accepting = JoinSet::new();
        for socket in sockets {
            accepting.spawn(Arc::clone(&this).accept(socket, Arc::clone(&places), stopped.clone()));
        }
        let ended = tokio::select! {
            () = shutdown => Ok(()),
            // None of them ends by itself; nobody would be let in any more.
            Some(_) = accepting.join_next() => Err(Defect),
        };
        stop.send_replace(true);
        // Each ends once its connections have; whoever does not take an answer by then does not want it.
        let all = async { while accepting.join_next().await.is_some() {} };
        if timeout(drain, all).await.is_err() {
            (this.line)("connections were still at work when the time to end them was over");
            accepting.shutdown().await;
        }
        ended
    }

    /// Takes connections until it is told to stop, and waits for them to end.
    async fn accept(
        self: Arc<Self>,
        socket: TcpListener,
        places: Arc<Places>,
        mut stopped: watch::Receiver<bool>,
    ) {
        let mut connections = JoinSet::new();
        let mut failing = false;
        loop {
            // More than there are places for wait in the system's line.
            let place = tokio::select! {
                _ = stopped.wait_for(|it| *it) => break,
                place = places.wait() => place,
            };
            let accepted = tokio::select! {
                _ = stopped.wait_for(|it| *it) => break,
                accepted = socket.accept() => accepted,
            };
            while connections.try_join_next().is_some() {}
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // No file descriptors, mostly: they come back when connections end.
                    if !failing {
                        (self.line)(&format!("no connection was taken: {error}; tried again all the time"));
                    }
                    failing = true;
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            if failing {
                (self.line)("connections are taken again");
            }
            failing = false;
            let Some(place) = place.of(address.ip()) else {
                self.metrics.refused("client");
                continue;
            };
            connections.spawn(Arc::clone(&self).connection(stream, address, place, stopped.clone()));
        }
        drop(socket);
        while connections.join_next().await.is_some() {}
    }

    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        address: SocketAddr,
        place: Place,
        stopped: watch::Receiver<bool>,
    ) {
        let _connected = Connected::new(&self.metrics);
        if let Err(error) = self.speak(stream, address, stopped).await {
            self.metrics.refused(error);
        }
        drop(place);
    }

    /// Says hello, and answers until one side has enough.
    async fn speak(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        stopped: watch::Receiver<bool>,
    ) -> Result<(), &'static str> {
        stream.set_nodelay(true).map_err(|_| "socket")?;
        match &self.security {
            Security::Off => self.http1(stream, address, stopped).await,
            Security::Tls(config) => {
                let acceptor = TlsAcceptor::from(Arc::clone(&config.borrow()));
                let patience = HANDSHAKE_PATIENCE;
                let stream =
                    timeout(patience, acceptor.accept(stream)).await.map_err(|_| "slow handshake")?;
                let stream = stream.map_err(|_| "handshake")?;
                if stream.get_ref().1.alpn_protocol() == Some(tls::HTTP2) {
                    self.http2(stream, address, stopped).await;
                } else {
                    self.http1(stream, address, stopped).await;
                }
            }
        }
        Ok(())
    }

    async fn http1<S>(&self, stream: S, address: SocketAddr, stopped: watch::Receiver<bool>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (stream, progress) = Patient::new(stream, self.limits.idle_patience);
        let requests = Requests::default();
        let service = self.service(address, &requests, &progress);
        let connection = conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_patience)
            .max_buf_size(HEAD_LIMIT)
            .serve_connection(TokioIo::new(stream), service_fn(service));
        // Whatever moves is a part of a request, or of an answer.
        self.drive(connection, &progress, (&requests, Duration::MAX), stopped).await;
    }

    async fn http2<S>(&self, stream: S, address: SocketAddr, stopped: watch::Receiver<bool>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (stream, progress) = Patient::new(stream, self.limits.idle_patience);
        let requests = Requests::default();
        let service = self.service(address, &requests, &progress);
        let connection = conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAM_LIMIT)
            .max_header_list_size(HEAD_LIMIT_HTTP2)
            .max_pending_accept_reset_streams(PENDING_RESET_LIMIT)
            .max_local_error_reset_streams(ERROR_RESET_LIMIT)
            .max_frame_size(FRAME_LIMIT)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .serve_connection(TokioIo::new(stream), service_fn(service));
        // There are frames that ask for nothing: they keep it for no longer than a request may take.
        let longest = self.limits.request_patience;
        self.drive(connection, &progress, (&requests, longest), stopped).await;
    }

    /// What answers a request of this connection.
    fn service(
        &self,
        address: SocketAddr,
        requests: &Requests,
        progress: &Progress,
    ) -> impl Fn(Request<Incoming>) -> Answering + Clone + use<> {
        let (router, requests, progress) = (self.router.clone(), requests.clone(), progress.clone());
        move |mut request| {
            request.extensions_mut().insert(PeerAddress(address.ip().to_canonical()));
            let at_work = requests.begin();
            let request = request.map(|it| Body::new(Upload::new(it, progress.clone())));
            let mut router = router.clone();
            Box::pin(async move {
                let answering = AssertUnwindSafe(router.call(request));
                let answered = answering.catch_unwind().await;
                drop(at_work);
                // The other requests of this connection have no part in it.
                answered.unwrap_or_else(|_| Ok(defect()))
            })
        }
    }

    /// Has a connection work until it ends, nothing moves for too long, there was no new request for the longest
    /// that there may be none, or everything ends.
    async fn drive<C: GracefulConnection>(
        &self,
        connection: C,
        progress: &Progress,
        (requests, longest): (&Requests, Duration),
        mut stopped: watch::Receiver<bool>,
    ) {
        let mut connection = pin!(connection);
        let mut ticks = interval_at(Instant::now() + self.limits.idle_patience, self.limits.idle_patience);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut seen, mut ending) = (progress.count(), false);
        let (mut begun, mut since) = (requests.begun(), Instant::now());
        loop {
            tokio::select! {
                // Whatever it ended with concerns the client alone.
                _ = connection.as_mut() => return,
                _ = stopped.wait_for(|it| *it), if !ending => {
                    ending = true;
                    connection.as_mut().graceful_shutdown();
                }
                _ = ticks.tick() => {
                    if begun != requests.begun() {
                        (begun, since) = (requests.begun(), Instant::now());
                    }
                    let still = seen == progress.count();
                    seen = progress.count();
                    let idle = still || longest <= since.elapsed();
                    if requests.any() || !idle {
                        continue;
                    }
                    if ending {
                        return;
                    }
                    (ending, since) = (true, Instant::now());
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

type Answering = std::pin::Pin<
    Box<dyn Future<Output = Result<axum::response::Response, std::convert::Infallible>> + Send>,
>;

/// Something that works until it is told to stop came to an end before: a defect, which the log tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a part of the server ended by a defect")]
pub struct Defect;

/// In the place of an answer that a defect prevented.
fn defect() -> axum::response::Response {
    let answer = ErrorAnswer::new(500, ErrorCode::Unknown);
    let head = [(CONTENT_TYPE, "application/json; charset=utf-8")];
    (StatusCode::INTERNAL_SERVER_ERROR, head, answer.body()).into_response()
}

/// A connection that is counted as long as it is there.
struct Connected<'a>(&'a ServerMetrics);

impl<'a> Connected<'a> {
    fn new(metrics: &'a ServerMetrics) -> Self {
        metrics.connected();
        Self(metrics)
    }
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.disconnected();
    }
}

/// Three round trips over the slowest of lines.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// A head has some hundred bytes, and a token of a few kilobytes.
const HEAD_LIMIT: usize = 64 << 10;
const HEAD_LIMIT_HTTP2: u32 = 64 << 10;
/// What one connection may ask for at once; more wait.
const STREAM_LIMIT: u32 = 64;
/// How many requests may be taken back before they were looked at, and how many may break the protocol: a
/// client's second thoughts are few, and an attack (CVE-2023-44487) is made of nothing else. Then the connection ends.
const PENDING_RESET_LIMIT: usize = 20;
const ERROR_RESET_LIMIT: usize = 256;
/// The least that there may be; a longer one is read into memory before anybody wants it.
const FRAME_LIMIT: u32 = 16 << 10;
/// What a connection may send ahead of whoever reads it: it is memory, ten thousand times. An upload still makes two
/// megabytes a second over a line of 100 ms.
const WINDOW: u32 = 256 << 10;
/// What is kept for a client that reads slowly, for each of its requests.
const SEND_BUFFER: usize = 64 << 10;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
