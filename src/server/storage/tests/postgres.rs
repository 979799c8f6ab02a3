//! The same against a real PostgreSQL of its own, where the machine has one.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::*;

/// A server on a socket in its own folder; gone when it is dropped.
struct Postgres {
    server: Child,
    folder: tempfile::TempDir,
}

impl Postgres {
    /// `None` where there is none to start, which is said; required, that is a failure.
    fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            let required = std::env::var_os("TRUSTGATE_REQUIRE_ENGINES").is_some_and(|value| value == "1");
            assert!(!required, "missing here: PostgreSQL's server programs");
            writeln!(std::io::stderr(), "skipped: PostgreSQL's server programs are missing").unwrap();
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let user = user();
        if let Some((user, group)) = user {
            std::os::unix::fs::chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        let data = folder.path().join("data");
        let command = |program: &str| {
            let mut command = Command::new(programs.join(program));
            command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).env("LC_ALL", "C");
            if let Some((user, group)) = user {
                command.uid(user).gid(group);
            }
            command
        };
        let made = command("initdb")
            .args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "-D"])
            .arg(&data)
            .stderr(Stdio::null())
            .status();
        assert!(made.unwrap().success(), "initdb");
        let server = command("postgres")
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-k"])
            .arg(folder.path())
            .arg("-D")
            .arg(&data)
            .stderr(std::fs::File::create(folder.path().join("log")).unwrap())
            .spawn();
        Some(Self { server: server.unwrap(), folder })
    }

    fn url(&self) -> String {
        format!("postgres://postgres@localhost/postgres?host={}", self.folder.path().display())
    }

    /// A connection, once it listens.
    async fn storage(&self) -> SqlStorage {
        let deadline = Instant::now() + Duration::from_mins(1);
        let socket = self.folder.path().join(".s.PGSQL.5432");
        loop {
            let error = if socket.exists() {
                match SqlStorage::postgres(&self.url()).await {
                    Ok(storage) => return storage,
                    Err(error) => error.to_string(),
                }
            } else {
                "it does not listen".to_owned()
            };
            assert!(Instant::now() < deadline, "{error}: {}", self.log());
            tokio::task::yield_now().await;
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // At once, but not without telling its children.
        let server = rustix::process::Pid::from_child(&self.server);
        let _ = rustix::process::kill_process(server, rustix::process::Signal::QUIT);
        let _ = self.server.wait();
    }
}

fn programs() -> Option<PathBuf> {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = installed.map(|it| it.path().join("bin")).collect();
    folders.sort();
    folders.into_iter().rev().find(|it| it.join("initdb").exists() && it.join("postgres").exists())
}

/// PostgreSQL refuses to run as root: whom it runs as instead.
fn user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|it| it.starts_with("postgres:")).expect("the package makes a user");
    let fields: Vec<&str> = line.split(':').collect();
    Some((fields[2].parse().unwrap(), fields[3].parse().unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_postgresql() {
    let Some(server) = Postgres::start() else { return };
    let storage = server.storage().await;
    cases::all(&storage).await;
    // Two servers of a cluster, which both bring the tables up to date as they start.
    let (one, two) =
        futures_util::future::join(SqlStorage::postgres(&server.url()), SqlStorage::postgres(&server.url()))
            .await;
    cases::one_of_many_writers_wins(&[one.unwrap(), two.unwrap()]).await;

    let name = gun("gone/base");
    publish(&storage, &name, &[file("timestamp", 1, "")]).await.unwrap();
    drop(server);
    let change = Change { expected: None, files: vec![file("timestamp", 2, "")], retired: Vec::new() };
    let error = storage.publish(&name, &change, now()).await.unwrap_err();
    assert!(matches!(error, StorageError::Unavailable { .. }), "{error}");
}
