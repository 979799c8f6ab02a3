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
use crate::trust::cache::CachedFile;
use crate::trust::refresh::Refresh;
use crate::trust::remote::{Contact, Remote, RemoteError};
use crate::tuf::{AnyTime, KeyId, ROOT_LIMIT, RoleName, TARGETS_LIMIT, TIMESTAMP_LIMIT, Target, Version};

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
pub(super) struct Remains {
    still_signed: Vec<(String, RoleName)>,
    /// Keys that the role has no more.
    pub(super) obsolete: Option<(RoleName, Vec<KeyId>)>,
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
    /// Whether something was handed in that may take effect yet.
    uncertain: bool,
    /// What the server refused, and the state that it was made from.
    rejected: Option<(PublishError, Fingerprint)>,
    /// A cached root that was never published: notary keeps one between `init` and `publish`.
    pub(super) unpublished_root: Option<Vec<u8>>,
    /// A root that had to be renewed before anything else could be read.
    pub(super) renewed_root: Option<PublishedRole>,
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
            uncertain: false,
            rejected: None,
            unpublished_root: None,
            renewed_root: None,
        })
    }

    /// Carries a wish out, however often others publish meanwhile.
    pub(super) async fn carry_out(mut self, intent: Intent<'_>) -> Result<Outcome, PublishError> {
        loop {
            match self.attempt(intent).await {
                Ok(Attempt::Done(mut outcome)) => {
                    forget_staged(intent, &mut outcome)?;
                    return Ok(outcome);
                }
                Ok(Attempt::Again) => {}
                Err(error) => {
                    // A new key of a rotation that did not happen would only be in the way.
                    if matches!(intent, Intent::Rotate(..)) && !self.uncertain {
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
            match self.took_effect(&sent).await {
                Ok(true) => return Ok(Attempt::Done(self.answer_found(base, sent).await)),
                Ok(false) => {}
                Err(error) => {
                    self.sent = Some(sent);
                    return self.wait_out(error).await.map(|()| Attempt::Again);
                }
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
        let parts = match workspace.seal(&mut self.keyring).await {
            Ok(Sealed::Nothing) => {
                let root_only =
                    |it| Outcome::Published(Published { roles: vec![it], ..Published::default() });
                let renewed = self.renewed_root.take();
                return Ok(Attempt::Done(renewed.map_or(Outcome::Unchanged, root_only)));
            }
            Ok(Sealed::Parts(parts)) => return Ok(Attempt::Done(Outcome::Incomplete(parts))),
            Ok(Sealed::Complete(parts)) => parts,
            Err(error) => return self.wait_out(error).await.map(|()| Attempt::Again),
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
                self.uncertain = true;
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
                return Ok(self.answer_found(base, sent).await);
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

    pub(super) fn refresh(&self) -> Refresh<AnyTime> {
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

    /// What was handed in is on the server, whatever became of its answer.
    async fn answer_found(&self, base: Option<Base>, sent: Sent) -> Outcome {
        self.tell(Event::AnswerLost);
        let published = Published { answer_lost: true, ..sent.published };
        self.finish(base, published, sent.files, sent.remains).await
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

/// Staged changes that are on the server are no longer staged, whoever brought them there.
fn forget_staged(intent: Intent<'_>, outcome: &mut Outcome) -> Result<(), PublishError> {
    let Intent::Staged(changes) = intent else { return Ok(()) };
    match outcome {
        Outcome::Published(published) => {
            if let Err(error) = super::changelist::forget(changes) {
                published.notes.push(format!("what was staged still is: {error}"));
            }
            Ok(())
        }
        Outcome::Unchanged => super::changelist::forget(changes),
        // Once others have signed, publishing them again finds nothing to do.
        Outcome::Incomplete(_) => Ok(()),
    }
}

pub(super) fn published_role(part: &Part) -> PublishedRole {
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
