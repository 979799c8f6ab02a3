//! What the gate says: one decision a request, warnings, and the report of both.

use serde::Serialize;

use super::refusal::{Exit, Refusal};
use super::request::Request;
use crate::image::{Digest, Reference};
use crate::policy::DisabledBy;
use crate::trust::SignedTarget;

/// The decision on one image use.
#[derive(Clone, Debug)]
pub enum Decision {
    /// The tag is signed; the image enters as the signed digest.
    Pinned(SignedTarget),
    /// The reference names its digest, and the policy lets that in.
    DigestAccepted {
        /// The digest that is written.
        digest: Digest,
        /// The signed target that names the same digest, where one was found.
        checked: Option<SignedTarget>,
    },
    /// Nobody vouches for the image, and it enters all the same.
    Unverified {
        /// Why it may.
        why: Unchecked,
        /// The digest, if one is written.
        pinned: Option<Digest>,
    },
    /// A rule of the policy asks for no signature.
    Exempt {
        /// The rule, with its place.
        rule: String,
        /// The digest, if one is written.
        pinned: Option<Digest>,
    },
    /// The image may not enter.
    Refused(Refusal),
}

/// Why an image enters unverified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unchecked {
    /// Content trust was disabled for this build.
    Disabled(DisabledBy),
    /// A rule of the policy only audits the repository; this is what would have been the refusal.
    Audit {
        /// The rule, with its place.
        rule: String,
        /// What was found.
        refusal: Refusal,
    },
}

/// A request and the decision on it.
#[derive(Clone, Debug)]
pub struct Decided {
    /// What was asked.
    pub request: Request,
    /// What was answered.
    pub decision: Decision,
}

impl Decided {
    /// The reference that may enter the build, with its tag and its digest.
    ///
    /// `None` where it was refused, and where nobody vouched for a digest: an exempt or
    /// unverified image that is named by its tag alone enters as it is written.
    #[must_use]
    pub fn pinned_reference(&self) -> Option<Reference> {
        let reference = &self.request.reference;
        let digest = self.digest()?;
        match &self.decision {
            Decision::Pinned(_) => {
                Some(reference.with_tag(reference.tag_or_latest()).with_digest(digest.clone()))
            }
            Decision::DigestAccepted { .. } | Decision::Unverified { .. } | Decision::Exempt { .. } => {
                Some(reference.with_digest(digest.clone()))
            }
            Decision::Refused(_) => None,
        }
    }

    /// The digest that the image enters as, where one is known.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        match &self.decision {
            Decision::Pinned(target) => Some(&target.digest),
            Decision::DigestAccepted { digest, .. } => Some(digest),
            Decision::Unverified { pinned, .. } | Decision::Exempt { pinned, .. } => pinned.as_ref(),
            Decision::Refused(_) => None,
        }
    }

    /// The signed target that stands behind the decision, where there is one.
    #[must_use]
    pub fn signed(&self) -> Option<&SignedTarget> {
        match &self.decision {
            Decision::Pinned(target) => Some(target),
            Decision::DigestAccepted { checked, .. } => checked.as_ref(),
            Decision::Unverified { .. } | Decision::Exempt { .. } | Decision::Refused(_) => None,
        }
    }

    /// The refusal, if it is one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match &self.decision {
            Decision::Refused(refusal) => Some(refusal),
            Decision::Pinned(_)
            | Decision::DigestAccepted { .. }
            | Decision::Unverified { .. }
            | Decision::Exempt { .. } => None,
        }
    }
}

/// Something that a person should know and that stops nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// The stable short name of the reason.
    pub code: WarningCode,
    /// One line on what happened.
    pub message: String,
    /// Facts and what to do, one a line.
    pub notes: Vec<String>,
    /// Which request it is about, as an index into [`Report::decided`].
    pub request: Option<usize>,
}

/// The stable short name of a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WarningCode {
    /// A rule only audits the repository, and the audit found something.
    Audit,
    /// The server could not be asked; the cached timestamp is still valid.
    CachedTimestamp,
    /// The Dockerfile has a form that older builders read in another way.
    OlderBuilders,
    /// The written digest is another than the one that the tag is signed with.
    TagDiffers,
    /// The trust cache made trouble that did no harm.
    TrustCache,
    /// Content trust is disabled for this build.
    TrustDisabled,
    /// A root was trusted because none was known before.
    TrustOnFirstUse,
}

impl WarningCode {
    /// Every code.
    pub const ALL: [Self; 7] = [
        Self::Audit,
        Self::CachedTimestamp,
        Self::OlderBuilders,
        Self::TagDiffers,
        Self::TrustCache,
        Self::TrustDisabled,
        Self::TrustOnFirstUse,
    ];

    /// One sentence on what it means, for rule lists.
    #[must_use]
    pub fn summary(self) -> &'static str {
        match self {
            Self::Audit => {
                "The image is not signed as it should be, and the policy only audits its repository."
            }
            Self::CachedTimestamp => "The trust server could not be asked; cached trust data is still valid.",
            Self::OlderBuilders => "The Dockerfile has a form that older builders read in another way.",
            Self::TagDiffers => "The written digest is another than the one that its tag is signed with.",
            Self::TrustCache => "The trust cache made trouble that did no harm.",
            Self::TrustDisabled => "Content trust is disabled for this build.",
            Self::TrustOnFirstUse => "A root was trusted because none was known before.",
        }
    }

    /// The name: `trust-on-first-use`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::CachedTimestamp => "cached-timestamp",
            Self::OlderBuilders => "older-builders",
            Self::TagDiffers => "tag-differs",
            Self::TrustCache => "trust-cache",
            Self::TrustDisabled => "trust-disabled",
            Self::TrustOnFirstUse => "trust-on-first-use",
        }
    }
}

/// All decisions on one build, in the order of the requests.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// One decision for each request, in their order.
    pub decided: Vec<Decided>,
    /// Refusals that are about the whole build, not about one image.
    pub general: Vec<Refusal>,
    /// What a person should know.
    pub warnings: Vec<Warning>,
}

impl Report {
    /// Whether anything was refused; then nothing of the build may run.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.refusals().next().is_some()
    }

    /// Every refusal, those about the whole build first.
    pub fn refusals(&self) -> impl Iterator<Item = &Refusal> {
        self.general.iter().chain(self.decided.iter().filter_map(Decided::refusal))
    }

    /// The process exit code: 0, 1 where something is refused, 3 where all that went
    /// wrong is that something could not be found out.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.refusals().map(|refusal| refusal.exit).min().map_or(0, Exit::code)
    }

    /// Adds another report behind this one; the warnings keep pointing at their requests.
    pub fn append(&mut self, other: Self) {
        let offset = self.decided.len();
        self.decided.extend(other.decided);
        for refusal in other.general {
            if !self.general.contains(&refusal) {
                self.general.push(refusal);
            }
        }
        for mut warning in other.warnings {
            warning.request = warning.request.map(|index| index + offset);
            if warning.request.is_some() || !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }
}
