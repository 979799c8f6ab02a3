//! Docker's own command, run with this command's configuration.

use std::ffi::OsString;

use super::exit::{Exit, Failure};
use super::settings::Settings;
use super::transfer::command_failure;
use crate::docker::DockerCommand;

/// Docker's command on this machine, which reads the folder that `--config` names, too.
pub(super) fn docker_command(settings: &Settings) -> Result<DockerCommand, Failure> {
    let docker = DockerCommand::find(settings.search_path(), settings.program());
    let docker = docker.map_err(|error| command_failure(&error))?;
    Ok(match settings.config_option() {
        Some(folder) => docker.with_variable("DOCKER_CONFIG", folder),
        None => docker,
    })
}

/// Becomes docker's command.
pub(super) fn replace(docker: &DockerCommand, verb: &str, words: &[OsString]) -> Result<Exit, Failure> {
    match docker.replace(&line(verb, words)) {
        Ok(never) => match never {},
        Err(error) => Err(command_failure(&error)),
    }
}

/// Runs docker's command, and ends as it does.
pub(super) async fn run(docker: &DockerCommand, verb: &str, words: &[OsString]) -> Result<Exit, Failure> {
    let code = docker.run(&line(verb, words)).await.map_err(|error| command_failure(&error))?;
    Ok(Exit::OfDocker(code))
}

/// What follows the program's name.
pub(super) fn line(verb: &str, words: &[OsString]) -> Vec<OsString> {
    verb.split(' ').map(OsString::from).chain(words.iter().cloned()).collect()
}
