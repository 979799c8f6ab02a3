//! The roots of one repository, each vouched for by the one before it.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::verify::{RootDemands, When, check_certificates, verify_root};
use super::{KeyId, RoleKeys, RoleName, Root, Trusted, TufError};
use crate::image::Gun;

/// What must hold for a repository's root, besides its own rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootPins {
    /// Nothing: the first root seen is trusted.
    TrustOnFirstUse,
    /// Enough root keys are among these, by certificate key ID or by canonical key ID.
    Keys(BTreeSet<KeyId>),
    /// Enough root certificates are vouched for by one of these authorities, each a DER certificate.
    Authority(Vec<Vec<u8>>),
}

/// The currently trusted root of one repository.
#[derive(Clone, Debug)]
pub struct RootChain {
    gun: Gun,
    root: Trusted<Root>,
}

impl RootChain {
    /// The first root of a repository: valid then, for this repository, and as the pins demand.
    pub fn bootstrap(gun: &Gun, raw: Vec<u8>, pins: &RootPins, when: impl When) -> Result<Self, TufError> {
        let root = verify_root(raw, &RootDemands { gun, previous: None, pins, now: when.now() })?;
        Ok(Self { gun: gun.clone(), root })
    }

    /// A root that was trusted before: its time may be over, everything else must hold.
    ///
    /// On [`TufError::PinMismatch`] or [`TufError::Authority`] the pins changed since; a caller may then
    /// bootstrap anew, as the pins need no history.
    pub fn from_cache(gun: &Gun, raw: Vec<u8>, pins: &RootPins) -> Result<Self, TufError> {
        let root = verify_root(raw, &RootDemands { gun, previous: None, pins, now: None })?;
        Ok(Self { gun: gun.clone(), root })
    }

    /// Moves on to a later root, which must be signed by the keys of the current one and by its own.
    /// Nothing changes on an error.
    ///
    /// An `intermediate` root is exactly one version later and only leads to the next one: neither its
    /// time nor the pins are looked at. The same root again is no error.
    pub fn advance(
        &mut self,
        raw: Vec<u8>,
        pins: &RootPins,
        intermediate: bool,
        when: impl When,
    ) -> Result<(), TufError> {
        let (pins, now) = if intermediate { (&RootPins::TrustOnFirstUse, None) } else { (pins, when.now()) };
        let root = verify_root(raw, &RootDemands { gun: &self.gun, previous: Some(&self.root), pins, now })?;
        let (found, current) = (root.version(), self.root.version());
        match found.cmp(&current) {
            Ordering::Less => {
                return Err(TufError::Rollback { role: RoleName::ROOT, found, minimum: current });
            }
            // Signing again with more keys makes another file of the same version.
            Ordering::Equal if !root.says_the_same(&self.root) => {
                return Err(TufError::Conflict { version: found });
            }
            Ordering::Greater if intermediate && current.next() != Some(found) => {
                let reason = format!("it has version {found}, but version {current} comes right before it");
                return Err(TufError::Malformed { role: RoleName::ROOT, reason });
            }
            Ordering::Equal | Ordering::Greater => {}
        }
        self.root = root;
        Ok(())
    }

    /// The current root.
    #[must_use]
    pub fn root(&self) -> &Trusted<Root> {
        &self.root
    }

    /// The keys that the current root names for a base role.
    #[must_use]
    pub fn keys(&self, role: &RoleName) -> Option<&RoleKeys> {
        Root::role(&self.root, role)
    }

    /// The repository it belongs to.
    #[must_use]
    pub fn gun(&self) -> &Gun {
        &self.gun
    }

    /// Whether the current root and enough of its certificates are valid at this time.
    pub fn check_expiry(&self, now: jiff::Timestamp) -> Result<(), TufError> {
        self.root.check_expiry(now)?;
        check_certificates(&self.root, &self.gun, now)
    }
}
