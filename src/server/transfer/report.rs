//! What an export or an import says of what it did.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::image::Gun;
use crate::text::visible;
use crate::tuf::RoleName;

/// What is done at the moment, for whoever watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// It is looked at.
    Checking(&'a str),
    /// It is read or written.
    Moving(&'a str),
}

/// What an archive has in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExportReport {
    /// Repositories.
    pub repositories: u64,
    /// Files of all of them, current and past.
    pub files: u64,
    /// Sealed keys.
    pub keys: u64,
    /// Entries of the list of changes.
    pub changes: u64,
    /// How long it is.
    pub bytes: u64,
}

/// What came of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// What became of each repository.
    pub repositories: Vec<RepositoryReport>,
    /// What became of keys, where some were offered.
    pub keys: Option<KeysReport>,
    /// Entries of the list of changes that were put back.
    pub changes: u64,
}

impl ImportReport {
    /// The same for people, a line for each thing.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.repositories.iter().flat_map(RepositoryReport::lines).collect();
        for key in self.keys.iter().flat_map(|it| &it.left) {
            lines.push(format!("key {}: not imported: {}", visible(&key.id), visible(&key.reason)));
        }
        let count = |outcome| self.repositories.iter().filter(|it| it.outcome == outcome).count();
        lines.push(format!(
            "repositories: {} imported, {} updated, {} unchanged, {} newer here, {} refused, {} damaged",
            count(Outcome::Imported),
            count(Outcome::Updated),
            count(Outcome::Unchanged),
            count(Outcome::Kept),
            count(Outcome::Refused),
            count(Outcome::Damaged),
        ));
        if let Some(KeysReport { imported, present, left }) = &self.keys {
            lines.push(format!(
                "keys: {imported} imported, {present} here already, {} not imported",
                left.len()
            ));
        }
        lines
    }

    /// Whether everything that was offered is here now.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.repositories.iter().all(|it| !matches!(it.outcome, Outcome::Refused | Outcome::Damaged))
            && self.keys.as_ref().is_none_or(|it| it.left.is_empty())
    }
}

/// What became of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RepositoryReport {
    /// Its name, as it was offered.
    pub repository: String,
    /// What was done.
    pub outcome: Outcome,
    /// Why it was not imported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The versions that are current here now, where it was imported or was here.
    pub versions: BTreeMap<RoleName, u64>,
    /// Past files that were put beside them.
    pub past_files: u64,
    /// Past files that were left out, as they are not what they are listed as.
    pub left_out: u64,
    /// Roles that the server signs, and whose keys are not here.
    pub keys_missing: Vec<RoleName>,
}

impl RepositoryReport {
    fn lines(&self) -> Vec<String> {
        let name = visible(&self.repository);
        let said = match (self.outcome, &self.reason) {
            (Outcome::Damaged, reason) => {
                format!("damaged, left out: {}", visible(reason.as_deref().unwrap_or_default()))
            }
            (Outcome::Refused, reason) => {
                format!("refused: {}", visible(reason.as_deref().unwrap_or_default()))
            }
            (Outcome::Imported, _) => "imported".to_owned(),
            (Outcome::Kept, _) => "left as it is: it is newer here".to_owned(),
            (Outcome::Unchanged, _) => "unchanged".to_owned(),
            (Outcome::Updated, _) => "updated".to_owned(),
        };
        let mut lines = vec![format!("{name}: {said}")];
        if self.left_out != 0 {
            let count = self.left_out;
            lines.push(format!(
                "{name}: {count} files of its past are not what they are listed as, and were left out"
            ));
        }
        for role in &self.keys_missing {
            lines.push(format!(
                "{name}: the key of its `{role}` is not here: it cannot be renewed or published to"
            ));
        }
        lines
    }

    pub(super) fn of(gun: &Gun, outcome: Outcome) -> Self {
        Self {
            repository: gun.to_string(),
            outcome,
            reason: None,
            versions: BTreeMap::new(),
            past_files: 0,
            left_out: 0,
            keys_missing: Vec::new(),
        }
    }

    pub(super) fn not(repository: &str, outcome: Outcome, reason: String) -> Self {
        Self {
            repository: repository.to_owned(),
            outcome,
            reason: Some(reason),
            versions: BTreeMap::new(),
            past_files: 0,
            left_out: 0,
            keys_missing: Vec::new(),
        }
    }
}

/// What was done with a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It does not verify.
    Damaged,
    /// It was not here.
    Imported,
    /// It is newer here.
    Kept,
    /// It is another one here, or went on in another way.
    Refused,
    /// It is here as it was offered.
    Unchanged,
    /// It was older here.
    Updated,
}

/// What became of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KeysReport {
    /// How many were not here.
    pub imported: usize,
    /// How many were here.
    pub present: usize,
    /// Which were not taken.
    pub left: Vec<KeyLeft>,
}

/// A key that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyLeft {
    /// Its ID.
    pub id: String,
    /// Why.
    pub reason: String,
}
