//! A trust server on loopback: HTTPS, a certificate of its own, and the files that a test gives it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sha2::{Digest as _, Sha256};
use trustgate::tuf::testing::Files;

/// A server that runs until the test ends. It may be given other files while it runs.
pub(crate) struct TrustServer {
    address: SocketAddr,
    certificate: String,
    shelf: Arc<Mutex<Shelf>>,
}

#[derive(Default)]
struct Shelf {
    /// By URL path.
    files: BTreeMap<String, Vec<u8>>,
    /// An answer to everything, in place of the files.
    failure: Option<(u16, &'static str)>,
    requests: Vec<String>,
}

impl TrustServer {
    /// A server that knows no repository yet.
    pub(crate) fn start() -> Self {
        let name = Ipv4Addr::LOCALHOST.to_string();
        let certified = rcgen::generate_simple_self_signed([name]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shelf = Arc::new(Mutex::new(Shelf::default()));
        let (config, shared) = (Arc::new(config), Arc::clone(&shelf));
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let (config, shelf) = (Arc::clone(&config), Arc::clone(&shared));
                std::thread::spawn(move || answer_all(connection.unwrap(), config, &shelf));
            }
        });
        Self { address, certificate: certified.cert.pem(), shelf }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The CA file for `tls/<host>/`.
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Hands out these files, by role name and, as consistent snapshots want it, by hash.
    pub(crate) fn publish(&self, files: &Files) {
        let mut known = self.shelf.lock().unwrap();
        for (role, file) in &files.files {
            let folder = format!("/v2/{}/_trust/tuf", files.gun());
            let hash = hex::encode(Sha256::digest(file));
            known.files.insert(format!("{folder}/{role}.json"), file.clone());
            known.files.insert(format!("{folder}/{role}.{hash}.json"), file.clone());
        }
    }

    /// Answers everything with this status and body from now on.
    pub(crate) fn fail(&self, status: u16, body: &'static str) {
        self.shelf.lock().unwrap().failure = Some((status, body));
    }

    /// The requests so far, as method and path.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shelf.lock().unwrap().requests.clone()
    }
}

/// Answers one connection until the client is gone, or sends what is no request.
fn answer_all(connection: TcpStream, config: Arc<ServerConfig>, shelf: &Mutex<Shelf>) {
    let Ok(session) = ServerConnection::new(config) else { return };
    let mut stream = BufReader::new(StreamOwned::new(session, connection));
    while let Some(request) = read_head(&mut stream) {
        let (status, body) = shelf.lock().unwrap().answer(&request);
        let head = format!("HTTP/1.1 {status} -\r\ncontent-length: {}\r\n\r\n", body.len());
        let stream = stream.get_mut();
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).is_err() {
            return;
        }
    }
}

/// The first line of a request, without the version; its other lines are passed over.
fn read_head(stream: &mut impl BufRead) -> Option<String> {
    let mut first = String::new();
    stream.read_line(&mut first).ok().filter(|read| *read > 0)?;
    for line in stream.lines() {
        if line.ok()?.is_empty() {
            return first.rsplit_once(' ').map(|(request, _)| request.to_owned());
        }
    }
    None
}

impl Shelf {
    fn answer(&mut self, request: &str) -> (u16, Vec<u8>) {
        self.requests.push(request.to_owned());
        if let Some((status, body)) = self.failure {
            return (status, body.as_bytes().to_vec());
        }
        match request.strip_prefix("GET ").and_then(|path| self.files.get(path)) {
            Some(file) => (200, file.clone()),
            None => {
                (404, br#"{"errors":[{"code":"METADATA_NOT_FOUND","message":"none","detail":{}}]}"#.to_vec())
            }
        }
    }
}
