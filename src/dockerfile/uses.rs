//! What every name in a Dockerfile means for one build.

use std::collections::BTreeMap;

use crate::image::{Platform, Reference, ReferenceError};

use super::instruction::{NameSite, Parsed, StageBody};
use super::onbuild::trigger_names;
use super::scope::{BareArg, Scope};
use super::{BuildInputs, DockerfileError, DockerfileErrorKind, ImageUse, Span, UseKind, UseTarget};

/// Every use, in the order of the file.
pub(super) fn image_uses(parsed: &Parsed, inputs: &BuildInputs) -> Result<Vec<ImageUse>, DockerfileError> {
    let mut scope = Scope::new(parsed, inputs, BareArg::Ignored)?;
    let names = Names::new(parsed, inputs);
    let mut uses = Vec::new();
    let mut earlier: BTreeMap<&str, usize> = BTreeMap::new();
    for stage in &parsed.stages {
        uses.push(from(stage, parsed.escape, &mut scope, &names, &earlier)?);
        if let Some(name) = &stage.stage.name {
            earlier.insert(name, stage.stage.index);
        }
        let mut sites: Vec<&NameSite> = stage.names.iter().chain(&stage.triggers).collect();
        sites.sort_by_key(|site| site.span.start);
        for site in sites.into_iter().filter(|site| !site.written.is_empty()) {
            uses.push(names.site_use(stage, site)?);
        }
    }
    let bases: Vec<Option<usize>> = uses
        .iter()
        .filter(|one| one.kind == UseKind::From)
        .map(|one| if let UseTarget::Stage(base) = one.target { Some(base) } else { None })
        .collect();
    let reachable = names.reachable(&bases)?;
    for one in &mut uses {
        let by = if is_trigger(one.kind) { &reachable.triggers } else { &reachable.stages };
        one.reachable = by.get(one.stage).copied().unwrap_or_default();
    }
    Ok(uses)
}

/// The stage that a name or number of a COPY or mount means, if it means one.
pub(super) fn stage_of(
    parsed: &Parsed,
    kind: UseKind,
    written: &str,
) -> Result<Option<usize>, DockerfileErrorKind> {
    Names::by_name(parsed).find(kind, written)
}

fn from(
    stage: &StageBody,
    escape: char,
    scope: &mut Scope,
    names: &Names<'_>,
    earlier: &BTreeMap<&str, usize>,
) -> Result<ImageUse, DockerfileError> {
    let span = stage.base.whole_span();
    let error = |kind| DockerfileError::at(&span, kind);
    let blank = |word: &str| error(DockerfileErrorKind::Blank { word: word.to_owned() });
    let (written, variables) = scope.expand(stage.base.as_str(), escape).map_err(error)?;
    if written.is_empty() {
        return Err(blank(stage.base.as_str()));
    }
    let platform = match &stage.platform {
        None => None,
        Some(word) => {
            let (platform, _) = scope.expand(word, escape).map_err(error)?;
            if platform.is_empty() {
                return Err(blank(word));
            }
            Some(platform)
        }
    };
    let index = stage.stage.index;
    let reference = written.parse();
    let context = stage.stage.name.as_deref().and_then(|name| names.context(name, platform.as_deref()));
    let target = match (context, earlier.get(written.as_str())) {
        (Some(context), _) => UseTarget::NamedContext(context),
        (None, Some(&base)) => UseTarget::Stage(base),
        (None, None) => names.image_target(&written, &reference, platform.as_deref()),
    };
    Ok(ImageUse {
        kind: UseKind::From,
        span,
        reference,
        written,
        target,
        stage: index,
        stage_name: stage.stage.name.clone(),
        reachable: false,
        platform,
        variables: variables.into_iter().collect(),
    })
}

fn is_trigger(kind: UseKind) -> bool {
    matches!(kind, UseKind::OnbuildCopyFrom | UseKind::OnbuildMountFrom)
}

/// Stages and named contexts, by name.
struct Names<'a> {
    parsed: &'a Parsed,
    inputs: Option<&'a BuildInputs>,
    /// The last stage of each name, which is what COPY and mounts find.
    last: BTreeMap<&'a str, usize>,
}

