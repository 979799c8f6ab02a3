//! The private keys in a notary-signer's database: compact JWE under a passphrase, read only.
//!
//! One encryption is known, the one that Notary writes: the passphrase gives by PBKDF2 a key that
//! wraps, after RFC 3394, the key that AES-256-GCM used. Whatever else a header asks for is refused.

use std::num::NonZeroU32;

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt as _, KeyInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::pbkdf2::{PBKDF2_HMAC_SHA256, derive};
use zeroize::Zeroizing;

use crate::keys::PrivateKey;
use crate::tuf::PublicKey;

/// The private key in this text, which must be the one that belongs to `public`.
pub fn open_key(text: &str, passphrase: &[u8], public: &PublicKey) -> Result<PrivateKey, JweError> {
    let plain = open(text, passphrase)?;
    let key = PrivateKey::from_plain(&plain, "what the JWE seals")
        .map_err(|it| JweError::Content { reason: it.to_string() })?;
    if key.public() == public {
        Ok(key)
    } else {
        Err(JweError::Content { reason: format!("it is key {}, not {}", key.id(), public.canonical_id()) })
    }
}

/// Why a JWE gives no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JweError {
    /// It opens, and what is in it is not the key.
    #[error("the JWE opens, and holds not the key: {reason}")]
    Content {
        /// What is wrong.
        reason: String,
    },
    /// It is no JWE, or not of the kind that Notary writes.
    #[error("it is no JWE that Notary writes: {reason}")]
    Form {
        /// What is wrong.
        reason: &'static str,
    },
    /// It does not open.
    #[error("the passphrase does not open the JWE, or it was damaged")]
    Passphrase,
}

/// What this text seals.
fn open(text: &str, passphrase: &[u8]) -> Result<Zeroizing<Vec<u8>>, JweError> {
    if LENGTH_LIMIT < text.len() {
        return Err(form("it is too long"));
    }
    let parts: Vec<&str> = text.split('.').collect();
    let [protected, wrapped, initial, sealed, tag] = parts[..] else {
        return Err(form("it has not five parts"));
    };
    let header: Header = serde_json::from_slice(&decode(protected)?)
        .map_err(|_| form("its header is not that of a passphrase"))?;
    let rounds = header.rounds()?;
    let salt = [ALGORITHM.as_bytes(), &[0], &header.salt()?].concat();
    let mut wrapping = Zeroizing::new([0; 16]);
    derive(PBKDF2_HMAC_SHA256, rounds, &salt, passphrase, wrapping.as_mut_slice());
    let content_key = unwrap(&wrapping, &decode(wrapped)?).ok_or(JweError::Passphrase)?;
    let content_key =
        UnboundKey::new(&AES_256_GCM, &content_key).map_err(|_| form("its content key has not 32 bytes"))?;
    let nonce = Nonce::try_assume_unique_for_key(&decode(initial)?)
        .map_err(|_| form("its initialization vector has not 12 bytes"))?;
    let mut plain = Zeroizing::new([decode(sealed)?, decode(tag)?].concat());
    let opened =
        LessSafeKey::new(content_key).open_in_place(nonce, Aad::from(protected.as_bytes()), &mut plain);
    let length = opened.map_err(|_| JweError::Passphrase)?.len();
    plain.truncate(length);
    Ok(plain)
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    enc: String,
    p2c: u32,
    p2s: String,
}

impl Header {
    fn rounds(&self) -> Result<NonZeroU32, JweError> {
        if self.alg != ALGORITHM || self.enc != ENCRYPTION {
            return Err(form("its algorithms are other ones"));
        }
        NonZeroU32::new(self.p2c)
            .filter(|it| it.get() <= ROUNDS_LIMIT)
            .ok_or_else(|| form("its passphrase is hashed too often, or not at all"))
    }

    fn salt(&self) -> Result<Vec<u8>, JweError> {
        decode(&self.p2s)
    }
}

