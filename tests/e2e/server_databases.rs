//! Our trust server and its signers on a real PostgreSQL: killed, restarted, held up, shared, and of another version.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use reqwest::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use trustgate::tuf::testing::Repository;

use crate::notary_signer;
use crate::support::image::{server_program, signer_program};
use crate::support::postgres::Postgres;
use crate::support::skip;
use crate::trust_server::{DEADLINE, Publisher, Server, lines_of, post, wait_for};

/// One writer, and everything that can happen to the server and to the database in the meantime.
#[tokio::test(flavor = "multi_thread")]
async fn kills_and_restarts_lose_nothing_that_was_acknowledged() {
    let Some(mut postgres) = Postgres::start(true) else { return missing() };
    let folder = folder(&postgres, "trust");
    let mut server = Server::start_with(Arc::clone(&folder), &settings_for(""));
    let mut publisher = Publisher::begin(&server, GUN).await;
    let mut known = 1;
    for round in 0..4 {
        let (acknowledged, mut counted) = tokio::sync::watch::channel(known);
        let (client, url) = publisher.again();
        let targets: Vec<_> = (known + 1..known + 400).map(|it| (it, publisher.targets(it))).collect();
        let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
        let stream = tokio::spawn(async move {
            let started = Instant::now();
            for (version, file) in targets {
                loop {
                    match post(&client, &url, &[("targets", file.clone())]).await {
                        Ok((StatusCode::OK, _)) => drop(acknowledged.send_replace(version)),
                        // What was not acknowledged may be stored all the same.
                        Ok((StatusCode::BAD_REQUEST, Some(code))) if code == "VERSION" => {}
                        // The database is away, and with it files and keys.
                        Ok((StatusCode::SERVICE_UNAVAILABLE, Some(code))) if AWAY.contains(&&*code) => {
                            assert!(started.elapsed() < DEADLINE, "the database does not come back");
                            continue;
                        }
                        Ok(other) => panic!("{other:?}"),
                        Err(_) => return,
                    }
                    break;
                }
                if stopped.try_recv().is_ok() {
                    return;
                }
            }
        });
        counted.wait_for(|it| known + 5 <= *it).await.expect("publishes");
        if round % 2 == 0 {
            server.signal(Signal::KILL);
        } else {
            postgres.end(Signal::QUIT);
            postgres.launch();
            postgres.wait();
            let before = *counted.borrow();
            counted.wait_for(|it| before + 5 <= *it).await.expect("publishes go on");
            let _ = stop.send(());
        }
        stream.await.expect("the stream ends");
        known = *counted.borrow();
        if round % 2 == 0 {
            server = Server::start_with(Arc::clone(&folder), &settings_for(""));
            publisher = publisher.at(&server);
        }
        for version in 1..=known {
            let answer =
                publisher.client.get(format!("{}{version}.targets.json", publisher.files)).send().await;
            assert_eq!(
                answer.expect("an answer").status(),
                StatusCode::OK,
                "round {round}: {version} of {known}"
            );
        }
    }
}

/// Two servers on one database, eight writers on one repository: each is first, or told that somebody else was. What
/// notary does at one of them it finds at the other.
#[tokio::test(flavor = "multi_thread")]
async fn two_servers_are_one_to_their_clients() {
    let Some(postgres) = Postgres::start(false) else { return missing() };
    let folder = folder(&postgres, "trust");
    let servers = [(); 2].map(|()| Server::start_with(Arc::clone(&folder), &settings_for("")));
    let mut publisher = Publisher::begin(&servers[0], GUN).await;
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..8 {
        publisher = publisher.at(&servers[number % 2]);
        let (client, url) = publisher.again();
        let files: Vec<_> = (2..12).map(|it| publisher.targets(it)).collect();
        writers.spawn(async move {
            for file in files {
                match post(&client, &url, &[("targets", file)]).await.expect("an answer") {
                    (StatusCode::OK, _) => {}
                    (StatusCode::BAD_REQUEST, Some(code)) if code == "VERSION" => {}
                    other => panic!("{other:?}"),
                }
            }
        });
    }
    writers.join_all().await;
    for server in &servers {
        publisher = publisher.at(server);
        let last = publisher.client.get(format!("{}11.targets.json", publisher.files)).send().await;
        assert_eq!(last.expect("an answer").status(), StatusCode::OK);
    }
    let Some(notary) = notary_signer::program("notary") else { return };
    fs::copy(servers[0].authority(), folder.path().join("ca.crt")).expect("an authority");
    let content = folder.path().join("content");
    fs::write(&content, "content").expect("a target");
    let content = content.to_str().expect("a path");
    let ask = |server: &Server, arguments: &[&str]| {
        let port = server.host().rsplit_once(':').and_then(|(_, it)| it.parse().ok()).expect("a port");
        notary_signer::ask(&notary, folder.path(), port, arguments)
    };
    let gun = "registry.example/lab/notary";
    ask(&servers[0], &["init", "-p", gun]);
    ask(&servers[1], &["add", "-p", gun, "1", content]);
    ask(&servers[0], &["key", "rotate", gun, "snapshot", "-r"]);
    ask(&servers[1], &["key", "rotate", gun, "timestamp", "-r"]);
    ask(&servers[0], &["add", "-p", gun, "2", content]);
    let listed = ask(&servers[1], &["list", gun]);
    assert!(listed.contains("\n1 ") && listed.contains("\n2 "), "{listed}");
}

