//! `trustgate repo`: the trust data of whole repositories.
//!
//! What the `notary` command does to a collection, and what no command did: signing again what has expired.
//! How it is done is the room `trust::publish`.

mod delete;
mod init;
pub(super) mod known;
mod list;
mod publish;
mod refresh;
mod stage;
mod staged;
mod status;
mod threshold;

use clap::{Args, Subcommand};

use super::exit::{Exit, Failure};
use super::output::Output;
use super::settings::Settings;
use super::signer::signer_name;
use crate::text::visible;
use crate::tuf::RoleName;

/// What `repo` takes.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a repository's trust data, without signing any tag
    #[command(long_about = init::ABOUT, after_long_help = init::EXAMPLES)]
    Init(init::Arguments),
    /// List the repositories that this machine knows
    #[command(alias = "ls")]
    List(list::Arguments),
    /// Print the roles of a repository, and what is staged there
    Status(status::Arguments),
    /// Sign again what has expired, or soon will
    #[command(long_about = refresh::ABOUT, after_long_help = refresh::EXAMPLES)]
    Refresh(refresh::Arguments),
    /// Set how many keys of a role must sign
    #[command(long_about = threshold::ABOUT)]
    Threshold(threshold::Arguments),
    /// Publish staged changes, or sign what others wrote to a file
    #[command(long_about = publish::ABOUT)]
    Publish(publish::Arguments),
    /// Stage a change, to be published later
    #[command(long_about = stage::ABOUT, after_long_help = stage::EXAMPLES)]
    Stage(stage::Arguments),
    /// List staged changes
    Staged(staged::StagedArguments),
    /// Forget staged changes
    Reset(staged::ResetArguments),
    /// Delete a repository's trust data
    #[command(alias = "rm", long_about = delete::ABOUT)]
    Delete(delete::Arguments),
}

/// Runs the command that was named.
pub(super) async fn run(
    arguments: &Arguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    match &arguments.command {
        Command::Init(command) => init::run(command, settings, output).await,
        Command::List(command) => list::run(command, settings, output),
        Command::Status(command) => status::run(command, settings, output).await,
        Command::Refresh(command) => refresh::run(command, settings, output).await,
        Command::Threshold(command) => threshold::run(command, settings, output).await,
        Command::Publish(command) => publish::run(command, settings, output).await,
        Command::Stage(command) => stage::run(command, settings, output),
        Command::Staged(command) => staged::list(command, settings, output),
        Command::Reset(command) => staged::reset(command, settings, output),
        Command::Delete(command) => delete::run(command, settings, output).await,
    }
}

/// A role that somebody names: a base role, a delegation, or a signer by the bare name.
pub(super) fn role_name(text: &str) -> Result<RoleName, Failure> {
    for role in [RoleName::ROOT, RoleName::TARGETS, RoleName::SNAPSHOT, RoleName::TIMESTAMP] {
        if role.as_str() == text {
            return Ok(role);
        }
    }
    let name = match text {
        "releases" => RoleName::RELEASES.to_string(),
        _ if text.starts_with("targets/") => text.to_owned(),
        _ => format!("targets/{}", signer_name(text)?),
    };
    name.parse().map_err(|_| {
        Failure::usage(format!("`{}` is no role", visible(text)))
            .help("write root, targets, snapshot, timestamp, a signer's name, or targets/…")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_named_in_full_or_by_their_signer() {
        for (text, role) in [
            ("root", "root"),
            ("targets", "targets"),
            ("alice", "targets/alice"),
            ("releases", "targets/releases"),
            ("targets/team/ci", "targets/team/ci"),
        ] {
            assert_eq!(role_name(text).unwrap().as_str(), role);
        }
        for text in ["", "Root", "root ", "targets/", "targets/../root", "a\u{1b}", "team/ci"] {
            assert!(role_name(text).is_err(), "{text}");
        }
    }
}
