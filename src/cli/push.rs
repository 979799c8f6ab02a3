//! `trustgate push`: the engine pushes a tag, and it is signed.
//!
//! An engine learns the digest of an image by pushing it, so a tag that it moves is signed after that. With
//! `--stage` another tag is pushed, and the one that was meant moves when its digest is signed.

use clap::Args;
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::names;
use super::output::{Format, Output};
use super::publication::Publication;
use super::settings::Settings;
use super::sign::{self, Subject};
use super::signing::{PassphraseArguments, Passphrases, Telling};
use super::transfer::{
    RegistryArguments, authorization, engine, engine_failure, platform, progress, registry_failure,
};
use crate::docker::{Engine, Progress, Pushed, Transfer};
use crate::gate::TrustSwitch;
use crate::http::{HttpClient, Secret};
use crate::image::{Digest, Platform, Reference, Tag};
use crate::policy::UnsignedPush;
use crate::registry::Registry;
use crate::trust::publish::{Outcome, SignOptions};

/// What `push` takes.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Image to push: NAME:TAG is signed, too; NAME pushes the tag latest, and signs nothing
    #[arg(value_name = "IMAGE")]
    image: String,

    /// Push all tags of the repository that the engine has; none is signed
    #[arg(long, short, conflicts_with = "stage")]
    all_tags: bool,

    /// Push this platform of a multi-platform image only
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,

    /// Push under this tag first, sign, and move the tag that is meant last
    ///
    /// Nobody then sees the tag name what is not signed yet. This tag stays in the registry.
    #[arg(long, value_name = "TAG")]
    stage: Option<String>,

    #[command(flatten)]
    registry: RegistryArguments,

    #[command(flatten)]
    passphrases: PassphraseArguments,

    /// How to print the result
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    output: Format,
}

/// Pushes, and signs what has a tag.
pub(super) async fn run(
    arguments: &Arguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let request = Request::of(arguments)?;
    let unsigned = unsigned(&request, settings)?;
    if unsigned.is_some() && arguments.stage.is_some() {
        return Err(Failure::usage("--stage is for pushes that sign: name a tag, with content trust on"));
    }
    let passphrases = match unsigned {
        None => Some(arguments.passphrases.passphrases(settings)?),
        Some(_) => None,
    };
    let engine = engine(settings).await?;
    let http = settings.http()?;
    let pusher = Pusher {
        engine: &engine,
        authorization: authorization(&http, &request.image).await?,
        registry: arguments.registry.registry(http)?,
        platform: platform(arguments.platform.as_deref())?,
    };
    let mut progress = progress(arguments.output, settings, output);
    match (unsigned, passphrases) {
        (None, Some(mut passphrases)) => {
            let (tag, stage) = (request.tag.clone(), request.stage.as_ref());
            let (image, subject) = pusher.push_tag(&request.image, &tag, stage, &mut *progress).await?;
            let signed =
                sign_pushed(&image, &tag, &subject, arguments.output, settings, &mut passphrases, output);
            let publication = signed.await?;
            if stage.is_some() {
                pusher.move_tag(&image, &tag, &subject.digest).await?;
            }
            let exit = publication.exit();
            if arguments.output == Format::Json {
                output.json(&sign::Answer::of(&image, &tag, &subject, publication))?;
            } else if settings.is_quiet() {
                output.data(format!("{image}\n").as_bytes())?;
            }
            Ok(exit)
        }
        (why, _) => {
            let tags = pusher.push_unsigned(&request, &mut *progress, arguments.output, output).await?;
            tell_unsigned(&request, why, &tags, arguments.output, settings, output)?;
            Ok(Exit::Done)
        }
    }
}

/// What is to be pushed.
struct Request {
    image: Reference,
    /// `latest` where none was named.
    tag: Tag,
    names_tag: bool,
    all_tags: bool,
    stage: Option<Tag>,
}

impl Request {
    fn of(arguments: &Arguments) -> Result<Self, Failure> {
        let image = names::image(&arguments.image)?;
        if image.digest().is_some() {
            return Err(Failure::usage("a digest can't be pushed: a push gives an image a tag")
                .help(format!("name the tag: trustgate push {}:TAG", image.familiar_name())));
        }
        let names_tag = image.tag().is_some();
        if names_tag && arguments.all_tags {
            return Err(Failure::usage("a tag can't be used with --all-tags")
                .help(format!("name the repository alone: {}", image.familiar_name())));
        }
        let stage = arguments.stage.as_ref().map(|text| text.parse::<Tag>());
        let stage = stage.transpose().map_err(|error| {
            Failure::usage(format!("--stage: {error}")).help("name a tag, for example --stage incoming")
        })?;
        let tag = image.tag_or_latest();
        if stage.as_ref() == Some(&tag) {
            return Err(Failure::usage("--stage names the tag that is pushed anyway")
                .help("name another tag, which is pushed first and stays"));
        }
        Ok(Self { image, tag, names_tag, all_tags: arguments.all_tags, stage })
    }
}

