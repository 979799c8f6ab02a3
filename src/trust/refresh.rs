//! From what is cached and what the server says to one verified state of a repository.
//!
//! The order is that of Notary's client: the cached root is what the repository is known by; the
//! timestamp is always asked for; snapshot and targets come from the cache where they are the
//! named ones; a root is fetched when there is none, or when the others show that it was rotated.
//! The rules themselves are [`crate::tuf`]'s.
//!
//! What the cache can do wrong, and what follows: a root that can't be read or verified is an
//! error, since it is the pin; any other file is passed over with a note and fetched again; a
//! cache that can't be written is a note. A cache never turns a refusal into a pass.

use std::sync::Arc;

use super::cache::{CachedFile, Start, Stored};
use super::remote::{Contact, NOT_ASKED, Remote, RemoteError};
use super::repository::{Account, Repository};
use super::{Cache, Freshness, TrustError};
use crate::tuf::{
    FileMeta, ROOT_LIMIT, RoleName, Root, RootChain, RootPins, SNAPSHOT_LIMIT, Snapshot, TARGETS_LIMIT,
    TIMESTAMP_LIMIT, Targets, Timestamp, Trusted, TufError, Version, When, peek_version, signed_version,
    verify_snapshot, verify_targets, verify_timestamp,
};

/// What a refresh starts from.
pub(super) struct Refresh<W = jiff::Timestamp> {
    pub(super) remote: Arc<Remote>,
    pub(super) cache: Option<Cache>,
    pub(super) pins: RootPins,
    pub(super) now: jiff::Timestamp,
    /// When everything but the timestamp must be valid. The server renews the timestamp by itself, so
    /// that an expired one is an old one.
    pub(super) when: W,
}

