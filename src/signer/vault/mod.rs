//! Keys of this process: made here, sealed before they are stored, opened only to sign.
//!
//! No private key is kept open between two signatures, and none is ever handed out. Knows nothing of
//! who asks, and of storage only [`KeyRows`].

mod recent;
mod sealing;
mod secret;
#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError, RwLock};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};

pub use self::sealing::{SealingKey, SealingKeys};
pub use self::secret::{Lookup, SecretError, SecretForm, SecretPlace, SecretSource};

use self::recent::RecentRows;
use self::sealing::Purpose;
use super::key_service::{Clock, KeyAlgorithm, KeyInfo, KeyService, KeyServiceError};
use super::rows::{KeyRow, KeyRows, RowsError};
use super::wire::MESSAGE_LIMIT;
use crate::image::Gun;
use crate::keys::PrivateKey;
use crate::tuf::author::{RawSignature, Signer as _};
use crate::tuf::{KeyId, PublicKey, RoleName};

/// Keys sealed in a table.
pub struct Vault {
    rows: Arc<dyn KeyRows>,
    sealing: RwLock<Arc<SealingKeys>>,
    clock: Clock,
    recent: RecentRows,
}

/// What became of keys that were to be sealed anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resealing {
    /// How many are now sealed under the current alias.
    pub resealed: usize,
    /// Which could not be opened, and why; they stay as they are.
    pub left: Vec<(KeyId, String)>,
}

impl Vault {
    /// A vault over these rows.
    #[must_use]
    pub fn new(rows: Arc<dyn KeyRows>, sealing: SealingKeys, clock: Clock) -> Self {
        Self { rows, sealing: RwLock::new(Arc::new(sealing)), clock, recent: RecentRows::new() }
    }

    /// Goes over to other key-encryption keys, while it is in use. The old current one should be
    /// among them until [`Vault::reseal`] is through.
    pub fn replace_sealing_keys(&self, sealing: SealingKeys) {
        *self.sealing.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(sealing);
        self.recent.forget();
    }

    /// Seals every key that is not sealed under the current alias anew, while keys are in use.
    pub async fn reseal(&self) -> Result<Resealing, KeyServiceError> {
        let sealing = self.sealing();
        let mut outcome = Resealing::default();
        for alias in self.rows.aliases().await? {
            if alias == *sealing.current() {
                continue;
            }
            let mut after = None;
            loop {
                let page = self.rows.sealed_under(&alias, after.as_ref(), PAGE).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.public.canonical_id().clone());
                for row in &page {
                    let key = row.public.canonical_id();
                    let resealed = sealing
                        .open(&row.sealed, &purpose(row))
                        .and_then(|plain| sealing.seal(&plain, &purpose(row)));
                    match resealed {
                        // Where it changed since it was read, another signer was first.
                        Ok(resealed) => {
                            outcome.resealed +=
                                usize::from(self.rows.reseal(key, &row.sealed, resealed).await?);
                            self.recent.forget();
                        }
                        Err(reason) => outcome.left.push((key.clone(), reason.to_string())),
                    }
                }
            }
        }
        Ok(outcome)
    }

    /// Stores a key that was made elsewhere. One that is stored already stays as it is.
    pub async fn import(
        &self,
        gun: &Gun,
        role: &RoleName,
        key: &PrivateKey,
        last_used: Option<Timestamp>,
    ) -> Result<(), KeyServiceError> {
        match self.store(gun, role, key, last_used).await {
            Ok(()) | Err(StoreError::Rows(RowsError::Exists { .. })) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes a sealed key that another vault had, with its times. `opening` opens it; `None`: our own
    /// key-encryption keys do. Whether it was not here yet.
    pub(crate) async fn adopt(
        &self,
        row: &KeyRow,
        opening: Option<&SealingKeys>,
    ) -> Result<bool, AdoptError> {
        if self.holds(row.public.canonical_id()).await.map_err(AdoptError::Rows)? {
            return Ok(false);
        }
        let sealing = self.sealing();
        let ours = reseal(row, opening.unwrap_or(&sealing), &sealing).map_err(AdoptError::Key)?;
        match self.rows.insert(ours).await {
            Ok(()) => Ok(true),
            Err(RowsError::Exists { .. }) => Ok(false),
            Err(error) => Err(AdoptError::Rows(error.into())),
        }
    }

    /// Whether it has a key of this ID that is in use.
    pub async fn holds(&self, key: &KeyId) -> Result<bool, KeyServiceError> {
        Ok(self.rows.find(key).await?.is_some())
    }

    async fn store(
        &self,
        gun: &Gun,
        role: &RoleName,
        key: &PrivateKey,
        last_used: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let public = key.public();
        let purpose = Purpose { public, gun, role };
        let sealed =
            self.sealing().seal(&key.to_plain(), &purpose).map_err(|it| StoreError::Seal(it.to_string()))?;
        let row = KeyRow {
            public: public.clone(),
            gun: gun.clone(),
            role: role.clone(),
            sealed,
            created: (self.clock)(),
            last_used,
        };
        self.rows.insert(row).await.map_err(StoreError::Rows)
    }

    async fn find(&self, key: &KeyId) -> Result<KeyRow, KeyServiceError> {
        self.rows.find(key).await?.ok_or_else(|| KeyServiceError::Unknown { key: key.clone() })
    }

    async fn sign_with(&self, key: &KeyId, message: &[u8]) -> Result<RawSignature, KeyServiceError> {
        if MESSAGE_LIMIT < message.len() {
            return Err(KeyServiceError::TooLong { length: message.len(), limit: MESSAGE_LIMIT });
        }
        let (row, asked) = match self.recent.find(key) {
            Ok(row) => (row, None),
            Err(asked) => (self.find(key).await?, Some(asked)),
        };
        let signature = {
            let private = self.open(&row)?;
            private.sign(message).map_err(|it| damaged(&row, it.to_string()))?
        };
        // Before anybody has the signature: a key that signed must never again count as unused.
        let now = (self.clock)();
        let noted = row.last_used.is_some_and(|it| now.duration_since(it).abs() < NOTED_EVERY);
        if !noted {
            self.rows.mark_used(key, now).await?;
        }
        if let Some(asked) = asked {
            let last_used = if noted { row.last_used } else { Some(now) };
            self.recent.keep(&KeyRow { last_used, ..row }, asked);
        }
        Ok(signature)
    }

    fn open(&self, row: &KeyRow) -> Result<PrivateKey, KeyServiceError> {
        let sealing = self.sealing();
        let plain = sealing.open(&row.sealed, &purpose(row)).map_err(|it| damaged(row, it.to_string()))?;
        let private =
            PrivateKey::from_plain(&plain, "the sealed key").map_err(|it| damaged(row, it.to_string()))?;
        if private.public() == &row.public {
            Ok(private)
        } else {
            Err(damaged(row, format!("key {} is sealed in its place", private.id())))
        }
    }

    fn sealing(&self) -> Arc<SealingKeys> {
        Arc::clone(&self.sealing.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl KeyService for Vault {
    fn create<'a>(
        &'a self,
        gun: &'a Gun,
        role: &'a RoleName,
        algorithm: KeyAlgorithm,
    ) -> BoxFuture<'a, Result<PublicKey, KeyServiceError>> {
        async move {
            // As Notary: who asks for a key and then does nothing with it gets the same again.
            if let Some(row) = self.rows.find_unused(gun, role, &algorithm.key_type()).await? {
                return Ok(row.public);
            }
            let key = match algorithm {
                KeyAlgorithm::Ed25519 => PrivateKey::generate_ed25519(),
                KeyAlgorithm::P256 => PrivateKey::generate_p256(),
            };
            let key = key.map_err(|it| KeyServiceError::Failed { reason: it.to_string() })?;
            self.store(gun, role, &key, None).await?;
            Ok(key.public().clone())
        }
        .boxed()
    }

    fn info<'a>(&'a self, key: &'a KeyId) -> BoxFuture<'a, Result<KeyInfo, KeyServiceError>> {
        async move {
            let row = self.find(key).await?;
            Ok(KeyInfo { public: row.public, role: row.role })
        }
        .boxed()
    }

    fn sign<'a>(
        &'a self,
        key: &'a KeyId,
        message: &'a [u8],
    ) -> BoxFuture<'a, Result<RawSignature, KeyServiceError>> {
        self.sign_with(key, message).boxed()
    }

    fn delete<'a>(&'a self, key: &'a KeyId) -> BoxFuture<'a, Result<(), KeyServiceError>> {
        async move {
            let deleted = self.rows.delete(key, (self.clock)()).await;
            // Whether or not it is known how that ended.
            self.recent.forget();
            deleted?.then_some(()).ok_or_else(|| KeyServiceError::Unknown { key: key.clone() })
        }
        .boxed()
    }

    fn health(&self) -> BoxFuture<'_, Result<(), KeyServiceError>> {
        async move { Ok(self.rows.health().await?) }.boxed()
    }
}

