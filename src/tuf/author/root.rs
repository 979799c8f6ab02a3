//! Drafts of `root`.

use jiff::Timestamp;

use super::{AuthorError, UnsignedDocument};
use crate::tuf::{PublicKey, RoleKeys, RoleName, Root, Trusted, Version};

/// A `root` in the making.
#[derive(Clone, Debug)]
pub struct RootDraft {}

impl RootDraft {
    /// The first version; each base role needs [`RootDraft::set_keys`].
    #[must_use]
    pub fn new(_expires: Timestamp) -> Self {
        todo!()
    }
    /// The version after this one.
    pub fn edit(_root: &Trusted<Root>, _expires: Timestamp) -> Result<Self, AuthorError> {
        todo!()
    }
    /// Its version.
    #[must_use]
    pub fn version(&self) -> Version {
        todo!()
    }
    /// Gives a base role these keys and this threshold. Keys that it had stay listed in the file.
    pub fn set_keys(&mut self, _role: &RoleName, _keys: &RoleKeys) -> Result<(), AuthorError> {
        todo!()
    }
    /// Sets how many keys of a base role must sign.
    pub fn set_threshold(&mut self, _role: &RoleName, _threshold: u64) -> Result<(), AuthorError> {
        todo!()
    }
    /// The keys of a base role.
    #[must_use]
    pub fn keys(&self, _role: &RoleName) -> Option<RoleKeys> {
        todo!()
    }
    /// Has keys of older roots sign too, so that clients that are several rotations behind can follow.
    pub fn also_signed_by(&mut self, _keys: Vec<PublicKey>) {
        todo!()
    }
    /// What is to be signed: by its own root keys, and by those of the root before it.
    pub fn finish(self) -> Result<UnsignedDocument, AuthorError> {
        todo!()
    }
}
