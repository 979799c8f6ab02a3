//! What becomes of a build with `--push`: pushed by digest, signed, then tagged, where the builder can;
//! else loaded into the engine, pushed, and signed.

use std::ffi::OsString;
use std::fs;
use std::io::Read as _;

use serde::Deserialize;

use super::{Arguments, Gated};
use crate::cli::docker_command;
use crate::cli::exit::{Exit, Failure};
use crate::cli::names;
use crate::cli::output::{Format, Output};
use crate::cli::push::{Pusher, sign_pushed};
use crate::cli::settings::Settings;
use crate::cli::sign::Subject;
use crate::cli::signing::Passphrases;
use crate::cli::transfer::{engine, progress};
use crate::docker::DockerCommand;
use crate::docker::arguments::{BuildArguments, BuildOutput};
use crate::image::{Digest, Reference, Tag};
use crate::policy::UnsignedPush;
use crate::registry::Registry;

/// What is pushed, and how it is signed.
pub(super) struct Publishing<'a> {
    arguments: &'a Arguments,
    settings: &'a Settings,
    tags: Vec<(Reference, Tag)>,
    stage: Option<Tag>,
    registry: Registry,
    /// `None` where content trust is disabled: then nothing is signed.
    passphrases: Option<Passphrases>,
}

impl<'a> Publishing<'a> {
    /// `None` where the build pushes nothing.
    pub(super) fn of(
        build: &BuildArguments,
        arguments: &'a Arguments,
        disabled: bool,
        settings: &'a Settings,
    ) -> Result<Option<Self>, Failure> {
        let by_output = build.outputs.iter().any(BuildOutput::pushes);
        if by_output && !disabled {
            return Err(Failure::usage("--output pushes what nobody has signed")
                .help("push and sign: trustgate build --push -t NAME:TAG"));
        }
        if (by_output || build.push) && disabled {
            let said = settings.policies()?.unsigned_push();
            if said.value == UnsignedPush::Refuse {
                let failure = Failure::refused("the result may not be pushed without a signature");
                let failure =
                    said.place.map_or(failure.clone(), |place| failure.note(format!("{place} forbids it")));
                return Err(failure.help("leave out what disables content trust"));
            }
        }
        if !build.push {
            return Ok(None);
        }
        let mut tags = Vec::with_capacity(build.tags.len());
        for text in &build.tags {
            let image = names::image(text)?;
            let Some(tag) = image.tag().cloned().filter(|_| image.digest().is_none()) else {
                return Err(Failure::usage(format!(
                    "`--tag {text}` names no tag, and signatures belong to tags"
                ))
                .help(format!("name it: --tag {}:TAG", image.familiar_name())));
            };
            tags.push((image, tag));
        }
        if tags.is_empty() {
            return Err(Failure::usage("--push needs a name for the result").help("name it: -t NAME:TAG"));
        }
        let stage = arguments.stage.as_ref().map(|text| text.parse::<Tag>()).transpose();
        let stage = stage.map_err(|error| Failure::usage(format!("--stage: {error}")))?;
        Ok(Some(Self {
            registry: arguments.registry.registry(settings.http()?)?,
            passphrases: if disabled { None } else { Some(arguments.passphrases.passphrases(settings)?) },
            arguments,
            settings,
            tags,
            stage,
        }))
    }

    /// Builds, pushes and signs.
    pub(super) async fn run(
        mut self,
        docker: &DockerCommand,
        build: &BuildArguments,
        gated: &Gated,
        output: &mut Output,
    ) -> Result<Exit, Failure> {
        if pushes_by_digest(docker, build).await {
            return self.run_by_digest(docker, build, gated, output).await;
        }
        let quiet = self.settings.is_quiet();
        let ended = docker_command::run(docker, "build", &gated.words(build, quiet, &[])?).await?;
        if ended != Exit::OfDocker(0) {
            return Ok(ended);
        }
        let engine = engine(self.settings).await?;
        for (image, tag) in self.tags.clone() {
            let pusher =
                Pusher::new(&engine, self.settings.http()?, &image, &self.arguments.registry).await?;
            let mut progress = progress(Format::Text, self.settings, output);
            let stage = self.stage.as_ref().filter(|_| self.passphrases.is_some());
            let (image, subject) = pusher.push_tag(&image, &tag, stage, &mut *progress).await?;
            let staged = stage.is_some();
            self.sign(&image, &tag, &subject, output).await?;
            if staged {
                pusher.move_tag(&image, &tag, &subject.digest).await?;
            }
        }
        Ok(Exit::Done)
    }

