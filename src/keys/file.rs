//! Key files: a PEM block whose headers say what the key is for.
//!
//! Knows the text of a file, not where it lies.

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

use super::block::Block;
use super::encryption::{Sealed, seal};
use super::openssl::LegacyCipher;
use super::pkcs8::{self, Unreadable};
use super::{KeyError, Passphrase, PrivateKey};
use crate::image::Gun;
use crate::tuf::{KeyId, RoleName};

/// What a key file says that its key is for: a base role, or the bare name of a signer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyRole(String);

impl KeyRole {
    /// `root`.
    #[must_use]
    pub fn root() -> Self {
        Self("root".to_owned())
    }

    /// `targets`.
    #[must_use]
    pub fn targets() -> Self {
        Self("targets".to_owned())
    }

    /// `snapshot`.
    #[must_use]
    pub fn snapshot() -> Self {
        Self("snapshot".to_owned())
    }

    /// `delegation`: what notary calls a key that nobody gave a name.
    #[must_use]
    pub fn delegation() -> Self {
        Self("delegation".to_owned())
    }

    /// What the file of a key for this role of a repository says: a delegation's name without `targets/`.
    #[must_use]
    pub fn of(role: &RoleName) -> Self {
        let name = role.as_str();
        Self(name.strip_prefix("targets/").unwrap_or(name).to_owned())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether keys of this role belong to one repository each.
    #[must_use]
    pub fn needs_gun(&self) -> bool {
        matches!(self.as_str(), "targets" | "snapshot" | "timestamp")
    }
}

impl FromStr for KeyRole {
    type Err = KeyError;

    /// Anything that can stand in a header: notary wrote `targets/name` at times.
    fn from_str(name: &str) -> Result<Self, KeyError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'/' | b'.');
        if !name.is_empty() && name.len() <= ROLE_LIMIT && name.bytes().all(allowed) {
            return Ok(Self(name.to_owned()));
        }
        Err(KeyError::Role { name: name.chars().take(ROLE_LIMIT).collect() })
    }
}

impl fmt::Display for KeyRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A private key's block, still closed.
pub(super) struct KeyFile {
    pub(super) block: Block,
    /// Where it was found, for messages.
    pub(super) place: String,
}

impl KeyFile {
    /// The first block of a file's text, which is the one that counts.
    pub(super) fn parse(text: &[u8], place: &str) -> Result<Self, KeyError> {
        let first = Self::parse_all(text, place)?.into_iter().next();
        first.ok_or_else(|| KeyError::NoKey { place: place.to_owned() })
    }

    /// All blocks of a text.
    pub(super) fn parse_all(text: &[u8], place: &str) -> Result<Vec<Self>, KeyError> {
        let blocks = Block::parse_all(text);
        let blocks = blocks.map_err(|reason| KeyError::Damaged { place: place.to_owned(), reason })?;
        Ok(blocks.into_iter().map(|block| Self { block, place: place.to_owned() }).collect())
    }

    /// What the key is for, as far as the file says.
    pub(super) fn role(&self) -> Result<Option<KeyRole>, KeyError> {
        self.block.header(ROLE).filter(|it| !it.is_empty()).map(str::parse).transpose()
    }

    /// The repository that the key belongs to, as far as the file says.
    pub(super) fn gun(&self) -> Result<Option<Gun>, KeyError> {
        let gun = self.block.header(GUN).filter(|it| !it.is_empty());
        gun.map(|it| it.parse().map_err(|it| self.damaged(format!("{it}")))).transpose()
    }

    /// The key's ID, as an export says it.
    pub(super) fn path(&self) -> Option<&str> {
        self.block.header(PATH)
    }

    /// Whether it is a private key at all, open or closed.
    pub(super) fn is_private_key(&self) -> bool {
        self.block.label.ends_with("PRIVATE KEY")
    }

    /// Whether a passphrase is needed.
    pub(super) fn is_encrypted(&self) -> bool {
        self.block.label == ENCRYPTED || self.block.header("DEK-Info").is_some()
    }

    /// Whether docker's and notary's clients can open it.
    pub(super) fn is_readable_by_docker(&self) -> bool {
        match self.block.label.as_str() {
            ENCRYPTED => Sealed::read(&self.block.contents).is_ok_and(|it| it.is_readable_by_docker()),
            _ => true,
        }
    }

    /// The key of a file that needs no passphrase.
    pub(super) fn open_plain(&self) -> Result<PrivateKey, KeyError> {
        self.key(&self.block.label, &self.block.contents)
    }

