//! Out of a server, while it runs, into an archive.

use std::path::Path;

use super::TransferError;
use super::archive::{FileMember, KeyMember, SigningKeyMember, Writer};
use super::keys::MovePassphrase;
use super::report::{ExportReport, Step};
use crate::image::Gun;
use crate::server::storage::{Snapshot, SqlStorage};
use crate::signer::vault::{SealingKeys, reseal};

/// What is exported.
#[derive(Debug, Default)]
pub struct Export {
    /// Repositories of these names and below them; none: all.
    pub repositories: Vec<String>,
    /// What becomes of keys.
    pub keys: ExportedKeys,
}

/// Which keys are exported, and how they are sealed.
#[derive(Debug, Default)]
pub enum ExportedKeys {
    /// As they are stored: only the same key-encryption keys open them.
    AsStored,
    /// None.
    #[default]
    None,
    /// Sealed anew.
    Under {
        /// What opens them.
        stored: SealingKeys,
        /// What they are sealed under.
        passphrase: MovePassphrase,
    },
}

impl Export {
    /// Writes the archive: all of one moment, whatever is published in the meantime.
    pub async fn run(
        &self,
        storage: &SqlStorage,
        path: &Path,
        watch: &mut (dyn FnMut(Step<'_>) + Send),
    ) -> Result<ExportReport, TransferError> {
        let mut snapshot = storage.snapshot().await?;
        let mut report = ExportReport::default();
        let mut writer = Writer::create(path).map_err(|it| TransferError::write(path, &it))?;
        let full = |it: std::io::Error| TransferError::write(path, &it);
        self.write_keys(&mut snapshot, &mut writer, path, &mut report).await?;
        let mut found = vec![false; self.repositories.len()];
        let mut after = 0;
        loop {
            let page = snapshot.repositories(after, PAGE).await?;
            if page.is_empty() {
                break;
            }
            for (id, gun) in page {
                after = id;
                if !self.wants(&gun, &mut found) {
                    continue;
                }
                watch(Step::Moving(gun.as_str()));
                write_repository(&mut snapshot, &mut writer, path, id, &gun, &mut report).await?;
            }
        }
        if let Some((prefix, _)) = self.repositories.iter().zip(&found).find(|(_, found)| !**found) {
            return Err(TransferError::Nothing { prefix: prefix.clone() });
        }
        let mut after = 0;
        loop {
            let page = snapshot.changes(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for change in page.iter().filter(|it| self.wants(&it.gun, &mut found)) {
                writer.change(change.into()).map_err(full)?;
                report.changes += 1;
            }
        }
        report.bytes = writer.finish().map_err(full)?;
        Ok(report)
    }

    async fn write_keys(
        &self,
        snapshot: &mut Snapshot,
        writer: &mut Writer,
        path: &Path,
        report: &mut ExportReport,
    ) -> Result<(), TransferError> {
        let moving = match &self.keys {
            ExportedKeys::None => return Ok(()),
            ExportedKeys::AsStored => None,
            ExportedKeys::Under { stored, passphrase } => {
                let failed =
                    |it: getrandom::Error| TransferError::Key { key: "?".to_owned(), reason: it.to_string() };
                Some((stored, passphrase.sealing().map_err(failed)?))
            }
        };
        let mut found = vec![false; self.repositories.len()];
        let mut after = String::new();
        loop {
            let page = snapshot.sealed_keys(&after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            last.public.canonical_id().as_str().clone_into(&mut after);
            for row in page.iter().filter(|it| self.wants(&it.gun, &mut found)) {
                let member = match &moving {
                    None => KeyMember::from(row),
                    Some((stored, passphrase)) => {
                        let sealed = reseal(row, stored, passphrase).map_err(|reason| {
                            TransferError::Key { key: row.public.canonical_id().to_string(), reason }
                        })?;
                        KeyMember::from(&sealed)
                    }
                };
                writer.key(member).map_err(|it| TransferError::write(path, &it))?;
                report.keys += 1;
            }
        }
    }

    /// Whether a repository is among those that are wanted; notes of which it is one.
    fn wants(&self, gun: &Gun, found: &mut [bool]) -> bool {
        if self.repositories.is_empty() {
            return true;
        }
        let mut wanted = false;
        for (prefix, found) in self.repositories.iter().zip(found) {
            let below = gun.as_str().strip_prefix(prefix.as_str());
            let is =
                below.is_some_and(|rest| rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/'));
            *found |= is;
            wanted |= is;
        }
        wanted
    }
}

async fn write_repository(
    snapshot: &mut Snapshot,
    writer: &mut Writer,
    path: &Path,
    id: i64,
    gun: &Gun,
    report: &mut ExportReport,
) -> Result<(), TransferError> {
    let full = |it: std::io::Error| TransferError::write(path, &it);
    writer.repository(gun).map_err(full)?;
    report.repositories += 1;
    for (role, key, created) in snapshot.signing_keys(gun).await? {
        writer.signing_key(SigningKeyMember::new(&role, &key, created)).map_err(full)?;
    }
    let mut after = 0;
    loop {
        let page = snapshot.files(id, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id;
        for file in &page {
            let content = snapshot.content(file.id).await?;
            // The record says how many bytes follow, whatever the database counted.
            let listed = crate::server::storage::Listed {
                size: u64::try_from(content.len()).unwrap_or(u64::MAX),
                ..file.clone()
            };
            writer.file(FileMember::from(&listed), &content).map_err(full)?;
            report.files += 1;
        }
    }
}

/// Rows that are read at once.
const PAGE: i64 = 500;
