//! From drafts to signed files: what must be signed, by whom, and what is left to others.

use std::collections::BTreeSet;

use super::keyring::Keyring;
use super::workspace::{Base, Drafts, Present, Workspace};
use super::{Event, Part, PublishError};
use crate::image::Gun;
use crate::keys::KeyError;
use crate::tuf::author::{SnapshotDraft, UnsignedDocument};
use crate::tuf::{KeyId, PublicKey, RoleKeys, RoleName};

/// What there is to publish.
pub(super) enum Sealed {
    /// Nothing.
    Nothing,
    /// These; some lack signatures.
    Parts(Vec<Part>),
    /// These, in whose place the server signs `snapshot` and `timestamp` where there is no snapshot here.
    Complete(Vec<Part>),
}

impl Workspace<'_> {
    /// Signs what was changed, and what must be signed because of it.
    pub(super) async fn seal(mut self, keyring: &mut Keyring<'_>) -> Result<Sealed, PublishError> {
        self.sign_below_new_keys(keyring).await?;
        self.sign_near_expiry(keyring).await?;
        let gun = self.gun().clone();
        let snapshot_keys = self.keys(&RoleName::SNAPSHOT).await?;
        let snapshot_expires = self.expires(&RoleName::SNAPSHOT);
        let base = self.base();
        let is_new = self.is_new();
        let mut keys = Vec::new();
        let names: Vec<RoleName> = self.drafted().collect();
        for role in names {
            let of_role = self.keys(&role).await?;
            keys.push((role.clone(), of_role.ok_or_else(|| self.no_such_role(&role))?));
        }
        let author = |source| PublishError::Author { gun: gun.clone(), source };
        let Drafts { root, mut targets, forced, removed, renew_server_roles } = self.into_drafts();
        let mut parts = Vec::new();
        if let Some(root) = root
            && (is_new || root.is_changed() || forced.contains(&RoleName::ROOT))
        {
            parts.push(sign(root.finish().map_err(author)?, keyring, &gun)?);
        }
        for (role, keys) in keys {
            let Some(draft) = targets.remove(&role) else { continue };
            if forced.contains(&role) || draft.is_changed() {
                parts.push(sign(draft.finish(&keys).map_err(author)?, keyring, &gun)?);
            }
        }
        let snapshot_forced = forced.contains(&RoleName::SNAPSHOT);
        if parts.is_empty() && !renew_server_roles && !snapshot_forced {
            return Ok(Sealed::Nothing);
        }
        if parts.iter().any(|it| !it.missing.is_empty()) {
            return Ok(Sealed::Parts(parts));
        }
        if let Some(keys) = snapshot_keys.filter(|it| keyring.has_any(it)) {
            let of = Snapshots { base, keys, expires: snapshot_expires, removed: &removed, gun: &gun };
            if let Some(left) = of.sign(&mut parts, keyring)? {
                return Ok(Sealed::Parts(left));
            }
        }
        Ok(Sealed::Complete(parts))
    }

    /// A role whose keys change is signed again if the signatures that it has no longer suffice.
    async fn sign_below_new_keys(&mut self, keyring: &Keyring<'_>) -> Result<(), PublishError> {
        if self.is_new() {
            return Ok(());
        }
        let parents: Vec<RoleName> = self.drafted().collect();
        let mut children: Vec<RoleName> = Vec::new();
        if self.has_root_draft() {
            children.push(RoleName::TARGETS);
        }
        for parent in parents {
            children.extend(self.delegations(&parent).await?.into_iter().map(|it| it.name));
        }
        for role in children {
            let (Some(old), Some(new)) = (self.present_keys(&role).await, self.keys(&role).await?) else {
                continue;
            };
            if same_keys(&old, &new) {
                continue;
            }
            // A file that nobody could read before is none that this breaks.
            let Ok(Some(present)) = self.present(&role).await else { continue };
            if suffices(&present, &new) {
                continue;
            }
            if keyring.has_any(&new) || old.threshold < new.threshold {
                self.edit(&role).await?;
                self.force(&role);
            } else {
                let key_ids = new.keys.iter().map(|it| it.canonical_id().clone()).collect();
                (self.events)(Event::NeedsSigning { role, key_ids });
            }
        }
        Ok(())
    }

    /// The keys that a role has before anything is published.
    async fn present_keys(&mut self, role: &RoleName) -> Option<RoleKeys> {
        let base = self.base()?;
        let Some(parent) = role.parent() else { return base.chain().keys(role).cloned() };
        let present = self.present(&parent).await.ok()??;
        present.delegation(role).map(|it| it.keys.clone())
    }

    /// What is to be published anyway, and is near its end, is signed again; and so is `root`.
    async fn sign_near_expiry(&mut self, keyring: &mut Keyring<'_>) -> Result<(), PublishError> {
        let Some(base) = self.base() else { return Ok(()) };
        let drafted: Vec<RoleName> = self.drafted().collect();
        if !drafted.contains(&RoleName::TARGETS) && self.is_near(base.targets().expires()) {
            let (role, expires) = (RoleName::TARGETS, base.targets().expires());
            (self.events)(Event::NearExpiry { role, expires, reason: NOT_PUBLISHED.to_owned() });
        }
        for role in drafted {
            // One that cannot be read begins anew.
            if let Ok(Some(present)) = self.present(&role).await
                && self.is_near(present.expires())
            {
                self.force(&role);
            }
        }
        let root = base.chain().root();
        if !self.is_near(root.expires()) || self.has_root_draft() || !self.is_anything_drafted() {
            return Ok(());
        }
        let expires = root.expires();
        match self.open_root_keys(keyring, Others::AreNotAsked) {
            Ok(()) => {
                self.renew_root(keyring)?;
                (self.events)(Event::Renewed { role: RoleName::ROOT });
            }
            Err(PublishError::Key(error @ KeyError::Interrupted)) => return Err(error.into()),
            Err(error) => {
                let reason = error.to_string();
                (self.events)(Event::NearExpiry { role: RoleName::ROOT, expires, reason });
            }
        }
        Ok(())
    }

    /// Opens as many root keys as must sign; or at least one, where others may sign later.
    pub(super) fn open_root_keys(
        &self,
        keyring: &mut Keyring<'_>,
        others: Others,
    ) -> Result<(), PublishError> {
        let keys = self.base().and_then(|it| it.chain().keys(&RoleName::ROOT));
        let keys = keys.ok_or_else(|| self.no_such_role(&RoleName::ROOT))?;
        let here: Vec<PublicKey> = keys.keys.iter().filter(|it| keyring.has(it)).cloned().collect();
        let mut open = 0;
        for key in here {
            if keys.threshold <= open {
                break;
            }
            keyring.open(key.canonical_id())?;
            open += 1;
        }
        if open == 0 || (open < keys.threshold && others == Others::AreNotAsked) {
            return Err(self.no_key(keyring, vec![(RoleName::ROOT, keys.clone())]));
        }
        Ok(())
    }
}

