//! What the server proves itself with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;

use crate::signer::{TlsError, TlsFiles};

/// TLS 1.2 and 1.3 with this certificate and key; clients must show one of `authorities`, where it is given.
pub fn server_config(
    certificate: &Path,
    key: &Path,
    authorities: Option<&Path>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let files = TlsFiles {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        authorities: authorities.map_or_else(PathBuf::new, Path::to_owned),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|it| TlsError::new(certificate, &it))?;
    let builder = match authorities {
        Some(_) => builder.with_client_cert_verifier(files.known_clients()?),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(files.chain()?, files.private_key()?)
        .map_err(|it| TlsError::new(certificate, &it))?;
    config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
    Ok(Arc::new(config))
}

pub(super) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";
