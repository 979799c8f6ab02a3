//! A client that costs little: one connection, kept open, one request after the other.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// One connection to a trust server.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

/// Opens connections that trust one authority.
#[derive(Clone)]
pub(crate) struct Dialer {
    connector: TlsConnector,
}

impl Dialer {
    pub(crate) fn new(authority: &Path) -> anyhow::Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(authority)?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)) })
    }

    pub(crate) async fn dial(&self, address: SocketAddr) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let stream = self.connector.connect(ServerName::from(address.ip()), stream).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // An end of the connection shows at the next request.
        tokio::spawn(connection);
        Ok(Connection { sender, host: address.to_string() })
    }

    /// Waits until a server makes keys, which only one with a signer that works does.
    pub(crate) async fn until_signing(&self, address: SocketAddr, deadline: Instant) -> anyhow::Result<()> {
        loop {
            let answer =
                async { self.dial(address).await?.get("/v2/warm/up/_trust/tuf/timestamp.key").await };
            match answer.await {
                Ok(_) => return Ok(()),
                Err(error) if deadline < Instant::now() => return Err(error),
                // Nothing tells of the moment in which a process that starts begins to listen.
                Err(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }
}

impl Connection {
    /// The file or key at a path, which must be there.
    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<Bytes> {
        let (status, body) = self.send(Method::GET, path, None).await?;
        ensure!(status == StatusCode::OK, "{path}: {status} {}", String::from_utf8_lossy(&body));
        Ok(body)
    }

    /// Publishes these files.
    pub(crate) async fn post(
        &mut self,
        path: &str,
        files: &[(&str, &[u8])],
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        self.send(Method::POST, path, Some(form(files))).await
    }

    /// One request, and its answer.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let mut request = Request::builder().method(method).uri(path).header("host", &self.host);
        if body.is_some() {
            request = request.header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"));
        }
        let request = request.body(Full::new(Bytes::from(body.unwrap_or_default())))?;
        self.sender.ready().await.context("the server closed the connection")?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }
}

/// The body of an upload.
pub(crate) fn form(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (role, file) in files {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{role}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(file);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

const BOUNDARY: &str = "boundary-of-the-measured-uploads";
const LOOK_EVERY: Duration = Duration::from_millis(20);
