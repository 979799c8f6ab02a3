//! Certificates that wrap keys: what a root certificate must look like, and chains to an authority.
//!
//! As Notary, and unlike TLS, a certificate is looked at as a name on a key: no revocation, no
//! subject alternative names. Unlike Notary, whose chains to a pinned authority demand the key usage
//! of a TLS server, a leaf may have any extended key usage: the certificates that Notary makes itself
//! say `codeSigning`, and could never chain to anything.

use jiff::Timestamp;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _, Reader as _, SliceReader};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};
use x509_cert::time::Time;

use super::error::shown;
use super::view::Parsed;

/// The certificates of one key: the leaf that holds it, then authorities between it and others.
#[derive(Clone, Debug)]
pub(crate) struct Bundle {
    certificates: Vec<Certificate>,
    first: Certificate,
}

impl Bundle {
    /// Reads the PEM text of a key of type `…-x509`.
    pub(super) fn parse(text: &[u8]) -> Parsed<Self> {
        let blocks = pem::parse_many(text).map_err(|it| format!("the certificate is not PEM: {it}"))?;
        if blocks.len() > BUNDLE_LIMIT {
            return Err(format!("more than {BUNDLE_LIMIT} certificates for one key"));
        }
        let mut certificates = blocks.into_iter().map(|block| {
            if block.tag() == "CERTIFICATE" {
                Certificate::parse(block.into_contents())
            } else {
                Err(format!("a PEM block of type {} where a certificate should be", shown(block.tag())))
            }
        });
        let first = certificates.next().ok_or("the key holds no certificate")??;
        Ok(Self { certificates: certificates.collect::<Parsed<_>>()?, first })
    }

    /// A leaf, then authorities between it and others, each in DER.
    pub(crate) fn from_der(chain: Vec<Vec<u8>>) -> Parsed<Self> {
        if chain.len() > BUNDLE_LIMIT {
            return Err(format!("more than {BUNDLE_LIMIT} certificates for one key"));
        }
        let mut certificates = chain.into_iter().map(Certificate::parse);
        let first = certificates.next().ok_or("the key holds no certificate")??;
        Ok(Self { certificates: certificates.collect::<Parsed<_>>()?, first })
    }

    /// The certificate that holds the key.
    pub(crate) fn first(&self) -> &Certificate {
        &self.first
    }

    /// The leaf, when the bundle is one leaf followed by authorities, as a root key must be.
    pub(super) fn leaf(&self) -> Parsed<&Certificate> {
        if self.first.is_authority() {
            return Err("its first certificate is an authority's".to_owned());
        }
        if !self.certificates.iter().all(Certificate::is_authority) {
            return Err("it holds more than one certificate that is not an authority's".to_owned());
        }
        Ok(&self.first)
    }

    /// Checks that the leaf leads to one of the authorities, at a time or whatever the time.
    pub(crate) fn chains_to(&self, authorities: &[Certificate], at: Option<Timestamp>) -> Parsed<()> {
        let mut search = Search { intermediates: &self.certificates, authorities, at, steps: CHAIN_STEPS };
        search.vouched_for(&self.first, 0)
    }
}

/// One certificate.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    der: Vec<u8>,
    parsed: x509_cert::Certificate,
}

impl Certificate {
    /// Reads one DER certificate.
    pub(crate) fn parse(der: Vec<u8>) -> Parsed<Self> {
        let parsed = x509_cert::Certificate::from_der(&der)
            .map_err(|it| format!("the certificate is malformed: {it}"))?;
        Ok(Self { der, parsed })
    }

    /// The DER `SubjectPublicKeyInfo`, as the certificate has it.
    pub(crate) fn key_info(&self) -> Vec<u8> {
        self.parsed.tbs_certificate().subject_public_key_info().to_der().unwrap_or_default()
    }

    /// The one common name of the subject.
    pub(super) fn common_name(&self) -> Option<String> {
        let subject = self.parsed.tbs_certificate().subject();
        if subject.iter().filter(|it| it.oid == COMMON_NAME).count() != 1 {
            return None;
        }
        subject.common_name().ok().flatten().map(|it| it.value().into_owned())
    }

    /// When it is valid.
    pub(super) fn validity(&self) -> (Timestamp, Timestamp) {
        let validity = self.parsed.tbs_certificate().validity();
        (timestamp(&validity.not_before), timestamp(&validity.not_after))
    }

