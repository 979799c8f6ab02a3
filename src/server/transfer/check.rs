//! A repository that is offered, verified as a client does that has all of it to fetch.
//!
//! Its time may be over: a server renews what it can, and a client says so of the rest. Everything else
//! must hold, from the first root that there is to the files that the snapshot lists.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::TransferError;
use super::error::Damage;
use super::source::{Offered, Source};
use crate::server::storage::{Listed, NewFile, sha256};
use crate::tuf::{
    AnyTime, RoleKeys, RoleName, RootChain, RootPins, Version, verify_delegation, verify_snapshot,
    verify_targets, verify_timestamp,
};

/// What a repository is, verified.
pub(super) struct Checked {
    /// Each role's current file.
    pub(super) current: BTreeMap<RoleName, NewFile>,
    /// Where in the list each is.
    pub(super) places: BTreeMap<RoleName, usize>,
    chain: RootChain,
}

impl Checked {
    /// The keys that the root names for a role.
    pub(super) fn keys(&self, role: &RoleName) -> Option<&RoleKeys> {
        self.chain.keys(role)
    }
}

/// Why a repository cannot be taken: itself, or what it is read from.
pub(super) enum CheckError {
    Damage(Damage),
    Source(TransferError),
}

impl From<TransferError> for CheckError {
    fn from(error: TransferError) -> Self {
        Self::Source(error)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` calls with errors")]
fn damage(reason: impl ToString) -> CheckError {
    CheckError::Damage(Damage::new(&reason))
}

/// Verifies a repository.
pub(super) async fn check(source: &mut Source, offered: &Offered) -> Result<Checked, CheckError> {
    let mut files = Files { source, offered, places: BTreeMap::new() };
    let (chain, newest) = files.roots().await?;
    let root = chain.root();
    let (place, raw) = files.newest(&RoleName::TIMESTAMP).await?;
    files.places.insert(RoleName::TIMESTAMP, place);
    let timestamp = verify_timestamp(root, raw, None, AnyTime).map_err(damage)?;
    let raw = files.named(&RoleName::SNAPSHOT, timestamp.snapshot().sha256).await?;
    let snapshot = verify_snapshot(root, &timestamp, raw, None, AnyTime).map_err(damage)?;
    let mut current = BTreeMap::new();
    for (role, version, expires, raw) in [
        (RoleName::ROOT, root.version(), root.expires(), root.raw()),
        (RoleName::TIMESTAMP, timestamp.version(), timestamp.expires(), timestamp.raw()),
        (RoleName::SNAPSHOT, snapshot.version(), snapshot.expires(), snapshot.raw()),
    ] {
        current.insert(role.clone(), NewFile::new(role, version, expires, raw.to_vec()));
    }
    files.places.insert(RoleName::ROOT, newest);
    let mut verified = BTreeMap::new();
    // A role stands behind the one above it, as names are sorted.
    let listed = snapshot.roles().filter(|it| **it != RoleName::ROOT && **it != RoleName::SNAPSHOT);
    for role in listed {
        let Some(meta) = snapshot.meta(role) else { continue };
        let raw = files.named(role, meta.sha256).await?;
        let facts = Facts::read(&raw).map_err(|it| damage(format!("`{role}`: {it}")))?;
        let targets = match role.parent() {
            None => Some(verify_targets(root, &snapshot, raw.clone(), None, AnyTime).map_err(damage)?),
            // One that nobody delegates to any more, or whose signer was taken out, still counts as a file of
            // the snapshot: readers pass it over until somebody signs it anew.
            Some(parent) => verified.get(&parent).and_then(|parent| {
                verify_delegation(parent, role, &snapshot, raw.clone(), None, AnyTime).ok()
            }),
        };
        if let Some(targets) = targets {
            verified.insert(role.clone(), targets);
        }
        current.insert(role.clone(), NewFile::new(role.clone(), facts.version, facts.expires, raw));
    }
    if !verified.contains_key(&RoleName::TARGETS) {
        return Err(damage("its snapshot lists no `targets`"));
    }
    for file in current.values() {
        let place = files.places.get(&file.role).and_then(|it| offered.files.get(*it));
        if place.is_none_or(|it| it.version != file.version) {
            return Err(damage(format!("`{}` has another version than it is listed with", file.role)));
        }
    }
    let places = files.places;
    Ok(Checked { current, places, chain })
}

/// A file of the past, if it is what it is listed as; what it says is not looked at.
pub(super) fn past(listed: &Listed, raw: Vec<u8>) -> Option<NewFile> {
    let facts = Facts::read(&raw).ok().filter(|it| it.version == listed.version)?;
    let file = NewFile::new(listed.role.clone(), facts.version, facts.expires, raw);
    (file.sha256 == listed.sha256).then_some(file)
}

struct Files<'a> {
    source: &'a mut Source,
    offered: &'a Offered,
    places: BTreeMap<RoleName, usize>,
}

impl Files<'_> {
    /// The chain of roots up to the newest, and where that is.
    async fn roots(&mut self) -> Result<(RootChain, usize), CheckError> {
        let mut roots: Vec<(Version, usize)> = Vec::new();
        for (place, file) in self.of(&RoleName::ROOT) {
            roots.push((file.version, place));
        }
        roots.sort_unstable();
        let pins = RootPins::TrustOnFirstUse;
        let mut chain: Option<(RootChain, usize)> = None;
        for (version, place) in roots {
            let raw = self.content(place).await?;
            let named = |it: crate::tuf::TufError| damage(format!("root version {version}: {it}"));
            chain = Some(match chain {
                None => {
                    let first =
                        RootChain::bootstrap(&self.offered.gun, raw, &pins, AnyTime).map_err(named)?;
                    (first, place)
                }
                Some((mut chain, _)) => {
                    chain.advance(raw, &pins, false, AnyTime).map_err(named)?;
                    (chain, place)
                }
            });
        }
        chain.ok_or_else(|| damage("it has no root"))
    }

    /// The newest file of a role; of one version, the one that was stored last.
    async fn newest(&mut self, role: &RoleName) -> Result<(usize, Vec<u8>), CheckError> {
        let newest = self.of(role).max_by_key(|(place, file)| (file.version, *place)).map(|(place, _)| place);
        let place = newest.ok_or_else(|| damage(format!("it has no `{role}`")))?;
        Ok((place, self.content(place).await?))
    }

    /// The file of a role with this hash.
    async fn named(&mut self, role: &RoleName, hash: [u8; 32]) -> Result<Vec<u8>, CheckError> {
        let place = self.of(role).filter(|(_, it)| it.sha256 == hash).map(|(place, _)| place).last();
        let place =
            place.ok_or_else(|| damage(format!("the `{role}` that is named by its hash is not there")))?;
        self.places.insert(role.clone(), place);
        self.content(place).await
    }

    fn of<'a>(&'a self, role: &'a RoleName) -> impl Iterator<Item = (usize, &'a Listed)> + 'a {
        self.offered.files.iter().enumerate().filter(move |(_, it)| it.role == *role)
    }

    async fn content(&mut self, place: usize) -> Result<Vec<u8>, CheckError> {
        let Some(file) = self.offered.files.get(place) else { return Err(damage("a file is missing")) };
        let content = self.source.content(file).await?;
        if sha256(&content) != file.sha256 {
            return Err(damage(format!(
                "`{}` version {} has another hash than it is listed with",
                file.role, file.version
            )));
        }
        Ok(content)
    }
}

/// What a file says of itself, whoever signed it.
struct Facts {
    version: Version,
    expires: jiff::Timestamp,
}

impl Facts {
    fn read(raw: &[u8]) -> Result<Self, String> {
        let envelope: Envelope<'_> =
            serde_json::from_slice(raw).map_err(|_| "it is no metadata".to_owned())?;
        let Signed { version, expires } = envelope.signed;
        let version = Version::new(version).ok_or("it has version 0")?;
        let expires = expires.parse().map_err(|_| "it expires at no time".to_owned())?;
        Ok(Self { version, expires })
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    signed: Signed<'a>,
}

#[derive(Deserialize)]
struct Signed<'a> {
    version: u64,
    #[serde(borrow)]
    expires: std::borrow::Cow<'a, str>,
}
