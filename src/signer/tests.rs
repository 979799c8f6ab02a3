//! A signer and its client over loopback: the wire between our own two ends, and who gets onto it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::*;
use crate::image::Gun;
use crate::keys::PrivateKey;
use crate::tuf::author::{SignatureMethod, Signer as _};
use crate::tuf::testing::now;
use crate::tuf::{KeyType, RoleName};
use vault::{SealingKey, SealingKeys};

struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::default();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "authority");
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self { issuer: rcgen::Issuer::new(parameters, key), pem }
    }

    /// Files of somebody whom this authority vouches for, and who believes `believed`.
    fn files(&self, folder: &Path, name: &str, believed: &Self) -> TlsFiles {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        parameters.extended_key_usages =
            vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth, rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap().pem();
        let write = |suffix: &str, text: &str| {
            let path = folder.join(format!("{name}.{suffix}"));
            std::fs::write(&path, text).unwrap();
            path
        };
        TlsFiles {
            certificate: write("crt", &certificate),
            key: write("key", &key.serialize_pem()),
            authorities: write("ca", &believed.pem),
        }
    }
}

/// A signer on loopback that ends with the value.
struct Running {
    address: SocketAddr,
    lines: Arc<Mutex<Vec<String>>>,
    stop: Option<oneshot::Sender<()>>,
    served: tokio::task::JoinHandle<Result<(), ServeError>>,
    authority: Authority,
    folder: tempfile::TempDir,
}

