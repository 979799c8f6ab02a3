//! Every image that a build names, in its Dockerfile and in its options; and the options again, with
//! what the gate let in.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::recipe::Recipe;
use crate::cli::exit::Failure;
use crate::cli::settings::Settings;
use crate::docker::arguments::BuildArguments;
use crate::dockerfile::{Edit, UseKind};
use crate::gate::{
    CacheKind, Content, ContentDecision, ContextKind, Decided, Gate, Origin, Refusal, Report, Request,
    UseRole,
};
use crate::image::{Reference, ReferenceError};

/// The images of a build.
#[derive(Default)]
pub(super) struct Images {
    requests: Vec<Request>,
    refusals: Vec<Refusal>,
    /// Options that are written again, by their place among the flags.
    rewrites: BTreeMap<usize, Rewrite>,
    /// Which request is which use of the Dockerfile.
    uses: Vec<(usize, usize)>,
    syntax: Syntax,
    /// The request of the frontend that checks the build inside the builder.
    frontend: Option<(usize, String)>,
}

/// An option's value: what stands before the image, which request that is, what stands behind it.
struct Rewrite {
    before: String,
    request: usize,
    after: String,
    value: Option<String>,
}

/// What becomes of the Dockerfile's `# syntax=` line.
#[derive(Default)]
enum Syntax {
    /// It stays.
    #[default]
    Kept,
    /// It names this request.
    Asked(usize),
    /// It goes: the policy wants the engine's own frontend.
    Removed,
}

impl Images {
    /// The images that options name. With a frontend that checks the build, only that one is named here.
    pub(super) fn of_options(
        build: &BuildArguments,
        has_frontend: bool,
        gate: &Gate,
        settings: &Settings,
    ) -> Self {
        let mut images = Self::default();
        if has_frontend || gate.disabled().is_some() {
            return images;
        }
        for (place, flag) in build.flags.iter().enumerate() {
            let value = flag.value.to_string_lossy();
            match flag.name.as_str() {
                "build-arg" => {
                    // Without a value docker takes that of the variable, if there is one.
                    let image = match value.strip_prefix("BUILDKIT_SYNTAX=") {
                        Some(image) => Some(image.to_owned()),
                        None if value == "BUILDKIT_SYNTAX" => settings.variable("BUILDKIT_SYNTAX"),
                        None => None,
                    };
                    if let Some(image) = image {
                        images.syntax_argument(place, &image, gate);
                    }
                }
                "build-context" => images.named_context(place, &value, gate),
                "cache-from" => images.cache(place, &value, gate),
                "sbom" => images.generator(place, "", &value, gate),
                "attest" if value.split(',').any(|it| it == "type=sbom") => {
                    images.generator(place, "type=sbom,", &value, gate);
                }
                _ => {}
            }
        }
        images
    }

    /// The frontend that checks the build.
    pub(super) fn add_frontend(&mut self, image: &str, gate: &Gate) -> Result<(), Failure> {
        let reference: Reference = image.parse().map_err(|error: ReferenceError| {
            Failure::usage(format!("the frontend `{image}` is no image reference")).note(error.to_string())
        })?;
        if reference.digest().is_none() && gate.disabled().is_none() {
            return Err(Failure::usage(format!("the frontend `{image}` is named by a tag, which can move"))
                .help(format!("name its digest: {}@sha256:…", reference.familiar_name())));
        }
        let index = self.ask(UseRole::Syntax, "frontend", image, reference);
        self.frontend = Some((index, image.to_owned()));
        Ok(())
    }

    /// The images that the Dockerfile names.
    pub(super) fn add_recipe(&mut self, recipe: &Recipe, gate: &Gate) {
        let origin = |span: &crate::dockerfile::Span| Origin::Dockerfile {
            file: recipe.name().to_owned(),
            span: span.clone(),
        };
        let replaced = self.requests.iter().any(|it| it.role == UseRole::Syntax);
        if let Some(directive) = recipe.syntax().filter(|_| !replaced) {
            match directive.image.parse::<Reference>() {
                Err(error) => self.refusals.push(Refusal::invalid_reference(&directive.image, &error)),
                Ok(reference) => match gate.admit_content(Content::Syntax { reference: &reference }) {
                    ContentDecision::Admitted { .. } => {}
                    ContentDecision::Builtin { .. } => self.syntax = Syntax::Removed,
                    ContentDecision::Refused(refusal) => self.refusals.push(refusal),
                    ContentDecision::Verify => {
                        self.syntax = Syntax::Asked(self.requests.len());
                        let origin = origin(&directive.span);
                        self.requests.push(Request { role: UseRole::Syntax, origin, reference });
                    }
                },
            }
        }
        for (index, image_use) in recipe.images() {
            match &image_use.reference {
                Err(error) => self.refusals.push(Refusal::invalid_reference(&image_use.written, error)),
                Ok(reference) => {
                    self.uses.push((index, self.requests.len()));
                    self.requests.push(Request {
                        role: role(image_use.kind),
                        origin: origin(&image_use.span),
                        reference: reference.clone(),
                    });
                }
            }
        }
    }

