//! All that is known of a repository: its roles, who may sign, with which keys, what is signed.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::workspace::Base;
use super::{PublishError, Publisher};
use crate::image::Gun;
use crate::trust::refresh::{Refresh, Walked};
use crate::trust::remote::Contact;
use crate::trust::{Freshness, TrustError};
use crate::tuf::{
    AnyTime, Delegation, KeyId, KeyType, RoleKeys, RoleName, Target, Targets, Trusted, TufError, Version,
};

/// How far a survey goes, and what it forgives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SurveyScope {
    /// What a reader would accept now; a broken delegation is told, a broken base role is an error.
    Valid,
    /// The same, but for expiry: for looking at what locks readers out.
    EvenExpired,
    /// What the cache has, without asking the server; expiry is ignored, and there may be newer data.
    Cached,
}

/// What is known of a repository.
#[derive(Clone, Debug, PartialEq)]
pub struct Survey {
    /// The repository.
    pub gun: Gun,
    /// The trust server.
    pub server: String,
    /// Whether the server itself vouched for the data just now.
    pub freshness: Freshness,
    /// The root was trusted on first use, just now.
    pub first_use: bool,
    /// `root`, `targets`, `snapshot` and `timestamp`.
    pub roles: Vec<SurveyedRole>,
    /// All delegations, parents before their children, each in the order of its parent's file.
    pub delegations: Vec<SurveyedDelegation>,
    /// Every target of every role that could be read, by name and role.
    pub targets: Vec<SurveyedTarget>,
    /// Staged changes, as notary keeps them.
    pub staged: usize,
    /// What went wrong without harm.
    pub notes: Vec<String>,
}

/// A role, and who may sign it.
#[derive(Clone, Debug, PartialEq)]
pub struct SurveyedRole {
    /// Its name.
    pub role: RoleName,
    /// Its version.
    pub version: Version,
    /// When it expires.
    pub expires: jiff::Timestamp,
    /// How many keys must sign.
    pub threshold: u64,
    /// The keys that may.
    pub keys: Vec<SurveyedKey>,
}

/// A key of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyedKey {
    /// The ID that metadata uses.
    pub id: KeyId,
    /// The ID of the plain key, by which key files are named.
    pub canonical_id: KeyId,
    /// What kind of key it is.
    pub key_type: KeyType,
    /// Whether the key store has it.
    pub here: bool,
    /// Whether its signature is among those that count now.
    pub signed: bool,
}

/// A role that another delegates to.
#[derive(Clone, Debug, PartialEq)]
pub struct SurveyedDelegation {
    /// Its name.
    pub role: RoleName,
    /// The prefixes of the tags that it may sign, as its parent says.
    pub paths: Vec<String>,
    /// How many keys must sign.
    pub threshold: u64,
    /// The keys that may.
    pub keys: Vec<SurveyedKey>,
    /// Its own file; `None`: it never signed anything.
    pub file: Option<(Version, jiff::Timestamp)>,
    /// Why its file cannot be used, where it cannot.
    pub problem: Option<String>,
}

/// A target, as one role says it.
#[derive(Clone, Debug, PartialEq)]
pub struct SurveyedTarget {
    /// Its name: the tag.
    pub name: String,
    /// The role that says so.
    pub role: RoleName,
    /// What it says.
    pub target: Target,
}

impl Publisher {
    /// Reads all that is known of a repository.
    pub(super) async fn look_over(&self, gun: &Gun, scope: SurveyScope) -> Result<Survey, PublishError> {
        let contact = match scope {
            SurveyScope::Valid | SurveyScope::EvenExpired => Contact::Pull,
            SurveyScope::Cached => Contact::Never,
        };
        let now = (self.clock)();
        let refresh = Refresh {
            remote: Arc::new(self.remote(gun, contact)?),
            cache: Some(self.cache.clone()),
            pins: (self.pins)(gun),
            now,
            when: AnyTime,
        };
        let state = refresh.run().await?;
        if scope == SurveyScope::Valid {
            state.check_time(now)?;
        }
        let stored = self.keys.list()?.keys;
        let here: BTreeSet<KeyId> = stored.into_iter().map(|it| it.id).collect();
        let mut targets = Vec::new();
        list_targets(state.targets(), &mut targets).map_err(|it| state.failed(it))?;
        let delegations = survey_delegations(&state, scope, now, &here, &mut targets).await?;
        targets.sort_by(|one, other| (&one.name, &one.role).cmp(&(&other.name, &other.role)));
        Ok(Survey {
            gun: gun.clone(),
            server: state.server(),
            freshness: state.account().freshness.clone(),
            first_use: state.account().first_use,
            roles: base_roles(&state, &here),
            delegations,
            targets,
            staged: super::changelist::count(&self.cache.changelist(gun))?,
            notes: state.notes(),
        })
    }
}

