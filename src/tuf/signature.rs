//! Signatures: their methods, and whether enough distinct keys of a role made them.
//!
//! | method        | keys              | encoding                                              |
//! | ------------- | ----------------- | ----------------------------------------------------- |
//! | `ecdsa`       | ecdsa, ecdsa-x509 | r and s, each as long as the curve's order; SHA-256   |
//! | `rsapss`      | rsa, rsa-x509     | PSS with SHA-256, MGF1 with SHA-256, a salt of 32     |
//! | `rsapkcs1v15` | rsa, rsa-x509     | PKCS#1 v1.5 with SHA-256                              |
//! | `eddsa`       | ed25519           | 64 bytes over the message itself                      |
//!
//! Notary also verifies `pycrypto-pkcs#1 pss`, of files that predate Docker Content Trust; a signature
//! of that method does not count here. SHA-256 is used whatever the curve, as Notary does.

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p384::ecdsa::signature::hazmat::PrehashVerifier as _;
use sha2::{Digest as _, Sha256};

use super::document::Document;
use super::error::shown;
use super::key::Material;
use super::metadata::RoleKeys;
use super::view::{Parsed, View};
use super::{KeyId, PublicKey};

/// A signature as a file carries it.
#[derive(Clone, Debug)]
pub(super) struct Signature {
    /// Who is said to have made it. Not a [`KeyId`]: it may be anything, and then counts for nothing.
    key_id: String,
    method: Method,
    value: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Method {
    Ecdsa,
    RsaPss,
    RsaPkcs1v15,
    Eddsa,
    Other(String),
}

impl Method {
    /// Notary compares names in lower case.
    fn parse(name: &str) -> Self {
        match name.to_lowercase().as_str() {
            "ecdsa" => Self::Ecdsa,
            "rsapss" => Self::RsaPss,
            "rsapkcs1v15" => Self::RsaPkcs1v15,
            "eddsa" => Self::Eddsa,
            other => Self::Other(other.chars().take(32).collect()),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ecdsa => "ecdsa",
            Self::RsaPss => "rsapss",
            Self::RsaPkcs1v15 => "rsapkcs1v15",
            Self::Eddsa => "eddsa",
            Self::Other(name) => name,
        })
    }
}

impl Signature {
    /// Reads the member `signatures`; `null` is an empty list.
    pub(super) fn parse_list(list: View<'_>) -> Parsed<Vec<Self>> {
        if list.is_null() {
            return Ok(Vec::new());
        }
        let mut signatures = Vec::new();
        for item in list.items().map_err(|it| format!("`signatures`: {it}"))? {
            if signatures.len() >= SIGNATURE_LIMIT {
                return Err(format!("more than {SIGNATURE_LIMIT} signatures"));
            }
            let index = signatures.len();
            signatures.push(Self::parse(item?).map_err(|it| format!("`signatures[{index}]`: {it}"))?);
        }
        Ok(signatures)
    }

    fn parse(item: View<'_>) -> Parsed<Self> {
        let [key_id, method, value] = item.fields(["keyid", "method", "sig"])?;
        let (Some(key_id), Some(method), Some(value)) = (key_id, method, value) else {
            return Err("one of `keyid`, `method` and `sig` is missing".to_owned());
        };
        let value =
            STANDARD.decode(value.text()?.as_bytes()).map_err(|it| format!("`sig` is not base64: {it}"))?;
        Ok(Self { key_id: key_id.text()?.into_owned(), method: Method::parse(&method.text()?), value })
    }
}

/// Too few signatures count.
#[derive(Debug)]
pub(super) struct TooFew {
    pub(super) valid: usize,
    pub(super) needed: u64,
    pub(super) reasons: Vec<String>,
}

impl TooFew {
    /// Adds reasons of the caller's, which weigh more.
    pub(super) fn because(mut self, reasons: impl Iterator<Item = String>) -> Self {
        self.reasons = reasons.take(REASON_LIMIT).chain(self.reasons).collect();
        self.shortened()
    }

    fn shortened(mut self) -> Self {
        self.reasons.dedup();
        if self.reasons.len() > REASON_LIMIT {
            self.reasons.truncate(REASON_LIMIT - 1);
            self.reasons.push("and more".to_owned());
        }
        self
    }
}

