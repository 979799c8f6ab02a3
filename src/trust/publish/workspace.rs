//! One publication in the making: drafts over the repository's verified state.
//!
//! A wish edits drafts; what was not edited stays as it is. Who may sign a draft is what its parent
//! will say once everything here is published, so that a role can get a key and be signed with it at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::keyring::Keyring;
use super::{Event, PublishError, Random};
use crate::image::Gun;
use crate::trust::TrustError;
use crate::trust::remote::Remote;
use crate::trust::repository::{Delegated, Repository};
use crate::tuf::author::{AuthorError, RootDraft, TargetsDraft};
use crate::tuf::{
    AnyTime, Delegation, RoleKeys, RoleName, TARGETS_LIMIT, Targets, Trusted, TufError, Version, peek_version,
};

/// A repository as a publisher reads it: verified, but for expiry.
pub(super) type Base = Repository<AnyTime>;

/// Drafts over a repository's state.
pub(super) struct Workspace<'a> {
    pub(super) remote: &'a Remote,
    pub(super) now: Timestamp,
    pub(super) events: &'a (dyn Fn(Event) + Send + Sync),
    pub(super) random: &'a Random,
    /// `None`: the server has no trust data.
    base: Option<&'a Base>,
    expiry: Expiry,
    root: Option<RootDraft>,
    drafts: BTreeMap<RoleName, TargetsDraft>,
    loaded: BTreeMap<RoleName, Option<Arc<Delegated<AnyTime>>>>,
    /// Roles that are signed again even if nothing in them changed.
    forced: BTreeSet<RoleName>,
    removed: BTreeSet<RoleName>,
    /// Whether the server shall renew what it signs, whatever else is published.
    renew_server_roles: bool,
}

/// Whether files whose time is over may be signed anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expiry {
    /// No: nobody vouches for what they say any more.
    Refused,
    /// Yes: that is what was asked for.
    Forgiven,
}

impl<'a> Workspace<'a> {
    pub(super) fn new(
        remote: &'a Remote,
        base: Option<&'a Base>,
        now: Timestamp,
        expiry: Expiry,
        (events, random): (&'a (dyn Fn(Event) + Send + Sync), &'a Random),
    ) -> Result<Self, PublishError> {
        if let (Some(base), Expiry::Refused) = (base, expiry) {
            base.check_time(now)?;
        }
        Ok(Self {
            remote,
            now,
            events,
            random,
            base,
            expiry,
            root: None,
            drafts: BTreeMap::new(),
            loaded: BTreeMap::new(),
            forced: BTreeSet::new(),
            removed: BTreeSet::new(),
            renew_server_roles: false,
        })
    }

