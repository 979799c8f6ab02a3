//! Into a server, which may be running: from an archive, or from what a notary-server and its signer had.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::TransferError;
use super::archive::Reader;
use super::check::{CheckError, Checked, check, past};
use super::keys::{MovePassphrase, is_of_move};
use super::notary::NotaryFiles;
use super::report::{ImportReport, KeyLeft, KeysReport, Outcome, RepositoryReport, Step};
use super::source::{Archive, Offer, Offered, Source};
use crate::server::storage::{Change, Head, NewFile, PastFile, SqlStorage, Storage as _, StorageError};
use crate::signer::takeover::NotaryKeys;
use crate::signer::vault::{AdoptError, Lookup, SealingKeys};
use crate::signer::{Alias, KeyService, KeyServiceError, Vault};
use crate::tuf::RoleName;

/// What is imported.
#[derive(Debug)]
pub struct Import {
    /// Where from.
    pub from: ImportFrom,
    /// Whether nothing is imported where one repository does not verify.
    pub strict: bool,
    /// What opens the keys of an archive that were sealed under a passphrase of the move.
    pub passphrase: Option<MovePassphrase>,
}

/// Where repositories and keys come from.
#[derive(Clone, Debug)]
pub enum ImportFrom {
    /// An archive.
    Archive(PathBuf),
    /// Databases of Notary's: each the address of a running PostgreSQL, or the path of a dump.
    Notary {
        /// The server's files.
        server: Option<String>,
        /// The signer's keys.
        signer: Option<String>,
    },
}

/// Where keys are put.
pub struct SignerInside<'a> {
    /// The vault of a signer inside the server; `None`: keys are another process's business.
    pub vault: Option<&'a Vault>,
    /// Who signs for the server, inside it or not; `None`: it is not asked which keys there are.
    pub keys: Option<Arc<dyn KeyService>>,
    /// Looks up the passphrases of a notary-signer.
    pub variables: Lookup<'a>,
}

