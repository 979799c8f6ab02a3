//! The roots of one repository, each vouched for by the one before it.

use std::collections::BTreeSet;

use super::{KeyId, Root, Trusted, TufError};
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
    /// The first root of a repository: unexpired, for this repository, and as the pins demand.
    pub fn bootstrap(
        _gun: &Gun,
        _raw: Vec<u8>,
        _pins: &RootPins,
        _now: jiff::Timestamp,
    ) -> Result<Self, TufError> {
        todo!()
    }

    /// A root that was trusted before: its time may be over, everything else must hold.
    ///
    /// On [`TufError::PinMismatch`] or [`TufError::Authority`] the pins changed since; a caller may then
    /// bootstrap anew, as the pins need no history.
    pub fn from_cache(_gun: &Gun, _raw: Vec<u8>, _pins: &RootPins) -> Result<Self, TufError> {
        todo!()
    }

    /// Moves on to a later root, which must be signed by the keys of the current one and by its own.
    /// Nothing changes on an error.
    ///
    /// An `intermediate` root is exactly one version later and only leads to the next one: neither its
    /// time nor the pins are looked at. The same root again is no error.
    pub fn advance(
        &mut self,
        _raw: Vec<u8>,
        _pins: &RootPins,
        _intermediate: bool,
        _now: jiff::Timestamp,
    ) -> Result<(), TufError> {
        todo!()
    }

    /// The current root.
    #[must_use]
    pub fn root(&self) -> &Trusted<Root> {
        &self.root
    }

    /// The repository it belongs to.
    #[must_use]
    pub fn gun(&self) -> &Gun {
        &self.gun
    }

    /// Whether the current root and enough of its certificates are valid at this time.
    pub fn check_expiry(&self, _now: jiff::Timestamp) -> Result<(), TufError> {
        todo!()
    }
}
