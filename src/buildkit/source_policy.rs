//! Source policies: what the daemon itself enforces when a definition is loaded.

use crate::buildkit::audit::Source;
use crate::buildkit::proto::sourcepolicy::{
    AttrConstraint, AttrMatch, MatchType, Policy, PolicyAction, Rule, Selector,
};

/// Denies every source but these, each by its exact identifier.
///
/// Within one policy the last rule that matches decides, so the denial comes first. An
/// image is allowed only whole: `image.layerlimit` would cut layers off it.
#[must_use]
pub fn deny_all_but<'a>(sources: impl IntoIterator<Item = &'a Source>) -> Policy {
    let everything = Selector {
        identifier: ".*".to_owned(),
        match_type: MatchType::Regex.into(),
        constraints: Vec::new(),
    };
    let mut rules =
        vec![Rule { action: PolicyAction::Deny.into(), selector: Some(everything), updates: None }];
    let mut allowed: Vec<(String, bool)> = sources
        .into_iter()
        .flat_map(|source| source.policy_identifiers().into_iter().map(|id| (id, source.is_image())))
        .collect();
    allowed.sort();
    allowed.dedup();
    rules.extend(allowed.into_iter().map(|(identifier, image)| allow(identifier, image)));
    Policy { version: 1, rules }
}

fn allow(identifier: String, image: bool) -> Rule {
    // an attribute that is absent compares as empty
    let whole = AttrConstraint {
        key: "image.layerlimit".to_owned(),
        value: String::new(),
        condition: AttrMatch::Equal.into(),
    };
    let selector = Selector {
        identifier,
        match_type: MatchType::Exact.into(),
        constraints: if image { vec![whole] } else { Vec::new() },
    };
    Rule { action: PolicyAction::Allow.into(), selector: Some(selector), updates: None }
}