/// Somebody holds the locks: who publishes is told so within a bounded time, and who reads notices nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_held_up_is_not_waited_for_without_end() {
    let Some(postgres) = Postgres::start(false) else { return missing() };
    let folder = folder(&postgres, "trust");
    let server = Server::start_with(Arc::clone(&folder), &settings_for(""));
    let publisher = Publisher::begin(&server, GUN).await;
    let mut holder =
        PgConnection::connect(&postgres.url("trust")).await.expect("a session of somebody else's");
    let tables = postgres.run("trust", "SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
    let tables: Vec<&str> = tables.lines().collect();
    let lock = format!("BEGIN; LOCK TABLE {} IN EXCLUSIVE MODE", tables.join(", "));
    sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut holder).await.expect("the locks");
    let (client, url) = publisher.again();
    let started = Instant::now();
    let parts = [("targets", publisher.targets(2))];
    let told = post(&client, &url, &parts).await.expect("an answer");
    assert_eq!(told, (StatusCode::SERVICE_UNAVAILABLE, Some("UPDATING".to_owned())));
    assert!(started.elapsed() < DEADLINE / 2, "{:?}", started.elapsed());
    let read = client.get(format!("{url}timestamp.json")).send().await.expect("an answer");
    assert_eq!(read.status(), StatusCode::OK);
    holder.close().await.expect("it ends");
    let told = post(&client, &url, &parts).await.expect("an answer");
    assert_eq!(told.0, StatusCode::OK);
}

/// An upgrade that rolls: tables of a later version that earlier ones can share, and of one that they cannot.
#[tokio::test(flavor = "multi_thread")]
async fn tables_of_a_later_version_are_shared_or_refused() {
    let Some(postgres) = Postgres::start(false) else { return missing() };
    let folder = folder(&postgres, "trust");
    let server = Server::start_with(Arc::clone(&folder), &settings_for(""));
    let publisher = Publisher::begin(&server, GUN).await;
    // As a later version's migration would: a column and a table more, and what can still work with them.
    let names = postgres.run("trust", "SELECT DISTINCT schema_name FROM schema_versions");
    let tables = postgres.run("trust", "SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
    let mut statements = vec!["CREATE TABLE of_a_later_version (id BIGINT PRIMARY KEY);".to_owned()];
    let columns = tables.lines().map(|it| format!("ALTER TABLE {it} ADD COLUMN later TEXT DEFAULT 'later';"));
    statements.extend(columns);
    let later = |compatible_from: &str| {
        let each = names.lines().map(|name| {
            format!(
                "INSERT INTO schema_versions (schema_name, version, compatible_from) SELECT '{name}', \
                 max(version) + 1, {compatible_from} FROM schema_versions WHERE schema_name = '{name}';"
            )
        });
        each.collect::<String>()
    };
    // While the earlier one runs, and before it starts again.
    postgres.run("trust", &(statements.concat() + &later("1")));
    let (client, url) = publisher.again();
    let told = post(&client, &url, &[("targets", publisher.targets(2))]).await.expect("an answer");
    assert_eq!(told.0, StatusCode::OK, "{told:?}");
    drop(server);
    let server = Server::start_with(Arc::clone(&folder), &settings_for(""));
    let publisher = publisher.at(&server);
    let (client, url) = publisher.again();
    let told = post(&client, &url, &[("targets", publisher.targets(3))]).await.expect("an answer");
    assert_eq!(told.0, StatusCode::OK, "{told:?}");
    drop(server);
    postgres.run("trust", &later("max(version) + 1"));
    let output = Command::new(server_program())
        .arg("--config")
        .arg(folder.path().join("server.toml"))
        .env("TRUSTGATE_SERVER_STATE", folder.path().join("state"))
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("schema version") && said.contains("needs a program that knows version"), "{said}");
}

