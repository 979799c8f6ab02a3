//! What came of a change to trust data, told: in a line a role, as JSON, or as a file for other signers.
//!
//! Knows nothing of what was changed.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::exit::Failure;
use super::form::FormArguments;
use super::output::Output;
use super::settings::Settings;
use super::signing::{Telling, key_failure, publish_failure, publisher, tell};
use crate::image::Gun;
use crate::keys::{Existing, KeyStore};
use crate::text::visible;
use crate::trust::publish::{Event, Outcome, Part, Publisher};
use crate::tuf::{KeyId, RoleName};

/// Where a change goes that needs the signatures of others.
#[derive(Clone, Debug, Args)]
pub(super) struct PartialArguments {
    /// Where signatures of others are needed, too: write what is to be signed to FILE
    ///
    /// Each of the others runs `trustgate repo publish NAME FILE`; the last one publishes it.
    #[arg(long, value_name = "FILE")]
    partial: Option<PathBuf>,
}

impl PartialArguments {
    /// Nowhere: for changes that need nobody else.
    pub(super) fn none() -> Self {
        Self { partial: None }
    }
}

/// A publisher that tells what happens in the words of `docker trust`.
pub(super) fn talking_publisher(
    settings: &Settings,
    gun: &Gun,
    form: FormArguments,
) -> Result<Publisher, Failure> {
    let telling = form.telling(settings);
    let others = tell(telling);
    publisher(settings, gun, move |event| {
        // Nobody is left to tell where standard output is gone.
        let _ = match (&event, telling) {
            (Event::Initializing { gun }, Telling::AsDocker) => {
                writeln!(io::stdout(), "Initializing signed repository for {gun}...")
            }
            (Event::Initialized { gun }, Telling::AsDocker) => {
                writeln!(io::stdout(), "Successfully initialized \"{gun}\"")
            }
            _ => {
                others(event);
                Ok(())
            }
        };
    })
}

/// What came of a change, as JSON.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    repository: Gun,
    /// `published`, `unchanged` or `incomplete`.
    outcome: &'static str,
    /// The repository is new.
    initialized: bool,
    /// What was signed and published.
    roles: Vec<Role>,
    /// What lacks signatures, and is published when it has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<Missing>,
    /// Where it was written to.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// One published file.
#[derive(Debug, Serialize)]
pub(super) struct Role {
    pub(super) role: RoleName,
    pub(super) version: u64,
    /// RFC 3339.
    pub(super) expires: String,
    key_ids: Vec<KeyId>,
}

/// What a document lacks.
#[derive(Debug, Serialize)]
struct Missing {
    role: RoleName,
    count: u64,
    key_ids: Vec<KeyId>,
}

impl Answer {
    /// The published files.
    pub(super) fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// Whether the server has said all of it before.
    pub(super) fn is_unchanged(&self) -> bool {
        self.outcome == UNCHANGED
    }

    /// Whether it waits for others.
    pub(super) fn is_incomplete(&self) -> bool {
        self.outcome == INCOMPLETE
    }
}

/// Tells what came of a change. One that needs others is an error, unless there is a file to write it to.
pub(super) fn conclude(
    gun: &Gun,
    outcome: Outcome,
    partial: &PartialArguments,
    form: FormArguments,
    output: &mut Output,
) -> Result<Answer, Failure> {
    let answer = |outcome| Answer {
        repository: gun.clone(),
        outcome,
        initialized: false,
        roles: Vec::new(),
        missing: Vec::new(),
        file: None,
        notes: Vec::new(),
    };
    match outcome {
        Outcome::Unchanged => Ok(answer(UNCHANGED)),
        Outcome::Published(published) => {
            for note in &published.notes {
                output.remark(&format!("warning: {}", visible(note)));
            }
            let roles = published.roles.into_iter().map(|it| Role {
                role: it.role,
                version: it.version.get(),
                expires: it.expires.to_string(),
                key_ids: it.key_ids,
            });
            let roles = roles.collect();
            let notes = published.notes.iter().map(|it| visible(it)).collect();
            Ok(Answer { initialized: published.initialized, roles, notes, ..answer("published") })
        }
        Outcome::Incomplete(parts) => {
            let file = write_parts(gun, &parts, partial)?;
            for part in &parts {
                form.line(&lacking(part), output)?;
            }
            let name = gun.familiar();
            let shown = file.display();
            output.talk(&format!("hand {shown} to the others: trustgate repo publish {name} {shown}"));
            let missing = parts.into_iter().filter_map(|part| {
                let role = part.document.role().clone();
                let lack = part.missing.into_iter();
                lack.map(|it| Missing { role: role.clone(), count: it.count, key_ids: it.keys }).next()
            });
            Ok(Answer { missing: missing.collect(), file: Some(file), ..answer(INCOMPLETE) })
        }
    }
}

/// Writes what others are to sign.
fn write_parts(gun: &Gun, parts: &[Part], partial: &PartialArguments) -> Result<PathBuf, Failure> {
    let Some(file) = &partial.partial else {
        let mut failure = Failure::refused(format!("`{gun}` needs the signatures of others, too"));
        for part in parts {
            failure = failure.note(lacking(part));
        }
        return Err(failure
            .note("nothing was published")
            .help("write what is to be signed to a file for them: --partial FILE"));
    };
    let text = Publisher::write_parts(parts).map_err(|error| publish_failure(&error))?;
    // A copy that was signed further is worth more than what it started as.
    KeyStore::write_export(file, &text, Existing::Kept).map_err(|error| key_failure(&error))?;
    Ok(file.clone())
}

fn lacking(part: &Part) -> String {
    let document = &part.document;
    let name = format!("`{}` version {}", document.role(), document.version());
    let lacks: Vec<String> = part
        .missing
        .iter()
        .map(|it| {
            let ids: Vec<&str> = it.keys.iter().map(KeyId::as_str).collect();
            let signatures = if it.count == 1 {
                "1 more signature".to_owned()
            } else {
                format!("{} more signatures", it.count)
            };
            format!("{signatures}, of {}", ids.join(" or "))
        })
        .collect();
    if lacks.is_empty() {
        format!("{name} is complete")
    } else {
        format!("{name} needs {}", lacks.join(", and "))
    }
}

const UNCHANGED: &str = "unchanged";
const INCOMPLETE: &str = "incomplete";
