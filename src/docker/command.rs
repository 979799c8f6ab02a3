//! Docker's own command: found, and run in our place or beside us.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;

use super::arguments::{ArgumentError, ContainerArguments, FlagSet, Verb, image_argument};
use super::signals::Signals;

/// Docker's command on this machine; never trustgate itself under docker's name.
#[derive(Clone, Debug)]
pub struct DockerCommand {
    program: PathBuf,
    variables: Vec<(OsString, OsString)>,
}

impl DockerCommand {
    /// The first `docker` in `search_path` (as `PATH` is written) that is not `ourselves`.
    pub fn find(search_path: &OsStr, ourselves: &Path) -> Result<Self, CommandError> {
        let own = std::fs::metadata(ourselves).ok().map(|file| (file.dev(), file.ino()));
        let usable = |candidate: &PathBuf| {
            std::fs::metadata(candidate).is_ok_and(|file| {
                file.is_file()
                    && file.permissions().mode() & 0o111 != 0
                    && Some((file.dev(), file.ino())) != own
            })
        };
        std::env::split_paths(search_path)
            // What a relative entry means depends on where one stands; Go runs nothing from there, either.
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join("docker"))
            .find(usable)
            .map(|program| Self { program, variables: Vec::new() })
            .ok_or(CommandError::NotFound)
    }

    /// Where it is.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The same, with one more environment variable set for it.
    #[must_use]
    pub fn with_variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Finds the image in the words after `run` or `create`; flags that are not known here are
    /// looked up in the help text of this very command.
    pub async fn image_argument(
        &self,
        verb: Verb,
        arguments: &[OsString],
    ) -> Result<Option<ContainerArguments>, ArgumentError> {
        match image_argument(&verb.flags(), arguments) {
            Err(unknown @ ArgumentError::UnknownFlag { .. }) => {
                let flags = self.learn(verb.flags()).await.map_err(|_| unknown)?;
                image_argument(&flags, arguments)
            }
            other => other,
        }
    }

    /// These flags, and those that this command lists besides.
    pub async fn learn(&self, flags: FlagSet) -> Result<FlagSet, CommandError> {
        let arguments = [flags.verb(), "--help"].map(OsString::from);
        Ok(flags.with_help(&self.output(&arguments).await?))
    }

    /// Becomes docker's command: its exit status, signals and terminal are then its own. Content
    /// trust is switched off for it, since what it is given was checked. Returns only an error.
    pub fn replace(&self, arguments: &[OsString]) -> Result<Infallible, CommandError> {
        Err(self.failed(&self.command(arguments).exec()))
    }

    /// Runs docker's command with our terminal, passes signals on to it, and answers with its exit
    /// status; 128 + n where signal n ended it. Afterwards, a signal ends this process with the
    /// status 128 + n.
    pub async fn run(&self, arguments: &[OsString]) -> Result<u8, CommandError> {
        let failed = |error: std::io::Error| self.failed(&error);
        let signals = Signals::catch().map_err(failed)?;
        let mut child = tokio::process::Command::from(self.command(arguments)).spawn().map_err(failed)?;
        if let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()) {
            signals.pass_to(id);
        }
        child.wait().await.map(exit_status).map_err(failed)
    }

    /// What docker's command prints on standard output, bounded; for `--help` and `--version`.
    pub async fn output(&self, arguments: &[OsString]) -> Result<String, CommandError> {
        let failed = |error: std::io::Error| self.failed(&error);
        let mut command = tokio::process::Command::from(self.command(arguments));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().map_err(failed)?;
        let mut text = Vec::new();
        let read = async {
            if let Some(output) = child.stdout.take() {
                output.take(OUTPUT_LIMIT).read_to_end(&mut text).await?;
            }
            child.wait().await
        };
        match tokio::time::timeout(OUTPUT_PATIENCE, read).await {
            Ok(Ok(status)) if status.success() => Ok(String::from_utf8_lossy(&text).into_owned()),
            Ok(Ok(status)) => Err(self.failed(&std::io::Error::other(status.to_string()))),
            Ok(Err(error)) => Err(failed(error)),
            Err(_) => Err(self.failed(&std::io::Error::other("it took too long"))),
        }
    }

    fn command(&self, arguments: &[OsString]) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        command.args(arguments).env("DOCKER_CONTENT_TRUST", "0");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    fn failed(&self, error: &std::io::Error) -> CommandError {
        CommandError::Run { program: self.program.clone(), reason: error.to_string() }
    }
}

