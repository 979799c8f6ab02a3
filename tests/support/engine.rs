//! The two engines, one build on them, and what came out of it.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, PoisonError};

use super::lab::Lab;

/// The engines of the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Engine {
    /// Debian 12's docker 20.10 with `BuildKit` 0.8, and its own client.
    Bookworm,
    /// Debian 13's docker 26.1 with `BuildKit` 0.13, and buildx.
    Trixie,
}

impl Engine {
    /// Both, the old one first.
    pub(crate) const ALL: [Self; 2] = [Self::Bookworm, Self::Trixie];

    /// This engine's docker command.
    pub(crate) fn docker(self, lab: &Lab) -> Command {
        let (program, host) = match self {
            Self::Bookworm => ("LAB_DOCKER", "LAB_DOCKER_HOST"),
            Self::Trixie => ("LAB_TRIXIE_DOCKER", "LAB_TRIXIE_HOST"),
        };
        let mut command = Command::new(lab.variable(program));
        command.env("DOCKER_HOST", lab.variable(host)).env("DOCKER_CONFIG", lab.docker_config());
        // A builder's shell may have these set; what a test says counts.
        for variable in
            ["DOCKER_CONTENT_TRUST", "DOCKER_CONTENT_TRUST_SERVER", "DOCKER_BUILDKIT", "DOCKER_CONTEXT"]
        {
            command.env_remove(variable);
        }
        command
    }

    /// The command whose `build` is `BuildKit`'s: docker itself, or buildx.
    pub(crate) fn builder(self, lab: &Lab) -> Command {
        match self {
            Self::Bookworm => {
                let mut command = self.docker(lab);
                command.env("DOCKER_BUILDKIT", "1");
                command
            }
            Self::Trixie => Command::new(lab.variable("LAB_TRIXIE_BUILDX")),
        }
    }

    /// Runs the engine's docker command to its end; it must succeed.
    pub(crate) fn run(self, lab: &Lab, arguments: &[&str]) -> String {
        let output = self.docker(lab).args(arguments).stdin(Stdio::null()).output().expect("docker starts");
        let text = text_of(&output);
        assert!(output.status.success(), "docker {} on {self}:\n{text}", arguments.join(" "));
        text
    }

    /// Has the engine forget what it built.
    ///
    /// Nothing is built meanwhile: `BuildKit` 0.8 crashes where a prune and a build meet.
    pub(crate) fn prune(self, lab: &Lab) {
        let _alone = lab.building(self).write().unwrap_or_else(PoisonError::into_inner);
        self.run(lab, &["builder", "prune", "--all", "--force"]);
    }

    /// Builds, and exports the result's files where there is a result.
    pub(crate) fn build(self, lab: &Lab, build: &Build) -> Outcome {
        let _building = lab.building(self).read().unwrap_or_else(PoisonError::into_inner);
        self.build_unguarded(lab, build)
    }

    /// Builds one after the other; nobody prunes the engine's cache in between.
    pub(crate) fn build_in_a_row<const N: usize>(self, lab: &Lab, builds: [&Build; N]) -> [Outcome; N] {
        let _building = lab.building(self).read().unwrap_or_else(PoisonError::into_inner);
        builds.map(|build| self.build_unguarded(lab, build))
    }

    fn build_unguarded(self, lab: &Lab, build: &Build) -> Outcome {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let files = folder.path().join("files");
        let metadata = folder.path().join("metadata.json");
        // A frontend that does not end is a defect of ours that must not hang the tests.
        let mut command = within(BUILD_DEADLINE, &self.builder(lab));
        command.arg("build");
        command.args(["--progress=plain", "--output"]).arg(format!("type=local,dest={}", files.display()));
        if self == Self::Trixie {
            command.arg("--metadata-file").arg(&metadata);
        }
        build.add_arguments(&mut command);
        let output = build.run(command);
        Outcome {
            succeeded: output.status.success(),
            text: text_of(&output),
            metadata: std::fs::read_to_string(metadata).ok(),
            files: Arc::new(folder),
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        })
    }
}

