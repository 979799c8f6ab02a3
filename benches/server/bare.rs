//! What is left of a GET when nothing is done for it: TLS and HTTP by the same libraries, and bytes that are at hand.
//!
//! No server that answers over such connections, on this machine and beside this client, is faster.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::lab::Lab;

/// A server that answers all requests alike; it ends when it is dropped.
pub(crate) struct Bare {
    pub(crate) address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Bare {
    pub(crate) fn start(lab: &Lab, answer: Bytes) -> anyhow::Result<Self> {
        let certificates = lab.folder.join("certificates");
        let chain = vec![CertificateDer::from_pem_file(certificates.join("server.crt"))?];
        let key = PrivateKeyDer::from_pem_file(certificates.join("server.key"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        // Threads of its own, as a server has them.
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        runtime.spawn(async move {
            let Ok(socket) = TcpListener::from_std(socket) else { return };
            while let Ok((stream, _)) = socket.accept().await {
                let (acceptor, answer) = (acceptor.clone(), answer.clone());
                tokio::spawn(async move {
                    let _ = stream.set_nodelay(true);
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |_: Request<_>| {
                        let answer = Response::new(Full::new(answer.clone()));
                        async move { Ok::<_, Infallible>(answer) }
                    });
                    // An end of the connection is the client's to see.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(Self { address, runtime: Some(runtime) })
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
