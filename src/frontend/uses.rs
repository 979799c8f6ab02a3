//! The images that the Dockerfile itself names, on every platform, and their pins.
//!
//! One text is built for all platforms, but a word in it can mean another image on each
//! (`FROM base-${TARGETARCH}`). A word that means the same everywhere is replaced by its
//! pinned reference; where meanings differ the word stays, and each image is pinned by a
//! named context instead, which takes a builder of 0.10 or later.

use std::collections::{BTreeMap, BTreeSet};

use crate::dockerfile::{
    BuildInputs, Dockerfile, DockerfileError, ImageUse, Span, UseKind, UseTarget, literal_edits, rewrite,
};
use crate::frontend::error::FrontendError;
use crate::frontend::ledger::{Entry, Ledger};
use crate::frontend::options::{OWN_CONTEXT, Options};
use crate::gate::{Origin, Refusal, Request, UseRole};
use crate::image::{Platform, Reference};

/// A Dockerfile as it is read for each platform of a build.
#[derive(Clone, Debug)]
pub(super) struct Uses {
    file: Dockerfile,
    name: String,
    platforms: Vec<PlatformUses>,
}

/// The reading for one platform.
#[derive(Clone, Debug)]
pub(super) struct PlatformUses {
    /// What it is built for.
    pub(super) platform: Platform,
    /// What the reading depends on.
    pub(super) inputs: BuildInputs,
    /// What is named.
    pub(super) uses: Vec<ImageUse>,
}

/// Text and options that hold every pin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pinned {
    /// The Dockerfile, with references in the place of words.
    pub(super) source: Vec<u8>,
    /// Options `context:NAME`, for what cannot be pinned in the text.
    pub(super) contexts: BTreeMap<String, String>,
}

impl Uses {
    /// Reads the file for every platform of the build.
    pub(super) fn read(
        file: Dockerfile,
        name: &str,
        options: &Options,
        build_platform: &Platform,
        targets: &[Platform],
    ) -> Result<Self, DockerfileError> {
        let named_contexts: BTreeSet<String> = options
            .with_prefix("context:")
            .filter(|(name, _)| *name != OWN_CONTEXT)
            .map(|(name, _)| name.to_owned())
            .collect();
        let mut platforms = Vec::new();
        for platform in targets {
            let inputs = BuildInputs {
                build_args: options.build_args(),
                target: options.value("target").filter(|target| !target.is_empty()).map(str::to_owned),
                build_platform: build_platform.clone(),
                target_platform: platform.clone(),
                named_contexts: named_contexts.clone(),
                base_triggers: BTreeMap::new(),
            };
            let uses = file.image_uses(&inputs)?;
            platforms.push(PlatformUses { platform: platform.clone(), inputs, uses });
        }
        Ok(Self { file, name: name.to_owned(), platforms })
    }

    /// The file.
    #[must_use]
    pub(super) fn file(&self) -> &Dockerfile {
        &self.file
    }

    /// The readings.
    #[must_use]
    pub(super) fn platforms(&self) -> &[PlatformUses] {
        &self.platforms
    }

    /// Reads the file again, now that a platform's base images are known to bring triggers.
    pub(super) fn set_triggers(
        &mut self,
        index: usize,
        triggers: BTreeMap<usize, Vec<String>>,
    ) -> Result<(), DockerfileError> {
        if let Some(platform) = self.platforms.get_mut(index) {
            platform.inputs.base_triggers = triggers;
            platform.uses = self.file.image_uses(&platform.inputs)?;
        }
        Ok(())
    }

    /// Lists every image that the file names and the build needs.
    pub(super) fn list(&self, ledger: &mut Ledger<'_>) {
        for image_use in self.needed() {
            match &image_use.reference {
                Ok(reference) => ledger.request(Request {
                    role: role(image_use.kind),
                    origin: Origin::Dockerfile { file: self.name.clone(), span: image_use.span.clone() },
                    reference: reference.clone(),
                }),
                Err(error) => {
                    let refusal = Refusal::invalid_reference(&image_use.written, error);
                    ledger.object(refusal, Some(image_use.span.clone()));
                }
            }
        }
    }

