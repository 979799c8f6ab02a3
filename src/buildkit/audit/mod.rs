//! Reads a definition before it may run: every source that it names, or a refusal.
//!
//! The graph that a nested build returned is exactly what the daemon will run, whatever the
//! Dockerfile looked like to a parser. So this is where it is decided that nothing unknown
//! enters: each operation is looked at, reachable or not, and what cannot be named is an
//! error. Operations whose contents are only computed from their inputs (exec, file, merge,
//! diff) bring nothing in by themselves; sources are listed; nested definitions, blobs and
//! kinds of operation that are not known here are refused.
//!
//! An operation's outer fields and those of a source are read strictly, field by field: a
//! field that is repeated or unknown is refused, so that no decoder can see another source
//! in the same bytes than this one.

mod source;
mod wire;

use std::collections::BTreeSet;

use prost::Message;

pub use self::source::{Source, SourceKind, place};
use self::wire::{Field, WireError};
use crate::buildkit::llb::operation_digest;
use crate::buildkit::proto::pb;
use crate::image::Digest;

/// What may enter a build, as the gate decided it.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    /// Repositories with the digests that were decided on.
    pub images: BTreeSet<(String, Digest)>,
    /// `repository:tag` of images that a rule lets in without a digest.
    pub unpinned: BTreeSet<String>,
    /// Content trust is off for this build: every image passes.
    pub any_image: bool,
    /// Digests of images from the client's own OCI layouts that were let in.
    pub layouts: BTreeSet<Digest>,
    /// Whether bare blobs may enter, which nobody can have signed.
    pub blobs: bool,
}

/// Every source of a definition. Fails on whatever this program cannot name.
pub fn sources(definition: &[u8]) -> Result<Vec<Source>, AuditError> {
    let definition = pb::Definition::decode(definition)
        .map_err(|_| AuditError::Malformed { reason: "the definition is no protobuf message" })?;
    if OPERATION_LIMIT < definition.def.len() {
        return Err(AuditError::TooManyOperations { limit: OPERATION_LIMIT });
    }
    let Some(last) = definition.def.len().checked_sub(1) else {
        // The empty result: nothing enters.
        return Ok(Vec::new());
    };
    let digests: BTreeSet<String> = definition.def.iter().map(|op| operation_digest(op)).collect();
    let mut sources = Vec::new();
    for (index, bytes) in definition.def.iter().enumerate() {
        match operation(bytes, &digests)? {
            Operation::Terminal if index == last => {}
            Operation::Terminal => {
                return Err(AuditError::Malformed { reason: "an operation has no kind" });
            }
            Operation::Computed | Operation::Source(_) if index == last => {
                return Err(AuditError::Malformed { reason: "the last operation is not the terminal one" });
            }
            Operation::Computed => {}
            Operation::Source(source) => {
                let source = Source::read(operation_digest(bytes), &source)?;
                if !sources.contains(&source) {
                    sources.push(source);
                }
            }
        }
    }
    Ok(sources)
}

/// Every source of a definition, each found to be allowed.
pub fn audit(definition: &[u8], allowed: &Allowed) -> Result<Vec<Source>, AuditError> {
    let sources = sources(definition)?;
    for source in &sources {
        allowed.check(source)?;
    }
    Ok(sources)
}

impl Allowed {
    /// Whether one source may enter.
    pub fn check(&self, source: &Source) -> Result<(), AuditError> {
        match &source.kind {
            // What the build's own author hands over or fetches; no image by itself.
            SourceKind::Local { .. } | SourceKind::Git { .. } | SourceKind::Http { .. } => Ok(()),
            SourceKind::Blob { locator } => {
                if self.any_image || self.blobs {
                    Ok(())
                } else {
                    Err(AuditError::Blob { identifier: locator.clone() })
                }
            }
            SourceKind::Layout { digest, .. } => {
                if self.any_image || self.layouts.contains(digest) {
                    Ok(())
                } else {
                    Err(AuditError::NotAllowed { identifier: source.identifier.clone() })
                }
            }
            SourceKind::Image { reference } => {
                if self.any_image {
                    return Ok(());
                }
                let repository = reference.repository();
                let tagged = format!("{repository}:{}", reference.tag_or_latest());
                let by_tag = reference.tag().is_some() || reference.digest().is_none();
                if by_tag && self.unpinned.contains(&tagged) {
                    return Ok(());
                }
                let Some(digest) = reference.digest() else {
                    return Err(AuditError::NoDigest { identifier: source.identifier.clone() });
                };
                if self.images.contains(&(repository, digest.clone())) {
                    Ok(())
                } else {
                    Err(AuditError::NotAllowed { identifier: source.identifier.clone() })
                }
            }
        }
    }
}

