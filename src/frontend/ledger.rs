//! What was asked of the gate, what it answered, and what that lets into this build.
//!
//! Every way into a build passes through here, so that the sum of all answers is at hand
//! when the build graph is audited. Nothing is decided here.

use std::collections::BTreeMap;

use crate::buildkit::audit::Allowed;
use crate::dockerfile::Span;
use crate::gate::{Content, ContentDecision, Decision, Gate, Refusal, Report, Request, SourceKind};
use crate::image::Reference;

/// How an image enters the build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// By its digest.
    Pinned(Reference),
    /// As it is written, since a rule lets it in unverified and no digest is known.
    AsWritten(Reference),
}

impl Entry {
    /// The reference to hand to the builder.
    #[must_use]
    pub(super) fn reference(&self) -> &Reference {
        match self {
            Self::Pinned(reference) | Self::AsWritten(reference) => reference,
        }
    }
}

/// A refusal that belongs to no image reference.
#[derive(Clone, Debug)]
pub(super) struct Objection {
    /// What is refused, and why.
    pub(super) refusal: Refusal,
    /// Where in the Dockerfile, if it is there.
    pub(super) span: Option<Span>,
}

/// The answers of one build.
pub(super) struct Ledger<'a> {
    gate: &'a Gate,
    /// Content trust is off, and the policy lets it be.
    disabled: bool,
    pending: Vec<Request>,
    asked: bool,
    entries: BTreeMap<Reference, Option<Entry>>,
    report: Report,
    objections: Vec<Objection>,
    allowed: Allowed,
    /// Identifiers of contexts that were let in: their sources need no second answer.
    contexts: Vec<String>,
}

impl<'a> Ledger<'a> {
    /// An empty ledger.
    #[must_use]
    pub(super) fn new(gate: &'a Gate, disabled: bool) -> Self {
        let allowed = Allowed { any_image: disabled, ..Allowed::default() };
        Self {
            gate,
            disabled,
            pending: Vec::new(),
            asked: false,
            entries: BTreeMap::new(),
            report: Report::default(),
            objections: Vec::new(),
            allowed,
            contexts: Vec::new(),
        }
    }

    /// Whether images are checked at all.
    #[must_use]
    pub(super) fn is_disabled(&self) -> bool {
        self.disabled
    }

    /// Puts a request on the list of what the gate is asked next.
    pub(super) fn request(&mut self, request: Request) {
        if !self.pending.contains(&request)
            && !self.report.decided.iter().any(|decided| decided.request == request)
        {
            self.pending.push(request);
        }
    }

    /// Notes a refusal of something that is no image reference.
    pub(super) fn object(&mut self, refusal: Refusal, span: Option<Span>) {
        if !self.objections.iter().any(|objection| objection.refusal == refusal && objection.span == span) {
            self.objections.push(Objection { refusal, span });
        }
    }

    /// Asks about a way in that is no image. Notes a refusal, and returns the answer.
    pub(super) fn admit(&mut self, content: Content<'_>, span: Option<Span>) -> ContentDecision {
        let decision = self.gate.admit_content(content);
        if let ContentDecision::Refused(refusal) = &decision {
            self.object(refusal.clone(), span);
        }
        decision
    }

    /// Lets an image in without asking about its signature, as a rule of the policy says.
    pub(super) fn allow_unverified(&mut self, reference: &Reference) {
        let reference = reference.with_default_tag();
        let entry = match reference.digest() {
            Some(_) => Entry::Pinned(reference.clone()),
            None => Entry::AsWritten(reference.clone()),
        };
        self.allow(&entry);
        self.entries.entry(reference).or_insert(Some(entry));
    }

    fn allow(&mut self, entry: &Entry) {
        let reference = entry.reference();
        let repository = reference.repository();
        match (entry, reference.digest()) {
            (Entry::Pinned(_), Some(digest)) => {
                self.allowed.images.insert((repository, digest.clone()));
            }
            (Entry::Pinned(_) | Entry::AsWritten(_), _) => {
                self.allowed.unpinned.insert(format!("{repository}:{}", reference.tag_or_latest()));
            }
        }
    }

    /// Lets an image of a client's OCI layout in.
    pub(super) fn allow_layout(&mut self, reference: &Reference) {
        if let Some(digest) = reference.digest() {
            self.allowed.layouts.insert(digest.clone());
        }
    }

    /// Notes the identifier of a context that was let in, as the build graph will name it.
    pub(super) fn allow_context(&mut self, identifier: String) {
        self.contexts.push(identifier);
    }

    /// Whether a source of the build graph is a context that was let in.
    #[must_use]
    pub(super) fn is_context(&self, identifier: &str) -> bool {
        self.contexts.iter().any(|context| context == identifier)
    }

    /// Asks the gate about everything that is pending. The first time it is asked even about
    /// nothing, since it may have something to say about the build as a whole.
    pub(super) async fn decide(&mut self) {
        if self.pending.is_empty() && self.asked {
            return;
        }
        self.asked = true;
        let report = self.gate.decide(std::mem::take(&mut self.pending)).await;
        for decided in &report.decided {
            let reference = &decided.request.reference;
            let entry = match &decided.decision {
                Decision::Refused(_) => None,
                Decision::Pinned(_)
                | Decision::DigestAccepted { .. }
                | Decision::Unverified { .. }
                | Decision::Exempt { .. } => Some(match decided.pinned_reference() {
                    Some(pinned) => Entry::Pinned(pinned),
                    None => Entry::AsWritten(reference.with_default_tag()),
                }),
            };
            if let Some(entry) = &entry {
                self.allow(entry);
            }
            self.entries.insert(reference.clone(), entry);
        }
        self.report.append(report);
    }

    /// How an image enters; `None` where it was refused or not asked about.
    #[must_use]
    pub(super) fn entry(&self, reference: &Reference) -> Option<&Entry> {
        self.entries.get(reference).or_else(|| self.entries.get(&reference.with_default_tag()))?.as_ref()
    }

    /// What the gate said so far.
    #[must_use]
    pub(super) fn report(&self) -> &Report {
        &self.report
    }

    /// Refusals that belong to no image reference.
    #[must_use]
    pub(super) fn objections(&self) -> &[Objection] {
        &self.objections
    }

    /// Whether anything was refused.
    #[must_use]
    pub(super) fn is_refused(&self) -> bool {
        self.report.is_refused() || !self.objections.is_empty()
    }

    /// What may be in the build graph.
    #[must_use]
    pub(super) fn allowed(&self) -> Allowed {
        let blob = Content::Source { kind: SourceKind::Blob, identifier: "a blob", fixed: true };
        let blobs = matches!(self.gate.admit_content(blob), ContentDecision::Admitted { .. });
        Allowed { blobs, ..self.allowed.clone() }
    }
}
