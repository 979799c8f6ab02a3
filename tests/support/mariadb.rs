//! A MariaDB of its own: real, on a socket in a folder that goes with it.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server; it ends when it is dropped.
pub(crate) struct MariaDb {
    server: Child,
    folder: tempfile::TempDir,
}

impl MariaDb {
    /// Starts one; `None` where its programs are missing.
    ///
    /// It has no table of users, and lets in whoever reaches its socket: that stands in a folder that
    /// belongs to this user alone.
    pub(crate) fn start() -> Option<Self> {
        let program = PathBuf::from(SERVER);
        let there = |name: &str| Command::new(name).arg("--version").stdout(Stdio::null()).status().is_ok();
        if !program.exists() || !there(CLIENT) || !there(DUMP) {
            return None;
        }
        let folder = tempfile::Builder::new().prefix("maria").tempdir_in("/tmp").expect("a temporary folder");
        let here = folder.path();
        fs::create_dir(here.join("data")).expect("a folder");
        let log = fs::File::create(here.join("log")).expect("a log");
        let mut command = Command::new(program);
        // What the machine's own is told counts for nothing here, and has to come first.
        command.arg("--no-defaults").args(SETTINGS);
        command.arg(format!("--datadir={}", here.join("data").display()));
        command.arg(format!("--socket={}", here.join("socket").display()));
        command.arg(format!("--pid-file={}", here.join("pid").display()));
        if rustix::process::geteuid().is_root() {
            command.arg("--user=root");
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let server = command.spawn().expect("mariadbd starts");
        let mut database = Self { server, folder };
        database.wait();
        Some(database)
    }

    /// The address of a database, as Go's driver takes it.
    pub(crate) fn address(&self, database: &str) -> String {
        format!("root@unix({})/{database}?parseTime=True", self.folder.path().join("socket").display())
    }

    /// Makes a database, and runs these statements in it.
    pub(crate) fn create(&self, database: &str, statements: &str) {
        let mut client = self.command(CLIENT).stdin(Stdio::piped()).spawn().expect("mariadb starts");
        let text = format!("CREATE DATABASE {database}; USE {database}; {statements};");
        let mut input = client.stdin.take().expect("it is piped");
        input.write_all(text.as_bytes()).expect("it reads");
        drop(input);
        assert!(client.wait().expect("mariadb ends").success(), "{text}");
    }

    /// What `mysqldump` prints.
    pub(crate) fn dump(&self, arguments: &[&str]) -> Vec<u8> {
        let output = self.command(DUMP).args(arguments).output().expect("mariadb-dump starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn wait(&mut self) {
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            let asked = self.command(CLIENT).args(["--execute", "SELECT 1"]).output();
            if asked.expect("mariadb starts").status.success() {
                return;
            }
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(self.server.try_wait().expect("a child").is_none(), "MariaDB ended: {log}");
            assert!(Instant::now() < deadline, "MariaDB does not come up: {log}");
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("--no-defaults").arg("--socket").arg(self.folder.path().join("socket"));
        command.args(["--user", "root"]).stdin(Stdio::null());
        command
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        // What it has not written goes with its folder.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Where Debian has it, which is in nobody's PATH but root's.
const SERVER: &str = "/usr/sbin/mariadbd";
const CLIENT: &str = "mariadb";
const DUMP: &str = "mariadb-dump";
/// Small, deaf to the network, and in no hurry to have things on disk.
const SETTINGS: [&str; 6] = [
    "--skip-networking",
    "--skip-grant-tables",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-buffer-pool-size=16M",
    "--innodb-log-file-size=8M",
    // A container may not let it.
    "--innodb-use-native-aio=OFF",
];
const START_DEADLINE: Duration = Duration::from_mins(1);
