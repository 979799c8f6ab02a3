//! A publisher over a database in memory and keys in a map, with a client at its side.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;

use super::*;
use crate::signer::{KeyAlgorithm, KeyInfo, KeyService, KeyServiceError};
use crate::tuf::author::RawSignature;
use crate::tuf::testing::Verified;
use crate::tuf::{KeyId, PublicKey};

/// Keys in a map; they can be put out of reach.
#[derive(Default)]
pub(in crate::server) struct TestKeys {
    keys: Mutex<BTreeMap<KeyId, (RoleName, TestKey)>>,
    made: AtomicUsize,
    pub(in crate::server) signed: AtomicUsize,
    pub(in crate::server) away: AtomicBool,
    /// Whoever signs panics.
    pub(in crate::server) defective: AtomicBool,
}

impl TestKeys {
    /// Takes a key in.
    pub(in crate::server) fn add(&self, role: &RoleName, key: &TestKey) {
        let entry = (role.clone(), key.clone());
        self.keys.lock().unwrap().insert(key.public().id().clone(), entry);
    }

    fn find(&self, key: &KeyId) -> Result<(RoleName, TestKey), KeyServiceError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(KeyServiceError::Unavailable { reason: "the test took them away".to_owned() });
        }
        let found = self.keys.lock().unwrap().get(key).cloned();
        found.ok_or_else(|| KeyServiceError::Unknown { key: key.clone() })
    }
}

impl KeyService for TestKeys {
    fn create<'a>(
        &'a self,
        gun: &'a Gun,
        role: &'a RoleName,
        _algorithm: KeyAlgorithm,
    ) -> BoxFuture<'a, Result<PublicKey, KeyServiceError>> {
        let number = self.made.fetch_add(1, Ordering::SeqCst);
        let key = TestKey::ed25519(&format!("{gun} {role} {number}"));
        self.add(role, &key);
        Box::pin(async move { Ok(key.public().clone()) })
    }

    fn info<'a>(&'a self, key: &'a KeyId) -> BoxFuture<'a, Result<KeyInfo, KeyServiceError>> {
        Box::pin(async {
            let (role, key) = self.find(key)?;
            Ok(KeyInfo { public: key.public().clone(), role })
        })
    }

    fn sign<'a>(
        &'a self,
        key: &'a KeyId,
        message: &'a [u8],
    ) -> BoxFuture<'a, Result<RawSignature, KeyServiceError>> {
        Box::pin(async {
            assert!(!self.defective.load(Ordering::SeqCst), "a defect, which a test wants");
            let (_, key) = self.find(key)?;
            self.signed.fetch_add(1, Ordering::SeqCst);
            crate::tuf::author::Signer::sign(&key, message)
                .map_err(|it| KeyServiceError::Failed { reason: it.to_string() })
        })
    }

    fn delete<'a>(&'a self, key: &'a KeyId) -> BoxFuture<'a, Result<(), KeyServiceError>> {
        Box::pin(async {
            self.keys.lock().unwrap().remove(key);
            Ok(())
        })
    }

    fn health(&self) -> BoxFuture<'_, Result<(), KeyServiceError>> {
        Box::pin(async { Ok(()) })
    }
}

/// A publisher and what is behind it.
pub(in crate::server) struct Desk {
    pub(in crate::server) storage: Arc<SqlStorage>,
    pub(in crate::server) keys: Arc<TestKeys>,
    pub(in crate::server) publisher: Publisher,
}

impl Desk {
    pub(in crate::server) async fn new() -> Self {
        let storage = Arc::new(SqlStorage::in_memory().await.unwrap());
        let keys = Arc::new(TestKeys::default());
        let publisher = Publisher::new(
            Arc::clone(&storage) as Arc<dyn Storage>,
            Arc::clone(&keys) as Arc<dyn KeyService>,
            PublisherOptions::NOTARY,
        );
        Self { storage, keys, publisher }
    }

    /// Another server on the same storage and keys.
    pub(in crate::server) fn beside(&self) -> Publisher {
        Publisher::new(
            Arc::clone(&self.storage) as Arc<dyn Storage>,
            Arc::clone(&self.keys) as Arc<dyn KeyService>,
            PublisherOptions::NOTARY,
        )
    }

    /// A repository whose snapshot and timestamp this server signs, as docker makes it.
    pub(in crate::server) fn repository(&self) -> Repository {
        let mut repository = Repository::new(BASE);
        for role in [RoleName::SNAPSHOT, RoleName::TIMESTAMP] {
            let key = TestKey::ed25519(&format!("server {role}"));
            self.keys.add(&role, &key);
            repository.replace_keys(role.as_str(), vec![key], 1);
        }
        repository
    }

    /// A repository of which this server signs the timestamp only.
    pub(in crate::server) fn repository_with_snapshot(&self) -> Repository {
        let mut repository = self.repository();
        repository.replace_keys("snapshot", vec![TestKey::p256("own snapshot")], 1);
        repository
    }

    /// Hands in these roles' files.
    pub(in crate::server) async fn publish(
        &self,
        repository: &Repository,
        roles: &[&str],
    ) -> Result<Published, PublicationError> {
        self.publisher.publish(&gun(), upload(repository, roles), now()).await
    }

    /// A desk where this is published.
    pub(in crate::server) async fn with(make: impl FnOnce(&Self) -> Repository) -> (Self, Repository) {
        let desk = Self::new().await;
        let mut repository = make(&desk);
        repository.tag("targets", "v1", b"manifest");
        desk.publish(&repository, &["root", "targets", "snapshot"][..desk.parts(&repository)]).await.unwrap();
        (desk, repository)
    }

    fn parts(&self, repository: &Repository) -> usize {
        let key = repository.roles["snapshot"].signers[0].public().id().clone();
        if self.keys.find(&key).is_ok() { 2 } else { 3 }
    }

    /// What a client that comes for the first time makes of what is stored.
    pub(in crate::server) async fn read(&self) -> Verified {
        let mut files = Repository::new(BASE).publish();
        files.files.clear();
        for role in self.storage.heads(&gun()).await.unwrap().keys() {
            let file = self.storage.current(&gun(), role).await.unwrap().unwrap();
            files.files.insert(role.to_string(), file.content.to_vec());
        }
        files.verify(now()).unwrap()
    }

    /// Each role's current version.
    pub(in crate::server) async fn versions(&self) -> Vec<(String, u64)> {
        let heads = self.storage.heads(&gun()).await.unwrap();
        heads.iter().map(|(role, it)| (role.to_string(), it.version.get())).collect()
    }
}

/// These roles' files, signed.
pub(in crate::server) fn upload(repository: &Repository, roles: &[&str]) -> Upload {
    let files = repository.publish();
    Upload::new(roles.iter().map(|it| (role(it), files.get(it)))).unwrap()
}

/// The same list as [`Desk::versions`].
pub(in crate::server) fn versions<const N: usize>(list: [(&str, u64); N]) -> Vec<(String, u64)> {
    list.map(|(role, number)| (role.to_owned(), number)).to_vec()
}
