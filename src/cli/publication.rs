//! What a publication came to, told in docker's words or as JSON; and the file that goes round when
//! more people must sign.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;

use serde::Serialize;

use super::exit::{Exit, Failure};
use super::output::Output;
use super::signing::publish_failure;
use crate::image::Gun;
use crate::text::visible;
use crate::trust::publish::{Outcome, Part, PublishedRole, Publisher};

/// What a publication came to, for `--output json`.
#[derive(Debug, Default, Serialize)]
pub(super) struct Publication {
    /// `published`, `unchanged` or `incomplete`.
    pub(super) outcome: &'static str,
    /// The repository's trust data was made by it.
    pub(super) initialized: bool,
    /// The roles whose files were signed.
    pub(super) roles: Vec<PublishedFile>,
    /// How many times another publisher was faster.
    pub(super) conflicts: u32,
    /// The server's answer was lost, and what it has was read again.
    pub(super) answer_lost: bool,
    /// Signatures that are missing; then nothing was published.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) missing: Vec<Missing>,
    /// The file that collects them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) partial: Option<String>,
    pub(super) notes: Vec<String>,
}

/// A role's file that was published.
#[derive(Debug, Serialize)]
pub(super) struct PublishedFile {
    pub(super) role: String,
    pub(super) version: u64,
    pub(super) expires: String,
    key_ids: Vec<String>,
}

/// What a role's file lacks.
#[derive(Debug, Serialize)]
pub(super) struct Missing {
    role: String,
    signatures: u64,
    key_ids: Vec<String>,
}

impl Publication {
    /// What came of it. An incomplete one is written to the file that was named for it.
    pub(super) fn of(outcome: &Outcome, partial: Option<&Path>) -> Result<Self, Failure> {
        match outcome {
            Outcome::Published(published) => Ok(Self {
                outcome: "published",
                initialized: published.initialized,
                roles: published.roles.iter().map(PublishedFile::of).collect(),
                conflicts: published.conflicts,
                answer_lost: published.answer_lost,
                notes: published.notes.clone(),
                ..Self::default()
            }),
            Outcome::Unchanged => Ok(Self { outcome: UNCHANGED, ..Self::default() }),
            Outcome::Incomplete(parts) => {
                let missing: Vec<Missing> = parts.iter().flat_map(Missing::of).collect();
                let Some(path) = partial else { return Err(incomplete(&missing)) };
                write_partial(path, parts)?;
                Ok(Self {
                    outcome: "incomplete",
                    missing,
                    partial: Some(path.display().to_string()),
                    ..Self::default()
                })
            }
        }
    }

    /// Tells a person about signatures that are missing, and where those are that there are.
    pub(super) fn tell_missing(&self, gun: &Gun, output: &mut Output) -> Result<(), Failure> {
        for missing in &self.missing {
            output.data(format!("{gun}: {}\n", missing.in_words()).as_bytes())?;
        }
        if let Some(path) = &self.partial {
            output.data(format!("Wrote {}\n", visible(path)).as_bytes())?;
        }
        Ok(())
    }

    /// Whether the server has said all of it before.
    pub(super) fn is_unchanged(&self) -> bool {
        self.outcome == UNCHANGED
    }

    /// Nothing is published before all have signed; that is no success yet.
    pub(super) fn exit(&self) -> Exit {
        if self.missing.is_empty() { Exit::Done } else { Exit::Refused }
    }
}

impl PublishedFile {
    fn of(role: &PublishedRole) -> Self {
        Self {
            role: role.role.to_string(),
            version: role.version.get(),
            expires: role.expires.to_string(),
            key_ids: role.key_ids.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Missing {
    fn of(part: &Part) -> Vec<Self> {
        let lacks = |missing: &crate::tuf::author::Missing| Self {
            role: part.document.role().to_string(),
            signatures: missing.count,
            key_ids: missing.keys.iter().map(ToString::to_string).collect(),
        };
        part.missing.iter().map(lacks).collect()
    }

    fn in_words(&self) -> String {
        let signatures = match self.signatures {
            1 => "1 more signature".to_owned(),
            count => format!("{count} more signatures"),
        };
        let keys = self.key_ids.join(", ");
        format!("`{}` needs {signatures}, of these keys: {keys}", self.role)
    }
}

fn incomplete(missing: &[Missing]) -> Failure {
    let failure = Failure::refused("nothing was published: more people must sign");
    let failure = missing.iter().fold(failure, |failure, it| failure.note(it.in_words()));
    failure.help("collect the signatures in a file: --partial FILE")
}

/// Reads a file that goes round.
pub(super) fn read_partial(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let unreadable = |error| Failure::unknown(format!("can't read `{}`: {error}", path.display()));
    let file = fs::File::open(path).map_err(unreadable)?;
    let limit = u64::try_from(PARTIAL_LIMIT).unwrap_or(u64::MAX);
    file.take(limit.saturating_add(1)).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() > PARTIAL_LIMIT {
        return Err(Failure::usage(format!(
            "`{}` is longer than {PARTIAL_LIMIT} bytes, which no such file is",
            path.display()
        )));
    }
    Ok(text)
}

/// Writes it whole or not at all: it holds signatures that somebody gave already.
fn write_partial(path: &Path, parts: &[Part]) -> Result<(), Failure> {
    let text = Publisher::write_parts(parts).map_err(|error| publish_failure(&error))?;
    let unwritable = |error| Failure::unknown(format!("can't write `{}`: {error}", path.display()));
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(unwritable)?;
    file.write_all(&text).map_err(unwritable)?;
    file.as_file().sync_all().map_err(unwritable)?;
    file.persist(path).map_err(|error| unwritable(error.error))?;
    Ok(())
}

const UNCHANGED: &str = "unchanged";
/// Longer than the metadata of any repository that a trust server takes, in the base64 of such a file.
const PARTIAL_LIMIT: usize = 512 << 20;
