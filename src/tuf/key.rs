//! Public keys and their IDs.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use x509_cert::der::asn1::{AnyRef, ObjectIdentifier, UintRef};
use x509_cert::der::{Decode as _, Reader as _, SliceReader};
use x509_cert::spki::SubjectPublicKeyInfoRef;

use super::canonical;
use super::certificate::{Bundle, Certificate};
use super::error::shown;
use super::view::{Parsed, View};

/// The ID of a key: the SHA-256 of its canonical JSON form, as 64 lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl KeyId {
    /// The 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of(key_type: &str, public: &[u8]) -> Self {
        let key =
            json!({"keytype": key_type, "keyval": {"private": null, "public": STANDARD.encode(public)}});
        let canonical = canonical::to_vec(&key).expect("an object of strings has a canonical form");
        Self(hex::encode(Sha256::digest(canonical)))
    }
}

impl FromStr for KeyId {
    type Err = KeyIdError;

    fn from_str(text: &str) -> Result<Self, KeyIdError> {
        let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == 64 && text.bytes().all(hex) { Ok(Self(text.to_owned())) } else { Err(KeyIdError) }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for KeyId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A text that is not a key ID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a key ID has 64 lower-case hexadecimal digits")]
pub struct KeyIdError;

/// What kind of key it is, as metadata names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// An elliptic-curve key as DER `SubjectPublicKeyInfo`.
    Ecdsa,
    /// An elliptic-curve key inside a PEM certificate.
    EcdsaX509,
    /// An RSA key as DER `SubjectPublicKeyInfo`.
    Rsa,
    /// An RSA key inside a PEM certificate.
    RsaX509,
    /// 32 bytes of Ed25519.
    Ed25519,
    /// A kind that nothing here can verify with; it is kept, as it is part of what was signed.
    Other(String),
}

impl KeyType {
    fn named(name: &str) -> Self {
        match name {
            "ecdsa" => Self::Ecdsa,
            "ecdsa-x509" => Self::EcdsaX509,
            "rsa" => Self::Rsa,
            "rsa-x509" => Self::RsaX509,
            "ed25519" => Self::Ed25519,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The name that metadata uses.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Ecdsa => "ecdsa",
            Self::EcdsaX509 => "ecdsa-x509",
            Self::Rsa => "rsa",
            Self::RsaX509 => "rsa-x509",
            Self::Ed25519 => "ed25519",
            Self::Other(name) => name,
        }
    }

    /// Whether the key is inside a certificate.
    #[must_use]
    pub fn is_certificate(&self) -> bool {
        self.unwrapped().is_some()
    }

