//! `trustgate sandbox up`.

use super::configuration::{Programs, SERVER, choose_ports, configure, random_word};
use super::folder::{Folder, Notes, unusable};
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
    folder.write(&notes)?;
    let started =
        while_waiting("starting the sandbox", output, start(folder, &mut notes, &programs, settings));
    if let Some(remark) = started.await? {
        output.remark(&remark);
    }
    Ok(Report::of(folder, &notes).await)
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
