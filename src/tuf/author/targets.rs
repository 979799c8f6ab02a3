//! Drafts of `targets` and delegations.

use jiff::Timestamp;

use super::{AuthorError, UnsignedDocument};
use crate::tuf::{PublicKey, RoleKeys, RoleName, Target, Targets, Trusted, Version};

/// A `targets` file, or a delegation's, in the making.
#[derive(Clone, Debug)]
pub struct TargetsDraft {}

/// Keys that a delegation gets or loses.
#[derive(Clone, Debug, Default)]
pub struct DelegationKeys {
    /// Keys that it gets.
    pub add: Vec<PublicKey>,
    /// Canonical or metadata IDs of keys that it loses.
    pub remove: Vec<crate::tuf::KeyId>,
}

impl TargetsDraft {
    /// The first version.
    #[must_use]
    pub fn new(_role: RoleName, _expires: Timestamp) -> Self {
        todo!()
    }
    /// The version after this one.
    pub fn edit(_targets: &Trusted<Targets>, _expires: Timestamp) -> Result<Self, AuthorError> {
        todo!()
    }
    /// Its role.
    #[must_use]
    pub fn role(&self) -> &RoleName {
        todo!()
    }
    /// Its version.
    #[must_use]
    pub fn version(&self) -> Version {
        todo!()
    }
    /// Whether anything but version and expiry differs from the document it started from.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        todo!()
    }
    /// Lists a target; one of the same name is replaced.
    pub fn set_target(&mut self, _name: &str, _target: &Target) -> Result<(), AuthorError> {
        todo!()
    }
    /// Removes a target. Returns whether it was listed.
    pub fn remove_target(&mut self, _name: &str) -> Result<bool, AuthorError> {
        todo!()
    }
    /// Adds a delegation, at the end. One of the same name is an error.
    pub fn add_delegation(
        &mut self,
        _role: &RoleName,
        _keys: &RoleKeys,
        _paths: &[String],
    ) -> Result<(), AuthorError> {
        todo!()
    }
    /// Removes a delegation. Returns whether there was one.
    pub fn remove_delegation(&mut self, _role: &RoleName) -> bool {
        todo!()
    }
    /// Changes the keys of a delegation.
    pub fn change_keys(&mut self, _role: &RoleName, _keys: &DelegationKeys) -> Result<(), AuthorError> {
        todo!()
    }
    /// Sets the paths of a delegation.
    pub fn set_paths(&mut self, _role: &RoleName, _paths: &[String]) -> Result<(), AuthorError> {
        todo!()
    }
    /// Sets how many keys of a delegation must sign.
    pub fn set_threshold(&mut self, _role: &RoleName, _threshold: u64) -> Result<(), AuthorError> {
        todo!()
    }
    /// What is to be signed by these keys, which the role's parent names.
    pub fn finish(self, _keys: &RoleKeys) -> Result<UnsignedDocument, AuthorError> {
        todo!()
    }
}
