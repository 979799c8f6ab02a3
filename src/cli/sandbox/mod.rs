//! `trustgate sandbox`: a registry, a trust server, its signer and two images, in one folder.
//!
//! `folder` knows what is noted where, `process` starts and ends programs, `parts` knows which those
//! are, `images` what is in the registry, and `wire` speaks to it. Nothing outside of the folder changes.

mod arguments;
mod configuration;
mod down;
mod engine;
mod folder;
mod images;
mod parts;
mod process;
mod report;
mod up;
mod wire;

pub(super) use arguments::Arguments;

use super::exit::{Exit, Failure};
use super::output::Output;
use super::settings::Settings;
use arguments::Command;
use folder::Folder;
use report::Report;

/// Does what was asked.
pub(super) async fn run(
    arguments: &Arguments,
    home: Option<&std::path::Path>,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let folder = Folder::at(arguments.command.folder(), home)?;
    match &arguments.command {
        Command::Up(up) => {
            let report = up::run(&folder, settings, output).await?;
            report.print(up.output, output)?;
            Ok(Exit::Done)
        }
        Command::Down(down) => down::run(&folder, down.output, output).await,
        Command::Status(status) => {
            let Some(notes) = folder.read()? else {
                return Err(Failure::unknown(format!(
                    "there is no sandbox in `{}`",
                    folder.path().display()
                ))
                .help("make one: trustgate sandbox up"));
            };
            let report = Report::of(&folder, &notes).await;
            report.print(status.output, output)?;
            Ok(report.exit())
        }
    }
}
