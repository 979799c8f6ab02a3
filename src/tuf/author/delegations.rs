//! The delegations of a draft.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{AuthorError, body};
use crate::tuf::{Delegation, KeyId, PublicKey, RoleKeys, RoleName};

/// Keys that a delegation gets or loses.
#[derive(Clone, Debug, Default)]
pub struct DelegationKeys {
    /// Keys that it gets.
    pub add: Vec<PublicKey>,
    /// Canonical IDs, or IDs as metadata uses them, of keys that it loses.
    pub remove: Vec<KeyId>,
}

/// The member `delegations`, and what it means.
#[derive(Clone, Debug)]
pub(super) struct Delegations {
    parent: RoleName,
    /// In the order of the file; each with what else the file says of it.
    roles: Vec<(Delegation, Map<String, Value>)>,
    /// What the member holds beside keys and roles.
    members: Map<String, Value>,
    /// Keys as the file has them.
    listed: Map<String, Value>,
    changed: bool,
}

impl Delegations {
    pub(super) fn new(parent: RoleName) -> Self {
        let (members, listed) = (Map::new(), Map::new());
        Self { parent, roles: Vec::new(), members, listed, changed: false }
    }

    /// Those of a document: what they mean, and what the file says.
    pub(super) fn edit(parent: RoleName, known: &[Delegation], member: Option<Value>) -> Self {
        let mut members = match member {
            Some(Value::Object(members)) => members,
            _ => Map::new(),
        };
        let listed = match members.remove("keys") {
            Some(Value::Object(listed)) => listed,
            _ => Map::new(),
        };
        let entries = match members.remove("roles") {
            Some(Value::Array(entries)) => entries,
            _ => Vec::new(),
        };
        // Both come from the same verified document, one entry for each delegation.
        let entries = entries.into_iter().map(|it| match it {
            Value::Object(entry) => entry,
            _ => Map::new(),
        });
        let roles = known.iter().cloned().zip(entries).collect();
        Self { parent, roles, members, listed, changed: false }
    }

    pub(super) fn is_changed(&self) -> bool {
        self.changed
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Delegation> {
        self.roles.iter().map(|(it, _)| it)
    }

    pub(super) fn keys(&self, role: &RoleName) -> Option<&RoleKeys> {
        self.roles.iter().find(|(it, _)| it.name == *role).map(|(it, _)| &it.keys)
    }

    pub(super) fn add(
        &mut self,
        role: &RoleName,
        keys: &RoleKeys,
        paths: &[String],
    ) -> Result<(), AuthorError> {
        if role.parent().as_ref() != Some(&self.parent) {
            return Err(AuthorError::Role { role: role.clone() });
        }
        if self.keys(role).is_some() {
            return Err(AuthorError::DelegationExists { role: role.clone() });
        }
        body::check_keys(role, keys)?;
        let delegation = Delegation { name: role.clone(), keys: keys.clone(), paths: paths.to_vec() };
        self.roles.push((delegation, Map::new()));
        self.changed = true;
        Ok(())
    }

    pub(super) fn remove(&mut self, role: &RoleName) -> bool {
        let before = self.roles.len();
        self.roles.retain(|(it, _)| it.name != *role);
        let removed = self.roles.len() < before;
        self.changed |= removed;
        removed
    }

    pub(super) fn change_keys(
        &mut self,
        role: &RoleName,
        change: &DelegationKeys,
    ) -> Result<(), AuthorError> {
        let delegation = self.find(role)?;
        let mut keys = delegation.keys.clone();
        keys.keys.retain(|it| !change.remove.contains(it.id()) && !change.remove.contains(it.canonical_id()));
        for key in &change.add {
            if !keys.keys.iter().any(|it| it.id() == key.id()) {
                keys.keys.push(key.clone());
            }
        }
        self.replace_keys(role, keys)
    }

    pub(super) fn set_threshold(&mut self, role: &RoleName, threshold: u64) -> Result<(), AuthorError> {
        let keys = RoleKeys { threshold, ..self.find(role)?.keys.clone() };
        self.replace_keys(role, keys)
    }

    pub(super) fn set_paths(&mut self, role: &RoleName, paths: &[String]) -> Result<(), AuthorError> {
        let delegation = self.find(role)?;
        if delegation.paths != paths {
            delegation.paths = paths.to_vec();
            self.changed = true;
        }
        Ok(())
    }

    /// The member as it is written. Keys that no role has any more are dropped, as Notary does.
    pub(super) fn to_json(&self) -> Value {
        let mut keys = Map::new();
        for key in self.roles.iter().flat_map(|(it, _)| &it.keys.keys) {
            let id = key.id().to_string();
            let listed = self.listed.get(&id).cloned();
            keys.insert(id, listed.unwrap_or_else(|| key.to_json()));
        }
        let roles = self.roles.iter().map(|(delegation, members)| {
            let mut entry = members.clone();
            let ids: Vec<_> = delegation.keys.keys.iter().map(|it| it.id().as_str()).collect();
            entry.insert("keyids".to_owned(), json!(ids));
            entry.insert("name".to_owned(), delegation.name.as_str().into());
            entry.insert("threshold".to_owned(), delegation.keys.threshold.into());
            entry.remove("paths");
            if !delegation.paths.is_empty() {
                entry.insert("paths".to_owned(), json!(delegation.paths));
            }
            Value::Object(entry)
        });
        let mut members = self.members.clone();
        members.insert("roles".to_owned(), roles.collect());
        members.insert("keys".to_owned(), keys.into());
        Value::Object(members)
    }

    fn find(&mut self, role: &RoleName) -> Result<&mut Delegation, AuthorError> {
        let found = self.roles.iter_mut().find(|(it, _)| it.name == *role);
        found.map(|(it, _)| it).ok_or_else(|| AuthorError::Role { role: role.clone() })
    }

    fn replace_keys(&mut self, role: &RoleName, keys: RoleKeys) -> Result<(), AuthorError> {
        body::check_keys(role, &keys)?;
        let delegation = self.find(role)?;
        let ids = |keys: &RoleKeys| keys.keys.iter().map(|it| it.id().clone()).collect::<BTreeSet<_>>();
        if delegation.keys.threshold != keys.threshold || ids(&delegation.keys) != ids(&keys) {
            delegation.keys = keys;
            self.changed = true;
        }
        Ok(())
    }
}
