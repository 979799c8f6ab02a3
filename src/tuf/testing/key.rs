//! Key pairs for tests, made from their names so that no run differs from another.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha512};

use super::certificate::{TestCertificate, der, pem};
use crate::tuf::author::{RawSignature, SignatureMethod, Signer, SignerError};
use crate::tuf::{KeyType, PublicKey};

/// A key pair, and the public key as metadata carries it.
#[derive(Clone)]
pub struct TestKey {
    private: Private,
    public: PublicKey,
    method: String,
}

#[derive(Clone)]
enum Private {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    Ed25519(Box<ed25519_dalek::SigningKey>),
}

impl TestKey {
    /// The P-256 key of this name.
    #[must_use]
    pub fn p256(name: &str) -> Self {
        let key =
            p256::ecdsa::SigningKey::from_slice(&Sha256::digest(name)).expect("a hash is a valid scalar");
        Self::elliptic(Private::P256(key))
    }

    /// The P-384 key of this name.
    #[must_use]
    pub fn p384(name: &str) -> Self {
        let hash = Sha512::digest(name);
        let key = p384::ecdsa::SigningKey::from_slice(&hash[..48]).expect("a hash is a valid scalar");
        Self::elliptic(Private::P384(key))
    }

    /// The Ed25519 key of this name.
    #[must_use]
    pub fn ed25519(name: &str) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(&Sha256::digest(name).into());
        let public = PublicKey::new(KeyType::Ed25519, key.verifying_key().to_bytes().to_vec());
        Self { private: Private::Ed25519(Box::new(key)), public, method: "eddsa".to_owned() }
    }

    fn elliptic(private: Private) -> Self {
        let public = PublicKey::new(KeyType::Ecdsa, private.key_info());
        Self { private, public, method: "ecdsa".to_owned() }
    }

    /// The same key inside a self-signed certificate.
    #[must_use]
    pub fn in_certificate(&self, certificate: &TestCertificate) -> Self {
        self.in_bundle(&[certificate.issue(self, self)])
    }

    /// The same key as the bundle of these certificates.
    #[must_use]
    pub fn in_bundle(&self, certificates: &[Vec<u8>]) -> Self {
        self.with_public(PublicKey::new(KeyType::EcdsaX509, pem(certificates)))
    }

    /// A pair whose public half claims to be something else.
    #[must_use]
    pub fn with_public(&self, public: PublicKey) -> Self {
        Self { public, ..self.clone() }
    }

    /// A pair whose signatures claim another method.
    #[must_use]
    pub fn with_method(&self, method: &str) -> Self {
        Self { method: method.to_owned(), ..self.clone() }
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The key's ID in metadata.
    #[must_use]
    pub fn id(&self) -> &str {
        self.public.id().as_str()
    }

    /// The public key as metadata writes it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let public = STANDARD.encode(self.public.public());
        json!({"keytype": self.public.key_type().as_str(), "keyval": {"private": null, "public": public}})
    }

    /// A signature entry over these bytes.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Value {
        let value = self.private.sign(message);
        json!({"keyid": self.id(), "method": self.method, "sig": STANDARD.encode(value)})
    }

    /// A DER signature with SHA-256, as certificates carry it; only P-256 keys sign certificates here.
    #[must_use]
    pub fn sign_der(&self, message: &[u8]) -> Vec<u8> {
        let Private::P256(key) = &self.private else { panic!("only P-256 keys sign certificates here") };
        p256_signature(key, message).to_der().as_bytes().to_vec()
    }

    /// The DER `SubjectPublicKeyInfo` of an elliptic-curve key.
    #[must_use]
    pub fn key_info(&self) -> Vec<u8> {
        self.private.key_info()
    }
}

impl Signer for TestKey {
    fn public(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<RawSignature, SignerError> {
        let method = match &self.private {
            Private::P256(_) | Private::P384(_) => SignatureMethod::Ecdsa,
            Private::Ed25519(_) => SignatureMethod::Eddsa,
        };
        Ok(RawSignature { method, bytes: self.private.sign(message) })
    }
}

impl Private {
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::P256(key) => p256_signature(key, message).to_bytes().to_vec(),
            Self::P384(key) => {
                let signature: p384::ecdsa::Signature =
                    key.sign_prehash(&Sha256::digest(message)).expect("a hash can be signed");
                signature.to_bytes().to_vec()
            }
            Self::Ed25519(key) => ed25519_dalek::Signer::sign(&**key, message).to_bytes().to_vec(),
        }
    }

    fn key_info(&self) -> Vec<u8> {
        let (curve, point): (&[u8], Vec<u8>) = match self {
            Self::P256(key) => (P256, key.verifying_key().to_sec1_point(false).as_bytes().to_vec()),
            Self::P384(key) => (P384, key.verifying_key().to_sec1_point(false).as_bytes().to_vec()),
            Self::Ed25519(_) => panic!("an Ed25519 key is written as it is"),
        };
        let algorithm = der(0x30, &[der(0x06, &[EC_PUBLIC_KEY.to_vec()]), der(0x06, &[curve.to_vec()])]);
        der(0x30, &[algorithm, der(0x03, &[vec![0], point])])
    }
}

fn p256_signature(key: &p256::ecdsa::SigningKey, message: &[u8]) -> p256::ecdsa::Signature {
    key.sign_prehash(&Sha256::digest(message)).expect("a hash can be signed")
}

const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const P384: &[u8] = &[0x2b, 0x81, 4, 0, 34];