    /// What the gate is to be asked.
    pub(super) fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// What is refused without a look-up.
    pub(super) fn refusals(&self) -> &[Refusal] {
        &self.refusals
    }

    /// Takes the gate's answers over; returns the frontend that checks the build, as it was let in.
    pub(super) fn settle(&mut self, report: &Report) -> Option<String> {
        let pinned = |request: usize| report.decided.get(request).and_then(Decided::pinned_reference);
        for rewrite in self.rewrites.values_mut() {
            let reference = pinned(rewrite.request);
            rewrite.value = reference.map(|it| format!("{}{it}{}", rewrite.before, rewrite.after));
        }
        self.frontend.as_ref().map(|(request, written)| {
            pinned(*request).map_or_else(|| written.clone(), |reference| reference.to_string())
        })
    }

    /// The uses of the Dockerfile that get a digest.
    pub(super) fn pins(&self, report: &Report) -> Vec<(usize, Reference)> {
        let pin = |(index, request): &(usize, usize)| {
            let decided = report.decided.get(*request)?;
            Some((*index, decided.pinned_reference()?))
        };
        self.uses.iter().filter_map(pin).collect()
    }

    /// The change of the `# syntax=` line.
    pub(super) fn syntax_edit(&self, recipe: &Recipe, report: &Report) -> Result<Option<Edit>, Failure> {
        let Some(directive) = recipe.syntax() else { return Ok(None) };
        match self.syntax {
            Syntax::Kept => Ok(None),
            Syntax::Asked(request) => {
                let reference = report.decided.get(request).and_then(Decided::pinned_reference);
                Ok(reference.map(|it| Edit { span: directive.span.clone(), text: it.to_string() }))
            }
            Syntax::Removed => {
                let source = recipe.source();
                let before = source.get(..directive.span.start).unwrap_or_default();
                let start = before.iter().rposition(|it| *it == b'\n').map_or(0, |it| it.saturating_add(1));
                let after = source.get(directive.span.end..).unwrap_or_default();
                let length =
                    after.iter().position(|it| *it == b'\n').map_or(after.len(), |it| it.saturating_add(1));
                let line = source.get(start..directive.span.start).unwrap_or_default();
                let text = String::from_utf8_lossy(line);
                if !text.trim_start_matches('\u{feff}').trim_start().starts_with('#') {
                    return Err(Failure::refused(
                        "the frontend is not named in a `# syntax=` line, and can't be left out",
                    )
                    .help("remove it, or have the builder check the build: --frontend IMAGE"));
                }
                // The directives behind it would be none any more below an empty line or a comment.
                Ok(Some(Edit { span: start..directive.span.end.saturating_add(length), text: String::new() }))
            }
        }
    }

    /// Docker's options as words, without those that say where the Dockerfile is, or that push.
    pub(super) fn words(&self, build: &BuildArguments) -> Vec<OsString> {
        let kept = build.flags.iter().enumerate().filter(|(_, flag)| !OURS.contains(&flag.name.as_str()));
        kept.map(|(place, flag)| {
            let mut word = OsString::from(format!("--{}=", flag.name));
            match self.rewrites.get(&place).and_then(|it| it.value.as_ref()) {
                Some(value) => word.push(value),
                None => word.push(&flag.value),
            }
            word
        })
        .collect()
    }

    fn ask(&mut self, role: UseRole, name: &str, value: &str, reference: Reference) -> usize {
        let origin = Origin::Option { name: name.to_owned(), value: value.to_owned() };
        self.requests.push(Request { role, origin, reference });
        self.requests.len().saturating_sub(1)
    }

    fn rewrite(&mut self, place: usize, before: &str, request: usize, after: &str) {
        let (before, after) = (before.to_owned(), after.to_owned());
        self.rewrites.insert(place, Rewrite { before, request, after, value: None });
    }

    fn parse(&mut self, text: &str, option: &str) -> Option<Reference> {
        match text.parse() {
            Ok(reference) => Some(reference),
            Err(error) => {
                let refusal = Refusal::invalid_reference(text, &error);
                self.refusals.push(refusal.note(&format!("option: {option}")));
                None
            }
        }
    }

    fn syntax_argument(&mut self, place: usize, image: &str, gate: &Gate) {
        let Some(reference) = self.parse(image, "--build-arg BUILDKIT_SYNTAX") else { return };
        match gate.admit_content(Content::Syntax { reference: &reference }) {
            ContentDecision::Admitted { .. } => {}
            ContentDecision::Refused(refusal) => self.refusals.push(refusal),
            // An argument can't name the engine's own frontend, so the one that it names is checked.
            ContentDecision::Verify | ContentDecision::Builtin { .. } => {
                let request = self.ask(UseRole::Syntax, "build-arg:BUILDKIT_SYNTAX", image, reference);
                self.rewrite(place, "BUILDKIT_SYNTAX=", request, "");
            }
        }
    }

