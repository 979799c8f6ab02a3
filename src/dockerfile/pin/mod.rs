//! Pins for people: every image use completed with its digest, build arguments kept alive.
//!
//! A literal word gets its digest where it ends. A word with variables is followed to the
//! literal that its expansion ends in (`tail`): an ARG default or a `:-` word. Where that would
//! change what build arguments do, a helper ARG takes over (`helper`). Nothing is believed of
//! such an edit before the edited file was read again and expanded to the same names, with and
//! without build arguments (`check`); what fails there is reported, not written.

mod check;
mod helper;
mod tail;

use std::collections::{BTreeMap, BTreeSet};

use crate::image::{Digest, Reference};

use super::edit::closings;
use super::instruction::Parsed;
use super::source::Text;
use super::word::{Part, Word};
use super::{
    BuildInputs, Dockerfile, DockerfileError, DockerfileErrorKind, Edit, ImageUse, Span, UseKind, UseTarget,
    rewrite,
};
use check::{Broken, Expected, Vary};
use helper::Helpers;
use tail::Defaults;

/// What to change, and what can't be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PinPlan {
    /// The changes, in the order of the file.
    pub edits: Vec<Edit>,
    /// The uses that no edit can pin without changing what build arguments do.
    pub unpinnable: Vec<Unpinnable>,
}

/// One use that cannot be pinned by an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpinnable {
    /// Its place in the list of uses.
    pub use_index: usize,
    /// Its place in the file.
    pub span: Span,
    /// Why, in one sentence.
    pub reason: String,
    /// What a person can do.
    pub help: String,
}

/// Plans the edits that complete every use (by index into `image_uses(inputs)`) with its digest.
///
/// A use that has this digest already is left as it is; another digest is replaced.
pub fn pin_edits(
    file: &Dockerfile,
    inputs: &BuildInputs,
    pins: &[(usize, Digest)],
) -> Result<PinPlan, DockerfileError> {
    let uses = file.image_uses(inputs)?;
    let defaults = BuildInputs { build_args: BTreeMap::new(), ..inputs.clone() };
    let mut planner = Planner {
        file,
        defaults: Defaults::new(&file.parsed, &defaults),
        inputs: defaults,
        closings: closings(file),
        edits: Vec::new(),
        variable: Vec::new(),
        done: Vec::new(),
        whole: BTreeSet::new(),
        refused: BTreeMap::new(),
    };
    for (index, digest) in pins {
        let kind = DockerfileErrorKind::NoSuchUse { index: *index };
        let one = uses.get(*index).ok_or(DockerfileError { span: None, kind })?;
        planner.add(*index, one, digest);
    }
    planner.plan_variables();
    planner.finish(&uses)
}

/// Why a use cannot be pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reason {
    NoImage,
    BuildArgument(Vec<String>),
    Platform(String),
    InStage(String),
    Form(String),
    Quoting(String),
    SeveralDefaults(String),
    PlatformFlag(String),
    Order(String),
    Empty,
    Conflict,
    NoDefaults,
    TooMany,
}

impl Reason {
    fn explain(self, word: &str) -> (String, String) {
        let own = "give this FROM an ARG of its own that holds the whole reference: ARG IMAGE=name:tag, \
                   FROM $IMAGE"
            .to_owned();
        match self {
            Self::NoImage => (
                "the name means no image of a registry here".to_owned(),
                "nothing needs to be pinned".to_owned(),
            ),
            Self::BuildArgument(names) => (
                format!("`{word}` gets its value from the build argument {}", list(&names)),
                "pin the default: leave the build argument away, or give the ARG a default".to_owned(),
            ),
            Self::Platform(name) => (
                format!("`{word}` depends on the platform through {name}, and a digest would fix one"),
                "name a multi-platform image, which needs no platform in its name".to_owned(),
            ),
            Self::InStage(name) if check::steers_the_build(&name) => {
                (format!("BuildKit itself looks at the value of ARG {name}"), own)
            }
            Self::InStage(name) => {
                (format!("the value of ARG {name} is also used inside a stage, where a pin would show"), own)
            }
            Self::Form(name) => (
                format!("{name} is used in a form of ${{…}} that cannot be kept when its default moves"),
                own,
            ),
            Self::Quoting(text) => (
                format!("`{text}` has quotes, blanks or other characters that a reference does not have"),
                own,
            ),
            Self::SeveralDefaults(name) => (
                format!("ARG {name} has several defaults before the first FROM"),
                format!("keep one ARG {name} before the first FROM"),
            ),
            Self::PlatformFlag(name) => (format!("--platform uses {name} too"), own),
            Self::Order(name) => (
                format!("ARG {name} stands in the same instruction as the ARG that uses it"),
                format!("give ARG {name} an instruction of its own, above"),
            ),
            Self::Empty => {
                (format!("a build argument may be empty in `{word}` and still name an image"), own)
            }
            Self::Conflict => (
                format!(
                    "other words of the file expand the same ARGs as `{word}`, and no pin fits all of them"
                ),
                own,
            ),
            Self::NoDefaults => (
                "an ARG of this file has no value without build arguments".to_owned(),
                "give it a default that a build can start with".to_owned(),
            ),
            Self::TooMany => (format!("more than {VARIABLE_LIMIT} FROM lines have variables"), own),
        }
    }
}

