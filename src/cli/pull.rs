//! `trustgate pull`: the gate says which digest a tag stands for, and the engine pulls that.

use clap::Args;
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::names;
use super::output::{Format, Output};
use super::progress::while_waiting;
use super::settings::{Demands, Settings};
use super::signing::{Telling, publish_failure, publisher, tell};
use super::transfer::{authorization, engine, engine_failure, platform, progress};
use super::verify::print_talk;
use crate::docker::Transfer;
use crate::gate::{Decided, Decision, Request, TrustSwitch};
use crate::image::{Digest, Reference, Tag};
use crate::trust::SignerListing;
use crate::trust::publish::SurveyScope;
use crate::tuf::RoleName;

/// What `pull` takes.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Image to pull: NAME, NAME:TAG or NAME@DIGEST
    #[arg(value_name = "IMAGE")]
    image: String,

    /// Pull all signed tags of the repository
    #[arg(long, short)]
    all_tags: bool,

    /// Pull this platform of a multi-platform image
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,

    /// How to print the result
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    output: Format,
}

/// Pulls what the gate lets in, or nothing.
pub(super) async fn run(
    arguments: &Arguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let image = names::image(&arguments.image)?;
    let platform = platform(arguments.platform.as_deref())?;
    let text = arguments.output == Format::Text;
    let images = if arguments.all_tags {
        all_tags(&image, settings, output).await?
    } else {
        if image.tag().is_none() && image.digest().is_none() && text {
            output.result_line("Using default tag: latest")?;
        }
        vec![image.clone()]
    };
    let gate = settings.gate(Demands { signed_digests: false, signers: SignerListing::Required })?;
    let requests = images.into_iter().map(Request::command_line).collect();
    let what = format!("asking for the trust data of {}", image.familiar_name());
    let report = while_waiting(&what, output, gate.decide(requests)).await;
    print_talk(&report, output);
    let exit = Exit::of(&report);
    if exit != Exit::Done {
        return Ok(exit);
    }
    let engine = engine(settings).await?;
    let authorization = authorization(&settings.http()?, &image).await?;
    let mut progress = progress(arguments.output, settings, output);
    let count = report.decided.len();
    let mut answers = Vec::with_capacity(count);
    for (index, decided) in report.decided.iter().enumerate() {
        let wanted = Wanted::of(decided);
        if let (Some(signed), true) = (&wanted.name, text) {
            let number = index.saturating_add(1);
            output.result_line(&format!(
                "Pull ({number} of {count}): {}",
                signed.with_digest_of(&wanted.pull)
            ))?;
        }
        let transfer = Transfer { authorization: &authorization, platform: platform.as_ref() };
        let pulled = engine.pull(&wanted.pull, transfer, &mut *progress).await;
        pulled.map_err(|error| engine_failure(&error))?;
        if let Some(name) = &wanted.name {
            let source = wanted.pull.familiar();
            if text {
                output.remark(&format!("Tagging {source} as {}", name.0.familiar()));
            }
            engine.tag(&source, &name.0).await.map_err(|error| engine_failure(&error))?;
        }
        if text {
            output.data(format!("{}\n", wanted.shown()).as_bytes())?;
        }
        answers.push(wanted.answer(decided));
    }
    if !text {
        output.json(&answers)?;
    }
    Ok(Exit::Done)
}

/// The signed tags of a repository, which the gate is then asked about one by one.
async fn all_tags(
    image: &Reference,
    settings: &Settings,
    output: &Output,
) -> Result<Vec<Reference>, Failure> {
    if image.tag().is_some() || image.digest().is_some() {
        return Err(Failure::usage("a tag can't be used with --all-tags")
            .help(format!("name the repository alone: {}", image.familiar_name())));
    }
    if let TrustSwitch::Disabled(by) = settings.switch() {
        return Err(Failure::usage(format!("--all-tags pulls signed tags, and {by} disables content trust"))
            .help(format!("docker pull --all-tags {}", image.familiar_name())));
    }
    let gun = image.gun();
    let publisher = publisher(settings, &gun, tell(Telling::Nothing))?;
    let what = format!("asking for the trust data of {gun}");
    let survey = while_waiting(&what, output, publisher.survey(&gun, SurveyScope::Valid)).await;
    let survey = survey.map_err(|error| publish_failure(&error))?;
    let released = |role: &RoleName| *role == RoleName::TARGETS || role.as_str() == "targets/releases";
    // A target that is no tag, such as notary may have signed, is nothing that could be pulled.
    let tags = survey.targets.iter().filter(|it| released(&it.role)).map(|it| it.name.parse::<Tag>());
    let mut tags: Vec<Tag> = tags.filter_map(Result::ok).collect();
    tags.sort_by(|one, other| names::natural(one.as_str(), other.as_str()));
    tags.dedup();
    if tags.is_empty() {
        return Err(Failure::refused(format!("No trusted tags for {gun}"))
            .help(format!("sign one: trustgate sign {}:TAG", image.familiar_name())));
    }
    Ok(tags.into_iter().map(|tag| image.with_tag(tag)).collect())
}

/// What the engine is to pull, and the tag that it gets then.
struct Wanted {
    pull: Reference,
    name: Option<Name>,
}

/// A name with its tag.
struct Name(Reference);

impl Name {
    fn with_digest_of(&self, pulled: &Reference) -> String {
        match pulled.digest() {
            Some(digest) => format!("{}@{digest}", self.0.familiar()),
            None => self.0.familiar(),
        }
    }
}

impl Wanted {
    fn of(decided: &Decided) -> Self {
        let reference = &decided.request.reference;
        match &decided.decision {
            Decision::Pinned(target) => {
                let name = reference.with_tag(reference.tag_or_latest());
                let pull = by_digest(reference, &target.digest);
                Self { pull, name: Some(Name(name)) }
            }
            Decision::DigestAccepted { digest, .. } => {
                Self { pull: by_digest(reference, digest), name: None }
            }
            Decision::Unverified { .. } | Decision::Exempt { .. } | Decision::Refused(_) => {
                Self { pull: reference.with_default_tag(), name: None }
            }
        }
    }

    /// What docker prints last.
    fn shown(&self) -> String {
        self.name.as_ref().map_or_else(|| self.pull.to_string(), |name| name.0.to_string())
    }

    fn answer(&self, decided: &Decided) -> Answer {
        Answer {
            image: self.shown(),
            pulled: self.pull.to_string(),
            digest: self.pull.digest().cloned(),
            decision: super::verify::name(&decided.decision),
        }
    }
}

/// The repository's image of this digest: engines go by a digest alone.
fn by_digest(reference: &Reference, digest: &Digest) -> Reference {
    reference.without_tag().with_digest(digest.clone())
}

/// One image, in `--output json`.
#[derive(Serialize)]
struct Answer {
    /// The full name, with its tag where it has one now.
    image: String,
    /// What the engine was asked for.
    pulled: String,
    digest: Option<Digest>,
    /// As in `verify`.
    decision: &'static str,
}

pub(super) const ABOUT: &str = "\
Pull a signed image.

The tag is looked up in the repository's trust data, the engine pulls the digest that is signed for it, and \
gives it the tag. Tags that are not signed can't be pulled. NAME@DIGEST passes, unless the policy wants digests \
to be signed.";

pub(super) const EXAMPLES: &str = "\
Examples:
  The signed image of a tag:
      trustgate pull registry.example/acme/base:1.4
  All signed tags:
      trustgate pull --all-tags registry.example/acme/base

Exit codes: 0 pulled, 1 refused, 2 wrong usage, 3 engine, registry or trust server could not be asked";
