//! Signing and revoking tags: in which roles, and that the keys for them are here.

use std::collections::BTreeSet;

use super::keyring::Keyring;
use super::workspace::Workspace;
use super::{PublishError, SignAs, SignOptions, Tags, WithoutTrust};
use crate::trust::TrustError;
use crate::tuf::{Delegation, RoleKeys, RoleName, Target};

impl Workspace<'_> {
    /// Lists tags, and begins the repository where there is none.
    pub(super) async fn sign_tags(
        &mut self,
        tags: &[(String, Target)],
        options: &SignOptions,
        keyring: &mut Keyring<'_>,
    ) -> Result<(), PublishError> {
        if self.is_new() {
            match &options.without_trust {
                WithoutTrust::Initialize(init) => self.initialize(init, keyring).await?,
                WithoutTrust::Refuse => return Err(self.not_initialized()),
            }
        }
        for (name, target) in tags {
            for role in self.signing_roles(name, &options.roles, keyring).await? {
                let changed = self.edit(&role).await?.set_target(name, target);
                changed.map_err(|it| self.author(it))?;
            }
        }
        Ok(())
    }

    /// Takes tags off the lists of all roles that have them and can be signed here.
    pub(super) async fn revoke_tags(
        &mut self,
        tags: &Tags,
        roles: &SignAs,
        keyring: &Keyring<'_>,
    ) -> Result<Vec<(String, RoleName)>, PublishError> {
        if self.is_new() {
            return Err(self.not_initialized());
        }
        let candidates: Vec<(RoleName, RoleKeys)> = match roles {
            SignAs::Automatic => self.first_roles().await?,
            SignAs::Roles(named) => {
                let mut found = Vec::new();
                for role in named {
                    let keys = self.keys(role).await?.ok_or_else(|| self.no_such_role(role))?;
                    found.push((role.clone(), keys));
                }
                found
            }
        };
        let mut still_signed = Vec::new();
        let mut left = Vec::new();
        let mut done: BTreeSet<String> = BTreeSet::new();
        for (role, keys) in candidates {
            let Some(listed) = self.listed(&role, tags).await? else { continue };
            if listed.is_empty() {
                continue;
            }
            if !keyring.has_any(&keys) {
                left.push((role.clone(), keys));
                still_signed.extend(listed.into_iter().map(|it| (it, role.clone())));
                continue;
            }
            let draft = self.edit(&role).await?;
            let mut removed = Ok(true);
            if *tags == Tags::All {
                draft.remove_all_targets();
            } else {
                for name in &listed {
                    removed = removed.and_then(|_| draft.remove_target(name));
                }
            }
            removed.map_err(|it| self.author(it))?;
            done.extend(listed);
        }
        if done.is_empty() && !left.is_empty() {
            return Err(self.no_key(keyring, left));
        }
        if let Tags::These(names) = tags {
            let unknown = names
                .iter()
                .find(|it| !done.contains(*it) && !still_signed.iter().any(|(name, _)| name == *it));
            if let Some(name) = unknown {
                return Err(PublishError::NotSigned { gun: self.gun().clone(), name: name.clone() });
            }
        }
        Ok(still_signed)
    }

    /// `targets` and its direct delegations: where docker signs, and looks.
    async fn first_roles(&mut self) -> Result<Vec<(RoleName, RoleKeys)>, PublishError> {
        let targets = self.keys(&RoleName::TARGETS).await?;
        let targets = targets.ok_or_else(|| self.no_such_role(&RoleName::TARGETS))?;
        let delegations = self.delegations(&RoleName::TARGETS).await?;
        let mut roles: Vec<_> = delegations.into_iter().map(|it| (it.name, it.keys)).collect();
        roles.insert(0, (RoleName::TARGETS, targets));
        Ok(roles)
    }

    /// Which of these tags a role lists; `None`: it has no file, or one that counts for nobody.
    async fn listed(&mut self, role: &RoleName, tags: &Tags) -> Result<Option<Vec<String>>, PublishError> {
        let present = match self.present(role).await {
            Ok(Some(present)) => present,
            Ok(None) | Err(PublishError::Trust(TrustError::Metadata { .. })) => return Ok(None),
            Err(error) => return Err(error),
        };
        match tags {
            Tags::All => Ok(Some(present.names(usize::MAX))),
            Tags::These(names) => {
                let mut listed = Vec::new();
                for name in names {
                    if present.find(name).map_err(|it| self.metadata(it))?.is_some() {
                        listed.push(name.clone());
                    }
                }
                Ok(Some(listed))
            }
        }
    }

    /// The roles that a tag is signed in.
    async fn signing_roles(
        &mut self,
        name: &str,
        roles: &SignAs,
        keyring: &Keyring<'_>,
    ) -> Result<Vec<RoleName>, PublishError> {
        let candidates = match roles {
            SignAs::Automatic => {
                let delegations = self.delegations(&RoleName::TARGETS).await?;
                if delegations.is_empty() {
                    let keys = self.keys(&RoleName::TARGETS).await?;
                    let keys = keys.ok_or_else(|| self.no_such_role(&RoleName::TARGETS))?;
                    if !keyring.has_any(&keys) {
                        return Err(self.no_key(keyring, vec![(RoleName::TARGETS, keys)]));
                    }
                    return Ok(vec![RoleName::TARGETS]);
                }
                let allowed: Vec<Delegation> =
                    delegations.iter().filter(|it| may_sign(it, name)).cloned().collect();
                if allowed.is_empty() {
                    return Err(self.not_delegated(name, delegations));
                }
                let (here, elsewhere): (Vec<_>, Vec<_>) =
                    allowed.into_iter().partition(|it| keyring.has_any(&it.keys));
                if here.is_empty() {
                    let roles = elsewhere.into_iter().map(|it| (it.name, it.keys)).collect();
                    return Err(self.no_key(keyring, roles));
                }
                return Ok(here.into_iter().map(|it| it.name).collect());
            }
            SignAs::Roles(named) => named,
        };
        for role in candidates {
            let keys = self.keys(role).await?.ok_or_else(|| self.no_such_role(role))?;
            if matches!(role.as_str(), "root" | "snapshot" | "timestamp") {
                return Err(PublishError::Role {
                    role: role.clone(),
                    reason: "no tag is signed in it".to_owned(),
                });
            }
            let mut ancestor = Some(role.clone());
            while let Some(above) = ancestor {
                if let Some(delegation) = self.delegation(&above).await?
                    && !may_sign(&delegation, name)
                {
                    return Err(self.not_delegated(name, vec![delegation]));
                }
                ancestor = above.parent();
            }
            if !keyring.has_any(&keys) {
                return Err(self.no_key(keyring, vec![(role.clone(), keys)]));
            }
        }
        Ok(candidates.clone())
    }

    fn not_delegated(&self, name: &str, delegations: Vec<Delegation>) -> PublishError {
        PublishError::NotDelegated {
            gun: self.gun().clone(),
            name: name.to_owned(),
            roles: delegations.into_iter().map(|it| (it.name, it.paths)).collect(),
        }
    }

    pub(super) fn not_initialized(&self) -> PublishError {
        PublishError::NotInitialized { gun: self.gun().clone(), server: self.remote.server() }
    }
}

/// Paths are prefixes of names.
fn may_sign(delegation: &Delegation, name: &str) -> bool {
    delegation.paths.iter().any(|it| name.starts_with(it.as_str()))
}
