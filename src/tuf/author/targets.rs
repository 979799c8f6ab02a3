//! Drafts of `targets` and delegations.
//!
//! A file may list 100,000 tags and more, and one is added: so the list stays the bytes that it is, and
//! changes are kept beside it until both are written as one.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::delegations::Delegations;
use super::{AuthorError, DelegationKeys, UnsignedDocument, body};
use crate::tuf::document::Document;
use crate::tuf::view::{Parsed, View};
use crate::tuf::{Delegation, RoleKeys, RoleName, Target, Targets, Trusted, Version, canonical};

/// A `targets` file, or a delegation's, in the making.
#[derive(Clone, Debug)]
pub struct TargetsDraft {
    role: RoleName,
    version: Version,
    expires: Timestamp,
    base: Option<Arc<Document>>,
    /// Canonical descriptions by name; `None`: removed.
    changes: BTreeMap<String, Option<Vec<u8>>>,
    /// Whether the targets of the base are gone, all of them.
    cleared: bool,
    delegations: Delegations,
}

impl TargetsDraft {
    /// The first version.
    #[must_use]
    pub fn new(role: RoleName, expires: Timestamp) -> Self {
        let delegations = Delegations::new(role.clone());
        let changes = BTreeMap::new();
        Self { role, version: Version::FIRST, expires, base: None, changes, cleared: false, delegations }
    }

    /// A list without targets, whose version is the one after this: what a role begins anew with.
    pub fn after(role: RoleName, version: Version, expires: Timestamp) -> Result<Self, AuthorError> {
        let version = version.next().ok_or_else(|| AuthorError::Version { role: role.clone() })?;
        Ok(Self { version, ..Self::new(role, expires) })
    }

    /// The version after this one.
    pub fn edit<W>(targets: &Trusted<Targets, W>, expires: Timestamp) -> Result<Self, AuthorError> {
        let document = targets.document();
        let role = targets.role().clone();
        let [listed] = document.fields(["delegations"]).map_err(|it| body::malformed(&role, it))?;
        let listed = listed.map(View::to_value).transpose().map_err(|it| body::malformed(&role, it))?;
        Ok(Self {
            version: body::next_version(targets)?,
            expires,
            base: Some(Arc::clone(document)),
            changes: BTreeMap::new(),
            cleared: false,
            delegations: Delegations::edit(role.clone(), targets.delegations(), listed),
            role,
        })
    }

    /// Its role.
    #[must_use]
    pub fn role(&self) -> &RoleName {
        &self.role
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether anything but version and expiry differs from the document that it started from.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        if self.base.is_none() || self.delegations.is_changed() {
            return true;
        }
        let mut differs = self.cleared;
        let mut changes: BTreeMap<_, _> =
            self.changes.iter().map(|(name, it)| (name.as_bytes(), it)).collect();
        let visited = self.each_of_base(|name, value| {
            if let Some(change) = changes.remove(name) {
                differs |= change.as_deref() != Some(value.bytes());
            }
        });
        visited.is_err() || differs || changes.values().any(|it| it.is_some())
    }

    /// Lists a target; one of the same name is replaced.
    pub fn set_target(&mut self, name: &str, target: &Target) -> Result<(), AuthorError> {
        let unusable =
            |reason: &str| AuthorError::Target { name: name.to_owned(), reason: reason.to_owned() };
        // Notary's own reader chokes on such a name, as canonical JSON does not escape it.
        if name.is_empty() || name.chars().any(|it| u32::from(it) < 0x20) {
            return Err(unusable("a name has one character or more, and no control characters"));
        }
        let description = describe(target).map_err(|it| unusable(&it))?;
        self.changes.insert(name.to_owned(), Some(description));
        Ok(())
    }

    /// Removes a target. Returns whether it was listed.
    pub fn remove_target(&mut self, name: &str) -> Result<bool, AuthorError> {
        let mut listed = false;
        self.each_of_base(|found, _| listed |= found == name.as_bytes())
            .map_err(|it| body::malformed(&self.role, it))?;
        let listed = match self.changes.get(name) {
            Some(change) => change.is_some(),
            None => listed && !self.cleared,
        };
        self.changes.insert(name.to_owned(), None);
        Ok(listed)
    }

    /// Removes all targets.
    pub fn remove_all_targets(&mut self) {
        self.cleared = true;
        self.changes.clear();
    }

    /// Adds a delegation, at the end. One of the same name is an error.
    pub fn add_delegation(
        &mut self,
        role: &RoleName,
        keys: &RoleKeys,
        paths: &[String],
    ) -> Result<(), AuthorError> {
        self.delegations.add(role, keys, paths)
    }

    /// Removes a delegation. Returns whether there was one.
    pub fn remove_delegation(&mut self, role: &RoleName) -> bool {
        self.delegations.remove(role)
    }

    /// The roles that it delegates to, in the order of the file.
    pub fn delegations(&self) -> impl Iterator<Item = &Delegation> {
        self.delegations.iter()
    }

    /// Changes the keys of a delegation, which must keep as many as its threshold.
    pub fn change_keys(&mut self, role: &RoleName, keys: &DelegationKeys) -> Result<(), AuthorError> {
        self.delegations.change_keys(role, keys)
    }

    /// Sets the paths of a delegation.
    pub fn set_paths(&mut self, role: &RoleName, paths: &[String]) -> Result<(), AuthorError> {
        self.delegations.set_paths(role, paths)
    }

    /// Sets how many keys of a delegation must sign.
    pub fn set_threshold(&mut self, role: &RoleName, threshold: u64) -> Result<(), AuthorError> {
        self.delegations.set_threshold(role, threshold)
    }

