//! `trustgate sign`: a tag's digest, from the registry or as given, signed.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::names;
use super::output::{Format, Output};
use super::publication::{Publication, read_partial};
use super::settings::Settings;
use super::signing::{
    PassphraseArguments, Passphrases, Telling, publish_failure, publisher, tell, warn_about_keys,
};
use super::transfer::{RegistryArguments, registry_failure};
use crate::image::{Digest, DigestAlgorithm, Reference, Tag};
use crate::registry::{Child, Registry};
use crate::trust::publish::{Init, Outcome, SignAs, SignOptions, WithoutTrust};
use crate::trust::{PlatformManifest, with_platforms};
use crate::tuf::{RoleName, Target};

/// What `sign` takes.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Tag to sign: NAME:TAG with the digest that the registry has, or NAME:TAG@DIGEST
    #[arg(value_name = "IMAGE")]
    image: String,

    /// Role to sign in: targets, or a delegation; give it again for more
    /// [default: targets, or, where that delegates, each delegation whose key is here]
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,

    /// File that collects signatures where one machine has not enough keys
    ///
    /// It is written where signatures are missing. Where it exists, IMAGE is the repository alone: the
    /// keys that are here sign what is in it, and it is published once enough have signed.
    #[arg(long, value_name = "FILE")]
    partial: Option<PathBuf>,

    #[command(flatten)]
    registry: RegistryArguments,

    #[command(flatten)]
    passphrases: PassphraseArguments,

    /// How to print the result
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    output: Format,
}

/// Signs, and says so.
pub(super) async fn run(
    arguments: &Arguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let image = names::image(&arguments.image)?;
    let mut passphrases = arguments.passphrases.passphrases(settings)?;
    if let Some(path) = arguments.partial.as_deref().filter(|it| it.exists()) {
        return add_signatures(arguments, path, &image, settings, &mut passphrases, output).await;
    }
    let Some(tag) = image.tag() else {
        let name = image.familiar_name();
        return Err(Failure::usage(format!(
            "`{}` names no tag, and signatures belong to tags",
            arguments.image
        ))
        .help(format!("name the tag to sign: {name}:TAG, or {name}:TAG@DIGEST")));
    };
    let options = SignOptions {
        roles: roles(&arguments.role)?,
        without_trust: WithoutTrust::Initialize(Init::docker()),
    };
    let registry = arguments.registry.registry(settings.http()?)?;
    let subject = Subject::read(&registry, &image).await?;
    let telling = Telling::of(arguments.output, settings);
    let outcome = sign(settings, &image, tag, &subject, &options, telling, &mut passphrases).await?;
    let publication = Publication::of(&outcome, arguments.partial.as_deref())?;
    let exit = publication.exit();
    match arguments.output {
        Format::Json => output.json(&Answer::of(&image, tag, &subject, publication))?,
        Format::Text => print(&image, tag, &outcome, &publication, output)?,
    }
    Ok(exit)
}

/// What a tag is signed with: a manifest or index, and what an index lists.
pub(super) struct Subject {
    pub(super) digest: Digest,
    pub(super) size: u64,
    platforms: Vec<Child>,
}

impl Subject {
    /// A manifest of one platform, whose digest and size the engine told that made it.
    pub(super) fn of_one_platform(digest: Digest, size: u64) -> Self {
        Self { digest, size, platforms: Vec::new() }
    }

    /// What the registry has, by digest where one is given, else by tag; hashed here.
    pub(super) async fn read(registry: &Registry, image: &Reference) -> Result<Self, Failure> {
        let content = registry.get(image).await.map_err(|error| registry_failure(&error))?;
        let platforms = registry.children(image, &content).await.map_err(|error| registry_failure(&error))?;
        let manifest = content.manifest;
        Ok(Self { digest: manifest.digest, size: manifest.size, platforms })
    }

    fn target(&self) -> Result<Target, Failure> {
        let unsignable = || {
            Failure::usage(format!("{} can't be signed: trust data holds sha256 digests only", self.digest))
        };
        if self.digest.algorithm() != DigestAlgorithm::Sha256 {
            return Err(unsignable());
        }
        let hash = hex::decode(self.digest.hex()).ok().and_then(|it| <[u8; 32]>::try_from(it).ok());
        let manifests: Vec<PlatformManifest> = self
            .platforms
            .iter()
            .map(|it| PlatformManifest {
                digest: it.digest.clone(),
                size: it.size,
                platform: it.platform.clone(),
            })
            .collect();
        Ok(Target {
            length: self.size,
            sha256: Some(hash.ok_or_else(unsignable)?),
            sha512: None,
            custom: (!manifests.is_empty()).then(|| with_platforms(None, &manifests)),
        })
    }
}

