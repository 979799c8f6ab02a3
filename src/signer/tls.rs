//! TLS between a trust server and its signer: each proves to the other who it is, or nothing is said.
//!
//! Knows files and certificates, nothing of what is said.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig,
    SignatureScheme,
};
use x509_cert::der::Decode as _;
use zeroize::Zeroizing;

use crate::http::read_bounded;

/// The files of one side. Whoever shows a certificate of `authorities` is the other side; to a signer
/// also who shows one that stands there itself, as a self-signed one may.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TlsFiles {
    /// The chain of certificates that is shown, in PEM.
    pub certificate: PathBuf,
    /// The private key of the first of them, in PEM.
    pub key: PathBuf,
    /// The certificates of the authorities that the other side's comes from, in PEM.
    pub authorities: PathBuf,
}

impl TlsFiles {
    /// What a signer listens with.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|it| unusable(&self.certificate, &it))?
            .with_client_cert_verifier(self.known_clients()?)
            .with_single_cert(self.chain()?, self.private_key()?)
            .map_err(|it| unusable(&self.certificate, &it))?;
        config.alpn_protocols = vec![HTTP2.to_vec()];
        Ok(Arc::new(config))
    }

    /// What a trust server connects with.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|it| unusable(&self.certificate, &it))?
            .with_root_certificates(self.roots()?)
            .with_client_auth_cert(self.chain()?, self.private_key()?)
            .map_err(|it| unusable(&self.certificate, &it))?;
        config.alpn_protocols = vec![HTTP2.to_vec()];
        Ok(Arc::new(config))
    }

    pub(crate) fn known_clients(&self) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let vouched = WebPkiClientVerifier::builder_with_provider(self.roots()?.into(), provider)
            .build()
            .map_err(|it| unusable(&self.authorities, &it))?;
        let listed = certificates(&self.authorities)?;
        Ok(Arc::new(KnownClients { listed, vouched }))
    }

    /// The certificate that is shown, and those between it and its authority.
    pub(crate) fn chain(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        certificates(&self.certificate)
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.authorities)? {
            roots.add(certificate).map_err(|it| unusable(&self.authorities, &it))?;
        }
        Ok(roots)
    }

    /// The private key of the certificate that is shown.
    pub(crate) fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        let pem = read_bounded(&self.key, PEM_LIMIT).map(Zeroizing::new);
        let pem = pem.map_err(|it| unusable(&self.key, &it))?;
        PrivateKeyDer::from_pem_slice(&pem).map_err(|it| unusable(&self.key, &it))
    }
}

/// Clients that an authority vouches for, or whose very certificate is listed.
#[derive(Debug)]
struct KnownClients {
    listed: Vec<CertificateDer<'static>>,
    vouched: Arc<dyn ClientCertVerifier>,
}

impl ClientCertVerifier for KnownClients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // None: Go's client keeps a certificate back whose issuer is not among them, which
        // that of a listed certificate is not.
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if self.listed.iter().any(|it| it == certificate) {
            return check_validity(certificate, now).map(|()| ClientCertVerified::assertion());
        }
        self.vouched.verify_client_cert(certificate, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.vouched.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.vouched.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.vouched.supported_verify_schemes()
    }
}

fn check_validity(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), rustls::Error> {
    let parsed = x509_cert::Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let validity = parsed.tbs_certificate().validity();
    let now = Duration::from_secs(now.as_secs());
    if now < validity.not_before.to_unix_duration() {
        return Err(CertificateError::NotValidYet.into());
    }
    if validity.not_after.to_unix_duration() < now {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}

/// A file that TLS cannot start with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` cannot be used for TLS: {reason}", path.display())]
pub struct TlsError {
    path: PathBuf,
    reason: String,
}

impl TlsError {
    pub(crate) fn new(path: &Path, reason: &dyn ToString) -> Self {
        Self { path: path.to_owned(), reason: reason.to_string() }
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read_bounded(path, PEM_LIMIT).map_err(|it| unusable(path, &it))?;
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|it| unusable(path, &it))?;
    if certificates.is_empty() {
        return Err(unusable(path, &"it holds no certificate in PEM form"));
    }
    Ok(certificates)
}

fn unusable(path: &Path, reason: &dyn ToString) -> TlsError {
    TlsError::new(path, reason)
}

/// What gRPC is spoken over.
const HTTP2: &[u8] = b"h2";
/// A chain has a few kilobytes.
const PEM_LIMIT: u64 = 1 << 20;
