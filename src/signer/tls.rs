//! TLS between a trust server and its signer: each proves to the other who it is, or nothing is said.
//!
//! Knows files and certificates, nothing of what is said.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use zeroize::Zeroizing;

use crate::http::read_bounded;

/// The files of one side. Whoever shows a certificate of `authorities` is the other side.
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
        let clients =
            WebPkiClientVerifier::builder_with_provider(self.roots()?.into(), Arc::clone(&provider))
                .build()
                .map_err(|it| unusable(&self.authorities, &it))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|it| unusable(&self.certificate, &it))?
            .with_client_cert_verifier(clients)
            .with_single_cert(certificates(&self.certificate)?, self.private_key()?)
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
            .with_client_auth_cert(certificates(&self.certificate)?, self.private_key()?)
            .map_err(|it| unusable(&self.certificate, &it))?;
        config.alpn_protocols = vec![HTTP2.to_vec()];
        Ok(Arc::new(config))
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.authorities)? {
            roots.add(certificate).map_err(|it| unusable(&self.authorities, &it))?;
        }
        Ok(roots)
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        let pem = read_bounded(&self.key, PEM_LIMIT).map(Zeroizing::new);
        let pem = pem.map_err(|it| unusable(&self.key, &it))?;
        PrivateKeyDer::from_pem_slice(&pem).map_err(|it| unusable(&self.key, &it))
    }
}

/// A file that TLS cannot start with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` cannot be used for TLS: {reason}", path.display())]
pub struct TlsError {
    path: PathBuf,
    reason: String,
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
    TlsError { path: path.to_owned(), reason: reason.to_string() }
}

/// What gRPC is spoken over.
const HTTP2: &[u8] = b"h2";
/// A chain has a few kilobytes.
const PEM_LIMIT: u64 = 1 << 20;