    /// What is to be signed by these keys, which the role's parent names.
    pub fn finish(self, keys: &RoleKeys) -> Result<UnsignedDocument, AuthorError> {
        let body = self.body().map_err(|it| body::malformed(&self.role, it))?;
        let Self { role, version, expires, .. } = self;
        Ok(UnsignedDocument {
            role,
            version,
            expires,
            body,
            demands: vec![keys.clone()],
            welcome: Vec::new(),
        })
    }

    /// The canonical body: members that nobody changed as they were, in the order of their names.
    fn body(&self) -> Parsed<Vec<u8>> {
        let message = self.base.as_ref().map(|it| it.message());
        let message = message.as_deref().unwrap_or(b"{}");
        let canonical = |value: &Value| canonical::to_vec(value).map_err(|it| it.to_string());
        let mut members: BTreeMap<Vec<u8>, Member<'_>> = BTreeMap::new();
        for entry in View::new(message).entries()? {
            let entry = entry?;
            members.insert(entry.name_bytes().into_owned(), Member::Kept(entry.value));
        }
        let list = match members.get(b"targets".as_slice()) {
            Some(Member::Kept(list)) if !list.is_null() && !self.cleared => Some(*list),
            _ => None,
        };
        if self.base.is_none() || self.delegations.is_changed() {
            let delegations = canonical(&self.delegations.to_json())?;
            members.insert(b"delegations".to_vec(), Member::Ours(delegations));
        }
        for (name, value) in [
            ("_type", Value::from(self.role.type_name())),
            ("expires", Value::from(self.expires.to_string())),
            ("version", Value::from(self.version.get())),
        ] {
            members.insert(name.as_bytes().to_vec(), Member::Ours(canonical(&value)?));
        }
        members.insert(b"targets".to_vec(), Member::Targets(list));
        let added: usize = self.changes.values().flatten().map(|it| it.len() + 64).sum();
        let mut out = Vec::with_capacity(message.len() + added + 256);
        for (name, member) in members {
            out.push(if out.is_empty() { b'{' } else { b',' });
            write_name(&name, &mut out)?;
            match member {
                Member::Kept(value) => out.extend_from_slice(value.bytes()),
                Member::Ours(value) => out.extend_from_slice(&value),
                Member::Targets(list) => self.write_targets(list, &mut out)?,
            }
        }
        out.push(b'}');
        Ok(out)
    }

    /// Both lists are in the order of names, and so is what comes of them.
    fn write_targets(&self, list: Option<View<'_>>, out: &mut Vec<u8>) -> Parsed<()> {
        let mut changes = self.changes.iter().peekable();
        let mut kept = list.map(View::entries).transpose()?.into_iter().flatten().peekable();
        let start = out.len();
        loop {
            let order = match (kept.peek(), changes.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(Ok(entry)), Some((name, _))) => entry.name_bytes().as_ref().cmp(name.as_bytes()),
                (Some(Err(error)), Some(_)) => return Err(error.clone()),
            };
            let entry = if order.is_le() { kept.next().transpose()? } else { None };
            let change = if order.is_ge() { changes.next() } else { None };
            let (name, value) = match (&entry, change) {
                (_, Some((_, None))) => continue,
                (_, Some((name, Some(value)))) => (name.as_bytes().into(), value.as_slice()),
                (Some(entry), None) => (entry.name_bytes(), entry.value.bytes()),
                (None, None) => break,
            };
            out.push(if out.len() == start { b'{' } else { b',' });
            write_name(&name, out)?;
            out.extend_from_slice(value);
        }
        if out.len() == start {
            out.push(b'{');
        }
        out.push(b'}');
        Ok(())
    }

    /// Visits the targets of the document that this started from.
    fn each_of_base(&self, mut visit: impl FnMut(&[u8], View<'_>)) -> Parsed<()> {
        let Some(base) = &self.base else { return Ok(()) };
        let message = base.message();
        let [list] = View::new(&message).fields(["targets"])?;
        let Some(list) = list.filter(|it| !it.is_null()) else { return Ok(()) };
        for entry in list.entries()? {
            let entry = entry?;
            visit(&entry.name_bytes(), entry.value);
        }
        Ok(())
    }
}

enum Member<'a> {
    Kept(View<'a>),
    Ours(Vec<u8>),
    Targets(Option<View<'a>>),
}

/// Writes the name of a member and the colon behind it.
fn write_name(name: &[u8], out: &mut Vec<u8>) -> Parsed<()> {
    canonical::write_string(std::str::from_utf8(name).map_err(|it| it.to_string())?, out);
    out.push(b':');
    Ok(())
}

/// A target's canonical description. What a publisher added is made canonical, too: Notary itself signs
/// it as it comes, and then finds its own signature wrong.
fn describe(target: &Target) -> Parsed<Vec<u8>> {
    let mut hashes = Map::new();
    let known = [
        ("sha256", target.sha256.as_ref().map(<[u8; 32]>::as_slice)),
        ("sha512", target.sha512.as_ref().map(<[u8; 64]>::as_slice)),
    ];
    for (name, hash) in known {
        hashes.extend(hash.map(|it| (name.to_owned(), Value::from(STANDARD.encode(it)))));
    }
    if hashes.is_empty() {
        return Err("it has no hash".to_owned());
    }
    let mut description = json!({"hashes": hashes, "length": target.length});
    if let (Some(members), Some(custom)) = (description.as_object_mut(), &target.custom) {
        members.insert("custom".to_owned(), custom.clone());
    }
    canonical::to_vec(&description)
        .map_err(|it| format!("what it is described by has no canonical form: {it}"))
}