/// Why docker's command could not be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// There is none.
    #[error("docker's command is not in PATH")]
    NotFound,
    /// It did not start, or could not be waited for.
    #[error("`{}`: {reason}", program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// What the system said.
        reason: String,
    },
}

impl CommandError {
    /// What can be done about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NotFound => Some(
                "install docker's command line (`docker-cli`, `docker.io` or `docker-ce-cli`)".to_owned(),
            ),
            Self::Run { .. } => None,
        }
    }
}

/// As a shell says it.
fn exit_status(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// Docker's longest help text has ten kilobytes.
const OUTPUT_LIMIT: u64 = 1 << 20;
/// Docker prints its help within a second, and looks for plugins first.
const OUTPUT_PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with a `docker` that is this script.
    fn scripted(body: &str) -> (tempfile::TempDir, DockerCommand) {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("docker");
        std::fs::write(&program, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let command = DockerCommand::find(folder.path().as_os_str(), Path::new("/nowhere")).unwrap();
        (folder, command)
    }

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn dockers_own_command_is_found() {
        let (ours, command) = scripted("exit 0");
        let alias = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(command.program(), alias.path().join("docker")).unwrap();
        let plain = tempfile::tempdir().unwrap();
        std::fs::write(plain.path().join("docker"), "no program").unwrap();
        let (theirs, expected) = scripted("exit 1");
        let folders = [Path::new("."), alias.path(), plain.path(), ours.path(), theirs.path()];
        let path = std::env::join_paths(folders).unwrap();
        assert_eq!(DockerCommand::find(&path, command.program()).unwrap().program(), expected.program());
        let path = std::env::join_paths([alias.path(), ours.path()]).unwrap();
        assert_eq!(DockerCommand::find(&path, command.program()).unwrap_err(), CommandError::NotFound);
    }

    /// One test, since a signal to this process reaches every command that is running.
    #[tokio::test]
    async fn statuses_and_signals_are_passed_on() {
        let status = async |body: &str| scripted(body).1.run(&words("a b")).await.unwrap();
        assert_eq!(status("exit 0").await, 0);
        assert_eq!(status("exit 125").await, 125);
        assert_eq!(status("kill -KILL $$").await, 137);
        assert_eq!(status("test \"$#\" = 2 && test \"$DOCKER_CONTENT_TRUST\" = 0 && exit 3").await, 3);
        assert_eq!(status("trap 'exit 7' USR1; kill -USR1 $PPID; while :; do :; done").await, 7);
        assert_eq!(status("trap 'exit 8' TERM; kill -TERM $PPID; while :; do :; done").await, 8);
        let (_folder, command) = scripted("test \"$A\" = b && exit 4");
        assert_eq!(command.with_variable("A", "b").run(&[]).await, Ok(4));
    }

    /// This test's process runs itself once more, and the other one is ended by a signal.
    #[tokio::test]
    async fn a_signal_after_docker_ends_us() {
        const INNER: &str = "TRUSTGATE_TEST_OF_SIGNALS";
        if std::env::var_os(INNER).is_some() {
            scripted("exit 0").1.run(&[]).await.unwrap();
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM).unwrap();
            // The thread of the commands is busy, as with a passphrase that is waited for.
            loop {
                std::thread::park();
            }
        }
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", "docker::command::tests::a_signal_after_docker_ends_us"]).env(INNER, "1");
        assert_eq!(again.output().unwrap().status.code(), Some(143));
    }

    #[tokio::test]
    async fn new_flags_are_looked_up() {
        let (_folder, command) = scripted("echo '      --from-the-future string   Text'");
        let found = command.image_argument(Verb::Run, &words("-it --from-the-future x alpine")).await;
        assert_eq!(found.unwrap().unwrap().index, 3);
        let unknown = command.image_argument(Verb::Run, &words("--other x alpine")).await;
        assert!(matches!(unknown, Err(ArgumentError::UnknownFlag { .. })));
        let (_folder, command) = scripted("exit 1");
        let unknown = command.image_argument(Verb::Run, &words("--from-the-future x alpine")).await;
        assert!(matches!(unknown, Err(ArgumentError::UnknownFlag { .. })));
    }
}
