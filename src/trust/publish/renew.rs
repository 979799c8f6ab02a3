//! Signing again what is expired, or will be soon.

use jiff::{SignedDuration, Timestamp};

use super::keyring::Keyring;
use super::seal::Others;
use super::workspace::Workspace;
use super::{Event, PublishError};
use crate::trust::TrustError;
use crate::tuf::{PublicKey, RoleKeys, RoleName};

impl Workspace<'_> {
    /// Has every role signed again that expires within this time, as far as the keys are here.
    pub(super) async fn renew(
        &mut self,
        within: SignedDuration,
        keyring: &mut Keyring<'_>,
    ) -> Result<(), PublishError> {
        let Some(base) = self.base() else { return Err(self.not_initialized()) };
        let limit = self.now.checked_add(within).unwrap_or(Timestamp::MAX);
        let mut left: Vec<(RoleName, RoleKeys, Timestamp)> = Vec::new();
        let mut renewed = false;
        let root = base.chain().root();
        let certificates = base.chain().keys(&RoleName::ROOT).into_iter().flat_map(|it| &it.keys);
        let certificates = certificates.filter_map(PublicKey::certificate_validity).map(|(_, until)| until);
        let root_ends = certificates.max().map_or(root.expires(), |it| it.min(root.expires()));
        if root_ends < limit {
            let keys = base
                .chain()
                .keys(&RoleName::ROOT)
                .cloned()
                .ok_or_else(|| self.no_such_role(&RoleName::ROOT))?;
            if keyring.has_any(&keys) {
                self.open_root_keys(keyring, Others::MaySign)?;
                self.renew_root(keyring)?;
                (self.events)(Event::Renewed { role: RoleName::ROOT });
                renewed = true;
            } else {
                left.push((RoleName::ROOT, keys, root_ends));
            }
        }
        let mut queue = std::collections::VecDeque::from([RoleName::TARGETS]);
        for _ in 0..ROLE_LIMIT {
            let Some(role) = queue.pop_front() else { break };
            let expires = match self.present(&role).await {
                Ok(Some(present)) => present.expires(),
                Ok(None) => continue,
                // Nothing of such a file counts; who signs in it next begins it anew.
                Err(PublishError::Trust(TrustError::Metadata { .. })) if role.is_delegation() => {
                    let key_ids = self.keys(&role).await?.map(|it| it.keys).unwrap_or_default();
                    let key_ids = key_ids.iter().map(|it| it.canonical_id().clone()).collect();
                    (self.events)(Event::NeedsSigning { role, key_ids });
                    continue;
                }
                Err(error) => return Err(error),
            };
            queue.extend(self.delegations(&role).await?.into_iter().map(|it| it.name));
            if limit <= expires {
                continue;
            }
            let keys = self.keys(&role).await?.ok_or_else(|| self.no_such_role(&role))?;
            if keyring.has_any(&keys) {
                self.edit(&role).await?;
                self.force(&role);
                (self.events)(Event::Renewed { role });
                renewed = true;
            } else {
                left.push((role, keys, expires));
            }
        }
        let snapshot = base.walked().snapshot.expires();
        if snapshot < limit {
            let keys = self.keys(&RoleName::SNAPSHOT).await?;
            if keys.is_some_and(|it| keyring.has_any(&it)) {
                self.force(&RoleName::SNAPSHOT);
            } else {
                // The server signs it anew with whatever is published, and be it nothing.
                self.renew_server_roles();
            }
            (self.events)(Event::Renewed { role: RoleName::SNAPSHOT });
            renewed = true;
        }
        if !renewed && !left.is_empty() {
            return Err(self.no_key(keyring, left.into_iter().map(|(role, keys, _)| (role, keys)).collect()));
        }
        for (role, _, expires) in left {
            let reason = "none of its keys is here".to_owned();
            (self.events)(Event::NearExpiry { role, expires, reason });
        }
        Ok(())
    }
}

/// More roles than a repository has signers.
const ROLE_LIMIT: usize = 1024;
