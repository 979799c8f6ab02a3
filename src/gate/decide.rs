//! The decision itself.

use std::sync::Arc;

use super::{Content, ContentDecision, Report, Request, TrustSwitch};
use crate::policy::PolicySet;
use crate::trust::TrustSource;

/// Policy and trust data, ready to decide.
pub struct Gate {
    policy: PolicySet,
    trust: Arc<dyn TrustSource>,
    switch: TrustSwitch,
}

impl Gate {
    /// A gate for one build.
    #[must_use]
    pub fn new(policy: PolicySet, trust: Arc<dyn TrustSource>, switch: TrustSwitch) -> Self {
        Self { policy, trust, switch }
    }

    /// Decides about every request: repositories in parallel, each tag asked once, in the given order.
    pub async fn decide(&self, requests: Vec<Request>) -> Report {
        let _ = (&self.policy, &self.trust, self.switch, requests);
        todo!()
    }

    /// Decides about a way in that is no image reference.
    #[must_use]
    pub fn admit_content(&self, content: Content<'_>) -> ContentDecision {
        let _ = content;
        todo!()
    }
}
