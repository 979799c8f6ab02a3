//! Several policies as one: the first decides, each later one can only demand more.

use std::collections::BTreeSet;
use std::fmt;

use super::commands::{LocalImages, Said, UnsignedPush, strictest};
use super::content::{Admission, Ruling, Way};
use super::error::{Place, PolicyError, PolicyErrorKind};
use super::repository::{Demand, RepositoryRule};
use super::{CacheKind, ContextKind, Policy, SourceKind};
use crate::image::Gun;

/// Policies in the order of their authority.
///
/// The first one decides about everything, with defaults for what it does not speak of. A
/// later one constrains what it speaks of, and where no earlier one pins a root its mere
/// presence turns trust on first use off, unless it says otherwise. A build passes only if every policy lets it.
#[derive(Clone, Debug)]
pub struct PolicySet {
    first: Policy,
    later: Vec<Policy>,
}

impl PolicySet {
    /// Docker's own rule, for where there is no policy at all.
    #[must_use]
    pub fn docker_default() -> Self {
        Self { first: Policy::docker_default(), later: Vec::new() }
    }

    /// These policies, the one with most authority first; none means docker's own rule.
    pub fn new(policies: impl IntoIterator<Item = Policy>) -> Result<Self, PolicyError> {
        let mut policies = policies.into_iter();
        let Some(first) = policies.next() else { return Ok(Self::docker_default()) };
        let later: Vec<Policy> = policies.take(LAYER_LIMIT).collect();
        if let Some(excess) = later.get(LAYER_LIMIT - 1) {
            let kind = PolicyErrorKind::TooManyLayers { limit: LAYER_LIMIT };
            return Err(PolicyError::new(Place::file(excess.file()), kind));
        }
        Ok(Self { first, later })
    }

    /// What is required of this repository, all policies taken together.
    pub fn terms(&self, gun: &Gun) -> Result<RepositoryRule, PolicyError> {
        let mut demand = Demand::base(self.first.constraint(gun)?);
        for policy in &self.later {
            demand = demand.meet(policy.constraint(gun)?);
        }
        Ok(demand.finish())
    }

    /// Whether content trust may be disabled for a build in this way.
    pub fn disable_allowed(&self, by: DisabledBy) -> Result<(), DisableForbidden> {
        for policy in self.policies() {
            if let Some(setting) = policy.may_disable()
                && !setting.value.contains(&by)
            {
                let allowed = setting.value.clone();
                return Err(DisableForbidden { by, place: setting.place.clone(), allowed });
            }
        }
        Ok(())
    }

    /// Whether `push` may leave an image unsigned; docker's own rule lets it.
    #[must_use]
    pub fn unsigned_push(&self) -> Said<UnsignedPush> {
        let settings = self.policies().map(|policy| policy.commands().unsigned_push.as_ref());
        strictest(settings, UnsignedPush::Allow)
    }

    /// How images that only this engine has may be run; by ID, as in docker, where nothing is said.
    #[must_use]
    pub fn local_images(&self) -> Said<LocalImages> {
        let settings = self.policies().map(|policy| policy.commands().local_images.as_ref());
        strictest(settings, LocalImages::ById)
    }

    /// What the policies say about a context.
    #[must_use]
    pub fn context(&self, kind: ContextKind) -> Ruling {
        self.ruling(Way::Context(kind))
    }

    /// What the policies say about a cache import; `gun` where it is in a registry.
    #[must_use]
    pub fn cache(&self, kind: CacheKind, gun: Option<&Gun>) -> Ruling {
        self.ruling(Way::Cache(kind, gun))
    }

    /// What the policies say about a source that is no image.
    #[must_use]
    pub fn source(&self, kind: SourceKind) -> Ruling {
        self.ruling(Way::Source(kind))
    }

    /// What the policies say about a frontend that a Dockerfile or an option names.
    #[must_use]
    pub fn syntax(&self, gun: &Gun) -> Ruling {
        self.ruling(Way::Syntax(gun))
    }

    /// What the policies say about an SBOM generator.
    #[must_use]
    pub fn sbom_generator(&self, gun: &Gun) -> Ruling {
        self.ruling(Way::SbomGenerator(gun))
    }

    /// The policies' files, in their order; empty where docker's own rule holds.
    #[must_use]
    pub fn files(&self) -> Vec<&str> {
        self.policies().filter(|policy| !policy.is_docker_default()).map(Policy::file).collect()
    }

    fn policies(&self) -> impl Iterator<Item = &Policy> {
        std::iter::once(&self.first).chain(&self.later)
    }

    /// The strictest of what is said; the default counts only where the first policy is silent.
    fn ruling(&self, way: Way<'_>) -> Ruling {
        let default = || Ruling { admission: way.default_admission(), key: way.key(), place: None };
        let mut strictest = self.first.content().ruling(way).unwrap_or_else(default);
        if matches!(way, Way::Cache(CacheKind::Unknown, _)) {
            strictest.admission = Admission::Refuse;
        }
        for ruling in self.later.iter().filter_map(|policy| policy.content().ruling(way)) {
            if ruling.admission > strictest.admission {
                strictest = ruling;
            }
        }
        strictest
    }
}

/// How a user asked for content trust to be disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DisabledBy {
    /// `--build-arg DOCKER_CONTENT_TRUST=0`.
    BuildArg,
    /// The environment variable `DOCKER_CONTENT_TRUST`.
    Environment,
    /// `--disable-content-trust`.
    Flag,
    /// `--opt disable-content-trust=true`.
    Option,
}

impl DisabledBy {
    /// Every way.
    pub const ALL: [Self; 4] = [Self::BuildArg, Self::Environment, Self::Flag, Self::Option];

    /// The value in the policy's list `disable.allowed-by`.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::BuildArg => "build-arg",
            Self::Environment => "environment",
            Self::Flag => "flag",
            Self::Option => "option",
        }
    }
}

impl fmt::Display for DisabledBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BuildArg => "the build argument `DOCKER_CONTENT_TRUST`",
            Self::Environment => "the environment variable `DOCKER_CONTENT_TRUST`",
            Self::Flag => "the flag `--disable-content-trust`",
            Self::Option => "the option `disable-content-trust`",
        })
    }
}

/// A policy forbids that content trust is disabled in this way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place} forbids that {by} disables content trust")]
pub struct DisableForbidden {
    /// How it was asked for.
    pub by: DisabledBy,
    /// The policy's place that forbids it.
    pub place: Place,
    /// The ways that the same policy allows.
    pub allowed: BTreeSet<DisabledBy>,
}

/// An organisation's policy, a team's, a project's and a build's: nobody oversees more than this.
const LAYER_LIMIT: usize = 8;