    fn named_context(&mut self, place: usize, value: &str, gate: &Gate) {
        let Some((name, context)) = value.split_once('=') else { return };
        let kind = match context.split_once("://") {
            Some(("docker-image", _)) => ContextKind::DockerImage,
            Some(("oci-layout", _)) => ContextKind::OciLayout,
            Some(("http" | "https", rest)) if !is_git(rest) => ContextKind::Http,
            Some(("http" | "https" | "git" | "ssh", _)) => ContextKind::Git,
            Some(("target", _)) => ContextKind::Input,
            _ if context.starts_with("git@") || context.starts_with("github.com/") => ContextKind::Git,
            _ => ContextKind::Local,
        };
        match gate.admit_content(Content::Context { name, kind, value: context }) {
            ContentDecision::Admitted { .. } => {}
            ContentDecision::Refused(refusal) => self.refusals.push(refusal),
            ContentDecision::Verify | ContentDecision::Builtin { .. } => {
                let Some(image) = context.strip_prefix("docker-image://").filter(|it| *it != "scratch")
                else {
                    return;
                };
                let Some(reference) = self.parse(image, "--build-context") else { return };
                let request =
                    self.ask(UseRole::NamedContext, &format!("build-context {name}"), context, reference);
                self.rewrite(place, &format!("{name}=docker-image://"), request, "");
            }
        }
    }

    fn cache(&mut self, place: usize, value: &str, gate: &Gate) {
        let fields: Vec<&str> = value.split(',').collect();
        let field = |name: &str| fields.iter().find_map(|it| it.strip_prefix(name));
        let (kind, image, before, after) = match (fields.as_slice(), field("type=")) {
            ([image], None) => (CacheKind::Registry, Some(*image), String::new(), String::new()),
            (_, kind) => {
                let others: Vec<&str> = fields.iter().filter(|it| !it.starts_with("ref=")).copied().collect();
                let before = format!("{},ref=", others.join(","));
                (CacheKind::named(kind.unwrap_or_default()), field("ref="), before, String::new())
            }
        };
        let in_registry = matches!(kind, CacheKind::Registry | CacheKind::Inline);
        let reference = match image.filter(|_| in_registry) {
            Some(image) => match self.parse(image, "--cache-from") {
                Some(reference) => Some(reference),
                None => return,
            },
            None => None,
        };
        match (gate.admit_content(Content::Cache { kind, reference: reference.as_ref(), value }), reference) {
            (ContentDecision::Admitted { .. }, _) => {}
            (ContentDecision::Refused(refusal), _) => self.refusals.push(refusal),
            (ContentDecision::Verify | ContentDecision::Builtin { .. }, Some(reference)) => {
                let request = self.ask(UseRole::CacheImport, "cache-from", value, reference);
                self.rewrite(place, &before, request, &after);
            }
            (ContentDecision::Verify | ContentDecision::Builtin { .. }, None) => {
                self.refusals.push(
                    Refusal::new(
                        crate::gate::RefusalCode::ContentNotAllowed,
                        &format!("cache `{value}` cannot be verified"),
                        "it is no image, so nobody can have signed it",
                    )
                    .help("leave the cache out"),
                );
            }
        }
    }

    /// The image that makes an SBOM: the one that is named, or the builder's default.
    fn generator(&mut self, place: usize, kind: &str, value: &str, gate: &Gate) {
        if matches!(value, "false" | "0") || value.split(',').any(|it| it == "disabled=true") {
            return;
        }
        let named = value.split(',').find_map(|it| it.strip_prefix("generator="));
        let image = named.unwrap_or(DEFAULT_GENERATOR);
        let Some(reference) = self.parse(image, "--sbom") else { return };
        match gate.admit_content(Content::SbomGenerator { reference: &reference }) {
            ContentDecision::Admitted { .. } => {}
            ContentDecision::Refused(refusal) => self.refusals.push(refusal),
            ContentDecision::Verify | ContentDecision::Builtin { .. } => {
                let own = |it: &&str| {
                    !it.starts_with("generator=") && !it.starts_with("type=") && !matches!(*it, "true" | "1")
                };
                let others: Vec<&str> = value.split(',').filter(own).collect();
                let after = std::iter::once("").chain(others.iter().copied()).collect::<Vec<_>>().join(",");
                let request = self.ask(UseRole::SbomGenerator, "sbom", value, reference);
                self.rewrite(place, &format!("{kind}generator="), request, &after);
            }
        }
    }
}

fn role(kind: UseKind) -> UseRole {
    match kind {
        UseKind::From => UseRole::From,
        UseKind::CopyFrom => UseRole::CopyFrom,
        UseKind::MountFrom => UseRole::MountFrom,
        UseKind::OnbuildCopyFrom | UseKind::OnbuildMountFrom => UseRole::Onbuild,
    }
}

fn is_git(address: &str) -> bool {
    let address = address.split(['#', '?']).next().unwrap_or_default();
    address.strip_suffix(".git").is_some()
}

/// Options that this command answers for itself.
const OURS: &[&str] = &["disable-content-trust", "file", "push"];
/// What `BuildKit` runs where an SBOM is wanted and no generator is named.
const DEFAULT_GENERATOR: &str = "docker/buildkit-syft-scanner:stable-1";
