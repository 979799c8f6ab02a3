//! Staged changes, in the files that notary keeps them in: `<trust folder>/tuf/<gun>/changelist/*.change`.

use std::path::PathBuf;

use crate::tuf::{RoleName, Target};

use super::DelegationChange;

/// A change that is staged, to be published later.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A target is listed in this role, in the place of one of the same name.
    AddTarget {
        /// The role.
        role: RoleName,
        /// The name.
        name: String,
        /// What it is.
        target: Target,
    },
    /// A target is no longer listed in this role.
    RemoveTarget {
        /// The role.
        role: RoleName,
        /// The name.
        name: String,
    },
    /// A delegation is made, changed or removed.
    Delegation {
        /// The delegation.
        role: RoleName,
        /// Whether notary calls it a new one; for us it makes no difference.
        action: Action,
        /// What becomes of it.
        change: DelegationChange,
        /// How many of its keys must sign; `None`: as many as before, or one.
        threshold: Option<u64>,
    },
    /// A role's file is signed again as it is.
    Witness {
        /// The role.
        role: RoleName,
    },
}

/// What notary calls a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `create`.
    Create,
    /// `update`.
    Update,
    /// `delete`.
    Delete,
}

/// A change and the file that it is in.
#[derive(Clone, Debug, PartialEq)]
pub struct StagedChange {
    /// The file.
    pub path: PathBuf,
    /// What it says.
    pub change: Change,
}
