//! The snapshot that the server writes itself: the one before, with what is new and without what is gone.

use std::collections::{BTreeMap, BTreeSet};

use super::state::State;
use super::{PublicationError, Upload};
use crate::tuf::RoleName;
use crate::tuf::author::SnapshotDraft;

/// What comes of the roles below `targets`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Roles {
    /// Those that stay, or are new.
    pub(super) kept: BTreeSet<RoleName>,
    /// Those that nobody delegates to any more.
    pub(super) dropped: BTreeSet<RoleName>,
}

impl Roles {
    /// Sorts the roles that are listed or handed in. `delegates` has what each role that may have
    /// children delegates to; a role is gone if its parent is, or does not name it.
    ///
    /// A role that was handed in is never dropped silently: it stays, and is refused when it is verified.
    pub(super) fn sort(
        listed: impl Iterator<Item = RoleName>,
        upload: &Upload,
        delegates: &BTreeMap<RoleName, BTreeSet<RoleName>>,
    ) -> Self {
        let new = upload.targets().map(|(role, _)| role.clone());
        let all: BTreeSet<RoleName> = listed.chain(new).filter(RoleName::is_delegation).collect();
        let mut roles = Self::default();
        // Parents come before their children in the order of names.
        for role in all {
            let parent = role.parent().unwrap_or(RoleName::TARGETS);
            let stands = !roles.dropped.contains(&parent)
                && delegates.get(&parent).is_some_and(|it| it.contains(&role));
            if stands || upload.file(&role).is_some() {
                roles.kept.insert(role);
            } else {
                roles.dropped.insert(role);
            }
        }
        roles
    }
}

/// The stored roles whose files must be read to know which roles are gone, given what is handed in.
pub(super) fn parents_to_read(listed: &BTreeSet<RoleName>, upload: &Upload) -> BTreeSet<RoleName> {
    let new = upload.targets().map(|(role, _)| role);
    let parents = listed.iter().chain(new).filter_map(RoleName::parent);
    parents.filter(|it| upload.file(it).is_none()).collect()
}

/// The next snapshot, unsigned.
pub(super) fn draft(
    state: &State,
    upload: &Upload,
    roles: &Roles,
    expires: jiff::Timestamp,
) -> Result<SnapshotDraft, PublicationError> {
    let mut draft = match state.verified() {
        Some(verified) => SnapshotDraft::edit(&verified.snapshot, expires)
            .map_err(|it| PublicationError::Work { reason: it.to_string() })?,
        None => SnapshotDraft::new(expires),
    };
    for (role, file) in upload.files() {
        draft.set(role, &file.content);
    }
    for role in &roles.dropped {
        draft.remove(role);
    }
    Ok(draft)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str) -> RoleName {
        name.parse().unwrap()
    }

    fn file(delegations: &[&str]) -> Vec<u8> {
        let roles: Vec<_> = delegations.iter().map(|it| serde_json::json!({"name": it})).collect();
        serde_json::json!({"signed": {"version": 1, "delegations": {"roles": roles}}, "signatures": []})
            .to_string()
            .into_bytes()
    }

    #[test]
    fn roles_go_with_those_above_them() {
        let listed =
            ["root", "targets", "targets/a", "targets/a-b", "targets/a/b", "targets/a/b/c", "targets/d"];
        let listed = listed.map(role);
        let delegates = |pairs: &[(&str, &[&str])]| -> BTreeMap<RoleName, BTreeSet<RoleName>> {
            pairs.iter().map(|(name, it)| (role(name), it.iter().map(|it| role(it)).collect())).collect()
        };
        let sorted = Roles::sort(
            listed.iter().cloned(),
            &Upload::default(),
            &delegates(&[
                ("targets", &["targets/a-b", "targets/d", "targets/e"]),
                ("targets/a", &["targets/a/b"]),
                ("targets/a/b", &["targets/a/b/c"]),
            ]),
        );
        assert_eq!(sorted.kept, BTreeSet::from(["targets/a-b", "targets/d"].map(role)));
        assert_eq!(sorted.dropped, BTreeSet::from(["targets/a", "targets/a/b", "targets/a/b/c"].map(role)));
        // What is handed in stays, for whoever verifies it.
        let upload = Upload::new([(role("targets/x"), file(&[]))]).unwrap();
        let sorted = Roles::sort(std::iter::empty(), &upload, &delegates(&[("targets", &[])]));
        assert_eq!(sorted.kept, BTreeSet::from([role("targets/x")]));
    }

    #[test]
    fn only_parents_that_are_not_handed_in_are_read() {
        let listed = BTreeSet::from(["root", "targets", "targets/a", "targets/a/b"].map(role));
        let upload = Upload::new([(role("targets"), file(&["targets/a"]))]).unwrap();
        assert_eq!(parents_to_read(&listed, &upload), BTreeSet::from([role("targets/a")]));
        assert_eq!(
            parents_to_read(&listed, &Upload::default()),
            BTreeSet::from([role("targets"), role("targets/a")])
        );
    }
}
