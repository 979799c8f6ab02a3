//! A token's outside: three parts of base64, of which the first says how the last was made.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::keys::VerifyingKey;

/// The algorithms that tokens are signed with here. There is none without a key, and none whose key is
/// also a public one's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// Ed25519.
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// RSA, PKCS #1 v1.5, with SHA-256.
    Rs256,
}

/// A token whose signature nobody has checked yet.
#[derive(Debug)]
pub(super) struct Jwt<'a> {
    pub(super) algorithm: Algorithm,
    /// Which key it says it is of.
    pub(super) key: Option<String>,
    /// The certificates that it brings, the signing key's first.
    pub(super) chain: Vec<Vec<u8>>,
    signed: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
}

impl<'a> Jwt<'a> {
    /// Takes a token apart.
    pub(super) fn parse(token: &'a str) -> Result<Self, String> {
        if TOKEN_LIMIT < token.len() {
            return Err(format!("it is longer than {TOKEN_LIMIT} bytes"));
        }
        let (signed, signature) = token.rsplit_once('.').ok_or("it has not three parts")?;
        let (header, payload) = signed.split_once('.').ok_or("it has not three parts")?;
        let header = decode(header).ok_or("its header is not base64")?;
        let header: Header = serde_json::from_slice(&header).map_err(|it| format!("its header: {it}"))?;
        if header.critical.is_some() {
            return Err("its header has `crit`, and nothing of that kind is known".to_owned());
        }
        let chain = header.chain.unwrap_or_default();
        let chain = chain.iter().map(|it| STANDARD.decode(it)).collect::<Result<Vec<_>, _>>();
        Ok(Self {
            algorithm: Algorithm::named(&header.algorithm)?,
            key: header.key,
            chain: chain.map_err(|it| format!("its `x5c` is not base64: {it}"))?,
            signed,
            payload,
            signature: decode(signature).ok_or("its signature is not base64")?,
        })
    }

    /// What it says, if this key signed it.
    pub(super) fn payload(&self, key: &VerifyingKey) -> Option<Vec<u8>> {
        let right = key.algorithm() == self.algorithm && key.verify(self.signed.as_bytes(), &self.signature);
        if right { decode(self.payload) } else { None }
    }
}

impl Algorithm {
    /// What RFC 7518 and RFC 8037 call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }

    fn named(name: &str) -> Result<Self, String> {
        let known = [Self::EdDsa, Self::Es256, Self::Rs256];
        known.into_iter().find(|it| it.name() == name).ok_or_else(|| {
            let name = crate::text::visible_prefix(name, SHOWN);
            format!("it is signed with {name:?}; `RS256`, `ES256` and `EdDSA` are taken")
        })
    }
}

/// What stands in a header and counts; a member that stands twice is an error.
#[derive(Deserialize)]
struct Header {
    #[serde(rename = "alg")]
    algorithm: String,
    #[serde(rename = "kid")]
    key: Option<String>,
    #[serde(rename = "x5c")]
    chain: Option<Vec<String>>,
    #[serde(rename = "crit")]
    critical: Option<IgnoredAny>,
}

/// No blanks, no padding, and no bits to spare: a token is written in one way.
fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// A token for many scopes has two kilobytes; with a chain of certificates, eight.
const TOKEN_LIMIT: usize = 32 * 1024;
/// As much of a wrong value as a message shows.
const SHOWN: usize = 40;
