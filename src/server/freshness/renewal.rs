//! One repository's signatures made anew: by one task at a time, and not again right after it failed.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use jiff::{SignedDuration, Timestamp};

use super::FreshnessOptions;
use super::delays::{Delays, Pause};
use crate::image::Gun;
use crate::server::publication::{PublicationError, Publisher, Renewal};
use crate::server::storage::{Storage, StorageError};
use crate::signer::{Clock, KeyServiceError};
use crate::tuf::RoleName;

/// What makes signatures anew, and remembers what came of it.
pub(super) struct Renewals {
    publisher: Arc<Publisher>,
    storage: Arc<dyn Storage>,
    clock: Clock,
    options: FreshnessOptions,
    flights: Mutex<HashMap<Gun, Flight>>,
    /// Repositories that could not be served, each for a reason of its own.
    behind: Delays,
    /// Repositories whose snapshot is their publishers' to sign.
    foreign_snapshots: Delays,
    /// What concerns all of them.
    pause: Pause,
    renewed: AtomicU64,
}

/// Somebody signs; whoever else wants it waits for the same.
type Flight = Shared<BoxFuture<'static, ()>>;

/// What came of an attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// There is nothing to do: it was deleted, somebody else did it, or it is its publishers' to do.
    Fresh,
    /// It was signed and stored.
    Renewed,
}

impl Renewals {
    pub(super) fn new(
        publisher: Arc<Publisher>,
        storage: Arc<dyn Storage>,
        clock: Clock,
        options: FreshnessOptions,
    ) -> Self {
        Self {
            publisher,
            storage,
            clock,
            options,
            flights: Mutex::default(),
            behind: Delays::default(),
            foreign_snapshots: Delays::default(),
            pause: Pause::default(),
            renewed: AtomicU64::new(0),
        }
    }

    pub(super) fn options(&self) -> &FreshnessOptions {
        &self.options
    }

    pub(super) fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub(super) fn renewed(&self) -> u64 {
        self.renewed.load(Ordering::Relaxed)
    }

    /// How many repositories could not be served.
    pub(super) fn behind(&self) -> u64 {
        u64::try_from(self.behind.len()).unwrap_or(u64::MAX)
    }

    /// How many repositories are due and wait.
    pub(super) fn waiting(&self) -> u32 {
        u32::try_from(self.behind.len() + self.foreign_snapshots.len()).unwrap_or(u32::MAX)
    }

    /// Why nothing can be signed now.
    pub(super) fn trouble(&self) -> Option<String> {
        self.pause.reason()
    }

    pub(super) fn is_paused(&self) -> bool {
        self.pause.is_on()
    }

    pub(super) fn pause(&self, reason: &str) {
        self.pause.begin(format!("what expires cannot be signed anew: {reason}"));
    }

    /// Whether a repository's turn has come.
    pub(super) fn may_try(&self, gun: &Gun) -> bool {
        !self.pause.is_on() && self.behind.is_over(gun)
    }

    /// The same, given for which role's sake.
    pub(super) fn may_try_role(&self, gun: &Gun, role: &RoleName) -> bool {
        self.behind.is_over(gun) && (*role != RoleName::SNAPSHOT || self.foreign_snapshots.is_over(gun))
    }

    /// Has a repository's signatures made anew, and waits. Who stops waiting stops nothing.
    pub(super) async fn fly(self: &Arc<Self>, gun: &Gun) {
        let flight = {
            let mut flights = self.flights();
            if let Some(flight) = flights.get(gun) {
                flight.clone()
            } else {
                let (this, gun) = (Arc::clone(self), gun.clone());
                let name = gun.clone();
                let work = async move {
                    // What one repository's files bring to light is no reason to leave the others.
                    if AssertUnwindSafe(this.renew(&gun)).catch_unwind().await.is_err() {
                        this.behind.add(&gun);
                    }
                    this.flights().remove(&gun);
                };
                let flight = work.boxed().shared();
                flights.insert(name, flight.clone());
                tokio::spawn(flight.clone());
                flight
            }
        };
        flight.await;
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<Gun, Flight>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn renew(&self, gun: &Gun) {
        if self.pause.is_on() {
            return;
        }
        match self.attempt(gun).await {
            Ok(outcome) => {
                self.pause.end();
                self.behind.forget(gun);
                if outcome == Outcome::Renewed {
                    self.renewed.fetch_add(1, Ordering::Relaxed);
                }
            }
            Err(error) if concerns_all(&error) => self.pause(&error.to_string()),
            Err(_) => self.behind.add(gun),
        }
    }

    async fn attempt(&self, gun: &Gun) -> Result<Outcome, PublicationError> {
        let now = self.now();
        let lifetimes = self.options.lifetimes;
        let is_due = async |role: &RoleName, lifetime| -> Result<bool, PublicationError> {
            let file = self.storage.current(gun, role).await?;
            Ok(file
                .is_some_and(|it| it.expires < now.saturating_add(third(lifetime)).unwrap_or(Timestamp::MAX)))
        };
        if is_due(&RoleName::SNAPSHOT, lifetimes.snapshot).await? && self.foreign_snapshots.is_over(gun) {
            match self.sign(gun, Renewal::Snapshot, now).await {
                Err(PublicationError::Hierarchy { .. }) => self.foreign_snapshots.add(gun),
                other => return other,
            }
        }
        if is_due(&RoleName::TIMESTAMP, lifetimes.timestamp).await? {
            return self.sign(gun, Renewal::Timestamp, now).await;
        }
        Ok(Outcome::Fresh)
    }

    async fn sign(&self, gun: &Gun, renewal: Renewal, now: Timestamp) -> Result<Outcome, PublicationError> {
        match self.publisher.renew(gun, renewal, now).await {
            Ok(_) => Ok(Outcome::Renewed),
            // Somebody else did it, or published.
            Err(PublicationError::Storage(StorageError::Moved | StorageError::Version { .. })) => {
                Ok(Outcome::Fresh)
            }
            Err(error) => Err(error),
        }
    }
}

/// How long before its end something is signed anew.
pub(super) fn third(lifetime: SignedDuration) -> SignedDuration {
    lifetime / 3
}

/// Whether another repository would fare no better now.
fn concerns_all(error: &PublicationError) -> bool {
    match error {
        PublicationError::Keys(error) => !matches!(
            error,
            KeyServiceError::Unknown { .. }
                | KeyServiceError::Damaged { .. }
                | KeyServiceError::TooLong { .. }
        ),
        PublicationError::Storage(error) => !matches!(
            error,
            StorageError::Corrupt { .. }
                | StorageError::Moved
                | StorageError::Unfit { .. }
                | StorageError::Version { .. }
        ),
        _ => false,
    }
}
