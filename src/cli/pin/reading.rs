//! One Dockerfile as `pin` reads it: the images in it, each with its place and the question to ask.

use super::file::Source;
use crate::cli::exit::Failure;
use crate::dockerfile::{
    BuildInputs, Dockerfile, DockerfileError, ImageUse, Notice, SOURCE_LIMIT, SecondOpinion, Span, UseKind,
    UseTarget, second_opinion,
};
use crate::gate::{self, ContentDecision, Gate, Origin, Refusal, Request, UseRole};
use crate::image::{Digest, Reference};

/// A Dockerfile that was read from disk, understood or not.
pub(super) struct Reading {
    pub(super) source: Source,
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) content: Result<Content, Problem>,
}

/// A Dockerfile that was understood.
pub(super) struct Content {
    pub(super) file: Dockerfile,
    /// Every place that names an image, in the order of the file.
    pub(super) subjects: Vec<Subject>,
    /// Forms that older builders read otherwise.
    pub(super) notices: Vec<Notice>,
}

/// Why a whole file is refused.
#[derive(Clone, Debug)]
pub(super) enum Problem {
    /// It is no Dockerfile.
    Invalid(DockerfileError),
    /// A second reading sees a base image that the first does not.
    Hidden(SecondOpinion),
}

/// One place that names an image.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) place: Place,
    /// The word as it stands in the file.
    pub(super) span: Span,
    /// What it comes to.
    pub(super) written: String,
    pub(super) reference: Result<Reference, Refusal>,
    /// What the policy says about it without looking it up, where it does.
    pub(super) settled: Option<Settled>,
    pub(super) stage: Option<usize>,
    pub(super) stage_name: Option<String>,
}

/// An answer that needs no look-up.
#[derive(Clone, Debug)]
pub(super) enum Settled {
    /// A rule of the policy lets it pass.
    Passed {
        /// The rule.
        rule: String,
    },
    /// It may not be used.
    Refused(Refusal),
}

/// What kind of place it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The `# syntax=` line.
    Syntax,
    /// An instruction, by its index in the list of image uses.
    Use(usize, UseKind),
}

impl Reading {
    /// Reads a file. That it can't be read ends the command; that it can't be understood doesn't.
    pub(super) fn of(source: Source, inputs: &BuildInputs) -> Result<Self, Failure> {
        let bytes = source.read(SOURCE_LIMIT)?;
        let content = Content::of(&bytes, inputs);
        Ok(Self { name: source.name(), source, bytes, content })
    }

    /// Settles what the policy decides by itself.
    pub(super) fn settle(&mut self, gate: &Gate) {
        let Ok(content) = &mut self.content else { return };
        for subject in &mut content.subjects {
            subject.settled = subject.settle(gate);
        }
    }

    /// What the gate is to be asked, in the order of the subjects; those that are no reference,
    /// or settled, are left out.
    pub(super) fn requests(&self) -> impl Iterator<Item = Request> {
        let subjects = self.content.as_ref().map_or(&[][..], |content| &content.subjects);
        subjects.iter().filter_map(|subject| subject.request(&self.name))
    }
}

impl Content {
    fn of(bytes: &[u8], inputs: &BuildInputs) -> Result<Self, Problem> {
        let file = Dockerfile::parse(bytes).map_err(Problem::Invalid)?;
        let uses = file.image_uses(inputs).map_err(Problem::Invalid)?;
        second_opinion(bytes, &uses, inputs).map_err(Problem::Hidden)?;
        let mut subjects: Vec<Subject> = file.syntax().map(Subject::syntax).into_iter().collect();
        let wanted = |image_use: &ImageUse| {
            image_use.target == UseTarget::Image && (inputs.target.is_none() || image_use.reachable)
        };
        let images = uses.iter().enumerate().filter(|(_, image_use)| wanted(image_use));
        subjects.extend(images.map(|(index, image_use)| Subject::image(index, image_use)));
        subjects.sort_by_key(|subject| subject.span.start);
        let notices = file.version_warnings();
        Ok(Self { file, subjects, notices })
    }
}

