//! Forgetting what was replaced long ago, and not because a clock says that it is the year 2100.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::server::storage::Storage;
use crate::signer::Clock;

/// Forgets files by their age.
pub(super) struct History {
    storage: Arc<dyn Storage>,
    clock: Clock,
    keep: Option<SignedDuration>,
    steady: Mutex<Option<Steady>>,
    pruned: AtomicU64,
}

/// Since when the clock that is set and the one that is not have gone alike.
#[derive(Clone, Copy)]
struct Steady {
    since: Instant,
    at: Timestamp,
}

impl History {
    pub(super) fn new(storage: Arc<dyn Storage>, clock: Clock, keep: Option<SignedDuration>) -> Self {
        Self { storage, clock, keep, steady: Mutex::default(), pruned: AtomicU64::new(0) }
    }

    pub(super) fn pruned(&self) -> u64 {
        self.pruned.load(Ordering::Relaxed)
    }

    /// Forgets what is old enough, once an hour in which the clock did not jump.
    pub(super) async fn pass(&self) {
        let Some(keep) = self.keep else { return };
        let now = (self.clock)();
        if !self.is_time(now) {
            return;
        }
        let Ok(before) = now.checked_sub(keep) else { return };
        // What could not be forgotten now is forgotten an hour later.
        if let Ok(pruned) = self.storage.prune(before).await {
            self.pruned.fetch_add(pruned, Ordering::Relaxed);
        }
    }

    fn is_time(&self, now: Timestamp) -> bool {
        let fresh = Steady { since: Instant::now(), at: now };
        let mut steady = self.steady.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(before) = *steady else {
            *steady = Some(fresh);
            return false;
        };
        let passed = before.since.elapsed();
        let expected = SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX);
        if TOLERANCE < now.duration_since(before.at).saturating_sub(expected).abs() {
            *steady = Some(fresh);
            return false;
        }
        if passed < PRUNE_EVERY {
            return false;
        }
        *steady = Some(fresh);
        true
    }
}

/// Retention is counted in days.
const PRUNE_EVERY: Duration = Duration::from_hours(1);
/// Clocks are set right by seconds all the time.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);