/// The IDs of the keys that signed, when enough of the role's keys did.
///
/// Keys are counted by what they are, not by what they are called: one key under two IDs, plain and
/// inside a certificate or in two certificates, is one key.
pub(super) fn check(document: &Document, role: &RoleKeys) -> Result<Vec<KeyId>, TooFew> {
    let mut ids = Vec::new();
    let mut distinct = BTreeSet::new();
    let mut reasons = Vec::new();
    for signature in document.signatures() {
        let Some(key) = role.keys.iter().find(|it| it.id().as_str() == signature.key_id) else {
            reasons.push(format!("key {} is not one of the role's", shortened(&signature.key_id)));
            continue;
        };
        if ids.contains(key.id()) {
            continue;
        }
        match check_one(document, key, signature) {
            Ok(()) => {
                ids.push(key.id().clone());
                distinct.insert(key.canonical_id().clone());
            }
            Err(reason) => reasons.push(format!("key {}: {reason}", shortened(&signature.key_id))),
        }
    }
    // A number of keys always fits 64 bits.
    let valid = u64::try_from(distinct.len()).unwrap_or(u64::MAX);
    if valid >= role.threshold && role.threshold > 0 {
        return Ok(ids);
    }
    if ids.len() > distinct.len() {
        reasons.push("one key signed under several IDs".to_owned());
    }
    Err(TooFew { valid: distinct.len(), needed: role.threshold, reasons }.shortened())
}

fn check_one(document: &Document, key: &PublicKey, signature: &Signature) -> Parsed<()> {
    let wrong = || "the signature does not fit the signed bytes".to_owned();
    let length = |expected: usize| {
        let found = signature.value.len();
        if found == expected {
            Ok(())
        } else {
            Err(format!("the signature has {found} bytes instead of {expected}"))
        }
    };
    match (&signature.method, key.material()?) {
        (Method::Ecdsa, Material::P256(key)) => {
            length(64)?;
            let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_FIXED, key);
            key.verify(&document.message(), &signature.value).map_err(|_| wrong())
        }
        (Method::Ecdsa, Material::P384(key)) => {
            length(96)?;
            let value = p384::ecdsa::Signature::from_slice(&signature.value).map_err(|_| wrong())?;
            // Notary hashes to SHA-256 on every curve, and ring has no such pair with fixed-size values.
            key.verify_prehash(&Sha256::digest(document.message()), &value).map_err(|_| wrong())
        }
        (Method::RsaPss, Material::Rsa(key)) => {
            let key =
                ring::signature::UnparsedPublicKey::new(&ring::signature::RSA_PSS_2048_8192_SHA256, key);
            key.verify(&document.message(), &signature.value).map_err(|_| wrong())
        }
        (Method::RsaPkcs1v15, Material::Rsa(key)) => {
            let key =
                ring::signature::UnparsedPublicKey::new(&ring::signature::RSA_PKCS1_2048_8192_SHA256, key);
            key.verify(&document.message(), &signature.value).map_err(|_| wrong())
        }
        (Method::Eddsa, Material::Ed25519(key)) => {
            let value: [u8; 64] =
                signature.value.as_slice().try_into().map_err(|_| {
                    format!("the signature has {} bytes instead of 64", signature.value.len())
                })?;
            key.verify_strict(&document.message(), &value.into()).map_err(|_| wrong())
        }
        (Method::Other(name), _) => Err(format!("the signature method {} is not supported", shown(name))),
        (method, _) => Err(format!("the method `{method}` is not for keys of type `{}`", key.key_type())),
    }
}

/// The start of a key ID, as people compare them.
fn shortened(key_id: &str) -> String {
    let start: String = key_id.chars().take(12).collect();
    if start.bytes().all(|it| it.is_ascii_alphanumeric()) { start } else { shown(&start) }
}