impl Import {
    /// Does it, and says what became of each repository. What was put in place stays, whatever comes after
    /// it: done again, an import goes on where it stopped.
    pub async fn run(
        &self,
        storage: &SqlStorage,
        signer: &SignerInside<'_>,
        now: Timestamp,
        watch: &mut (dyn FnMut(Step<'_>) + Send),
    ) -> Result<ImportReport, TransferError> {
        let mut report = ImportReport::default();
        let source = match &self.from {
            ImportFrom::Archive(path) => Some(Source::Archive(Box::new(Archive::over(Reader::open(path)?)))),
            ImportFrom::Notary { server: Some(server), .. } => {
                Some(Source::Notary(Box::new(NotaryFiles::open(server, now).await?)))
            }
            ImportFrom::Notary { server: None, .. } => None,
        };
        let Some(mut source) = source else {
            report.keys = self.notary_keys(signer).await?;
            return Ok(report);
        };
        // An archive is whole, or nothing of it is taken.
        if self.strict || matches!(source, Source::Archive(_)) {
            self.look_through(&mut source, watch).await?;
            source.again()?;
        }
        // Keys first: a server that runs signs for a repository as soon as it is there.
        report.keys = match &mut source {
            Source::Archive(archive) => self.archived_keys(archive, signer).await?,
            Source::Notary(_) => self.notary_keys(signer).await?,
        };
        let mut desk = Desk { source, storage, signer, now, feed_follows: storage.has_no_changes().await? };
        while let Some(offer) = desk.source.next().await? {
            report.repositories.push(match offer {
                Offer::Nameless { name, reason } => RepositoryReport::not(&name, Outcome::Damaged, reason),
                Offer::Repository(offered) => {
                    watch(Step::Moving(offered.gun.as_str()));
                    desk.import(&offered).await?
                }
            });
        }
        if desk.feed_follows {
            report.changes = desk.restore_changes().await?;
        }
        Ok(report)
    }

    /// Whether the source is whole, and everything in it verifies where that is asked for.
    async fn look_through(
        &self,
        source: &mut Source,
        watch: &mut (dyn FnMut(Step<'_>) + Send),
    ) -> Result<(), TransferError> {
        while let Some(offer) = source.next().await? {
            let (gun, reason) = match offer {
                Offer::Nameless { name, reason } => (name, reason),
                Offer::Repository(_) if !self.strict => continue,
                Offer::Repository(offered) => {
                    watch(Step::Checking(offered.gun.as_str()));
                    match check(source, &offered).await {
                        Ok(_) => continue,
                        Err(CheckError::Source(error)) => return Err(error),
                        Err(CheckError::Damage(damage)) => (offered.gun.to_string(), damage.reason),
                    }
                }
            };
            if self.strict {
                return Err(TransferError::Damaged { gun, reason });
            }
        }
        while source.next_change().await?.is_some() {}
        Ok(())
    }

    async fn notary_keys(&self, signer: &SignerInside<'_>) -> Result<Option<KeysReport>, TransferError> {
        let ImportFrom::Notary { signer: Some(keys), .. } = &self.from else { return Ok(None) };
        let keys = NotaryKeys::open(keys).await?;
        let vault = signer.vault.ok_or_else(no_vault)?;
        let outcome = keys.take_over(vault, signer.variables).await?;
        let left = outcome.left.into_iter().map(|(id, reason)| KeyLeft { id, reason }).collect();
        Ok(Some(KeysReport { imported: outcome.taken, present: outcome.present, left }))
    }

    async fn archived_keys(
        &self,
        archive: &mut Archive,
        signer: &SignerInside<'_>,
    ) -> Result<Option<KeysReport>, TransferError> {
        let mut report = None;
        let mut opening: BTreeMap<Alias, SealingKeys> = BTreeMap::new();
        while let Some(member) = archive.next_key()? {
            let report = report.get_or_insert_with(KeysReport::default);
            let row = match member.row() {
                Ok(row) => row,
                Err(reason) => {
                    report.left.push(KeyLeft { id: "?".to_owned(), reason });
                    continue;
                }
            };
            let id = row.public.canonical_id().to_string();
            let vault = signer.vault.ok_or_else(no_vault)?;
            let alias = &row.sealed.alias;
            if !opening.contains_key(alias)
                && let Some(keys) = self.passphrase.as_ref().and_then(|it| it.opening(alias))
            {
                opening.insert(alias.clone(), keys);
            }
            let of_move = opening.get(alias);
            if of_move.is_none() && is_of_move(alias) {
                let reason = "it is sealed under the passphrase of the export, which is not given".to_owned();
                report.left.push(KeyLeft { id, reason });
                continue;
            }
            match vault.adopt(&row, of_move).await {
                Ok(true) => report.imported += 1,
                Ok(false) => report.present += 1,
                Err(AdoptError::Key(reason)) => report.left.push(KeyLeft { id, reason }),
                Err(AdoptError::Rows(error)) => return Err(error.into()),
            }
        }
        Ok(report)
    }
}

fn no_vault() -> TransferError {
    let reason =
        "another process signs for this server; `trustgate-signer import` takes a notary-signer's keys there";
    TransferError::Vault(KeyServiceError::Failed { reason: reason.to_owned() })
}

/// An import at work.
struct Desk<'a> {
    source: Source,
    storage: &'a SqlStorage,
    signer: &'a SignerInside<'a>,
    now: Timestamp,
    /// Whether the list of changes is put back as it was, once all repositories are here.
    feed_follows: bool,
}

/// What is to be done with a repository.
enum Plan {
    Put { outcome: Outcome, change: Change },
    Leave(Outcome),
    Refuse(String),
}

impl Desk<'_> {
    async fn import(&mut self, offered: &Offered) -> Result<RepositoryReport, TransferError> {
        let checked = match check(&mut self.source, offered).await {
            Ok(checked) => checked,
            Err(CheckError::Source(error)) => return Err(error),
            Err(CheckError::Damage(damage)) => {
                let name = offered.gun.as_str();
                return Ok(RepositoryReport::not(name, Outcome::Damaged, damage.reason));
            }
        };
        let mut tries = 0;
        let outcome = loop {
            match self.plan(offered, &checked).await? {
                Plan::Refuse(reason) => {
                    return Ok(RepositoryReport::not(offered.gun.as_str(), Outcome::Refused, reason));
                }
                Plan::Leave(outcome) => break outcome,
                Plan::Put { outcome, change } => {
                    let stored = checked.places.iter().filter_map(|(role, place)| {
                        offered.files.get(*place).map(|it| (role.clone(), it.stored))
                    });
                    let (stored, recorded) = (stored.collect(), !self.feed_follows);
                    let put =
                        self.storage.restore_state(&offered.gun, &change, &stored, recorded, self.now).await;
                    match put {
                        Ok(()) => break outcome,
                        // Somebody published in between.
                        Err(StorageError::Moved) if tries < TRIES => tries += 1,
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        };
        let mut report = RepositoryReport::of(&offered.gun, outcome);
        self.restore_past(offered, &checked, outcome, &mut report).await?;
        for (role, key, created) in &offered.signing_keys {
            self.storage.add_signing_key(&offered.gun, role, key, *created).await?;
        }
        let heads = self.storage.heads(&offered.gun).await?;
        report.versions = heads.into_iter().map(|(role, it)| (role, it.version.get())).collect();
        report.keys_missing = self.keys_missing(&checked).await?;
        Ok(report)
    }

    /// Compares what is offered with what is here.
    async fn plan(&self, offered: &Offered, checked: &Checked) -> Result<Plan, TransferError> {
        let heads = self.storage.heads(&offered.gun).await?;
        let files = || checked.current.values();
        let put = |outcome, expected, files, retired| Plan::Put {
            outcome,
            change: Change { expected, files, retired },
        };
        let Some(here) = heads.get(&RoleName::TIMESTAMP) else {
            return Ok(put(Outcome::Imported, None, files().cloned().collect(), Vec::new()));
        };
        let same = |file: &NewFile| heads.get(&file.role).is_some_and(|it| it.sha256 == file.sha256);
        if files().all(same) && heads.len() == checked.current.len() {
            return Ok(Plan::Leave(Outcome::Unchanged));
        }
        let Some(timestamp) = checked.current.get(&RoleName::TIMESTAMP) else {
            return Ok(Plan::Refuse("it has no timestamp".to_owned()));
        };
        // On its way from there to here, or from here to there, no role may have gone back.
        if let Some(reason) = self.other_lineage(offered, checked, &heads).await? {
            return Ok(Plan::Refuse(reason));
        }
        let conflict = |file: &&NewFile| {
            heads.get(&file.role).is_some_and(|it| it.version == file.version && it.sha256 != file.sha256)
        };
        if let Some(file) = files().find(conflict) {
            let NewFile { role, version, .. } = file;
            return Ok(Plan::Refuse(format!(
                "`{role}` has version {version} here, too, and is another file"
            )));
        }
        let older = |file: &&NewFile| heads.get(&file.role).is_some_and(|it| file.version < it.version);
        let newer = |file: &&NewFile| heads.get(&file.role).is_some_and(|it| it.version < file.version);
        if timestamp.version < here.version {
            return Ok(match files().find(newer) {
                None => Plan::Leave(Outcome::Kept),
                Some(file) => Plan::Refuse(format!(
                    "its timestamp is older than the one here, and its `{}` is newer: it went on in two ways",
                    file.role
                )),
            });
        }
        if let Some(file) = files().find(older) {
            return Ok(Plan::Refuse(format!(
                "its timestamp is newer than the one here, and its `{}` is older: it went on in two ways",
                file.role
            )));
        }
        let changed = files().filter(|it| !same(it)).cloned().collect();
        let retired = heads.keys().filter(|it| !checked.current.contains_key(*it)).cloned().collect();
        Ok(put(Outcome::Updated, Some(here.sha256), changed, retired))
    }

    /// Why what is here and what is offered have not the same roots, where they have not.
    async fn other_lineage(
        &self,
        offered: &Offered,
        checked: &Checked,
        heads: &BTreeMap<RoleName, Head>,
    ) -> Result<Option<String>, TransferError> {
        let (Some(here), Some(there)) = (heads.get(&RoleName::ROOT), checked.current.get(&RoleName::ROOT))
        else {
            return Ok(Some("it has no root".to_owned()));
        };
        // The older of the two must be an ancestor of the newer; chains were verified on either side.
        let shared = if here.version <= there.version {
            offered.files.iter().any(|it| it.role == RoleName::ROOT && it.sha256 == here.sha256)
        } else {
            self.storage.by_hash(&offered.gun, &RoleName::ROOT, &there.sha256).await?.is_some()
        };
        Ok((!shared).then(|| "it has other roots here: it is another repository of the same name".to_owned()))
    }

    /// Puts the files of the past in place that are not here yet.
    async fn restore_past(
        &mut self,
        offered: &Offered,
        checked: &Checked,
        outcome: Outcome,
        report: &mut RepositoryReport,
    ) -> Result<(), TransferError> {
        let known = self.storage.known_files(&offered.gun).await?;
        let current: BTreeSet<_> = checked.current.values().map(|it| (&it.role, it.version)).collect();
        let mut portion: Vec<PastFile> = Vec::new();
        let mut length = 0;
        for file in &offered.files {
            let mark = (file.role.clone(), file.version, file.sha256);
            // A role that was given up and begun anew has versions twice: the one that counts stays the last.
            let hidden = outcome != Outcome::Kept && current.contains(&(&file.role, file.version));
            if hidden || known.contains(&mark) {
                continue;
            }
            let content = self.source.content(file).await?;
            length += content.len();
            match past(file, content) {
                Some(it) => {
                    let replaced = file.replaced.unwrap_or(self.now);
                    portion.push(PastFile { file: it, stored: file.stored, replaced });
                    report.past_files += 1;
                }
                None => report.left_out += 1,
            }
            if PORTION_FILES <= portion.len() || PORTION_BYTES <= length {
                self.storage.restore_past(&offered.gun, &portion).await?;
                portion.clear();
                length = 0;
            }
        }
        if !portion.is_empty() {
            self.storage.restore_past(&offered.gun, &portion).await?;
        }
        Ok(())
    }

    /// The roles that the server signs for this repository, and cannot, for want of a key.
    async fn keys_missing(&self, checked: &Checked) -> Result<Vec<RoleName>, TransferError> {
        let Some(service) = &self.signer.keys else { return Ok(Vec::new()) };
        let mut missing = Vec::new();
        // Publishers may sign snapshots themselves; timestamps are the server's alone.
        for role in [RoleName::TIMESTAMP] {
            let Some(keys) = checked.keys(&role) else { continue };
            let mut held = false;
            for key in &keys.keys {
                held |= match service.info(key.id()).await {
                    Ok(_) => true,
                    Err(KeyServiceError::Unknown { .. }) => false,
                    Err(error) => return Err(error.into()),
                };
            }
            if !held {
                missing.push(role);
            }
        }
        Ok(missing)
    }

    async fn restore_changes(&mut self) -> Result<u64, TransferError> {
        let mut restored = 0;
        let Some(mut list) = self.storage.restore_changes().await? else { return Ok(0) };
        while let Some(change) = self.source.next_change().await? {
            list.add(&change).await?;
            restored += 1;
        }
        if restored != 0 {
            list.finish().await?;
        }
        Ok(restored)
    }
}

/// Somebody who publishes all the time is waited for, not for ever.
const TRIES: u32 = 10;
/// Files of the past that go in one transaction, and bytes of them: nobody who publishes waits for long.
const PORTION_FILES: usize = 100;
const PORTION_BYTES: usize = 8 << 20;
