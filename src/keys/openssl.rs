//! Keys that OpenSSL encrypted in the way of RFC 1421: `Proc-Type: 4,ENCRYPTED` and `DEK-Info`.
//!
//! The passphrase is hashed once, with MD5. Such keys are read, never written.

use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

use super::Passphrase;
use super::block::{Block, PROC_TYPE};
use super::encryption::judge;
use super::pkcs8::Unreadable;

/// How a block is encrypted.
pub(super) struct LegacyCipher {
    kind: Kind,
    initial: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Kind {
    Aes128,
    Aes192,
    Aes256,
    Des,
    TripleDes,
}

impl Kind {
    fn key_length(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 | Self::TripleDes => 24,
            Self::Aes256 => 32,
            Self::Des => 8,
        }
    }

    fn block_length(self) -> usize {
        match self {
            Self::Aes128 | Self::Aes192 | Self::Aes256 => 16,
            Self::Des | Self::TripleDes => 8,
        }
    }
}

impl LegacyCipher {
    /// How the block is encrypted; `None` if it is not.
    pub(super) fn of(block: &Block) -> Result<Option<Self>, Unreadable> {
        let Some(information) = block.header("DEK-Info") else {
            let claims = block.header(PROC_TYPE).is_some_and(|it| it.contains("ENCRYPTED"));
            return if claims {
                Err(malformed("it says that it is encrypted, but not how"))
            } else {
                Ok(None)
            };
        };
        let (name, initial) =
            information.split_once(',').ok_or_else(|| malformed("`DEK-Info` lacks a comma"))?;
        let kind = match name.trim() {
            "AES-128-CBC" => Kind::Aes128,
            "AES-192-CBC" => Kind::Aes192,
            "AES-256-CBC" => Kind::Aes256,
            "DES-CBC" => Kind::Des,
            "DES-EDE3-CBC" => Kind::TripleDes,
            other => {
                return Err(Unreadable::Unsupported(format!("its cipher {other:.32?} is not supported")));
            }
        };
        let initial = hex::decode(initial.trim()).map_err(|_| malformed("`DEK-Info` is not hexadecimal"))?;
        let length = block.contents.len();
        if initial.len() != kind.block_length() || length == 0 || !length.is_multiple_of(kind.block_length())
        {
            return Err(malformed("its encrypted bytes are no whole blocks"));
        }
        Ok(Some(Self { kind, initial }))
    }

    /// What is inside; `None` if the passphrase is wrong.
    pub(super) fn open(
        &self,
        encrypted: &[u8],
        passphrase: &Passphrase,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Unreadable> {
        let key = self.key(passphrase);
        let opened = match self.kind {
            Kind::Aes128 => decrypt::<cbc::Decryptor<aes::Aes128>>(&key, &self.initial, encrypted),
            Kind::Aes192 => decrypt::<cbc::Decryptor<aes::Aes192>>(&key, &self.initial, encrypted),
            Kind::Aes256 => decrypt::<cbc::Decryptor<aes::Aes256>>(&key, &self.initial, encrypted),
            Kind::Des => decrypt::<cbc::Decryptor<des::Des>>(&key, &self.initial, encrypted),
            Kind::TripleDes => decrypt::<cbc::Decryptor<des::TdesEde3>>(&key, &self.initial, encrypted),
        };
        judge(opened, encrypted.len())
    }

    /// OpenSSL's `EVP_BytesToKey` with one round: hashes of hash, passphrase and salt, one after the other.
    fn key(&self, passphrase: &Passphrase) -> Zeroizing<Vec<u8>> {
        let salt = self.initial.get(..SALT_LENGTH).unwrap_or_default();
        let mut key = Zeroizing::new(Vec::with_capacity(3 * 16));
        let mut last = Zeroizing::new(Vec::new());
        while key.len() < self.kind.key_length() {
            let hash = Md5::new().chain_update(&*last).chain_update(passphrase.expose()).chain_update(salt);
            last = Zeroizing::new(hash.finalize().to_vec());
            key.extend_from_slice(&last);
        }
        key.truncate(self.kind.key_length());
        key
    }
}

fn decrypt<C: BlockModeDecrypt + KeyIvInit>(
    key: &[u8],
    initial: &[u8],
    encrypted: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let mut buffer = Zeroizing::new(encrypted.to_vec());
    let cipher = C::new_from_slices(key, initial).ok()?;
    let length = cipher.decrypt_padded::<Pkcs7>(&mut buffer).ok()?.len();
    buffer.truncate(length);
    Some(buffer)
}

fn malformed(reason: &str) -> Unreadable {
    Unreadable::Malformed(reason.to_owned())
}

/// The salt is the start of the initial vector.
const SALT_LENGTH: usize = 8;

#[cfg(test)]
mod tests {
    use cbc::cipher::BlockModeEncrypt;

