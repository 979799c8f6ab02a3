//! The publisher itself: what it is made of, and what can be asked of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::run::{Intent, Run};
use super::{
    Change, DelegationChange, Deleted, Event, Init, LastSigner, NewSigner, Outcome, Part, PublishError,
    Rotation, SignAs, SignOptions, StagedChange, Survey, SurveyScope, Tags,
};
use super::{changelist, partial, upload};
use crate::http::HttpClient;
use crate::image::Gun;
use crate::keys::{KeyError, KeyStore, Passphrase, PassphraseRequest, PassphraseSource};
use crate::trust::remote::{Contact, Remote};
use crate::trust::{Cache, Clock, server_for};
use crate::tuf::{RoleName, RootPins, Target};

/// Where random bytes come from: serial numbers of certificates, and how long to wait.
pub type Random = Arc<dyn Fn() -> Result<[u8; 16], KeyError> + Send + Sync>;
/// Waits.
pub type Pause = Arc<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>;

/// Publishes trust data. One serves any number of repositories; clones share everything.
#[derive(Clone)]
pub struct Publisher {
    pub(super) http: HttpClient,
    pub(super) cache: Cache,
    pub(super) keys: KeyStore,
    pub(super) clock: Clock,
    pub(super) random: Random,
    pub(super) pause: Pause,
    pub(super) server: Option<String>,
    pub(super) pins: Arc<dyn Fn(&Gun) -> RootPins + Send + Sync>,
    pub(super) events: Arc<dyn Fn(Event) + Send + Sync>,
}

impl Publisher {
    /// A publisher with these keys. Cache and keys are those of one trust folder, as docker has them.
    #[must_use]
    pub fn new(http: HttpClient, cache: Cache, keys: KeyStore, clock: Clock) -> Self {
        Self {
            http,
            cache,
            keys,
            clock,
            random: Arc::new(|| {
                let mut bytes = [0; 16];
                getrandom::fill(&mut bytes).map_err(KeyError::Random)?;
                Ok(bytes)
            }),
            // The one real pause; whoever tests brings another one.
            pause: Arc::new(|duration| Box::pin(tokio::time::sleep(duration))),
            server: None,
            pins: Arc::new(|_| RootPins::TrustOnFirstUse),
            events: Arc::new(|_| ()),
        }
    }

    /// The same with the value of `DOCKER_CONTENT_TRUST_SERVER`.
    #[must_use]
    pub fn with_server(self, override_url: Option<String>) -> Self {
        Self { server: override_url, ..self }
    }

    /// The same with pins for the roots of repositories, as a policy has them.
    #[must_use]
    pub fn with_pins(self, pins: Arc<dyn Fn(&Gun) -> RootPins + Send + Sync>) -> Self {
        Self { pins, ..self }
    }

    /// The same, telling what happens on the way.
    #[must_use]
    pub fn with_events(self, events: Arc<dyn Fn(Event) + Send + Sync>) -> Self {
        Self { events, ..self }
    }

    /// The same with other random bytes and another way to wait, for tests.
    #[must_use]
    pub fn with_chance(self, random: Random, pause: Pause) -> Self {
        Self { random, pause, ..self }
    }

    /// The keys that it signs with.
    #[must_use]
    pub fn keys(&self) -> &KeyStore {
        &self.keys
    }

    /// Signs tags.
    pub async fn sign(
        &self,
        gun: &Gun,
        targets: &[(String, Target)],
        options: &SignOptions,
        passphrases: &mut dyn PassphraseSource,
    ) -> Result<Outcome, PublishError> {
        Box::pin(Run::new(self, gun, passphrases)?.carry_out(Intent::Sign(targets, options))).await
    }

    /// Revokes tags: they are signed no more.
    pub async fn revoke(
        &self,
        gun: &Gun,
        tags: &Tags,
        roles: &SignAs,
        passphrases: &mut dyn PassphraseSource,
    ) -> Result<Outcome, PublishError> {
        Box::pin(Run::new(self, gun, passphrases)?.carry_out(Intent::Revoke(tags, roles))).await
    }

    /// Makes a repository's trust data, without any tag.
    pub async fn initialize(
        &self,
        gun: &Gun,
        init: &Init,
        passphrases: &mut dyn PassphraseSource,
    ) -> Result<Outcome, PublishError> {
        Box::pin(Run::new(self, gun, passphrases)?.carry_out(Intent::Initialize(init))).await
    }

    /// Adds a signer, or keys to one. The repository is made where there is none, as docker does.
    pub async fn add_signer(
        &self,
        gun: &Gun,
        signer: &NewSigner,
        passphrases: &mut dyn PassphraseSource,
    ) -> Result<Outcome, PublishError> {
        Box::pin(Run::new(self, gun, passphrases)?.carry_out(Intent::AddSigner(signer))).await
    }

    /// Removes a signer: the role, and its keys from `targets/releases`.
    pub async fn remove_signer(
        &self,
        gun: &Gun,
        name: &str,
        last: LastSigner,
        passphrases: &mut dyn PassphraseSource,
    ) -> Result<Outcome, PublishError> {
        Box::pin(Run::new(self, gun, passphrases)?.carry_out(Intent::RemoveSigner(name, last))).await
    }

    /// Makes, changes or removes a delegation.
    pub async fn change_delegation(
        &self,
        gun: &Gun,
        role: &RoleName,
        change: &DelegationChange,
        passphrases: &mut dyn PassphraseSource,
    ) -> Result<Outcome, PublishError> {
        Box::pin(Run::new(self, gun, passphrases)?.carry_out(Intent::Delegation(role, change))).await
    }

