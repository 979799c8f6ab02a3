//! One publish, from what a client hands in to what is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::check::{Candidate, Checked};
use super::claims::Claims;
use super::snapshot::{Roles, draft, parents_to_read};
use super::state::{KnownStates, State};
use super::{PublicationError, Upload, seal};
use crate::image::Gun;
use crate::server::storage::{Change, Storage, StorageError};
use crate::signer::{KeyAlgorithm, KeyService};
use crate::tuf::author::{TimestampDraft, UnsignedDocument};
use crate::tuf::{RoleName, RootChain, RootPins, Version};

/// Publishes what is acceptable, and signs what the server signs.
pub struct Publisher {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) keys: Arc<dyn KeyService>,
    pub(super) options: PublisherOptions,
    /// Who publishes to a repository waits here for whoever came first; other servers are seen by the
    /// storage only.
    lines: Vec<tokio::sync::Mutex<()>>,
    known: KnownStates,
}

/// What a server decides for all its repositories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublisherOptions {
    /// How long a timestamp is valid.
    pub timestamp_lifetime: SignedDuration,
    /// How long a snapshot of the server's is valid.
    pub snapshot_lifetime: SignedDuration,
    /// What new keys are made of.
    pub algorithm: KeyAlgorithm,
}

impl PublisherOptions {
    /// Notary's lifetimes: two weeks, and three years.
    pub const NOTARY: Self = Self {
        timestamp_lifetime: SignedDuration::from_hours(24 * 14),
        snapshot_lifetime: SignedDuration::from_hours(24 * 365 * 3),
        algorithm: KeyAlgorithm::Ed25519,
    };
}

/// What was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The roles that have a new file, and its version.
    pub versions: BTreeMap<RoleName, Version>,
}

/// What of the server's own is signed anew, without anything handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// The timestamp.
    Timestamp,
    /// The snapshot, where the server has its key, and the timestamp.
    Snapshot,
}

