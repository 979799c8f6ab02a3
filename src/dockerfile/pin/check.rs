//! Whether an edited file means the same: every FROM is expanded in both files, without build
//! arguments, with empty ones and with others, alone and together.

use std::collections::{BTreeMap, BTreeSet};

use crate::image::Reference;

use super::super::BuildInputs;
use super::super::instruction::Parsed;
use super::super::scope::{BareArg, Scope};
use super::VariableUse;
use super::tail::Defaults;

/// The builds to compare.
#[derive(Debug)]
pub(super) struct Vary<'a> {
    parsed: &'a Parsed,
    builds: Vec<BuildInputs>,
    /// The stages whose base or platform has variables.
    stages: Vec<usize>,
    /// For each build: the value of each stage's base and platform, where they have variables.
    before: Vec<Option<Snapshot>>,
}

/// What the edit is meant to change.
pub(super) struct Expected<'a> {
    /// The pinned image of a stage.
    pub(super) pinned: BTreeMap<usize, &'a str>,
    /// ARGs that may hold a pinned reference, since they held the reference before.
    pub(super) whole: BTreeSet<&'a str>,
}

/// What else the edit changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Broken {
    Stage(usize),
    Arg(String),
}

#[derive(Debug)]
struct Snapshot {
    bases: BTreeMap<usize, Option<String>>,
    platforms: BTreeMap<usize, Option<String>>,
    in_stages: BTreeMap<String, Option<String>>,
}

impl<'a> Vary<'a> {
    pub(super) fn new(parsed: &'a Parsed, inputs: &BuildInputs, defaults: &Defaults<'_>) -> Self {
        let mut sets: BTreeSet<Vec<String>> = BTreeSet::new();
        for (stage, body) in parsed.stages.iter().enumerate() {
            if body.base.as_str().contains('$') {
                let names = defaults.closure_of_stage(stage).into_iter();
                sets.insert(
                    names.filter(|name| defaults.is_declared(name) || defaults.is_platform(name)).collect(),
                );
            }
        }
        let mut given: BTreeSet<BTreeMap<String, String>> = BTreeSet::new();
        given.insert(BTreeMap::new());
        for names in sets {
            vary(&names, &mut given);
        }
        let builds: Vec<BuildInputs> = given
            .into_iter()
            .take(BUILD_LIMIT)
            .map(|build_args| BuildInputs { build_args, ..inputs.clone() })
            .collect();
        let has_variables = |stage: &usize| {
            parsed.stages.get(*stage).is_some_and(|body| {
                body.base.as_str().contains('$')
                    || body.platform.as_ref().is_some_and(|word| word.contains('$'))
            })
        };
        let stages: Vec<usize> = (0..parsed.stages.len()).filter(has_variables).collect();
        let before = builds.iter().map(|build| snapshot(parsed, build, &stages)).collect();
        Self { parsed, builds, stages, before }
    }

    /// Whether the file can be read without build arguments.
    pub(super) fn has_defaults(&self) -> bool {
        self.before.first().is_some_and(Option::is_some)
    }

    /// What the edited file changes that it should not.
    pub(super) fn broken(&self, edited: &Parsed, expected: &Expected<'_>) -> Vec<Broken> {
        let mut broken = BTreeSet::new();
        if edited.stages.len() != self.parsed.stages.len() {
            return expected.pinned.keys().map(|stage| Broken::Stage(*stage)).collect();
        }
        let unpinned = self.before.first().and_then(Option::as_ref);
        for (build, before) in self.builds.iter().zip(&self.before) {
            // A build that was refused before has nothing to keep.
            let Some(before) = before else { continue };
            let Some(after) = snapshot(edited, build, &self.stages) else {
                return expected.pinned.keys().map(|stage| Broken::Stage(*stage)).collect();
            };
            for (stage, old) in &before.bases {
                let new = after.bases.get(stage).cloned().flatten();
                let pinned = expected.pinned.get(stage).copied();
                let default = unpinned.and_then(|first| first.bases.get(stage));
                let is_default = default == Some(old);
                let is_sound = if build.build_args.is_empty() {
                    new.as_deref() == pinned.or(old.as_deref())
                } else {
                    let is_image = old.as_ref().is_some_and(|old| old.parse::<Reference>().is_ok());
                    !is_image || new == *old || (is_default && new.as_deref() == pinned)
                };
                if !is_sound {
                    broken.insert(Broken::Stage(*stage));
                }
            }
            for (stage, old) in &before.platforms {
                if after.platforms.get(stage) != Some(old) {
                    broken.insert(Broken::Stage(*stage));
                }
            }
            for (name, old) in &before.in_stages {
                if after.in_stages.get(name) != Some(old) && !expected.whole.contains(name.as_str()) {
                    broken.insert(Broken::Arg(name.clone()));
                }
            }
        }
        broken.into_iter().collect()
    }

