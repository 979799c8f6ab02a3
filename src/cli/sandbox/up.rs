//! `trustgate sandbox up`.

use super::configuration::{Programs, SERVER, choose_ports, configure, random_word};
use super::engine::ENGINE;
use super::folder::{Folder, Notes, unusable};
use super::process::Identity;
use super::report::Report;
use super::{engine, images, parts};
use crate::cli::exit::Failure;
use crate::cli::output::Output;
use crate::cli::progress::while_waiting;
use crate::cli::settings::Settings;

/// Has everything run, whatever of it does already.
pub(super) async fn run(
    folder: &Folder,
    settings: &Settings,
    output: &mut Output,
) -> Result<Report, Failure> {
    let programs = Programs::find(settings.program(), settings.search_path())?;
    folder.make()?;
    let _turn = folder.turn()?;
    // Another command may have ended the sandbox meanwhile.
    folder.make()?;
    let mut notes = match folder.read()? {
        Some(notes) => notes,
        None => Notes::new(random_word()?, random_word()?),
    };
    choose_ports(&mut notes)?;
    folder.write(&notes).map_err(|failure| folder.explain(failure))?;
    let before: Vec<Identity> = notes.processes.values().filter(|it| it.runs()).cloned().collect();
    let starting = start(folder, &mut notes, &programs, settings);
    let started = while_waiting("starting the sandbox", output, starting).await;
    match started {
        Ok(remark) => {
            if let Some(remark) = remark {
                output.remark(&remark);
            }
            Ok(Report::of(folder, &notes).await)
        }
        Err(failure) => {
            let failure = folder.explain(failure);
            // Half a sandbox is of no use to anybody, and runs on unseen.
            Err(match end_started(folder, &mut notes, &before).await {
                Ok(()) => failure,
                Err(other) => failure.note(other.message()),
            })
        }
    }
}

/// Ends what runs now and did not before.
async fn end_started(folder: &Folder, notes: &mut Notes, before: &[Identity]) -> Result<(), Failure> {
    let new = |notes: &Notes, part| {
        let identity = notes.processes.get(part)?;
        (identity.runs() && !before.contains(identity)).then(|| identity.clone())
    };
    if new(notes, ENGINE).is_some() {
        engine::stop(folder, notes).await?;
    }
    for part in parts::END_ORDER {
        if let Some(identity) = new(notes, part) {
            identity.end().await?;
        }
    }
    Ok(())
}

async fn start(
    folder: &Folder,
    notes: &mut Notes,
    programs: &Programs,
    settings: &Settings,
) -> Result<Option<String>, Failure> {
    for part in configure(folder, notes, programs)? {
        parts::ensure(folder, notes, &part).await?;
    }
    trust_server(folder, notes)?;
    if notes.images.is_none() {
        notes.images = Some(images::make(folder, notes, settings.program()).await?);
        folder.write(notes)?;
    }
    engine::ensure(folder, notes, settings).await
}

/// Puts the server's CA where docker's clients look for it.
fn trust_server(folder: &Folder, notes: &Notes) -> Result<(), Failure> {
    let authority = folder.join("server/ca.crt");
    let certificate = std::fs::read(&authority).map_err(|error| unusable(&authority, &error))?;
    let name = format!("docker/tls/{}", notes.address(SERVER).unwrap_or_default());
    folder.make_below(&name)?;
    folder.put(&format!("{name}/ca.crt"), &certificate)?;
    Ok(())
}