impl<'a> Names<'a> {
    fn new(parsed: &'a Parsed, inputs: &'a BuildInputs) -> Self {
        Self { inputs: Some(inputs), ..Self::by_name(parsed) }
    }

    fn by_name(parsed: &'a Parsed) -> Self {
        let named = parsed
            .stages
            .iter()
            .filter_map(|body| body.stage.name.as_deref().map(|name| (name, body.stage.index)));
        Self { parsed, inputs: None, last: named.collect() }
    }

    fn site_use(&self, stage: &StageBody, site: &NameSite) -> Result<ImageUse, DockerfileError> {
        let error = |kind| DockerfileError::at(&site.span, kind);
        let found = self.find(site.kind, &site.written).map_err(error)?;
        let reference = site.written.parse();
        let target = match found {
            Some(source) => {
                if !is_trigger(site.kind) {
                    self.check_order(source, stage.stage.index).map_err(error)?;
                }
                UseTarget::Stage(source)
            }
            None => self.image_target(&site.written, &reference, None),
        };
        Ok(ImageUse {
            kind: site.kind,
            span: site.span.clone(),
            written: site.written.clone(),
            reference,
            target,
            stage: stage.stage.index,
            stage_name: stage.stage.name.clone(),
            reachable: false,
            platform: None,
            variables: Vec::new(),
        })
    }

    /// The stage that a COPY or mount means: by number for COPY, else by name in any case.
    fn find(&self, kind: UseKind, written: &str) -> Result<Option<usize>, DockerfileErrorKind> {
        let counts = matches!(kind, UseKind::CopyFrom | UseKind::OnbuildCopyFrom);
        if let Some(number) = written.parse::<i64>().ok().filter(|_| counts) {
            let index = written.to_owned();
            let stages = self.parsed.stages.len();
            return match usize::try_from(number) {
                Ok(number) if number < stages => Ok(Some(number)),
                // BuildKit numbers the images that COPY and mounts name behind the stages.
                Ok(_) if self.has_anonymous() => Err(DockerfileErrorKind::StageAsImage { index }),
                _ => Err(DockerfileErrorKind::StageIndex { index }),
            };
        }
        Ok(self.last.get(written.to_ascii_lowercase().as_str()).copied())
    }

    fn has_anonymous(&self) -> bool {
        self.parsed.stages.iter().flat_map(|stage| &stage.names).any(|name| {
            name.written.parse::<i64>().is_err()
                && !self.last.contains_key(name.written.to_ascii_lowercase().as_str())
        })
    }

    fn check_order(&self, source: usize, user: usize) -> Result<(), DockerfileErrorKind> {
        let Some(body) = self.parsed.stages.get(source).filter(|_| source >= user) else { return Ok(()) };
        let name = body.stage.name.clone();
        // A stage that a named context replaces is there before all others.
        if source > user && name.as_deref().is_some_and(|name| self.context(name, None).is_some()) {
            return Ok(());
        }
        Err(DockerfileErrorKind::StageOrder { name: name.unwrap_or_else(|| source.to_string()) })
    }

    fn image_target(
        &self,
        written: &str,
        reference: &Result<Reference, ReferenceError>,
        platform: Option<&str>,
    ) -> UseTarget {
        if written == SCRATCH {
            return UseTarget::Scratch;
        }
        let context = reference.as_ref().ok().and_then(|reference| self.image_context(reference, platform));
        context.map_or(UseTarget::Image, UseTarget::NamedContext)
    }

    /// The named context that replaces a stage of this name.
    fn context(&self, name: &str, platform: Option<&str>) -> Option<String> {
        if name == SCRATCH || name == CONTEXT || self.inputs?.named_contexts.is_empty() {
            return None;
        }
        self.image_context(&name.parse().ok()?, platform)
    }