    use super::*;

    fn encrypt<C: BlockModeEncrypt + KeyIvInit>(key: &[u8], initial: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut buffer = plain.to_vec();
        buffer.resize(plain.len() + 16, 0);
        let cipher = C::new_from_slices(key, initial).unwrap();
        cipher.encrypt_padded::<Pkcs7>(&mut buffer, plain.len()).unwrap().to_vec()
    }

    fn block(information: &str, contents: Vec<u8>) -> Block {
        let headers = [("Proc-Type", "4,ENCRYPTED"), ("DEK-Info", information)];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Block { label: "EC PRIVATE KEY".to_owned(), headers, contents: contents.into() }
    }

    /// The key that OpenSSL derives from `secret` and this salt, by `openssl enc -P -md md5`.
    #[test]
    fn the_derivation_is_openssls() {
        let block = block("AES-256-CBC,00112233445566778899AABBCCDDEEFF", vec![0; 16]);
        let cipher = LegacyCipher::of(&block).unwrap().unwrap();
        let key = cipher.key(&Passphrase::new("secret".to_owned()));
        assert_eq!(hex::encode(&*key), DERIVED);
    }

    #[test]
    fn every_cipher_opens_what_it_closed() {
        // A sequence of one integer.
        let plain = [0x30, 0x03, 0x02, 0x01, 0x2a];
        let passphrase = Passphrase::new("secret".to_owned());
        for (name, length) in [
            ("AES-128-CBC", 16),
            ("AES-192-CBC", 16),
            ("AES-256-CBC", 16),
            ("DES-CBC", 8),
            ("DES-EDE3-CBC", 8),
        ] {
            let initial = vec![7; length];
            let information = format!("{name},{}", hex::encode(&initial));
            let probe = block(&information, vec![0; 16]);
            let cipher = LegacyCipher::of(&probe).unwrap().unwrap();
            let key = cipher.key(&passphrase);
            let closed = match cipher.kind {
                Kind::Aes128 => encrypt::<cbc::Encryptor<aes::Aes128>>(&key, &initial, &plain),
                Kind::Aes192 => encrypt::<cbc::Encryptor<aes::Aes192>>(&key, &initial, &plain),
                Kind::Aes256 => encrypt::<cbc::Encryptor<aes::Aes256>>(&key, &initial, &plain),
                Kind::Des => encrypt::<cbc::Encryptor<des::Des>>(&key, &initial, &plain),
                Kind::TripleDes => encrypt::<cbc::Encryptor<des::TdesEde3>>(&key, &initial, &plain),
            };
            assert_eq!(*cipher.open(&closed, &passphrase).unwrap().unwrap(), plain, "{name}");
            assert_eq!(cipher.open(&closed, &Passphrase::new("other".to_owned())), Ok(None), "{name}");
        }
    }

    #[test]
    fn bad_headers_are_refused() {
        for information in
            ["", "AES-256-CBC", "AES-256-CBC,", "AES-256-CBC,xx", "AES-256-CBC,0011", "RC4,0011223344556677"]
        {
            assert!(LegacyCipher::of(&block(information, vec![0; 16])).is_err(), "{information:?}");
        }
        let good = "AES-256-CBC,00112233445566778899AABBCCDDEEFF";
        for length in [0, 15, 17] {
            assert!(LegacyCipher::of(&block(good, vec![0; length])).is_err(), "{length}");
        }
    }

    const DERIVED: &str = "6c634f48357975117b982645f825e6e69baef03eb9b45a39b409befd557eb185";
}
