//! Having documents signed by keys that are elsewhere.
//!
//! Documents take signers that answer at once, and a key service does not: so the bytes are asked for
//! first, signed, and the signatures handed in.

use std::cell::RefCell;

use super::PublicationError;
use crate::signer::{KeyService, KeyServiceError};
use crate::tuf::author::{AuthorError, RawSignature, Signer, SignerError, UnsignedDocument};
use crate::tuf::{PublicKey, RoleName};

/// The document signed by those of its role's keys that the service has; nothing, if it has none.
pub(super) async fn sign(
    keys: &dyn KeyService,
    document: UnsignedDocument,
) -> Result<Option<Vec<u8>>, PublicationError> {
    let wanted: Vec<PublicKey> = document.demands().iter().flat_map(|it| it.keys.clone()).collect();
    let needed = document.demands().iter().map(|it| it.threshold).max().unwrap_or(1);
    let needed = usize::try_from(needed).unwrap_or(usize::MAX);
    let Some(message) = message(&document, &wanted) else { return Ok(None) };
    let mut made: Vec<Made> = Vec::new();
    for key in wanted {
        if made.len() >= needed {
            break;
        }
        match keys.sign(key.id(), &message).await {
            Ok(signature) => made.push(Made { key, signature }),
            Err(KeyServiceError::Unknown { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if made.is_empty() {
        return Ok(None);
    }
    let role = document.role().clone();
    let signers: Vec<&dyn Signer> = made.iter().map(|it| it as &dyn Signer).collect();
    document.sign(&signers).map(Some).map_err(|error| unsigned(&role, &error))
}

/// Why a document with these signatures is not signed.
fn unsigned(role: &RoleName, error: &AuthorError) -> PublicationError {
    match error {
        AuthorError::Threshold { valid, needed, .. } if *valid > 0 => {
            let reason = format!("this server has {valid} of the {needed} keys that must sign `{role}`");
            PublicationError::Update { reason }
        }
        other => PublicationError::Work { reason: other.to_string() },
    }
}

/// The bytes that are to be signed.
fn message(document: &UnsignedDocument, keys: &[PublicKey]) -> Option<Vec<u8>> {
    let asked = Asked { key: keys.first()?, message: RefCell::new(None) };
    // It does not sign, so this is an error in any case.
    let _ = document.clone().sign(&[&asked]);
    asked.message.into_inner()
}

/// A signer that only listens.
struct Asked<'a> {
    key: &'a PublicKey,
    message: RefCell<Option<Vec<u8>>>,
}

impl Signer for Asked<'_> {
    fn public(&self) -> &PublicKey {
        self.key
    }

    fn sign(&self, message: &[u8]) -> Result<RawSignature, SignerError> {
        self.message.replace(Some(message.to_vec()));
        Err("it only listens".into())
    }
}

/// A signature that was made already.
struct Made {
    key: PublicKey,
    signature: RawSignature,
}

impl Signer for Made {
    fn public(&self) -> &PublicKey {
        &self.key
    }

    fn sign(&self, _message: &[u8]) -> Result<RawSignature, SignerError> {
        Ok(self.signature.clone())
    }
}