/// Why a push signs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unsigned {
    NoTag,
    Disabled,
}

/// Whether this push signs nothing, if the policy lets it.
fn unsigned(request: &Request, settings: &Settings) -> Result<Option<Unsigned>, Failure> {
    let policies = settings.policies()?;
    let why = match settings.switch() {
        TrustSwitch::Disabled(by) => {
            policies.disable_allowed(by).map_err(|error| {
                Failure::refused("content trust can't be disabled here")
                    .note(error.to_string())
                    .help("leave it out, and what is pushed is signed")
            })?;
            Unsigned::Disabled
        }
        TrustSwitch::Enabled if !request.names_tag => Unsigned::NoTag,
        TrustSwitch::Enabled => return Ok(None),
    };
    let said = policies.unsigned_push();
    if said.value == UnsignedPush::Allow {
        return Ok(Some(why));
    }
    let name = request.image.familiar_name();
    let (reason, help) = match why {
        Unsigned::NoTag => (
            "it names no tag, and signatures belong to tags",
            format!("name the tag: trustgate push {name}:TAG"),
        ),
        Unsigned::Disabled => ("content trust is disabled", "leave that out, and it is signed".to_owned()),
    };
    let failure = Failure::refused(format!("{name} may not be pushed without a signature")).note(reason);
    let failure = match said.place {
        Some(place) => failure.note(format!("{place} forbids it")),
        None => failure,
    };
    Err(failure.help(help))
}

/// An engine that pushes to one registry.
pub(super) struct Pusher<'a> {
    pub(super) engine: &'a Engine,
    pub(super) authorization: Secret,
    pub(super) registry: Registry,
    pub(super) platform: Option<Platform>,
}

impl<'a> Pusher<'a> {
    /// For commands that push to this image's registry.
    pub(super) async fn new(
        engine: &'a Engine,
        http: HttpClient,
        image: &Reference,
        registry: &RegistryArguments,
    ) -> Result<Self, Failure> {
        let authorization = authorization(&http, image).await?;
        Ok(Self { engine, authorization, registry: registry.registry(http)?, platform: None })
    }

    /// Pushes one tag, under the name of another if one is given, and says what it is.
    pub(super) async fn push_tag(
        &self,
        image: &Reference,
        tag: &Tag,
        stage: Option<&Tag>,
        progress: &mut dyn Progress,
    ) -> Result<(Reference, Subject), Failure> {
        let image = image.with_tag(tag.clone());
        let pushed_as = match stage {
            None => image.clone(),
            Some(stage) => {
                let staged = image.with_tag(stage.clone());
                let tagged = self.engine.tag(&image.familiar(), &staged).await;
                tagged.map_err(|error| engine_failure(&error))?;
                staged
            }
        };
        let pushed = self.push(&pushed_as, progress).await?;
        let subject = match pushed.content {
            Some(content) => Subject::of_one_platform(content.digest, content.size),
            None => Subject::read(&self.registry, &self.pushed_reference(&pushed_as).await?).await?,
        };
        Ok((image, subject))
    }

    async fn push(&self, image: &Reference, progress: &mut dyn Progress) -> Result<Pushed, Failure> {
        let transfer = Transfer { authorization: &self.authorization, platform: self.platform.as_ref() };
        self.engine.push(image, transfer, progress).await.map_err(|error| engine_failure(&error))
    }

    /// What was pushed, for an engine that does not say it: by the digest that it keeps for the repository
    /// since, which nobody else can move; by tag only where it keeps several.
    async fn pushed_reference(&self, image: &Reference) -> Result<Reference, Failure> {
        let found = self.engine.inspect(&image.familiar()).await.map_err(|error| engine_failure(&error))?;
        let gun = image.gun();
        let digests: Vec<Digest> = found
            .iter()
            .flat_map(|it| &it.digests)
            .filter(|it| it.gun() == gun)
            .filter_map(|it| it.digest().cloned())
            .collect();
        Ok(match digests.as_slice() {
            [digest] => image.with_digest(digest.clone()),
            _ => image.clone(),
        })
    }

    /// Has the registry's tag name what is signed.
    pub(super) async fn move_tag(
        &self,
        image: &Reference,
        tag: &Tag,
        digest: &Digest,
    ) -> Result<(), Failure> {
        let moved = self.registry.tag(image, digest, tag).await;
        moved.map(drop).map_err(|error| {
            let name = image.familiar_name();
            registry_failure(&error)
                .note(format!(
                    "{digest} is pushed, and signed as {name}:{tag}; the registry's tag did not move"
                ))
                .help("run the same command again")
        })
    }

