//! The first version of a repository, and everything around root keys.

use super::keyring::Keyring;
use super::upload::{ServerKey, server_key};
use super::workspace::Workspace;
use super::{Event, Init, ManagedBy, PublishError, Step};
use crate::keys::{KeyError, KeyRole, PrivateKey};
use crate::tuf::author::{RootDraft, root_certificate};
use crate::tuf::{KeyId, PublicKey, RoleKeys, RoleName};

impl Workspace<'_> {
    /// Begins the repository as docker does. Keys are taken from the key store where they are there: what
    /// a publication that broke off has left is gone on with.
    pub(super) async fn initialize(
        &mut self,
        init: &Init,
        keyring: &mut Keyring<'_>,
    ) -> Result<(), PublishError> {
        let gun = self.gun();
        (self.events)(Event::Initializing { gun: gun.clone() });
        let root_key = self.root_key(init.root_key.as_ref(), keyring)?;
        let certificate = match &init.root_certificate {
            Some(text) => self.given_certificate(text, &root_key)?,
            None => self.certificate(&root_key, keyring)?,
        };
        (self.events)(Event::Reached(Step::RootKey));
        let targets = self.repository_key(&RoleName::TARGETS, keyring)?;
        let snapshot = match init.snapshot {
            ManagedBy::Client => Some(self.repository_key(&RoleName::SNAPSHOT, keyring)?),
            ManagedBy::Server => None,
        };
        (self.events)(Event::Reached(Step::RepositoryKey));
        let timestamp = server_key(self.remote, &RoleName::TIMESTAMP, ServerKey::Current).await?;
        let snapshot = match snapshot {
            Some(key) => key,
            None => server_key(self.remote, &RoleName::SNAPSHOT, ServerKey::Current).await?,
        };
        (self.events)(Event::Reached(Step::ServerKeys));
        let mut draft = RootDraft::new(self.expires(&RoleName::ROOT));
        for (role, key) in [
            (RoleName::ROOT, certificate),
            (RoleName::TARGETS, targets),
            (RoleName::SNAPSHOT, snapshot),
            (RoleName::TIMESTAMP, timestamp),
        ] {
            draft.set_keys(&role, &one(key)).map_err(|it| self.author(it))?;
        }
        self.begin(draft);
        Ok(())
    }

    /// The root key that was named, else the first one here, else a new one.
    fn root_key(&self, named: Option<&KeyId>, keyring: &mut Keyring<'_>) -> Result<KeyId, PublishError> {
        if let Some(id) = named {
            return Ok(keyring.open(id)?.id().clone());
        }
        if let Some(id) = keyring.first(&KeyRole::root(), None) {
            return Ok(id);
        }
        self.new_root_key(keyring).map(|it| it.canonical_id().clone())
    }

    /// Makes a root key: on P-256, since docker reads no other.
    pub(super) fn new_root_key(&self, keyring: &mut Keyring<'_>) -> Result<PublicKey, PublishError> {
        if let Some(key) = keyring.made(&KeyRole::root()) {
            return Ok(key);
        }
        let key = PrivateKey::generate_p256()?;
        (self.events)(Event::MakingRootKey { key_id: key.id().clone() });
        keyring.keep(key, &KeyRole::root(), None)
    }

    /// The repository's own key for a role: the one that an attempt before this made, or a new one.
    fn repository_key(&self, role: &RoleName, keyring: &mut Keyring<'_>) -> Result<PublicKey, PublishError> {
        match keyring.first(&KeyRole::of(role), Some(self.gun())) {
            Some(id) => Ok(keyring.open(&id)?.public().clone()),
            None => self.new_key(role, keyring),
        }
    }

    /// Makes a key of the repository.
    pub(super) fn new_key(
        &self,
        role: &RoleName,
        keyring: &mut Keyring<'_>,
    ) -> Result<PublicKey, PublishError> {
        if let Some(key) = keyring.made(&KeyRole::of(role)) {
            return Ok(key);
        }
        let key = PrivateKey::generate_ed25519()?;
        (self.events)(Event::MakingKey { role: role.clone(), key_id: key.id().clone() });
        keyring.keep(key, &KeyRole::of(role), Some(self.gun()))
    }

    /// A certificate around a root key of the key store, for this repository.
    pub(super) fn certificate(
        &self,
        id: &KeyId,
        keyring: &mut Keyring<'_>,
    ) -> Result<PublicKey, PublishError> {
        let serial = (self.random)()?;
        let key = keyring.open(id)?;
        root_certificate(key, self.gun(), serial, self.now).map_err(|it| self.author(it))
    }

    /// A certificate that somebody else made around the root key.
    fn given_certificate(&self, text: &[u8], root_key: &KeyId) -> Result<PublicKey, PublishError> {
        let unusable = |reason| PublishError::RootCertificate { gun: self.gun().clone(), reason };
        let certificate = PublicKey::from_bundle(text).map_err(unusable)?;
        if certificate.canonical_id() != root_key {
            return Err(unusable(format!(
                "it is around key {}, and the root key is {root_key}",
                certificate.canonical_id()
            )));
        }
        Ok(certificate)
    }

    /// Has the root signed again, with new certificates in the place of those that end soon.
    pub(super) fn renew_root(&mut self, keyring: &mut Keyring<'_>) -> Result<(), PublishError> {
        let draft = self.edit_root()?;
        let Some(keys) = draft.keys(&RoleName::ROOT).cloned() else { return Ok(()) };
        let mut renewed = keys.clone();
        for key in &mut renewed.keys {
            let Some((_, until)) = key.certificate_validity() else { continue };
            if !self.is_near(until) {
                continue;
            }
            match self.certificate(key.canonical_id(), keyring) {
                Ok(certificate) => *key = certificate,
                // Another holder of a root key can renew that one.
                Err(PublishError::Key(KeyError::NotFound { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        if renewed.keys != keys.keys {
            let set = self.edit_root()?.set_keys(&RoleName::ROOT, &renewed);
            set.map_err(|it| self.author(it))?;
        }
        self.force(&RoleName::ROOT);
        Ok(())
    }
}

/// One key, which must sign.
pub(super) fn one(key: PublicKey) -> RoleKeys {
    RoleKeys { keys: vec![key], threshold: 1 }
}