/// A use whose word has variables.
#[derive(Debug, Clone)]
pub(super) struct VariableUse {
    pub(super) index: usize,
    pub(super) stage: usize,
    /// What it expands to without build arguments.
    pub(super) written: String,
    /// What it shall expand to.
    pub(super) pinned: String,
    pub(super) span: Span,
}

struct Planner<'a> {
    file: &'a Dockerfile,
    inputs: BuildInputs,
    defaults: Defaults<'a>,
    closings: BTreeMap<(usize, usize), &'a str>,
    /// Edits that stand: literal words, then what was checked.
    edits: Vec<Edit>,
    variable: Vec<VariableUse>,
    /// Uses with variables whose edits stand, and the ARGs that hold whole references by them.
    done: Vec<VariableUse>,
    whole: BTreeSet<String>,
    refused: BTreeMap<usize, (Span, String, Reason)>,
}

impl Planner<'_> {
    fn add(&mut self, index: usize, one: &ImageUse, digest: &Digest) {
        let refuse = |reason| (one.span.clone(), one.written.clone(), reason);
        let (Ok(reference), UseTarget::Image) = (&one.reference, &one.target) else {
            self.refused.insert(index, refuse(Reason::NoImage));
            return;
        };
        let pinned = complete(&one.written, reference, digest);
        if one.kind != UseKind::From {
            if pinned != one.written {
                let closing = self.closings.get(&(one.span.start, one.span.end)).copied().unwrap_or_default();
                self.edits.push(literal_edit(self.file, one, one.span.end, &pinned, closing));
            }
            return;
        }
        let Some(body) = self.file.parsed.stages.get(one.stage) else { return };
        let Ok(word) = Word::parse(body.base.as_str(), self.file.parsed.escape) else { return };
        if let [Part::Text { span, .. }] = word.parts.as_slice() {
            if pinned != one.written {
                let end = body.base.span(0..span.end).end;
                self.edits.push(literal_edit(self.file, one, end, &pinned, ""));
            }
            return;
        }
        if self.defaults.expand(&word) != Some(one.written.as_str().to_owned()) {
            self.refused.insert(index, refuse(Reason::BuildArgument(one.variables.clone())));
            return;
        }
        if pinned != one.written {
            let (stage, span, written) = (one.stage, one.span.clone(), one.written.clone());
            self.variable.push(VariableUse { index, stage, written, pinned, span });
        }
    }

    /// Plans the words with variables: first by their tails, then by helpers.
    fn plan_variables(&mut self) {
        if self.variable.is_empty() {
            return;
        }
        let parsed = &self.file.parsed;
        let distinct: BTreeSet<&str> =
            parsed.stages.iter().map(|stage| stage.base.as_str()).filter(|word| word.contains('$')).collect();
        if distinct.len() > VARIABLE_LIMIT {
            for one in std::mem::take(&mut self.variable) {
                self.refuse(&one, Reason::TooMany);
            }
            return;
        }
        let vary = Vary::new(parsed, &self.inputs, &self.defaults);
        if !vary.has_defaults() {
            for one in std::mem::take(&mut self.variable) {
                self.refuse(&one, Reason::NoDefaults);
            }
            return;
        }
        let mut simple = self.variable.clone();
        let mut composed = Vec::new();
        loop {
            let (edits, whole, conflicting) = self.tails(&simple);
            let broken = if conflicting.is_empty() {
                self.try_edits(&edits, &simple, &whole, &vary)
            } else {
                conflicting
            };
            if broken.is_empty() {
                self.accept(&edits, &simple, whole);
                break;
            }
            // What breaks takes with it every use that shares a variable with it.
            let mut names: BTreeSet<String> = BTreeSet::new();
            let mut stages: BTreeSet<usize> = BTreeSet::new();
            for broken in broken {
                match broken {
                    Broken::Arg(name) => {
                        names.insert(name);
                    }
                    Broken::Stage(stage) => {
                        stages.insert(stage);
                    }
                }
            }
            let words: BTreeMap<&str, usize> =
                stages.iter().map(|stage| (self.word_of(*stage), *stage)).collect();
            names.extend(words.into_values().flat_map(|stage| self.defaults.closure_of_stage(stage)));
            let moved: BTreeSet<usize> = simple
                .iter()
                .filter(|one| {
                    stages.contains(&one.stage)
                        || !names.is_disjoint(&self.defaults.closure_of_stage(one.stage))
                })
                .map(|one| one.index)
                .collect();
            let before = simple.len();
            simple.retain(|one| !moved.contains(&one.index));
            if simple.len() == before {
                // Nothing to blame: no tail is safe.
                simple.clear();
            }
            let kept: BTreeSet<usize> = simple.iter().map(|one| one.index).collect();
            composed = self.variable.iter().filter(|one| !kept.contains(&one.index)).cloned().collect();
        }
        for group in self.groups(composed, &simple) {
            self.plan_helpers(group, &vary);
        }
    }

    /// The edits at the tails of these words, the ARGs that hold a whole reference afterwards,
    /// and the uses that have no tail of their own.
    fn tails(&self, uses: &[VariableUse]) -> (Vec<Edit>, BTreeSet<String>, Vec<Broken>) {
        let mut edits: BTreeMap<(usize, usize), Edit> = BTreeMap::new();
        let mut whole = BTreeSet::new();
        let mut conflicting = Vec::new();
        for one in uses {
            let Some(tail) = self.defaults.tail(one.stage) else {
                conflicting.push(Broken::Stage(one.stage));
                continue;
            };
            let Some(edit) = tail.edit(&one.written, &one.pinned) else {
                conflicting.push(Broken::Stage(one.stage));
                continue;
            };
            if tail.is_whole {
                whole.extend(tail.keys);
            }
            let place = (edit.span.start, edit.span.end);
            match edits.get(&place) {
                Some(other) if *other != edit => conflicting.push(Broken::Stage(one.stage)),
                _ => {
                    edits.insert(place, edit);
                }
            }
        }
        (edits.into_values().collect(), whole, conflicting)
    }

    fn try_edits(
        &self,
        edits: &[Edit],
        uses: &[VariableUse],
        whole: &BTreeSet<String>,
        vary: &Vary<'_>,
    ) -> Vec<Broken> {
        let all_broken = || uses.iter().map(|one| Broken::Stage(one.stage)).collect();
        let Some(edited) = self.edited(&joined(&self.edits, edits)) else { return all_broken() };
        let pinned = self.done.iter().chain(uses).map(|one| (one.stage, one.pinned.as_str())).collect();
        let whole = self.whole.union(whole).map(String::as_str).collect();
        vary.broken(&edited.parsed, &Expected { pinned, whole })
    }

    fn accept(&mut self, edits: &[Edit], uses: &[VariableUse], whole: BTreeSet<String>) {
        self.edits = joined(&self.edits, edits);
        self.done.extend_from_slice(uses);
        self.whole.extend(whole);
    }

    fn edited(&self, edits: &[Edit]) -> Option<Dockerfile> {
        Dockerfile::parse(&rewrite(self.file.source(), edits).ok()?).ok()
    }

    /// Uses that share variables are planned together, one group after the other.
    fn groups(&mut self, uses: Vec<VariableUse>, simple: &[VariableUse]) -> Vec<Vec<VariableUse>> {
        let mut groups: Vec<(BTreeSet<String>, Vec<VariableUse>)> = Vec::new();
        let taken: BTreeSet<String> =
            simple.iter().flat_map(|one| self.defaults.closure_of_stage(one.stage)).collect();
        for one in uses {
            let mut names = self.defaults.closure_of_stage(one.stage);
            if !names.is_disjoint(&taken) {
                self.refuse(&one, Reason::Conflict);
                continue;
            }
            let mut members = vec![one];
            groups.retain_mut(|(other, theirs)| {
                let is_apart = other.is_disjoint(&names);
                if !is_apart {
                    names.append(other);
                    members.append(theirs);
                }
                is_apart
            });
            groups.push((names, members));
        }
        groups
            .into_iter()
            .map(|(_, mut members)| {
                members.sort_by_key(|one| one.index);
                members
            })
            .collect()
    }

    fn plan_helpers(&mut self, mut group: Vec<VariableUse>, vary: &Vary<'_>) {
        while !group.is_empty() {
            let planned = Helpers::new(self.file, &self.defaults).plan(&group);
            let helpers = match planned {
                Ok(helpers) => helpers,
                Err((at, reason)) => {
                    let word = group.get(at).map_or("", |one| self.word_of(one.stage)).to_owned();
                    let (kept, refused): (Vec<_>, Vec<_>) =
                        group.into_iter().partition(|one| self.word_of(one.stage) != word);
                    for one in &refused {
                        self.refuse(one, reason.clone());
                    }
                    group = kept;
                    continue;
                }
            };
            let broken = self.try_edits(&helpers.edits, &group, &helpers.whole, vary);
            if broken.is_empty() {
                self.accept(&helpers.edits, &group, helpers.whole);
                return;
            }
            let reason = match broken.first() {
                Some(Broken::Arg(name)) => Reason::InStage(name.clone()),
                _ if vary.has_empty_image(&group) => Reason::Empty,
                _ => Reason::Conflict,
            };
            for one in std::mem::take(&mut group) {
                self.refuse(&one, reason.clone());
            }
        }
    }

    fn word_of(&self, stage: usize) -> &str {
        self.file.parsed.stages.get(stage).map_or("", |body| body.base.as_str())
    }

    fn refuse(&mut self, one: &VariableUse, reason: Reason) {
        let word = self.file.source.get(one.span.clone()).unwrap_or_default().to_owned();
        self.refused.insert(one.index, (one.span.clone(), word, reason));
    }

    /// Reads the edited file once more: every use must be what it was, or pinned.
    fn finish(mut self, uses: &[ImageUse]) -> Result<PinPlan, DockerfileError> {
        self.edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
        let mut plan = PinPlan { edits: self.edits, unpinnable: Vec::new() };
        for (use_index, (span, word, reason)) in self.refused {
            let (reason, help) = reason.explain(&word);
            plan.unpinnable.push(Unpinnable { use_index, span, reason, help });
        }
        let edited = Dockerfile::parse(&rewrite(self.file.source(), &plan.edits)?)?;
        if let Ok(before) = self.file.image_uses(&self.inputs) {
            let after = edited.image_uses(&self.inputs)?;
            let same = before.len() == after.len()
                && before.iter().zip(&after).all(|(before, after)| {
                    let is_pinned = match (&before.reference, &after.reference) {
                        (Ok(before), Ok(after)) => {
                            before.gun() == after.gun()
                                && before.tag_or_latest() == after.tag_or_latest()
                                && after.digest().is_some()
                        }
                        _ => false,
                    };
                    before.kind == after.kind
                        && before.target == after.target
                        && (before.written == after.written || is_pinned)
                });
            if !same {
                let span = uses.first().map_or(0..0, |one| one.span.clone());
                return Err(DockerfileError::at(&span, DockerfileErrorKind::Edits));
            }
        }
        Ok(plan)
    }
}

