//! Ways in that options open: named contexts, caches, the SBOM generator, inputs, remote contexts.
//!
//! First everything is listed ([`list`]), then, when the gate has answered, the same options
//! are written again with what it let in ([`rewrite`]).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::buildkit::audit::{self, SourceKind as GraphSource, place};
use crate::frontend::context::{BuildFile, MainContext, RemoteKind};
use crate::frontend::error::FrontendError;
use crate::frontend::ledger::Ledger;
use crate::frontend::options::{Disposition, OptionError, Options, disposition};
use crate::frontend::remote::{Remote, parse_remote};
use crate::gate::{CacheKind, Content, ContentDecision, ContextKind, Origin, Refusal, Request, UseRole};
use crate::image::Reference;

/// One cache to import, as clients write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CacheImport {
    /// `registry`, `gha`, …
    #[serde(rename = "Type", alias = "type", default)]
    pub(super) kind: String,
    /// `ref`, …
    #[serde(rename = "Attrs", alias = "attrs", default, deserialize_with = "null_is_empty")]
    pub(super) attributes: BTreeMap<String, String>,
}

/// Lists every way in that the options open.
pub(super) fn list(
    options: &Options,
    file: &BuildFile,
    inputs: &BTreeMap<String, Vec<u8>>,
    ledger: &mut Ledger<'_>,
) -> Result<(), FrontendError> {
    main_context(file, inputs, ledger)?;
    for (key, value) in options.iter() {
        match disposition_of(options, key, value) {
            Disposition::Forward | Disposition::Consume => {}
            Disposition::Refuse(reason) => {
                return Err(OptionError::Refused { option: key.to_owned(), reason: reason.to_owned() }.into());
            }
            Disposition::NamedContext => named_context(key, value, inputs, ledger)?,
            Disposition::Cache => {
                for cache in caches(key, value)? {
                    list_cache(key, &cache, ledger);
                }
            }
            Disposition::SbomGenerator => sbom_generator(key, value, ledger),
        }
    }
    Ok(())
}

/// The options of [`list`], with verified references in the place of those that came.
pub(super) fn rewrite(
    options: &Options,
    ledger: &Ledger<'_>,
) -> Result<BTreeMap<String, String>, FrontendError> {
    let mut rewritten = BTreeMap::new();
    for (key, value) in options.iter() {
        let value = match disposition_of(options, key, value) {
            Disposition::Forward => value.to_owned(),
            Disposition::Consume | Disposition::Refuse(_) => continue,
            Disposition::NamedContext => match image_context(value) {
                Some(text) => {
                    match text.parse::<Reference>().ok().and_then(|it| ledger.entry(&it).cloned()) {
                        Some(entry) => format!("docker-image://{}", entry.reference()),
                        None => value.to_owned(),
                    }
                }
                None => value.to_owned(),
            },
            Disposition::Cache => rewrite_caches(key, value, ledger)?,
            Disposition::SbomGenerator => {
                let (reference, mut fields) = generator(value);
                let entry = reference.parse().ok().and_then(|it: Reference| ledger.entry(&it).cloned());
                if let Some(entry) = entry {
                    fields.retain(|field| !is_generator(field));
                    fields.push(format!("generator={}", entry.reference()));
                }
                fields.iter().map(|field| csv_field(field)).collect::<Vec<_>>().join(",")
            }
        };
        rewritten.insert(key.to_owned(), value);
    }
    Ok(rewritten)
}

/// The options as they came, for a question that builds nothing.
pub(super) fn unverified(options: &Options) -> Result<BTreeMap<String, String>, FrontendError> {
    let mut forwarded = BTreeMap::new();
    for (key, value) in options.iter() {
        match disposition_of(options, key, value) {
            Disposition::Consume => {}
            Disposition::Refuse(reason) => {
                return Err(OptionError::Refused { option: key.to_owned(), reason: reason.to_owned() }.into());
            }
            Disposition::Forward
            | Disposition::NamedContext
            | Disposition::Cache
            | Disposition::SbomGenerator => {
                forwarded.insert(key.to_owned(), value.to_owned());
            }
        }
    }
    Ok(forwarded)
}

/// Whether the build wants an SBOM.
#[must_use]
pub(super) fn wants_sbom(options: &Options) -> bool {
    options.iter().any(|(key, value)| disposition(key, value) == Disposition::SbomGenerator)
}

/// The caches that the gate let in, for the last solve.
pub(super) fn admitted_caches(
    rewritten: &BTreeMap<String, String>,
) -> Result<Vec<CacheImport>, FrontendError> {
    let mut all = Vec::new();
    for key in ["cache-imports", "cache-from"] {
        if let Some(value) = rewritten.get(key) {
            all.extend(caches(key, value)?);
        }
    }
    Ok(all)
}