impl Subject {
    fn syntax(directive: &crate::dockerfile::SyntaxDirective) -> Self {
        let written = directive.image.clone();
        let reference = written.parse().map_err(|error| Refusal::invalid_reference(&written, &error));
        let span = directive.span.clone();
        Self { place: Place::Syntax, span, written, reference, settled: None, stage: None, stage_name: None }
    }

    fn image(index: usize, image_use: &ImageUse) -> Self {
        let written = image_use.written.clone();
        Self {
            place: Place::Use(index, image_use.kind),
            span: image_use.span.clone(),
            reference: match &image_use.reference {
                Ok(reference) => Ok(reference.clone()),
                Err(error) => Err(Refusal::invalid_reference(&written, error)),
            },
            written,
            settled: None,
            stage: Some(image_use.stage),
            stage_name: image_use.stage_name.clone(),
        }
    }

    /// The digest that stands there now.
    pub(super) fn written_digest(&self) -> Option<&Digest> {
        self.reference.as_ref().ok().and_then(Reference::digest)
    }

    /// Whether the gate is asked about it.
    pub(super) fn is_asked(&self) -> bool {
        self.reference.is_ok() && self.settled.is_none()
    }

    /// The name for messages, with the tag that is looked up.
    pub(super) fn name(&self) -> String {
        match &self.reference {
            Ok(reference) => reference.without_digest().with_default_tag().to_string(),
            Err(_) => self.written.clone(),
        }
    }

    /// What stands there, completed with a tag if it has none, and with this digest.
    pub(super) fn completed(&self, digest: &Digest) -> String {
        let name = self.written.split('@').next().unwrap_or_default();
        match &self.reference {
            Ok(reference) if reference.tag().is_none() => {
                format!("{name}:{}@{digest}", reference.tag_or_latest())
            }
            _ => format!("{name}@{digest}"),
        }
    }

    /// The policy may name frontends that need no look-up, or that may not be used at all.
    fn settle(&self, gate: &Gate) -> Option<Settled> {
        let (Place::Syntax, Ok(reference)) = (self.place, &self.reference) else { return None };
        match gate.admit_content(gate::Content::Syntax { reference }) {
            ContentDecision::Verify => None,
            ContentDecision::Admitted { rule } | ContentDecision::Builtin { rule } => {
                Some(Settled::Passed { rule })
            }
            ContentDecision::Refused(refusal) => Some(Settled::Refused(refusal)),
        }
    }

    /// Asks for the tag where there is one, whatever digest stands beside it: a pin is
    /// compared with what is signed now.
    fn request(&self, file: &str) -> Option<Request> {
        let reference = self.reference.as_ref().ok().filter(|_| self.is_asked())?;
        let reference = match reference.tag() {
            Some(_) => reference.without_digest(),
            None => reference.with_default_tag(),
        };
        let origin = Origin::Dockerfile { file: file.to_owned(), span: self.span.clone() };
        Some(Request { role: self.place.role(), origin, reference })
    }
}

impl Place {
    fn role(self) -> UseRole {
        match self {
            Self::Syntax => UseRole::Syntax,
            Self::Use(_, UseKind::From) => UseRole::From,
            Self::Use(_, UseKind::CopyFrom) => UseRole::CopyFrom,
            Self::Use(_, UseKind::MountFrom) => UseRole::MountFrom,
            Self::Use(_, UseKind::OnbuildCopyFrom | UseKind::OnbuildMountFrom) => UseRole::Onbuild,
        }
    }

    /// The name in JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Use(_, UseKind::From) => "from",
            Self::Use(_, UseKind::CopyFrom) => "copy-from",
            Self::Use(_, UseKind::MountFrom) => "mount-from",
            Self::Use(_, UseKind::OnbuildCopyFrom) => "onbuild-copy-from",
            Self::Use(_, UseKind::OnbuildMountFrom) => "onbuild-mount-from",
        }
    }
}