    /// Refuses what Notary refuses in a root certificate, names and times apart.
    pub(super) fn check_form(&self) -> Parsed<()> {
        let (from, until) = self.validity();
        if from > until {
            return Err("it ends before it starts".to_owned());
        }
        let algorithm = self.parsed.signature_algorithm().oid;
        if WEAK_SIGNATURES.contains(&algorithm) {
            return Err("it is signed with SHA-1 or MD5".to_owned());
        }
        Ok(())
    }

    pub(super) fn is_authority(&self) -> bool {
        self.constraints().is_some_and(|it| it.ca)
    }

    fn constraints(&self) -> Option<BasicConstraints> {
        let extension = self.parsed.tbs_certificate().get_extension::<BasicConstraints>();
        extension.ok().flatten().map(|(_, constraints)| constraints)
    }

    /// Whether it may sign a certificate with this many authorities below it.
    fn may_sign(&self, authorities_below: usize) -> Parsed<()> {
        let Some(constraints) = self.constraints().filter(|it| it.ca) else {
            return Err("an issuer is not an authority".to_owned());
        };
        if constraints.path_len_constraint.is_some_and(|it| usize::from(it) < authorities_below) {
            return Err("the chain is longer than an authority allows".to_owned());
        }
        match self.parsed.tbs_certificate().get_extension::<KeyUsage>() {
            Ok(Some((_, usage))) if !usage.key_cert_sign() => {
                Err("an issuer's key is not for signing certificates".to_owned())
            }
            Ok(_) => Ok(()),
            Err(_) => Err("an issuer's key usage is malformed".to_owned()),
        }
    }

    /// A critical extension that nobody here understands may forbid what we are about to do.
    fn check_critical(&self) -> Parsed<()> {
        for extension in self.parsed.tbs_certificate().extensions().into_iter().flatten() {
            if extension.critical && !UNDERSTOOD.contains(&extension.extn_id) {
                return Err(format!("a critical extension {} is not understood", extension.extn_id));
            }
        }
        Ok(())
    }

    /// Whether the issuer's key made this certificate's signature.
    fn is_signed_by(&self, issuer: &Self) -> bool {
        let key_info = issuer.parsed.tbs_certificate().subject_public_key_info();
        let algorithm = self.parsed.signature_algorithm();
        let verification = SIGNATURES.iter().find(|it| {
            it.signature == algorithm.oid
                && it.key == key_info.algorithm.oid
                && it.curve.is_none_or(|curve| {
                    let named = key_info.algorithm.parameters.as_ref();
                    named.and_then(|it| it.decode_as::<ObjectIdentifier>().ok()) == Some(curve)
                })
        });
        // Both places name the algorithm; only the inner one is signed.
        let same = self.parsed.tbs_certificate().signature() == algorithm;
        let (Some(verification), true) = (verification, same) else { return false };
        let (Some(key), Some(value), Some(signed)) =
            (key_info.subject_public_key.as_bytes(), self.parsed.signature().as_bytes(), self.signed_bytes())
        else {
            return false;
        };
        ring::signature::UnparsedPublicKey::new(verification.algorithm, key).verify(signed, value).is_ok()
    }

    /// The bytes under the signature, as they stand in the certificate.
    fn signed_bytes(&self) -> Option<&[u8]> {
        let mut reader = SliceReader::new(&self.der).ok()?;
        let signed = reader.sequence(|inner| {
            let signed = inner.tlv_bytes()?;
            inner.tlv_bytes()?;
            inner.tlv_bytes()?;
            Ok::<_, x509_cert::der::Error>(signed)
        });
        signed.ok()
    }
}

/// A bounded search for a way from a certificate to an authority.
struct Search<'a> {
    intermediates: &'a [Certificate],
    authorities: &'a [Certificate],
    at: Option<Timestamp>,
    steps: usize,
}