/// What is built, and how the client is asked to.
#[derive(Clone, Debug)]
pub(crate) struct Build {
    /// What the client sends or names as the context.
    pub(crate) context: Context,
    /// `--file`, in the context.
    pub(crate) file: Option<String>,
    /// More arguments of `docker build`.
    pub(crate) options: Vec<String>,
    /// The frontend that gates it, as `--build-arg BUILDKIT_SYNTAX`, after all options.
    pub(crate) frontend: Option<String>,
}

/// The last argument of `docker build`.
#[derive(Clone, Debug)]
pub(crate) enum Context {
    /// A folder.
    Folder(PathBuf),
    /// `-`: a Dockerfile or an archive on the client's input.
    Input(Vec<u8>),
    /// A URL that the engine fetches.
    Url(String),
}

impl Build {
    /// A build of this folder, without a gate.
    pub(crate) fn of(folder: &Path) -> Self {
        Self { context: Context::Folder(folder.to_owned()), file: None, options: Vec::new(), frontend: None }
    }

    /// The same build through this frontend.
    pub(crate) fn gated_by(mut self, frontend: &str) -> Self {
        self.frontend = Some(frontend.to_owned());
        self
    }

    /// The same build with more arguments of `docker build`.
    pub(crate) fn with_options(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(|option| (*option).to_owned()));
        self
    }

    fn add_arguments(&self, command: &mut Command) {
        command.args(&self.options);
        if let Some(frontend) = &self.frontend {
            command.arg("--build-arg").arg(format!("BUILDKIT_SYNTAX={frontend}"));
        }
        match (&self.context, &self.file) {
            (Context::Folder(folder), Some(file)) => command.arg("--file").arg(folder.join(file)).arg(folder),
            (Context::Folder(folder), None) => command.arg(folder),
            (Context::Input(_), Some(file)) => command.args(["--file", file, "-"]),
            (Context::Input(_), None) => command.arg("-"),
            (Context::Url(url), Some(file)) => command.args(["--file", file, url]),
            (Context::Url(url), None) => command.arg(url),
        };
    }

    fn run(&self, mut command: Command) -> Output {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("docker starts");
        let mut input = child.stdin.take().expect("its input is piped");
        if let Context::Input(bytes) = &self.context {
            // A client that refuses without reading closes its end; its own words say why.
            let _ = input.write_all(bytes);
        }
        drop(input);
        child.wait_with_output().expect("docker ends")
    }
}

/// What a build said and left.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// Whether the client ended with 0.
    pub(crate) succeeded: bool,
    /// All that the client printed.
    pub(crate) text: String,
    /// The result's metadata as the client wrote it (`--metadata-file`); the old client cannot.
    pub(crate) metadata: Option<String>,
    files: Arc<tempfile::TempDir>,
}

impl Outcome {
    /// The bytes of one file of the result.
    pub(crate) fn file(&self, path: &str) -> Option<Vec<u8>> {
        std::fs::read(self.files.path().join("files").join(path)).ok()
    }

    /// Does any file of the result hold these bytes?
    pub(crate) fn holds(&self, needle: &[u8]) -> bool {
        folder_holds(&self.files.path().join("files"), needle)
    }

    /// The outcome if the build succeeded.
    #[track_caller]
    pub(crate) fn expect_built(self) -> Self {
        assert!(self.succeeded, "the build did not succeed:\n{}", self.text);
        self
    }

    /// The outcome if the build did not succeed and said all of these.
    #[track_caller]
    pub(crate) fn expect_refused(self, sayings: &[&str]) -> Self {
        assert!(!self.succeeded, "the build should have been refused:\n{}", self.text);
        for saying in sayings {
            assert!(self.text.contains(saying), "the refusal does not say `{saying}`:\n{}", self.text);
        }
        self
    }
}

/// The same command, killed after so many seconds.
fn within(seconds: &str, command: &Command) -> Command {
    let mut limited = Command::new("timeout");
    limited.args(["--kill-after=5", seconds]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited
}

fn folder_holds(folder: &Path, needle: &[u8]) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.filter_map(Result::ok).any(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => folder_holds(&entry.path(), needle),
        Ok(kind) if kind.is_file() => std::fs::read(entry.path()).is_ok_and(|bytes| contains(&bytes, needle)),
        _ => false,
    })
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

fn text_of(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    text
}

/// Seconds; a build of the tables takes one on an idle machine.
const BUILD_DEADLINE: &str = "180";
