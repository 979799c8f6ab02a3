//! The authorities that vouch for hosts: those that count for every host, and those of one host, which are asked
//! first.
//!
//! A system's bundle has more than a hundred certificates. Reading it takes longer than a handshake, and a host
//! with a folder of its own rarely needs it.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::tls::{certificates, first_certificate, provider, unusable};
use super::{HttpError, HttpOptions};

/// The authorities that count for every host, read when they are first asked for.
pub(super) struct System {
    bundle: Option<PathBuf>,
    read: Mutex<Option<Arc<WebPkiServerVerifier>>>,
}

impl System {
    /// In order: the file that `SSL_CERT_FILE` names, which must hold a certificate; the first bundle of the system
    /// that exists; the compiled-in roots of Mozilla.
    pub(super) fn new(options: &HttpOptions) -> Result<Self, HttpError> {
        let bundle = if let Some(path) = &options.certificate_file {
            first_certificate(path)?;
            Some(path)
        } else {
            options.certificate_bundles.iter().find(|path| path.is_file())
        };
        Ok(Self { bundle: bundle.cloned(), read: Mutex::default() })
    }

    /// What checks a chain of certificates that ends in one of them.
    pub(super) fn verifier(&self) -> Result<Arc<WebPkiServerVerifier>, HttpError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(verifier) = read.as_ref() {
            return Ok(Arc::clone(verifier));
        }
        let verifier = verifier(self.roots()?);
        *read = Some(Arc::clone(&verifier));
        Ok(verifier)
    }

    fn roots(&self) -> Result<RootCertStore, HttpError> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = &self.bundle {
            // A system's bundle may hold a certificate or two that webpki does not read.
            let (read, _) = roots.add_parsable_certificates(certificates(path)?);
            if read == 0 {
                return Err(unusable(path, &"no certificate in it can be read"));
            }
        } else {
            let compiled_in = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned();
            roots.add_parsable_certificates(compiled_in);
        }
        Ok(roots)
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System").field("bundle", &self.bundle).finish_non_exhaustive()
    }
}

/// A host's own authorities; who is not vouched for by them may be by the system's.
#[derive(Debug)]
pub(super) struct OwnFirst {
    own: Arc<WebPkiServerVerifier>,
    system: Arc<System>,
}

impl OwnFirst {
    /// `own` holds one certificate at least.
    pub(super) fn new(own: RootCertStore, system: Arc<System>) -> Self {
        Self { own: verifier(own), system }
    }
}

impl ServerCertVerifier for OwnFirst {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let ask = |verifier: &WebPkiServerVerifier| {
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        };
        let refused = match ask(&self.own) {
            Ok(verified) => return Ok(verified),
            Err(error) => error,
        };
        let system = self.system.verifier().map_err(|error| Error::General(error.to_string()))?;
        // Of two refusals the one that says more: that an authority is unknown is true of most of them.
        ask(&system).map_err(|error| if is_unknown_authority(&refused) { error } else { refused })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.own.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.own.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.own.supported_verify_schemes()
    }
}

fn is_unknown_authority(error: &Error) -> bool {
    matches!(error, Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer))
}

fn verifier(roots: RootCertStore) -> Arc<WebPkiServerVerifier> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .expect("there is an authority, and no list of revoked certificates that could be malformed")
}