    async fn push_unsigned(
        &self,
        request: &Request,
        progress: &mut dyn Progress,
        format: Format,
        output: &mut Output,
    ) -> Result<Vec<Pushed>, Failure> {
        if !request.all_tags {
            if !request.names_tag && format == Format::Text {
                output.result_line("Using default tag: latest")?;
            }
            return Ok(vec![self.push(&request.image.with_tag(request.tag.clone()), progress).await?]);
        }
        let tags = self.engine.tags(&request.image).await.map_err(|error| engine_failure(&error))?;
        if tags.is_empty() {
            return Err(Failure::refused(format!(
                "the engine has no tag of {}",
                request.image.familiar_name()
            )));
        }
        let mut pushed = Vec::with_capacity(tags.len());
        for tag in tags {
            pushed.push(self.push(&tag.reference, progress).await?);
        }
        Ok(pushed)
    }
}

/// Signs what was pushed. If that fails, says what is in the registry, and how to finish.
pub(super) async fn sign_pushed(
    image: &Reference,
    tag: &Tag,
    subject: &Subject,
    format: Format,
    settings: &Settings,
    passphrases: &mut Passphrases,
    output: &mut Output,
) -> Result<Publication, Failure> {
    if format == Format::Text {
        output.result_line("Signing and pushing trust metadata")?;
    }
    let telling = Telling::of(format, settings);
    let options = SignOptions::docker();
    let signed = sign::sign(settings, image, tag, subject, &options, telling, passphrases).await;
    let publication = signed.and_then(|outcome| Ok((Publication::of(&outcome, None)?, outcome)));
    let (publication, outcome) = publication.map_err(|failure| {
        let name = image.familiar_name();
        failure
            .note(format!("{name}:{tag} is pushed, and not signed: {}", subject.digest))
            .help(format!("to sign what was pushed: trustgate sign {name}:{tag}@{}", subject.digest))
    })?;
    if format == Format::Text && !settings.is_quiet() {
        print(image, tag, &outcome, &publication, output)?;
    }
    Ok(publication)
}

fn print(
    image: &Reference,
    tag: &Tag,
    outcome: &Outcome,
    publication: &Publication,
    output: &mut Output,
) -> Result<(), Failure> {
    sign::print(image, tag, outcome, publication, output)
}

fn tell_unsigned(
    request: &Request,
    why: Option<Unsigned>,
    pushed: &[Pushed],
    format: Format,
    settings: &Settings,
    output: &mut Output,
) -> Result<(), Failure> {
    let name = request.image.familiar_name();
    if format == Format::Json {
        let entry = |it: &Pushed| UnsignedAnswer {
            image: format!("{}:{}", request.image.repository(), it.tag),
            digest: it.content.as_ref().map(|it| it.digest.clone()),
            size: it.content.as_ref().map(|it| it.size),
            outcome: "unsigned",
        };
        return output.json(&pushed.iter().map(entry).collect::<Vec<_>>());
    }
    if settings.is_quiet() {
        for it in pushed {
            output.data(format!("{}:{}\n", request.image.repository(), it.tag).as_bytes())?;
        }
    }
    if why != Some(Unsigned::NoTag) {
        return Ok(());
    }
    output.result_line("No tag specified, skipping trust metadata push")?;
    let commands: Vec<String> = pushed
        .iter()
        .map(|it| {
            let digest = it.content.as_ref().map(|it| format!("@{}", it.digest)).unwrap_or_default();
            format!("  trustgate sign {name}:{}{digest}", it.tag)
        })
        .collect();
    output.remark(&format!("To sign what was pushed:\n{}", commands.join("\n")));
    Ok(())
}

/// A tag that was pushed and not signed, in `--output json`.
#[derive(Serialize)]
struct UnsignedAnswer {
    image: String,
    digest: Option<Digest>,
    size: Option<u64>,
    outcome: &'static str,
}

pub(super) const ABOUT: &str = "\
Push an image through docker's engine, and sign its tag.

The first push makes an offline (root) key and a tagging key, and asks for a passphrase for each: see \
docs/first-push.md. What names no tag is pushed and not signed, as docker does it, unless the policy forbids \
that. If signing fails after the push, the command that finishes is printed; the same command again will do, too.";

pub(super) const EXAMPLES: &str = "\
Examples:
  Push and sign:
      trustgate push registry.example/acme/base:1.4
  In CI, with the passphrases in the environment or in files:
      trustgate push --passphrase-file /run/secrets/tagging registry.example/acme/base:1.4
  Let nobody see the tag before it is signed:
      trustgate push --stage incoming registry.example/acme/base:1.4

Exit codes: 0 pushed and signed, 1 refused, 2 wrong usage, 3 engine, registry or trust server could not be \
asked";
