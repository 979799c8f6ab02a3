//! Triggers: what a base image's configuration adds to the build that starts from it.
//!
//! `ONBUILD COPY --from=…` in a signed base names an image that stands nowhere in the
//! Dockerfile. It is verified like any other, and pinned by a named context, since there is
//! no text of ours to pin it in.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::try_join_all;
use serde::Deserialize;

use crate::buildkit::Gateway;
use crate::dockerfile::{ImageUse, UseKind, UseTarget, onbuild_uses};
use crate::frontend::error::FrontendError;
use crate::frontend::ledger::{Entry, Ledger};
use crate::frontend::options::Options;
use crate::frontend::uses::{Uses, context_pin};
use crate::frontend::ways::image_context;
use crate::gate::{Origin, Refusal, Request, UseRole};
use crate::image::{Platform, Reference};

/// Images that triggers name, for which pins are needed.
pub(super) type TriggerImages = BTreeSet<Reference>;

/// Follows the triggers of every base image until nothing new comes up: reads the bases'
/// configurations, reads the file again with their triggers, and asks the gate about what
/// they name. Stops early when something is refused.
pub(super) async fn follow(
    gateway: &Gateway,
    options: &Options,
    uses: &mut Uses,
    ledger: &mut Ledger<'_>,
) -> Result<TriggerImages, FrontendError> {
    let mut configurations: BTreeMap<(Reference, Platform), Vec<String>> = BTreeMap::new();
    let mut images = TriggerImages::new();
    for _ in 0..ROUND_LIMIT {
        let wanted = bases(options, uses, ledger)?;
        let fetched = try_join_all(
            wanted
                .iter()
                .filter_map(|base| base.image.as_ref())
                .filter(|image| !configurations.contains_key(image))
                .collect::<BTreeSet<_>>()
                .into_iter()
                .map(|image| triggers_of(gateway, options, image)),
        )
        .await?;
        configurations.extend(fetched);
        let mut changed = false;
        for index in 0..uses.platforms().len() {
            let mut triggers: BTreeMap<usize, Vec<String>> = BTreeMap::new();
            for base in wanted.iter().filter(|base| base.platform == index) {
                let lines = match &base.image {
                    Some(image) => configurations.get(image).cloned().unwrap_or_default(),
                    None => base.triggers.clone(),
                };
                if lines.is_empty() {
                    continue;
                }
                list(&base.name, &lines, uses, index, ledger, &mut images);
                triggers.insert(base.stage, lines);
            }
            if uses.platforms().get(index).is_some_and(|platform| platform.inputs.base_triggers != triggers) {
                uses.set_triggers(index, triggers).map_err(|error| uses.unreadable(&error))?;
                changed = true;
            }
        }
        uses.list(ledger);
        ledger.decide().await;
        if ledger.is_refused() || !changed {
            return Ok(images);
        }
    }
    Err(FrontendError::Unsupported(format!(
        "the base images' triggers lead to further base images, more than {ROUND_LIMIT} times"
    )))
}

/// The options that pin what triggers name.
pub(super) fn pins(images: &TriggerImages, ledger: &Ledger<'_>) -> BTreeMap<String, String> {
    images
        .iter()
        .filter_map(|reference| match ledger.entry(reference) {
            Some(Entry::Pinned(pinned)) => context_pin(reference, pinned),
            Some(Entry::AsWritten(_)) | None => None,
        })
        .collect()
}

/// A stage's base, whose configuration may hold triggers.
struct Base {
    /// Which platform's reading.
    platform: usize,
    stage: usize,
    /// The image to ask the daemon about; none where the client passed the configuration in.
    image: Option<(Reference, Platform)>,
    /// Triggers that the client passed in.
    triggers: Vec<String>,
    name: Reference,
}

fn bases(options: &Options, uses: &Uses, ledger: &Ledger<'_>) -> Result<Vec<Base>, FrontendError> {
    let mut bases = Vec::new();
    for (index, platform) in uses.platforms().iter().enumerate() {
        let from = |it: &&ImageUse| it.kind == UseKind::From && it.reachable;
        for image_use in platform.uses.iter().filter(from) {
            let mut base = |image, triggers, name: &Reference| {
                let name = name.clone();
                bases.push(Base { platform: index, stage: image_use.stage, image, triggers, name });
            };
            let on = match &image_use.platform {
                // a platform that cannot be read is the nested frontend's to complain about
                Some(text) => text.parse().unwrap_or_else(|_| platform.platform.clone()),
                None => platform.platform.clone(),
            };
            match (&image_use.target, &image_use.reference) {
                (UseTarget::Image, Ok(reference)) => {
                    if let Some(entry) = ledger.entry(reference) {
                        base(Some((entry.reference().clone(), on)), Vec::new(), reference);
                    }
                }
                (UseTarget::NamedContext(name), named) => {
                    let Some(value) = options.value(&format!("context:{name}")) else { continue };
                    if let Some(reference) =
                        image_context(value).and_then(|text| text.parse::<Reference>().ok())
                    {
                        if let Some(entry) = ledger.entry(&reference) {
                            base(Some((entry.reference().clone(), on)), Vec::new(), &reference);
                        }
                    } else if let (Some(input), Ok(reference)) = (value.strip_prefix("input:"), named) {
                        base(None, input_triggers(options, input)?, reference);
                    }
                }
                (UseTarget::Image, Err(_)) | (UseTarget::Stage(_) | UseTarget::Scratch, _) => {}
            }
        }
    }
    Ok(bases)
}