/// As [`disposition`], with one more option consumed: the one that `contextkey` names.
fn disposition_of(options: &Options, key: &str, value: &str) -> Disposition {
    if options.value("contextkey") == Some(key) { Disposition::Consume } else { disposition(key, value) }
}

/// The image of a context `docker-image://…` that is none but the empty one.
#[must_use]
pub(super) fn image_context(value: &str) -> Option<&str> {
    let rest = value.strip_prefix("docker-image:")?;
    let reference = rest.strip_prefix("//").unwrap_or(rest);
    (reference != "scratch").then_some(reference)
}

fn main_context(
    file: &BuildFile,
    inputs: &BTreeMap<String, Vec<u8>>,
    ledger: &mut Ledger<'_>,
) -> Result<(), FrontendError> {
    let (kind, value) = match &file.context {
        MainContext::Local => (ContextKind::Local, "the client's directory"),
        MainContext::Input => (ContextKind::Input, "an input of the build"),
        MainContext::Remote { kind: RemoteKind::Git, value, .. } => (ContextKind::Git, value.as_str()),
        MainContext::Remote { kind: RemoteKind::Http, value, .. } => (ContextKind::Http, value.as_str()),
    };
    let decision = ledger.admit(Content::Context { name: "context", kind, value }, None);
    match &file.context {
        MainContext::Local => {}
        MainContext::Input => {
            if let Some(definition) = inputs.get("context") {
                input("context", "context", definition, &decision, ledger)?;
            }
        }
        MainContext::Remote { definition, .. } => {
            let sources = audit::sources(definition)
                .map_err(|source| FrontendError::Audit { part: "the main context".to_owned(), source })?;
            for source in sources {
                ledger.allow_context(source.identifier);
            }
        }
    }
    Ok(())
}

fn named_context(
    key: &str,
    value: &str,
    inputs: &BTreeMap<String, Vec<u8>>,
    ledger: &mut Ledger<'_>,
) -> Result<(), FrontendError> {
    let name = key.strip_prefix("context:").unwrap_or(key);
    let origin = || Origin::Option { name: key.to_owned(), value: value.to_owned() };
    let invalid = |reason: String| OptionError::Invalid { option: key.to_owned(), reason };
    let (scheme, rest) = value
        .split_once(':')
        .ok_or_else(|| invalid("it is neither a local directory, an image nor a URL".to_owned()))?;
    match scheme {
        "docker-image" => {
            let Some(text) = image_context(value) else { return Ok(()) };
            let reference: Reference = match text.parse() {
                Ok(reference) => reference,
                Err(error) => {
                    ledger.object(
                        Refusal::invalid_reference(text, &error).note(&format!("option: {key}={value}")),
                        None,
                    );
                    return Ok(());
                }
            };
            match ledger.admit(Content::Context { name, kind: ContextKind::DockerImage, value }, None) {
                ContentDecision::Admitted { .. } => ledger.allow_unverified(&reference),
                ContentDecision::Verify | ContentDecision::Builtin { .. } => {
                    ledger.request(Request { role: UseRole::NamedContext, origin: origin(), reference });
                }
                ContentDecision::Refused(_) => {}
            }
        }
        "oci-layout" => {
            // the digest is what comes in; whose image it is meant to be, the context's own name says
            let layout = rest.strip_prefix("//").unwrap_or(rest);
            let digest = layout.rsplit_once('@').and_then(|(_, digest)| digest.parse().ok());
            let named = name.split_once("::").map_or(name, |(name, _)| name).parse::<Reference>();
            let (Some(digest), Ok(named)) = (digest, named) else {
                return Err(invalid(
                    "an OCI layout needs a digest, and a name that is an image's".to_owned(),
                )
                .into());
            };
            let reference = named.without_digest().with_digest(digest);
            match ledger.admit(Content::Context { name, kind: ContextKind::OciLayout, value }, None) {
                ContentDecision::Admitted { .. } => ledger.allow_layout(&reference),
                ContentDecision::Verify | ContentDecision::Builtin { .. } => {
                    ledger.allow_layout(&reference);
                    ledger.request(Request { role: UseRole::NamedContext, origin: origin(), reference });
                }
                ContentDecision::Refused(_) => {}
            }
        }
        "local" => {
            ledger.admit(Content::Context { name, kind: ContextKind::Local, value }, None);
        }
        "input" => {
            let decision = ledger.admit(Content::Context { name, kind: ContextKind::Input, value }, None);
            let definition =
                inputs.get(rest).ok_or_else(|| invalid(format!("there is no input `{rest}`")))?;
            input(key, value, definition, &decision, ledger)?;
        }
        _ => match parse_remote(value)? {
            Some(Remote::Git(git)) => {
                ledger.admit(Content::Context { name, kind: ContextKind::Git, value }, None);
                ledger.allow_context(format!("git:{}", git.identifier));
            }
            Some(Remote::Http(url)) => {
                ledger.admit(Content::Context { name, kind: ContextKind::Http, value }, None);
                ledger.allow_context(url);
            }
            None => return Err(invalid(format!("contexts of the kind `{scheme}` are not known")).into()),
        },
    }
    Ok(())
}

