//! A repository as it is stored: what a publish starts from.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use super::PublicationError;
use crate::image::Gun;
use crate::server::storage::{Head, Storage, StorageError, sha256};
use crate::tuf::{
    AnyTime, RoleName, RootChain, RootPins, Snapshot, Timestamp, Trusted, Version, verify_snapshot,
    verify_timestamp,
};

/// The state of one moment.
pub(super) struct State {
    heads: BTreeMap<RoleName, Head>,
    verified: Option<Arc<Verified>>,
}

/// The files that every publish goes on from, verified whatever their age.
pub(super) struct Verified {
    pub(super) chain: RootChain,
    pub(super) timestamp: Trusted<Timestamp, AnyTime>,
    pub(super) snapshot: Trusted<Snapshot, AnyTime>,
}

impl State {
    pub(super) async fn load(
        storage: &dyn Storage,
        gun: &Gun,
        known: &KnownStates,
    ) -> Result<Self, PublicationError> {
        let heads = storage.heads(gun).await?;
        if heads.is_empty() {
            return Ok(Self { heads, verified: None });
        }
        if let Some(verified) = known.get(gun, &heads) {
            return Ok(Self { heads, verified: Some(verified) });
        }
        let mut state = Self { heads, verified: None };
        let root = state.file(storage, gun, &RoleName::ROOT).await?;
        let timestamp = state.file(storage, gun, &RoleName::TIMESTAMP).await?;
        let snapshot = state.file(storage, gun, &RoleName::SNAPSHOT).await?;
        let verified = Verified::of(gun, root, timestamp, snapshot).map_err(|error| {
            StorageError::Corrupt { reason: format!("the files of `{gun}` do not verify: {error}") }
        })?;
        state.verified = Some(Arc::new(verified));
        Ok(state)
    }

    pub(super) fn verified(&self) -> Option<&Arc<Verified>> {
        self.verified.as_ref()
    }

    /// Each role's newest file.
    pub(super) fn heads(&self) -> &BTreeMap<RoleName, Head> {
        &self.heads
    }

    pub(super) fn version(&self, role: &RoleName) -> Option<Version> {
        self.heads.get(role).map(|it| it.version)
    }

    /// The bytes of a role's file in this state. They are asked for by hash: what is newest may be
    /// newer than this by now.
    pub(super) async fn file(
        &self,
        storage: &dyn Storage,
        gun: &Gun,
        role: &RoleName,
    ) -> Result<Vec<u8>, PublicationError> {
        let missing = || StorageError::Corrupt { reason: format!("`{gun}` has files, but no `{role}`") };
        let head = self.heads.get(role).ok_or_else(missing)?;
        // It was deleted a moment ago, and whoever asks again is told so.
        let file = storage.by_hash(gun, role, &head.sha256).await?.ok_or(StorageError::Moved)?;
        Ok(file.content.to_vec())
    }
}

impl Verified {
    /// Whether these are the files that a repository has now.
    fn is_current(&self, heads: &BTreeMap<RoleName, Head>) -> bool {
        let files = [
            (RoleName::ROOT, self.chain.root().raw()),
            (RoleName::TIMESTAMP, self.timestamp.raw()),
            (RoleName::SNAPSHOT, self.snapshot.raw()),
        ];
        files.iter().all(|(role, file)| heads.get(role).is_some_and(|it| it.sha256 == sha256(file)))
    }

    fn length(&self) -> usize {
        self.chain.root().raw().len() + self.timestamp.raw().len() + self.snapshot.raw().len()
    }

    fn of(
        gun: &Gun,
        root: Vec<u8>,
        timestamp: Vec<u8>,
        snapshot: Vec<u8>,
    ) -> Result<Self, crate::tuf::TufError> {
        let chain = RootChain::from_cache(gun, root, &RootPins::TrustOnFirstUse)?;
        let timestamp = verify_timestamp(chain.root(), timestamp, None, AnyTime)?;
        let snapshot = verify_snapshot(chain.root(), &timestamp, snapshot, None, AnyTime)?;
        Ok(Self { chain, timestamp, snapshot })
    }
}

/// What repositories were verified to be when they were last published to, so that the next publish need
/// not do it again. It counts only while the storage names the very same files.
pub(super) struct KnownStates {
    states: Mutex<LruCache<Gun, Arc<Verified>>>,
}

impl KnownStates {
    pub(super) fn new() -> Self {
        Self { states: Mutex::new(LruCache::new(STATES)) }
    }

    pub(super) fn keep(&self, gun: &Gun, verified: Verified) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.length() <= LENGTH_LIMIT {
            states.put(gun.clone(), Arc::new(verified));
        } else {
            states.pop(gun);
        }
    }

    fn get(&self, gun: &Gun, heads: &BTreeMap<RoleName, Head>) -> Option<Arc<Verified>> {
        let known = self.states.lock().unwrap_or_else(PoisonError::into_inner).get(gun).cloned();
        known.filter(|it| it.is_current(heads))
    }
}

/// With the longest files, 32 MiB.
const STATES: NonZeroUsize = NonZeroUsize::new(512).unwrap();
/// A root and a snapshot of a hundred delegations; longer ones are read each time.
const LENGTH_LIMIT: usize = 64 * 1024;