/// Why a key of another vault is not taken.
#[derive(Debug)]
pub(crate) enum AdoptError {
    /// It cannot be opened, or is another one.
    Key(String),
    /// Nothing can be stored.
    Rows(KeyServiceError),
}

/// Why a key cannot be stored.
enum StoreError {
    Rows(RowsError),
    Seal(String),
}

impl From<StoreError> for KeyServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Rows(error) => error.into(),
            StoreError::Seal(reason) => Self::Failed { reason },
        }
    }
}

impl From<RowsError> for KeyServiceError {
    fn from(error: RowsError) -> Self {
        match error {
            RowsError::Exists { .. } => Self::Failed { reason: error.to_string() },
            RowsError::Unavailable { reason } => Self::Unavailable { reason },
        }
    }
}

/// A key that is sealed under one set of keys, sealed under another; the key itself goes nowhere.
pub(crate) fn reseal(row: &KeyRow, from: &SealingKeys, to: &SealingKeys) -> Result<KeyRow, String> {
    let plain = from.open(&row.sealed, &purpose(row)).map_err(|it| it.to_string())?;
    let private = PrivateKey::from_plain(&plain, "the sealed key").map_err(|it| it.to_string())?;
    if private.public() != &row.public {
        return Err(format!("key {} is sealed in its place", private.id()));
    }
    let sealed = to.seal(&plain, &purpose(row)).map_err(|it| it.to_string())?;
    Ok(KeyRow { sealed, ..row.clone() })
}

fn purpose(row: &KeyRow) -> Purpose<'_> {
    Purpose { public: &row.public, gun: &row.gun, role: &row.role }
}

fn damaged(row: &KeyRow, reason: String) -> KeyServiceError {
    KeyServiceError::Damaged { key: row.public.canonical_id().clone(), reason }
}

/// How many keys are read at once to be sealed anew.
const PAGE: usize = 100;
/// That a key is used matters; when, only roughly: a write for each signature would be the slower half of it.
const NOTED_EVERY: SignedDuration = SignedDuration::from_hours(1);