impl Running {
    async fn over(keys: Arc<dyn KeyService>) -> Self {
        let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
        let tls = authority.files(folder.path(), "signer", &authority).server_config().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let journal: Journal = {
            let lines = Arc::clone(&lines);
            Arc::new(move |event: &Event<'_>| lines.lock().unwrap().push(event.to_string()))
        };
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(serve(listener, tls, keys, journal, async {
            let _ = stopped.await;
        }));
        Self { address, lines, stop: Some(stop), served, authority, folder }
    }

    fn client(&self) -> RemoteSigner {
        let files = self.authority.files(self.folder.path(), "client", &self.authority);
        RemoteSigner::new("127.0.0.1", self.address.port(), files.client_config().unwrap()).unwrap()
    }

    fn lines(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }
}

fn vault() -> Arc<Vault> {
    let sealing = SealingKeys::new("test".parse().unwrap(), SealingKey::random().unwrap());
    Arc::new(Vault::new(Arc::new(MemoryRows::new()), sealing, Arc::new(now)))
}

fn gun() -> Gun {
    "docker.io/acme/base".parse().unwrap()
}

#[tokio::test]
async fn a_signer_behind_the_wire_is_a_signer() {
    let vault = vault();
    let running = Running::over(vault.clone()).await;
    let client = running.client();
    client.health().await.unwrap();
    let kinds = [
        (KeyAlgorithm::Ed25519, KeyType::Ed25519, SignatureMethod::Eddsa),
        (KeyAlgorithm::P256, KeyType::Ecdsa, SignatureMethod::Ecdsa),
    ];
    for (algorithm, key_type, method) in kinds {
        let key = client.create(&gun(), &RoleName::TIMESTAMP, algorithm).await.unwrap();
        assert_eq!(key.key_type(), &key_type);
        let id = key.canonical_id();
        let info = KeyInfo { public: key.clone(), role: RoleName::TIMESTAMP };
        assert_eq!(client.info(id).await.unwrap(), info);
        let signature = client.sign(id, b"the very secret text").await.unwrap();
        assert_eq!(signature.method, method);
        assert_eq!(signature, vault.sign(id, b"the very secret text").await.unwrap());
        client.delete(id).await.unwrap();
        let unknown = KeyServiceError::Unknown { key: id.clone() };
        assert_eq!(client.sign(id, b"m").await, Err(unknown.clone()));
        assert_eq!(client.info(id).await, Err(unknown.clone()));
        assert_eq!(client.delete(id).await, Err(unknown));
    }
    let lines = running.lines();
    for expected in ["handed out timestamp key", "signed 20 bytes with key", "deleted key", "Sign for"] {
        assert!(lines.contains(expected), "{lines}");
    }
    assert!(!lines.contains("secret"), "{lines}");
}

#[tokio::test]
async fn texts_up_to_the_limit_pass_the_wire() {
    let vault = vault();
    let running = Running::over(vault.clone()).await;
    let client = running.client();
    let key = client.create(&gun(), &RoleName::SNAPSHOT, KeyAlgorithm::Ed25519).await.unwrap();
    let text = vec![7; wire::MESSAGE_LIMIT];
    client.sign(key.canonical_id(), &text).await.unwrap();
    let longer = vec![7; wire::MESSAGE_LIMIT + 1];
    let error = client.sign(key.canonical_id(), &longer).await.unwrap_err();
    assert_eq!(error, KeyServiceError::TooLong { length: longer.len(), limit: wire::MESSAGE_LIMIT });
}

#[tokio::test]
async fn nobody_signs_without_a_certificate_of_the_authority() {
    let running = Running::over(vault()).await;
    let stranger = Authority::new();
    // Believes the signer, and shows what another authority vouches for.
    let files = stranger.files(running.folder.path(), "stranger", &running.authority);
    let client = RemoteSigner::new("127.0.0.1", running.address.port(), files.client_config().unwrap());
    let error = client.unwrap().health().await.unwrap_err();
    assert!(matches!(error, KeyServiceError::Unavailable { .. } | KeyServiceError::Failed { .. }), "{error}");
    // Shows none.
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls_certificates(&running.authority.pem) {
        roots.add(certificate).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut nobody = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    nobody.alpn_protocols = vec![b"h2".to_vec()];
    let client = RemoteSigner::new("127.0.0.1", running.address.port(), Arc::new(nobody)).unwrap();
    assert!(client.health().await.is_err());
    running.client().health().await.unwrap();
    let lines = running.lines();
    assert_eq!(lines.matches("no connection from 127.0.0.1").count(), 2, "{lines}");
}

/// As in the configuration that Notary shows: the server's own certificate stands for an authority.
#[tokio::test]
async fn a_client_whose_certificate_is_listed_needs_no_authority() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let client = authority.files(folder.path(), "client", &authority);
    let other = authority.files(folder.path(), "other", &authority);
    let signer = TlsFiles {
        authorities: client.certificate.clone(),
        ..authority.files(folder.path(), "signer", &authority)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tls = signer.server_config().unwrap();
    let serving = serve(listener, tls, vault(), Arc::new(|_: &Event<'_>| {}), std::future::pending());
    let serving = tokio::spawn(serving);
    let connect = |files: &TlsFiles| RemoteSigner::new("127.0.0.1", port, files.client_config().unwrap());
    connect(&client).unwrap().health().await.unwrap();
    // Of the same authority, which is not listed.
    assert!(connect(&other).unwrap().health().await.is_err());
    serving.abort();
}

#[test]
fn a_listed_certificate_counts_as_long_as_it_is_valid() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let mut parameters = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    (parameters.not_before, parameters.not_after) =
        (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 1, 1));
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = parameters.signed_by(&key, &authority.issuer).unwrap();
    let files = authority.files(folder.path(), "signer", &authority);
    std::fs::write(&files.authorities, certificate.pem()).unwrap();
    let verifier = files.known_clients().unwrap();
    let at = |date: &str| {
        let second = date.parse::<jiff::Timestamp>().unwrap().as_second().try_into().unwrap();
        let now = rustls::pki_types::UnixTime::since_unix_epoch(Duration::from_secs(second));
        verifier.verify_client_cert(certificate.der(), &[], now)
    };
    at("2020-06-01T00:00:00Z").unwrap();
    assert!(at("2019-12-31T23:59:59Z").is_err());
    assert!(at("2021-01-01T00:00:01Z").is_err());
}

fn rustls_certificates(pem: &str) -> Vec<rustls::pki_types::CertificateDer<'static>> {
    use rustls::pki_types::pem::PemObject as _;
    rustls::pki_types::CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_signer_of_another_authority_is_not_believed() {
    let running = Running::over(vault()).await;
    let other = Authority::new();
    let files = running.authority.files(running.folder.path(), "misled", &other);
    let client = RemoteSigner::new("127.0.0.1", running.address.port(), files.client_config().unwrap());
    assert!(matches!(client.unwrap().health().await, Err(KeyServiceError::Unavailable { .. })));
}

#[tokio::test]
async fn a_signer_that_ends_finishes_first_and_is_found_again() {
    let mut running = Running::over(vault()).await;
    let client = running.client();
    client.health().await.unwrap();
    running.stop.take().unwrap().send(()).unwrap();
    (&mut running.served).await.unwrap().unwrap();
    assert!(matches!(client.health().await, Err(KeyServiceError::Unavailable { .. })));
    // At the same address, with the same certificates.
    let listener = TcpListener::bind(running.address).await.unwrap();
    let files = running.authority.files(running.folder.path(), "again", &running.authority);
    let tls = files.server_config().unwrap();
    let serving = serve(listener, tls, vault(), Arc::new(|_: &Event<'_>| {}), std::future::pending());
    let serving = tokio::spawn(serving);
    client.health().await.unwrap();
    serving.abort();
}

/// A panic is the end of one request, which learns nothing of it; the connection goes on.
#[tokio::test]
async fn a_defect_is_the_end_of_one_request() {
    let sealing = SealingKeys::new("test".parse().unwrap(), SealingKey::random().unwrap());
    let clock: Clock = Arc::new(|| panic!("a defect, which a test wants"));
    let vault = Vault::new(Arc::new(MemoryRows::new()), sealing, clock);
    let running = Running::over(Arc::new(vault)).await;
    let client = running.client();
    let error = client.create(&gun(), &RoleName::TIMESTAMP, KeyAlgorithm::Ed25519).await.unwrap_err();
    assert!(error.to_string().contains("the signer has a defect"), "{error}");
    client.health().await.unwrap();
}

/// A connection that says nothing takes a place, and the others go on.
#[tokio::test]
async fn silence_holds_nobody_up() {
    let running = Running::over(vault()).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(running.address).await.unwrap());
    }
    running.client().health().await.unwrap();
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(30)).await;
    tokio::time::resume();
    for stream in &mut silent {
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
    }
    assert_eq!(running.lines().matches("takes too long").count(), 20);
}

#[tokio::test]
async fn requests_that_are_none_are_refused_and_noted() {
    let running = Running::over(vault()).await;
    let client = running.client();
    let mut keys = client.keys_for_tests();
    let create = |algorithm: &str, gun: &str, role: &str| wire::NewKey {
        algorithm: algorithm.to_owned(),
        gun: gun.to_owned(),
        role: role.to_owned(),
    };
    let cases = [
        create("rsa", "acme/a", "timestamp"),
        create("", "acme/a", "timestamp"),
        create("ed25519", "", "timestamp"),
        create("ed25519", "acme/../a", "timestamp"),
        create("ed25519", "acme/a\nsigned", "timestamp"),
        create("ed25519", "acme/a", "targets/../root"),
        create("ed25519", "acme/a", ""),
    ];
    for request in cases {
        let status = keys.create_key(request.clone()).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{request:?}");
    }
    for digits in ["", "zz", &"A".repeat(64), "../../key"] {
        let name = wire::KeyName { digits: digits.to_owned() };
        assert_eq!(keys.get_key_info(name).await.unwrap_err().code(), tonic::Code::InvalidArgument);
    }
    // Far more than a GUN has.
    let status = keys.create_key(create("ed25519", &"a".repeat(100_000), "timestamp")).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::OutOfRange, "{status}");
    let lines = running.lines();
    assert_eq!(lines.lines().count(), 11, "{lines}");
}