    /// No tag names the result before it is signed.
    async fn run_by_digest(
        &mut self,
        docker: &DockerCommand,
        build: &BuildArguments,
        gated: &Gated,
        output: &mut Output,
    ) -> Result<Exit, Failure> {
        let folder = tempfile::tempdir()
            .map_err(|error| Failure::unknown(format!("can't make a temporary folder: {error}")))?;
        let metadata = match &build.metadata_file {
            Some(path) => path.into(),
            None => folder.path().join("metadata.json"),
        };
        let mut names: Vec<String> = self.tags.iter().map(|(image, _)| image.repository()).collect();
        names.sort();
        names.dedup();
        let mut more = vec![OsString::from(format!(
            "--output=type=image,\"name={}\",push=true,push-by-digest=true,name-canonical=true",
            names.join(",")
        ))];
        if build.metadata_file.is_none() {
            let mut word = OsString::from("--metadata-file=");
            word.push(&metadata);
            more.push(word);
        }
        let gated_words = gated.words(build, self.settings.is_quiet(), &more)?;
        let gated_words: Vec<OsString> =
            gated_words.into_iter().filter(|word| !word.to_string_lossy().starts_with("--tag=")).collect();
        let ended = docker_command::run(docker, "build", &gated_words).await?;
        if ended != Exit::OfDocker(0) {
            return Ok(ended);
        }
        let digest = read_digest(&metadata)?;
        for (image, tag) in self.tags.clone() {
            let subject =
                Subject::read(&self.registry, &image.without_tag().with_digest(digest.clone())).await?;
            self.sign(&image, &tag, &subject, output).await?;
            let moved = self.registry.tag(&image, &digest, &tag).await;
            moved.map_err(|error| {
                let name = image.familiar_name();
                crate::cli::transfer::registry_failure(&error)
                    .note(format!(
                        "{digest} is pushed, and signed as {name}:{tag}; the registry's tag did not move"
                    ))
                    .help("run the same command again")
            })?;
            output.result_line(&format!("{tag}: digest: {digest} size: {}", subject.size))?;
        }
        Ok(Exit::Done)
    }

    async fn sign(
        &mut self,
        image: &Reference,
        tag: &Tag,
        subject: &Subject,
        output: &mut Output,
    ) -> Result<(), Failure> {
        let Some(passphrases) = &mut self.passphrases else { return Ok(()) };
        sign_pushed(image, tag, subject, Format::Text, self.settings, passphrases, output).await.map(drop)
    }
}

/// Whether the builder is one that pushes by itself: any but the one inside docker's engine.
async fn pushes_by_digest(docker: &DockerCommand, build: &BuildArguments) -> bool {
    let builder: Vec<OsString> = build.builder.iter().map(OsString::from).collect();
    // Without buildx there is no other builder than the engine's.
    let Ok(text) = docker.output(&docker_command::line("buildx inspect", &builder)).await else {
        return false;
    };
    let driver = text.lines().find_map(|line| line.strip_prefix("Driver:")).map(str::trim);
    driver.is_some_and(|driver| driver != "docker")
}

/// The digest that the builder says it pushed.
fn read_digest(path: &std::path::Path) -> Result<Digest, Failure> {
    #[derive(Deserialize)]
    struct Metadata {
        #[serde(rename = "containerimage.digest")]
        digest: String,
    }
    let unusable = |reason: String| {
        Failure::unknown(format!("the builder did not say what it pushed: `{}`: {reason}", path.display()))
            .help("sign it when you know: trustgate sign NAME:TAG@DIGEST")
    };
    let mut text = Vec::new();
    let file = fs::File::open(path).map_err(|error| unusable(error.to_string()))?;
    file.take(METADATA_LIMIT).read_to_end(&mut text).map_err(|error| unusable(error.to_string()))?;
    let metadata: Metadata = serde_json::from_slice(&text).map_err(|error| unusable(error.to_string()))?;
    metadata.digest.parse().map_err(|error: crate::image::DigestError| unusable(error.to_string()))
}

/// Provenance is in there, too: bigger than that of any build.
const METADATA_LIMIT: u64 = 64 << 20;
