//! Connections to a signer: TLS with certificates on both sides, a bounded number, ended in order.
//!
//! Knows nothing of keys; what is served is [`Services`]'s part.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{Request, Response};
use futures_util::{FutureExt as _, stream};
use rustls::ServerConfig;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tower::ServiceExt;
use tower::layer::layer_fn;

use super::journal::{Event, Journal, Peer};
use super::key_service::KeyService;
use super::service::Services;

/// Serves Notary's signer API until `shutdown`, and then until what was begun is done.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    keys: Arc<dyn KeyService>,
    journal: Journal,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let (sender, receiver) = mpsc::channel(1);
    let incoming = stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|connection| (Ok::<_, io::Error>(connection), receiver))
    });
    let (stop, mut stopped) = watch::channel(false);
    let services = Services::new(keys, Arc::clone(&journal));
    let server = Server::builder()
        .timeout(REQUEST_TIMEOUT)
        .concurrency_limit_per_connection(STREAM_LIMIT)
        .max_concurrent_streams(u32::try_from(STREAM_LIMIT).ok())
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        // A defect that one request meets is the end of that request.
        .layer(layer_fn(|routes: Routes| {
            ServiceExt::<Request<Body>>::map_future(routes, |answering| {
                AssertUnwindSafe(answering).catch_unwind().map(|it| it.unwrap_or_else(|_| Ok(defect())))
            })
        }))
        .add_service(services.key_management())
        .add_service(services.signer())
        .add_service(services.health())
        .serve_with_incoming_shutdown(incoming, async move {
            // An error means that nobody can say so any more.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        });
    let mut server = std::pin::pin!(server);
    let accepting = accept(listener, TlsAcceptor::from(tls), sender, &journal);
    tokio::select! {
        ended = &mut server => return ended.map_err(|it| ServeError(it.to_string())),
        () = accepting => {}
        () = shutdown => {}
    }
    stop.send_replace(true);
    match tokio::time::timeout(DRAIN_TIMEOUT, server).await {
        Ok(ended) => ended.map_err(|it| ServeError(it.to_string())),
        // Whoever has not read an answer by now does not want it.
        Err(_) => Ok(()),
    }
}

/// In the place of an answer that a defect prevented.
fn defect() -> Response<Body> {
    Status::internal("the signer has a defect").into_http()
}

/// The server could not go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signer cannot go on serving: {0}")]
pub struct ServeError(String);

/// Takes connections, and hands on those that proved who they are.
async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    sender: mpsc::Sender<Connection>,
    journal: &Journal,
) {
    // Strangers take no places of those who proved who they are.
    let strangers = Arc::new(Semaphore::new(HANDSHAKE_LIMIT));
    let places = Arc::new(Semaphore::new(CONNECTION_LIMIT));
    let mut handshakes = JoinSet::new();
    loop {
        let Ok(stranger) = Arc::clone(&strangers).acquire_owned().await else { return };
        let (socket, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // No file descriptors, mostly: they come back when connections end.
                let address = SocketAddr::from(([0, 0, 0, 0], 0));
                journal(&Event::Connection { address, reason: error.to_string() });
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        while handshakes.try_join_next().is_some() {}
        let (acceptor, sender, journal) = (acceptor.clone(), sender.clone(), Arc::clone(journal));
        let places = Arc::clone(&places);
        handshakes.spawn(async move {
            let connection = shake_hands(acceptor, socket, address, places).await;
            drop(stranger);
            match connection {
                // An error means that the server has ended.
                Ok(connection) => drop(sender.send(connection).await),
                Err(reason) => journal(&Event::Connection { address, reason }),
            }
        });
    }
}

async fn shake_hands(
    acceptor: TlsAcceptor,
    socket: TcpStream,
    address: SocketAddr,
    places: Arc<Semaphore>,
) -> Result<Connection, String> {
    socket.set_nodelay(true).map_err(|it| it.to_string())?;
    let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(socket))
        .await
        .map_err(|_| "the TLS handshake takes too long".to_owned())?
        .map_err(|it| it.to_string())?;
    let chain = stream.get_ref().1.peer_certificates();
    let certificate = chain.and_then(|it| it.first()).ok_or("it showed no certificate")?;
    let place = places.try_acquire_owned().map_err(|_| "there are too many connections".to_owned())?;
    let peer = Peer::new(address, &Sha256::digest(certificate).into());
    Ok(Connection { stream, peer, _place: place })
}

/// A connection of somebody who proved who they are.
struct Connection {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    _place: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, buffer)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// A trust server holds one connection, or a few.
const CONNECTION_LIMIT: usize = 256;
/// How many may be about to prove who they are; more wait to be accepted.
const HANDSHAKE_LIMIT: usize = 256;
/// How many requests one connection may have at once; more wait.
const STREAM_LIMIT: usize = 64;
/// A signature takes a millisecond; what waits this long waits for a database that is gone.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Three round trips.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// A peer that vanished without a word is noticed after both of them.
const KEEPALIVE_INTERVAL: Duration = Duration::from_mins(1);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Longer than any request takes.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
