//! One repository's verified state, and the delegations that are read when they are needed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::cache::{CachedFile, Start};
use super::refresh::Walked;
use super::remote::Remote;
use super::target::RoleStatus;
use super::{Cache, Freshness, TrustError};
use crate::image::Gun;
use crate::tuf::{
    RoleName, RootChain, TARGETS_LIMIT, Targets, Trusted, TufError, When, peek_version,
    signed_delegation_version, verify_delegation,
};

/// Roles that were verified together, and where they came from.
pub(super) struct Repository<W = jiff::Timestamp> {
    remote: Arc<Remote>,
    cache: Option<Cache>,
    chain: RootChain,
    walked: Walked<W>,
    account: Account,
    when: W,
    delegations: Mutex<BTreeMap<RoleName, Arc<OnceCell<Loaded<W>>>>>,
    later_notes: Mutex<Vec<String>>,
}

/// How a state came about.
pub(super) struct Account {
    pub(super) freshness: Freshness,
    pub(super) first_use: bool,
    /// The base roles whose files came from the cache.
    pub(super) cached: Vec<RoleName>,
    pub(super) notes: Vec<String>,
}

/// A delegation as it was found; the same for everybody who asks. `None`: nobody delegates to the
/// role, or it was never published.
pub(super) type Loaded<W> = Result<Option<Arc<Delegated<W>>>, TrustError>;

/// A verified delegation.
pub(super) struct Delegated<W = jiff::Timestamp> {
    pub(super) targets: Trusted<Targets, W>,
    pub(super) cached: bool,
}

