//! Root certificates.

use jiff::Timestamp;

use super::{AuthorError, Signer};
use crate::image::Gun;
use crate::tuf::PublicKey;

/// Wraps a root key in a self-signed certificate for a repository, as Notary does: valid for ten years.
pub fn root_certificate(
    _signer: &dyn Signer,
    _gun: &Gun,
    _serial: [u8; 16],
    _now: Timestamp,
) -> Result<PublicKey, AuthorError> {
    todo!()
}