/// Both lists; lines that go to the same place follow one another there.
fn joined(old: &[Edit], new: &[Edit]) -> Vec<Edit> {
    let mut all = old.to_vec();
    for edit in new {
        let is_line = edit.text.ends_with('\n');
        let place = all.iter_mut().filter(|_| is_line).find(|other| other.span == edit.span);
        match place {
            Some(other) if other.text.ends_with('\n') => other.text.push_str(&edit.text),
            _ => all.push(edit.clone()),
        }
    }
    all
}

/// The reference as written, with this digest: `name:tag@digest`, or `name@digest` where a
/// digest stands without a tag.
fn complete(written: &str, reference: &Reference, digest: &Digest) -> String {
    let (name, _) = written.split_once('@').unwrap_or((written, ""));
    if reference.digest().is_none() && reference.tag().is_none() {
        return format!("{name}:{}@{digest}", reference.tag_or_latest());
    }
    format!("{name}@{digest}")
}

/// The edit of a word without variables; `end` is where its last character ends.
fn literal_edit(file: &Dockerfile, one: &ImageUse, end: usize, pinned: &str, closing: &str) -> Edit {
    if let Some(added) = pinned.strip_prefix(one.written.as_str()) {
        return Edit { span: end..end, text: added.to_owned() };
    }
    let raw = file.source.get(one.span.clone()).unwrap_or_default();
    match (raw == one.written, raw.find('@'), pinned.split_once('@')) {
        (true, Some(at), Some((_, digest))) => {
            Edit { span: one.span.start + at + 1..one.span.end, text: digest.to_owned() }
        }
        _ => Edit { span: one.span.clone(), text: format!("{pinned}{closing}") },
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "of this build".to_owned() } else { names.join(", ") }
}

/// The characters of references, which need no quotes anywhere in a Dockerfile.
fn is_simple(text: &str) -> bool {
    text.bytes().all(|byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/' | b':' | b'@' | b'[' | b']')
    })
}

/// A word of the file that has a value: a FROM's image, or an ARG's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Site {
    Base(usize),
    Default(usize),
}

impl Site {
    fn text(self, parsed: &Parsed) -> Option<&Text> {
        match self {
            Self::Base(stage) => parsed.stages.get(stage).map(|body| &body.base),
            Self::Default(arg) => parsed.global_args.get(arg)?.value.as_ref(),
        }
    }

    /// How many ARGs stand before it.
    fn visible(self, parsed: &Parsed) -> usize {
        match self {
            Self::Base(_) => parsed.global_args.len(),
            Self::Default(arg) => arg,
        }
    }
}

/// Different FROM words with variables: each is expanded some hundred times to see that an edit
/// is safe. Files with more are generated, and their generator can pin.
const VARIABLE_LIMIT: usize = 128;
