//! Names of roles: the four that every repository has, and delegations below `targets`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::TufError;

/// A role's name that follows Notary's rule: one of the four base roles, or `targets/…` in lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleName(Cow<'static, str>);

impl RoleName {
    /// `root`: names the keys of the other base roles.
    pub const ROOT: Self = Self(Cow::Borrowed("root"));
    /// `targets`: the tags themselves, and who else may sign some.
    pub const TARGETS: Self = Self(Cow::Borrowed("targets"));
    /// `snapshot`: which files belong together.
    pub const SNAPSHOT: Self = Self(Cow::Borrowed("snapshot"));
    /// `timestamp`: which snapshot is current.
    pub const TIMESTAMP: Self = Self(Cow::Borrowed("timestamp"));
    /// `targets/releases`: the delegation that docker looks into first.
    pub const RELEASES: Self = Self(Cow::Borrowed("targets/releases"));

    /// The name as it is written in metadata and in file names.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is below `targets`.
    #[must_use]
    pub fn is_delegation(&self) -> bool {
        self.0.starts_with(DELEGATION_PREFIX)
    }

    /// The role that delegates to this one; a base role has none.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if !self.is_delegation() {
            return None;
        }
        let (parent, _) = self.0.rsplit_once('/')?;
        Some(Self(Cow::Owned(parent.to_owned())))
    }

    /// What `_type` says in a file of this role.
    pub(super) fn type_name(&self) -> &'static str {
        match self.as_str() {
            "root" => "Root",
            "snapshot" => "Snapshot",
            "timestamp" => "Timestamp",
            _ => "Targets",
        }
    }
}

impl FromStr for RoleName {
    type Err = TufError;

    /// Parses by Notary's rule: letters `a-z`, digits, `-`, `_` and `/`, no empty path element.
    fn from_str(name: &str) -> Result<Self, TufError> {
        if matches!(name, "root" | "targets" | "snapshot" | "timestamp") {
            return Ok(Self(Cow::Owned(name.to_owned())));
        }
        let invalid = || TufError::InvalidRole { name: name.chars().take(NAME_LIMIT).collect() };
        let Some(rest) = name.strip_prefix(DELEGATION_PREFIX) else { return Err(invalid()) };
        // `.` is not among the letters, so `..` and `.` need no rule of their own.
        let letters = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        let clean = rest.split('/').all(|part| !part.is_empty() && part.bytes().all(letters));
        if clean && name.len() <= NAME_LIMIT { Ok(Self(Cow::Owned(name.to_owned()))) } else { Err(invalid()) }
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

impl serde::Serialize for RoleName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

const DELEGATION_PREFIX: &str = "targets/";
/// Notary refuses longer names; they become file names.
const NAME_LIMIT: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_roles_and_delegations_parse() {
        for name in ["root", "targets", "snapshot", "timestamp", "targets/releases", "targets/a-b_9/c"] {
            assert_eq!(name.parse::<RoleName>().unwrap().as_str(), name);
        }
        let longest = format!("targets/{}", "a".repeat(247));
        assert_eq!(longest.parse::<RoleName>().unwrap().as_str(), longest);
    }

    #[test]
    fn dubious_names_are_refused() {
        let long = format!("targets/{}", "a".repeat(248));
        let names = [
            "",
            "Root",
            "mirrors",
            "targets/",
            "targets//a",
            "targets/a/",
            "targets/../root",
            "targets/.",
            "/targets",
            "targets/A",
            "targets/é",
            "targets/a b",
            "targets/a%2f",
            "targets\\a",
            "targets/a\0",
            "targets/a\n",
            "TARGETS",
            "targetsx",
            "root/a",
            "targets/ᚠᛇᚻ",
            &long,
        ];
        for name in names {
            assert!(
                matches!(name.parse::<RoleName>(), Err(TufError::InvalidRole { .. })),
                "{name:?} was accepted"
            );
        }
    }

    #[test]
    fn parents() {
        let parent = |name: &str| name.parse::<RoleName>().unwrap().parent().map(|it| it.to_string());
        assert_eq!(parent("targets/a/b").as_deref(), Some("targets/a"));
        assert_eq!(parent("targets/a").as_deref(), Some("targets"));
        assert_eq!(parent("targets"), None);
        assert_eq!(parent("root"), None);
    }

    #[test]
    fn constants_equal_what_is_parsed() {
        for role in
            [RoleName::ROOT, RoleName::TARGETS, RoleName::SNAPSHOT, RoleName::TIMESTAMP, RoleName::RELEASES]
        {
            assert_eq!(role.as_str().parse::<RoleName>().unwrap(), role);
        }
    }
}
