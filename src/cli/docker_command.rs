//! Docker's own command, run with this command's configuration.

use std::ffi::OsString;

use super::exit::{Exit, Failure};
use super::settings::Settings;
use super::transfer::command_failure;
use crate::docker::DockerCommand;

/// Docker's command on this machine.
pub(super) fn docker_command(settings: &Settings) -> Result<DockerCommand, Failure> {
    DockerCommand::find(settings.search_path(), settings.program()).map_err(|error| command_failure(&error))
}

/// The words that stand before those of the user.
pub(super) struct DockerWords(Vec<OsString>);

impl DockerWords {
    /// For a verb of docker's command, with the folder that `--config` names.
    pub(super) fn new(settings: &Settings, verb: &str) -> Self {
        let mut words = Vec::new();
        if let Some(folder) = settings.config_option() {
            words.extend([OsString::from("--config"), folder.as_os_str().to_owned()]);
        }
        words.extend(verb.split(' ').map(OsString::from));
        Self(words)
    }

    /// The whole command line.
    pub(super) fn with(&self, words: &[OsString]) -> Vec<OsString> {
        self.0.iter().chain(words).cloned().collect()
    }

    /// Becomes docker's command.
    pub(super) fn replace(&self, docker: &DockerCommand, words: &[OsString]) -> Result<Exit, Failure> {
        match docker.replace(&self.with(words)) {
            Ok(never) => match never {},
            Err(error) => Err(command_failure(&error)),
        }
    }

    /// Runs docker's command, and ends as it does.
    pub(super) async fn run(&self, docker: &DockerCommand, words: &[OsString]) -> Result<Exit, Failure> {
        let code = docker.run(&self.with(words)).await.map_err(|error| command_failure(&error))?;
        Ok(Exit::OfDocker(code))
    }
}