/// Whether a source of the build graph is a context that was let in.
#[must_use]
pub(super) fn is_admitted_context(source: &audit::Source, ledger: &Ledger<'_>) -> bool {
    let by_place = match &source.kind {
        GraphSource::Git { remote } => ledger.is_context(&format!("git:{}", place(remote))),
        _ => false,
    };
    by_place || ledger.is_context(&source.identifier)
}

/// A definition that the client passed in: the images in it come in, too.
fn input(
    option: &str,
    value: &str,
    definition: &[u8],
    decision: &ContentDecision,
    ledger: &mut Ledger<'_>,
) -> Result<(), FrontendError> {
    let sources = audit::sources(definition)
        .map_err(|source| FrontendError::Audit { part: format!("input `{value}`"), source })?;
    for source in sources {
        let GraphSource::Image { reference } = source.kind else { continue };
        match decision {
            ContentDecision::Admitted { .. } => ledger.allow_unverified(&reference),
            ContentDecision::Verify | ContentDecision::Builtin { .. } => {
                let origin = Origin::Option { name: option.to_owned(), value: source.identifier };
                // A digest beside a tag is what some frontend found for that tag: nobody meant it.
                // So it is the tag that is asked about, and the audit holds the digest to the answer.
                let reference =
                    if reference.tag().is_some() { reference.without_digest() } else { reference };
                ledger.request(Request { role: UseRole::Input, origin, reference });
            }
            ContentDecision::Refused(_) => {}
        }
    }
    Ok(())
}

fn list_cache(key: &str, cache: &CacheImport, ledger: &mut Ledger<'_>) {
    let kind = CacheKind::named(&cache.kind);
    let text = match kind {
        CacheKind::Registry | CacheKind::Inline => cache.attributes.get("ref").map_or("", String::as_str),
        _ => "",
    };
    let shown = if text.is_empty() { cache.kind.clone() } else { text.to_owned() };
    let reference: Option<Reference> = text.parse().ok();
    if let (CacheKind::Registry | CacheKind::Inline, None) = (kind, &reference)
        && let Err(error) = text.parse::<Reference>()
    {
        ledger.object(Refusal::invalid_reference(text, &error).note(&format!("option: {key}")), None);
        return;
    }
    let content = Content::Cache { kind, reference: reference.as_ref(), value: &shown };
    match (ledger.admit(content, None), reference) {
        (ContentDecision::Verify | ContentDecision::Builtin { .. }, Some(reference)) => {
            let origin = Origin::Option { name: key.to_owned(), value: shown };
            ledger.request(Request { role: UseRole::CacheImport, origin, reference });
        }
        (ContentDecision::Verify | ContentDecision::Builtin { .. }, None) => {
            // there is nothing in such a cache that could be looked up
            let refusal = Refusal::new(
                crate::gate::RefusalCode::ContentNotAllowed,
                &format!("cache `{shown}` cannot be verified"),
                "it is no image, so nobody can have signed it",
            );
            ledger.object(refusal, None);
        }
        (ContentDecision::Admitted { .. } | ContentDecision::Refused(_), _) => {}
    }
}

fn caches(key: &str, value: &str) -> Result<Vec<CacheImport>, FrontendError> {
    let too_many = || OptionError::Invalid {
        option: key.to_owned(),
        reason: format!("it names more than {CACHE_LIMIT} caches"),
    };
    let all: Vec<CacheImport> = if value.is_empty() {
        Vec::new()
    } else if key == "cache-from" {
        let registry = |reference: &str| CacheImport {
            kind: "registry".to_owned(),
            attributes: BTreeMap::from([("ref".to_owned(), reference.to_owned())]),
        };
        value.split(',').map(registry).collect()
    } else {
        serde_json::from_str(value).map_err(|error| OptionError::Invalid {
            option: key.to_owned(),
            reason: format!("it is no list of caches: {error}"),
        })?
    };
    if CACHE_LIMIT < all.len() { Err(too_many().into()) } else { Ok(all) }
}

