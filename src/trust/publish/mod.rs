//! Publishing: from what a publisher wants to say to signed metadata on the trust server.
//!
//! A repository's name and a wish come in: tags to sign, signers to add, keys to replace. The
//! repository's state is read and verified as a reader does, the wish is turned into new versions of
//! the files that it touches, those are signed with keys from [`crate::keys`] and handed in with one
//! request. When another publisher was faster, the wish is carried out anew on what that one left.
//! Which images exist is not known here, nor how people are spoken to: what happens on the way is
//! told through [`Event`]s.

mod change;
mod changelist;
mod delegations;
mod error;
mod event;
mod initialize;
mod keyring;
mod options;
mod outcome;
mod partial;
mod publisher;
mod renew;
mod rescue;
mod rotate;
mod run;
mod seal;
mod settle;
mod survey;
mod tags;
mod upload;
mod workspace;

pub use change::{Action, Change, StagedChange};
pub use error::PublishError;
pub use event::{Event, Step};
pub use options::{
    DelegationChange, Init, LastSigner, ManagedBy, NewSigner, Rotation, SignAs, SignOptions, Tags,
    WithoutTrust,
};
pub use outcome::{Deleted, Outcome, Part, Published, PublishedRole};
pub use publisher::{Pause, Publisher, Random};
pub use survey::{Survey, SurveyScope, SurveyedDelegation, SurveyedKey, SurveyedRole, SurveyedTarget};