/// A signer that answers with other keys than it was asked for.
struct Liar(PrivateKey);

impl KeyService for Liar {
    fn create<'a>(
        &'a self,
        _: &'a Gun,
        _: &'a RoleName,
        _: KeyAlgorithm,
    ) -> futures_util::future::BoxFuture<'a, Result<crate::tuf::PublicKey, KeyServiceError>> {
        Box::pin(std::future::ready(Ok(self.0.public().clone())))
    }

    fn info<'a>(
        &'a self,
        _: &'a crate::tuf::KeyId,
    ) -> futures_util::future::BoxFuture<'a, Result<KeyInfo, KeyServiceError>> {
        let info = KeyInfo { public: self.0.public().clone(), role: RoleName::TIMESTAMP };
        Box::pin(std::future::ready(Ok(info)))
    }

    fn sign<'a>(
        &'a self,
        _: &'a crate::tuf::KeyId,
        message: &'a [u8],
    ) -> futures_util::future::BoxFuture<'a, Result<crate::tuf::author::RawSignature, KeyServiceError>> {
        Box::pin(std::future::ready(Ok(self.0.sign(message).unwrap())))
    }

    fn delete<'a>(
        &'a self,
        _: &'a crate::tuf::KeyId,
    ) -> futures_util::future::BoxFuture<'a, Result<(), KeyServiceError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn health(&self) -> futures_util::future::BoxFuture<'_, Result<(), KeyServiceError>> {
        Box::pin(std::future::ready(Err(KeyServiceError::Unavailable {
            reason: "database of /srv/secret".to_owned(),
        })))
    }
}

#[tokio::test]
async fn what_a_signer_says_of_other_keys_is_not_taken() {
    let running = Running::over(Arc::new(Liar(PrivateKey::generate_p256().unwrap()))).await;
    let client = running.client();
    let asked = PrivateKey::generate_p256().unwrap();
    let misbehaved = |error: KeyServiceError| matches!(error, KeyServiceError::Misbehaved { .. });
    assert!(misbehaved(client.info(asked.id()).await.unwrap_err()));
    // A P-256 key where Ed25519 was asked for.
    assert!(misbehaved(
        client.create(&gun(), &RoleName::TIMESTAMP, KeyAlgorithm::Ed25519).await.unwrap_err()
    ));
    let error = client.health().await.unwrap_err().to_string();
    assert!(error.contains("does not work"), "{error}");
    // The operator reads why; whoever asked does not.
    assert!(running.lines().contains("/srv/secret") && !error.contains("/srv/secret"));
}
