//! Private keys under a passphrase: PBES2, as Notary and OpenSSL write it.
//!
//! Docker's and notary's clients read one combination only, PBKDF2 with HMAC-SHA-1 and AES-256-CBC:
//! they ignore what the file says about the hash, and honor the number of rounds. So that is what is
//! written, with more rounds than theirs ([`rounds_for`]). Nothing authenticates the ciphertext; a wrong
//! passphrase shows in the padding, or else in the text behind it.

use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::pkcs5::pbes2::{EncryptionScheme, Kdf, Parameters, Pbkdf2Params, Pbkdf2Prf};
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _, Reader as _, SliceReader};
use zeroize::Zeroizing;

use super::pkcs8::Unreadable;
use super::{KeyError, Passphrase, private::random};
use crate::tuf::der;

/// How often a new passphrase is hashed. Rounds make guesses dear; nobody guesses what a machine drew at
/// random, and who signs in a pipeline would wait for them at each signature.
pub(super) fn rounds_for(passphrase: &Passphrase) -> u32 {
    let drawn = passphrase.expose().chars().count() >= DRAWN_LENGTH;
    if drawn { ROUNDS_IF_DRAWN } else { ROUNDS }
}

/// Encrypts DER of PKCS#8.
pub(super) fn seal(plain: &[u8], passphrase: &Passphrase, rounds: u32) -> Result<Vec<u8>, KeyError> {
    let failed = |reason: String| KeyError::Unsupported { place: "the encryption".to_owned(), reason };
    let salt = random::<SALT_LENGTH>()?;
    let salt = pkcs8::pkcs5::pbes2::Salt::new(salt.as_slice()).map_err(|it| failed(it.to_string()))?;
    let kdf = Kdf::Pbkdf2(Pbkdf2Params {
        salt,
        iteration_count: rounds,
        key_length: None,
        prf: Pbkdf2Prf::HmacWithSha1,
    });
    let encryption = EncryptionScheme::Aes256Cbc { iv: *random::<16>()? };
    let parameters = Parameters { kdf, encryption };
    let sealed = parameters.encrypt(passphrase.expose(), plain).map_err(|it| failed(it.to_string()))?;
    let algorithm =
        pkcs8::pkcs5::EncryptionScheme::from(parameters).to_der().map_err(|it| failed(it.to_string()))?;
    let sealed = der::element(der::OCTET_STRING, &[&sealed]);
    Ok(der::element(der::SEQUENCE, &[&algorithm, &sealed]).to_vec())
}

/// A key under a passphrase, of which everything but the passphrase is known to be in order.
pub(super) struct Sealed<'a> {
    info: EncryptedPrivateKeyInfoRef<'a>,
}

impl<'a> Sealed<'a> {
    /// Reads `EncryptedPrivateKeyInfo`, and refuses what would take for ever to open.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        if let Some(kind) = unsupported_kind(bytes) {
            return Err(Unreadable::Unsupported(kind));
        }
        let info = EncryptedPrivateKeyInfoRef::from_der(bytes)?;
        let Some(parameters) = info.encryption_algorithm.pbes2() else {
            return Err(Unreadable::Unsupported("its encryption is older than PBES2".to_owned()));
        };
        let Kdf::Pbkdf2(derivation) = &parameters.kdf else {
            return Err(Unreadable::Unsupported("its passphrase is not hashed by PBKDF2".to_owned()));
        };
        let rounds = derivation.iteration_count;
        if rounds == 0 || rounds > ROUNDS_LIMIT {
            return Err(Unreadable::Unsupported(format!(
                "its passphrase is hashed {rounds} times; from 1 to {ROUNDS_LIMIT} times are supported"
            )));
        }
        let block = match parameters.encryption {
            EncryptionScheme::DesEde3Cbc { .. } => 8,
            EncryptionScheme::Aes128Cbc { .. }
            | EncryptionScheme::Aes192Cbc { .. }
            | EncryptionScheme::Aes256Cbc { .. } => 16,
            _ => return Err(Unreadable::Unsupported("its cipher is not supported".to_owned())),
        };
        let length = info.encrypted_data.as_bytes().len();
        if length == 0 || !length.is_multiple_of(block) {
            return Err(Unreadable::Malformed(format!("its {length} encrypted bytes are no whole blocks")));
        }
        Ok(Self { info })
    }

    /// The DER of PKCS#8 inside; `None` if the passphrase is wrong.
    pub(super) fn open(&self, passphrase: &Passphrase) -> Result<Option<Zeroizing<Vec<u8>>>, Unreadable> {
        let sealed = self.info.encrypted_data.as_bytes();
        let opened = self.info.encryption_algorithm.decrypt(passphrase.expose(), sealed);
        judge(opened.ok().map(Zeroizing::new), sealed.len())
    }

    /// Whether docker's and notary's clients can open it, too.
    pub(super) fn is_readable_by_docker(&self) -> bool {
        let Some(parameters) = self.info.encryption_algorithm.pbes2() else { return false };
        let sha1 = parameters.kdf.pbkdf2().is_some_and(|it| it.prf == Pbkdf2Prf::HmacWithSha1);
        sha1 && matches!(parameters.encryption, EncryptionScheme::Aes256Cbc { .. })
    }
}