/// A root has one signature for each of its keys and each key before a rotation: a handful.
/// Each costs a verification.
const SIGNATURE_LIMIT: usize = 256;
/// More than this many reasons make no message clearer.
const REASON_LIMIT: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuf::{KeyType, RoleName};

    fn document(signed: &str, key_id: &str, method: &str, value: &str) -> Document {
        let file = format!(
            r#"{{"signed":{signed},"signatures":[{{"keyid":"{key_id}","method":"{method}","sig":"{value}"}}]}}"#
        );
        Document::parse(&RoleName::TIMESTAMP, file.into_bytes()).unwrap()
    }

    fn keys(key: PublicKey) -> RoleKeys {
        RoleKeys { keys: vec![key], threshold: 1 }
    }

    /// Made by docker 28.2.2.
    #[test]
    fn a_signature_of_docker() {
        let public = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAENPXTWZP3+N7XhcmXuqsmJo1Qvuw+R2TQqH+9l274ahtI+/IW0GXmW5bLdtPq+eVdkb/hwF5Uon5hGlU8nsBZmw==";
        let signed = r#"{"_type":"Targets","delegations":{"keys":{},"roles":[]},"expires":"2029-11-21T14:16:17.670745079Z","targets":{"v1":{"hashes":{"sha256":"du9KeWPF9Fj0KXxnD0ngRjRY+AQtamYeIfFkeRuv/Cg="},"length":523}},"version":2}"#;
        let value =
            "vkffsjlv1Xtld/kYRch7QNYUSdMaAfT+JpqoBMP171N67S+tmJdCuLBeWbTfhI8EY2bMq/VFwPPeOsGH+Gnh/Q==";
        let key = PublicKey::new(KeyType::Ecdsa, STANDARD.decode(public).unwrap());
        let document = document(signed, key.id().as_str(), "ecdsa", value);
        assert_eq!(
            hex::encode(Sha256::digest(document.message())),
            "8abe79f3bb1d77cb9ff1e7690b32c194b45f5044313e7a28faf6e892f19baaef"
        );
        assert_eq!(check(&document, &keys(key.clone())).unwrap(), [key.id().clone()]);
    }

    /// Without the null of its parameters the same key would have another canonical ID.
    #[test]
    fn rsa_key_in_another_encoding() {
        let text = include_str!("../../testdata/tuf/rsa/signatures.json");
        let table: serde_json::Value = serde_json::from_str(text).unwrap();
        let public = table["cases"][0]["key"]["keyval"]["public"].as_str().unwrap();
        let mut public = STANDARD.decode(public).unwrap();
        PublicKey::new(KeyType::Rsa, public.clone()).material().unwrap();
        assert_eq!(public.drain(17..19).collect::<Vec<_>>(), [5, 0]);
        public[3] -= 2;
        public[5] -= 2;
        let error = PublicKey::new(KeyType::Rsa, public).material().unwrap_err();
        assert_eq!(error, "the key is not an RSA key");
    }

    #[test]
    fn rsa_signatures() {
        let text = include_str!("../../testdata/tuf/rsa/signatures.json");
        let table: serde_json::Value = serde_json::from_str(text).unwrap();
        let signed = crate::tuf::canonical::to_wire(table["signed"].as_str().unwrap().as_bytes());
        let signed = String::from_utf8(signed).unwrap();
        let cases = table["cases"].as_array().unwrap();
        assert!(cases.len() > 10);
        for case in cases {
            let name = case["name"].as_str().unwrap();
            let key = crate::tuf::canonical::to_vec(&case["key"]).unwrap();
            let key = PublicKey::parse(View::new(&key)).unwrap();
            assert_eq!(key.id().as_str(), case["id"], "{name}");
            if key.key_type().is_certificate() {
                assert_eq!(key.canonical_id().as_str(), table["canonical_id_of_certificate"]);
            }
            let [method, value] = ["method", "sig"].map(|it| case[it].as_str().unwrap());
            let document = document(&signed, key.id().as_str(), method, value);
            match (check(&document, &keys(key)), case["refused"].as_str()) {
                (Ok(_), None) => {}
                (Err(it), Some(reason)) => {
                    assert!(it.reasons[0].contains(reason), "{name}: {:?}", it.reasons);
                }
                (found, expected) => panic!("{name}: {found:?} instead of {expected:?}"),
            }
        }
    }
}
