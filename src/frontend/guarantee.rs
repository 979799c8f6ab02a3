//! The guarantee: what was let in is what runs.
//!
//! Every reference that the nested build returned, of every platform and attestation, is
//! read source by source. Where the builder knows source policies, each graph is then solved
//! again under "deny everything, allow exactly these", so that nothing between here and the
//! run (a client's own policy, a cache that names other layers) can change a source; only
//! the references of that second solve are returned. Older builders have no such policies
//! on the client's side either, and a reference there names an immutable graph.

use prost::Message;

use crate::buildkit::audit::{self, Source, SourceKind};
use crate::buildkit::proto::gateway::result::Result as Kind;
use crate::buildkit::proto::gateway::{CacheOptionsEntry, Ref, Result as SolveResult, SolveRequest};
use crate::buildkit::proto::pb;
use crate::buildkit::source_policy::deny_all_but;
use crate::buildkit::{Gateway, LlbCapability};
use crate::frontend::error::FrontendError;
use crate::frontend::ledger::Ledger;
use crate::frontend::nested::Nested;
use crate::frontend::ways::{CacheImport, is_admitted_context};
use crate::gate::{Content, ContentDecision, SourceKind as ContentKind};

/// What may run, and from where it may be taken.
pub(super) struct Guarantee<'a> {
    gateway: &'a Gateway,
    nested: &'a Nested<'a>,
    caches: Vec<CacheOptionsEntry>,
}

impl<'a> Guarantee<'a> {
    /// For what this nested build returns, with the caches that the gate let in.
    #[must_use]
    pub(super) fn new(gateway: &'a Gateway, nested: &'a Nested<'a>, caches: Vec<CacheImport>) -> Self {
        let caches = caches
            .into_iter()
            .map(|cache| CacheOptionsEntry { r#type: cache.kind, attrs: cache.attributes })
            .collect();
        Self { gateway, nested, caches }
    }

    /// Audits a result and, where that can be enforced, replaces its references by enforced ones.
    /// What the gate refuses is noted in the ledger; then the result must not be used.
    pub(super) async fn enforce(
        &self,
        mut result: SolveResult,
        ledger: &mut Ledger<'_>,
    ) -> Result<SolveResult, FrontendError> {
        let mut audited = Vec::new();
        for (part, reference) in references(&mut result)? {
            let sources = audit_reference(&part, reference, ledger)?;
            audited.push(sources);
        }
        if ledger.is_refused() {
            return Ok(result);
        }
        if ledger.is_disabled() || !self.gateway.capabilities().has_llb(LlbCapability::SourcePolicy) {
            for (_, reference) in references(&mut result)? {
                // the graph is known to the daemon by the reference; it need not travel back
                reference.def = Vec::new();
            }
            return Ok(result);
        }
        for ((part, reference), sources) in references(&mut result)?.into_iter().zip(&audited) {
            *reference = self.solve_again(&part, reference, sources).await?;
        }
        Ok(result)
    }

    async fn solve_again(
        &self,
        part: &str,
        reference: &Ref,
        sources: &[Source],
    ) -> Result<Ref, FrontendError> {
        if reference.id.is_empty() {
            return Ok(Ref::default());
        }
        let unauditable = |reason| FrontendError::Unauditable { part: part.to_owned(), reason };
        let request = SolveRequest {
            definition: self.nested.with_original_text(&reference.def),
            cache_imports: self.caches.clone(),
            source_policies: vec![deny_all_but(sources)],
            ..SolveRequest::default()
        };
        let result = self.gateway.solve(request).await.map_err(FrontendError::gateway(part))?;
        match result.result {
            Some(Kind::Ref(again)) if !again.id.is_empty() => {
                if !again.def.is_empty() && !same_operations(&again.def, &reference.def) {
                    return Err(unauditable("the builder changed its graph"));
                }
                Ok(Ref { id: again.id, def: Vec::new() })
            }
            _ => Err(unauditable("the builder gave no reference for its graph")),
        }
    }
}

/// Every reference of a result, with a name for people.
fn references(result: &mut SolveResult) -> Result<Vec<(String, &mut Ref)>, FrontendError> {
    let mut all: Vec<(String, &mut Ref)> = Vec::new();
    match &mut result.result {
        None => {}
        Some(Kind::Ref(reference)) => all.push(("the result".to_owned(), reference)),
        Some(Kind::Refs(map)) => {
            all.extend(map.refs.iter_mut().map(|(key, reference)| (format!("platform {key}"), reference)));
        }
        Some(Kind::RefDeprecated(_) | Kind::RefsDeprecated(_)) => {
            let reason = "it came without its graph, in a form that has been out of use since 0.8";
            return Err(FrontendError::Unauditable { part: "the result".to_owned(), reason });
        }
    }
    for (key, attestations) in &mut result.attestations {
        for (index, attestation) in attestations.attestation.iter_mut().enumerate() {
            if let Some(reference) = &mut attestation.r#ref {
                all.push((format!("attestation {} of {key}", index + 1), reference));
            }
        }
    }
    Ok(all)
}

fn audit_reference(
    part: &str,
    reference: &Ref,
    ledger: &mut Ledger<'_>,
) -> Result<Vec<Source>, FrontendError> {
    if reference.def.is_empty() {
        return if reference.id.is_empty() || ledger.is_disabled() {
            Ok(Vec::new())
        } else {
            Err(FrontendError::Unauditable { part: part.to_owned(), reason: "it came without its graph" })
        };
    }
    let refused = |source| FrontendError::Audit { part: part.to_owned(), source };
    if reference.id.is_empty() {
        return Err(FrontendError::Unauditable {
            part: part.to_owned(),
            reason: "it has a graph, but no name",
        });
    }
    let sources = match audit::audit(&reference.def, &ledger.allowed()) {
        Ok(sources) => sources,
        // nothing is held to anything then
        Err(_) if ledger.is_disabled() => return Ok(Vec::new()),
        Err(error) => return Err(refused(error)),
    };
    for source in &sources {
        admit(source, ledger);
    }
    Ok(sources)
}

/// Asks the gate about a source that is no image, unless it is a context that was asked about.
fn admit(source: &Source, ledger: &mut Ledger<'_>) {
    if is_admitted_context(source, ledger) {
        return;
    }
    let (kind, identifier) = match &source.kind {
        // these were let in, or not, by the audit and as contexts
        SourceKind::Image { .. } | SourceKind::Layout { .. } | SourceKind::Local { .. } => return,
        SourceKind::Blob { locator } => (ContentKind::Blob, locator),
        SourceKind::Git { remote } => (ContentKind::Git, remote),
        SourceKind::Http { url } => (ContentKind::Http, url),
    };
    let content = Content::Source { kind, identifier, fixed: source.is_fixed() };
    let _: ContentDecision = ledger.admit(content, None);
}

/// Whether two definitions hold the same operations; what surrounds them is for display.
fn same_operations(one: &[u8], other: &[u8]) -> bool {
    match (pb::Definition::decode(one), pb::Definition::decode(other)) {
        (Ok(one), Ok(other)) => one.def == other.def,
        _ => false,
    }
}

/// Whether a result has the SBOM that was asked for. Without one the daemon runs the
/// generator by itself once the frontend is gone, and an image that nobody verified with it.
#[must_use]
pub(super) fn has_sbom(result: &SolveResult) -> bool {
    result
        .attestations
        .values()
        .flat_map(|attestations| &attestations.attestation)
        .any(|attestation| attestation.in_toto_predicate_type == SPDX)
}

/// in-toto's name for SPDX documents.
const SPDX: &str = "https://spdx.dev/Document";
