//! A PostgreSQL of its own: real, on a socket in a folder that goes with it.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A running server; it ends when it is dropped.
pub(crate) struct Postgres {
    server: Option<Child>,
    programs: PathBuf,
    folder: tempfile::TempDir,
}

impl Postgres {
    /// Starts one; `None` where its programs are missing. Unless it is durable it does not wait for the
    /// disk: then a crash of the machine, which tests do not cause, could cost what was committed.
    pub(crate) fn start(durable: bool) -> Option<Self> {
        let programs = programs()?;
        // The names of sockets are short. A test of a full disk has a small one to itself.
        let above = std::env::var_os("TRUSTGATE_TEST_SPACE").unwrap_or_else(|| "/tmp".into());
        let folder = tempfile::Builder::new().prefix("pg").tempdir_in(above).expect("a temporary folder");
        if let Some((user, group)) = user() {
            std::os::unix::fs::chown(folder.path(), Some(user), Some(group)).expect("a folder of its own");
        }
        let made = command(&programs, "initdb", folder.path())
            .args([
                "--no-sync",
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
                "--no-locale",
                "-D",
                "data",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(made.expect("initdb starts").success(), "initdb");
        let settings = format!(
            "listen_addresses = ''\nunix_socket_directories = '{}'\nfsync = {}\nmax_connections = 300\n",
            folder.path().display(),
            if durable { "on" } else { "off" }
        );
        fs::write(folder.path().join("data/postgresql.auto.conf"), settings).expect("its settings");
        let mut postgres = Self { server: None, programs, folder };
        postgres.launch();
        postgres.wait();
        Some(postgres)
    }

    /// Starts the process, also after its end.
    pub(crate) fn launch(&mut self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("log"));
        let mut command = command(&self.programs, "postgres", self.folder.path());
        command.args(["-D", "data"]).stderr(log.expect("a log"));
        self.server = Some(command.spawn().expect("postgres starts"));
    }

    /// The address of a database, as ours and as Go's programs take it.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres:///{database}?user=postgres&host={}&sslmode=disable", self.folder.path().display())
    }

    /// Makes a database, and runs these statements in it.
    pub(crate) fn create(&self, database: &str, statements: &str) {
        self.run("postgres", &format!("CREATE DATABASE \"{database}\""));
        if !statements.is_empty() {
            self.run(database, statements);
        }
    }

    /// Runs statements; what they answer, a line a row.
    pub(crate) fn run(&self, database: &str, statements: &str) -> String {
        let output = command(&self.programs, "psql", self.folder.path())
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-h"])
            .arg(self.folder.path())
            .args(["-d", database, "-c", statements])
            .output()
            .expect("psql starts");
        assert!(output.status.success(), "{statements}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until it answers.
    pub(crate) fn wait(&mut self) {
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            let ready = command(&self.programs, "pg_isready", self.folder.path())
                .arg("-q")
                .arg("-h")
                .arg(self.folder.path())
                .status();
            if ready.expect("pg_isready starts").success() {
                return;
            }
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            let ended = self.server.as_mut().is_none_or(|it| it.try_wait().expect("a child").is_some());
            assert!(!ended, "PostgreSQL ended: {log}");
            assert!(Instant::now() < deadline, "PostgreSQL does not come up: {log}");
        }
    }

    /// Ends the process, in the middle of what it does if told so by SIGQUIT.
    pub(crate) fn end(&mut self, signal: Signal) {
        if let Some(mut server) = self.server.take() {
            let _ = kill_process(Pid::from_child(&server), signal);
            let _ = server.wait();
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end(Signal::QUIT);
    }
}

fn command(programs: &Path, program: &str, folder: &Path) -> Command {
    let mut command = Command::new(programs.join(program));
    command.current_dir(folder).stdin(Stdio::null()).env("LC_ALL", "C");
    if let Some((user, group)) = user() {
        command.uid(user).gid(group);
    }
    command
}

fn programs() -> Option<PathBuf> {
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = installed.map(|it| it.path().join("bin")).collect();
    folders.sort();
    folders
        .into_iter()
        .rev()
        .find(|it| ["initdb", "postgres", "psql"].iter().all(|name| it.join(name).exists()))
}

/// PostgreSQL refuses to run as root: whom it runs as instead.
fn user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("a list of users");
    let line = users.lines().find(|it| it.starts_with("postgres:")).expect("the package makes a user");
    let fields: Vec<&str> = line.split(':').collect();
    Some((fields[2].parse().expect("a number"), fields[3].parse().expect("a number")))
}

const START_DEADLINE: Duration = Duration::from_mins(1);