    /// Whether an empty build argument makes another image of one of these words.
    pub(super) fn has_empty_image(&self, group: &[VariableUse]) -> bool {
        let with_empty = self.builds.iter().zip(&self.before).filter(|(build, _)| {
            !build.build_args.is_empty() && build.build_args.values().all(String::is_empty)
        });
        with_empty.filter_map(|(_, before)| before.as_ref()).any(|before| {
            group.iter().any(|one| {
                let base = before.bases.get(&one.stage).cloned().flatten();
                base.is_some_and(|base| base != one.written && base.parse::<Reference>().is_ok())
            })
        })
    }
}

/// Adds builds in which these variables are given, each alone and, if they are few, all mixes.
fn vary(names: &[String], builds: &mut BTreeSet<BTreeMap<String, String>>) {
    if names.len() > MIXED_LIMIT {
        for value in VALUES {
            builds.extend(names.iter().map(|name| BTreeMap::from([(name.clone(), value.to_owned())])));
            builds.insert(names.iter().map(|name| (name.clone(), value.to_owned())).collect());
        }
        return;
    }
    let mut mixes = vec![BTreeMap::new()];
    for name in names {
        let with = |value: &str| {
            let add = move |mix: &BTreeMap<String, String>| {
                let mut mix = mix.clone();
                mix.insert(name.clone(), value.to_owned());
                mix
            };
            mixes.iter().map(add).collect::<Vec<_>>()
        };
        let more: Vec<_> = VALUES.into_iter().flat_map(with).collect();
        mixes.extend(more);
    }
    builds.extend(mixes);
}

fn snapshot(parsed: &Parsed, build: &BuildInputs, stages: &[usize]) -> Option<Snapshot> {
    let mut scope = Scope::new(parsed, build, BareArg::Ignored).ok()?;
    let mut bases = BTreeMap::new();
    let mut platforms = BTreeMap::new();
    for stage in stages {
        let body = parsed.stages.get(*stage)?;
        let mut expand = |word: &str| scope.expand(word, parsed.escape).ok().map(|(value, _)| value);
        bases.insert(*stage, expand(body.base.as_str()));
        platforms.insert(*stage, body.platform.as_deref().and_then(expand));
    }
    let mut names: BTreeSet<&String> = parsed.stages.iter().flat_map(|body| &body.bare_args).collect();
    names.extend(parsed.global_args.iter().map(|arg| &arg.key).filter(|name| steers_the_build(name)));
    let in_stages = names.into_iter().map(|name| (name.clone(), scope.values.get(name).cloned())).collect();
    Some(Snapshot { bases, platforms, in_stages })
}

/// ARGs before the first FROM that `BuildKit` itself looks at.
pub(super) fn steers_the_build(name: &str) -> bool {
    name == "SOURCE_DATE_EPOCH" || name.starts_with("BUILDKIT_")
}

/// What variables are given: nothing, and a text that is no default but may stand anywhere in
/// a reference.
const VALUES: [&str; 2] = ["", "0other"];
/// Up to this many variables of one word are given in all mixes.
const MIXED_LIMIT: usize = 4;
/// Builds that are compared at most; a file with more variables than that leaves is rare, and
/// each was still given alone.
const BUILD_LIMIT: usize = 2048;