impl Publisher {
    /// A publisher over these.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>, keys: Arc<dyn KeyService>, options: PublisherOptions) -> Self {
        let lines = (0..LINES).map(|_| tokio::sync::Mutex::default()).collect();
        Self { storage, keys, options, lines, known: KnownStates::new() }
    }

    /// Stores what was handed in, or says why not. Nothing handed in is something: the server signs anew.
    pub async fn publish(
        &self,
        gun: &Gun,
        upload: Upload,
        now: Timestamp,
    ) -> Result<Published, PublicationError> {
        let work = Work { upload: Arc::new(upload), renewal: Renewal::Snapshot };
        self.carry_out(gun, &work, ATTEMPTS, now).await
    }

    /// Signs the server's own files anew. Where somebody else was faster, that is [`StorageError::Moved`]:
    /// they did it.
    pub async fn renew(
        &self,
        gun: &Gun,
        renewal: Renewal,
        now: Timestamp,
    ) -> Result<Published, PublicationError> {
        self.carry_out(gun, &Work { upload: Arc::default(), renewal }, 1, now).await
    }

    async fn carry_out(
        &self,
        gun: &Gun,
        work: &Work,
        most: u32,
        now: Timestamp,
    ) -> Result<Published, PublicationError> {
        let mut hasher = DefaultHasher::new();
        gun.hash(&mut hasher);
        let line = usize::try_from(hasher.finish() % LINES).unwrap_or_default();
        let _turn = match self.lines.get(line) {
            Some(line) => Some(line.lock().await),
            None => None,
        };
        let mut attempts = 1;
        loop {
            match self.attempt(gun, work, now).await {
                // Another server was faster. What was handed in may still fit, on what is there now.
                Err(PublicationError::Storage(StorageError::Moved)) if attempts < most => attempts += 1,
                outcome => return outcome,
            }
        }
    }

    async fn attempt(&self, gun: &Gun, work: &Work, now: Timestamp) -> Result<Published, PublicationError> {
        let upload = &*work.upload;
        let state = State::load(&*self.storage, gun, &self.known).await?;
        let chain = next_root(gun, &state, upload, now)?;
        check_versions(&state, upload)?;
        if state.version(&RoleName::TARGETS).is_none() && upload.file(&RoleName::TARGETS).is_none() {
            let reason = "the repository has no targets yet, and the update has none".to_owned();
            return Err(PublicationError::Hierarchy { missing: RoleName::TARGETS, reason });
        }
        let stored = self.files_above(gun, &state, upload).await?;
        let (snapshot, dropped) = self.snapshot(gun, &state, &chain, work, now).await?;
        let timestamp = self.timestamp(&state, &chain, &snapshot, now).await?;
        let candidate = Candidate {
            chain,
            timestamp,
            snapshot,
            upload: Arc::clone(&work.upload),
            stored,
            heads: state.heads().clone(),
            previous: state.verified().cloned(),
            dropped,
        };
        let checked = checked_aside(candidate.length(), move || candidate.check(now)).await;
        let Checked { files, listed, verified } = checked??;
        let versions = files.iter().map(|it| (it.role.clone(), it.version)).collect();
        let retired = state.heads().keys().filter(|it| it.is_delegation() && !listed.contains(it));
        let change = Change {
            expected: state.heads().get(&RoleName::TIMESTAMP).map(|it| it.sha256),
            retired: retired.cloned().collect(),
            files,
        };
        self.storage.publish(gun, &change, now).await?;
        self.known.keep(gun, verified);
        Ok(Published { versions })
    }

    /// The stored files by which what is handed in is verified: `targets` below a new root, and
    /// whatever is above a delegation.
    async fn files_above(
        &self,
        gun: &Gun,
        state: &State,
        upload: &Upload,
    ) -> Result<BTreeMap<RoleName, Vec<u8>>, PublicationError> {
        let mut wanted = BTreeSet::new();
        if upload.file(&RoleName::ROOT).is_some() {
            wanted.insert(RoleName::TARGETS);
        }
        for (role, _) in upload.targets() {
            let mut above = role.parent();
            while let Some(role) = above {
                above = role.parent();
                wanted.insert(role);
            }
        }
        let mut files = BTreeMap::new();
        for role in wanted {
            if upload.file(&role).is_none() && state.heads().contains_key(&role) {
                let file = state.file(&*self.storage, gun, &role).await?;
                files.insert(role, file);
            }
        }
        Ok(files)
    }

    /// The snapshot that was handed in, that stays, or that the server writes; and what it leaves out.
    async fn snapshot(
        &self,
        gun: &Gun,
        state: &State,
        chain: &RootChain,
        work: &Work,
        now: Timestamp,
    ) -> Result<(Vec<u8>, BTreeSet<RoleName>), PublicationError> {
        let upload = &*work.upload;
        if let Some(file) = upload.file(&RoleName::SNAPSHOT) {
            return Ok((file.content.clone(), BTreeSet::new()));
        }
        if let (Renewal::Timestamp, Some(verified)) = (work.renewal, state.verified()) {
            return Ok((verified.snapshot.raw().to_vec(), BTreeSet::new()));
        }
        let roles = self.roles(gun, state, upload).await?;
        let expires = after(now, self.options.snapshot_lifetime);
        let draft = draft(state, upload, &roles, expires)?;
        let document = draft.finish(keys_of(chain, &RoleName::SNAPSHOT)?);
        let signed = seal::sign(&*self.keys, unsigned(document)?).await?;
        let missing = || PublicationError::Hierarchy {
            missing: RoleName::SNAPSHOT,
            reason:
                "no snapshot was in the update, and this server does not have the repository's snapshot key"
                    .to_owned(),
        };
        Ok((signed.ok_or_else(missing)?, roles.dropped))
    }

    /// Which delegations a snapshot of the server's lists.
    async fn roles(&self, gun: &Gun, state: &State, upload: &Upload) -> Result<Roles, PublicationError> {
        if upload.targets().next().is_none() {
            return Ok(Roles::default());
        }
        let listed: BTreeSet<RoleName> =
            state.verified().map(|it| it.snapshot.roles().cloned().collect()).unwrap_or_default();
        let mut delegates = BTreeMap::new();
        for role in parents_to_read(&listed, upload) {
            if state.heads().contains_key(&role) {
                let file = state.file(&*self.storage, gun, &role).await?;
                delegates.insert(role.clone(), Claims::read(&role, &file)?.delegations);
            }
        }
        for (role, file) in upload.targets() {
            delegates.insert(role.clone(), file.claims.delegations.clone());
        }
        Ok(Roles::sort(listed.into_iter(), upload, &delegates))
    }

    async fn timestamp(
        &self,
        state: &State,
        chain: &RootChain,
        snapshot: &[u8],
        now: Timestamp,
    ) -> Result<Vec<u8>, PublicationError> {
        let version = match state.verified() {
            Some(verified) => verified.timestamp.version().next().ok_or_else(|| PublicationError::Work {
                reason: "the timestamp has no version after its current one".to_owned(),
            })?,
            None => Version::FIRST,
        };
        let draft = TimestampDraft::new(version, after(now, self.options.timestamp_lifetime), snapshot);
        let document = draft.finish(keys_of(chain, &RoleName::TIMESTAMP)?);
        let signed = seal::sign(&*self.keys, unsigned(document)?).await?;
        signed.ok_or_else(|| PublicationError::Update {
            reason: "this server does not have the repository's timestamp key".to_owned(),
        })
    }
}