    pub(super) fn gun(&self) -> &'a Gun {
        self.remote.gun()
    }

    /// The state that this started from.
    pub(super) fn base(&self) -> Option<&'a Base> {
        self.base
    }

    /// Begins a repository.
    pub(super) fn begin(&mut self, root: RootDraft) {
        self.root = Some(root);
        self.drafts.insert(
            RoleName::TARGETS,
            TargetsDraft::new(RoleName::TARGETS, self.expires(&RoleName::TARGETS)),
        );
    }

    /// Goes on from a root where nothing else can be read.
    pub(super) fn resume(&mut self, root: RootDraft) {
        self.root = Some(root);
    }

    /// Whether the repository begins with this.
    pub(super) fn is_new(&self) -> bool {
        self.base.is_none()
    }

    /// When a role that is signed now will expire: as notary has it.
    pub(super) fn expires(&self, role: &RoleName) -> Timestamp {
        let lifetime = if *role == RoleName::ROOT { ROOT_LIFETIME } else { LIFETIME };
        self.now.checked_add(lifetime).unwrap_or(Timestamp::MAX)
    }

    /// Whether something that expires then should be signed again soon.
    pub(super) fn is_near(&self, expires: Timestamp) -> bool {
        expires < self.now.checked_add(NEAR).unwrap_or(Timestamp::MAX)
    }

    /// The draft of `root`.
    pub(super) fn edit_root(&mut self) -> Result<&mut RootDraft, PublishError> {
        if self.root.is_none() {
            let base = self.base.ok_or_else(|| self.no_such_role(&RoleName::ROOT))?;
            let draft = RootDraft::edit(base.chain().root(), self.expires(&RoleName::ROOT));
            self.root = Some(draft.map_err(|it| self.author(it))?);
        }
        let missing = self.no_such_role(&RoleName::ROOT);
        self.root.as_mut().ok_or(missing)
    }

    /// The draft of `targets` or a delegation.
    pub(super) async fn edit(&mut self, role: &RoleName) -> Result<&mut TargetsDraft, PublishError> {
        if !self.drafts.contains_key(role) {
            let draft = self.draft(role).await?;
            self.drafts.insert(role.clone(), draft);
        }
        let missing = self.no_such_role(role);
        self.drafts.get_mut(role).ok_or(missing)
    }

    async fn draft(&mut self, role: &RoleName) -> Result<TargetsDraft, PublishError> {
        let expires = self.expires(role);
        if *role == RoleName::TARGETS {
            let base = self.base.ok_or_else(|| self.no_such_role(role))?;
            return TargetsDraft::edit(base.targets(), expires).map_err(|it| self.author(it));
        }
        if self.keys(role).await?.is_none() {
            return Err(self.no_such_role(role));
        }
        match self.load(role).await {
            Ok(Some(delegated)) => {
                if self.expiry == Expiry::Refused {
                    delegated.targets.check_expiry(self.now).map_err(|it| self.metadata(it))?;
                }
                TargetsDraft::edit(&delegated.targets, expires).map_err(|it| self.author(it))
            }
            Ok(None) => match self.lingering_version(role).await? {
                Some(version) => {
                    TargetsDraft::after(role.clone(), version, expires).map_err(|it| self.author(it))
                }
                None => Ok(TargetsDraft::new(role.clone(), expires)),
            },
            // Those who signed it may do so no more: what they said is gone, too.
            Err(TrustError::Metadata {
                source: TufError::Threshold { .. } | TufError::NoSignatures { .. },
                ..
            }) => {
                (self.events)(Event::BegunAnew { role: role.clone() });
                let version = self.lingering_version(role).await?.unwrap_or(Version::FIRST);
                TargetsDraft::after(role.clone(), version, expires).map_err(|it| self.author(it))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A delegation's verified file, as the server has it.
    pub(super) async fn load(
        &mut self,
        role: &RoleName,
    ) -> Result<Option<Arc<Delegated<AnyTime>>>, TrustError> {
        if let Some(known) = self.loaded.get(role) {
            return Ok(known.clone());
        }
        let Some(base) = self.base else { return Ok(None) };
        let found = base.delegation(role).await?;
        self.loaded.insert(role.clone(), found.clone());
        Ok(found)
    }

    /// The version of a file that the server has of a role whose delegation is new: servers forget no
    /// file, and take no lower version.
    async fn lingering_version(&self, role: &RoleName) -> Result<Option<Version>, PublishError> {
        let Some(base) = self.base else { return Ok(None) };
        let Some(meta) = base.walked().snapshot.meta(role) else { return Ok(None) };
        let limit = usize::try_from(meta.length).unwrap_or(TARGETS_LIMIT).min(TARGETS_LIMIT);
        let raw = self.remote.by_hash(role, &meta.sha256, limit).await;
        let raw = raw.map_err(|it| self.remote.explain(it, role.as_str()))?;
        Ok(peek_version(&raw))
    }

    /// The keys that will sign a role.
    pub(super) async fn keys(&mut self, role: &RoleName) -> Result<Option<RoleKeys>, PublishError> {
        Ok(match self.delegation(role).await? {
            Some(delegation) => Some(delegation.keys),
            None if role.is_delegation() => None,
            None => match (&self.root, self.base) {
                (Some(draft), _) => draft.keys(role).cloned(),
                (None, Some(base)) => base.chain().keys(role).cloned(),
                (None, None) => None,
            },
        })
    }

    /// What its parent will say of a delegation.
    pub(super) async fn delegation(&mut self, role: &RoleName) -> Result<Option<Delegation>, PublishError> {
        let Some(parent) = role.parent() else { return Ok(None) };
        Ok(self.delegations(&parent).await?.into_iter().find(|it| it.name == *role))
    }

    /// The roles that a role will delegate to.
    pub(super) async fn delegations(&mut self, parent: &RoleName) -> Result<Vec<Delegation>, PublishError> {
        if let Some(draft) = self.drafts.get(parent) {
            return Ok(draft.delegations().cloned().collect());
        }
        let Some(base) = self.base else { return Ok(Vec::new()) };
        if *parent == RoleName::TARGETS {
            return Ok(base.targets().delegations().to_vec());
        }
        let loaded = self.load(parent).await?;
        Ok(loaded.map(|it| it.targets.delegations().to_vec()).unwrap_or_default())
    }

    /// What a role says now, before anything is published.
    pub(super) async fn present(&mut self, role: &RoleName) -> Result<Option<Present>, PublishError> {
        let Some(base) = self.base else { return Ok(None) };
        if *role == RoleName::TARGETS {
            return Ok(Some(Present::Targets(base.targets().clone())));
        }
        Ok(self.load(role).await?.map(Present::Delegated))
    }

    /// Has a role signed again, whether or not it changes.
    pub(super) fn force(&mut self, role: &RoleName) {
        self.forced.insert(role.clone());
    }

    /// Has the server renew what it signs.
    pub(super) fn renew_server_roles(&mut self) {
        self.renew_server_roles = true;
    }

    /// Removes a delegation; its file is of no use any more.
    pub(super) async fn remove_delegation(&mut self, role: &RoleName) -> Result<bool, PublishError> {
        let Some(parent) = role.parent() else { return Ok(false) };
        let removed = self.edit(&parent).await?.remove_delegation(role);
        if removed {
            self.drafts.retain(|it, _| it != role && !it.as_str().starts_with(&format!("{role}/")));
            self.removed.insert(role.clone());
        }
        Ok(removed)
    }

    /// Refuses roles of which no key is here.
    pub(super) fn no_key(&self, keyring: &Keyring<'_>, roles: Vec<(RoleName, RoleKeys)>) -> PublishError {
        let ids = |keys: RoleKeys| keys.keys.iter().map(|it| it.canonical_id().clone()).collect();
        PublishError::NoSigningKey {
            gun: self.gun().clone(),
            roles: roles.into_iter().map(|(role, keys)| (role, ids(keys))).collect(),
            folder: keyring.store().folder().to_owned(),
        }
    }

    pub(super) fn no_such_role(&self, role: &RoleName) -> PublishError {
        PublishError::NoSuchRole { gun: self.gun().clone(), role: role.clone() }
    }

    pub(super) fn author(&self, source: AuthorError) -> PublishError {
        PublishError::Author { gun: self.gun().clone(), source }
    }

    pub(super) fn metadata(&self, source: TufError) -> PublishError {
        let (gun, server) = (self.gun().clone(), self.remote.server());
        TrustError::Metadata { gun, server, source }.into()
    }

    /// The roles other than `root` that there are drafts of, parents first.
    pub(super) fn drafted(&self) -> impl Iterator<Item = RoleName> {
        self.drafts.keys().cloned().collect::<Vec<_>>().into_iter()
    }

    pub(super) fn has_root_draft(&self) -> bool {
        self.root.is_some()
    }

    /// Whether something is to be published, as far as that shows before drafts are compared.
    pub(super) fn is_anything_drafted(&self) -> bool {
        self.root.is_some() || !self.drafts.is_empty() || !self.forced.is_empty()
    }

    /// Takes the drafts apart, to be signed.
    pub(super) fn into_drafts(self) -> Drafts {
        Drafts {
            root: self.root,
            targets: self.drafts,
            forced: self.forced,
            removed: self.removed,
            renew_server_roles: self.renew_server_roles,
        }
    }
}

/// What a role says now.
pub(super) enum Present {
    Targets(Trusted<Targets, AnyTime>),
    Delegated(Arc<Delegated<AnyTime>>),
}

impl std::ops::Deref for Present {
    type Target = Trusted<Targets, AnyTime>;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Targets(targets) => targets,
            Self::Delegated(delegated) => &delegated.targets,
        }
    }
}

/// The drafts of a publication.
pub(super) struct Drafts {
    pub(super) root: Option<RootDraft>,
    pub(super) targets: BTreeMap<RoleName, TargetsDraft>,
    pub(super) forced: BTreeSet<RoleName>,
    pub(super) removed: BTreeSet<RoleName>,
    pub(super) renew_server_roles: bool,
}

/// Notary's lifetime of `root`.
const ROOT_LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 3650);
/// Notary's lifetime of every other role that publishers sign.
pub(super) const LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 1095);
/// Notary warns from here on.
const NEAR: SignedDuration = SignedDuration::from_hours(24 * 182);