/// Why a definition may not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// The bytes do not make a definition, or make one that can be read in two ways.
    #[error("the build graph cannot be read: {reason}")]
    Malformed {
        /// What is wrong with them.
        reason: &'static str,
    },
    /// More operations than are looked at.
    #[error("the build graph has more than {limit} operations")]
    TooManyOperations {
        /// The most that is looked at.
        limit: usize,
    },
    /// A kind of operation that is not known here.
    #[error("the build graph has an operation of an unknown kind (field {field})")]
    UnknownOperation {
        /// The field's number on the wire.
        field: u32,
    },
    /// A definition inside the definition, made only while building.
    #[error("the build graph has a nested build, whose contents cannot be known before it runs")]
    NestedBuild,
    /// A source scheme that is not known here.
    #[error("source `{identifier}` is of a kind that is not known")]
    UnknownScheme {
        /// The source's identifier.
        identifier: String,
    },
    /// A single blob of a registry or an OCI layout, which carries no signature.
    #[error("source `{identifier}` is a bare blob, which cannot be verified")]
    Blob {
        /// The blob's identifier.
        identifier: String,
    },
    /// An attribute that changes what a source gives, or that is not known.
    #[error("source `{identifier}` has the attribute `{attribute}`, which may change what it contains")]
    Attribute {
        /// The source's identifier.
        identifier: String,
        /// The attribute's name.
        attribute: String,
    },
    /// A git source whose identifier names another place than it fetches from.
    #[error("source `{identifier}` is fetched from `{remote}`")]
    GitRemote {
        /// The source's identifier.
        identifier: String,
        /// What it is fetched from.
        remote: String,
    },
    /// A reference to an image that is none.
    #[error("source `{identifier}` is no image reference: {reason}")]
    Reference {
        /// The source's identifier.
        identifier: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An image that is named by its tag only.
    #[error("image `{identifier}` would enter the build by its tag, unverified")]
    NoDigest {
        /// The source's identifier.
        identifier: String,
    },
    /// A source that nobody decided to let in.
    #[error("image `{identifier}` would enter the build, unverified")]
    NotAllowed {
        /// The source's identifier.
        identifier: String,
    },
}

impl From<WireError> for AuditError {
    fn from(error: WireError) -> Self {
        Self::Malformed { reason: error.0 }
    }
}

/// What an operation is, as far as an audit cares.
enum Operation {
    /// The last one: it only points at the result.
    Terminal,
    /// Its result is computed from its inputs.
    Computed,
    /// It brings content in.
    Source(Vec<u8>),
}

fn operation(bytes: &[u8], digests: &BTreeSet<String>) -> Result<Operation, AuditError> {
    let mut kind: Option<Operation> = None;
    let mut inputs = 0_usize;
    let mut single = BTreeSet::new();
    for field in wire::fields(bytes) {
        let Field { number, value } = field?;
        if number == INPUT {
            let input = pb::Input::decode(value.message()?)
                .map_err(|_| AuditError::Malformed { reason: "an input is no protobuf message" })?;
            if !digests.contains(&input.digest) {
                return Err(AuditError::Malformed { reason: "an input is not in the graph" });
            }
            inputs += 1;
            continue;
        }
        if !single.insert(number) {
            return Err(AuditError::Malformed { reason: "an operation has a field twice" });
        }
        let next = match number {
            PLATFORM | CONSTRAINTS => continue,
            EXEC | FILE | MERGE | DIFF => Operation::Computed,
            SOURCE => Operation::Source(value.message()?.to_vec()),
            BUILD => return Err(AuditError::NestedBuild),
            field => return Err(AuditError::UnknownOperation { field }),
        };
        if kind.replace(next).is_some() {
            return Err(AuditError::Malformed { reason: "an operation has two kinds" });
        }
    }
    match kind {
        Some(Operation::Source(_)) if inputs != 0 => {
            Err(AuditError::Malformed { reason: "a source has inputs" })
        }
        Some(kind) => Ok(kind),
        None if inputs == 0 => Err(AuditError::Malformed { reason: "an operation is empty" }),
        None => Ok(Operation::Terminal),
    }
}

/// Field numbers of `pb.Op`. A pass-through operation (8) comes with an agreement between a
/// client and a daemon that is not to be seen in the graph, so it counts as unknown.
const INPUT: u32 = 1;
const EXEC: u32 = 2;
const SOURCE: u32 = 3;
const FILE: u32 = 4;
const BUILD: u32 = 5;
const MERGE: u32 = 6;
const DIFF: u32 = 7;
const PLATFORM: u32 = 10;
const CONSTRAINTS: u32 = 11;

/// The largest graphs of real Dockerfiles have a few thousand operations.
const OPERATION_LIMIT: usize = 100_000;

#[cfg(test)]
mod tests;
