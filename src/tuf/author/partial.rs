//! Documents on their way from signer to signer.

use super::{AuthorError, Signer};
use crate::tuf::{KeyId, RoleKeys, RoleName};

/// A document that collects signatures.
#[derive(Clone, Debug)]
pub struct PartialDocument {
    role: RoleName,
}

/// What a document lacks before it can be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// How many more must sign.
    pub count: u64,
    /// Who may.
    pub keys: Vec<KeyId>,
}

impl PartialDocument {
    /// The role.
    #[must_use]
    pub fn role(&self) -> &RoleName {
        &self.role
    }
    /// Adds the signatures of those who may sign; returns how many were added.
    pub fn sign(&mut self, _signers: &[&dyn Signer]) -> Result<usize, AuthorError> {
        todo!()
    }
    /// Adds the signatures of another copy.
    pub fn merge(&mut self, _other: &Self) -> Result<usize, AuthorError> {
        todo!()
    }
    /// What is missing.
    #[must_use]
    pub fn missing(&self) -> Vec<Missing> {
        todo!()
    }
    /// The file, if it is complete.
    pub fn finish(self) -> Result<Vec<u8>, AuthorError> {
        todo!()
    }
    /// The text that is passed round.
    #[must_use]
    pub fn to_text(&self) -> Vec<u8> {
        todo!()
    }
    /// Reads what was passed round. `demands` are the keys that the trusted parent names for the role.
    pub fn from_text(_text: &[u8], _role: &RoleName, _demands: &RoleKeys) -> Result<Self, AuthorError> {
        todo!()
    }
}
