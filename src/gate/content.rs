//! Ways into a build that are no image reference: contexts, caches, blobs, URLs, and
//! which frontend may read the Dockerfile.

use super::refusal::Refusal;
use crate::image::Reference;
use crate::policy::{CacheKind, ContextKind, SourceKind};

/// One way in, with what is needed to decide on it.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// A named context, or the main one if it is remote or passed in.
    Context {
        /// The context's name; `context` for the main one.
        name: &'a str,
        /// What it is.
        kind: ContextKind,
        /// Its value as given, for the messages.
        value: &'a str,
    },
    /// A cache that is imported.
    Cache {
        /// Where the cache comes from.
        kind: CacheKind,
        /// The image that holds it, if it is in a registry.
        reference: Option<&'a Reference>,
        /// The option's value as given, for the messages.
        value: &'a str,
    },
    /// A source of the build's definition that is no image: `ADD` of a URL, a blob.
    Source {
        /// What it is.
        kind: SourceKind,
        /// Its identifier, for the messages.
        identifier: &'a str,
        /// Whether a checksum or a full commit fixes its content.
        fixed: bool,
    },
    /// The image that `# syntax=` or `BUILDKIT_SYNTAX` names.
    Syntax {
        /// The frontend's image.
        reference: &'a Reference,
    },
    /// The image that generates an SBOM.
    SbomGenerator {
        /// The generator's image.
        reference: &'a Reference,
    },
}

/// What the gate says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContentDecision {
    /// It may come in as it is.
    Admitted {
        /// The rule that lets it in, for the report.
        rule: String,
    },
    /// The images in it must pass the gate: ask [`super::Gate::decide`] about each.
    Verify,
    /// The engine's own Dockerfile frontend takes its place.
    Builtin {
        /// The rule that says so, for the report.
        rule: String,
    },
    /// It may not come in.
    Refused(Refusal),
}
