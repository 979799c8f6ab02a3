//! A real notary-server and notary-signer over a database, moved into ours: their clients go on.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use self::world::{Backend, Notary, Ours, Programs};
use crate::notary_signer::{ask, folder};

mod docker;
mod tables;
mod world;

#[test]
fn clients_of_a_notary_server_on_postgresql_go_on_with_ours() {
    let Some(programs) = Programs::find() else { return };
    let Some((_postgres, backend)) = tables::postgres() else { return };
    clients_go_on(&programs, &backend, |here| {
        let (files, keys) = (here.join("files.sql"), here.join("keys.sql"));
        fs::write(&files, dump(&backend.files, &[])).expect("a dump");
        fs::write(&keys, dump(&backend.keys, &["--inserts"])).expect("a dump");
        vec![
            Source { name: "running", files: backend.files.clone(), keys: backend.keys.clone() },
            Source::dumped("dumped", &files, &keys),
        ]
    });
}

#[test]
fn clients_of_a_notary_server_on_mariadb_go_on_with_ours() {
    let Some(programs) = Programs::find() else { return };
    let Some((mariadb, backend)) = tables::mariadb() else { return };
    clients_go_on(&programs, &backend, |here| {
        let write = |name: &str, arguments: &[&str]| {
            fs::write(here.join(name), mariadb.dump(arguments)).expect("a dump");
            here.join(name)
        };
        let files = write("files.sql", &["--hex-blob", "notaryserver"]);
        let keys = write("keys.sql", &["--hex-blob", "notarysigner"]);
        // Bytes as a text with escapes, and a statement for each row.
        let words = ["--skip-extended-insert", "--complete-insert", "--databases", "notaryserver"];
        let (plain, plain_keys) = (write("plain.sql", &words), write("keys-plain.sql", &["notarysigner"]));
        // What a backup of the whole machine is.
        let all = write("all.sql", &["--all-databases", "--single-transaction", "--hex-blob"]);
        vec![
            Source::dumped("hexadecimal", &files, &keys),
            Source::dumped("plain", &plain, &plain_keys),
            Source::dumped("all", &all, &all),
        ]
    });
}

/// A thing to import from.
struct Source {
    name: &'static str,
    files: String,
    keys: String,
}

impl Source {
    fn dumped(name: &'static str, files: &Path, keys: &Path) -> Self {
        Self { name, files: files.display().to_string(), keys: keys.display().to_string() }
    }
}

/// Clients of Notary publish, and go on with what ours imported from each source.
fn clients_go_on(programs: &Programs, backend: &Backend<'_>, sources: impl FnOnce(&Path) -> Vec<Source>) {
    let folder = folder();
    let here = folder.path();
    let notary = Notary::start(programs, here, backend);
    let (port, client) = (notary.port, &programs.client);
    let content = here.join("content");
    fs::write(&content, "content").expect("a target");
    let content = content.to_str().expect("a path");
    for gun in GUNS {
        ask(client, here, port, &["init", "-p", gun]);
        ask(client, here, port, &["key", "rotate", gun, "snapshot", "-r"]);
        ask(client, here, port, &["add", "-p", gun, "1", content]);
    }
    ask(client, here, port, &["add", "-p", GUNS[0], "2", content]);
    let sources = sources(here);
    drop(notary);

    for Source { name, files, keys } in sources {
        let ours = Ours::new(here, name, port);
        let import = |outcome: &str, keys_imported: u64| {
            let report = ours.import(&files, &keys);
            let repositories = report["repositories"].as_array().expect("a list");
            assert_eq!(repositories.len(), GUNS.len(), "{report}");
            for it in repositories {
                assert_eq!((&it["outcome"], &it["keys_missing"]), (&json!(outcome), &json!([])), "{report}");
            }
            assert_eq!(report["keys"]["imported"], keys_imported, "{report}");
        };
        // A timestamp's and a snapshot's key for each.
        import("imported", 4);
        import("unchanged", 0);
        let _server = ours.start();
        // The client's folder as it was, with what it knows of versions and keys.
        let theirs = here.join(format!("client-{name}"));
        fs::create_dir(&theirs).expect("a folder");
        copy(&here.join("trust"), &theirs.join("trust"));
        copy(&here.join("ca.crt"), &theirs.join("ca.crt"));
        for gun in GUNS {
            let listed = ask(client, &theirs, port, &["list", gun]);
            assert!(listed.contains("\n1 "), "{name}: {listed}");
            ask(client, &theirs, port, &["add", "-p", gun, "3", content]);
            let listed = ask(client, &theirs, port, &["list", gun]);
            assert!(listed.contains("\n1 ") && listed.contains("\n3 "), "{name}: {listed}");
        }
        ask(client, &theirs, port, &["key", "rotate", GUNS[0], "timestamp", "-r"]);
        ask(client, &theirs, port, &["add", "-p", GUNS[0], "4", content]);

        // What was published since is not taken back by doing it again.
        import("kept", 0);
        let listed = ask(client, &theirs, port, &["list", GUNS[0]]);
        assert!(listed.contains("\n2 ") && listed.contains("\n4 "), "{name}: {listed}");
    }
}

/// What `pg_dump` prints of a database.
fn dump(address: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("pg_dump").args(arguments).arg(address).output().expect("pg_dump starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp starts");
    assert!(copied.success(), "cp");
}

const GUNS: [&str; 2] = ["127.0.0.1/acme/base", "127.0.0.1/acme/app"];
