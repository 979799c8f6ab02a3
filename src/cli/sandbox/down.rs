//! `trustgate sandbox down`.

use serde_json::json;

use super::folder::Folder;
use super::process::{self, Identity};
use super::{engine, parts};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{Format, Output};

/// Ends every process of the sandbox, and removes its folder.
pub(super) async fn run(folder: &Folder, format: Format, output: &mut Output) -> Result<Exit, Failure> {
    let mut ended = Vec::new();
    let found = folder.read()?.is_some();
    if found {
        let _turn = folder.turn()?;
        if let Some(mut notes) = folder.read()? {
            engine::stop(folder, &mut notes).await?;
            for part in parts::END_ORDER {
                let noted = notes.processes.remove(part).filter(Identity::runs);
                let unnoted = || notes.commands.get(part).and_then(|words| process::find(words));
                if let Some(identity) = noted.or_else(unnoted) {
                    identity.end().await?;
                    ended.push(part);
                }
            }
            folder.remove()?;
        }
    }
    match format {
        Format::Json => output.json(&json!({"folder": folder.path(), "found": found, "ended": ended}))?,
        Format::Text if found => {
            output.result_line(&format!("removed the sandbox in `{}`", folder.path().display()))?;
        }
        Format::Text => output.remark(&format!("there is no sandbox in `{}`", folder.path().display())),
    }
    Ok(Exit::Done)
}