/// What came of opening a ciphertext of this length with a passphrase: the key, a wrong passphrase
/// (`None`), or a ciphertext that was damaged.
///
/// One wrong passphrase in 256 leaves a valid padding, of one byte, and noise before it. A longer padding
/// does not come about by chance; where there is no key before that, the ciphertext was damaged.
pub(super) fn judge(
    opened: Option<Zeroizing<Vec<u8>>>,
    sealed_length: usize,
) -> Result<Option<Zeroizing<Vec<u8>>>, Unreadable> {
    let Some(opened) = opened else { return Ok(None) };
    if is_one_sequence(&opened) {
        return Ok(Some(opened));
    }
    if CHANCE_PADDING < sealed_length.saturating_sub(opened.len()) {
        return Err(Unreadable::Malformed(
            "its passphrase opens it, but what is inside is no key".to_owned(),
        ));
    }
    Ok(None)
}

/// Whether the bytes are one DER sequence and nothing else.
fn is_one_sequence(bytes: &[u8]) -> bool {
    let read = || {
        let mut reader = SliceReader::new(bytes)?;
        reader.sequence(|inner| {
            while !inner.is_finished() {
                inner.tlv_bytes()?;
            }
            Ok::<_, x509_cert::der::Error>(())
        })?;
        reader.finish()
    };
    read().is_ok()
}

/// Why the outermost algorithm is none that can be read, where it is another one.
fn unsupported_kind(bytes: &[u8]) -> Option<String> {
    let mut reader = SliceReader::new(bytes).ok()?;
    let algorithm = reader.sequence(|inner| {
        let algorithm = x509_cert::spki::AlgorithmIdentifierRef::decode(inner)?;
        while !inner.is_finished() {
            inner.tlv_bytes()?;
        }
        Ok::<_, x509_cert::der::Error>(algorithm.oid)
    });
    let oid = algorithm.ok()?;
    (oid != PBES2).then(|| format!("its encryption, {oid}, is not PBES2"))
}

const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
/// Docker's salts are as long.
const SALT_LENGTH: usize = 8;
/// How often a passphrase is hashed that somebody may have thought of: docker's 2,048 times are tried by
/// the million a second.
const ROUNDS: u32 = 600_000;
/// How often one is hashed that is as long as machines make them: eight times docker's.
const ROUNDS_IF_DRAWN: u32 = 16_384;
/// Characters of 16 random bytes in hexadecimal, or 24 in base64; few people type as many. Words have
/// some 1.5 bits a character, so that even a sentence of this length is out of reach.
const DRAWN_LENGTH: usize = 32;
/// Some three seconds; whoever wrote the file may want it to take for ever.
const ROUNDS_LIMIT: u32 = 10_000_000;
/// The longest padding that noise may have: one wrong passphrase in 16 million has a longer one.
const CHANCE_PADDING: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(kdf: Kdf, ciphertext: &[u8]) -> Vec<u8> {
        let encryption = EncryptionScheme::Aes256Cbc { iv: [0; 16] };
        let algorithm =
            pkcs8::pkcs5::EncryptionScheme::from(Parameters { kdf, encryption }).to_der().unwrap();
        der::element(der::SEQUENCE, &[&algorithm, &der::element(der::OCTET_STRING, &[ciphertext])]).to_vec()
    }

    fn rounds(count: u32) -> Kdf {
        let salt = pkcs8::pkcs5::pbes2::Salt::new([1; 8]).unwrap();
        let prf = Pbkdf2Prf::HmacWithSha1;
        Kdf::Pbkdf2(Pbkdf2Params { salt, iteration_count: count, key_length: None, prf })
    }

    #[test]
    fn what_would_take_for_ever_to_open_is_refused() {
        for (count, accepted) in
            [(0, false), (1, true), (ROUNDS, true), (ROUNDS_LIMIT, true), (ROUNDS_LIMIT + 1, false)]
        {
            let text = sealed(rounds(count), &[0; 16]);
            let result = Sealed::read(&text);
            assert_eq!(result.is_ok(), accepted, "{count}");
            if let Err(error) = result {
                assert!(matches!(error, Unreadable::Unsupported(_) | Unreadable::Malformed(_)), "{error:?}");
            }
        }
    }

    #[test]
    fn what_a_person_may_think_of_is_hashed_more_often() {
        let cases =
            [("correct horse", ROUNDS), (&*"é".repeat(31), ROUNDS), (&*"é".repeat(32), ROUNDS_IF_DRAWN)];
        for (passphrase, rounds) in cases {
            assert_eq!(rounds_for(&Passphrase::new(passphrase.to_owned())), rounds, "{passphrase}");
        }
    }

    #[test]
    fn ciphertext_that_is_no_whole_blocks_is_damaged() {
        for length in [0, 1, 15, 17] {
            let text = sealed(rounds(1), &vec![0; length]);
            assert!(matches!(Sealed::read(&text), Err(Unreadable::Malformed(_))), "{length}");
        }
    }

    #[test]
    fn what_is_written_is_what_docker_reads() {
        let plain = [0x30, 0x03, 0x02, 0x01, 0x2a];
        let passphrase = Passphrase::new("correct horse".to_owned());
        let text = seal(&plain, &passphrase, 2).unwrap();
        let read = Sealed::read(&text).unwrap();
        assert!(read.is_readable_by_docker());
        assert_eq!(*read.open(&passphrase).unwrap().unwrap(), plain);
        let algorithm = read.info.encryption_algorithm.to_der().unwrap();
        // Without the hash's name, which docker does not write either.
        let sha1 = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x07];
        assert!(!algorithm.windows(8).any(|it| it == sha1));
        assert_ne!(text, seal(&plain, &passphrase, 2).unwrap(), "salt and vector are new each time");
    }
}