fn rewrite_caches(key: &str, value: &str, ledger: &Ledger<'_>) -> Result<String, FrontendError> {
    let mut all = caches(key, value)?;
    for cache in &mut all {
        if let Some(text) = cache.attributes.get_mut("ref")
            && let Ok(reference) = text.parse::<Reference>()
            && let Some(entry) = ledger.entry(&reference)
        {
            *text = entry.reference().to_string();
        }
    }
    if key == "cache-from" {
        let references: Vec<&str> =
            all.iter().filter_map(|cache| cache.attributes.get("ref")).map(String::as_str).collect();
        return Ok(references.join(","));
    }
    serde_json::to_string(&all)
        .map_err(|error| OptionError::Invalid { option: key.to_owned(), reason: error.to_string() }.into())
}

fn sbom_generator(key: &str, value: &str, ledger: &mut Ledger<'_>) {
    let (text, _) = generator(value);
    let reference: Reference = match text.parse() {
        Ok(reference) => reference,
        Err(error) => {
            ledger.object(
                Refusal::invalid_reference(&text, &error).note(&format!("option: {key}={value}")),
                None,
            );
            return;
        }
    };
    match ledger.admit(Content::SbomGenerator { reference: &reference }, None) {
        ContentDecision::Admitted { .. } => ledger.allow_unverified(&reference),
        ContentDecision::Verify | ContentDecision::Builtin { .. } => {
            let origin = Origin::Option { name: key.to_owned(), value: text };
            ledger.request(Request { role: UseRole::SbomGenerator, origin, reference });
        }
        ContentDecision::Refused(_) => {}
    }
}

/// The generator that an attestation's parameters name, and all the parameters.
fn generator(value: &str) -> (String, Vec<String>) {
    let fields = csv_fields(value);
    // the last one counts, as in the builder's own reading
    let named = fields.iter().rev().find(|field| is_generator(field));
    let reference =
        named.map_or(DEFAULT_GENERATOR, |field| field.split_once('=').map_or("", |(_, value)| value));
    (reference.to_owned(), fields)
}

fn is_generator(field: &str) -> bool {
    field.split_once('=').map_or(field, |(name, _)| name) == "generator"
}

/// One line of CSV.
fn csv_fields(line: &str) -> Vec<String> {
    if line.is_empty() {
        return Vec::new();
    }
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        let Some(field) = fields.last_mut() else { break };
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            ',' if !quoted => fields.push(String::new()),
            other => field.push(other),
        }
    }
    fields
}

fn csv_field(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

/// Go writes `null` for a map that was never made.
fn null_is_empty<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<BTreeMap<String, String>, D::Error> {
    Ok(Option::<BTreeMap<String, String>>::deserialize(reader)?.unwrap_or_default())
}

/// What the builder's own frontend takes where none is named.
const DEFAULT_GENERATOR: &str = "docker/buildkit-syft-scanner:stable-1";

/// Each one can cost a look-up.
const CACHE_LIMIT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_one_that_the_builder_takes() {
        for (value, reference) in [
            ("", DEFAULT_GENERATOR),
            ("generator=acme/scan:1", "acme/scan:1"),
            ("X=1,generator=a,generator=b", "b"),
            ("\"generator=acme/scan:1\"", "acme/scan:1"),
            ("X=\"1,generator=no\"", "no\""),
            ("\"X=1,generator=no\"", DEFAULT_GENERATOR),
            ("generator", ""),
        ] {
            assert_eq!(generator(value).0, reference, "{value}");
        }
        for field in ["a", "a,b", "say \"x\""] {
            assert_eq!(csv_fields(&csv_field(field)), [field]);
        }
    }

    #[test]
    fn caches_as_clients_write_them() {
        let old = caches("cache-from", "acme/app:cache,acme/app").unwrap();
        assert_eq!(old[1].attributes["ref"], "acme/app");
        let new = caches(
            "cache-imports",
            r#"[{"Type":"registry","Attrs":{"ref":"a"}},{"Type":"gha","Attrs":null}]"#,
        );
        assert_eq!(new.unwrap()[1].kind, "gha");
        assert!(caches("cache-imports", "{}").is_err());
        assert!(caches("cache-from", &"a,".repeat(CACHE_LIMIT + 1)).is_err());
        assert_eq!(caches("cache-imports", "").unwrap(), []);
    }

    #[test]
    fn image_contexts() {
        assert_eq!(image_context("docker-image://a:1"), Some("a:1"));
        assert_eq!(image_context("docker-image:a:1"), Some("a:1"));
        assert_eq!(image_context("docker-image://scratch"), None);
        assert_eq!(image_context("local:a"), None);
    }
}
