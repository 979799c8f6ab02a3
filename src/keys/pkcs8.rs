//! What is inside a key block: DER of private keys, of each kind that Notary, Go and OpenSSL write.
//!
//! Notary's PKCS#8 is its own: an elliptic-curve key has version 1 without the public key that this
//! version promises, an RSA key has no parameters where the standard has NULL, and an Ed25519 key has
//! another identifier and another content than RFC 8410 gives it. Other crates refuse all three.

use x509_cert::der::asn1::{
    AnyRef, BitStringRef, ContextSpecific, ObjectIdentifier, OctetStringRef, UintRef,
};
use x509_cert::der::{Decode as _, Reader as _, SliceReader, TagNumber};
use x509_cert::spki::AlgorithmIdentifierRef;
use zeroize::Zeroizing;

use super::private::{PrivateKey, Secret};
use crate::tuf::der;

/// Why bytes are no private key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// They are not the DER that they should be.
    Malformed(String),
    /// They are a key of another kind.
    Unsupported(String),
}

impl From<x509_cert::der::Error> for Unreadable {
    fn from(error: x509_cert::der::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Reads PKCS#8 as Notary writes it, or as the standards have it.
pub(super) fn read_pkcs8(bytes: &[u8]) -> Result<PrivateKey, Unreadable> {
    let mut reader = SliceReader::new(bytes)?;
    let (algorithm, key) = reader.sequence(|inner| {
        // Go looks at the version as little as at what may follow the key.
        UintRef::decode(inner)?;
        let algorithm = AlgorithmIdentifierRef::decode(inner)?;
        let key = <&OctetStringRef>::decode(inner)?.as_bytes();
        while !inner.is_finished() {
            AnyRef::decode(inner)?;
        }
        Ok::<_, x509_cert::der::Error>((algorithm, key))
    })?;
    reader.finish()?;
    match algorithm.oid {
        EC_PUBLIC_KEY => {
            let curve = algorithm.parameters.and_then(|it| it.decode_as::<ObjectIdentifier>().ok());
            read_sec1(key, curve)
        }
        RSA_ENCRYPTION => read_pkcs1(key),
        NOTARY_ED25519 => read_notary_ed25519(key),
        ED25519 => {
            let seed = <&OctetStringRef>::from_der(key)?.as_bytes();
            let seed = Zeroizing::new(<[u8; 32]>::try_from(seed).map_err(|_| {
                Unreadable::Malformed(format!("an Ed25519 key has 32 bytes, not {}", seed.len()))
            })?);
            Ok(PrivateKey::ed25519(ed25519_dalek::SigningKey::from_bytes(&seed)))
        }
        other => Err(Unreadable::Unsupported(format!("keys of kind {other} are not supported"))),
    }
}

/// Reads `ECPrivateKey` of SEC 1; the curve is named inside it or outside.
pub(super) fn read_sec1(bytes: &[u8], outer: Option<ObjectIdentifier>) -> Result<PrivateKey, Unreadable> {
    let mut reader = SliceReader::new(bytes)?;
    let (scalar, inner_curve, point) = reader.sequence(|inner| {
        UintRef::decode(inner)?;
        let scalar = <&OctetStringRef>::decode(inner)?.as_bytes();
        let curve = ContextSpecific::<ObjectIdentifier>::decode_explicit(inner, TagNumber(0))?;
        let point = ContextSpecific::<BitStringRef<'_>>::decode_explicit(inner, TagNumber(1))?;
        Ok::<_, x509_cert::der::Error>((scalar, curve, point))
    })?;
    reader.finish()?;
    let key = match outer.or(inner_curve.map(|it| it.value)) {
        Some(P256) => {
            let scalar = padded::<32>(scalar)?;
            p256::ecdsa::SigningKey::from_slice(&*scalar).map(PrivateKey::p256).map_err(|_| not_of_curve())
        }
        Some(P384) => {
            let scalar = padded::<48>(scalar)?;
            p384::ecdsa::SigningKey::from_slice(&*scalar).map(PrivateKey::p384).map_err(|_| not_of_curve())
        }
        Some(other) => Err(Unreadable::Unsupported(format!(
            "the elliptic curve {other} is not supported; P-256 and P-384 are"
        ))),
        None => Err(Unreadable::Malformed("the key names no elliptic curve".to_owned())),
    }?;
    // A scalar that was damaged is another key, which only its public half tells.
    let claimed = point.and_then(|it| it.value.as_bytes()).filter(|it| it.first() == Some(&4));
    if claimed.is_some_and(|it| !key.public().public().ends_with(it)) {
        return Err(Unreadable::Malformed("its private and public half do not belong together".to_owned()));
    }
    Ok(key)
}

/// Reads an RSA key of PKCS#1.
pub(super) fn read_pkcs1(bytes: &[u8]) -> Result<PrivateKey, Unreadable> {
    PrivateKey::rsa(Zeroizing::new(bytes.to_vec())).map_err(|reason| match reason.as_str() {
        "TooSmall" => Unreadable::Unsupported("RSA keys below 2048 bits are not supported".to_owned()),
        "TooLarge" => Unreadable::Unsupported("RSA keys above 4096 bits are not supported".to_owned()),
        _ => Unreadable::Malformed(format!("the RSA key is not acceptable: {reason}")),
    })
}

/// Reads the public half, then the private half in Go's form, which is the seed and the public half again.
pub(super) fn read_notary_ed25519(bytes: &[u8]) -> Result<PrivateKey, Unreadable> {
    let parts = bytes.split_first_chunk::<32>().and_then(|(public, rest)| {
        let (seed, again) = rest.split_first_chunk::<32>()?;
        (again == public).then_some((public, seed))
    });
    let malformed = || Unreadable::Malformed("the Ed25519 key is not whole".to_owned());
    let (public, seed) = parts.ok_or_else(malformed)?;
    let key = ed25519_dalek::SigningKey::from_bytes(seed);
    if key.verifying_key().as_bytes() != public {
        return Err(Unreadable::Malformed("its private and public half do not belong together".to_owned()));
    }
    Ok(PrivateKey::ed25519(key))
}

/// Writes PKCS#8 as Notary does.
pub(super) fn write(key: &PrivateKey) -> Zeroizing<Vec<u8>> {
    let point = |length| {
        let public = key.public().public();
        public.get(public.len().saturating_sub(length)..).unwrap_or_default()
    };
    match key.secret() {
        Secret::P256(secret) => {
            elliptic(P256, Zeroizing::new(<[u8; 32]>::from(secret.to_bytes())).as_slice(), point(65))
        }
        Secret::P384(secret) => {
            elliptic(P384, Zeroizing::new(<[u8; 48]>::from(secret.to_bytes())).as_slice(), point(97))
        }
        Secret::Rsa(pkcs1) => {
            let algorithm = der::element(der::SEQUENCE, &[&identifier(RSA_ENCRYPTION)]);
            private_key_info(0, &algorithm, pkcs1)
        }
        Secret::Ed25519(secret) => {
            let algorithm = der::element(der::SEQUENCE, &[&identifier(NOTARY_ED25519)]);
            let mut content = Zeroizing::new([0; 96]);
            let (public, pair) = content.split_at_mut(32);
            public.copy_from_slice(secret.verifying_key().as_bytes());
            pair.copy_from_slice(&*Zeroizing::new(secret.to_keypair_bytes()));
            private_key_info(0, &algorithm, content.as_slice())
        }
    }
}

fn elliptic(curve: ObjectIdentifier, scalar: &[u8], point: &[u8]) -> Zeroizing<Vec<u8>> {
    let curve = identifier(curve);
    let algorithm = der::element(der::SEQUENCE, &[&identifier(EC_PUBLIC_KEY), &curve]);
    let sec1 = der::element(
        der::SEQUENCE,
        &[
            &der::integer(&[1]),
            &der::element(der::OCTET_STRING, &[scalar]),
            &der::element(der::context(0), &[&curve]),
            &der::element(der::context(1), &[&der::element(der::BIT_STRING, &[&[0], point])]),
        ],
    );
    private_key_info(1, &algorithm, &sec1)
}

fn private_key_info(version: u8, algorithm: &[u8], key: &[u8]) -> Zeroizing<Vec<u8>> {
    let key = der::element(der::OCTET_STRING, &[key]);
    der::element(der::SEQUENCE, &[&der::integer(&[version]), algorithm, &key])
}

/// The `SubjectPublicKeyInfo` of a point of a curve.
pub(super) fn elliptic_key_info(curve: ObjectIdentifier, point: &[u8]) -> Vec<u8> {
    let algorithm = der::element(der::SEQUENCE, &[&identifier(EC_PUBLIC_KEY), &identifier(curve)]);
    let key = der::element(der::BIT_STRING, &[&[0], point]);
    der::element(der::SEQUENCE, &[&algorithm, &key]).to_vec()
}

/// The `SubjectPublicKeyInfo` of a public key of PKCS#1.
pub(super) fn rsa_key_info(pkcs1: &[u8]) -> Vec<u8> {
    let null = der::element(der::NULL, &[]);
    let algorithm = der::element(der::SEQUENCE, &[&identifier(RSA_ENCRYPTION), &null]);
    let key = der::element(der::BIT_STRING, &[&[0], pkcs1]);
    der::element(der::SEQUENCE, &[&algorithm, &key]).to_vec()
}

/// The `SubjectPublicKeyInfo` of a key, whichever kind it is.
pub(super) fn public_key_info(key: &PrivateKey) -> Vec<u8> {
    let public = key.public().public();
    match key.secret() {
        Secret::P256(_) | Secret::P384(_) | Secret::Rsa(_) => public.to_vec(),
        Secret::Ed25519(_) => {
            let algorithm = der::element(der::SEQUENCE, &[&identifier(ED25519)]);
            let key = der::element(der::BIT_STRING, &[&[0], public]);
            der::element(der::SEQUENCE, &[&algorithm, &key]).to_vec()
        }
    }
}

fn identifier(oid: ObjectIdentifier) -> Zeroizing<Vec<u8>> {
    der::element(der::OBJECT_IDENTIFIER, &[oid.as_bytes()])
}

/// A scalar as long as its curve's order: some writers drop zeros at its start, some add them.
fn padded<const N: usize>(scalar: &[u8]) -> Result<Zeroizing<[u8; N]>, Unreadable> {
    let start = scalar.iter().position(|it| *it != 0).unwrap_or(scalar.len());
    let digits = scalar.get(start..).unwrap_or_default();
    let mut out = Zeroizing::new([0; N]);
    let place = N.checked_sub(digits.len()).and_then(|it| out.get_mut(it..));
    place.ok_or_else(not_of_curve)?.copy_from_slice(digits);
    Ok(out)
}

fn not_of_curve() -> Unreadable {
    Unreadable::Malformed("the key is no scalar of its curve".to_owned())
}

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(super) const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
pub(super) const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// RFC 8410's.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// Notary's, from before RFC 8410.
const NOTARY_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11591.15.1");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuf::author::Signer as _;

    fn p384() -> PrivateKey {
        let scalar = crate::keys::private::random::<48>().unwrap();
        PrivateKey::p384(p384::ecdsa::SigningKey::from_slice(&*scalar).unwrap())
    }

    fn keys() -> [PrivateKey; 3] {
        [PrivateKey::generate_p256().unwrap(), p384(), PrivateKey::generate_ed25519().unwrap()]
    }

    fn same(read: Result<PrivateKey, Unreadable>, key: &PrivateKey) {
        let read = read.unwrap();
        assert_eq!(read.public(), key.public());
        assert_eq!(read.sign(b"m").unwrap().bytes, key.sign(b"m").unwrap().bytes);
    }

    #[test]
    fn what_is_written_is_read() {
        for key in keys() {
            same(read_pkcs8(&write(&key)), &key);
        }
    }

    /// 150 bytes: version 1, the identifiers, the scalar, the curve again, the point: as docker 28.2.2 writes it.
    #[test]
    fn an_elliptic_key_is_written_as_notary_does() {
        let key = PrivateKey::generate_p256().unwrap();
        let text = hex::encode(&*write(&key));
        let parts = [
            "308193020101301306072a8648ce3d020106082a8648ce3d030107047930770201010420",
            "a00a06082a8648ce3d030107a14403420004",
        ];
        assert!(text.starts_with(parts[0]), "{text}");
        assert_eq!(&text[136..172], parts[1]);
        assert_eq!(text.len(), 300);
    }

    #[test]
    fn an_ed25519_key_is_written_as_notary_does() {
        let key = PrivateKey::generate_ed25519().unwrap();
        let text = write(&key);
        let (head, body) = text.split_at(text.len() - 96);
        assert_eq!(hex::encode(head), "3072020100300b06092b06010401da470f010460");
        assert_eq!(&body[..32], key.public().public());
        assert_eq!(&body[64..], key.public().public());
    }

    #[test]
    fn other_writers_forms_are_read() {
        let key = PrivateKey::generate_ed25519().unwrap();
        let whole = write(&key);
        let seed = &whole[whole.len() - 64..whole.len() - 32];
        let inner = der::element(der::OCTET_STRING, &[seed]);
        let algorithm = der::element(der::SEQUENCE, &[&identifier(ED25519)]);
        same(read_pkcs8(&private_key_info(0, &algorithm, &inner)), &key);

        let key = PrivateKey::generate_p256().unwrap();
        let Secret::P256(secret) = key.secret() else { panic!("it was made as one") };
        let scalar = secret.to_bytes();
        let number = der::integer(&[1]);
        // SEC 1 without the public half, with the curve outside, and with zeros before the scalar.
        let longer = [&[0, 0][..], &scalar].concat();
        for scalar in [&scalar[..], &longer] {
            let sec1 = der::element(der::SEQUENCE, &[&number, &der::element(der::OCTET_STRING, &[scalar])]);
            same(read_sec1(&sec1, Some(P256)), &key);
            let reason = read_sec1(&sec1, None).unwrap_err();
            assert_eq!(reason, Unreadable::Malformed("the key names no elliptic curve".to_owned()));
        }
    }

    #[test]
    fn keys_that_are_none_are_refused() {
        let key = PrivateKey::generate_p256().unwrap();
        let sec1 = |scalar: &[u8]| {
            der::element(der::SEQUENCE, &[&der::integer(&[1]), &der::element(der::OCTET_STRING, &[scalar])])
        };
        for scalar in [&[][..], &[0; 32], &[0xff; 32], &[1; 33], &[1; 1000]] {
            assert!(
                matches!(read_sec1(&sec1(scalar), Some(P256)), Err(Unreadable::Malformed(_))),
                "{scalar:?}"
            );
        }
        let p521 = ObjectIdentifier::new_unwrap("1.3.132.0.35");
        assert!(matches!(read_sec1(&sec1(&[1; 32]), Some(p521)), Err(Unreadable::Unsupported(_))));
        let algorithm = der::element(der::SEQUENCE, &[&identifier(P256)]);
        assert!(matches!(
            read_pkcs8(&private_key_info(0, &algorithm, b"x")),
            Err(Unreadable::Unsupported(_))
        ));
        assert!(read_pkcs1(&sec1(&[1; 32])).is_err());
        let whole = write(&key);
        for length in 0..whole.len() {
            assert!(read_pkcs8(&whole[..length]).is_err(), "{length}");
        }
        assert!(read_pkcs8(&[&whole[..], b"x"].concat()).is_err());
        // Another scalar than the one that the point belongs to.
        let mut other = whole.to_vec();
        other[50] ^= 1;
        assert!(read_pkcs8(&other).is_err());
    }
}
