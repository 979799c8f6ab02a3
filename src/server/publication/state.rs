//! A repository as it is stored: what a publish starts from.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::PublicationError;
use crate::image::Gun;
use crate::server::storage::{Head, Storage, StorageError};
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
    pub(super) async fn load(storage: &dyn Storage, gun: &Gun) -> Result<Self, PublicationError> {
        let heads = storage.heads(gun).await?;
        if heads.is_empty() {
            return Ok(Self { heads, verified: None });
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
        let file = storage.by_hash(gun, &head.sha256).await?.ok_or(StorageError::Moved)?;
        Ok(file.content.to_vec())
    }
}

impl Verified {
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
