//! The whole new state, verified by the code that clients verify with.
//!
//! Signatures, hashes and structure are checked whatever the time; what is new must be unexpired, too.
//! So a repository whose `targets` are over can still have its delegations published, and the other way
//! round.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::state::Verified;
use super::{PublicationError, Upload};
use crate::server::storage::{Head, NewFile};
use crate::tuf::{
    AnyTime, RoleName, Root, RootChain, Snapshot, Targets, Trusted, verify_delegation, verify_snapshot,
    verify_targets, verify_timestamp,
};

/// What is about to be stored.
pub(super) struct Candidate {
    pub(super) chain: RootChain,
    pub(super) timestamp: Vec<u8>,
    pub(super) snapshot: Vec<u8>,
    pub(super) upload: Arc<Upload>,
    /// Files that stay, as far as what is new hangs on them.
    pub(super) stored: BTreeMap<RoleName, Vec<u8>>,
    /// Each role's newest file before this.
    pub(super) heads: BTreeMap<RoleName, Head>,
    /// What was current before this.
    pub(super) previous: Option<Arc<Verified>>,
    /// Roles that the server took out of the snapshot.
    pub(super) dropped: BTreeSet<RoleName>,
}

/// What was verified.
pub(super) struct Checked {
    /// The new files.
    pub(super) files: Vec<NewFile>,
    /// The roles that the snapshot lists.
    pub(super) listed: BTreeSet<RoleName>,
    /// What the next publish goes on from.
    pub(super) verified: Verified,
}

impl Candidate {
    /// How many bytes there are to check.
    pub(super) fn length(&self) -> usize {
        let new = self.upload.files().map(|(_, it)| it.content.len());
        let stored = self.stored.values().map(Vec::len);
        new.chain(stored).sum::<usize>() + self.snapshot.len() + self.timestamp.len()
    }

    /// Verifies it as a client does that has all of it to fetch.
    pub(super) fn check(self, now: jiff::Timestamp) -> Result<Checked, PublicationError> {
        let root = self.chain.root();
        let ours = |error: crate::tuf::TufError| PublicationError::Work { reason: error.to_string() };
        let timestamp = verify_timestamp(root, self.timestamp.clone(), None, AnyTime).map_err(ours)?;
        let refused = |error| PublicationError::refused(&RoleName::SNAPSHOT, &error);
        let snapshot =
            verify_snapshot(root, &timestamp, self.snapshot.clone(), None, AnyTime).map_err(refused)?;
        if self.upload.file(&RoleName::SNAPSHOT).is_some() {
            snapshot.check_expiry(now).map_err(refused)?;
        }
        let mut files = vec![new_file(&timestamp)];
        if self.heads.get(&RoleName::SNAPSHOT).is_none_or(|it| it.version != snapshot.version()) {
            files.push(new_file(&snapshot));
        }
        if self.upload.file(&RoleName::ROOT).is_some() {
            files.push(new_file(root));
        }
        for targets in self.targets(root, &snapshot, now)?.values() {
            if self.upload.file(targets.role()).is_some() {
                files.push(new_file(targets));
            }
        }
        self.check_listed(&snapshot)?;
        let listed = snapshot.roles().cloned().collect();
        Ok(Checked { files, listed, verified: Verified { chain: self.chain, timestamp, snapshot } })
    }

    /// `targets` and the delegations that are new, and the roles above those.
    fn targets(
        &self,
        root: &Trusted<Root>,
        snapshot: &Trusted<Snapshot, AnyTime>,
        now: jiff::Timestamp,
    ) -> Result<BTreeMap<RoleName, Trusted<Targets, AnyTime>>, PublicationError> {
        let mut verified: BTreeMap<RoleName, Trusted<Targets, AnyTime>> = BTreeMap::new();
        let new = self.upload.targets().map(|(role, file)| (role, &file.content));
        // A file stands behind that of the role above it, as names are sorted.
        let all: BTreeMap<&RoleName, &Vec<u8>> = self.stored.iter().chain(new).collect();
        for (role, content) in all {
            let refused = |error| PublicationError::refused(role, &error);
            let targets = match role.parent() {
                None => verify_targets(root, snapshot, content.clone(), None, AnyTime),
                Some(parent) => {
                    let parent = verified.get(&parent).ok_or_else(|| PublicationError::Hierarchy {
                        missing: parent.clone(),
                        reason: format!("`{parent}` was never published, so `{role}` cannot be"),
                    })?;
                    verify_delegation(parent, role, snapshot, content.clone(), None, AnyTime)
                }
            };
            let targets = targets.map_err(refused)?;
            if let Some(file) = self.upload.file(role) {
                targets.check_expiry(now).map_err(refused)?;
                let named: BTreeSet<&RoleName> = targets.delegations().iter().map(|it| &it.name).collect();
                if !named.iter().copied().eq(file.claims.delegations.iter()) {
                    return Err(refused_for(role, "its delegations can be read in two ways"));
                }
            }
            // Whoever is named again was not given up.
            if let Some(named) = targets.delegations().iter().find(|it| self.dropped.contains(&it.name)) {
                let reason = format!("`{}` would be missing in the snapshot", named.name);
                return Err(refused_for(role, &reason));
            }
            verified.insert(role.clone(), targets);
        }
        Ok(verified)
    }

    /// Whether each file that the snapshot lists is here, as it is listed.
    ///
    /// Files that come with it were compared when they were verified. One that stays must be listed as
    /// before: a hash that no file has would lock all readers out for good.
    fn check_listed(&self, snapshot: &Trusted<Snapshot, AnyTime>) -> Result<(), PublicationError> {
        for role in snapshot.roles().filter(|it| self.upload.file(it).is_none()) {
            let listed = snapshot.meta(role);
            let before = self.previous.as_ref().and_then(|it| it.snapshot.meta(role));
            let head = self.heads.get(role).map(|it| it.sha256);
            let here = listed.is_some_and(|it| Some(it.sha256) == head);
            if listed != before || !here {
                let reason = format!("it lists `{role}` otherwise than it is here");
                return Err(PublicationError::Snapshot { reason });
            }
        }
        Ok(())
    }
}

fn refused_for(role: &RoleName, reason: &str) -> PublicationError {
    PublicationError::refused(role, &reason)
}

fn new_file<T, W>(file: &Trusted<T, W>) -> NewFile {
    NewFile::new(file.role().clone(), file.version(), file.expires(), file.raw().to_vec())
}
