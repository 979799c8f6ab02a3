//! Rows of keys that signed a moment ago: whoever publishes tag after tag has the same two keys sign each time.
//!
//! What is kept is what the database has, sealed as it is there; to sign, it is opened anew each time. It is
//! kept for a moment only, as another signer may take a key out of use, and what happens here is
//! seen at once.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tokio::time::Instant;

use crate::signer::rows::KeyRow;
use crate::tuf::KeyId;

/// Rows by key.
pub(super) struct RecentRows(Mutex<Recent>);

struct Recent {
    rows: LruCache<KeyId, (KeyRow, Instant)>,
    /// How often something was forgotten: what was read before may be over.
    forgotten: u64,
}

/// The moment at which a row was asked for.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    at: Instant,
    forgotten: u64,
}

impl RecentRows {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Recent { rows: LruCache::new(ROWS), forgotten: 0 }))
    }

    /// The key's row; or the moment, to be handed in with the row that the table has.
    pub(super) fn find(&self, key: &KeyId) -> Result<KeyRow, Asked> {
        let mut recent = self.lock();
        let at = Instant::now();
        match recent.rows.get(key) {
            Some((row, since)) if at.duration_since(*since) < KEPT_FOR => Ok(row.clone()),
            _ => Err(Asked { at, forgotten: recent.forgotten }),
        }
    }

    pub(super) fn keep(&self, row: &KeyRow, asked: Asked) {
        let mut recent = self.lock();
        if recent.forgotten == asked.forgotten {
            recent.rows.put(row.public.canonical_id().clone(), (row.clone(), asked.at));
        }
    }

    /// Forgets all of them: keys are seldom taken out of use or sealed anew.
    pub(super) fn forget(&self) {
        let mut recent = self.lock();
        recent.forgotten = recent.forgotten.wrapping_add(1);
        recent.rows.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For how long a key signs on that another signer took out of use.
const KEPT_FOR: Duration = Duration::from_secs(2);
/// A row has less than a kilobyte.
const ROWS: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::signer::rows::KeyRows as _;
    use crate::signer::vault::tests::{Bench, bench, gun};
    use crate::signer::{KeyAlgorithm, KeyService as _, KeyServiceError};
    use crate::tuf::RoleName;

    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_taken_out_of_use_elsewhere_signs_for_a_moment_only() {
        let Bench { vault, rows, .. } = bench();
        let algorithm = KeyAlgorithm::Ed25519;
        let key = vault.create(&gun("docker.io/acme/base"), &RoleName::TIMESTAMP, algorithm).await.unwrap();
        let id = key.canonical_id();
        vault.sign(id, b"m").await.unwrap();
        assert!(rows.delete(id, jiff::Timestamp::UNIX_EPOCH).await.unwrap());
        advance(KEPT_FOR.checked_sub(Duration::from_millis(1)).unwrap()).await;
        vault.sign(id, b"m").await.unwrap();
        advance(Duration::from_millis(1)).await;
        let error = vault.sign(id, b"m").await.unwrap_err();
        assert!(matches!(error, KeyServiceError::Unknown { .. }), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_taken_out_of_use_here_signs_no_more() {
        let Bench { vault, .. } = bench();
        let algorithm = KeyAlgorithm::Ed25519;
        let key = vault.create(&gun("docker.io/acme/base"), &RoleName::TIMESTAMP, algorithm).await.unwrap();
        vault.sign(key.canonical_id(), b"m").await.unwrap();
        vault.delete(key.canonical_id()).await.unwrap();
        let error = vault.sign(key.canonical_id(), b"m").await.unwrap_err();
        assert!(matches!(error, KeyServiceError::Unknown { .. }), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_row_that_was_read_before_something_was_forgotten_is_not_kept() {
        let Bench { vault, rows, .. } = bench();
        let algorithm = KeyAlgorithm::Ed25519;
        let key = vault.create(&gun("docker.io/acme/base"), &RoleName::TIMESTAMP, algorithm).await.unwrap();
        let row = rows.find(key.canonical_id()).await.unwrap().unwrap();
        let recent = RecentRows::new();
        let Err(asked) = recent.find(key.canonical_id()) else { panic!("it is kept") };
        recent.forget();
        recent.keep(&row, asked);
        let Err(asked) = recent.find(key.canonical_id()) else { panic!("it is kept") };
        recent.keep(&row, asked);
        assert!(recent.find(key.canonical_id()).is_ok_and(|it| it == row));
    }
}