impl<W: When + Send + Sync + 'static> Refresh<W> {
    /// The repository's current state, verified, and stored in the cache.
    pub(super) async fn run(self) -> Result<Repository<W>, TrustError> {
        let mut error = None;
        for _ in 0..RESTART_LIMIT {
            match self.attempt().await {
                Ok(Some(repository)) => return Ok(repository),
                Ok(None) => {}
                // Another process may have cached something newer than what the server had said here.
                Err(it @ TrustError::Metadata { source: TufError::Rollback { .. }, .. }) => error = Some(it),
                Err(it) => return Err(it),
            }
        }
        Err(error.unwrap_or_else(|| self.cache_error("other processes keep replacing it".to_owned())))
    }

    /// The server's root by itself, for when it is all that can be had.
    pub(super) async fn root(&self) -> Result<RootChain, TrustError> {
        let raw = self.remote.current(&RoleName::ROOT, ROOT_LIMIT).await;
        let raw = raw.map_err(|error| self.remote.explain(error, RoleName::ROOT.as_str()))?;
        let known = match self.cached_root()? {
            Some(cached) => self.known_chain(cached, &mut Vec::new())?,
            None => None,
        };
        let Some(mut chain) = known else {
            return RootChain::bootstrap(self.remote.gun(), raw, &self.pins, self.when)
                .map_err(|error| self.metadata_error(error));
        };
        if raw != chain.root().raw() {
            self.catch_up(&mut chain, raw).await?;
        }
        Ok(chain)
    }

    /// `None` means that another process trusted another root meanwhile.
    async fn attempt(&self) -> Result<Option<Repository<W>>, TrustError> {
        let mut notes = Vec::new();
        let cached_root = self.cached_root()?;
        let start = Start {
            root: cached_root.clone(),
            timestamp: self.cached(&RoleName::TIMESTAMP, TIMESTAMP_LIMIT, &mut notes),
        };
        let known = match cached_root {
            Some(raw) => self.known_chain(raw, &mut notes)?,
            None => None,
        };
        let first_use = known.is_none() && self.pins == RootPins::TrustOnFirstUse;
        let (mut chain, answer) = match known.clone() {
            // Who publishes wants to know of a new root before anything is signed with old keys.
            Some(mut chain) if self.remote.contact() == Contact::Push => {
                let (root, timestamp) = self.root_and_timestamp().await?;
                if root != chain.root().raw() {
                    self.catch_up(&mut chain, root).await?;
                }
                (chain, timestamp)
            }
            Some(chain) => (chain, self.remote.current(&RoleName::TIMESTAMP, TIMESTAMP_LIMIT).await),
            None => self.first_contact().await?,
        };
        let mut state = Walk {
            refresh: self,
            old_root: known,
            old_timestamp: start.timestamp.clone(),
            cached: Vec::new(),
            notes,
        };
        let (timestamp, freshness) = state.choose_timestamp(answer)?;
        let walked = match state.walk(&chain, timestamp, &freshness).await {
            Err(TrustError::Metadata { source, .. })
                if freshness == Freshness::Fresh && may_be_rotation(&source) =>
            {
                state.again_with_new_root(&mut chain, source).await?
            }
            other => other?,
        };
        let mut cached = state.cached;
        if start.root.as_deref() == Some(chain.root().raw()) {
            cached.insert(0, RoleName::ROOT);
        }
        if freshness != Freshness::Fresh {
            cached.insert(0, RoleName::TIMESTAMP);
        }
        let account = Account { freshness, first_use, cached, notes: state.notes };
        let repository =
            Repository::new(Arc::clone(&self.remote), self.cache.clone(), chain, walked, account, self.when);
        match self.store(start, repository).await? {
            (_, Stored::RootChanged) => Ok(None),
            (repository, Stored::Written | Stored::Overtaken) => Ok(Some(repository)),
        }
    }

    /// The cached root as bytes. It must be readable where it is there: without it, somebody
    /// else's root could take its place.
    fn cached_root(&self) -> Result<Option<Vec<u8>>, TrustError> {
        let Some(cache) = &self.cache else { return Ok(None) };
        match cache.read(self.remote.gun(), &RoleName::ROOT, ROOT_LIMIT) {
            CachedFile::Content(raw) => Ok(Some(raw)),
            CachedFile::Absent => Ok(None),
            CachedFile::Unreadable(reason) => Err(self.cache_error(reason)),
        }
    }

    fn known_chain(&self, raw: Vec<u8>, notes: &mut Vec<String>) -> Result<Option<RootChain>, TrustError> {
        match RootChain::from_cache(self.remote.gun(), raw, &self.pins) {
            Ok(chain) => Ok(Some(chain)),
            // The pins are newer than the cache, and need no history.
            Err(error @ (TufError::PinMismatch { .. } | TufError::Authority { .. })) => {
                notes.push(format!("the cached root was passed over: {error}"));
                Ok(None)
            }
            Err(error @ TufError::AuthorityUnusable { .. }) => Err(self.metadata_error(error)),
            Err(error) => Err(self.cache_error(error.to_string())),
        }
    }

    /// No root is known: root and timestamp are asked for at once.
    async fn first_contact(&self) -> Result<(RootChain, Result<Vec<u8>, RemoteError>), TrustError> {
        let (raw, timestamp) = self.root_and_timestamp().await?;
        let chain = RootChain::bootstrap(self.remote.gun(), raw, &self.pins, self.when)
            .map_err(|error| self.metadata_error(error))?;
        Ok((chain, timestamp))
    }

    async fn root_and_timestamp(&self) -> Result<(Vec<u8>, Result<Vec<u8>, RemoteError>), TrustError> {
        let (root, timestamp) = futures_util::future::join(
            self.remote.current(&RoleName::ROOT, ROOT_LIMIT),
            self.remote.current(&RoleName::TIMESTAMP, TIMESTAMP_LIMIT),
        )
        .await;
        let raw = root.map_err(|error| match error {
            RemoteError::Missing => {
                TrustError::NoTrustData { gun: self.remote.gun().clone(), server: self.remote.server() }
            }
            error => self.remote.explain(error, RoleName::ROOT.as_str()),
        })?;
        Ok((raw, timestamp))
    }

    /// Moves the chain on to this root, by way of every one in between where it must be.
    async fn catch_up(&self, chain: &mut RootChain, newest: Vec<u8>) -> Result<(), TrustError> {
        let failed = |error| self.metadata_error(error);
        let error = match chain.advance(newest.clone(), &self.pins, false, self.when) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let current = chain.root().version().get();
        let target = peek_version(&newest).map_or(0, Version::get);
        let gap = target.saturating_sub(current);
        if !matches!(error, TufError::NotSignedByPrevious { .. }) || !(2..=ROTATION_LIMIT).contains(&gap) {
            return Err(failed(error));
        }
        for version in current + 1..target {
            let raw = self
                .remote
                .by_version(&RoleName::ROOT, version, ROOT_LIMIT)
                .await
                .map_err(|error| self.remote.explain(error, &format!("{version}.root")))?;
            chain.advance(raw, &self.pins, true, self.when).map_err(failed)?;
        }
        chain.advance(newest, &self.pins, false, self.when).map_err(failed)
    }

    /// What is cached of a role other than root; a file that can't be read is passed over.
    fn cached(&self, role: &RoleName, limit: usize, notes: &mut Vec<String>) -> Option<Vec<u8>> {
        match self.cache.as_ref()?.read(self.remote.gun(), role, limit) {
            CachedFile::Content(raw) => Some(raw),
            CachedFile::Absent => None,
            CachedFile::Unreadable(reason) => {
                notes.push(format!("the cached `{role}` was passed over: {reason}"));
                None
            }
        }
    }

    /// Stores what did not come from the cache; that it could not is a note.
    async fn store(
        &self,
        start: Start,
        repository: Repository<W>,
    ) -> Result<(Repository<W>, Stored), TrustError> {
        let Some(cache) = self.cache.clone() else { return Ok((repository, Stored::Overtaken)) };
        // Nobody reads by an expired root, so nobody shall find one that was never trusted before.
        if repository.chain().check_expiry(self.now).is_err() {
            return Ok((repository, Stored::Overtaken));
        }
        // Most often nothing is new, and a thread takes longer than to see that.
        if repository.files_to_store(&start).is_empty() {
            return Ok((repository, Stored::Written));
        }
        let stored = tokio::task::spawn_blocking(move || {
            let files = repository.files_to_store(&start);
            match cache.store(repository.gun(), &start, &files) {
                Ok(stored) => (repository, stored),
                Err(error) => {
                    repository.note(format!("the cache could not be written: {error}"));
                    (repository, Stored::Overtaken)
                }
            }
        });
        stored.await.map_err(|error| TrustError::Internal {
            gun: self.remote.gun().clone(),
            reason: error.to_string(),
        })
    }

    fn metadata_error(&self, source: TufError) -> TrustError {
        TrustError::Metadata { gun: self.remote.gun().clone(), server: self.remote.server(), source }
    }

    fn cache_error(&self, reason: String) -> TrustError {
        let gun = self.remote.gun().clone();
        let path = self.cache.as_ref().map(|cache| cache.path(&gun, &RoleName::ROOT)).unwrap_or_default();
        TrustError::Cache { gun, path, reason }
    }
}