impl<W: When + Send + Sync + 'static> Repository<W> {
    pub(super) fn new(
        remote: Arc<Remote>,
        cache: Option<Cache>,
        chain: RootChain,
        walked: Walked<W>,
        account: Account,
        when: W,
    ) -> Self {
        Self {
            remote,
            cache,
            chain,
            walked,
            account,
            when,
            delegations: Mutex::default(),
            later_notes: Mutex::default(),
        }
    }

    pub(super) fn gun(&self) -> &Gun {
        self.remote.gun()
    }

    pub(super) fn server(&self) -> String {
        self.remote.server()
    }

    pub(super) fn requests(&self) -> u32 {
        self.remote.requests()
    }

    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    pub(super) fn chain(&self) -> &RootChain {
        &self.chain
    }

    pub(super) fn targets(&self) -> &Trusted<Targets, W> {
        &self.walked.targets
    }

    pub(super) fn walked(&self) -> &Walked<W> {
        &self.walked
    }

    pub(super) fn timestamp_expires(&self) -> jiff::Timestamp {
        self.walked.timestamp.expires()
    }

    /// Whether the base roles are still valid: a reader can live for long.
    pub(super) fn check_time(&self, now: jiff::Timestamp) -> Result<(), TrustError> {
        let Walked { timestamp, snapshot, targets } = &self.walked;
        self.chain.check_expiry(now).map_err(|error| self.failed(error))?;
        let times = [
            (RoleName::TIMESTAMP, timestamp.expires()),
            (RoleName::SNAPSHOT, snapshot.expires()),
            (RoleName::TARGETS, targets.expires()),
        ];
        match times.into_iter().find(|(_, at)| *at <= now) {
            Some((role, at)) => Err(self.failed(TufError::Expired { role, at })),
            None => Ok(()),
        }
    }

    /// The four base roles.
    pub(super) fn base_roles(&self) -> Vec<RoleStatus> {
        let Walked { timestamp, snapshot, targets } = &self.walked;
        vec![status(self.chain.root()), status(timestamp), status(snapshot), status(targets)]
    }

    /// Adds a note.
    pub(super) fn note(&self, note: String) {
        let mut notes = self.later_notes.lock().unwrap_or_else(PoisonError::into_inner);
        if !notes.contains(&note) && notes.len() < NOTE_LIMIT {
            notes.push(note);
        }
    }

    /// All notes so far.
    pub(super) fn notes(&self) -> Vec<String> {
        let later = self.later_notes.lock().unwrap_or_else(PoisonError::into_inner);
        self.account.notes.iter().chain(later.iter()).cloned().collect()
    }

    /// The verified files that the cache does not have yet, `timestamp` last.
    pub(super) fn files_to_store(&self, start: &Start) -> Vec<(&RoleName, &[u8])> {
        let Walked { timestamp, snapshot, targets } = &self.walked;
        let mut files = Vec::new();
        let root = self.chain.root().raw();
        if start.root.as_deref() != Some(root) {
            files.push((&RoleName::ROOT, root));
        }
        for (role, raw) in [(&RoleName::TARGETS, targets.raw()), (&RoleName::SNAPSHOT, snapshot.raw())] {
            if !self.account.cached.contains(role) {
                files.push((role, raw));
            }
        }
        if start.timestamp.as_deref() != Some(timestamp.raw()) {
            files.push((&RoleName::TIMESTAMP, timestamp.raw()));
        }
        files
    }

    /// The verified delegation of this name, from the cache or the server.
    pub(super) async fn delegation(&self, role: &RoleName) -> Loaded<W> {
        let mut parent: Option<Arc<Delegated<W>>> = None;
        for ancestor in lineage(role) {
            let cell = {
                let mut delegations = self.delegations.lock().unwrap_or_else(PoisonError::into_inner);
                Arc::clone(delegations.entry(ancestor.clone()).or_default())
            };
            let above = parent.as_ref().map_or(&self.walked.targets, |parent| &parent.targets);
            match cell.get_or_init(|| self.load(above, &ancestor)).await {
                Ok(Some(found)) => parent = Some(Arc::clone(found)),
                other => return other.clone(),
            }
        }
        Ok(parent)
    }

    async fn load(&self, parent: &Trusted<Targets, W>, role: &RoleName) -> Loaded<W> {
        let snapshot = &self.walked.snapshot;
        let (Some(_), Some(meta)) = (parent.delegation(role), snapshot.meta(role)) else { return Ok(None) };
        let verify = |raw, minimum| verify_delegation(parent, role, snapshot, raw, minimum, self.when);
        let mut minimum = None;
        if let Some(old) = self.cached(role) {
            if u64::try_from(old.len()).is_ok_and(|length| length == meta.length) {
                match verify(old, None) {
                    Err(TufError::Hash { .. }) => {}
                    result => {
                        let targets = result.map_err(|error| self.failed(error))?;
                        return Ok(Some(Arc::new(Delegated { targets, cached: true })));
                    }
                }
            }
            if let Some(old) = self.cached(role) {
                match signed_delegation_version(parent, role, old) {
                    Ok(version) => minimum = Some(version),
                    Err(error) => self.note(format!("the cached `{role}` was passed over: {error}")),
                }
            }
        }
        let limit = usize::try_from(meta.length).unwrap_or(TARGETS_LIMIT).min(TARGETS_LIMIT);
        let raw = self
            .remote
            .by_hash(role, &meta.sha256, limit)
            .await
            .map_err(|error| self.remote.explain(error, role.as_str()))?;
        let copy = minimum.map(|_| raw.clone());
        let targets = match (verify(raw, minimum), copy) {
            (Err(TufError::Rollback { .. }), Some(raw)) if self.is_overtaken() => verify(raw, None),
            (result, _) => result,
        };
        let targets = targets.map_err(|error| self.failed(error))?;
        let delegated = Arc::new(Delegated { targets, cached: false });
        self.store(Arc::clone(&delegated)).await;
        Ok(Some(delegated))
    }

    /// Whether another process has cached a later state meanwhile: its files say nothing about this one.
    fn is_overtaken(&self) -> bool {
        let cached = self.cached(&RoleName::TIMESTAMP).and_then(|it| peek_version(&it));
        Some(self.walked.timestamp.version()) < cached
    }

    fn cached(&self, role: &RoleName) -> Option<Vec<u8>> {
        match self.cache.as_ref()?.read(self.gun(), role, TARGETS_LIMIT) {
            CachedFile::Content(raw) => Some(raw),
            CachedFile::Absent => None,
            CachedFile::Unreadable(reason) => {
                self.note(format!("the cached `{role}` was passed over: {reason}"));
                None
            }
        }
    }

    async fn store(&self, delegated: Arc<Delegated<W>>) {
        let Some(cache) = self.cache.clone() else { return };
        let (gun, timestamp) = (self.gun().clone(), self.walked.timestamp.raw().to_vec());
        let written = tokio::task::spawn_blocking(move || {
            let targets = &delegated.targets;
            cache.store_delegation(&gun, &timestamp, targets.role(), targets.raw())
        });
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.note(format!("the cache could not be written: {error}")),
            Err(error) => self.note(format!("the cache could not be written: {error}")),
        }
    }

    pub(super) fn failed(&self, source: TufError) -> TrustError {
        TrustError::Metadata { gun: self.gun().clone(), server: self.server(), source }
    }
}

/// A role's place in the account of what was checked.
pub(super) fn status<T, W>(role: &Trusted<T, W>) -> RoleStatus {
    RoleStatus {
        role: role.role().to_string(),
        version: role.version().get(),
        expires: role.expires(),
        key_ids: role.signatures().iter().map(ToString::to_string).collect(),
    }
}

/// `targets/a`, `targets/a/b`, … down to the role; nothing for a base role.
fn lineage(role: &RoleName) -> Vec<RoleName> {
    let mut lineage: Vec<RoleName> =
        std::iter::successors(role.is_delegation().then(|| role.clone()), RoleName::parent)
            .filter(RoleName::is_delegation)
            .collect();
    lineage.reverse();
    lineage
}

/// Notes are for people.
const NOTE_LIMIT: usize = 16;
