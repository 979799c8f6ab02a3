//! The files of one repository, read and verified as a client would, whatever their age.
//!
//! What does not verify is a problem of the role, which is shown; the others are shown all the same.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::image::Gun;
use crate::server::storage::{Standing, Storage, StorageError};
use crate::tuf::{
    AnyTime, Delegation, KeyId, RoleKeys, RoleName, RootChain, RootPins, Snapshot, Targets, Trusted,
    TufError, verify_delegation, verify_snapshot, verify_targets, verify_timestamp,
};

/// A repository's files as they are stored, of one moment.
pub(super) struct Files {
    gun: Gun,
    pub(super) standing: Vec<Standing>,
    content: BTreeMap<RoleName, Vec<u8>>,
    problems: BTreeMap<RoleName, String>,
}

impl Files {
    /// Reads them; `None` where there is no such repository.
    pub(super) async fn read(storage: &dyn Storage, gun: &Gun) -> Result<Option<Self>, StorageError> {
        let standing = storage.standing(gun).await?;
        let mut files =
            Self { gun: gun.clone(), standing, content: BTreeMap::new(), problems: BTreeMap::new() };
        let mut room = READ_LIMIT;
        // The base roles' names come before those of delegations where it matters: `targets` does.
        let (base, delegations): (Vec<_>, Vec<_>) =
            files.standing.iter().partition(|it| !it.role.is_delegation());
        for file in base.into_iter().chain(delegations) {
            let Some(left) = room.checked_sub(file.size) else {
                let problem = format!("it has {} bytes, more than this page reads", file.size);
                files.problems.insert(file.role.clone(), problem);
                continue;
            };
            if let Some(found) = storage.by_hash(gun, &file.role, &file.sha256).await? {
                room = left;
                files.content.insert(file.role.clone(), found.content.to_vec());
            } else {
                let problem = "it was replaced while this page was made".to_owned();
                files.problems.insert(file.role.clone(), problem);
            }
        }
        Ok(Some(files).filter(|it| !it.standing.is_empty()))
    }

    /// Verifies each as far as those above it allow.
    pub(super) fn verify(mut self, now: Timestamp) -> Verified {
        let mut verified = Verified {
            standing: self.standing,
            chain: None,
            signatures: BTreeMap::new(),
            targets: Vec::new(),
            problems: self.problems,
        };
        let mut content = std::mem::take(&mut self.content);
        if let Some(snapshot) = verified.base(&self.gun, &mut content, now) {
            verified.targets(&snapshot, &mut content);
        }
        for file in &verified.standing {
            if !verified.signatures.contains_key(&file.role) {
                let problem = "it cannot be checked without the roles above it".to_owned();
                verified.problems.entry(file.role.clone()).or_insert(problem);
            }
        }
        verified
    }
}

/// What was found, and what is wrong.
pub(super) struct Verified {
    pub(super) standing: Vec<Standing>,
    chain: Option<RootChain>,
    /// The keys whose signatures are valid, by role; a role that is missing does not verify.
    pub(super) signatures: BTreeMap<RoleName, Vec<KeyId>>,
    /// `targets` and the delegations, each behind its parent.
    pub(super) targets: Vec<Trusted<Targets, AnyTime>>,
    pub(super) problems: BTreeMap<RoleName, String>,
}

impl Verified {
    /// The keys of a role and their threshold, as the role above says.
    pub(super) fn keys(&self, role: &RoleName) -> Option<&RoleKeys> {
        match role.parent() {
            None => self.chain.as_ref()?.keys(role),
            Some(_) => self.delegation(role).map(|it| &it.keys),
        }
    }

    /// What the role above says of a delegation.
    pub(super) fn delegation(&self, role: &RoleName) -> Option<&Delegation> {
        let parent = role.parent()?;
        self.targets.iter().find(|it| *it.role() == parent)?.delegation(role)
    }

    /// Delegations that are named, and were never published.
    pub(super) fn unpublished(&self) -> impl Iterator<Item = &Delegation> {
        let named = self.targets.iter().flat_map(|it| it.delegations());
        named.filter(|named| !self.standing.iter().any(|it| it.role == named.name))
    }

    /// Everything above `targets`.
    fn base(
        &mut self,
        gun: &Gun,
        content: &mut BTreeMap<RoleName, Vec<u8>>,
        now: Timestamp,
    ) -> Option<Trusted<Snapshot, AnyTime>> {
        let root = self.take(content, &RoleName::ROOT)?;
        let chain = RootChain::from_cache(gun, root, &RootPins::TrustOnFirstUse);
        let chain = self.keep(&RoleName::ROOT, chain)?;
        self.signatures.insert(RoleName::ROOT, chain.root().signatures().to_vec());
        // That the root itself has expired is shown as it is with any other role.
        if let Err(error @ TufError::CertificateExpired { .. }) = chain.check_expiry(now) {
            self.problems.insert(RoleName::ROOT, error.to_string());
        }
        self.chain = Some(chain.clone());
        let timestamp = self.take(content, &RoleName::TIMESTAMP)?;
        let timestamp = verify_timestamp(chain.root(), timestamp, None, AnyTime);
        let timestamp = self.keep(&RoleName::TIMESTAMP, timestamp)?;
        self.signatures.insert(RoleName::TIMESTAMP, timestamp.signatures().to_vec());
        let snapshot = self.take(content, &RoleName::SNAPSHOT)?;
        let snapshot = verify_snapshot(chain.root(), &timestamp, snapshot, None, AnyTime);
        let snapshot = self.keep(&RoleName::SNAPSHOT, snapshot)?;
        self.signatures.insert(RoleName::SNAPSHOT, snapshot.signatures().to_vec());
        Some(snapshot)
    }

    /// `targets` and what is below it.
    fn targets(&mut self, snapshot: &Trusted<Snapshot, AnyTime>, content: &mut BTreeMap<RoleName, Vec<u8>>) {
        let Some(chain) = self.chain.clone() else { return };
        // Names are sorted, so that parents come before their children.
        while let Some((role, file)) = content.pop_first() {
            let verified = match role.parent() {
                None if role == RoleName::TARGETS => {
                    verify_targets(chain.root(), snapshot, file, None, AnyTime)
                }
                None => continue,
                Some(parent) => match self.targets.iter().find(|it| *it.role() == parent) {
                    Some(parent) => verify_delegation(parent, &role, snapshot, file, None, AnyTime),
                    None => continue,
                },
            };
            if let Some(targets) = self.keep(&role, verified) {
                self.signatures.insert(role, targets.signatures().to_vec());
                self.targets.push(targets);
            }
        }
    }

    fn take(&mut self, content: &mut BTreeMap<RoleName, Vec<u8>>, role: &RoleName) -> Option<Vec<u8>> {
        let file = content.remove(role);
        if file.is_none() {
            self.problems.entry(role.clone()).or_insert_with(|| "it is missing".to_owned());
        }
        file
    }

    fn keep<T>(&mut self, role: &RoleName, verified: Result<T, TufError>) -> Option<T> {
        match verified {
            Ok(it) => Some(it),
            Err(error) => {
                self.problems.insert(role.clone(), error.to_string());
                None
            }
        }
    }
}

/// What one page reads of a repository: three files of 100,000 tags each, and then some.
const READ_LIMIT: u64 = 64 << 20;
