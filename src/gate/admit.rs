//! Decisions on ways in that are no image reference.

use super::content::{Content, ContentDecision};
use super::refusal::{Refusal, RefusalCode};
use crate::image::Reference;
use crate::policy::{Admission, CacheKind, ContextKind, DisabledBy, PolicySet, Ruling};
use crate::text::visible_prefix;

pub(super) fn decide(
    policy: &PolicySet,
    content: Content<'_>,
    disabled: Option<DisabledBy>,
) -> ContentDecision {
    let ruling = match content {
        Content::Context { kind, .. } => policy.context(kind),
        Content::Cache { kind, reference, .. } => policy.cache(kind, reference.map(Reference::gun).as_ref()),
        Content::Source { kind, .. } => policy.source(kind),
        Content::Syntax { reference } => policy.syntax(&reference.gun()),
        Content::SbomGenerator { reference } => policy.sbom_generator(&reference.gun()),
    };
    // what a policy says outright holds even where nothing is verified
    if let (Some(by), None) = (disabled, &ruling.place)
        && !matches!(content, Content::Cache { kind: CacheKind::Unknown, .. })
    {
        return match ruling.admission {
            Admission::Verify => ContentDecision::Verify,
            Admission::Allow | Admission::Fixed | Admission::Builtin | Admission::Refuse => {
                ContentDecision::Admitted { rule: format!("content trust is disabled by {by}") }
            }
        };
    }
    match (ruling.admission, content) {
        (Admission::Allow, _) | (Admission::Fixed, Content::Source { fixed: true, .. }) => {
            ContentDecision::Admitted { rule: ruling.rule() }
        }
        (Admission::Verify, _) => ContentDecision::Verify,
        (Admission::Builtin, _) => ContentDecision::Builtin { rule: ruling.rule() },
        (Admission::Fixed | Admission::Refuse, _) => ContentDecision::Refused(refusal(content, &ruling)),
    }
}

fn refusal(content: Content<'_>, ruling: &Ruling) -> Refusal {
    let (title, help) = match content {
        Content::Context { name, kind, value } => {
            let help = match kind {
                ContextKind::DockerImage => "leave the context out".to_owned(),
                ContextKind::OciLayout => {
                    "push the image to a registry and sign it, or allow OCI layouts: `oci-layout = \"allow\"` in `[contexts]` of the policy".to_owned()
                }
                ContextKind::Git | ContextKind::Http | ContextKind::Input | ContextKind::Local => {
                    format!("leave it out, or allow it: `{} = \"allow\"` in `[contexts]` of the policy", kind.key())
                }
            };
            (format!("context `{name}` ({}) may not come in", shown(value)), help)
        }
        Content::Cache { kind: CacheKind::Unknown, value, .. } => {
            (format!("cache `{}` is of an unknown type", shown(value)), "leave it out".to_owned())
        }
        Content::Cache { kind, value, .. } => (
            format!("cache `{}` ({}) may not be imported", shown(value), kind.key()),
            format!("leave it out, or allow it: `{} = \"allow\"` in `[caches]` of the policy", kind.key()),
        ),
        Content::Source { kind, identifier, fixed } => {
            let help = match (ruling.admission, fixed) {
                (Admission::Fixed, false) => {
                    "fix its content: ADD --checksum=sha256:… for a file, a full commit for git".to_owned()
                }
                _ => format!("leave it out, or allow it: `{} = \"allow\"` in `[sources]` of the policy", kind.key()),
            };
            (format!("source `{}` may not come in", shown(identifier)), help)
        }
        Content::Syntax { reference } => (
            format!("frontend {reference} may not read the Dockerfile"),
            "remove the `# syntax=` line, or let the engine's own frontend take its place: `builtin` in `[syntax]` of the policy".to_owned(),
        ),
        Content::SbomGenerator { reference } => (
            format!("SBOM generator {reference} may not run"),
            format!("name a generator that the policy lists, or list it: `generators = [\"{}\"]` in `[sbom]`", reference.gun()),
        ),
    };
    let label = match (&ruling.place, ruling.admission) {
        (Some(place), Admission::Fixed) => format!("{place} wants its content fixed"),
        (Some(place), _) => format!("{place} refuses it"),
        (None, _) => format!("no policy allows it, and by default `{}` is refused", ruling.key),
    };
    Refusal::new(RefusalCode::ContentNotAllowed, &title, &label).help(&help)
}

/// An option's value can be as long as an attacker likes.
fn shown(text: &str) -> String {
    visible_prefix(text, 200)
}