fn base_roles(state: &Base, here: &BTreeSet<KeyId>) -> Vec<SurveyedRole> {
    let Walked { timestamp, snapshot, targets } = state.walked();
    let root = state.chain().root();
    let parts = [
        (RoleName::ROOT, root.version(), root.expires(), root.signatures()),
        (RoleName::TARGETS, targets.version(), targets.expires(), targets.signatures()),
        (RoleName::SNAPSHOT, snapshot.version(), snapshot.expires(), snapshot.signatures()),
        (RoleName::TIMESTAMP, timestamp.version(), timestamp.expires(), timestamp.signatures()),
    ];
    let surveyed = parts.into_iter().filter_map(|(role, version, expires, signatures)| {
        let keys = state.chain().keys(&role)?;
        let threshold = keys.threshold;
        Some(SurveyedRole { version, expires, threshold, keys: survey_keys(keys, signatures, here), role })
    });
    surveyed.collect()
}

/// All delegations, level by level; their targets are added to the others.
async fn survey_delegations(
    state: &Base,
    scope: SurveyScope,
    now: jiff::Timestamp,
    here: &BTreeSet<KeyId>,
    targets: &mut Vec<SurveyedTarget>,
) -> Result<Vec<SurveyedDelegation>, PublishError> {
    let mut surveyed = Vec::new();
    let mut queue: VecDeque<Delegation> = state.targets().delegations().iter().cloned().collect();
    while let Some(delegation) = queue.pop_front() {
        if DELEGATION_LIMIT <= surveyed.len() {
            break;
        }
        let loaded = state.delegation(&delegation.name).await.and_then(|it| {
            let expired = it.as_ref().and_then(|it| it.targets.check_expiry(now).err());
            match expired.filter(|_| scope == SurveyScope::Valid) {
                Some(error) => Err(state.failed(error)),
                None => Ok(it),
            }
        });
        let (file, signatures, problem) = match loaded {
            Ok(Some(file)) => {
                queue.extend(file.targets.delegations().iter().cloned());
                list_targets(&file.targets, targets).map_err(|it| state.failed(it))?;
                let file = &file.targets;
                (Some((file.version(), file.expires())), file.signatures().to_vec(), None)
            }
            Ok(None) => (None, Vec::new(), None),
            // Without the server nothing can be said of the others, either.
            Err(error @ TrustError::Unreachable { .. }) => return Err(error.into()),
            Err(error) => (None, Vec::new(), Some(error.to_string())),
        };
        surveyed.push(SurveyedDelegation {
            role: delegation.name,
            paths: delegation.paths,
            threshold: delegation.keys.threshold,
            keys: survey_keys(&delegation.keys, &signatures, here),
            file,
            problem,
        });
    }
    Ok(surveyed)
}

fn list_targets(role: &Trusted<Targets, AnyTime>, targets: &mut Vec<SurveyedTarget>) -> Result<(), TufError> {
    role.for_each(|name, target| {
        targets.push(SurveyedTarget { name: name.to_owned(), role: role.role().clone(), target });
    })
}

fn survey_keys(keys: &RoleKeys, signatures: &[KeyId], here: &BTreeSet<KeyId>) -> Vec<SurveyedKey> {
    let surveyed = keys.keys.iter().map(|key| SurveyedKey {
        id: key.id().clone(),
        canonical_id: key.canonical_id().clone(),
        key_type: key.key_type().clone(),
        here: here.contains(key.canonical_id()),
        signed: signatures.contains(key.id()),
    });
    surveyed.collect()
}

/// More than a repository has signers.
const DELEGATION_LIMIT: usize = 1024;