async fn triggers_of(
    gateway: &Gateway,
    options: &Options,
    image: &(Reference, Platform),
) -> Result<((Reference, Platform), Vec<String>), FrontendError> {
    let (reference, platform) = image;
    let name = reference.familiar();
    let mode = options.value("image-resolve-mode").unwrap_or_default();
    let found = gateway
        .resolve_image_config(
            &reference.to_string(),
            platform,
            mode,
            &format!("[trustgate] read triggers of {name}"),
        )
        .await
        .map_err(FrontendError::gateway(name.clone()))?;
    let triggers = read_triggers(&found.config, &name)?;
    Ok((image.clone(), triggers))
}

/// The triggers of a configuration that the client passed in with an input.
fn input_triggers(options: &Options, input: &str) -> Result<Vec<String>, FrontendError> {
    let Some(metadata) = options.value(&format!("input-metadata:{input}")) else { return Ok(Vec::new()) };
    let unreadable = || FrontendError::Unsupported(format!("the metadata of input `{input}` cannot be read"));
    let metadata: BTreeMap<String, Option<String>> =
        serde_json::from_str(metadata).map_err(|_| unreadable())?;
    let Some(Some(config)) = metadata.get("containerimage.config") else { return Ok(Vec::new()) };
    let config = STANDARD.decode(config).map_err(|_| unreadable())?;
    read_triggers(&config, input)
}

fn read_triggers(config: &[u8], image: &str) -> Result<Vec<String>, FrontendError> {
    #[derive(Deserialize)]
    struct Image {
        #[serde(default, alias = "Config")]
        config: Option<Config>,
    }
    #[derive(Deserialize)]
    struct Config {
        #[serde(default, rename = "OnBuild", alias = "onbuild")]
        triggers: Option<Vec<String>>,
    }
    let image: Image = serde_json::from_slice(config).map_err(|error| {
        FrontendError::Unsupported(format!("the configuration of `{image}` cannot be read: {error}"))
    })?;
    let triggers = image.config.and_then(|config| config.triggers).unwrap_or_default();
    if TRIGGER_LIMIT < triggers.len() {
        return Err(FrontendError::Unsupported(format!(
            "a base image has more than {TRIGGER_LIMIT} triggers"
        )));
    }
    Ok(triggers)
}

/// Asks for every image that triggers name.
fn list(
    base: &Reference,
    lines: &[String],
    uses: &Uses,
    platform: usize,
    ledger: &mut Ledger<'_>,
    images: &mut TriggerImages,
) {
    let Some(platform) = uses.platforms().get(platform) else { return };
    for trigger in lines {
        let named = match onbuild_uses(trigger) {
            Ok(named) => named,
            Err(error) => {
                let refusal = unreadable(base, trigger, &error.to_string());
                ledger.object(refusal, None);
                continue;
            }
        };
        for image in named {
            let stage = is_stage(uses, &image.written)
                || (image.kind == UseKind::OnbuildCopyFrom && image.written.parse::<i64>().is_ok());
            let context = platform.inputs.named_contexts.contains(&image.written);
            if stage || context || image.written == "scratch" {
                continue;
            }
            match image.reference {
                Ok(reference) => {
                    let origin = Origin::BaseConfig { base: base.clone(), trigger: trigger.clone() };
                    ledger.request(Request { role: UseRole::Onbuild, origin, reference: reference.clone() });
                    images.insert(reference);
                }
                Err(error) => ledger.object(Refusal::invalid_reference(&image.written, &error), None),
            }
        }
    }
}

/// Whether a name is that of a stage, in whatever letters; then it is no image.
fn is_stage(uses: &Uses, name: &str) -> bool {
    let named = |stage: &str| stage.eq_ignore_ascii_case(name);
    uses.file().stages().iter().any(|stage| stage.name.as_deref().is_some_and(named))
}

fn unreadable(base: &Reference, trigger: &str, reason: &str) -> Refusal {
    Refusal::new(
        crate::gate::RefusalCode::UnauditableDefinition,
        &format!("a trigger of {} cannot be read", base.familiar()),
        reason,
    )
    .note(&format!("ONBUILD {trigger}"))
}

/// A trigger can make a stage needed whose base has triggers again; real chains end at once.
const ROUND_LIMIT: usize = 8;

/// Docker itself knows no limit; real images have a handful.
const TRIGGER_LIMIT: usize = 1_000;
