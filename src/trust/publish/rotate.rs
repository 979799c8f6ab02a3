//! New keys for the base roles.

use super::initialize::one;
use super::keyring::Keyring;
use super::seal::Others;
use super::upload::{ServerKey, server_key};
use super::workspace::Workspace;
use super::{ManagedBy, PublishError, Rotation};
use crate::tuf::{KeyId, PublicKey, ROOT_LIMIT, RoleKeys, RoleName, RootChain, RootPins, Version};

impl Workspace<'_> {
    /// Replaces the keys of a base role. Returns the canonical IDs of those that it loses.
    pub(super) async fn rotate(
        &mut self,
        role: &RoleName,
        rotation: &Rotation,
        keyring: &mut Keyring<'_>,
    ) -> Result<Vec<KeyId>, PublishError> {
        let Some(base) = self.base() else { return Err(self.not_initialized()) };
        let Some(old) = base.chain().keys(role).cloned() else {
            return Err(unfit(role, "delegations get keys with `repo delegation`, or `signer add`"));
        };
        // Whoever cannot sign the root learns it before a new key is made.
        self.open_root_keys(keyring, Others::MaySign)?;
        let keys = match (role.as_str(), rotation.managed_by) {
            ("timestamp", ManagedBy::Client) => {
                return Err(unfit(role, "notary does not permit the client managing the timestamp key"));
            }
            ("timestamp" | "snapshot", ManagedBy::Server) => {
                one(server_key(self.remote, role, ServerKey::New).await?)
            }
            (_, ManagedBy::Server) => {
                return Err(unfit(role, "notary does not permit the server managing its key"));
            }
            ("root", ManagedBy::Client) => {
                let keys = self.new_root_keys(rotation, keyring)?;
                RoleKeys { keys, threshold: old.threshold }
            }
            (_, ManagedBy::Client) => {
                let keys = self.new_keys(role, rotation, keyring)?;
                RoleKeys { keys, threshold: old.threshold }
            }
        };
        let lost = old.keys.iter().map(PublicKey::canonical_id);
        let lost = lost.filter(|it| keys.keys.iter().all(|new| new.canonical_id() != *it)).cloned().collect();
        let set = self.edit_root()?.set_keys(role, &keys);
        set.map_err(|it| self.author(it))?;
        if *role == RoleName::ROOT && 0 < rotation.legacy {
            let older = self.older_root_keys(rotation.legacy).await?;
            self.edit_root()?.also_signed_by(older);
        }
        Ok(lost)
    }

    fn new_keys(
        &mut self,
        role: &RoleName,
        rotation: &Rotation,
        keyring: &mut Keyring<'_>,
    ) -> Result<Vec<PublicKey>, PublishError> {
        if rotation.new_keys.is_empty() {
            return Ok(vec![self.new_key(role, keyring)?]);
        }
        let keys = rotation.new_keys.iter().map(|it| Ok(keyring.open(it)?.public().clone()));
        keys.collect()
    }

    fn new_root_keys(
        &mut self,
        rotation: &Rotation,
        keyring: &mut Keyring<'_>,
    ) -> Result<Vec<PublicKey>, PublishError> {
        let ids = if rotation.new_keys.is_empty() {
            vec![self.new_root_key(keyring)?.canonical_id().clone()]
        } else {
            rotation.new_keys.clone()
        };
        ids.iter().map(|it| self.certificate(it, keyring)).collect()
    }

    /// The root keys of so many versions before the current one.
    async fn older_root_keys(&self, count: u32) -> Result<Vec<PublicKey>, PublishError> {
        let Some(base) = self.base() else { return Ok(Vec::new()) };
        let newest = base.chain().root().version().get();
        let oldest = newest.saturating_sub(u64::from(count.min(LEGACY_LIMIT))).max(Version::FIRST.get());
        let mut keys = Vec::new();
        for version in oldest..newest {
            let raw = self.remote.by_version(&RoleName::ROOT, version, ROOT_LIMIT).await;
            let raw = raw.map_err(|it| self.remote.explain(it, &format!("{version}.root")))?;
            // Nobody vouches for an old root, and nobody has to: only keys of the key store sign.
            let chain = RootChain::from_cache(self.gun(), raw, &RootPins::TrustOnFirstUse);
            let chain = chain.map_err(|it| self.metadata(it))?;
            keys.extend(chain.keys(&RoleName::ROOT).into_iter().flat_map(|it| it.keys.clone()));
        }
        Ok(keys)
    }
}

fn unfit(role: &RoleName, reason: &str) -> PublishError {
    PublishError::Role { role: role.clone(), reason: reason.to_owned() }
}

/// Clients that missed more rotations than this have not run for years.
const LEGACY_LIMIT: u32 = 128;
