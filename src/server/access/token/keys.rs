//! The keys that tokens are verified with: each for one algorithm, and known by a name.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::spki::SubjectPublicKeyInfoRef;

use super::jwt::Algorithm;
use crate::tuf::certificate::{Bundle, Certificate};

/// One key, for one algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct VerifyingKey(Material);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Material {
    /// 32 bytes.
    Ed25519(Vec<u8>),
    /// A point, uncompressed.
    P256(Vec<u8>),
    /// PKCS #1.
    Rsa(Vec<u8>),
    /// Modulus and exponent, without zeros before them.
    RsaNumbers(Vec<u8>, Vec<u8>),
}

impl VerifyingKey {
    pub(super) fn algorithm(&self) -> Algorithm {
        match &self.0 {
            Material::Ed25519(_) => Algorithm::EdDsa,
            Material::P256(_) => Algorithm::Es256,
            Material::Rsa(_) | Material::RsaNumbers(..) => Algorithm::Rs256,
        }
    }

    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Material::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
            Material::P256(key) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(message, signature)
            }
            Material::Rsa(key) => {
                UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key).verify(message, signature)
            }
            Material::RsaNumbers(n, e) => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
        }
        .is_ok()
    }

    /// The key of a DER `SubjectPublicKeyInfo`.
    fn from_key_info(der: &[u8]) -> Result<Self, String> {
        let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|it| it.to_string())?;
        let bytes = info.subject_public_key.as_bytes().ok_or("the key is not whole bytes")?.to_vec();
        let curve = || info.algorithm.parameters.and_then(|it| it.decode_as::<ObjectIdentifier>().ok());
        match info.algorithm.oid {
            ED25519_KEY => Ok(Self(Material::Ed25519(bytes))),
            EC_KEY if curve() == Some(P256) => Ok(Self(Material::P256(bytes))),
            RSA_KEY => Ok(Self(Material::Rsa(bytes))),
            other => Err(format!("keys of kind {other} are not for RS256, ES256 or EdDSA")),
        }
    }
}

/// Keys by their names.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    keys: Vec<(Option<String>, VerifyingKey)>,
}

impl KeySet {
    /// Reads a JSON Web Key Set. Keys for other things are passed over; one at least must be left.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let document: SetDocument = serde_json::from_slice(bytes).map_err(|it| it.to_string())?;
        if KEY_LIMIT < document.keys.len() {
            return Err(format!("it has more than {KEY_LIMIT} keys"));
        }
        let usable = |it: SetKey| it.key().map(|key| (it.id, key));
        let keys: Vec<_> = document.keys.into_iter().filter_map(usable).collect();
        if keys.is_empty() {
            return Err("it has no key for RS256, ES256 or EdDSA".to_owned());
        }
        Ok(Self { keys })
    }

    /// The keys that a token may be of: those of the name that it gives, or, where it gives none, the
    /// one that there is for its algorithm.
    pub(super) fn find(&self, name: Option<&str>, algorithm: Algorithm) -> Vec<VerifyingKey> {
        let fitting = self.keys.iter().filter(|(_, key)| key.algorithm() == algorithm);
        let found: Vec<_> = match name {
            Some(name) => fitting.filter(|(id, _)| id.as_deref() == Some(name)).collect(),
            None => fitting.collect(),
        };
        if name.is_none() && found.len() != 1 {
            return Vec::new();
        }
        found.into_iter().map(|(_, key)| key.clone()).collect()
    }
}

/// Certificates whose keys sign tokens, or that vouch for those which do.
#[derive(Debug)]
pub(super) struct TrustedCertificates {
    set: KeySet,
    authorities: Vec<Certificate>,
}