    /// Replaces the keys of `root`, `targets`, `snapshot` or `timestamp`.
    pub async fn rotate(
        &self,
        gun: &Gun,
        role: &RoleName,
        rotation: &Rotation,
        passphrases: &mut dyn PassphraseSource,
    ) -> Result<Outcome, PublishError> {
        Box::pin(Run::new(self, gun, passphrases)?.carry_out(Intent::Rotate(role, rotation))).await
    }

    /// Sets how many keys of `root`, `targets` or a delegation must sign.
    pub async fn set_threshold(
        &self,
        gun: &Gun,
        role: &RoleName,
        threshold: u64,
        passphrases: &mut dyn PassphraseSource,
    ) -> Result<Outcome, PublishError> {
        Box::pin(Run::new(self, gun, passphrases)?.carry_out(Intent::Threshold(role, threshold))).await
    }

    /// Signs again what is expired, or will be within this time. Signatures and versions are checked as
    /// ever; only expiry is forgiven, so that a repository that locks everybody out can be opened again.
    pub async fn refresh(
        &self,
        gun: &Gun,
        within: jiff::SignedDuration,
        passphrases: &mut dyn PassphraseSource,
    ) -> Result<Outcome, PublishError> {
        Box::pin(Run::new(self, gun, passphrases)?.carry_out(Intent::Refresh(within))).await
    }

    /// Deletes a repository's trust data: on the server, and what this machine has of it, keys included.
    pub async fn delete(&self, gun: &Gun, remote: bool, local: bool) -> Result<Deleted, PublishError> {
        let mut deleted = Deleted::default();
        if remote {
            upload::delete(&self.remote(gun, Contact::Push)?).await?;
            deleted.remote = true;
        }
        if local {
            let failed = |source| PublishError::Io { path: self.cache.changelist(gun), source };
            deleted.local = self.cache.remove(gun).map_err(failed)?;
            for key in self.keys.list()?.keys {
                if key.gun.as_ref() == Some(gun) && self.keys.remove(&key.id)? {
                    deleted.keys.push(key.id);
                }
            }
        }
        Ok(deleted)
    }

    /// Publishes the staged changes, all or none; they are no longer staged then.
    pub async fn publish_staged(
        &self,
        gun: &Gun,
        passphrases: &mut dyn PassphraseSource,
    ) -> Result<Outcome, PublishError> {
        let changes = self.staged(gun)?;
        if changes.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        Box::pin(Run::new(self, gun, passphrases)?.carry_out(Intent::Staged(&changes))).await
    }

    /// Stages a change as notary does: to be published later, by us or by notary.
    pub fn stage(&self, gun: &Gun, change: &Change) -> Result<StagedChange, PublishError> {
        changelist::write(&self.cache.changelist(gun), change, (self.clock)(), (self.random)()?)
    }

    /// The staged changes, oldest first.
    pub fn staged(&self, gun: &Gun) -> Result<Vec<StagedChange>, PublishError> {
        changelist::list(&self.cache.changelist(gun))
    }

    /// Forgets the staged changes; returns how many there were.
    pub fn clear_staged(&self, gun: &Gun) -> Result<usize, PublishError> {
        changelist::clear(&self.cache.changelist(gun))
    }

    /// The text of a file in which documents are passed round for signatures.
    pub fn write_parts(parts: &[Part]) -> Result<Vec<u8>, PublishError> {
        partial::write(parts)
    }

    /// Reads such files, each a copy with some signatures, and checks them against the repository's
    /// present state. Nothing is signed.
    pub async fn read_parts(&self, gun: &Gun, texts: &[Vec<u8>]) -> Result<Vec<Part>, PublishError> {
        let mut nobody = Nobody;
        let (_, documents) = Box::pin(Run::new(self, gun, &mut nobody)?.read_parts(texts)).await?;
        let parts = documents.into_iter().map(|(document, _)| {
            let missing = document.missing();
            let missing = missing.map_err(|source| PublishError::Author { gun: gun.clone(), source })?;
            Ok(Part { document, missing })
        });
        parts.collect()
    }

    /// Signs the documents of such files with the keys that are here; publishes them if that suffices.
    pub async fn publish_partial(
        &self,
        gun: &Gun,
        texts: &[Vec<u8>],
        passphrases: &mut dyn PassphraseSource,
    ) -> Result<Outcome, PublishError> {
        Box::pin(Run::new(self, gun, passphrases)?.publish_parts(texts)).await
    }

    /// All that is known of a repository.
    pub async fn survey(&self, gun: &Gun, scope: SurveyScope) -> Result<Survey, PublishError> {
        Box::pin(self.look_over(gun, scope)).await
    }

    /// The repositories that this machine has trust data of, in the order of their names.
    pub fn known_repositories(&self) -> Result<Vec<Gun>, PublishError> {
        let failed = |source| PublishError::Io { path: self.keys.folder().to_owned(), source };
        self.cache.repositories().map_err(failed)
    }

    /// A repository on its server.
    pub(super) fn remote(&self, gun: &Gun, contact: Contact) -> Result<Remote, PublishError> {
        let server = server_for(gun, self.server.as_deref())?;
        Ok(Remote::new(self.http.clone(), server, gun.clone(), contact))
    }
}

/// Knows no passphrase, where nothing is signed.
struct Nobody;

impl PassphraseSource for Nobody {
    fn passphrase(&mut self, request: &PassphraseRequest<'_>) -> Result<Passphrase, KeyError> {
        let (role, key_id) = (request.role.to_string(), request.key_id.cloned());
        Err(KeyError::NoPassphrase { role, key_id })
    }

    fn name(&self, _request: &PassphraseRequest<'_>) -> String {
        "nobody".to_owned()
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher")
            .field("cache", &self.cache)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}
