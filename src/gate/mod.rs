//! Image uses, policy and trust data in; decisions and their report out. Nothing outside decides.
//!
//! A caller lists every image that a build names as a [`Request`], wherever it was
//! named, and asks [`Gate::decide`]; every way in that is no image goes through
//! [`Gate::admit_content`]. What comes back is a [`Report`]: one decision for each
//! request, with its reason, ready to be printed ([`diagnose`]), or written as JSON
//! ([`json`]) or SARIF ([`sarif`]).
//!
//! The gate reads no Dockerfile, speaks to no server and no engine: image uses come
//! from `dockerfile`, trust data through [`crate::trust::TrustSource`]. It has no clock.

mod admit;
mod content;
mod decide;
#[cfg(test)]
mod decide_tests;
mod decision;
pub mod diagnose;
#[cfg(test)]
mod diagnose_tests;
mod excerpt;
mod explain;
pub mod json;
#[cfg(test)]
mod layer_tests;
mod nearest;
mod refusal;
mod request;
pub mod sarif;
mod switch;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod warn;

pub use crate::policy::{CacheKind, ContextKind, DisabledBy, SourceKind};
pub use content::{Content, ContentDecision};
pub use decide::Gate;
pub use decision::{Decided, Decision, Report, Unchecked, Warning, WarningCode};
pub use refusal::{Exit, Refusal, RefusalCode};
pub use request::{Origin, Request, UseRole};
pub use switch::{TrustSwitch, parse_boolean};