    /// Writes the pins down. `named_contexts` is whether the builder knows them.
    pub(super) fn pin(&self, ledger: &Ledger<'_>, named_contexts: bool) -> Result<Pinned, FrontendError> {
        let mut meanings: BTreeMap<(usize, usize), BTreeSet<Meaning>> = BTreeMap::new();
        for image_use in self.platforms.iter().flat_map(|platform| &platform.uses) {
            let meaning = match (&image_use.target, &image_use.reference) {
                // what no platform needs may stand as it is
                _ if !image_use.reachable => continue,
                (UseTarget::Image, Ok(reference)) => Meaning::Image(reference.clone()),
                (UseTarget::Image, Err(_)) => continue,
                (UseTarget::Stage(_) | UseTarget::Scratch | UseTarget::NamedContext(_), _) => Meaning::Other,
            };
            meanings.entry((image_use.span.start, image_use.span.end)).or_default().insert(meaning);
        }
        let mut pinned = Pinned::default();
        let mut literals: BTreeMap<(usize, usize), Reference> = BTreeMap::new();
        for (span, meanings) in meanings {
            let alone = meanings.len() == 1;
            for meaning in meanings {
                let Meaning::Image(reference) = meaning else { continue };
                let Some(Entry::Pinned(to)) = ledger.entry(&reference) else { continue };
                if alone {
                    literals.insert(span, to.clone());
                } else if named_contexts {
                    pinned.contexts.extend(context_pin(&reference, to));
                } else {
                    return Err(FrontendError::Unsupported(format!(
                        "`{}` is another image on another platform, which this builder cannot be told \
                         (BuildKit 0.10 or later can); build one platform at a time",
                        reference.familiar()
                    )));
                }
            }
        }
        pinned.source = self.with_literals(&literals).map_err(|error| self.unreadable(&error))?;
        Ok(pinned)
    }

    /// An error of the file, with its place.
    #[must_use]
    pub(super) fn unreadable(&self, error: &DockerfileError) -> FrontendError {
        super::report::unreadable(&self.name, self.file.source(), error)
    }

    fn with_literals(
        &self,
        literals: &BTreeMap<(usize, usize), Reference>,
    ) -> Result<Vec<u8>, DockerfileError> {
        let mut edits = Vec::new();
        let mut done: BTreeSet<(usize, usize)> = BTreeSet::new();
        for platform in &self.platforms {
            let mut indices = Vec::new();
            for (index, image_use) in platform.uses.iter().enumerate() {
                let span = (image_use.span.start, image_use.span.end);
                let wanted = image_use.reachable && image_use.target == UseTarget::Image;
                if let (true, Some(reference)) = (wanted, literals.get(&span))
                    && done.insert(span)
                {
                    indices.push((index, reference.clone()));
                }
            }
            edits.extend(literal_edits(&self.file, &platform.uses, &indices)?);
        }
        rewrite(self.file.source(), &edits)
    }

    fn needed(&self) -> impl Iterator<Item = &ImageUse> {
        self.platforms
            .iter()
            .flat_map(|platform| &platform.uses)
            .filter(|image_use| image_use.reachable && image_use.target == UseTarget::Image)
    }
}

/// What a word means on a platform.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Meaning {
    Image(Reference),
    Other,
}

/// The option that pins every use of an image by its name; none where the name has a digest.
#[must_use]
pub(super) fn context_pin(reference: &Reference, pinned: &Reference) -> Option<(String, String)> {
    if reference.digest().is_some() {
        return None;
    }
    let name = reference.familiar();
    let name = name.strip_suffix(":latest").unwrap_or(&name);
    Some((format!("context:{name}"), format!("docker-image://{pinned}")))
}

/// The bytes of a span as a range of lines, for clients that show the place.
#[must_use]
pub(super) fn source_range(source: &[u8], span: &Span) -> crate::buildkit::SourceRange {
    let position = |offset| {
        let (line, column) = crate::dockerfile::line_and_column(source, offset);
        (line, column.saturating_sub(1))
    };
    crate::buildkit::SourceRange { start: position(span.start), end: position(span.end) }
}

fn role(kind: UseKind) -> UseRole {
    match kind {
        UseKind::From => UseRole::From,
        UseKind::CopyFrom => UseRole::CopyFrom,
        UseKind::MountFrom => UseRole::MountFrom,
        UseKind::OnbuildCopyFrom | UseKind::OnbuildMountFrom => UseRole::Onbuild,
    }
}