/// Timestamp, snapshot and targets that belong together.
pub(super) struct Walked<W = jiff::Timestamp> {
    pub(super) timestamp: Trusted<Timestamp, W>,
    pub(super) snapshot: Trusted<Snapshot, W>,
    pub(super) targets: Trusted<Targets, W>,
}

/// One refresh on its way through the roles.
struct Walk<'a, W> {
    refresh: &'a Refresh<W>,
    /// The cached root, by whose keys the cached files count as seen before.
    old_root: Option<RootChain>,
    old_timestamp: Option<Vec<u8>>,
    cached: Vec<RoleName>,
    notes: Vec<String>,
}

impl<W: When + Send + Sync + 'static> Walk<'_, W> {
    /// The server's timestamp; where the server can't be reached, the cached one.
    fn choose_timestamp(
        &mut self,
        answer: Result<Vec<u8>, RemoteError>,
    ) -> Result<(Vec<u8>, Freshness), TrustError> {
        match (answer, &self.old_timestamp) {
            (Ok(raw), _) => Ok((raw, Freshness::Fresh)),
            (Err(RemoteError::Http(error)), Some(raw))
                if error.is_unreachable() && self.refresh.remote.contact() == Contact::Pull =>
            {
                Ok((raw.clone(), Freshness::Cached { reason: error.to_string() }))
            }
            (Err(RemoteError::NotAsked), Some(raw)) => {
                Ok((raw.clone(), Freshness::Cached { reason: NOT_ASKED.to_owned() }))
            }
            (Err(error), _) => Err(self.refresh.remote.explain(error, RoleName::TIMESTAMP.as_str())),
        }
    }

    async fn walk(
        &mut self,
        chain: &RootChain,
        raw: Vec<u8>,
        freshness: &Freshness,
    ) -> Result<Walked<W>, TrustError> {
        let refresh = self.refresh;
        let failed = |error| refresh.metadata_error(error);
        self.cached.clear();
        if let Some(now) = refresh.when.now() {
            chain.check_expiry(now).map_err(failed)?;
        }
        let root = chain.root();
        let minimum = match &self.old_timestamp {
            // The same file again: it was seen before, and that is all it says.
            Some(old) if *old == raw => None,
            Some(old) => self.seen_before(&RoleName::TIMESTAMP, old.clone()),
            None => None,
        };
        let timestamp = match (self.verify_timestamp(root, raw, minimum), freshness) {
            (Ok(timestamp), _) => timestamp,
            (Err(error), Freshness::Fresh) => return Err(failed(error)),
            (Err(error), Freshness::Cached { reason }) => return Err(self.nothing_left(reason, &error)),
        };
        let meta = timestamp.snapshot().clone();
        let verify = |raw, minimum| verify_snapshot(root, &timestamp, raw, minimum, refresh.when);
        let snapshot = self.named_file(&RoleName::SNAPSHOT, &meta, SNAPSHOT_LIMIT, verify).await?;
        let Some(meta) = snapshot.meta(&RoleName::TARGETS).cloned() else {
            return Err(failed(TufError::NotInSnapshot { role: RoleName::TARGETS }));
        };
        let verify = |raw, minimum| verify_targets(root, &snapshot, raw, minimum, refresh.when);
        let targets = self.named_file(&RoleName::TARGETS, &meta, TARGETS_LIMIT, verify).await?;
        Ok(Walked { timestamp, snapshot, targets })
    }

