//! Signing anew what the server signs, ahead of the day on which it would expire.
//!
//! Knows when, and how often to try; what is signed is `publication`'s business, and that only one of
//! several servers does it is the storage's. A third of a lifetime before the end is early enough to
//! outlast a signer's bad week. Waiting is measured by a clock that nobody sets; expiry by the one
//! that clients go by.

mod delays;
mod history;
mod renewal;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::hash::{BuildHasher as _, RandomState};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _, stream};
use jiff::SignedDuration;
use tokio::time::{Instant, sleep, timeout};

use self::history::History;
use self::renewal::{Renewals, third};
use super::publication::Publisher;
use super::settings::Lifetimes;
use super::storage::{Storage, StoredFile};
use crate::image::Gun;
use crate::signer::Clock;
use crate::tuf::RoleName;

/// Keeps a server's timestamps and snapshots fresh.
pub struct Freshness {
    renewals: Arc<Renewals>,
    history: History,
    /// Several servers go through a list each in an order of its own, so that they seldom meet.
    order: RandomState,
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
        let history = History::new(Arc::clone(&storage), Arc::clone(&clock), options.history);
        let renewals = Arc::new(Renewals::new(publisher, storage, clock, options));
        Self { renewals, history, order: RandomState::new() }
    }

    /// Works in the background until it is told to stop.
    pub async fn run(&self, stopped: impl Future<Output = ()>) {
        let working = async {
            loop {
                let pass = async {
                    self.pass().await;
                    self.history.pass().await;
                };
                // A server that goes on without this would stand still two weeks later.
                if AssertUnwindSafe(pass).catch_unwind().await.is_err() {
                    self.renewals.pause(DEFECT);
                }
                sleep(PASS_EVERY).await;
            }
        };
        tokio::select! {
            () = stopped => {}
            () = working => {}
        }
    }

    /// The file to serve in place of an expired timestamp or snapshot; `None`: the one that is there.
    ///
    /// Whoever reads an expired file has it signed anew; all who do wait for the same signature, and
    /// not for long. While that did not succeed of late, nobody waits.
    pub async fn before_read(&self, gun: &Gun, file: &StoredFile) -> Option<StoredFile> {
        let renewals = &self.renewals;
        let ours = file.role == RoleName::TIMESTAMP || file.role == RoleName::SNAPSHOT;
        if !ours || renewals.now() < file.expires || !renewals.may_try(gun) {
            return None;
        }
        let patience = renewals.options().read_patience;
        let fresh = async {
            renewals.fly(gun).await;
            renewals.storage().current(gun, &file.role).await.ok().flatten()
        };
        let found = timeout(patience, fresh).await.ok().flatten()?;
        (file.version < found.version).then_some(found)
    }

    /// How things stand.
    #[must_use]
    pub fn health(&self) -> FreshnessHealth {
        FreshnessHealth {
            problem: self.renewals.trouble(),
            behind: self.renewals.behind(),
            renewed: self.renewals.renewed(),
            pruned: self.history.pruned(),
        }
    }

    /// Everything that is due is signed anew, or was tried.
    async fn pass(&self) {
        let lifetimes = self.renewals.options().lifetimes;
        for (role, lifetime) in
            [(RoleName::SNAPSHOT, lifetimes.snapshot), (RoleName::TIMESTAMP, lifetimes.timestamp)]
        {
            while self.portion(&role, lifetime).await {}
        }
    }

    /// Some of what is due. Returns whether there may be more that can be done now.
    async fn portion(&self, role: &RoleName, lifetime: SignedDuration) -> bool {
        let renewals = &self.renewals;
        if renewals.is_paused() {
            return false;
        }
        let before = renewals.now().saturating_add(third(lifetime));
        let before = before.unwrap_or(jiff::Timestamp::MAX);
        // Those that wait for another attempt are in the list, too, and at its beginning.
        let limit = PORTION.saturating_add(renewals.waiting());
        let due = match renewals.storage().expiring(role, before, limit).await {
            Ok(due) => due,
            Err(error) => {
                renewals.pause(&error.to_string());
                return false;
            }
        };
        let mut due: Vec<Gun> = due.into_iter().filter(|gun| renewals.may_try_role(gun, role)).collect();
        let more = usize::try_from(PORTION).is_ok_and(|portion| portion <= due.len());
        due.sort_by_cached_key(|gun| self.order.hash_one(gun.as_str()));
        let started = Instant::now();
        stream::iter(due).for_each_concurrent(AT_A_TIME, |gun| async move { renewals.fly(&gun).await }).await;
        if more {
            // As long as it took: whoever publishes has every other turn.
            sleep(started.elapsed().min(LONGEST_BREAK)).await;
        }
        more
    }
}

const DEFECT: &str = "the program has a defect, which the log tells of";
/// A lifetime is an hour at least, and a third of it twenty minutes.
const PASS_EVERY: Duration = Duration::from_mins(1);
/// Names that are held in memory at a time.
const PORTION: u32 = 200;
/// A signer has other work.
const AT_A_TIME: usize = 4;
const LONGEST_BREAK: Duration = Duration::from_secs(5);
