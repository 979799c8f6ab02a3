//! What `targets` and delegations say: the tags, and who else may sign some.
//!
//! A file may list 100,000 tags and more, and a build asks for one of them, so the list is never
//! turned into a tree. A [`Targets`] keeps the signed bytes and reads them when it is asked.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::document::Document;
use super::error::shown;
use super::metadata::{Hashes, RoleKeys, items, parse_keys};
use super::view::{Parsed, View};
use super::{RoleName, TufError};

/// The targets and delegations of one role.
#[derive(Clone, Debug)]
pub struct Targets {
    role: RoleName,
    document: Arc<Document>,
    list: Option<Range<usize>>,
    delegations: Vec<Delegation>,
    /// The prefixes of the names that the role may sign.
    paths: Vec<String>,
}

impl Targets {
    /// The target of this name, when the role lists it and may sign it.
    pub fn find(&self, name: &str) -> Result<Option<Target>, TufError> {
        if !self.may_sign(name) {
            return Ok(None);
        }
        self.search(name).map_err(|reason| self.malformed(format!("target {}: {reason}", shown(name))))
    }

    /// Calls with each target that the role lists and may sign, in the order of their names.
    pub fn for_each(&self, mut visit: impl FnMut(&str, Target)) -> Result<(), TufError> {
        for target in self.iter() {
            let (name, target) = target?;
            visit(&name, target);
        }
        Ok(())
    }

    /// Each target that the role lists and may sign, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = Result<(Cow<'_, str>, Target), TufError>> {
        self.entries().map(|entry| {
            let (name, value) = entry.map_err(|it| self.malformed(it))?;
            let target = Target::parse(value);
            let target = target.map_err(|it| self.malformed(format!("target {}: {it}", shown(&name))))?;
            Ok((name, target))
        })
    }

    /// The first names that the role lists and may sign, in their order, at most `limit`.
    #[must_use]
    pub fn names(&self, limit: usize) -> Vec<String> {
        self.entries().take(limit).map_while(Result::ok).map(|(name, _)| name.into_owned()).collect()
    }

    /// How many targets the role lists and may sign.
    #[must_use]
    pub fn count(&self) -> usize {
        self.entries().map_while(Result::ok).count()
    }

    /// The roles that it delegates to, in the order of the file.
    #[must_use]
    pub fn delegations(&self) -> &[Delegation] {
        &self.delegations
    }

    /// The delegation of this name.
    #[must_use]
    pub fn delegation(&self, role: &RoleName) -> Option<&Delegation> {
        self.delegations.iter().find(|it| it.name == *role)
    }

    /// The prefixes of the names that the role may sign: its own, within those of all roles above it.
    #[must_use]
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    /// Reads everything but the list of targets.
    pub(super) fn parse(
        role: &RoleName,
        document: &Arc<Document>,
        paths: Vec<String>,
    ) -> Result<Self, TufError> {
        let malformed = |reason: String| TufError::Malformed { role: role.clone(), reason };
        let [list, delegations] = document.fields(["targets", "delegations"]).map_err(malformed)?;
        if let Some(list) = list.filter(|it| !it.is_null()) {
            list.entries().map_err(|it| malformed(format!("`targets`: {it}")))?;
        }
        let list = list.filter(|it| !it.is_null()).and_then(|_| document.place("targets"));
        let delegations = match delegations.filter(|it| !it.is_null()) {
            Some(it) => parse_delegations(role, it)?,
            None => Vec::new(),
        };
        Ok(Self { role: role.clone(), document: Arc::clone(document), list, delegations, paths })
    }

    /// The paths of a delegation that are within the role's own.
    pub(super) fn restricted(&self, delegation: &Delegation) -> Vec<String> {
        delegation.paths.iter().filter(|it| self.may_sign(it)).cloned().collect()
    }

    fn may_sign(&self, name: &str) -> bool {
        self.paths.iter().any(|it| name.starts_with(it.as_str()))
    }

    fn list(&self) -> Option<View<'_>> {
        self.list.as_ref().map(|it| self.document.view(it))
    }

    /// Names are sorted, so that the search ends where the name would stand.
    fn search(&self, name: &str) -> Parsed<Option<Target>> {
        let Some(list) = self.list() else { return Ok(None) };
        for entry in list.entries()? {
            let entry = entry?;
            match entry.name_bytes().as_ref().cmp(name.as_bytes()) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Target::parse(entry.value).map(Some),
                std::cmp::Ordering::Greater => return Ok(None),
            }
        }
        Ok(None)
    }

    fn entries(&self) -> impl Iterator<Item = Parsed<(Cow<'_, str>, View<'_>)>> {
        let entries = self.list().and_then(|it| it.entries().ok()).into_iter().flatten();
        let named = entries.map(|entry| entry.and_then(|it| Ok((it.name()?, it.value))));
        named.filter(|entry| entry.as_ref().map_or(true, |(name, _)| self.may_sign(name)))
    }

    fn malformed(&self, reason: String) -> TufError {
        TufError::Malformed { role: self.role.clone(), reason }
    }
}