    /// The type of the plain key that is inside a certificate.
    fn unwrapped(&self) -> Option<Self> {
        match self {
            Self::EcdsaX509 => Some(Self::Ecdsa),
            Self::RsaX509 => Some(Self::Rsa),
            Self::Ecdsa | Self::Rsa | Self::Ed25519 | Self::Other(_) => None,
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A public key as metadata carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    key_type: KeyType,
    public: Vec<u8>,
    id: KeyId,
    canonical_id: KeyId,
}

impl PublicKey {
    /// A key of this type: `public` is DER, PEM certificates, or 32 bytes, as the type says.
    ///
    /// Whether it is a usable key shows when a signature is checked; Notary also reads files that
    /// carry keys it cannot use.
    #[must_use]
    pub fn new(key_type: KeyType, public: Vec<u8>) -> Self {
        let id = KeyId::of(key_type.as_str(), &public);
        let plain = key_type.unwrapped().and_then(|plain| {
            let key_info = Bundle::parse(&public).ok()?.first().key_info();
            Some(KeyId::of(plain.as_str(), &key_info))
        });
        let canonical_id = plain.unwrap_or_else(|| id.clone());
        Self { key_type, public, id, canonical_id }
    }

    /// The key of a DER `SubjectPublicKeyInfo`: P-256, P-384, RSA or Ed25519; or why it is unusable.
    pub fn from_key_info(key_info: &[u8]) -> Result<Self, String> {
        let info = SubjectPublicKeyInfoRef::from_der(key_info)
            .map_err(|it| format!("the key is not a DER public key: {it}"))?;
        let key = match info.algorithm.oid {
            EC_PUBLIC_KEY => Self::new(KeyType::Ecdsa, key_info.to_vec()),
            RSA_ENCRYPTION => Self::new(KeyType::Rsa, key_info.to_vec()),
            ED25519 => {
                let bytes = info.subject_public_key.as_bytes().ok_or("the Ed25519 key is not whole bytes")?;
                Self::new(KeyType::Ed25519, bytes.to_vec())
            }
            other => return Err(format!("keys of kind {other} are not supported")),
        };
        key.material().map(|_| key)
    }

    /// The key of a DER certificate that is valid at this time, as metadata carries it; or why it is unusable.
    pub fn from_certificate(certificate: &[u8], now: jiff::Timestamp) -> Result<Self, String> {
        let parsed = Certificate::parse(certificate.to_vec())?;
        parsed.check_form()?;
        let (from, until) = parsed.validity();
        if now < from {
            return Err(format!("the certificate is valid from {from} on"));
        }
        if until < now {
            return Err(format!("the certificate expired at {until}"));
        }
        let wrapped = match Self::from_key_info(&parsed.key_info())?.key_type {
            KeyType::Ecdsa => KeyType::EcdsaX509,
            KeyType::Rsa => KeyType::RsaX509,
            other => return Err(format!("metadata has no certificates around keys of type {other}")),
        };
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        let text = pem::encode_config(&pem::Pem::new("CERTIFICATE", certificate), config);
        Ok(Self::new(wrapped, text.into_bytes()))
    }

    /// What kind of key it is.
    #[must_use]
    pub fn key_type(&self) -> &KeyType {
        &self.key_type
    }

    /// The key as metadata carries it, out of its base64.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// The ID that metadata uses; a certificate has one of its own.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The ID of the plain key, whichever certificate it is wrapped in: what docker's key files are named by.
    #[must_use]
    pub fn canonical_id(&self) -> &KeyId {
        &self.canonical_id
    }

    /// The key of a PEM certificate, behind which those of authorities may stand; or why it is none.
    pub fn from_bundle(text: &[u8]) -> Result<Self, String> {
        let key_info = Bundle::parse(text)?.first().key_info();
        let wrapped = [(KeyType::EcdsaX509, elliptic(&key_info)), (KeyType::RsaX509, rsa(&key_info))];
        let found = wrapped.into_iter().find(|(_, material)| material.is_ok());
        let (key_type, _) = found.ok_or("its key is neither an elliptic-curve nor an RSA key")?;
        Ok(Self::new(key_type, text.to_vec()))
    }

    /// Reads what [`PublicKey::to_json`] writes, or tells why it is no key.
    pub fn from_json(text: &[u8]) -> Result<Self, String> {
        let canonical = canonical::canonicalize(text).map_err(|it| it.to_string())?;
        Self::parse(View::new(&canonical))
    }

    /// The key as metadata has it: `{"keytype":…,"keyval":{"private":null,"public":…}}`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let public = STANDARD.encode(&self.public);
        json!({"keytype": self.key_type.as_str(), "keyval": {"private": null, "public": public}})
    }

    /// From when until when the certificate around the key is valid, where there is one.
    #[must_use]
    pub fn certificate_validity(&self) -> Option<(jiff::Timestamp, jiff::Timestamp)> {
        self.key_type.unwrapped()?;
        Some(Bundle::parse(&self.public).ok()?.first().validity())
    }

    /// Reads `{"keytype":…,"keyval":{"private":null,"public":…}}`.
    pub(super) fn parse(key: View<'_>) -> Parsed<Self> {
        let [key_type, values] = key.fields(["keytype", "keyval"])?;
        let key_type = key_type.ok_or("`keytype` is missing")?.text()?;
        let [public, _] = values.ok_or("`keyval` is missing")?.fields(["public", "private"])?;
        let public = public.ok_or("`public` is missing")?.text()?;
        let public =
            STANDARD.decode(public.as_bytes()).map_err(|it| format!("`public` is not base64: {it}"))?;
        Ok(Self::new(KeyType::named(&key_type), public))
    }

    /// What signatures are checked with, or why this key checks none.
    pub(super) fn material(&self) -> Parsed<Material> {
        match &self.key_type {
            KeyType::Ecdsa => elliptic(&self.public),
            KeyType::EcdsaX509 => elliptic(&Bundle::parse(&self.public)?.first().key_info()),
            KeyType::Rsa => rsa(&self.public),
            KeyType::RsaX509 => rsa(&Bundle::parse(&self.public)?.first().key_info()),
            KeyType::Ed25519 => {
                let bytes: &[u8; 32] =
                    self.public.as_slice().try_into().map_err(|_| "an Ed25519 key has 32 bytes")?;
                let key = ed25519_dalek::VerifyingKey::from_bytes(bytes);
                key.map(Material::Ed25519).map_err(|_| "the Ed25519 key is no point of the curve".to_owned())
            }
            KeyType::Other(name) => Err(format!("keys of type {} are not supported", shown(name))),
        }
    }
}

/// A key that signatures can be checked with.
#[derive(Debug)]
pub(super) enum Material {
    /// An uncompressed point that is on the curve.
    P256(Vec<u8>),
    P384(p384::ecdsa::VerifyingKey),
    /// DER of PKCS#1, at least 2048 bits.
    Rsa(Vec<u8>),
    Ed25519(ed25519_dalek::VerifyingKey),
}

/// As Go, only named curves and uncompressed points: so each key has one encoding, and one canonical ID.
fn elliptic(key_info: &[u8]) -> Parsed<Material> {
    let info = SubjectPublicKeyInfoRef::from_der(key_info)
        .map_err(|it| format!("the key is not a DER public key: {it}"))?;
    if info.algorithm.oid != EC_PUBLIC_KEY {
        return Err("the key is not an elliptic-curve key".to_owned());
    }
    let curve: ObjectIdentifier = info
        .algorithm
        .parameters
        .and_then(|it| it.decode_as().ok())
        .ok_or("the key names no elliptic curve")?;
    let point = info.subject_public_key.as_bytes().filter(|it| it.first() == Some(&4));
    let point = point.ok_or("the key is not an uncompressed point")?;
    match curve {
        P256 => p256::PublicKey::from_sec1_bytes(point).map(|_| Material::P256(point.to_vec())).ok(),
        P384 => p384::ecdsa::VerifyingKey::from_sec1_bytes(point).map(Material::P384).ok(),
        other => return Err(format!("the elliptic curve {other} is not supported; P-256 and P-384 are")),
    }
    .ok_or_else(|| "the key is no point of its curve".to_owned())
}

/// As Go, the parameters must be there and null: so each key has one encoding, and one canonical ID.
fn rsa(key_info: &[u8]) -> Parsed<Material> {
    let info = SubjectPublicKeyInfoRef::from_der(key_info)
        .map_err(|it| format!("the key is not a DER public key: {it}"))?;
    if info.algorithm.oid != RSA_ENCRYPTION || !info.algorithm.parameters.is_some_and(AnyRef::is_null) {
        return Err("the key is not an RSA key".to_owned());
    }
    let key = info.subject_public_key.as_bytes().ok_or("the RSA key is not whole bytes")?;
    let bits = modulus_bits(key).map_err(|it| format!("the RSA key is not PKCS#1: {it}"))?;
    if bits < RSA_BITS {
        return Err(format!("the RSA key has {bits} bits, which is less than {RSA_BITS}"));
    }
    Ok(Material::Rsa(key.to_vec()))
}

/// The size of a PKCS#1 public key, which is the sequence of modulus and exponent.
fn modulus_bits(key: &[u8]) -> x509_cert::der::Result<usize> {
    let mut reader = SliceReader::new(key)?;
    let modulus = reader.sequence(|parts| {
        let modulus = UintRef::decode(parts)?;
        UintRef::decode(parts)?;
        Ok::<_, x509_cert::der::Error>(modulus)
    })?;
    reader.finish()?;
    let bytes = modulus.as_bytes();
    let zeros = bytes.first().map_or(0, |it| it.leading_zeros() as usize);
    Ok(bytes.len() * 8 - zeros)
}

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// Notary's minimum.
const RSA_BITS: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuf::testing::{TestCertificate, TestKey, now};

