//! Root certificates: what docker and notary demand around a root key.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{AuthorError, SignatureMethod, Signer};
use crate::image::Gun;
use crate::tuf::der::{self, element};
use crate::tuf::{KeyType, PublicKey, RoleName};

/// Wraps a root key in a self-signed certificate for a repository, as Notary does: valid for ten years.
///
/// The key stays the same for all repositories; the certificate names one. `serial` is random.
pub fn root_certificate(
    signer: &dyn Signer,
    gun: &Gun,
    serial: [u8; 16],
    now: Timestamp,
) -> Result<PublicKey, AuthorError> {
    let key = signer.public();
    let wrapped = match key.key_type() {
        KeyType::Ecdsa => KeyType::EcdsaX509,
        KeyType::Rsa => KeyType::RsaX509,
        other @ (KeyType::EcdsaX509 | KeyType::RsaX509 | KeyType::Ed25519 | KeyType::Other(_)) => {
            return Err(AuthorError::Key {
                key_id: key.id().clone(),
                role: RoleName::ROOT,
                reason: format!("docker reads no certificate around a key of type `{other}`"),
            });
        }
    };
    let algorithm = match wrapped {
        KeyType::RsaX509 => element(der::SEQUENCE, &[&identifier(RSASSA_PSS), &pss_parameters()]),
        _ => element(der::SEQUENCE, &[&identifier(ECDSA_SHA256)]),
    };
    let name = common_name(gun);
    let validity =
        element(der::SEQUENCE, &[&time(now), &time(now.checked_add(LIFETIME).unwrap_or(Timestamp::MAX))]);
    let version = element(der::context(0), &[&der::integer(&[2])]);
    let extensions = element(der::context(3), &[&extensions()]);
    let unsigned = element(
        der::SEQUENCE,
        &[&version, &der::integer(&serial), &algorithm, &name, &validity, &name, key.public(), &extensions],
    );
    let failed = |source| AuthorError::Signer { key_id: key.id().clone(), source };
    let signature = signer.sign(&unsigned).map_err(failed)?;
    let value = match signature.method {
        SignatureMethod::Ecdsa => ecdsa_value(&signature.bytes),
        SignatureMethod::RsaPss | SignatureMethod::Eddsa => signature.bytes,
    };
    let certificate =
        element(der::SEQUENCE, &[&unsigned, &algorithm, &element(der::BIT_STRING, &[&[0], &value])]);
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    let text = pem::encode_config(&pem::Pem::new("CERTIFICATE", certificate.to_vec()), config);
    Ok(PublicKey::new(wrapped, text.into_bytes()))
}

/// X.509 has the two halves as integers, metadata has them side by side.
fn ecdsa_value(raw: &[u8]) -> Vec<u8> {
    let (r, s) = raw.split_at(raw.len() / 2);
    element(der::SEQUENCE, &[&der::integer(r), &der::integer(s)]).to_vec()
}

/// Printable where it can be, as Go writes it.
fn common_name(gun: &Gun) -> Vec<u8> {
    let printable = |it: u8| it.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&it);
    let tag = if gun.as_str().bytes().all(printable) { der::PRINTABLE_STRING } else { der::UTF8_STRING };
    let pair = element(der::SEQUENCE, &[&identifier(COMMON_NAME), &element(tag, &[gun.as_str().as_bytes()])]);
    element(der::SEQUENCE, &[&element(der::SET, &[&pair])]).to_vec()
}

/// RFC 5280: two digits of the year until 2049, four from then on.
fn time(time: Timestamp) -> Vec<u8> {
    let utc = time.to_zoned(TimeZone::UTC);
    let (tag, format) = match utc.year() {
        1950..2050 => (der::UTC_TIME, "%y%m%d%H%M%SZ"),
        _ => (der::GENERALIZED_TIME, "%Y%m%d%H%M%SZ"),
    };
    element(tag, &[utc.strftime(format).to_string().as_bytes()]).to_vec()
}

/// Signatures and key encipherment, code signing, no authority.
fn extensions() -> Vec<u8> {
    let usage = element(der::BIT_STRING, &[&[5, 0xa0]]);
    let purposes = element(der::SEQUENCE, &[&identifier(CODE_SIGNING)]);
    let constraints = element(der::SEQUENCE, &[]);
    element(
        der::SEQUENCE,
        &[
            &extension(KEY_USAGE, Critical::Yes, &usage),
            &extension(EXTENDED_KEY_USAGE, Critical::No, &purposes),
            &extension(BASIC_CONSTRAINTS, Critical::Yes, &constraints),
        ],
    )
    .to_vec()
}

/// Whether a reader that does not know an extension must refuse the certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Critical {
    Yes,
    No,
}

fn extension(oid: &[u8], critical: Critical, value: &[u8]) -> Vec<u8> {
    let flag = element(der::BOOLEAN, &[&[0xff]]);
    let flag: &[u8] = if critical == Critical::Yes { &flag } else { &[] };
    element(der::SEQUENCE, &[&identifier(oid), flag, &element(der::OCTET_STRING, &[value])]).to_vec()
}

/// SHA-256, MGF1 with SHA-256, a salt of 32 bytes.
fn pss_parameters() -> Vec<u8> {
    let sha256 = element(der::SEQUENCE, &[&identifier(SHA256), &element(der::NULL, &[])]);
    let mask = element(der::SEQUENCE, &[&identifier(MGF1), &sha256]);
    let parts = [
        element(der::context(0), &[&sha256]),
        element(der::context(1), &[&mask]),
        element(der::context(2), &[&der::integer(&[32])]),
    ];
    element(der::SEQUENCE, &[&parts[0], &parts[1], &parts[2]]).to_vec()
}

fn identifier(content: &[u8]) -> Vec<u8> {
    element(der::OBJECT_IDENTIFIER, &[content]).to_vec()
}

/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
/// 2.5.29.15
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
/// 2.5.29.19
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
/// 2.5.29.37
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];
/// 1.3.6.1.5.5.7.3.3
const CODE_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 3];
/// 1.2.840.10045.4.3.2
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
/// 1.2.840.113549.1.1.10
const RSASSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
/// 1.2.840.113549.1.1.8
const MGF1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8];
/// 2.16.840.1.101.3.4.2.1
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
/// Notary's: as long as a root itself.
const LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 3650);