/// Signs one tag.
pub(super) async fn sign(
    settings: &Settings,
    image: &Reference,
    tag: &Tag,
    subject: &Subject,
    options: &SignOptions,
    telling: Telling,
    passphrases: &mut Passphrases,
) -> Result<Outcome, Failure> {
    let gun = image.gun();
    warn_about_keys(settings, telling);
    let publisher = publisher(settings, &gun, tell(telling))?;
    let targets = [(tag.to_string(), subject.target()?)];
    publisher.sign(&gun, &targets, options, passphrases).await.map_err(|error| publish_failure(&error))
}

/// Tells what came of it, in docker's words.
pub(super) fn print(
    image: &Reference,
    tag: &Tag,
    outcome: &Outcome,
    publication: &Publication,
    output: &mut Output,
) -> Result<(), Failure> {
    let name = format!("{}:{tag}", image.repository());
    match outcome {
        Outcome::Published(_) => output.data(format!("Successfully signed {name}\n").as_bytes()),
        Outcome::Unchanged => output.data(format!("{name} is signed already\n").as_bytes()),
        Outcome::Incomplete(_) => publication.tell_missing(&image.gun(), output),
    }
}

/// Has the keys that are here sign what others began.
async fn add_signatures(
    arguments: &Arguments,
    path: &std::path::Path,
    image: &Reference,
    settings: &Settings,
    passphrases: &mut Passphrases,
    output: &mut Output,
) -> Result<Exit, Failure> {
    if image.tag().is_some() || image.digest().is_some() || !arguments.role.is_empty() {
        return Err(Failure::usage(format!(
            "`{}` is there already, and says what is signed",
            path.display()
        ))
        .help(format!(
            "to add signatures to it: trustgate sign --partial {} {}",
            path.display(),
            image.familiar_name()
        ))
        .help("to begin anew, remove it"));
    }
    let gun = image.gun();
    let publisher = publisher(settings, &gun, tell(Telling::of(arguments.output, settings)))?;
    let texts = [read_partial(path)?];
    let outcome = publisher
        .publish_partial(&gun, &texts, passphrases)
        .await
        .map_err(|error| publish_failure(&error))?;
    let publication = Publication::of(&outcome, Some(path))?;
    let exit = publication.exit();
    match (arguments.output, &outcome) {
        (Format::Json, _) => output.json(&publication)?,
        (Format::Text, Outcome::Incomplete(_)) => publication.tell_missing(&gun, output)?,
        (Format::Text, Outcome::Unchanged) => output.data(format!("{gun} is signed already\n").as_bytes())?,
        (Format::Text, Outcome::Published(_)) => {
            output.data(format!("Successfully signed {gun}\n").as_bytes())?;
        }
    }
    Ok(exit)
}

/// `--role`, given any number of times.
pub(super) fn roles(names: &[String]) -> Result<SignAs, Failure> {
    if names.is_empty() {
        return Ok(SignAs::Automatic);
    }
    let role = |name: &String| {
        let role: Result<RoleName, _> = name.parse();
        role.ok().filter(|it| *it == RoleName::TARGETS || it.is_delegation()).ok_or_else(|| {
            Failure::usage(format!("`{name}` is no role that tags are signed in"))
                .help("write targets, or a delegation: targets/alice")
        })
    };
    names.iter().map(role).collect::<Result<_, _>>().map(SignAs::Roles)
}

/// `--output json`.
#[derive(Serialize)]
pub(super) struct Answer<'a> {
    /// The full name with its tag.
    image: String,
    digest: &'a Digest,
    size: u64,
    /// What an index lists, signed along with it.
    platforms: &'a [Child],
    #[serde(flatten)]
    publication: Publication,
}

impl<'a> Answer<'a> {
    pub(super) fn of(image: &Reference, tag: &Tag, subject: &'a Subject, publication: Publication) -> Self {
        Self {
            image: format!("{}:{tag}", image.repository()),
            digest: &subject.digest,
            size: subject.size,
            platforms: &subject.platforms,
            publication,
        }
    }
}

pub(super) const ABOUT: &str = "\
Sign a tag that is in the registry.

The digest comes from the manifest's bytes, which are fetched and hashed here, or is the one that is given, \
which the registry must have. A multi-platform index is signed as one, its platforms' digests along with it. A \
repository that has no trust data gets some, with keys that are made here: see docs/first-push.md.";

pub(super) const EXAMPLES: &str = "\
Examples:
  What the registry has under this tag now:
      trustgate sign acme/base:1.4
  Exactly this:
      trustgate sign acme/base:1.4@sha256:3f6c…
  As a signer, where two are needed:
      trustgate sign --role targets/alice --partial base.json acme/base:1.4
      trustgate sign --partial base.json acme/base

Exit codes: 0 signed, 1 refused, or more people must sign, 2 wrong usage, 3 the registry or trust server \
could not be asked";