/// A role that another delegates to.
#[derive(Clone, Debug)]
pub struct Delegation {
    /// Its name; its parent is the role that delegates.
    pub name: RoleName,
    /// Its keys and threshold.
    pub keys: RoleKeys,
    /// The prefixes of the names it may sign; empty: none.
    pub paths: Vec<String>,
}

/// A role may only delegate to its direct children, so that delegations cannot form a cycle.
fn parse_delegations(role: &RoleName, delegations: View<'_>) -> Result<Vec<Delegation>, TufError> {
    let malformed = |reason: String| TufError::Malformed { role: role.clone(), reason };
    let within = |reason: String| malformed(format!("`delegations`: {reason}"));
    let [keys, roles] = delegations.fields(["keys", "roles"]).map_err(within)?;
    let keys = parse_keys(role, keys)?;
    let mut parsed: Vec<Delegation> = Vec::new();
    for item in items(roles).map_err(within)? {
        let [name, key_ids, threshold, paths] =
            item.and_then(|it| it.fields(["name", "keyids", "threshold", "paths"])).map_err(within)?;
        let name = name.ok_or_else(|| within("`name` is missing".to_owned()))?.text().map_err(within)?;
        let child: RoleName = name.parse()?;
        let within = |reason: String| malformed(format!("delegation `{child}`: {reason}"));
        if child.parent().as_ref() != Some(role) {
            return Err(within(format!("it is not directly below `{role}`")));
        }
        if parsed.iter().any(|it| it.name == child) {
            return Err(within("it stands twice in the file".to_owned()));
        }
        if parsed.len() >= DELEGATION_LIMIT {
            return Err(malformed(format!("more than {DELEGATION_LIMIT} delegations")));
        }
        let keys = RoleKeys::parse(&keys, key_ids, threshold).map_err(within)?;
        let paths = parse_paths(paths).map_err(within)?;
        parsed.push(Delegation { name: child, keys, paths });
    }
    Ok(parsed)
}

fn parse_paths(paths: Option<View<'_>>) -> Parsed<Vec<String>> {
    let mut parsed = Vec::new();
    for path in items(paths)? {
        if parsed.len() >= PATH_LIMIT {
            return Err(format!("more than {PATH_LIMIT} paths"));
        }
        parsed.push(path?.text()?.into_owned());
    }
    Ok(parsed)
}

/// What a role says about one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The number of bytes of the manifest.
    pub length: u64,
    /// Its SHA-256, which is the digest; `None` where only other hashes are listed.
    pub sha256: Option<[u8; 32]>,
    /// Its SHA-512, where it is listed.
    pub sha512: Option<[u8; 64]>,
    /// What the publisher added.
    pub custom: Option<serde_json::Value>,
}

impl Target {
    fn parse(target: View<'_>) -> Parsed<Self> {
        let [length, hashes, custom] = target.fields(["length", "hashes", "custom"])?;
        let length = length.ok_or("`length` is missing")?.count().map_err(|it| format!("`length`: {it}"))?;
        let hashes = Hashes::parse(hashes)?;
        let custom = custom.map(View::to_value).transpose()?;
        Ok(Self { length, sha256: hashes.sha256, sha512: hashes.sha512, custom })
    }
}

/// A delegation is a person or a pipeline; each costs a download.
const DELEGATION_LIMIT: usize = 1024;
/// Docker writes one path, which allows everything.
const PATH_LIMIT: usize = 4096;