    /// The named context that replaces this image: its short name, with the platform first.
    fn image_context(&self, reference: &Reference, platform: Option<&str>) -> Option<String> {
        let inputs = self.inputs?;
        if inputs.named_contexts.is_empty() {
            return None;
        }
        let familiar = reference.with_default_tag().familiar();
        let name = familiar.strip_suffix(":latest").unwrap_or(&familiar);
        let platform = match platform {
            Some(platform) => platform.parse().unwrap_or_else(|_| inputs.target_platform.clone()),
            None => inputs.target_platform.clone(),
        };
        let Platform { os, architecture, variant } = platform;
        let specific = format!("{name}::{}", Platform::new(&os, &architecture, &variant));
        [specific.as_str(), name]
            .into_iter()
            .find(|name| inputs.named_contexts.contains(*name))
            .map(str::to_owned)
    }

    fn target(&self) -> Result<usize, DockerfileError> {
        let wanted = self.inputs.and_then(|inputs| inputs.target.as_deref()).filter(|name| !name.is_empty());
        let Some(wanted) = wanted else { return Ok(self.parsed.stages.len().saturating_sub(1)) };
        let found = self.last.get(wanted.to_ascii_lowercase().as_str()).copied();
        let kind = DockerfileErrorKind::Target { target: wanted.to_owned() };
        found.ok_or(DockerfileError { span: None, kind })
    }

    /// Which stages the target needs, and whose triggers fire on the way.
    fn reachable(&self, bases: &[Option<usize>]) -> Result<Reachable, DockerfileError> {
        let mut stages = vec![false; self.parsed.stages.len()];
        // For each stage, the first one that builds on it: there its triggers fire earliest.
        let mut first_user: Vec<Option<usize>> = vec![None; self.parsed.stages.len()];
        let mut open = vec![self.target()?];
        while let Some(index) = open.pop() {
            let (Some(seen), Some(body)) = (stages.get_mut(index), self.parsed.stages.get(index)) else {
                continue;
            };
            if std::mem::replace(seen, true) {
                continue;
            }
            for name in &body.names {
                open.extend(self.dependency(name)?);
            }
            if let Some(base) = bases.get(index).copied().flatten() {
                open.push(base);
                if let (Some(first), Some(base)) = (first_user.get_mut(base), self.parsed.stages.get(base)) {
                    if first.is_none() {
                        for name in &base.triggers {
                            open.extend(self.dependency(name)?);
                        }
                    }
                    *first = Some(first.map_or(index, |first| first.min(index)));
                }
            }
            open.extend(self.base_triggers(index, &body.base.whole_span())?);
        }
        for (body, user) in self.parsed.stages.iter().zip(&first_user) {
            let Some(user) = *user else { continue };
            for name in body.triggers.iter().filter(|name| !name.written.is_empty()) {
                if let Some(source) = self.dependency(name)? {
                    self.check_order(source, user).map_err(|kind| DockerfileError::at(&name.span, kind))?;
                }
            }
        }
        let triggers = first_user.into_iter().map(|user| user.is_some()).collect();
        Ok(Reachable { stages, triggers })
    }

    /// The stages that the triggers of a stage's base image need.
    fn base_triggers(&self, index: usize, place: &Span) -> Result<Vec<usize>, DockerfileError> {
        let error = |kind| DockerfileError::at(place, kind);
        let fired = self.inputs.and_then(|inputs| inputs.base_triggers.get(&index));
        let mut found = Vec::new();
        for trigger in fired.into_iter().flatten() {
            for name in trigger_names(trigger).map_err(|problem| error(problem.kind))? {
                let written = if name.written.is_empty() { SCRATCH } else { &name.written };
                let Some(source) = self.find(name.kind, written).map_err(error)? else { continue };
                if !name.written.is_empty() {
                    self.check_order(source, index).map_err(error)?;
                }
                found.push(source);
            }
        }
        Ok(found)
    }

    fn dependency(&self, name: &NameSite) -> Result<Option<usize>, DockerfileError> {
        let written = if name.written.is_empty() { SCRATCH } else { &name.written };
        self.find(name.kind, written).map_err(|kind| DockerfileError::at(&name.span, kind))
    }
}

struct Reachable {
    stages: Vec<bool>,
    triggers: Vec<bool>,
}

/// The name of the empty image.
const SCRATCH: &str = "scratch";
/// The name of the main build context, which no named context can take.
const CONTEXT: &str = "context";
