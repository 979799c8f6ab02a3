//! What every command tells that changes who may sign, or how long: meanwhile, and at its end.
//!
//! Knows nothing of what was changed; what came of a publication is `publication`.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::form::FormArguments;
use super::output::Output;
use super::publication::Publication;
use super::settings::Settings;
use super::signing::{PassphraseArguments, Telling, publisher, tell};
use crate::image::Gun;
use crate::text::visible;
use crate::trust::publish::{Event, Outcome, Publisher};

/// What commands take that change who may sign, or how long.
#[derive(Debug, Args)]
pub(super) struct ChangeArguments {
    /// Where signatures of others are needed, too: write what is to be signed to FILE
    ///
    /// Each of the others runs `trustgate repo publish NAME FILE`; the last one publishes it.
    #[arg(long, value_name = "FILE")]
    pub(super) partial: Option<PathBuf>,

    #[command(flatten)]
    pub(super) form: FormArguments,

    #[command(flatten)]
    pub(super) passphrases: PassphraseArguments,
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

/// What came of a change to a repository, as JSON.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    repository: Gun,
    #[serde(flatten)]
    publication: Publication,
}

impl Answer {
    /// What came of it.
    pub(super) fn publication(&self) -> &Publication {
        &self.publication
    }

    /// Whether the server has said all of it before.
    pub(super) fn is_unchanged(&self) -> bool {
        self.publication.is_unchanged()
    }

    /// Whether it waits for others.
    pub(super) fn is_incomplete(&self) -> bool {
        self.publication.exit() != Exit::Done
    }

    /// Nothing is published before all have signed.
    pub(super) fn exit(&self) -> Exit {
        self.publication.exit()
    }
}

/// Tells what came of a change. One that needs others is an error, unless there is a file to write it to.
pub(super) fn conclude(
    gun: &Gun,
    outcome: &Outcome,
    partial: Option<&Path>,
    form: FormArguments,
    output: &mut Output,
) -> Result<Answer, Failure> {
    let publication = Publication::of(outcome, partial)?;
    if !form.is_json() {
        publication.tell_missing(gun, output)?;
    }
    if let Some(path) = &publication.partial {
        let (name, path) = (gun.familiar(), visible(path));
        output.remark(&format!("hand it to the others, who run: trustgate repo publish {name} {path}"));
    }
    Ok(Answer { repository: gun.clone(), publication })
}
