//! Signers, delegations and thresholds.

use std::collections::BTreeSet;

use super::keyring::Keyring;
use super::workspace::Workspace;
use super::{DelegationChange, Init, LastSigner, NewSigner, PublishError};
use crate::tuf::author::DelegationKeys;
use crate::tuf::{Delegation, KeyId, PublicKey, RoleKeys, RoleName};

impl Workspace<'_> {
    /// A signer as docker has them: a role of their own, and their keys in `targets/releases`.
    pub(super) async fn add_signer(
        &mut self,
        signer: &NewSigner,
        keyring: &mut Keyring<'_>,
    ) -> Result<(), PublishError> {
        let role = signer_role(&signer.name)?;
        if self.is_new() {
            self.initialize(&Init::docker(), keyring).await?;
        }
        let everything = vec![String::new()];
        let paths = if signer.paths.is_empty() { everything.clone() } else { signer.paths.clone() };
        self.add_keys(&role, &signer.keys, &paths).await?;
        if !signer.paths.is_empty() {
            let set = self.edit(&RoleName::TARGETS).await?.set_paths(&role, &paths);
            set.map_err(|it| self.author(it))?;
        }
        self.add_keys(&RoleName::RELEASES, &signer.keys, &everything).await
    }

    /// Removes a signer's role, and those of their keys from `targets/releases` that no other signer has.
    pub(super) async fn remove_signer(&mut self, name: &str, last: LastSigner) -> Result<(), PublishError> {
        if self.is_new() {
            return Err(self.not_initialized());
        }
        let role = signer_role(name)?;
        let delegations = self.delegations(&RoleName::TARGETS).await?;
        let Some(leaving) = delegations.iter().find(|it| it.name == role) else {
            let names = delegations.iter().filter(|it| it.name != RoleName::RELEASES);
            return Err(PublishError::NoSuchSigner {
                gun: self.gun().clone(),
                name: name.to_owned(),
                signers: names.map(|it| bare(&it.name).to_owned()).collect(),
            });
        };
        let others = delegations.iter().filter(|it| it.name != role && it.name != RoleName::RELEASES);
        let shared: BTreeSet<&KeyId> =
            others.flat_map(|it| &it.keys.keys).map(PublicKey::canonical_id).collect();
        let gone: Vec<KeyId> = leaving
            .keys
            .keys
            .iter()
            .map(|it| it.canonical_id().clone())
            .filter(|it| !shared.contains(it))
            .collect();
        if let Some(releases) = delegations.iter().find(|it| it.name == RoleName::RELEASES) {
            let stay = releases.keys.keys.iter().any(|it| !gone.contains(it.canonical_id()));
            if stay {
                self.take_keys(releases, &gone).await?;
            } else if last == LastSigner::Refuse {
                return Err(PublishError::LastSigner { gun: self.gun().clone(), name: name.to_owned() });
            } else {
                self.remove_delegation(&RoleName::RELEASES).await?;
            }
        }
        self.remove_delegation(&role).await?;
        Ok(())
    }

    /// Makes, changes or removes a delegation.
    pub(super) async fn change_delegation(
        &mut self,
        role: &RoleName,
        change: &DelegationChange,
        threshold: Option<u64>,
    ) -> Result<(), PublishError> {
        if self.is_new() && !self.has_root_draft() {
            return Err(self.not_initialized());
        }
        let Some(parent) = role.parent() else {
            return Err(PublishError::Role { role: role.clone(), reason: "it is no delegation".to_owned() });
        };
        let (add_keys, remove_keys, add_paths, remove_paths, clear_paths) = match change {
            DelegationChange::Remove => {
                return if self.remove_delegation(role).await? {
                    Ok(())
                } else {
                    Err(self.no_such_role(role))
                };
            }
            DelegationChange::Update { add_keys, remove_keys, add_paths, remove_paths, clear_paths } => {
                (add_keys, remove_keys, add_paths, remove_paths, *clear_paths)
            }
        };
        let Some(known) = self.delegation(role).await? else {
            if add_keys.is_empty() {
                return Err(self.no_such_role(role));
            }
            let keys = RoleKeys { keys: add_keys.clone(), threshold: threshold.unwrap_or(1) };
            let added = self.edit(&parent).await?.add_delegation(role, &keys, add_paths);
            return added.map_err(|it| self.author(it));
        };
        let mut paths = if clear_paths { Vec::new() } else { known.paths.clone() };
        paths.retain(|it| !remove_paths.contains(it));
        for path in add_paths {
            if !paths.contains(path) {
                paths.push(path.clone());
            }
        }
        let keys = DelegationKeys { add: add_keys.clone(), remove: remove_keys.clone() };
        let draft = self.edit(&parent).await?;
        let mut changed = draft.change_keys(role, &keys).and_then(|()| draft.set_paths(role, &paths));
        if let Some(threshold) = threshold {
            changed = changed.and_then(|()| draft.set_threshold(role, threshold));
        }
        changed.map_err(|it| self.author(it))
    }

    /// Sets how many keys of a role must sign.
    pub(super) async fn set_threshold(
        &mut self,
        role: &RoleName,
        threshold: u64,
    ) -> Result<(), PublishError> {
        if self.is_new() {
            return Err(self.not_initialized());
        }
        if matches!(role.as_str(), "snapshot" | "timestamp") {
            let reason = "one key signs it: the server's, or the publisher's own".to_owned();
            return Err(PublishError::Role { role: role.clone(), reason });
        }
        let changed = match role.parent() {
            Some(parent) => {
                self.delegation(role).await?.ok_or_else(|| self.no_such_role(role))?;
                self.edit(&parent).await?.set_threshold(role, threshold)
            }
            None => self.edit_root()?.set_threshold(role, threshold),
        };
        changed.map_err(|it| self.author(it))
    }

    /// Gives a delegation keys, and makes it where there is none.
    async fn add_keys(
        &mut self,
        role: &RoleName,
        keys: &[PublicKey],
        paths: &[String],
    ) -> Result<(), PublishError> {
        let known = self.delegation(role).await?;
        let parent = role.parent().unwrap_or(RoleName::TARGETS);
        let draft = self.edit(&parent).await?;
        let added = match known {
            Some(_) => draft.change_keys(role, &DelegationKeys { add: keys.to_vec(), remove: Vec::new() }),
            None => draft.add_delegation(role, &RoleKeys { keys: keys.to_vec(), threshold: 1 }, paths),
        };
        added.map_err(|it| self.author(it))
    }

    /// Takes keys from a delegation that keeps some. Where fewer are left than must sign, all must.
    async fn take_keys(&mut self, delegation: &Delegation, lost: &[KeyId]) -> Result<(), PublishError> {
        let role = &delegation.name;
        let left: BTreeSet<&KeyId> = delegation
            .keys
            .keys
            .iter()
            .map(PublicKey::canonical_id)
            .filter(|it| !lost.contains(it))
            .collect();
        let left = u64::try_from(left.len()).unwrap_or(u64::MAX);
        let draft = self.edit(&RoleName::TARGETS).await?;
        let mut changed = Ok(());
        if left < delegation.keys.threshold {
            changed = draft.set_threshold(role, left);
        }
        let keys = DelegationKeys { add: Vec::new(), remove: lost.to_vec() };
        changed = changed.and_then(|()| draft.change_keys(role, &keys));
        changed.map_err(|it| self.author(it))
    }
}

/// The role of a signer.
pub(super) fn signer_role(name: &str) -> Result<RoleName, PublishError> {
    let invalid = || PublishError::SignerName { name: name.to_owned() };
    // As docker: one part, and not the role that all signers share.
    if name == RELEASES || name.contains('/') || !name.starts_with(|it: char| it.is_ascii_alphanumeric()) {
        return Err(invalid());
    }
    format!("{PREFIX}{name}").parse().map_err(|_| invalid())
}

/// A signer's name, as docker shows it.
pub(super) fn bare(role: &RoleName) -> &str {
    role.as_str().strip_prefix(PREFIX).unwrap_or(role.as_str())
}

const PREFIX: &str = "targets/";
const RELEASES: &str = "releases";
