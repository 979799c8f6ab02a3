//! Private keys under authenticated encryption, and the keys that encrypt them.
//!
//! A sealed key opens only as what it was sealed as: its ID, type, repository, role and alias are
//! authenticated with it, so that whoever can write the table cannot have one key pass for another.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::pbkdf2::{PBKDF2_HMAC_SHA256, derive};
use zeroize::Zeroizing;

use crate::image::Gun;
use crate::signer::rows::{Alias, SealedKey};
use crate::tuf::{PublicKey, RoleName};

/// The key-encryption keys at hand: one that seals, and any number that still open.
#[derive(Debug)]
pub struct SealingKeys {
    current: Alias,
    keys: BTreeMap<Alias, SealingKey>,
}

impl SealingKeys {
    /// Keys are sealed with this one.
    #[must_use]
    pub fn new(current: Alias, key: SealingKey) -> Self {
        Self { keys: BTreeMap::from([(current.clone(), key)]), current }
    }

    /// This one opens what was sealed with it before.
    #[must_use]
    pub fn with(mut self, alias: Alias, key: SealingKey) -> Self {
        self.keys.entry(alias).or_insert(key);
        self
    }

    /// The alias that keys are sealed under.
    #[must_use]
    pub fn current(&self) -> &Alias {
        &self.current
    }

    pub(super) fn seal(&self, plain: &[u8], purpose: &Purpose<'_>) -> Result<SealedKey, SealError> {
        let key = self.keys.get(&self.current).ok_or_else(|| SealError::unknown(&self.current))?;
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|it| SealError(format!("no random numbers: {it}")))?;
        let mut sealed = Zeroizing::new(plain.to_vec());
        let context = Aad::from(purpose.context(&self.current));
        let tag = key
            .0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), context, &mut sealed)
            .map_err(|_| SealError("the key is too long to be sealed".to_owned()))?;
        let bytes = [&[FORM][..], &nonce, &sealed, tag.as_ref()].concat();
        Ok(SealedKey { alias: self.current.clone(), bytes })
    }

    pub(super) fn open(
        &self,
        sealed: &SealedKey,
        purpose: &Purpose<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let key = self.keys.get(&sealed.alias).ok_or_else(|| SealError::unknown(&sealed.alias))?;
        let damaged = || SealError("it is not what was once sealed".to_owned());
        let (form, rest) = sealed.bytes.split_first().ok_or_else(damaged)?;
        if *form != FORM {
            return Err(SealError(format!("it is sealed in form {form}; {FORM} is the one that is known")));
        }
        let (nonce, text) = rest.split_first_chunk::<NONCE>().ok_or_else(damaged)?;
        let mut plain = Zeroizing::new(text.to_vec());
        let context = Aad::from(purpose.context(&sealed.alias));
        let opened = key.0.open_in_place(Nonce::assume_unique_for_key(*nonce), context, &mut plain);
        let length = opened.map_err(|_| SealError(format!(
            "the key-encryption key `{}` does not open it, or it was not sealed as what it is stored as",
            sealed.alias
        )))?.len();
        plain.truncate(length);
        Ok(plain)
    }
}

/// A key that encrypts keys. It lives as long as the process needs it, expanded, and is never shown.
pub struct SealingKey(LessSafeKey);

impl SealingKey {
    /// A key of these bytes.
    #[must_use]
    pub fn new(bytes: &Zeroizing<[u8; 32]>) -> Self {
        Self(LessSafeKey::new(expanded(bytes)))
    }

    /// A key that nobody knows, for keys that end with the process.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut())?;
        Ok(Self::new(&bytes))
    }

    /// The key that a passphrase stands for.
    ///
    /// The alias is the salt: one of its own for each sealed key would cost a signature all the rounds.
    #[must_use]
    pub fn from_passphrase(passphrase: &[u8], alias: &Alias) -> Self {
        Self::from_passphrase_in(ROUNDS, passphrase, alias)
    }

    pub(super) fn from_passphrase_in(rounds: NonZeroU32, passphrase: &[u8], alias: &Alias) -> Self {
        let salt = [SALT, alias.as_str().as_bytes()].concat();
        let mut bytes = Zeroizing::new([0; 32]);
        derive(PBKDF2_HMAC_SHA256, rounds, &salt, passphrase, bytes.as_mut_slice());
        Self::new(&bytes)
    }
}

fn expanded(bytes: &[u8; 32]) -> UnboundKey {
    UnboundKey::new(&AES_256_GCM, bytes).expect("AES-256 has keys of 32 bytes")
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// What a key is for, which is sealed with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Purpose<'a> {
    pub(super) public: &'a PublicKey,
    pub(super) gun: &'a Gun,
    pub(super) role: &'a RoleName,
}