/// What is to be done.
struct Work {
    upload: Arc<Upload>,
    renewal: Renewal,
}

/// The root that counts from now on: the stored one, or the one after it.
fn next_root(
    gun: &Gun,
    state: &State,
    upload: &Upload,
    now: Timestamp,
) -> Result<RootChain, PublicationError> {
    let role = RoleName::ROOT;
    let refused = |error| PublicationError::refused(&role, &error);
    let pins = RootPins::TrustOnFirstUse;
    let (file, current) = match (upload.file(&role), state.verified()) {
        (None, Some(verified)) => return Ok(verified.chain.clone()),
        (None, None) => {
            let reason = "no pre-existing root and no root provided in update".to_owned();
            return Err(PublicationError::Update { reason });
        }
        (Some(file), current) => (file, current),
    };
    let new = file.claims.version;
    let Some(verified) = current else {
        if FIRST_ROOT_LIMIT < new.get() {
            let reason = format!("a repository's first root has version 1 or 2, not {new}");
            return Err(PublicationError::Root { reason });
        }
        return RootChain::bootstrap(gun, file.content.clone(), &pins, now).map_err(refused);
    };
    let stored = verified.chain.root().version();
    if new <= stored {
        return Err(PublicationError::Version { role });
    }
    if Some(new) != stored.next() {
        let reason = format!("Root modifications must increment the version. Current {stored}, new {new}");
        return Err(PublicationError::Root { reason });
    }
    let mut chain = verified.chain.clone();
    chain.advance(file.content.clone(), &pins, false, now).map_err(refused)?;
    Ok(chain)
}

/// Versions only grow, and by little: the highest of all would be the last that anybody publishes.
fn check_versions(state: &State, upload: &Upload) -> Result<(), PublicationError> {
    for (role, file) in upload.files().filter(|(role, _)| **role != RoleName::ROOT) {
        let (new, stored) = (file.claims.version.get(), state.version(role).map_or(0, Version::get));
        if new <= stored {
            return Err(PublicationError::Version { role: role.clone() });
        }
        if VERSION_JUMP_LIMIT < new - stored {
            let reason = format!(
                "version {new} is more than {VERSION_JUMP_LIMIT} versions after the current one, {stored}"
            );
            return Err(PublicationError::refused(role, &reason));
        }
    }
    Ok(())
}

/// What comes of checking so many bytes. Long ones take longer than whoever else is served by this thread
/// should wait, and are left to another; to wake that one takes longer than short ones do.
pub(in crate::server) async fn checked_aside<T: Send + 'static>(
    length: usize,
    check: impl FnOnce() -> T + Send + 'static,
) -> Result<T, PublicationError> {
    if length <= SHORT {
        return Ok(check());
    }
    let broken = |it: tokio::task::JoinError| PublicationError::Work { reason: it.to_string() };
    tokio::task::spawn_blocking(check).await.map_err(broken)
}

fn keys_of<'a>(chain: &'a RootChain, role: &RoleName) -> Result<&'a crate::tuf::RoleKeys, PublicationError> {
    let missing = || PublicationError::Root { reason: format!("it has no keys for `{role}`") };
    chain.keys(role).ok_or_else(missing)
}

fn unsigned(
    document: Result<UnsignedDocument, crate::tuf::author::AuthorError>,
) -> Result<UnsignedDocument, PublicationError> {
    document.map_err(|it| PublicationError::Work { reason: it.to_string() })
}

fn after(now: Timestamp, lifetime: SignedDuration) -> Timestamp {
    now.checked_add(lifetime).unwrap_or(Timestamp::MAX)
}

/// A dozen tags; no more signatures fit in than are verified in a few milliseconds.
const SHORT: usize = 8 << 10;
/// Lines of publishers: enough that repositories seldom share one.
const LINES: u64 = 256;
/// How often a publish is tried on a repository that other servers publish to.
const ATTEMPTS: u32 = 16;
/// Clients sign a root twice before they publish it first, at most.
const FIRST_ROOT_LIMIT: u64 = 2;
/// Clients go on by one, and by a few when they try again.
const VERSION_JUMP_LIMIT: u64 = 1000;
