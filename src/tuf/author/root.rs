//! Drafts of `root`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{AuthorError, UnsignedDocument, body};
use crate::tuf::{PublicKey, RoleKeys, RoleName, Root, Trusted, Version};

/// A `root` in the making.
#[derive(Clone, Debug)]
pub struct RootDraft {
    /// Everything that the file says, but for what is below.
    members: Map<String, Value>,
    version: Version,
    expires: Timestamp,
    roles: BTreeMap<RoleName, RoleKeys>,
    changed: BTreeSet<RoleName>,
    previous: Option<RoleKeys>,
    older: Vec<PublicKey>,
}

impl RootDraft {
    /// The first version; each base role needs [`RootDraft::set_keys`].
    #[must_use]
    pub fn new(expires: Timestamp) -> Self {
        let mut members = Map::new();
        // As Notary, whose clients ask for files by their hashes all the same.
        members.insert("consistent_snapshot".to_owned(), false.into());
        Self {
            members,
            version: Version::FIRST,
            expires,
            roles: BTreeMap::new(),
            changed: BTreeSet::new(),
            previous: None,
            older: Vec::new(),
        }
    }

    /// The version after this one.
    pub fn edit(root: &Trusted<Root>, expires: Timestamp) -> Result<Self, AuthorError> {
        let said: &Root = root;
        let names = BASE_ROLES.iter();
        Ok(Self {
            members: body::members(root)?,
            version: body::next_version(root)?,
            expires,
            roles: names.filter_map(|it| Some((it.clone(), said.role(it)?.clone()))).collect(),
            changed: BTreeSet::new(),
            previous: said.role(&RoleName::ROOT).cloned(),
            older: Vec::new(),
        })
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The keys of a base role.
    #[must_use]
    pub fn keys(&self, role: &RoleName) -> Option<&RoleKeys> {
        self.roles.get(role)
    }

    /// Whether a role's keys or threshold differ from those of the root that it started from.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Gives a base role these keys and this threshold. Keys that it had stay listed in the file.
    pub fn set_keys(&mut self, role: &RoleName, keys: &RoleKeys) -> Result<(), AuthorError> {
        if role.is_delegation() {
            return Err(AuthorError::Role { role: role.clone() });
        }
        body::check_keys(role, keys)?;
        let unusable = |key: &PublicKey, reason: &str| AuthorError::Key {
            key_id: key.id().clone(),
            role: role.clone(),
            reason: reason.to_owned(),
        };
        for key in &keys.keys {
            if *role == RoleName::ROOT && !key.key_type().is_certificate() {
                return Err(unusable(key, "it is not inside a certificate"));
            }
        }
        self.roles.insert(role.clone(), keys.clone());
        self.changed.insert(role.clone());
        Ok(())
    }

    /// Sets how many keys of a base role must sign.
    pub fn set_threshold(&mut self, role: &RoleName, threshold: u64) -> Result<(), AuthorError> {
        let Some(keys) = self.roles.get(role) else { return Err(AuthorError::Role { role: role.clone() }) };
        let keys = RoleKeys { keys: keys.keys.clone(), threshold };
        self.set_keys(role, &keys)
    }

    /// Has keys of older roots sign too where they are at hand, for clients that are several rotations behind.
    pub fn also_signed_by(&mut self, keys: Vec<PublicKey>) {
        self.older = keys;
    }

    /// What is to be signed: by its own root keys, and by those of the root before it.
    pub fn finish(mut self) -> Result<UnsignedDocument, AuthorError> {
        for role in &self.changed {
            if let Some(keys) = self.roles.get(role) {
                write_role(&mut self.members, role, keys);
            }
        }
        for role in &BASE_ROLES {
            if !self.roles.contains_key(role) {
                return Err(AuthorError::KeysBelowThreshold { role: role.clone(), keys: 0, threshold: 1 });
            }
        }
        let own = self.roles.remove(&RoleName::ROOT);
        let body = body::of_members(self.members, &RoleName::ROOT, self.version, self.expires)?;
        Ok(UnsignedDocument {
            role: RoleName::ROOT,
            version: self.version,
            expires: self.expires,
            body,
            demands: own.into_iter().chain(self.previous).collect(),
            welcome: self.older,
        })
    }
}

/// Puts a role's keys where the file has them; what else it says of the role stays.
fn write_role(members: &mut Map<String, Value>, role: &RoleName, keys: &RoleKeys) {
    let listed = body::object(members, "keys");
    for key in &keys.keys {
        listed.insert(key.id().to_string(), key.to_json());
    }
    let entry = body::object(body::object(members, "roles"), role.as_str());
    let ids: Vec<_> = keys.keys.iter().map(|it| it.id().as_str()).collect();
    entry.insert("keyids".to_owned(), json!(ids));
    entry.insert("threshold".to_owned(), json!(keys.threshold));
}

const BASE_ROLES: [RoleName; 4] =
    [RoleName::ROOT, RoleName::TARGETS, RoleName::SNAPSHOT, RoleName::TIMESTAMP];