impl Purpose<'_> {
    /// Each part behind its length, so that no two purposes have one text.
    fn context(&self, alias: &Alias) -> Vec<u8> {
        let parts = [
            CONTEXT,
            alias.as_str(),
            self.public.canonical_id().as_str(),
            self.public.key_type().as_str(),
            self.gun.as_str(),
            self.role.as_str(),
        ];
        let mut text = Vec::new();
        for part in parts {
            text.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            text.extend_from_slice(part.as_bytes());
        }
        text
    }
}

/// Why a key cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct SealError(String);

impl SealError {
    fn unknown(alias: &Alias) -> Self {
        Self(format!("it is sealed under `{alias}`, and no key-encryption key of that name is at hand"))
    }
}

/// The first byte of what is sealed as described here.
const FORM: u8 = 1;
/// AES-GCM's. A random one may be drawn 2³² times for one key.
const NONCE: usize = 12;
const CONTEXT: &str = "trustgate sealed key";
const SALT: &[u8] = b"trustgate key-encryption key\0";
/// What OWASP asks of PBKDF2 with SHA-256.
const ROUNDS: NonZeroU32 = NonZeroU32::new(600_000).expect("it is not 0");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::PrivateKey;

    fn alias(name: &str) -> Alias {
        name.parse().unwrap()
    }

    #[test]
    fn a_key_opens_only_as_what_it_was_sealed_as() {
        let key = PrivateKey::generate_ed25519().unwrap();
        let other = PrivateKey::generate_ed25519().unwrap();
        let (gun, role) = ("docker.io/acme/base".parse::<Gun>().unwrap(), RoleName::TIMESTAMP);
        let purpose = Purpose { public: key.public(), gun: &gun, role: &role };
        let keys = SealingKeys::new(alias("a"), SealingKey::new(&Zeroizing::new([7; 32])))
            .with(alias("b"), SealingKey::new(&Zeroizing::new([7; 32])));
        let sealed = keys.seal(b"secret", &purpose).unwrap();
        assert_eq!(*keys.open(&sealed, &purpose).unwrap(), b"secret");
        assert!(!sealed.bytes.windows(6).any(|it| it == b"secret"));

        let elsewhere = "docker.io/acme/other".parse().unwrap();
        for stolen in [
            Purpose { public: other.public(), ..purpose },
            Purpose { gun: &elsewhere, ..purpose },
            Purpose { role: &RoleName::SNAPSHOT, ..purpose },
        ] {
            assert!(keys.open(&sealed, &stolen).is_err(), "{stolen:?}");
        }
        // The same key under another name.
        let renamed = SealedKey { alias: alias("b"), bytes: sealed.bytes.clone() };
        assert!(keys.open(&renamed, &purpose).is_err());
        let unknown = SealedKey { alias: alias("c"), bytes: sealed.bytes };
        let reason = keys.open(&unknown, &purpose).unwrap_err().to_string();
        assert!(reason.contains("no key-encryption key of that name"), "{reason}");
    }

    #[test]
    fn no_damaged_byte_goes_unnoticed() {
        let key = PrivateKey::generate_ed25519().unwrap();
        let gun = "docker.io/acme/base".parse::<Gun>().unwrap();
        let purpose = Purpose { public: key.public(), gun: &gun, role: &RoleName::TIMESTAMP };
        let keys = SealingKeys::new(alias("a"), SealingKey::random().unwrap());
        let sealed = keys.seal(&key.to_plain(), &purpose).unwrap();
        for place in 0..sealed.bytes.len() {
            let mut damaged = sealed.clone();
            damaged.bytes[place] ^= 1;
            assert!(keys.open(&damaged, &purpose).is_err(), "{place}");
            damaged.bytes.truncate(place);
            assert!(keys.open(&damaged, &purpose).is_err(), "{place}");
        }
        assert_ne!(sealed.bytes, keys.seal(&key.to_plain(), &purpose).unwrap().bytes);
    }

    #[test]
    fn a_passphrase_is_another_key_under_another_alias() {
        let key = PrivateKey::generate_ed25519().unwrap();
        let gun = "docker.io/acme/base".parse::<Gun>().unwrap();
        let purpose = Purpose { public: key.public(), gun: &gun, role: &RoleName::TIMESTAMP };
        let few = NonZeroU32::new(2).unwrap();
        let of = |passphrase: &[u8], salt: &str| {
            SealingKeys::new(alias("a"), SealingKey::from_passphrase_in(few, passphrase, &alias(salt)))
        };
        let sealed = of(b"one", "a").seal(b"secret", &purpose).unwrap();
        assert_eq!(*of(b"one", "a").open(&sealed, &purpose).unwrap(), b"secret");
        assert!(of(b"two", "a").open(&sealed, &purpose).is_err());
        assert!(of(b"one", "b").open(&sealed, &purpose).is_err());
    }
}