/// Signs a document with the keys that are here. Where one key must sign and none is here, nobody is
/// served by a document that is passed round.
fn sign(document: UnsignedDocument, keyring: &mut Keyring<'_>, gun: &Gun) -> Result<Part, PublishError> {
    for demand in document.demands() {
        if demand.threshold == 1 && !keyring.has_any(demand) {
            let ids = demand.keys.iter().map(|it| it.canonical_id().clone()).collect();
            return Err(PublishError::NoSigningKey {
                gun: gun.clone(),
                roles: vec![(document.role().clone(), ids)],
                folder: keyring.store().folder().to_owned(),
            });
        }
    }
    keyring.sign(document, gun)
}

/// Whether a document may be passed round for signatures of others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    MaySign,
    AreNotAsked,
}

/// What a snapshot is made from, where its key is here.
pub(super) struct Snapshots<'a> {
    pub(super) base: Option<&'a Base>,
    pub(super) keys: RoleKeys,
    pub(super) expires: jiff::Timestamp,
    pub(super) removed: &'a BTreeSet<RoleName>,
    pub(super) gun: &'a Gun,
}

impl Snapshots<'_> {
    /// Adds the snapshot of complete documents to them; or gives all back, where it lacks signatures.
    pub(super) fn sign(
        &self,
        parts: &mut Vec<Part>,
        keyring: &mut Keyring<'_>,
    ) -> Result<Option<Vec<Part>>, PublishError> {
        let author = |source| PublishError::Author { gun: self.gun.clone(), source };
        let mut draft = match self.base {
            Some(base) => SnapshotDraft::edit(&base.walked().snapshot, self.expires).map_err(author)?,
            None => SnapshotDraft::new(self.expires),
        };
        for part in parts.iter() {
            draft.set(part.document.role(), &part.document.clone().finish().map_err(author)?);
        }
        for role in self.removed {
            draft.remove(role);
        }
        let part = keyring.sign(draft.finish(&self.keys).map_err(author)?, self.gun)?;
        let complete = part.missing.is_empty();
        parts.push(part);
        Ok(if complete { None } else { Some(std::mem::take(parts)) })
    }
}

/// Whether two sets of keys demand the same.
fn same_keys(one: &RoleKeys, other: &RoleKeys) -> bool {
    let ids = |keys: &RoleKeys| keys.keys.iter().map(|it| it.id().clone()).collect::<BTreeSet<_>>();
    one.threshold == other.threshold && ids(one) == ids(other)
}

/// Whether the signatures that a file has are enough for these keys.
fn suffices(present: &Present, keys: &RoleKeys) -> bool {
    let signed = keys.keys.iter().filter(|it| present.signatures().contains(it.id()));
    let distinct: BTreeSet<&KeyId> = signed.map(PublicKey::canonical_id).collect();
    // A number of keys always fits 64 bits.
    keys.threshold <= u64::try_from(distinct.len()).unwrap_or(u64::MAX)
}

/// Why a role that is near its end is not signed again.
const NOT_PUBLISHED: &str = "nothing in it is published now";