/// Started with a notary-server's configuration our server finds its files, and prints the command that takes them
/// over; it is tried as it stands.
#[test]
fn a_notary_servers_files_are_pointed_at() {
    let Some(postgres) = Postgres::start(false) else { return missing() };
    postgres.create("notaryserver", SERVER_TABLES);
    let mut repository = Repository::new(GUN);
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * 365);
    for role in ["root", "targets", "snapshot", "timestamp"] {
        repository.role(role).set_expires(soon);
    }
    repository.tag("targets", "v1", b"manifest");
    let files = repository.publish();
    for role in ["root", "targets", "snapshot", "timestamp"] {
        let content = files.get(role);
        let (bytes, hash) = (hex::encode(&content), hex::encode(Sha256::digest(&content)));
        let values = format!("'{GUN}', '{role}', 1, decode('{bytes}', 'hex'), '{hash}'");
        let insert = format!("INSERT INTO tuf_files (gun, role, version, data, sha256) VALUES ({values})");
        postgres.run("notaryserver", &insert);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = serde_json::json!({
        "server": {"http_addr": "127.0.0.1:0"},
        "trust_service": {"type": "local"},
        "storage": {"backend": "postgres", "db_url": postgres.url("notaryserver")}
    });
    let path = folder.path().join("server.json");
    fs::write(&path, settings.to_string()).expect("settings");
    let run = |command: &mut Command| {
        let output = command.env("TRUSTGATE_SERVER_STATE", folder.path().join("state")).output();
        let output = output.expect("it starts");
        [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned()).concat()
    };
    let check = || run(Command::new(server_program()).arg("check").arg("--config").arg(&path));
    let said = check();
    assert!(said.contains("the files of a notary-server: 1 repositories"), "{said}");
    let command = said.lines().find(|it| it.starts_with("  trustgate-server ")).expect("a command");
    let program = server_program();
    let programs = program.parent().expect("a folder").display();
    let imported = run(Command::new("sh").args(["-c", &format!("PATH={programs}:$PATH;{command}")]));
    assert!(imported.contains(GUN), "{imported}");
    let said = check();
    assert!(!said.contains("notary-server") && said.contains("works"), "{said}\nafter {imported}");
}

/// Two servers, each with a signer of its own, on the same tables: each goes on where the other was, also while the
/// key-encryption key is changed as the signer's documentation has it.
#[tokio::test(flavor = "multi_thread")]
async fn signers_that_share_a_table_are_one_signer() {
    let Some(postgres) = Postgres::start(false) else { return missing() };
    let folder = Arc::new(notary_signer::folder());
    for database in ["files", "keys"] {
        postgres.create(database, "");
        keep_address(&folder, database, &postgres, database);
    }
    let one = Signer::start(&folder, "one");
    let two = Signer::start(&folder, "two");
    let server = |signer: &Signer| {
        let remote = format!(
            "[signer.remote]\nhost = \"127.0.0.1\"\nport = {}\n\
             tls = {{ certificate = \"peer.crt\", key = \"peer.key\", authorities = \"ca.crt\" }}\n",
            signer.port
        );
        let storage = "[storage]\nbackend = \"postgres\"\nfile = \"files\"\n";
        let listen = "listen = \"127.0.0.1:0\"\ntls = { off = true }\n";
        Server::start_with(Arc::clone(&folder), &format!("{listen}{storage}{remote}"))
    };
    let servers = [server(&one), server(&two)];
    let mut publisher = Publisher::begin(&servers[0], GUN).await;
    let mut version = 1;
    let mut publish = async |publisher: Publisher| {
        let mut publisher = publisher;
        for server in &servers {
            publisher = publisher.at(server);
            version += 1;
            let (client, url) = publisher.again();
            let told =
                post(&client, &url, &[("targets", publisher.targets(version))]).await.expect("an answer");
            assert_eq!(told.0, StatusCode::OK, "version {version}: {told:?}");
        }
        publisher
    };
    publisher = publish(publisher).await;
    // First both must be able to open what the other seals anew; until both are told, each has its own.
    for (current, keys) in [("old", &["old", "new"][..]), ("new", &["old", "new"]), ("new", &["new"])] {
        for signer in [&one, &two] {
            signer.seal(&folder, current, keys);
            publisher = publish(publisher).await;
        }
    }
    let sealed = postgres.run("keys", "SELECT count(*) FROM sealed_keys");
    assert_eq!(sealed.trim(), "2", "a timestamp's and a snapshot's");
}

