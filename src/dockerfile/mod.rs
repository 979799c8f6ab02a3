//! Dockerfiles: bytes in, every image use with its place out, pinned bytes back.
//!
//! This room reads a Dockerfile by the rules of current `BuildKit` (its
//! `dockerfile.v0` frontend), to the byte: every [`Span`] counts bytes of the
//! original file, byte-order mark and carriage returns included. It knows
//! nothing of trust, of registries or of policy; which image uses matter is
//! decided elsewhere. Nothing is repaired: what `BuildKit` refuses is an error
//! here, and so are a few things that it takes but no honest file contains
//! (NUL, text that is not UTF-8, non-ASCII bytes in instruction names and flags).
//!
//! Reading goes in steps, one file each: [`source`](self) bytes and places,
//! `lines` (continuations, heredocs), `flags` and `word` (the two ways in which
//! `BuildKit` takes quotes off), `keyword` and `instruction` (stages and what they name),
//! `scope` (which value an ARG has), `uses` (what each name means).

mod directive;
mod edit;
mod error;
mod flags;
mod heredoc;
#[cfg(test)]
mod hostile;
mod instruction;
mod keyword;
mod lines;
mod onbuild;
mod pattern;
mod pin;
#[cfg(any(test, feature = "testing"))]
pub mod rules;
mod scope;
mod second_opinion;
mod source;
#[cfg(test)]
mod tests;
mod uses;
mod versions;
mod word;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use crate::image::{Platform, Reference, ReferenceError};

pub use directive::detect_syntax;
pub use edit::{Edit, literal_edits, rewrite};
pub use error::{DockerfileError, DockerfileErrorKind};
pub use lines::SOURCE_LIMIT;
pub use onbuild::{OnbuildUse, onbuild_uses};
pub use pin::{PinPlan, Unpinnable, pin_edits};
pub use second_opinion::{SecondOpinion, second_opinion};
pub use source::line_and_column;
pub use word::WordError;

/// Byte offsets into the original file.
pub type Span = std::ops::Range<usize>;

/// A Dockerfile that was read; owns a copy of the source.
#[derive(Debug, Clone)]
pub struct Dockerfile {
    source: String,
    syntax: Option<SyntaxDirective>,
    stages: Vec<Stage>,
    parsed: instruction::Parsed,
}

impl Dockerfile {
    /// Reads a Dockerfile by `BuildKit`'s rules.
    pub fn parse(source: &[u8]) -> Result<Self, DockerfileError> {
        let text = lines::decode(source)?;
        let parsed = instruction::read(text)?;
        Ok(Self {
            source: text.to_owned(),
            syntax: detect_syntax(source),
            stages: parsed.stages.iter().map(|body| body.stage.clone()).collect(),
            parsed,
        })
    }

    /// The bytes that were read.
    #[must_use]
    pub fn source(&self) -> &[u8] {
        self.source.as_bytes()
    }

    /// The `# syntax=` line, if `BuildKit` would follow one.
    #[must_use]
    pub fn syntax(&self) -> Option<&SyntaxDirective> {
        self.syntax.as_ref()
    }

    /// The stages, in the order of the file.
    #[must_use]
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The stage that a trigger of a base image names, if it names a stage and not an image:
    /// by number for COPY, else by name in any letter case, the last stage of that name.
    pub fn stage_of_trigger(&self, name: &OnbuildUse) -> Result<Option<usize>, DockerfileError> {
        uses::stage_of(&self.parsed, name.kind, &name.written)
            .map_err(|kind| DockerfileError { span: None, kind })
    }

    /// Every place that names an image, a stage or a context, in the order of the file.
    pub fn image_uses(&self, inputs: &BuildInputs) -> Result<Vec<ImageUse>, DockerfileError> {
        uses::image_uses(&self.parsed, inputs)
    }

    /// Forms in this file that an older `BuildKit` takes silently, but reads otherwise.
    #[must_use]
    pub fn version_warnings(&self) -> Vec<Notice> {
        versions::warnings(&self.source, &self.parsed)
    }
}

/// The frontend that the file asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxDirective {
    /// The image, up to the first blank.
    pub image: String,
    /// What stands after the first blank; written by the file's author.
    pub arguments: String,
    /// Where the image stands.
    pub span: Span,
}

/// One `FROM`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Counted from 0.
    pub index: usize,
    /// The name after `AS`, in lower case.
    pub name: Option<String>,
    /// The whole `FROM` instruction.
    pub span: Span,
}

/// What the caller of a build chose; decides which images a Dockerfile names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildInputs {
    /// `--build-arg`; overrides `ARG` defaults and the platform arguments.
    pub build_args: BTreeMap<String, String>,
    /// `--target`; the last stage where it is `None`.
    pub target: Option<String>,
    /// What `BUILDPLATFORM` says.
    pub build_platform: Platform,
    /// What `TARGETPLATFORM` says.
    pub target_platform: Platform,
    /// Names given by `--build-context NAME=…`, with their `::platform` suffix if they have one.
    /// They override stages and images of that name.
    pub named_contexts: BTreeSet<String>,
    /// `ONBUILD` triggers of the base images' configurations, by stage; they can make stages
    /// reachable that nothing in the file names. Empty where the configurations are not known yet.
    pub base_triggers: BTreeMap<usize, Vec<String>>,
}

impl BuildInputs {
    /// A build for one platform on that platform: no arguments, last stage, no named contexts.
    #[must_use]
    pub fn for_platform(platform: Platform) -> Self {
        Self {
            build_args: BTreeMap::new(),
            target: None,
            build_platform: platform.clone(),
            target_platform: platform,
            named_contexts: BTreeSet::new(),
            base_triggers: BTreeMap::new(),
        }
    }
}

/// One place where a Dockerfile names something to build from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUse {
    /// Which instruction names it.
    pub kind: UseKind,
    /// The whole word as written, without `--from=` or `from=`; may hold variables, quotes, continuations.
    pub span: Span,
    /// After expansion and unquoting: what `BuildKit` would resolve.
    pub written: String,
    /// `written` as a reference; only meaningful where `target` is an image.
    pub reference: Result<Reference, ReferenceError>,
    /// What the name means here.
    pub target: UseTarget,
    /// The stage that it stands in; for a `FROM`, the stage that it opens.
    pub stage: usize,
    /// That stage's name.
    pub stage_name: Option<String>,
    /// Whether building the target needs it.
    pub reachable: bool,
    /// `--platform` of the `FROM`, expanded.
    pub platform: Option<String>,
    /// The arguments whose values went into `written`, in alphabetical order.
    pub variables: Vec<String>,
}

/// The instructions that can name an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UseKind {
    /// `FROM image`.
    From,
    /// `COPY --from=image`.
    CopyFrom,
    /// `RUN --mount=…,from=image`.
    MountFrom,
    /// `ONBUILD COPY --from=image`: used by the stage or image that builds on this one.
    OnbuildCopyFrom,
    /// `ONBUILD RUN --mount=…,from=image`.
    OnbuildMountFrom,
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UseTarget {
    /// An image of a registry.
    Image,
    /// An earlier stage of the same file.
    Stage(usize),
    /// The empty image.
    Scratch,
    /// A named context of the build, by the name that matched.
    NamedContext(String),
}

/// Something worth telling about a place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Where.
    pub span: Span,
    /// What, in one sentence.
    pub message: String,
}
