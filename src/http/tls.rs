//! The files that say whom to believe that a host is itself, and how to prove to it who we are.
//!
//! Knows files and certificates, nothing of requests. The crypto provider is passed to rustls
//! explicitly, so that no global has to be installed first.

use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::authorities::{OwnFirst, System};
use super::file::{open_regular, read_bounded};
use super::{HttpError, HttpOptions};

/// The folders that hold files for this host, in docker's layout: `<base>/<host[:port]>`.
pub(super) fn host_folders(options: &HttpOptions, host: &str, port: u16) -> Vec<PathBuf> {
    // Docker writes the port where the address does; 443 is left out more often than not.
    let names: &[String] = match port {
        443 => &[host.to_owned(), format!("{host}:443")],
        _ => &[format!("{host}:{port}")],
    };
    let bases =
        options.config_dir.iter().map(|folder| folder.join("tls")).chain(options.tls_dirs.iter().cloned());
    bases
        .flat_map(|base| names.iter().map(move |name| base.join(name)))
        .filter(|folder| folder.is_dir())
        .collect()
}

/// TLS for hosts that have these folders: their CAs are believed besides the system's, and the
/// first client certificate in them is shown to hosts that ask.
pub(super) fn client_config(system: &Arc<System>, folders: &[PathBuf]) -> Result<ClientConfig, HttpError> {
    let mut own = RootCertStore::empty();
    let mut identity = None;
    for folder in folders {
        for path in files(folder)? {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => {
                    for certificate in certificates(&path)? {
                        own.add(certificate).map_err(|error| unusable(&path, &error))?;
                    }
                }
                Some("cert") if identity.is_none() => identity = Some(client_identity(&path)?),
                _ => {}
            }
        }
    }
    let verifier: Arc<dyn ServerCertVerifier> =
        if own.is_empty() { system.verifier()? } else { Arc::new(OwnFirst::new(own, Arc::clone(system))) };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring has the default versions")
        // Nothing is dangerous about this one: it asks webpki, at most twice.
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        Some(Identity { path, chain, key }) => {
            builder.with_client_auth_cert(chain, key).map_err(|error| unusable(&path, &error))?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// What computes for TLS.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

struct Identity {
    path: PathBuf,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// `name.cert` and the `name.key` beside it.
fn client_identity(path: &Path) -> Result<Identity, HttpError> {
    let chain = certificates(path)?;
    let key_path = path.with_extension("key");
    let pem = zeroize::Zeroizing::new(
        read_bounded(&key_path, CERTIFICATE_LIMIT).map_err(|error| unusable(&key_path, &error))?,
    );
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| unusable(&key_path, &error))?;
    Ok(Identity { path: path.to_owned(), chain, key })
}

/// All certificates of a file in PEM form.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, HttpError> {
    let pem = read_bounded(path, BUNDLE_LIMIT).map_err(|error| unusable(path, &error))?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(path, &error))?;
    if certificates.is_empty() {
        return Err(unusable(path, &NO_CERTIFICATE));
    }
    Ok(certificates)
}

/// The first of them, for which the others are not read.
pub(super) fn first_certificate(path: &Path) -> Result<CertificateDer<'static>, HttpError> {
    let file = open_regular(path).map_err(|error| unusable(path, &error))?;
    let pem = BufReader::new(file.take(BUNDLE_LIMIT));
    let first = CertificateDer::pem_reader_iter(pem).next().ok_or_else(|| unusable(path, &NO_CERTIFICATE))?;
    first.map_err(|error| unusable(path, &error))
}

/// The files of a folder in the order of their names.
fn files(folder: &Path) -> Result<Vec<PathBuf>, HttpError> {
    let entries = std::fs::read_dir(folder).map_err(|error| unusable(folder, &error))?;
    let mut paths = Vec::new();
    for entry in entries.take(FOLDER_LIMIT) {
        paths.push(entry.map_err(|error| unusable(folder, &error))?.path());
    }
    paths.sort();
    Ok(paths)
}

pub(super) fn unusable(path: &Path, reason: &dyn ToString) -> HttpError {
    HttpError::CertificateFile { path: path.to_owned(), reason: reason.to_string() }
}

/// Where Linux distributions keep their CA bundle.
pub(super) const SYSTEM_BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
const NO_CERTIFICATE: &str = "it holds no certificate in PEM form";
/// Distributions' bundles have about a quarter of a megabyte.
const BUNDLE_LIMIT: u64 = 16 << 20;
/// One private key has a few kilobytes.
const CERTIFICATE_LIMIT: u64 = 1 << 20;
/// A host has a few files; a folder with more than this is not one of ours.
const FOLDER_LIMIT: usize = 1_000;