/// A signer of ours with a file of settings of its own, in a folder that it shares.
struct Signer {
    child: Child,
    port: u16,
    name: &'static str,
    lines: Receiver<String>,
}

impl Signer {
    fn start(folder: &tempfile::TempDir, name: &'static str) -> Self {
        write_signer_settings(folder, name, "old", &["old"]);
        let mut command = Command::new(signer_program());
        command.arg("--config").arg(folder.path().join(format!("{name}.toml")));
        command.env("KEK_OLD", "0a".repeat(32)).env("KEK_NEW", "0b".repeat(32));
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let lines = lines_of(child.stderr.take().expect("it is piped"));
        let line = wait_for(&lines, "listening at ");
        let port = line.rsplit_once(':').and_then(|(_, it)| it.parse().ok()).expect("a port");
        Self { child, port, name, lines }
    }

    /// Tells it to seal under this key, and which ones it has.
    fn seal(&self, folder: &tempfile::TempDir, current: &str, keys: &[&str]) {
        write_signer_settings(folder, self.name, current, keys);
        kill_process(Pid::from_child(&self.child), Signal::HUP).expect("it runs");
        wait_for(&self.lines, &format!("keys are sealed under `{current}`"));
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write_signer_settings(folder: &tempfile::TempDir, name: &str, current: &str, keys: &[&str]) {
    let mut settings = vec![format!(
        "listen = \"127.0.0.1:0\"\n\
         tls = {{ certificate = \"peer.crt\", key = \"peer.key\", authorities = \"ca.crt\" }}\n\
         storage = {{ backend = \"postgres\", file = \"keys\" }}\n[sealing]\ncurrent = \"{current}\"\n"
    )];
    let keys = keys.iter();
    settings
        .extend(keys.map(|it| format!("[sealing.keys.{it}]\nenvironment = \"KEK_{}\"\n", it.to_uppercase())));
    fs::write(folder.path().join(format!("{name}.toml")), settings.concat()).expect("settings");
}

/// A folder with the address of a database of its own.
pub(crate) fn folder(postgres: &Postgres, database: &str) -> Arc<tempfile::TempDir> {
    postgres.create(database, "");
    let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
    keep_address(&folder, "address", postgres, database);
    folder
}

/// The address of a database in a file that only its owner reads.
fn keep_address(folder: &tempfile::TempDir, name: &str, postgres: &Postgres, database: &str) {
    let path = folder.path().join(name);
    fs::write(&path, postgres.url(database)).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("the test's own file");
}

/// A server on the database whose address is in a file beside the settings.
pub(crate) fn settings_for(more: &str) -> String {
    format!("listen = \"127.0.0.1:0\"\n[storage]\nbackend = \"postgres\"\nfile = \"address\"\n{more}")
}

/// Says that PostgreSQL is missing, or fails where it must not be.
pub(crate) fn missing() {
    let required = std::env::var_os("TRUSTGATE_REQUIRE_ENGINES").is_some_and(|value| value == "1");
    assert!(!required, "missing here: PostgreSQL's server programs");
    skip("PostgreSQL");
}

const GUN: &str = "registry.example/lab/database";
/// What is said of a database that is away, as it keeps files or keys.
const AWAY: [&str; 2] = ["UPDATING", "NO_CRYPTOSERVICE"];
/// As notary-server's migrations leave them.
const SERVER_TABLES: &str = include_str!("../../testdata/notary/server.sql");
