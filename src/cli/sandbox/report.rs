//! How a sandbox is: its parts, its images, and what to type to use it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use super::arguments::Form;
use super::configuration::{REGISTRY, SERVER, SIGNER};
use super::engine::ENGINE;
use super::folder::{Folder, Notes};
use super::parts::answers;
use crate::cli::exit::{Exit, Failure};
use crate::cli::inspect::table;
use crate::cli::output::Output;

/// What is told.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    folder: PathBuf,
    parts: Vec<PartReport>,
    /// Whether the images are there, and which is signed.
    images: BTreeMap<String, String>,
    /// What clients need.
    environment: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
struct PartReport {
    part: &'static str,
    state: State,
    address: Option<String>,
    pid: Option<i32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Running,
    NotAnswering,
    Ended,
}

impl State {
    fn words(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::NotAnswering => "not answering",
            Self::Ended => "ended",
        }
    }
}

impl Report {
    pub(super) async fn of(folder: &Folder, notes: &Notes) -> Self {
        let mut parts = Vec::new();
        for part in [REGISTRY, SIGNER, SERVER] {
            parts.push(PartReport::of(part, notes, notes.address(part)).await);
        }
        if let Some(address) = &notes.engine {
            parts.push(PartReport::of(ENGINE, notes, Some(address.clone())).await);
        }
        Self {
            folder: folder.path().to_owned(),
            parts,
            images: notes.images.clone().unwrap_or_default(),
            environment: variables(folder, notes),
        }
    }

    pub(super) fn exit(&self) -> Exit {
        let all = self.parts.iter().all(|it| it.state == State::Running) && !self.images.is_empty();
        if all { Exit::Done } else { Exit::Refused }
    }

    pub(super) fn print(&self, form: Form, output: &mut Output) -> Result<(), Failure> {
        match form {
            Form::Json => output.json(self),
            Form::Shell => {
                let mut text = String::new();
                for (name, value) in &self.environment {
                    // Writing to a string cannot go wrong; no value has a quote in it.
                    let _ = writeln!(text, "export {name}='{value}'");
                }
                output.data(text.as_bytes())
            }
            Form::Text => {
                let rows = self.parts.iter().map(|it| {
                    let pid = it.pid.map(|pid| pid.to_string()).unwrap_or_default();
                    [
                        it.part.to_owned(),
                        it.state.words().to_owned(),
                        it.address.clone().unwrap_or_default(),
                        pid,
                    ]
                });
                let mut text = table(["PART", "STATE", "ADDRESS", "PROCESS"], rows);
                for (kind, image) in &self.images {
                    let _ = writeln!(text, "{kind} image: {image}");
                }
                let folder = self.folder.display();
                let _ = writeln!(
                    text,
                    "use it: eval \"$(trustgate sandbox status --folder '{folder}' --output shell)\""
                );
                output.data(text.as_bytes())
            }
        }
    }
}

impl PartReport {
    async fn of(part: &'static str, notes: &Notes, address: Option<String>) -> Self {
        let process = notes.processes.get(part).filter(|it| it.runs());
        let state = match (process, &address) {
            (None, _) => State::Ended,
            (Some(_), Some(address)) if answers(address).await => State::Running,
            (Some(_), _) => State::NotAnswering,
        };
        Self { part, state, address, pid: process.map(|it| it.pid) }
    }
}

/// What clients need in their environment.
pub(super) fn variables(folder: &Folder, notes: &Notes) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::from([
        ("DOCKER_CONFIG", folder.join("docker").display().to_string()),
        ("DOCKER_CONTENT_TRUST", "1".to_owned()),
        ("DOCKER_CONTENT_TRUST_SERVER", format!("https://{}", notes.address(SERVER).unwrap_or_default())),
        ("DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE", notes.root_passphrase.clone()),
        ("DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE", notes.repository_passphrase.clone()),
        ("SANDBOX_REGISTRY", notes.address(REGISTRY).unwrap_or_default()),
    ]);
    variables.extend(notes.engine.clone().map(|it| ("DOCKER_HOST", it)));
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
