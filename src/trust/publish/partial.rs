//! Documents that are passed round for signatures: one file, one document a line.

use crate::tuf::author::PartialDocument;
use crate::tuf::{RoleKeys, RoleName, TARGETS_LIMIT, Version};

use super::run::Run;
use super::workspace::Base;
use super::{Outcome, Part, PublishError};
use crate::image::Gun;

/// The text of a file.
pub(super) fn write(parts: &[Part]) -> Result<Vec<u8>, PublishError> {
    let mut text = Vec::new();
    for part in parts {
        let line = part.document.to_text().map_err(|it| malformed(it.to_string()))?;
        text.extend_from_slice(&line);
    }
    Ok(text)
}

/// Copies of one file, merged and checked against the repository's state.
pub(super) async fn read(
    gun: &Gun,
    base: Option<&Base>,
    texts: &[Vec<u8>],
) -> Result<Vec<(PartialDocument, Vec<RoleKeys>)>, PublishError> {
    let mut documents: Vec<(PartialDocument, Vec<RoleKeys>)> = Vec::new();
    for text in texts {
        if TARGETS_LIMIT < text.len() {
            return Err(malformed(format!("it is longer than {TARGETS_LIMIT} bytes")));
        }
        // Within a copy a parent comes before its children, and names their keys.
        let mut of_copy: Vec<PartialDocument> = Vec::new();
        for line in text.split(|it| *it == b'\n').filter(|it| !it.trim_ascii().is_empty()) {
            if PART_LIMIT <= of_copy.len() {
                return Err(malformed(format!("it has more than {PART_LIMIT} documents")));
            }
            let role = role_of(line)?;
            let keys = keys_of(gun, base, &of_copy, &role).await?;
            let document = PartialDocument::from_text(line, gun, &role, &keys);
            let document = document.map_err(|it| malformed(it.to_string()))?;
            let mut demands = vec![keys];
            if role == RoleName::ROOT {
                let root = document.unverified_root().map_err(|it| malformed(it.to_string()))?;
                demands.extend(root.role(&RoleName::ROOT).cloned());
            }
            match documents.iter_mut().find(|(it, _)| *it.role() == role) {
                Some((known, _)) => {
                    known.merge(&document).map_err(|it| malformed(it.to_string()))?;
                }
                None => documents.push((document.clone(), demands)),
            }
            of_copy.push(document);
        }
    }
    if documents.is_empty() {
        return Err(malformed("it is empty".to_owned()));
    }
    Ok(documents)
}

/// The keys that may sign a role: as a parent in the same file will say, else as the repository says.
async fn keys_of(
    gun: &Gun,
    base: Option<&Base>,
    parts: &[PartialDocument],
    role: &RoleName,
) -> Result<RoleKeys, PublishError> {
    let unreadable = |it: crate::tuf::TufError| malformed(it.to_string());
    let missing = || PublishError::NoSuchRole { gun: gun.clone(), role: role.clone() };
    let Some(base) = base else { return Err(missing()) };
    let found = match role.parent() {
        Some(parent) => match parts.iter().find(|it| *it.role() == parent) {
            Some(part) => {
                let targets = part.unverified_targets().map_err(unreadable)?;
                targets.delegation(role).map(|it| it.keys.clone())
            }
            None if parent == RoleName::TARGETS => base.targets().delegation(role).map(|it| it.keys.clone()),
            None => {
                let parent = base.delegation(&parent).await?;
                parent.and_then(|it| it.targets.delegation(role).map(|it| it.keys.clone()))
            }
        },
        None => match parts.iter().find(|it| *it.role() == RoleName::ROOT) {
            Some(part) if *role != RoleName::ROOT => {
                part.unverified_root().map_err(unreadable)?.role(role).cloned()
            }
            _ => base.chain().keys(role).cloned(),
        },
    };
    found.ok_or_else(missing)
}

/// The role that a line is about; everything else is read once it is known.
fn role_of(line: &[u8]) -> Result<RoleName, PublishError> {
    #[derive(serde::Deserialize)]
    struct Head {
        role: String,
    }
    let head: Head = serde_json::from_slice(line).map_err(|it| malformed(it.to_string()))?;
    head.role.parse().map_err(|it: crate::tuf::TufError| malformed(it.to_string()))
}

impl Run<'_> {
    /// The documents of such files, checked against the repository's state.
    pub(super) async fn read_parts(
        &mut self,
        texts: &[Vec<u8>],
    ) -> Result<(Option<Base>, Vec<(PartialDocument, Vec<RoleKeys>)>), PublishError> {
        let base = self.read().await?;
        let documents = read(self.remote.gun(), base.as_ref(), texts).await?;
        Ok((base, documents))
    }

    /// Signs the documents of such files with the keys that are here, and publishes them if that suffices.
    pub(super) async fn publish_parts(mut self, texts: &[Vec<u8>]) -> Result<Outcome, PublishError> {
        let (base, documents) = self.read_parts(texts).await?;
        let mut parts = Vec::new();
        for (document, demands) in documents {
            self.check_is_next(base.as_ref(), &document).await?;
            parts.push(self.keyring.sign_partial(document, &demands)?);
        }
        if parts.iter().any(|it| !it.missing.is_empty()) {
            return Ok(Outcome::Incomplete(parts));
        }
        self.add_snapshot(base.as_ref(), &mut parts)?;
        self.publish_as_is(base, parts).await
    }

    /// Whether a document is the version after the server's.
    async fn check_is_next(
        &self,
        base: Option<&Base>,
        document: &PartialDocument,
    ) -> Result<(), PublishError> {
        let Some(base) = base else { return Ok(()) };
        let role = document.role();
        let current = if *role == RoleName::ROOT {
            Some(base.chain().root().version())
        } else if *role == RoleName::TARGETS {
            Some(base.targets().version())
        } else {
            // A file that does not hold any more has no version to go by; the server knows.
            base.delegation(role).await.ok().flatten().map(|it| it.targets.version())
        };
        let Some(expected) = current.and_then(Version::next) else { return Ok(()) };
        if document.version() == expected {
            return Ok(());
        }
        Err(PublishError::PartOutdated {
            gun: self.remote.gun().clone(),
            role: role.clone(),
            found: document.version(),
            expected,
        })
    }
}

fn malformed(reason: String) -> PublishError {
    PublishError::Parts { reason }
}

/// A publication changes a few roles at a time.
const PART_LIMIT: usize = 64;
