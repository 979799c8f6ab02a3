//! The keys that the server signs with, handed out to those who write roots.

use jiff::Timestamp;

use super::{PublicationError, Publisher};
use crate::image::Gun;
use crate::server::storage::StorageError;
use crate::signer::KeyServiceError;
use crate::tuf::{PublicKey, RoleName, RootChain, RootPins};

impl Publisher {
    /// The key that the server signs a role with: the one that the current root names, or one that was
    /// handed out before, or a new one.
    pub async fn signing_key(
        &self,
        gun: &Gun,
        role: &RoleName,
        now: Timestamp,
    ) -> Result<PublicKey, PublicationError> {
        check_role(role)?;
        let mut known = self.keys_of_root(gun, role).await?;
        known.extend(self.storage.signing_keys(gun, role).await?);
        for key in known {
            match self.keys.info(key.id()).await {
                Ok(_) => return Ok(key),
                Err(KeyServiceError::Unknown { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.rotate_signing_key(gun, role, now).await
    }

    /// A key that nothing was signed with yet, for the next root to name.
    pub async fn rotate_signing_key(
        &self,
        gun: &Gun,
        role: &RoleName,
        now: Timestamp,
    ) -> Result<PublicKey, PublicationError> {
        check_role(role)?;
        let key = self.keys.create(gun, role, self.options.algorithm).await?;
        self.storage.add_signing_key(gun, role, &key, now).await?;
        Ok(key)
    }

    async fn keys_of_root(&self, gun: &Gun, role: &RoleName) -> Result<Vec<PublicKey>, PublicationError> {
        let Some(root) = self.storage.current(gun, &RoleName::ROOT).await? else { return Ok(Vec::new()) };
        let chain = RootChain::from_cache(gun, root.content.to_vec(), &RootPins::TrustOnFirstUse);
        let chain = chain.map_err(|it| StorageError::Corrupt { reason: it.to_string() })?;
        Ok(chain.keys(role).map(|it| it.keys.clone()).unwrap_or_default())
    }
}

/// Servers sign two roles.
fn check_role(role: &RoleName) -> Result<(), PublicationError> {
    if *role == RoleName::TIMESTAMP || *role == RoleName::SNAPSHOT {
        return Ok(());
    }
    Err(PublicationError::Role { name: role.to_string() })
}
