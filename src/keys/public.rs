//! Files of public keys, as signers hand them to whoever lets them sign.
//!
//! Knows what docker's `signer add` takes: PEM of a public key, or of a certificate around one.

use std::path::Path;

use jiff::Timestamp;

use super::KeyError;
use super::block::Block;
use super::disk::{self, Links};
use crate::tuf::PublicKey;

/// The public keys of a PEM file, in its order. Certificates must be valid now.
///
/// Each block counts: notary and docker take the first one and pass over the others in silence.
pub fn read_public_keys(path: &Path, now: Timestamp) -> Result<Vec<PublicKey>, KeyError> {
    let (text, _) = disk::read_at_most(path, PUBLIC_LIMIT, Links::Followed)?;
    parse(&text, &format!("`{}`", path.display()), now)
}

fn parse(text: &[u8], place: &str, now: Timestamp) -> Result<Vec<PublicKey>, KeyError> {
    let place = || place.to_owned();
    let blocks = Block::parse_all(text).map_err(|reason| KeyError::Damaged { place: place(), reason })?;
    let unsupported = |reason| KeyError::Unsupported { place: place(), reason };
    let mut keys: Vec<PublicKey> = Vec::new();
    for block in blocks {
        let key = match block.label.as_str() {
            "PUBLIC KEY" => PublicKey::from_key_info(&block.contents),
            "CERTIFICATE" => PublicKey::from_certificate(&block.contents, now),
            label if label.ends_with("PRIVATE KEY") => {
                Err("it holds a private key, which nobody but its owner should have; \
                     a signer's public key is wanted"
                    .to_owned())
            }
            other => Err(format!("a PEM block of type {other:.64?} is no public key")),
        };
        let key = key.map_err(unsupported)?;
        if !keys.iter().any(|it| it.canonical_id() == key.canonical_id()) {
            keys.push(key);
        }
    }
    if keys.is_empty() {
        return Err(unsupported("it holds no public key in PEM".to_owned()));
    }
    Ok(keys)
}

/// A chain of certificates of RSA keys is a tenth of it.
const PUBLIC_LIMIT: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{KeyRole, KeyStore, PrivateKey};
    use crate::tuf::testing::{TestCertificate, TestKey, now};

    fn reason(text: &[u8]) -> String {
        parse(text, "alice.pub", now()).unwrap_err().to_string()
    }

    #[test]
    fn what_key_generate_writes_is_read_back() {
        for key in [PrivateKey::generate_p256().unwrap(), PrivateKey::generate_ed25519().unwrap()] {
            let text = KeyStore::public_text(&key, &KeyRole::delegation());
            assert_eq!(parse(&text, "alice.pub", now()).unwrap(), [key.public().clone()]);
            // The same key again is not a second one.
            let twice = [&text[..], &text[..]].concat();
            assert_eq!(parse(&twice, "alice.pub", now()).unwrap().len(), 1);
        }
    }

    #[test]
    fn a_certificate_stays_one() {
        let wrapped = TestKey::p256("one").in_certificate(&TestCertificate::for_gun("ci", now()));
        let text = wrapped.public().public();
        assert_eq!(parse(text, "ci.pem", now()).unwrap(), [wrapped.public().clone()]);
        let late = now() + jiff::SignedDuration::from_hours(24 * 365 * 200);
        assert!(parse(text, "ci.pem", late).unwrap_err().to_string().contains("expired at"));
        let early = now() - jiff::SignedDuration::from_hours(24 * 365 * 50);
        assert!(parse(text, "ci.pem", early).unwrap_err().to_string().contains("valid from"));
    }

    #[test]
    fn what_is_no_public_key_is_named() {
        assert_eq!(reason(b""), "alice.pub cannot be used: it holds no public key in PEM");
        assert_eq!(reason(b"ssh-ed25519 AAAA alice"), reason(b""));
        let private = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert!(reason(private.as_bytes()).contains("holds a private key"));
        let request = private.replace("PRIVATE KEY", "CERTIFICATE REQUEST");
        assert!(reason(request.as_bytes()).contains("\"CERTIFICATE REQUEST\" is no public key"));
        let garbage = private.replace("PRIVATE", "PUBLIC");
        assert!(reason(garbage.as_bytes()).contains("not a DER public key"));
        let open = "-----BEGIN PUBLIC KEY-----\nAAAA\n";
        assert!(reason(open.as_bytes()).contains("does not end"));
    }
}
