//! When to try again: later after each failure, and in bounded memory.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::image::Gun;

/// Repositories that are left alone for a while.
#[derive(Default)]
pub(super) struct Delays {
    delays: Mutex<HashMap<Gun, Delay>>,
}

#[derive(Clone, Copy)]
struct Delay {
    until: Instant,
    failures: u32,
}

impl Delay {
    fn after(previous: Option<Self>, first: Duration, longest: Duration) -> Self {
        let failures = previous.map_or(0, |it| it.failures.saturating_add(1));
        let factor = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
        Self { until: Instant::now() + first.saturating_mul(factor).min(longest), failures }
    }
}

impl Delays {
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether a repository may be tried, the first time or again.
    pub(super) fn is_over(&self, gun: &Gun) -> bool {
        self.lock().get(gun).is_none_or(|it| it.until <= Instant::now())
    }

    /// It did not succeed, once more.
    pub(super) fn add(&self, gun: &Gun) {
        let mut delays = self.lock();
        if DELAY_LIMIT <= delays.len() && !delays.contains_key(gun) {
            delays.retain(|_, it| Instant::now() < it.until);
            if DELAY_LIMIT <= delays.len() {
                // Trying a few too often is better than to lose count.
                delays.clear();
            }
        }
        let delay = Delay::after(delays.get(gun).copied(), FIRST_DELAY, LONGEST_DELAY);
        delays.insert(gun.clone(), delay);
    }

    pub(super) fn forget(&self, gun: &Gun) {
        self.lock().remove(gun);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Gun, Delay>> {
        self.delays.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody is tried for a while, since nobody would fare better.
#[derive(Default)]
pub(super) struct Pause {
    state: Mutex<Option<(Delay, String)>>,
}

impl Pause {
    pub(super) fn is_on(&self) -> bool {
        self.lock().as_ref().is_some_and(|(delay, _)| Instant::now() < delay.until)
    }

    /// Why, until something succeeds again.
    pub(super) fn reason(&self) -> Option<String> {
        self.lock().as_ref().map(|(_, reason)| reason.clone())
    }

    pub(super) fn begin(&self, reason: String) {
        let mut state = self.lock();
        // Several that failed together are one failure.
        if state.as_ref().is_some_and(|(delay, _)| Instant::now() < delay.until) {
            return;
        }
        let previous = state.as_ref().map(|(delay, _)| *delay);
        *state = Some((Delay::after(previous, FIRST_PAUSE, LONGEST_PAUSE), reason));
    }

    pub(super) fn end(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Delay, String)>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A repository that cannot be served now seldom can be a minute later.
const FIRST_DELAY: Duration = Duration::from_mins(1);
/// A root that its owner signs anew should not wait for long after that.
const LONGEST_DELAY: Duration = Duration::from_hours(6);
/// A signer that restarts is back soon.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// A few megabytes.
const DELAY_LIMIT: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn gun(number: usize) -> Gun {
        format!("docker.io/acme/{number}").parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn each_failure_doubles_the_delay() {
        let delays = Delays::default();
        assert!(delays.is_over(&gun(1)));
        for minutes in [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360] {
            delays.add(&gun(1));
            tokio::time::advance(Duration::from_millis(minutes * 60_000 - 1)).await;
            assert!(!delays.is_over(&gun(1)), "{minutes}");
            tokio::time::advance(Duration::from_millis(1)).await;
            assert!(delays.is_over(&gun(1)), "{minutes}");
        }
        assert_eq!(delays.len(), 1);
        delays.forget(&gun(1));
        assert_eq!(delays.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_one_failure_and_ends_with_a_success() {
        let pause = Pause::default();
        for seconds in [5, 10, 20] {
            pause.begin("the signer is away".to_owned());
            pause.begin("the signer is away, too".to_owned());
            assert!(pause.is_on());
            tokio::time::advance(Duration::from_secs(seconds)).await;
            assert!(!pause.is_on(), "{seconds}");
            assert_eq!(pause.reason().as_deref(), Some("the signer is away"));
        }
        pause.end();
        assert_eq!(pause.reason(), None);
        pause.begin("again".to_owned());
        tokio::time::advance(FIRST_PAUSE).await;
        assert!(!pause.is_on());
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded() {
        let delays = Delays::default();
        for number in 0..=DELAY_LIMIT * 2 {
            delays.add(&gun(number));
        }
        assert!(delays.len() <= DELAY_LIMIT);
    }
}
