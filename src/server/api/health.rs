//! Whether everything works, asked at most once in a while, however often somebody wants to know.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::server::access::Access;
use crate::server::freshness::Freshness;
use crate::server::storage::Storage;
use crate::signer::KeyService;
use crate::text::visible_prefix;

/// What does not work, and why; nothing, where everything does.
pub(super) type Problems = BTreeMap<&'static str, String>;

/// The state that was found last.
#[derive(Default)]
pub(super) struct Health {
    last: Mutex<Option<(Instant, Arc<Problems>)>>,
}

impl Health {
    /// The state now, or of a moment ago. Whoever asks meanwhile waits for the same answer.
    pub(super) async fn problems(
        &self,
        storage: &dyn Storage,
        keys: &dyn KeyService,
        freshness: &Freshness,
        access: &Access,
    ) -> Arc<Problems> {
        let mut last = self.last.lock().await;
        if let Some((_, problems)) = last.as_ref().filter(|(at, _)| at.elapsed() < LASTING) {
            return Arc::clone(problems);
        }
        let late = || format!("no answer within {} seconds", PATIENCE.as_secs());
        let (stored, signed) =
            tokio::join!(timeout(PATIENCE, storage.health()), timeout(PATIENCE, keys.health()));
        let stored = stored.map_or_else(|_| Some(late()), |it| it.err().map(|it| it.to_string()));
        let signed = signed.map_or_else(|_| Some(late()), |it| it.err().map(|it| it.to_string()));
        let problems: Problems = [
            (STORAGE, stored),
            (SIGNER, signed),
            (FRESHNESS, freshness.health().problem),
            (ACCESS, access.problem()),
        ]
        .into_iter()
        .filter_map(|(name, problem)| problem.map(|it| (name, visible_prefix(&it, SHOWN))))
        .collect();
        let problems = Arc::new(problems);
        *last = Some((Instant::now(), Arc::clone(&problems)));
        problems
    }
}

/// Notary's own words, which monitors may look for.
const STORAGE: &str = "DB operational";
const SIGNER: &str = "Trust operational";
const FRESHNESS: &str = "Metadata fresh";
const ACCESS: &str = "Access operational";
/// Longer than a monitor's patience is of no use.
const PATIENCE: Duration = Duration::from_secs(4);
/// Anybody may ask, so asking must cost nothing.
const LASTING: Duration = Duration::from_secs(2);
/// As much of a reason as says what is wrong.
const SHOWN: usize = 300;