    /// The key; `None` if the passphrase is wrong.
    pub(super) fn open(&self, passphrase: &Passphrase) -> Result<Option<PrivateKey>, KeyError> {
        if self.block.label == ENCRYPTED {
            let sealed = Sealed::read(&self.block.contents).map_err(|it| self.unreadable(it))?;
            let plain = sealed.open(passphrase).map_err(|it| self.unreadable(it))?;
            let Some(plain) = plain else { return Ok(None) };
            return self.key(PLAIN, &plain).map(Some);
        }
        let cipher = LegacyCipher::of(&self.block).map_err(|it| self.unreadable(it))?;
        let Some(cipher) = cipher else { return self.open_plain().map(Some) };
        let plain = cipher.open(&self.block.contents, passphrase).map_err(|it| self.unreadable(it))?;
        let Some(plain) = plain else { return Ok(None) };
        self.key(&self.block.label, &plain).map(Some)
    }

    /// Everything that can be known to be wrong before a passphrase is asked for.
    pub(super) fn check(&self) -> Result<(), KeyError> {
        if self.block.label == ENCRYPTED {
            return Sealed::read(&self.block.contents).map(drop).map_err(|it| self.unreadable(it));
        }
        match LegacyCipher::of(&self.block).map_err(|it| self.unreadable(it))? {
            Some(_) => Ok(()),
            None => self.open_plain().map(drop),
        }
    }

    /// The file's text with these headers, if docker can open it as it is encrypted.
    pub(super) fn as_stored(&self, role: &KeyRole, gun: Option<&Gun>) -> Option<Zeroizing<Vec<u8>>> {
        if self.block.label != ENCRYPTED || !self.is_readable_by_docker() {
            return None;
        }
        Some(Block { headers: headers(role, gun), ..self.block.clone() }.to_text())
    }

    fn key(&self, label: &str, plain: &[u8]) -> Result<PrivateKey, KeyError> {
        match label {
            PLAIN => pkcs8::read_pkcs8(plain),
            "EC PRIVATE KEY" => pkcs8::read_sec1(plain, None),
            "RSA PRIVATE KEY" => pkcs8::read_pkcs1(plain),
            "ED25519 PRIVATE KEY" => pkcs8::read_notary_ed25519(plain),
            other => {
                Err(Unreadable::Unsupported(format!("a PEM block of type {other:.64?} is no private key")))
            }
        }
        .map_err(|it| self.unreadable(it))
    }

    fn unreadable(&self, why: Unreadable) -> KeyError {
        match why {
            Unreadable::Malformed(reason) => self.damaged(reason),
            Unreadable::Unsupported(reason) => KeyError::Unsupported { place: self.place.clone(), reason },
        }
    }

    pub(super) fn damaged(&self, reason: String) -> KeyError {
        KeyError::Damaged { place: self.place.clone(), reason }
    }
}

/// The text of a key's file, as Notary writes it; without a passphrase it is not encrypted.
pub(super) fn key_text(
    key: &PrivateKey,
    role: &KeyRole,
    gun: Option<&Gun>,
    passphrase: &Passphrase,
    rounds: u32,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let plain = pkcs8::write(key);
    let (label, contents) = if passphrase.is_empty() {
        (PLAIN, plain)
    } else {
        (ENCRYPTED, Zeroizing::new(seal(&plain, passphrase, rounds)?))
    };
    Ok(Block { label: label.to_owned(), headers: headers(role, gun), contents }.to_text())
}

fn headers(role: &KeyRole, gun: Option<&Gun>) -> Vec<(String, String)> {
    let role = (ROLE.to_owned(), role.to_string());
    gun.map(|it| (GUN.to_owned(), it.to_string())).into_iter().chain([role]).collect()
}

/// The text of a public key's file, as `docker trust key generate` writes it.
pub(super) fn public_text(key: &PrivateKey, role: &KeyRole) -> Vec<u8> {
    let headers = vec![(ROLE.to_owned(), role.to_string())];
    let contents = Zeroizing::new(pkcs8::public_key_info(key));
    Block { label: "PUBLIC KEY".to_owned(), headers, contents }.to_text().to_vec()
}

/// The canonical ID that a file's name is, without its ending.
pub(super) fn id_of_name(name: &str) -> Option<KeyId> {
    name.strip_suffix(EXTENSION)?.parse().ok()
}

/// How key files end.
pub(super) const EXTENSION: &str = ".key";
pub(super) const ROLE: &str = "role";
pub(super) const GUN: &str = "gun";
pub(super) const PATH: &str = "path";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";
const PLAIN: &str = "PRIVATE KEY";
/// As long as the name of a delegation may be.
const ROLE_LIMIT: usize = 255;