/// Undoes RFC 3394's key wrap; `None` where the key is not the one that wrapped.
fn unwrap(key: &[u8; 16], wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (blocks, rest) = wrapped.as_chunks::<8>();
    let (first, registers) = blocks.split_first()?;
    if !rest.is_empty() || registers.len() < 2 {
        return None;
    }
    let cipher = Aes128::new(key.into());
    let mut check = u64::from_be_bytes(*first);
    let mut registers = Zeroizing::new(registers.to_vec());
    let count = u64::try_from(registers.len()).ok()?;
    for round in (0..6).rev() {
        for (index, register) in registers.iter_mut().enumerate().rev() {
            let place = u64::try_from(index).ok()? + 1;
            let mut block = Zeroizing::new([0; 16]);
            let (high, low) = block.split_at_mut(8);
            high.copy_from_slice(&(check ^ (count * round + place)).to_be_bytes());
            low.copy_from_slice(register);
            cipher.decrypt_block((&mut *block).into());
            let (high, low) = block.split_first_chunk::<8>()?;
            check = u64::from_be_bytes(*high);
            register.copy_from_slice(low);
        }
    }
    (check == WRAP_CHECK).then(|| Zeroizing::new(registers.as_flattened().to_vec()))
}

fn decode(part: &str) -> Result<Vec<u8>, JweError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| form("a part of it is not base64url"))
}

fn form(reason: &'static str) -> JweError {
    JweError::Form { reason }
}

const ALGORITHM: &str = "PBES2-HS256+A128KW";
const ENCRYPTION: &str = "A256GCM";
/// RFC 3394's initial value.
const WRAP_CHECK: u64 = 0xa6a6_a6a6_a6a6_a6a6;
/// An RSA key of 4096 bits is a tenth of it.
const LENGTH_LIMIT: usize = 64 << 10;
/// Notary has 8192; a row may not keep the processor for minutes.
const ROUNDS_LIMIT: u32 = 1 << 20;

#[cfg(test)]
mod tests {
    use aes::cipher::BlockCipherEncrypt as _;

    use super::*;

    /// Made by Python's `cryptography`.
    const NOTE: &str = include_str!("../../testdata/signer/sealed-note.jwe");

    #[test]
    fn what_another_writer_sealed_opens() {
        assert_eq!(*open(NOTE, b"correct horse").unwrap(), b"not a key, only a note");
        assert_eq!(open(NOTE, b"wrong horse"), Err(JweError::Passphrase));
        let public = PrivateKey::generate_p256().unwrap().public().clone();
        let error = open_key(NOTE, b"correct horse", &public).unwrap_err();
        assert!(matches!(error, JweError::Content { .. }), "{error}");
    }

    /// RFC 3394, section 4.1.
    #[test]
    fn a_key_unwraps_as_the_standard_shows() {
        let key = std::array::from_fn(|it| u8::try_from(it).unwrap());
        let wrapped = hex::decode("1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5").unwrap();
        let opened = unwrap(&key, &wrapped).unwrap();
        assert_eq!(hex::encode(&*opened), "00112233445566778899aabbccddeeff");
        for place in 0..wrapped.len() {
            let mut damaged = wrapped.clone();
            damaged[place] ^= 1;
            assert_eq!(unwrap(&key, &damaged), None, "{place}");
            assert_eq!(unwrap(&key, &wrapped[..place]), None, "{place}");
        }
    }

    #[test]
    fn no_damage_goes_unnoticed() {
        // One place in each part.
        let mut start = 0;
        for part in NOTE.split('.') {
            let mut damaged = NOTE.to_owned().into_bytes();
            let place = &mut damaged[start + part.len() / 2];
            *place = if *place == b'A' { b'B' } else { b'A' };
            let damaged = String::from_utf8(damaged).unwrap();
            assert!(open(&damaged, b"correct horse").is_err(), "{damaged}");
            start += part.len() + 1;
        }
    }

