//! A folder, an environment, and a way to run the program in them.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::server::TrustServer;

/// Everything that one test needs; gone when it ends.
pub(crate) struct Desk {
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
    server: Option<String>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), variables: Vec::new(), server: None }
    }

    /// A desk whose trust data comes from this server.
    pub(crate) fn at(server: &TrustServer) -> Self {
        let desk = Self { server: Some(server.host()), ..Self::new() };
        desk.file(&format!("home/.docker/tls/{}/ca.crt", server.host()), server.certificate());
        desk.with("DOCKER_CONTENT_TRUST_SERVER", &server.url())
    }

    /// The folder that the program runs in.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// The same desk, with this variable.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Puts a file on the desk.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// The names of the files in the folder, but those of the environment.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| name != "home");
        names.sort();
        names
    }

    /// The program, in this folder, with nothing of the machine's environment.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let program = std::env::var_os("TRUSTGATE_BIN");
        let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_trustgate").into());
        let mut command = Command::new(program);
        command.args(words).current_dir(self.folder()).env_clear();
        command.env("HOME", self.path("home")).env("PATH", "/usr/bin:/bin");
        // No bundle of the machine is read, and no proxy is asked for a server on loopback.
        command.env("NO_PROXY", "*");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    /// Runs the program on words separated by blanks.
    pub(crate) fn run(&self, words: &str) -> String {
        self.run_words(words.split_whitespace())
    }

    pub(crate) fn run_words<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> String {
        self.report(&self.command(words).output().unwrap())
    }

    /// Runs the program where no terminal can be asked, not even that of whoever runs the tests.
    pub(crate) fn run_detached(&self, words: &str) -> String {
        let command = self.command(words.split_whitespace());
        let mut detached = Command::new("setsid");
        detached.arg("--wait").arg(command.get_program()).args(command.get_args());
        detached.current_dir(self.folder()).env_clear().stdin(Stdio::null());
        detached.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        self.report(&detached.output().unwrap())
    }

    /// Runs the program with this standard input.
    pub(crate) fn run_with_input(&self, words: &str, input: &[u8]) -> String {
        let mut command = self.command(words.split_whitespace());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        self.report(&child.wait_with_output().unwrap())
    }

    /// All that came back, with the names of what differs from run to run.
    pub(crate) fn report(&self, output: &std::process::Output) -> String {
        let code = output.status.code().map_or("killed".to_owned(), |code| code.to_string());
        let mut report = format!("exit code: {code}\n");
        for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            let text = String::from_utf8_lossy(bytes);
            if !text.is_empty() {
                report.extend(["----- ", name, " -----\n", &self.neutral(&text)]);
                if !text.ends_with('\n') {
                    report.push_str("[no line end]\n");
                }
            }
        }
        report
    }

    fn neutral(&self, text: &str) -> String {
        let mut text = text.replace(&self.folder().display().to_string(), "[FOLDER]");
        if let Some(server) = &self.server {
            text = text.replace(server, "[SERVER]");
        }
        // A snapshot holds lines; what else a line may hold is shown.
        let text = text.replace('\r', "[CR]").replace('\u{1b}', "[ESC]").replace('\u{feff}', "[BOM]");
        hide_days(&text)
    }
}

/// `valid for 26690 days` is another number tomorrow.
fn hide_days(text: &str) -> String {
    let mut parts = text.split("valid for ");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        shown.push_str("valid for ");
        shown.push_str(if rest.len() < part.len() { "[N]" } else { "" });
        shown.push_str(rest);
    }
    shown
}
