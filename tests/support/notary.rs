//! A trust server that does what a real one will not: any answer, any fault, every request counted.
//!
//! It speaks HTTP/1.1 over TLS on loopback, byte by byte, so that a test can cut, delay or
//! garble whatever it wants; [`FakeNotary::with_http2`] speaks HTTP/2. [`Shelf`] turns what
//! `trustgate::tuf::testing` publishes into the files of Notary's paths.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;
use trustgate::tuf::testing::Files;

/// A server on loopback; it stops when it is dropped.
pub(crate) struct FakeNotary {
    address: SocketAddr,
    certificate: String,
    state: Arc<State>,
    task: tokio::task::JoinHandle<()>,
}

/// Answers a request.
pub(crate) type Handler = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

/// What came in.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The last part of the path.
    pub(crate) fn file(&self) -> &str {
        self.target.rsplit('/').next().unwrap_or_default()
    }
}

/// What goes out.
#[derive(Clone)]
pub(crate) enum Reply {
    /// A regular answer.
    Answer { status: u16, headers: Vec<(String, String)>, body: Vec<u8> },
    /// These bytes, then the end of the connection.
    CutOff(Vec<u8>),
    /// These bytes, then silence.
    Silence(Vec<u8>),
    /// A head without a length, then bytes for as long as the client takes them.
    Endless,
}

impl Reply {
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::Answer { status: 200, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::Answer { status, headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn not_found() -> Self {
        let body = r#"{"errors":[{"code":"METADATA_NOT_FOUND","message":"You have requested metadata that does not exist.","detail":{}}]}"#;
        Self::Answer { status: 404, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn redirect(location: &str) -> Self {
        Self::status(302).with("Location", location)
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}

impl FakeNotary {
    pub(crate) async fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(Arc::new(handler), &[b"http/1.1"], None).await
    }

    /// The same for clients that show this certificate, and no others.
    pub(crate) async fn for_client(
        certificate: &rcgen::Certificate,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::listen(Arc::new(handler), &[b"http/1.1"], Some(certificate)).await
    }

    /// The same over HTTP/2; only [`Reply::Answer`] can be given.
    pub(crate) async fn with_http2(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(Arc::new(handler), &[b"h2"], None).await
    }

    async fn listen(handler: Handler, protocols: &[&[u8]], client: Option<&rcgen::Certificate>) -> Self {
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let key = rcgen::generate_simple_self_signed(names).expect("two names make a certificate");
        let private = PrivateKeyDer::Pkcs8(key.signing_key.serialize_der().into());
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring has the default versions");
        let builder = match client {
            None => builder.with_no_client_auth(),
            Some(certificate) => {
                let mut roots = RootCertStore::empty();
                roots.add(certificate.der().clone()).expect("a certificate of the test's own");
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().expect("one root is enough"))
            }
        };
        let mut config = builder
            .with_single_cert(vec![key.cert.der().clone()], private)
            .expect("key and certificate belong together");
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let state = Arc::new(State {
            handler: Mutex::new(handler),
            requests: Mutex::default(),
            connections: AtomicUsize::default(),
        });
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let task =
            tokio::spawn(Arc::clone(&state).serve(listener, acceptor, protocols.contains(&b"h2".as_slice())));
        Self { address, certificate: key.cert.pem(), state, task }
    }

    /// `127.0.0.1:port`.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn url(&self, path: &str) -> url::Url {
        format!("https://{}{path}", self.address).parse().expect("an address makes a URL")
    }

    /// Puts the server's certificate where docker looks for a host's CA.
    pub(crate) fn trust_in(&self, config_dir: &Path) {
        let folder = config_dir.join("tls").join(self.host());
        std::fs::create_dir_all(&folder).expect("the test's own folder");
        std::fs::write(folder.join("ca.crt"), &self.certificate).expect("the test's own folder");
    }

    /// Replaces what answers.
    pub(crate) fn answer(&self, handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        *self.state.handler.lock().expect("no handler panics") = Arc::new(handler);
    }

    /// Every request since the last call.
    pub(crate) fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.state.requests.lock().expect("no handler panics"))
    }

    /// How many TLS connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }
}