    fn verify_timestamp(
        &self,
        root: &Trusted<Root>,
        raw: Vec<u8>,
        minimum: Option<Version>,
    ) -> Result<Trusted<Timestamp, W>, TufError> {
        let timestamp = verify_timestamp(root, raw, minimum, self.refresh.when)?;
        if self.refresh.remote.contact() != Contact::Never {
            timestamp.check_expiry(self.refresh.now)?;
        }
        Ok(timestamp)
    }

    /// The file that another one names: from the cache if it is the one, else from the server.
    async fn named_file<T>(
        &mut self,
        role: &RoleName,
        meta: &FileMeta,
        limit: usize,
        verify: impl Fn(Vec<u8>, Option<Version>) -> Result<Trusted<T, W>, TufError>,
    ) -> Result<Trusted<T, W>, TrustError> {
        let refresh = self.refresh;
        let mut minimum = None;
        if let Some(old) = refresh.cached(role, limit, &mut self.notes) {
            if same_length(&old, meta) {
                match verify(old, None) {
                    Err(TufError::Hash { role: other, .. }) if other == *role => {}
                    result => {
                        self.cached.push(role.clone());
                        return result.map_err(|error| refresh.metadata_error(error));
                    }
                }
            }
            // Read again rather than kept: a large file is seldom needed twice.
            if let Some(old) = refresh.cached(role, limit, &mut self.notes) {
                minimum = self.seen_before(role, old);
            }
        }
        let limit = usize::try_from(meta.length).unwrap_or(limit).min(limit);
        let raw = refresh
            .remote
            .by_hash(role, &meta.sha256, limit)
            .await
            .map_err(|error| refresh.remote.explain(error, role.as_str()))?;
        verify(raw, minimum).map_err(|error| refresh.metadata_error(error))
    }

    /// The version of a cached file that the cached root's keys signed.
    fn seen_before(&mut self, role: &RoleName, raw: Vec<u8>) -> Option<Version> {
        let old_root = self.old_root.as_ref()?;
        match signed_version(old_root.root(), role, raw) {
            Ok(version) => Some(version),
            Err(error) => {
                self.notes.push(format!("the cached `{role}` was passed over: {error}"));
                None
            }
        }
    }

    /// Fetches the server's root, and walks again if it is another one.
    async fn again_with_new_root(
        &mut self,
        chain: &mut RootChain,
        reason: TufError,
    ) -> Result<Walked<W>, TrustError> {
        let refresh = self.refresh;
        let remote = &refresh.remote;
        let explain = |error| remote.explain(error, RoleName::ROOT.as_str());
        let raw = remote.current(&RoleName::ROOT, ROOT_LIMIT).await.map_err(explain)?;
        if raw == chain.root().raw() {
            return Err(refresh.metadata_error(reason));
        }
        refresh.catch_up(chain, raw).await?;
        let timestamp = remote
            .current(&RoleName::TIMESTAMP, TIMESTAMP_LIMIT)
            .await
            .map_err(|error| remote.explain(error, RoleName::TIMESTAMP.as_str()))?;
        self.walk(chain, timestamp, &Freshness::Fresh).await
    }

    /// The server can't be reached, and the cached timestamp does not help either.
    fn nothing_left(&self, reason: &str, error: &TufError) -> TrustError {
        TrustError::StaleCache {
            gun: self.refresh.remote.gun().clone(),
            server: self.refresh.remote.server(),
            reason: reason.to_owned(),
            cached: error.to_string(),
        }
    }
}

fn same_length(raw: &[u8], meta: &FileMeta) -> bool {
    u64::try_from(raw.len()).is_ok_and(|length| length == meta.length)
}

/// Whether a newer root could explain this failure.
fn may_be_rotation(error: &TufError) -> bool {
    match error {
        TufError::Threshold { .. } | TufError::NoSignatures { .. } | TufError::CertificateExpired { .. } => {
            true
        }
        TufError::Expired { role, .. } | TufError::Hash { role, .. } | TufError::Length { role, .. } => {
            *role == RoleName::ROOT
        }
        _ => false,
    }
}

/// Each restart means that another process changed the cache in the meantime, or that the server lies.
const RESTART_LIMIT: usize = 3;
/// A client that has missed more rotations than this has not run for years.
const ROTATION_LIMIT: u64 = 128;