    /// A key that docker 28.2.2 made, and the ID that it gave it.
    #[test]
    fn the_id_of_a_key_of_docker() {
        let public = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAENPXTWZP3+N7XhcmXuqsmJo1Qvuw+R2TQqH+9l274ahtI+/IW0GXmW5bLdtPq+eVdkb/hwF5Uon5hGlU8nsBZmw==";
        let key = PublicKey::new(KeyType::Ecdsa, STANDARD.decode(public).unwrap());
        assert_eq!(key.id().as_str(), "2241fe35251bf5915b319c2b1813d456341f021e60c71d8df881e2c36b794405");
        assert_eq!(key.canonical_id(), key.id());
    }

    #[test]
    fn a_certificate_has_an_id_of_its_own_and_the_canonical_id_of_its_key() {
        let plain = TestKey::p256("one");
        let wrapped = plain.in_certificate(&TestCertificate::for_gun("docker.io/acme/base", now()));
        assert_ne!(wrapped.public().id(), plain.public().id());
        assert_eq!(wrapped.public().canonical_id(), plain.public().id());
    }

    #[test]
    fn the_id_counts_neither_the_private_member_nor_unknown_ones() {
        let key = TestKey::p256("one");
        let public = STANDARD.encode(key.public().public());
        for text in [
            format!(r#"{{"keytype":"ecdsa","keyval":{{"public":"{public}"}}}}"#),
            format!(r#"{{"extra":1,"keytype":"ecdsa","keyval":{{"private":"AAAA","public":"{public}"}}}}"#),
        ] {
            let parsed = PublicKey::parse(View::new(text.as_bytes())).unwrap();
            assert_eq!(parsed.id(), key.public().id());
        }
    }

    #[test]
    fn key_ids_have_one_form() {
        let id = "2241fe35251bf5915b319c2b1813d456341f021e60c71d8df881e2c36b794405";
        assert_eq!(id.parse::<KeyId>().unwrap().as_str(), id);
        for text in [
            "",
            &id[1..],
            &id.to_uppercase(),
            &format!("{id}0"),
            &id.replace('2', "g"),
            &format!(" {}", &id[1..]),
        ] {
            assert_eq!(text.parse::<KeyId>(), Err(KeyIdError), "{text}");
        }
    }

    #[test]
    fn key_types_keep_their_names() {
        for name in ["ecdsa", "ecdsa-x509", "rsa", "rsa-x509", "ed25519", "ECDSA", "x"] {
            assert_eq!(KeyType::named(name).as_str(), name);
        }
        assert_eq!(KeyType::named("ECDSA"), KeyType::Other("ECDSA".to_owned()));
    }
}