impl Search<'_> {
    fn vouched_for(&mut self, certificate: &Certificate, depth: usize) -> Parsed<()> {
        if let Some(at) = self.at {
            let (from, until) = certificate.validity();
            if at < from || at > until {
                return Err("a certificate of the chain is not valid now".to_owned());
            }
        }
        certificate.check_critical()?;
        certificate.check_form()?;
        if self.authorities.iter().any(|it| it.der == certificate.der) {
            return Ok(());
        }
        let mut reason = "the issuer is neither pinned nor in the bundle".to_owned();
        let (authorities, intermediates) = (self.authorities, self.intermediates);
        for issuer in authorities.iter().chain(intermediates) {
            if issuer.parsed.tbs_certificate().subject() != certificate.parsed.tbs_certificate().issuer() {
                continue;
            }
            if self.steps == 0 || depth >= CHAIN_DEPTH {
                return Err("the chain is too long".to_owned());
            }
            self.steps -= 1;
            let attempt = issuer.may_sign(depth).and_then(|()| {
                if certificate.is_signed_by(issuer) {
                    self.vouched_for(issuer, depth + 1)
                } else {
                    Err("a signature of the chain is wrong, or of an unsupported kind".to_owned())
                }
            });
            match attempt {
                Ok(()) => return Ok(()),
                Err(it) => reason = it,
            }
        }
        Err(reason)
    }
}

/// Times beyond what can be told apart are as late as can be.
fn timestamp(time: &Time) -> Timestamp {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

/// A kind of signature that certificates carry.
struct Verification {
    signature: ObjectIdentifier,
    key: ObjectIdentifier,
    curve: Option<ObjectIdentifier>,
    algorithm: &'static dyn ring::signature::VerificationAlgorithm,
}

const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

const EC: ObjectIdentifier = oid("1.2.840.10045.2.1");
const P256: Option<ObjectIdentifier> = Some(oid("1.2.840.10045.3.1.7"));
const P384: Option<ObjectIdentifier> = Some(oid("1.3.132.0.34"));
const RSA: ObjectIdentifier = oid("1.2.840.113549.1.1.1");
const ED25519: ObjectIdentifier = oid("1.3.101.112");
const ECDSA_SHA256: ObjectIdentifier = oid("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = oid("1.2.840.10045.4.3.3");

/// What chains to an authority may be signed with: what TLS uses today.
static SIGNATURES: [Verification; 8] = [
    Verification {
        signature: ECDSA_SHA256,
        key: EC,
        curve: P256,
        algorithm: &ring::signature::ECDSA_P256_SHA256_ASN1,
    },
    Verification {
        signature: ECDSA_SHA384,
        key: EC,
        curve: P256,
        algorithm: &ring::signature::ECDSA_P256_SHA384_ASN1,
    },
    Verification {
        signature: ECDSA_SHA256,
        key: EC,
        curve: P384,
        algorithm: &ring::signature::ECDSA_P384_SHA256_ASN1,
    },
    Verification {
        signature: ECDSA_SHA384,
        key: EC,
        curve: P384,
        algorithm: &ring::signature::ECDSA_P384_SHA384_ASN1,
    },
    Verification {
        signature: oid("1.2.840.113549.1.1.11"),
        key: RSA,
        curve: None,
        algorithm: &ring::signature::RSA_PKCS1_2048_8192_SHA256,
    },
    Verification {
        signature: oid("1.2.840.113549.1.1.12"),
        key: RSA,
        curve: None,
        algorithm: &ring::signature::RSA_PKCS1_2048_8192_SHA384,
    },
    Verification {
        signature: oid("1.2.840.113549.1.1.13"),
        key: RSA,
        curve: None,
        algorithm: &ring::signature::RSA_PKCS1_2048_8192_SHA512,
    },
    Verification { signature: ED25519, key: ED25519, curve: None, algorithm: &ring::signature::ED25519 },
];

/// Signatures that collisions forge: MD2, MD5 and SHA-1 with RSA, DSA and ECDSA.
const WEAK_SIGNATURES: [ObjectIdentifier; 5] = [
    oid("1.2.840.113549.1.1.2"),
    oid("1.2.840.113549.1.1.4"),
    oid("1.2.840.113549.1.1.5"),
    oid("1.2.840.10040.4.3"),
    oid("1.2.840.10045.4.1"),
];

/// Key usage, subject alternative name, basic constraints, extended key usage.
const UNDERSTOOD: [ObjectIdentifier; 4] =
    [oid("2.5.29.15"), oid("2.5.29.17"), oid("2.5.29.19"), oid("2.5.29.37")];

const COMMON_NAME: ObjectIdentifier = oid("2.5.4.3");
/// A leaf and every authority between it and the pinned one: real chains have three.
const BUNDLE_LIMIT: usize = 16;
/// How many authorities may stand between a leaf and a pinned one.
const CHAIN_DEPTH: usize = 8;
/// Issuers tried in all; each may cost a signature check.
const CHAIN_STEPS: usize = 64;