impl TrustedCertificates {
    /// Reads certificates in PEM.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let blocks = pem::parse_many(bytes).map_err(|it| format!("it is not PEM: {it}"))?;
        if KEY_LIMIT < blocks.len() {
            return Err(format!("it has more than {KEY_LIMIT} certificates"));
        }
        let mut trusted = Self { set: KeySet::default(), authorities: Vec::new() };
        for block in blocks.into_iter().filter(|it| it.tag() == "CERTIFICATE") {
            let certificate = Certificate::parse(block.into_contents())?;
            let info = certificate.key_info();
            // An authority may have a key that signs certificates and could sign no token.
            if let Ok(key) = VerifyingKey::from_key_info(&info) {
                trusted.set.keys.push((Some(fingerprint(&info)), key));
            }
            trusted.authorities.push(certificate);
        }
        if trusted.authorities.is_empty() {
            return Err("it holds no certificate in PEM form".to_owned());
        }
        Ok(trusted)
    }

    /// The keys that a token may be of, by the name that it gives.
    pub(super) fn find(&self, name: Option<&str>, algorithm: Algorithm) -> Vec<VerifyingKey> {
        self.set.find(name, algorithm)
    }

    /// The key of the first certificate of a chain that ends below one of these, now.
    pub(super) fn below(&self, chain: Vec<Vec<u8>>, now: Timestamp) -> Result<VerifyingKey, String> {
        let chain = Bundle::from_der(chain)?;
        chain.chains_to(&self.authorities, Some(now))?;
        VerifyingKey::from_key_info(&chain.first().key_info())
    }
}

/// libtrust's name of a key: 240 bits of its SHA-256 in base32, four characters at a time.
pub(super) fn fingerprint(key_info: &[u8]) -> String {
    let hash = digest(&SHA256, key_info);
    let mut name = String::new();
    for five in hash.as_ref().chunks_exact(5).take(6) {
        let bits = five.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        for place in (0..8).rev() {
            let digit = usize::try_from(bits >> (place * 5) & 31).unwrap_or_default();
            if !name.is_empty() && name.chars().filter(|it| *it != ':').count() % 4 == 0 {
                name.push(':');
            }
            name.extend(BASE32.get(digit).map(|it| char::from(*it)));
        }
    }
    name
}

#[derive(Deserialize)]
struct SetDocument {
    keys: Vec<SetKey>,
}

#[derive(Deserialize)]
struct SetKey {
    #[serde(rename = "kty")]
    kind: String,
    #[serde(rename = "kid")]
    id: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    #[serde(rename = "key_ops")]
    operations: Option<Vec<String>>,
    #[serde(rename = "alg")]
    algorithm: Option<String>,
    #[serde(rename = "crv")]
    curve: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl SetKey {
    /// The key, if it is for verifying tokens with an algorithm that we know.
    fn key(&self) -> Option<VerifyingKey> {
        let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_ref()?).ok();
        let material = match (self.kind.as_str(), self.curve.as_deref()) {
            ("RSA", _) => Material::RsaNumbers(number(bytes(&self.n)?), number(bytes(&self.e)?)),
            ("EC", Some("P-256")) => {
                let (x, y) = (bytes(&self.x)?, bytes(&self.y)?);
                if x.len() != P256_LENGTH || y.len() != P256_LENGTH {
                    return None;
                }
                Material::P256([&[UNCOMPRESSED], x.as_slice(), y.as_slice()].concat())
            }
            ("OKP", Some("Ed25519")) => Material::Ed25519(bytes(&self.x)?),
            _ => return None,
        };
        let key = VerifyingKey(material);
        let verifies = self.operations.as_ref().is_none_or(|it| it.iter().any(|it| it == "verify"));
        let signs = self.usage.as_deref().is_none_or(|it| it == "sig");
        let algorithm = self.algorithm.as_deref().is_none_or(|it| it == key.algorithm().name());
        (verifies && signs && algorithm).then_some(key)
    }
}

/// A number without zeros before it.
fn number(bytes: Vec<u8>) -> Vec<u8> {
    bytes.into_iter().skip_while(|it| *it == 0).collect()
}

const ED25519_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const EC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const RSA_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const P256_LENGTH: usize = 32;
/// What a point begins with that is written whole.
const UNCOMPRESSED: u8 = 4;
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Token servers have a key, and the one before.
const KEY_LIMIT: usize = 100;
