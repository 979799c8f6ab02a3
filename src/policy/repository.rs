//! What several policies together require of one repository.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::trust::{RepositoryTerms, RoleChoice};
use crate::tuf::{RoleName, RootPins};

/// What is required of one repository, all policies taken together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryRule {
    /// Whether its images must be signed.
    pub trust: TrustMode,
    /// What a written digest needs.
    pub digest: DigestRule,
    /// On which terms trust data is looked up.
    pub terms: Terms,
    /// The rules that say so, with their places, for reports.
    pub rule: String,
}

/// On which terms a repository's trust data is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Terms {
    /// Each of these look-ups must succeed, and all must find the same digest. Never
    /// empty; more than one only where policies differ in what one look-up can't satisfy.
    AllOf(Vec<RepositoryTerms>),
    /// No root of the repository can be trusted: none is pinned, and trust on first use is off.
    Unpinned,
}

/// Whether a repository's images must be signed; the later ones are stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrustMode {
    /// They are not looked up.
    Disabled,
    /// They are looked up; what would be a refusal is a warning.
    Audit,
    /// They must be signed.
    Required,
}

/// What a written digest needs; the later one is stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DigestRule {
    /// Nothing: docker's rule.
    Any,
    /// It must be the signed digest of its tag, or of any tag where none is written.
    Signed,
}

/// What one policy says about one repository; what is absent is not spoken of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Constraint {
    pub(super) trust: Option<TrustMode>,
    pub(super) digest: Option<DigestRule>,
    pub(super) server: Option<Url>,
    pub(super) require_fresh: bool,
    pub(super) trust_on_first_use: bool,
    pub(super) pins: Option<RootPins>,
    pub(super) roles: Option<Vec<RoleName>>,
    pub(super) signers: BTreeSet<String>,
    pub(super) rule: String,
}

/// What the first policy and all later ones demand so far.
#[derive(Clone, Debug)]
pub(super) struct Demand {
    trust: TrustMode,
    digest: DigestRule,
    servers: Vec<Option<Url>>,
    /// Each must hold; empty: none is pinned.
    pins: Vec<RootPins>,
    /// Some policy trusts no root at all; a later pin must not change that.
    unpinned: bool,
    roles: Vec<RoleChoice>,
    signers: BTreeSet<String>,
    require_fresh: bool,
    rules: Vec<String>,
}

impl Demand {
    /// What the first policy demands: here, what is not spoken of gets its default.
    pub(super) fn base(constraint: Constraint) -> Self {
        let pins: Vec<RootPins> = constraint.pins.into_iter().collect();
        Self {
            trust: constraint.trust.unwrap_or(TrustMode::Required),
            digest: constraint.digest.unwrap_or(DigestRule::Any),
            servers: vec![constraint.server],
            unpinned: pins.is_empty() && !constraint.trust_on_first_use,
            pins,
            roles: vec![constraint.roles.map_or(RoleChoice::DockerOrder, RoleChoice::OneOf)],
            signers: constraint.signers,
            require_fresh: constraint.require_fresh,
            rules: vec![constraint.rule],
        }
    }

    /// Adds what a later policy demands. Whatever passes afterwards would have passed before.
    #[must_use]
    pub(super) fn meet(mut self, constraint: Constraint) -> Self {
        self.trust = self.trust.max(constraint.trust.unwrap_or(self.trust));
        self.digest = self.digest.max(constraint.digest.unwrap_or(self.digest));
        if let Some(server) = constraint.server {
            push_new(&mut self.servers, Some(server));
        }
        match constraint.pins {
            Some(pins) => add_pins(&mut self.pins, pins),
            // only a pin of at least its own authority speaks for a policy that has none itself
            None => self.unpinned |= self.pins.is_empty() && !constraint.trust_on_first_use,
        }
        if let Some(roles) = constraint.roles {
            push_new(&mut self.roles, RoleChoice::OneOf(roles));
        }
        self.signers.extend(constraint.signers);
        self.require_fresh |= constraint.require_fresh;
        push_new(&mut self.rules, constraint.rule);
        self
    }

    pub(super) fn finish(self) -> RepositoryRule {
        let terms = self.terms();
        RepositoryRule { trust: self.trust, digest: self.digest, terms, rule: self.rules.join(", ") }
    }

    fn terms(&self) -> Terms {
        if self.unpinned {
            return Terms::Unpinned;
        }
        let first_use = [RootPins::TrustOnFirstUse];
        let pins = if self.pins.is_empty() { first_use.as_slice() } else { self.pins.as_slice() };
        let signers: Vec<String> = self.signers.iter().cloned().collect();
        let mut terms = Vec::new();
        for server in &self.servers {
            for pins in pins {
                for roles in &self.roles {
                    terms.push(RepositoryTerms {
                        server: server.clone(),
                        pins: pins.clone(),
                        require_fresh: self.require_fresh,
                        roles: roles.clone(),
                        signers: signers.clone(),
                    });
                }
            }
        }
        Terms::AllOf(terms)
    }
}

/// Of two sets of keys where one holds the other, the smaller says all; else both must hold.
fn add_pins(all: &mut Vec<RootPins>, pins: RootPins) {
    if let RootPins::Keys(added) = &pins {
        let implies = |pins: &RootPins| matches!(pins, RootPins::Keys(keys) if keys.is_subset(added));
        if all.iter().any(implies) {
            return;
        }
        all.retain(|pins| !matches!(pins, RootPins::Keys(keys) if added.is_subset(keys)));
    }
    push_new(all, pins);
}

fn push_new<T: PartialEq>(all: &mut Vec<T>, item: T) {
    if !all.contains(&item) {
        all.push(item);
    }
}
