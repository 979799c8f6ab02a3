//! Private keys, and what they sign.

use std::fmt;

use ed25519_dalek::Signer as _;
use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use ring::rand::SystemRandom;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::pkcs8::Unreadable;
use super::{KeyError, pkcs8};
use crate::tuf::author::{RawSignature, SignatureMethod, Signer, SignerError};
use crate::tuf::{KeyId, KeyType, PublicKey};

/// A private key: P-256, P-384, RSA or Ed25519. It is wiped when dropped, and never shown.
pub struct PrivateKey {
    secret: Secret,
    public: PublicKey,
}

/// The private half, of each kind that Notary reads.
pub(super) enum Secret {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    /// DER of PKCS#1.
    Rsa(Zeroizing<Vec<u8>>),
    Ed25519(ed25519_dalek::SigningKey),
}

impl PrivateKey {
    /// A new P-256 key: what docker reads as a root key.
    pub fn generate_p256() -> Result<Self, KeyError> {
        loop {
            // One number in 2³² is beyond the curve's order, or 0.
            if let Ok(key) = p256::ecdsa::SigningKey::from_slice(&*random::<32>()?) {
                return Ok(Self::p256(key));
            }
        }
    }

    /// A new Ed25519 key.
    pub fn generate_ed25519() -> Result<Self, KeyError> {
        Ok(Self::ed25519(ed25519_dalek::SigningKey::from_bytes(&*random::<32>()?)))
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Its canonical ID, which its file is named by.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        self.public.canonical_id()
    }

    /// The key in these bytes, which nothing encrypts: PKCS#8, SEC 1, PKCS#1, or what Notary stores of
    /// an Ed25519 key. `place` names them in messages.
    pub fn from_plain(bytes: &[u8], place: &str) -> Result<Self, KeyError> {
        let place = || place.to_owned();
        let read = pkcs8::read_pkcs8(bytes)
            .or_else(|why| pkcs8::read_sec1(bytes, None).map_err(|_| why))
            .or_else(|why| pkcs8::read_notary_ed25519(bytes).map_err(|_| why))
            .or_else(|why| pkcs8::read_pkcs1(bytes).map_err(|_| why));
        read.map_err(|why| match why {
            Unreadable::Malformed(reason) => KeyError::Damaged { place: place(), reason },
            Unreadable::Unsupported(reason) => KeyError::Unsupported { place: place(), reason },
        })
    }

    /// The key as PKCS#8 of Notary's kind, for whoever encrypts it at once.
    #[must_use]
    pub fn to_plain(&self) -> Zeroizing<Vec<u8>> {
        pkcs8::write(self)
    }

    pub(super) fn p256(key: p256::ecdsa::SigningKey) -> Self {
        let point = key.verifying_key().to_sec1_point(false);
        let public = PublicKey::new(KeyType::Ecdsa, pkcs8::elliptic_key_info(pkcs8::P256, point.as_bytes()));
        Self { secret: Secret::P256(key), public }
    }

    pub(super) fn p384(key: p384::ecdsa::SigningKey) -> Self {
        let point = key.verifying_key().to_sec1_point(false);
        let public = PublicKey::new(KeyType::Ecdsa, pkcs8::elliptic_key_info(pkcs8::P384, point.as_bytes()));
        Self { secret: Secret::P384(key), public }
    }

    pub(super) fn ed25519(key: ed25519_dalek::SigningKey) -> Self {
        let public = PublicKey::new(KeyType::Ed25519, key.verifying_key().to_bytes().to_vec());
        Self { secret: Secret::Ed25519(key), public }
    }

    /// The RSA key of this PKCS#1 text, or why it is none.
    pub(super) fn rsa(key: Zeroizing<Vec<u8>>) -> Result<Self, String> {
        let pair = ring::rsa::KeyPair::from_der(&key).map_err(|it| it.to_string())?;
        let public = PublicKey::new(KeyType::Rsa, pkcs8::rsa_key_info(pair.public().as_ref()));
        Ok(Self { secret: Secret::Rsa(key), public })
    }

    pub(super) fn secret(&self) -> &Secret {
        &self.secret
    }
}

impl Signer for PrivateKey {
    fn public(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<RawSignature, SignerError> {
        let failed = |reason: String| KeyError::Sign { reason };
        // SHA-256 whatever the curve, as Notary does.
        let (method, bytes) = match &self.secret {
            Secret::P256(key) => {
                let signature: p256::ecdsa::Signature =
                    key.sign_prehash(&Sha256::digest(message)).map_err(|it| failed(it.to_string()))?;
                (SignatureMethod::Ecdsa, signature.to_bytes().to_vec())
            }
            Secret::P384(key) => {
                let signature: p384::ecdsa::Signature =
                    key.sign_prehash(&Sha256::digest(message)).map_err(|it| failed(it.to_string()))?;
                (SignatureMethod::Ecdsa, signature.to_bytes().to_vec())
            }
            Secret::Rsa(key) => {
                let pair = ring::rsa::KeyPair::from_der(key).map_err(|it| failed(it.to_string()))?;
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&ring::signature::RSA_PSS_SHA256, &SystemRandom::new(), message, &mut signature)
                    .map_err(|_| failed("the system gives no random numbers".to_owned()))?;
                (SignatureMethod::RsaPss, signature)
            }
            Secret::Ed25519(key) => (SignatureMethod::Eddsa, key.sign(message).to_bytes().to_vec()),
        };
        Ok(RawSignature { method, bytes })
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({} {}, …)", self.public.key_type(), self.id())
    }
}

/// Random bytes that end up in a key.
pub(super) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, KeyError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut()).map_err(KeyError::Random)?;
    Ok(bytes)
}