    #[test]
    fn other_kinds_are_refused() {
        let with = |header: &str| {
            let (_, rest) = NOTE.split_once('.').unwrap();
            format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header))
        };
        let good = r#""alg":"PBES2-HS256+A128KW","enc":"A256GCM","p2s":"ZGVmZ2hpamtsbW5v""#;
        let cases = [
            (String::new(), "five parts"),
            ("a.b.c".to_owned(), "five parts"),
            (format!("{NOTE}.x"), "five parts"),
            (" ".repeat(LENGTH_LIMIT + 1), "too long"),
            (with("{}"), "header"),
            (with(&format!(r#"{{{good},"p2c":1,"zip":"DEF"}}"#)), "header"),
            (with(&format!(r#"{{{good},"p2c":-1}}"#)), "header"),
            (with(&format!(r#"{{{good},"p2c":0}}"#)), "hashed"),
            (with(&format!(r#"{{{good},"p2c":4000000000}}"#)), "hashed"),
            (with(&format!(r#"{{{},"p2c":1}}"#, good.replace("A128KW", "A256KW"))), "algorithms"),
            (with(&format!(r#"{{{},"p2c":1}}"#, good.replace("A256GCM", "none"))), "algorithms"),
            (NOTE.replace('.', "=."), "base64url"),
        ];
        for (text, reason) in cases {
            let told = open(&text, b"correct horse").unwrap_err().to_string();
            assert!(told.contains(reason), "{told}, not {reason}");
        }
    }

    /// Notary seals SEC 1, and a form of its own of Ed25519.
    #[test]
    fn keys_of_both_kinds_open_as_themselves_only() {
        let elliptic = PrivateKey::generate_p256().unwrap();
        let edwards = PrivateKey::generate_ed25519().unwrap();
        let (plain, whole) = (elliptic.to_plain(), edwards.to_plain());
        // SEC 1 is what PKCS#8 wraps.
        let sec1 = &plain[plain.len() - 121..];
        for (content, key) in [(sec1, &elliptic), (&whole[whole.len() - 96..], &edwards)] {
            let text = seal(content, b"passphrase");
            let opened = open_key(&text, b"passphrase", key.public()).unwrap();
            assert_eq!(opened.public(), key.public());
            let other = PrivateKey::generate_p256().unwrap();
            assert!(matches!(open_key(&text, b"passphrase", other.public()), Err(JweError::Content { .. })));
        }
    }

    /// What Notary would have written, but for a salt and a content key that are no secret.
    fn seal(content: &[u8], passphrase: &[u8]) -> String {
        let header =
            format!(r#"{{"alg":"{ALGORITHM}","enc":"{ENCRYPTION}","p2c":1000,"p2s":"c2FsdHNhbHQ"}}"#);
        let header = URL_SAFE_NO_PAD.encode(header);
        let salt = [ALGORITHM.as_bytes(), b"\0saltsalt"].concat();
        let mut wrapping = [0; 16];
        derive(PBKDF2_HMAC_SHA256, NonZeroU32::new(1000).unwrap(), &salt, passphrase, &mut wrapping);
        let content_key = [5; 32];
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &content_key).unwrap());
        let mut sealed = content.to_vec();
        let nonce = Nonce::assume_unique_for_key([9; 12]);
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from(header.as_bytes()), &mut sealed).unwrap();
        let parts = [&wrap(&wrapping, &content_key)[..], &[9; 12], &sealed, tag.as_ref()];
        let parts: Vec<_> = parts.iter().map(|it| URL_SAFE_NO_PAD.encode(it)).collect();
        format!("{header}.{}", parts.join("."))
    }

    fn wrap(key: &[u8; 16], content: &[u8; 32]) -> Vec<u8> {
        let cipher = Aes128::new(key.into());
        let mut check = WRAP_CHECK;
        let mut registers = content.as_chunks::<8>().0.to_vec();
        for round in 0..6_u64 {
            for (place, register) in (1_u64..).zip(&mut registers) {
                let mut block: [u8; 16] = [check.to_be_bytes(), *register].concat().try_into().unwrap();
                cipher.encrypt_block((&mut block).into());
                check = u64::from_be_bytes(block[..8].try_into().unwrap()) ^ (4 * round + place);
                register.copy_from_slice(&block[8..]);
            }
        }
        [&check.to_be_bytes()[..], registers.as_flattened()].concat()
    }
}
