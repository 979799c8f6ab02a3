//! What the variables of FROM lines hold: platform arguments, ARGs before the first FROM,
//! and build arguments.

use std::collections::BTreeSet;

use crate::image::Platform;

use super::instruction::{GlobalArg, Parsed};
use super::word::{Budget, Values, Word, is_literal};
use super::{BuildInputs, DockerfileError, DockerfileErrorKind};

/// How an `ARG NAME` without default and without build argument counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BareArg {
    /// It changes nothing.
    Ignored,
    /// It holds the empty text, as before `BuildKit` 0.17.
    Empty,
}

/// The variables that FROM lines see, and what is left of the expansion budget.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) values: Values,
    pub(super) budget: Budget,
    /// `SOURCE_DATE_EPOCH` names a stage or a context, and becomes a number only in the build.
    has_open_epoch: bool,
}

impl Scope {
    /// Evaluates the ARGs before the first FROM, in order.
    pub(super) fn new(parsed: &Parsed, inputs: &BuildInputs, bare: BareArg) -> Result<Self, DockerfileError> {
        let mut budget = Budget::new();
        let mut values = platform_values(parsed, inputs);
        for arg in &parsed.global_args {
            let value = match (inputs.build_args.get(&arg.key), &arg.value) {
                (Some(value), _) => value.clone(),
                (None, Some(_)) => default_value(parsed, arg, &values, &mut budget)?,
                (None, None) if bare == BareArg::Empty => String::new(),
                (None, None) => continue,
            };
            budget.take(value.len()).map_err(|kind| DockerfileError::at(&arg.word.whole_span(), kind))?;
            values.insert(arg.key.clone(), value);
        }
        let has_open_epoch = settle_epoch(&mut values, inputs);
        Ok(Self { values, budget, has_open_epoch })
    }

    /// What a word stands for, and which variables went into it.
    pub(super) fn expand(
        &mut self,
        word: &str,
        escape: char,
    ) -> Result<(String, BTreeSet<String>), DockerfileErrorKind> {
        let mut used = BTreeSet::new();
        if is_literal(word) {
            self.budget.take(word.len())?;
            return Ok((word.to_owned(), used));
        }
        let word = Word::parse(word, escape)?;
        let value = word.evaluate(&self.values, &mut used, &mut self.budget)?;
        if self.has_open_epoch && word.names().contains(&EPOCH) {
            return Err(DockerfileErrorKind::Epoch);
        }
        Ok((value, used))
    }
}

fn default_value(
    parsed: &Parsed,
    arg: &GlobalArg,
    values: &Values,
    budget: &mut Budget,
) -> Result<String, DockerfileError> {
    let Some(text) = &arg.value else { return Ok(String::new()) };
    Word::parse(text.as_str(), parsed.escape)
        .and_then(|word| word.evaluate(values, &mut BTreeSet::new(), budget))
        .map_err(|kind| DockerfileError::at(&arg.word.whole_span(), kind))
}

fn platform_values(parsed: &Parsed, inputs: &BuildInputs) -> Values {
    let last = parsed.stages.last().and_then(|stage| stage.stage.name.clone());
    let stage = inputs.target.clone().filter(|target| !target.is_empty()).or(last);
    let mut values = Values::new();
    for (prefix, platform) in [("BUILD", &inputs.build_platform), ("TARGET", &inputs.target_platform)] {
        let Platform { os, architecture, variant } = platform;
        values.insert(format!("{prefix}PLATFORM"), platform.to_string());
        values.insert(format!("{prefix}OS"), os.clone());
        values.insert(format!("{prefix}OSVERSION"), String::new());
        values.insert(format!("{prefix}ARCH"), architecture.clone());
        values.insert(format!("{prefix}VARIANT"), variant.clone());
    }
    values.insert("TARGETSTAGE".to_owned(), stage.unwrap_or_else(|| "default".to_owned()));
    for (name, value) in &mut values {
        if let Some(given) = inputs.build_args.get(name) {
            value.clone_from(given);
        }
    }
    values
}

/// `BuildKit` replaces the value by the number of seconds that it stands for, after the ARGs are
/// evaluated; says whether that number is not known here.
pub(super) fn settle_epoch(values: &mut Values, inputs: &BuildInputs) -> bool {
    let given = inputs.build_args.get(EPOCH).or_else(|| values.get(EPOCH).filter(|value| !value.is_empty()));
    let Some(given) = given else { return false };
    let seconds = given.parse::<i64>();
    let is_open = seconds.is_err() && !given.is_empty();
    if values.contains_key(EPOCH) {
        match seconds {
            Ok(seconds) => values.insert(EPOCH.to_owned(), seconds.to_string()),
            Err(_) => values.remove(EPOCH),
        };
    }
    is_open
}

const EPOCH: &str = "SOURCE_DATE_EPOCH";