impl Drop for FakeNotary {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct State {
    handler: Mutex<Handler>,
    requests: Mutex<Vec<Request>>,
    connections: AtomicUsize,
}

impl State {
    async fn serve(self: Arc<Self>, listener: TcpListener, acceptor: TlsAcceptor, http2: bool) {
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((socket, _)) = listener.accept().await {
            let (state, acceptor) = (Arc::clone(&self), acceptor.clone());
            connections.spawn(async move {
                let Ok(stream) = acceptor.accept(socket).await else { return };
                state.connections.fetch_add(1, Ordering::SeqCst);
                if http2 {
                    state.many_at_once(stream).await;
                } else {
                    // A client that goes away ends the connection; there is nobody to tell.
                    let _ = state.one_by_one(stream).await;
                }
            });
        }
    }

    async fn one_by_one(&self, mut stream: TlsStream<TcpStream>) -> std::io::Result<()> {
        let mut buffer = Vec::new();
        while let Some(request) = read_request(&mut stream, &mut buffer).await? {
            match self.reply(request) {
                Reply::Answer { status, headers, body } => {
                    let mut head = format!("HTTP/1.1 {status} -\r\nContent-Length: {}\r\n", body.len());
                    for (name, value) in headers {
                        head.extend([name.as_str(), ": ", value.as_str(), "\r\n"]);
                    }
                    head.push_str("\r\n");
                    stream.write_all(&[head.into_bytes(), body].concat()).await?;
                }
                Reply::CutOff(bytes) => {
                    stream.write_all(&bytes).await?;
                    return stream.shutdown().await;
                }
                Reply::Silence(bytes) => {
                    stream.write_all(&bytes).await?;
                    stream.flush().await?;
                    // Until the client gives up.
                    let _ = stream.read(&mut [0; 64]).await?;
                    return Ok(());
                }
                Reply::Endless => {
                    stream.write_all(b"HTTP/1.1 200 -\r\n\r\n{").await?;
                    loop {
                        stream.write_all(&[b' '; 4096]).await?;
                    }
                }
            }
            stream.flush().await?;
        }
        Ok(())
    }

    async fn many_at_once(self: Arc<Self>, stream: TlsStream<TcpStream>) {
        let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let headers = request.headers().iter();
            let request = Request {
                method: request.method().to_string(),
                target: request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
                headers: headers
                    .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
                    .collect(),
                body: String::new(),
            };
            let Reply::Answer { status, body, .. } = self.reply(request) else {
                panic!("HTTP/2 tests give regular answers");
            };
            let answer = hyper::Response::builder().status(status).body(axum::body::Body::from(body));
            std::future::ready(answer)
        });
        let executor = hyper_util::rt::TokioExecutor::new();
        let io = hyper_util::rt::TokioIo::new(stream);
        let _ = hyper::server::conn::http2::Builder::new(executor).serve_connection(io, service).await;
    }

    fn reply(&self, request: Request) -> Reply {
        let handler = Arc::clone(&self.handler.lock().expect("no handler panics"));
        let reply = handler(&request);
        self.requests.lock().expect("no handler panics").push(request);
        reply
    }
}

async fn read_request(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    buffer: &mut Vec<u8>,
) -> std::io::Result<Option<Request>> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    buffer.drain(..end + 4);
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let method = first.next().unwrap_or_default().to_owned();
    let target = first.next().unwrap_or_default().to_owned();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    let body = String::from_utf8_lossy(&buffer.drain(..length).collect::<Vec<u8>>()).into_owned();
    Ok(Some(Request { method, target, headers, body }))
}

/// The files of any number of repositories, by their paths on a trust server.
#[derive(Clone, Default)]
pub(crate) struct Shelf {
    files: BTreeMap<String, Vec<u8>>,
}

impl Shelf {
    /// Adds what was published: current files, files by hash, and the root by its version. What
    /// was added before stays reachable by hash and version.
    pub(crate) fn publish(&mut self, files: &Files) {
        let base = format!("/v2/{}/_trust/tuf", files.gun());
        for (role, content) in &files.files {
            let hash = hex::encode(Sha256::digest(content));
            self.files.insert(format!("{base}/{role}.json"), content.clone());
            self.files.insert(format!("{base}/{role}.{hash}.json"), content.clone());
            if role == "root" {
                let version = trustgate::tuf::peek_version(content).map_or(0, trustgate::tuf::Version::get);
                self.files.insert(format!("{base}/{version}.root.json"), content.clone());
            }
        }
    }

    /// Takes files away whose path contains this text.
    pub(crate) fn remove(&mut self, text: &str) {
        self.files.retain(|path, _| !path.contains(text));
    }

    /// What a server with these files answers.
    pub(crate) fn reply(&self, request: &Request) -> Reply {
        self.files.get(&request.target).map_or_else(Reply::not_found, |content| Reply::ok(content.clone()))
    }
}
