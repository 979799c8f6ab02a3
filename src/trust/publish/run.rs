//! One publication from beginning to end: read, draft, sign, hand in, and again where others were faster.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::keyring::Keyring;
use super::seal::{Sealed, Snapshots};
use super::upload::{self, Answer};
use super::workspace::{Base, Expiry, LIFETIME, Workspace};
use super::{
    DelegationChange, Event, Init, LastSigner, NewSigner, Outcome, Part, PublishError, Published,
    PublishedRole, Publisher, Rotation, SignAs, SignOptions, StagedChange, Step, Tags,
};
use crate::http::HttpError;
use crate::image::Gun;
use crate::keys::PassphraseSource;
use crate::trust::TrustError;
use crate::trust::cache::{CachedFile, Stored};
use crate::trust::refresh::Refresh;
use crate::trust::remote::{Contact, Remote, RemoteError};
use crate::tuf::author::RootDraft;
use crate::tuf::{
    AnyTime, KeyId, ROOT_LIMIT, RoleName, TARGETS_LIMIT, TIMESTAMP_LIMIT, Target, Version, peek_version,
};

/// What a publisher wants, whatever the repository's state is.
#[derive(Clone, Copy)]
pub(super) enum Intent<'a> {
    Sign(&'a [(String, Target)], &'a SignOptions),
    Revoke(&'a Tags, &'a SignAs),
    Initialize(&'a Init),
    AddSigner(&'a NewSigner),
    RemoveSigner(&'a str, LastSigner),
    Delegation(&'a RoleName, &'a DelegationChange),
    Rotate(&'a RoleName, &'a Rotation),
    Threshold(&'a RoleName, u64),
    Refresh(jiff::SignedDuration),
    Staged(&'a [StagedChange]),
}

/// What a wish leaves to be done, and to be told, once it is published.
#[derive(Default)]
struct Remains {
    still_signed: Vec<(String, RoleName)>,
    /// Keys that the role has no more.
    obsolete: Option<(RoleName, Vec<KeyId>)>,
}

/// A publication under way.
pub(super) struct Run<'a> {
    pub(super) publisher: &'a Publisher,
    pub(super) remote: Arc<Remote>,
    pub(super) keyring: Keyring<'a>,
    conflicts: u32,
    troubles: u32,
    /// The first file of a publication whose answer did not come.
    sent: Option<Sent>,
    /// What the server refused, and the state that it was made from.
    rejected: Option<(PublishError, Fingerprint)>,
    /// A cached root that was never published: notary keeps one between `init` and `publish`.
    unpublished_root: Option<Vec<u8>>,
    /// A root that had to be renewed before anything else could be read.
    renewed_root: Option<PublishedRole>,
}

/// What was handed in, to be known again.
struct Sent {
    first: Option<(RoleName, Version, [u8; 32])>,
    published: Published,
    files: Vec<(RoleName, Vec<u8>)>,
    remains: Remains,
    error: HttpError,
}

/// The versions of root and snapshot: every publication raises one of them.
type Fingerprint = Option<(Version, Version)>;

/// What came of one attempt.
enum Attempt {
    Done(Outcome),
    Again,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        publisher: &'a Publisher,
        gun: &Gun,
        passphrases: &'a mut dyn PassphraseSource,
    ) -> Result<Self, PublishError> {
        Ok(Self {
            publisher,
            remote: Arc::new(publisher.remote(gun, Contact::Push)?),
            keyring: Keyring::new(&publisher.keys, passphrases)?,
            conflicts: 0,
            troubles: 0,
            sent: None,
            rejected: None,
            unpublished_root: None,
            renewed_root: None,
        })
    }

    /// Carries a wish out, however often others publish meanwhile.
    pub(super) async fn carry_out(mut self, intent: Intent<'_>) -> Result<Outcome, PublishError> {
        loop {
            match self.attempt(intent).await {
                Ok(Attempt::Done(outcome)) => {
                    if let (Outcome::Published(_), Intent::Staged(changes)) = (&outcome, intent) {
                        super::changelist::forget(changes)?;
                    }
                    return Ok(outcome);
                }
                Ok(Attempt::Again) => {}
                Err(error) => {
                    // A new key of a rotation that did not happen would only be in the way.
                    if matches!(intent, Intent::Rotate(..)) && self.sent.is_none() {
                        self.keyring.discard_made();
                    }
                    return Err(error);
                }
            }
        }
    }

    async fn attempt(&mut self, intent: Intent<'_>) -> Result<Attempt, PublishError> {
        let base = match self.read().await {
            Ok(base) => base,
            Err(error) => {
                if matches!(intent, Intent::Refresh(_)) && self.renew_root_alone(&error).await? {
                    return Ok(Attempt::Again);
                }
                return self.wait_out(error).await.map(|()| Attempt::Again);
            }
        };
        self.tell(Event::Reached(Step::Read));
        self.keyring.look_again()?;
        if let (Some(base), false) = (&base, matches!(intent, Intent::Rotate(..))) {
            // Somebody else began the repository meanwhile, with other keys.
            self.keyring.discard_unnamed(base);
        }
        if let Some(sent) = self.sent.take() {
            if self.took_effect(&sent).await? {
                self.tell(Event::AnswerLost);
                let published = Published { answer_lost: true, ..sent.published };
                let outcome = self.finish(base, published, sent.files, sent.remains).await;
                return Ok(Attempt::Done(outcome));
            }
            if upload::is_collision(&sent.error) {
                self.wait_for_others().await?;
            } else {
                self.troubles += 1;
            }
            if TROUBLE_LIMIT <= self.troubles {
                let (gun, server) = (self.remote.gun().clone(), self.remote.server());
                return Err(PublishError::Upload { gun, server, source: sent.error, unclear: false });
            }
        }
        let fingerprint = fingerprint(base.as_ref());
        if let Some((error, before)) = self.rejected.take() {
            if before == fingerprint {
                return Err(error);
            }
            self.wait_for_others().await?;
        }
        let publisher = self.publisher;
        let expiry = match intent {
            Intent::Refresh(_) => Expiry::Forgiven,
            _ => Expiry::Refused,
        };
        let remote = Arc::clone(&self.remote);
        let surroundings = (&*publisher.events, &publisher.random);
        let mut workspace =
            Workspace::new(&remote, base.as_ref(), (publisher.clock)(), expiry, surroundings)?;
        let remains = match self.apply(intent, &mut workspace).await {
            Ok(remains) => remains,
            Err(error) => return self.wait_out(error).await.map(|()| Attempt::Again),
        };
        let initialized = workspace.is_new();
        let parts = match workspace.seal(&mut self.keyring).await? {
            Sealed::Nothing => {
                let renewed = self.renewed_root.take();
                let published =
                    |it| Outcome::Published(Published { roles: vec![it], ..Published::default() });
                return Ok(Attempt::Done(renewed.map_or(Outcome::Unchanged, published)));
            }
            Sealed::Parts(parts) => return Ok(Attempt::Done(Outcome::Incomplete(parts))),
            Sealed::Complete(parts) => parts,
        };
        self.tell(Event::Reached(Step::Signed));
        self.hand_in(base, parts, initialized, remains).await
    }

    async fn apply(
        &mut self,
        intent: Intent<'_>,
        workspace: &mut Workspace<'_>,
    ) -> Result<Remains, PublishError> {
        let keyring = &mut self.keyring;
        let mut remains = Remains::default();
        match intent {
            Intent::Sign(tags, options) => workspace.sign_tags(tags, options, keyring).await?,
            Intent::Revoke(tags, roles) => {
                remains.still_signed = workspace.revoke_tags(tags, roles, keyring).await?;
            }
            Intent::Initialize(init) => {
                if !workspace.is_new() {
                    return Err(PublishError::AlreadyInitialized { gun: workspace.gun().clone() });
                }
                workspace.initialize(init, keyring).await?;
            }
            Intent::AddSigner(signer) => workspace.add_signer(signer, keyring).await?,
            Intent::RemoveSigner(name, last) => workspace.remove_signer(name, last).await?,
            Intent::Delegation(role, change) => workspace.change_delegation(role, change, None).await?,
            Intent::Rotate(role, rotation) => {
                let lost = workspace.rotate(role, rotation, keyring).await?;
                remains.obsolete = Some((role.clone(), lost));
            }
            Intent::Threshold(role, threshold) => workspace.set_threshold(role, threshold).await?,
            Intent::Refresh(within) => workspace.renew(within, keyring).await?,
            Intent::Staged(changes) => workspace.apply_staged(changes, keyring).await?,
        }
        Ok(remains)
    }

    /// Hands complete files in.
    async fn hand_in(
        &mut self,
        base: Option<Base>,
        parts: Vec<Part>,
        initialized: bool,
        remains: Remains,
    ) -> Result<Attempt, PublishError> {
        let published = Published {
            roles: self.renewed_root.iter().cloned().chain(parts.iter().map(published_role)).collect(),
            initialized,
            conflicts: self.conflicts,
            still_signed: remains.still_signed.clone(),
            ..Published::default()
        };
        let mut files = Vec::with_capacity(parts.len());
        for part in parts {
            let role = part.document.role().clone();
            let finished = part.document.finish();
            let gun = self.remote.gun();
            files.push((role, finished.map_err(|source| PublishError::Author { gun: gun.clone(), source })?));
        }
        let fingerprint = fingerprint(base.as_ref());
        let boundary = (self.publisher.random)()?;
        let answer = upload::post(&self.remote, &files, boundary).await;
        self.tell(Event::Reached(Step::Sent));
        match answer {
            Answer::Taken => {
                self.tell(Event::Reached(Step::Published));
                Ok(Attempt::Done(self.finish(base, published, files, remains).await))
            }
            Answer::Conflict => {
                self.wait_for_others().await?;
                Ok(Attempt::Again)
            }
            Answer::Rejected(error) => {
                self.rejected = Some((error, fingerprint));
                Ok(Attempt::Again)
            }
            Answer::Unclear(error) => {
                self.tell(Event::Retrying { reason: error.to_string() });
                let wait = wait_of(&error).unwrap_or(FIRST_WAIT);
                let first = files.first().and_then(|(role, content)| {
                    let of_role = published.roles.iter().rev().find(|it| it.role == *role)?;
                    Some((role.clone(), of_role.version, Sha256::digest(content).into()))
                });
                self.sent = Some(Sent { first, published, files, remains, error });
                self.pause(wait).await;
                Ok(Attempt::Again)
            }
            Answer::Failed(error) => Err(error),
        }
    }

    /// Publishes documents that others signed, too: they cannot be made anew here.
    pub(super) async fn publish_as_is(
        &mut self,
        base: Option<Base>,
        parts: Vec<Part>,
    ) -> Result<Outcome, PublishError> {
        let outdated = parts.first().map(|it| PublishError::PartOutdated {
            gun: self.remote.gun().clone(),
            role: it.document.role().clone(),
            found: it.document.version(),
            expected: it.document.version().next().unwrap_or(it.document.version()),
        });
        match self.hand_in(base, parts, false, Remains::default()).await? {
            Attempt::Done(outcome) => return Ok(outcome),
            Attempt::Again => {}
        }
        if let Some((error, _)) = self.rejected.take() {
            return Err(error);
        }
        if let Some(sent) = self.sent.take() {
            let base = self.read().await?;
            if self.took_effect(&sent).await? {
                self.tell(Event::AnswerLost);
                let published = Published { answer_lost: true, ..sent.published };
                return Ok(self.finish(base, published, sent.files, sent.remains).await);
            }
            let (gun, server) = (self.remote.gun().clone(), self.remote.server());
            return Err(PublishError::Upload { gun, server, source: sent.error, unclear: false });
        }
        Err(outdated.unwrap_or(PublishError::Parts { reason: "it is empty".to_owned() }))
    }

    /// Adds the snapshot to complete documents, where its key is here.
    pub(super) fn add_snapshot(
        &mut self,
        base: Option<&Base>,
        parts: &mut Vec<Part>,
    ) -> Result<(), PublishError> {
        let Some(base) = base else { return Ok(()) };
        let Some(keys) = base.chain().keys(&RoleName::SNAPSHOT).cloned() else { return Ok(()) };
        if !self.keyring.has_any(&keys) {
            return Ok(());
        }
        let gun = self.remote.gun().clone();
        let expires = (self.publisher.clock)().checked_add(LIFETIME).unwrap_or(jiff::Timestamp::MAX);
        let snapshots = Snapshots { base: Some(base), keys, expires, removed: &BTreeSet::new(), gun: &gun };
        snapshots.sign(parts, &mut self.keyring).map(drop)
    }

    /// The repository's state; `None`: the server has none.
    pub(super) async fn read(&mut self) -> Result<Option<Base>, PublishError> {
        let publisher = self.publisher;
        match self.refresh().run().await {
            Ok(base) => Ok(Some(base)),
            Err(TrustError::NoTrustData { gun, server }) => {
                let cached = |role, limit| publisher.cache.read(&gun, role, limit);
                match (cached(&RoleName::ROOT, ROOT_LIMIT), cached(&RoleName::TIMESTAMP, TIMESTAMP_LIMIT)) {
                    (CachedFile::Absent, _) => Ok(None),
                    (CachedFile::Content(root), CachedFile::Absent) => {
                        self.unpublished_root = Some(root);
                        Ok(None)
                    }
                    _ => Err(PublishError::Vanished { gun, server }),
                }
            }
            Err(TrustError::Unauthorized { gun, registry, source }) => {
                Err(PublishError::Unauthorized { gun, registry, source })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn refresh(&self) -> Refresh<AnyTime> {
        let publisher = self.publisher;
        Refresh {
            remote: Arc::clone(&self.remote),
            cache: Some(publisher.cache.clone()),
            pins: (publisher.pins)(self.remote.gun()),
            now: (publisher.clock)(),
            when: AnyTime,
        }
    }

    /// Whether the server has the very files that were handed in.
    async fn took_effect(&self, sent: &Sent) -> Result<bool, PublishError> {
        let Some((role, version, sha256)) = &sent.first else { return Ok(false) };
        match self.remote.by_version(role, version.get(), TARGETS_LIMIT).await {
            Ok(raw) => Ok(<[u8; 32]>::from(Sha256::digest(&raw)) == *sha256),
            Err(RemoteError::Missing) => Ok(false),
            Err(error) => Err(self.remote.explain(error, role.as_str()).into()),
        }
    }

    /// Everything that follows once the server has the files.
    async fn finish(
        &self,
        base: Option<Base>,
        mut published: Published,
        files: Vec<(RoleName, Vec<u8>)>,
        remains: Remains,
    ) -> Outcome {
        if published.initialized {
            self.tell(Event::Initialized { gun: self.remote.gun().clone() });
        }
        let start = base.as_ref().map(|it| it.chain().root().raw().to_vec());
        let start = start.or_else(|| self.unpublished_root.clone());
        // The old state can be large.
        drop(base);
        if let Err(reason) = self.renew_cache(start, files).await {
            self.tell(Event::NotCached { reason: reason.clone() });
            published.notes.push(format!("the cache does not have the new state: {reason}"));
        } else {
            self.tell(Event::Reached(Step::Cached));
        }
        if let Some((role, ids)) = remains.obsolete
            && role != RoleName::ROOT
        {
            for key_id in ids {
                if let Ok(true) = self.keyring.store().remove(&key_id) {
                    self.tell(Event::KeyRemoved { role: role.clone(), key_id });
                }
            }
        }
        Outcome::Published(published)
    }

    /// Has the cache hold the new state, verified as a reader would.
    async fn renew_cache(
        &self,
        start: Option<Vec<u8>>,
        files: Vec<(RoleName, Vec<u8>)>,
    ) -> Result<(), String> {
        let publisher = self.publisher;
        let gun = self.remote.gun().clone();
        let (delegations, files): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|(role, _)| role.is_delegation());
        let (cache, of) = (publisher.cache.clone(), gun.clone());
        let stored =
            tokio::task::spawn_blocking(move || cache.store_published(&of, start.as_deref(), &files)).await;
        match stored {
            Ok(Ok(Stored::Written | Stored::Overtaken)) => {}
            Ok(Ok(Stored::RootChanged)) => return Err("another process trusted another root".to_owned()),
            Ok(Err(error)) => return Err(error.to_string()),
            Err(error) => return Err(error.to_string()),
        }
        let remote = publisher.remote(&gun, Contact::Confirm).map_err(|it| it.to_string())?;
        let refresh = Refresh {
            remote: Arc::new(remote),
            cache: Some(publisher.cache.clone()),
            pins: (publisher.pins)(&gun),
            now: (publisher.clock)(),
            when: AnyTime,
        };
        let state = refresh.run().await.map_err(|it| it.to_string())?;
        for (role, content) in delegations {
            // Last, as readers do: who sees it sees the timestamp, too, that makes it the current one.
            let timestamp = state.walked().timestamp.raw();
            let stored = publisher.cache.store_delegation(&gun, timestamp, &role, &content);
            stored.map_err(|it| it.to_string())?;
        }
        let newest = state.walked().timestamp.raw();
        match publisher.cache.read(&gun, &RoleName::TIMESTAMP, TIMESTAMP_LIMIT) {
            CachedFile::Content(cached) if cached == newest => Ok(()),
            // Another process has cached what came after.
            CachedFile::Content(cached) if peek_version(newest) < peek_version(&cached) => Ok(()),
            _ => Err(state.notes().pop().unwrap_or_else(|| "it does not keep it".to_owned())),
        }
    }

    /// Another publisher was faster: waits a little, so that not all try again at once.
    async fn wait_for_others(&mut self) -> Result<(), PublishError> {
        self.conflicts += 1;
        if CONFLICT_LIMIT <= self.conflicts {
            let gun = self.remote.gun().clone();
            return Err(PublishError::Conflicts { gun, attempts: self.conflicts });
        }
        self.tell(Event::Conflict { attempt: self.conflicts });
        let longest = CONFLICT_WAIT.saturating_mul(1 << self.conflicts.min(CONFLICT_DOUBLINGS));
        let part = u32::from((self.publisher.random)()?[0]);
        self.pause(longest.saturating_mul(part) / u32::from(u8::MAX)).await;
        Ok(())
    }

    /// Notary's server renews no timestamp below a root that is expired, and then gives none at all. A new
    /// root alone has it go on; whether that was what is wrong, and is done.
    async fn renew_root_alone(&mut self, error: &PublishError) -> Result<bool, PublishError> {
        let failing = |it: &HttpError| it.status().is_some_and(|it| (500..600).contains(&it));
        let PublishError::Trust(TrustError::Unreachable { source, .. }) = error else { return Ok(false) };
        if !failing(source) || self.renewed_root.is_some() {
            return Ok(false);
        }
        let publisher = self.publisher;
        let chain = self.refresh().root().await?;
        let snapshot_here = chain.keys(&RoleName::SNAPSHOT).is_some_and(|it| self.keyring.has_any(it));
        if chain.check_expiry((publisher.clock)()).is_ok() || snapshot_here {
            return Ok(false);
        }
        let remote = Arc::clone(&self.remote);
        let surroundings = (&*publisher.events, &publisher.random);
        let mut workspace =
            Workspace::new(&remote, None, (publisher.clock)(), Expiry::Forgiven, surroundings)?;
        let draft = RootDraft::edit(chain.root(), workspace.expires(&RoleName::ROOT));
        workspace.resume(draft.map_err(|it| workspace.author(it))?);
        workspace.renew_root(&mut self.keyring)?;
        let Sealed::Complete(parts) = workspace.seal(&mut self.keyring).await? else { return Ok(false) };
        let Some(part) = parts.into_iter().next() else { return Ok(false) };
        let role = published_role(&part);
        let gun = self.remote.gun();
        let finished = part.document.finish();
        let file = finished.map_err(|source| PublishError::Author { gun: gun.clone(), source })?;
        let boundary = (publisher.random)()?;
        match upload::post(&self.remote, &[(RoleName::ROOT, file)], boundary).await {
            Answer::Taken => {
                self.tell(Event::Renewed { role: RoleName::ROOT });
                self.renewed_root = Some(role);
                Ok(true)
            }
            // Reading again shows what came of it.
            Answer::Conflict | Answer::Unclear(_) => Ok(false),
            Answer::Rejected(error) | Answer::Failed(error) => Err(error),
        }
    }

    /// The server did not answer a question: where that may pass, it is waited for.
    async fn wait_out(&mut self, error: PublishError) -> Result<(), PublishError> {
        let (PublishError::Trust(TrustError::Unreachable { source, .. })
        | PublishError::Upload { source, .. }) = &error
        else {
            return Err(self.unclear(error));
        };
        let passing = match source {
            HttpError::Status { status, .. } => *status == 429 || (500..600).contains(status),
            // Once files were handed in, it is worth finding out what became of them.
            other => self.sent.is_some() && other.is_unreachable(),
        };
        self.troubles += 1;
        if !passing || TROUBLE_LIMIT <= self.troubles {
            return Err(self.unclear(error));
        }
        let wait = wait_of(source).unwrap_or(FIRST_WAIT.saturating_mul(1 << self.troubles));
        self.tell(Event::Retrying { reason: source.to_string() });
        self.pause(wait).await;
        Ok(())
    }

    /// An error after which it is not known whether the files were taken.
    fn unclear(&mut self, error: PublishError) -> PublishError {
        match &self.sent {
            None => error,
            Some(sent) => {
                let (gun, server) = (self.remote.gun().clone(), self.remote.server());
                PublishError::Upload { gun, server, source: sent.error.clone(), unclear: true }
            }
        }
    }

    async fn pause(&self, duration: Duration) {
        (self.publisher.pause)(duration).await;
    }

    pub(super) fn tell(&self, event: Event) {
        (self.publisher.events)(event);
    }
}

fn published_role(part: &Part) -> PublishedRole {
    PublishedRole {
        role: part.document.role().clone(),
        version: part.document.version(),
        expires: part.document.expires(),
        key_ids: part.document.signatures().cloned().collect(),
    }
}

fn fingerprint(base: Option<&Base>) -> Fingerprint {
    base.map(|it| (it.chain().root().version(), it.walked().snapshot.version()))
}

/// How long the server wants to be left alone, if that is bearable.
fn wait_of(error: &HttpError) -> Option<Duration> {
    match error {
        HttpError::Status { problem, .. } => problem.retry_after.map(|it| it.min(LONGEST_WAIT)),
        _ => None,
    }
}

/// Others who publish as often as this at once do not leave a gap.
const CONFLICT_LIMIT: u32 = 16;
/// A publication takes about as long.
const CONFLICT_WAIT: Duration = Duration::from_millis(40);
/// At most 2.5 seconds.
const CONFLICT_DOUBLINGS: u32 = 6;
/// Failures of the server that are waited out.
const TROUBLE_LIMIT: u32 = 4;
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Somebody is watching.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
