//! A real notary-server and notary-signer over PostgreSQL, moved into ours: their clients go on.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::notary_signer::{Running, ask, folder, free_port, program};
use crate::support::postgres::Postgres;
use crate::support::skip;

#[test]
#[expect(clippy::too_many_lines, reason = "it is one story, told in its order")]
fn clients_of_a_notary_server_go_on_with_ours() {
    let (Some(server), Some(signer), Some(notary)) =
        (program("notary-server"), program("notary-signer"), program("notary"))
    else {
        return;
    };
    let Some(postgres) = Postgres::start(false) else {
        let required = std::env::var_os("TRUSTGATE_REQUIRE_ENGINES").is_some_and(|value| value == "1");
        assert!(!required, "missing here: PostgreSQL's server programs");
        return skip("PostgreSQL");
    };
    postgres.create("notaryserver", SERVER_TABLES);
    postgres.create("notarysigner", SIGNER_TABLES);
    let folder = folder();
    let here = folder.path();
    let (signer_port, server_port) = (port(), port());
    write(
        &here.join("signer.json"),
        &json!({
            "server": {"grpc_addr": format!("127.0.0.1:{signer_port}"), "tls_cert_file": "./peer.crt",
                       "tls_key_file": "./peer.key", "client_ca_file": "./ca.crt"},
            "logging": {"level": "error"},
            "storage": {"backend": "postgres", "db_url": postgres.url("notarysigner"), "default_alias": "alias1"}
        }),
    );
    write(
        &here.join("server.json"),
        &json!({
            "server": {"http_addr": format!("127.0.0.1:{server_port}"), "tls_cert_file": "./peer.crt",
                       "tls_key_file": "./peer.key"},
            "trust_service": {"type": "remote", "hostname": "127.0.0.1", "port": signer_port.to_string(),
                              "tls_ca_file": "./ca.crt", "tls_client_cert": "./peer.crt",
                              "tls_client_key": "./peer.key", "key_algorithm": "ecdsa"},
            "logging": {"level": "error"},
            "storage": {"backend": "postgres", "db_url": postgres.url("notaryserver")}
        }),
    );
    let notary_signer = {
        let mut command = Command::new(signer);
        command.arg("-config").arg(here.join("signer.json")).env("NOTARY_SIGNER_ALIAS1", PASSPHRASE);
        Running::start(&mut command, signer_port)
    };
    let notary_server =
        Running::start(Command::new(server).arg("-config").arg(here.join("server.json")), server_port);
    let content = here.join("content");
    fs::write(&content, "content").expect("a target");
    let content = content.to_str().expect("a path");
    for gun in GUNS {
        ask(&notary, here, server_port, &["init", "-p", gun]);
        ask(&notary, here, server_port, &["key", "rotate", gun, "snapshot", "-r"]);
        ask(&notary, here, server_port, &["add", "-p", gun, "1", content]);
    }
    ask(&notary, here, server_port, &["add", "-p", GUNS[0], "2", content]);
    let (files, keys) = (here.join("files.sql"), here.join("keys.sql"));
    fs::write(&files, dump(&postgres.url("notaryserver"), &[])).expect("a dump");
    fs::write(&keys, dump(&postgres.url("notarysigner"), &["--inserts"])).expect("a dump");
    let addresses = (postgres.url("notaryserver"), postgres.url("notarysigner"));
    let dumps = (files.display().to_string(), keys.display().to_string());
    drop((notary_server, notary_signer));

    for (from, (files, keys)) in [("running", addresses), ("dumped", dumps)] {
        let state = here.join(from);
        let port = port();
        let settings = here.join(format!("{from}.toml"));
        fs::write(&settings, format!("listen = [\"127.0.0.1:{port}\"]\n")).expect("settings");
        let ours = |arguments: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_trustgate-server"));
            command.arg("--config").arg(&settings).args(arguments).current_dir(here);
            command.env("TRUSTGATE_SERVER_STATE", &state).env("NOTARY_SIGNER_ALIAS1", PASSPHRASE);
            command
        };
        let import = |outcome: &str, keys_imported: u64| {
            let arguments = [
                "import",
                "--strict",
                "--output",
                "json",
                "--notary-server",
                &files,
                "--notary-signer",
                &keys,
            ];
            let output = ours(&arguments).output().expect("our server starts");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{from}: {said}{}", String::from_utf8_lossy(&output.stdout));
            let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
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
        let _server = Running::start(&mut ours(&[]), port);
        // The client's folder as it was, with what it knows of versions and keys, and our certificate's authority.
        let client = here.join(format!("client-{from}"));
        fs::create_dir(&client).expect("a folder");
        copy(&here.join("trust"), &client.join("trust"));
        fs::copy(state.join("ca.crt"), client.join("ca.crt")).expect("an authority");
        for gun in GUNS {
            let listed = ask(&notary, &client, port, &["list", gun]);
            assert!(listed.contains("\n1 "), "{from}: {listed}");
            ask(&notary, &client, port, &["add", "-p", gun, "3", content]);
            let listed = ask(&notary, &client, port, &["list", gun]);
            assert!(listed.contains("\n1 ") && listed.contains("\n3 "), "{from}: {listed}");
        }
        ask(&notary, &client, port, &["key", "rotate", GUNS[0], "timestamp", "-r"]);
        ask(&notary, &client, port, &["add", "-p", GUNS[0], "4", content]);

        // What was published since is not taken back by doing it again.
        import("kept", 0);
        let listed = ask(&notary, &client, port, &["list", GUNS[0]]);
        assert!(listed.contains("\n2 ") && listed.contains("\n4 "), "{from}: {listed}");
    }
}

/// What `pg_dump` prints of a database.
fn dump(address: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("pg_dump").args(arguments).arg(address).output().expect("pg_dump starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn write(path: &Path, value: &Value) {
    fs::write(path, value.to_string()).expect("a configuration");
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp starts");
    assert!(copied.success(), "cp");
}

fn port() -> u16 {
    let (port, listener) = free_port();
    drop(listener);
    port
}

const GUNS: [&str; 2] = ["127.0.0.1/acme/base", "127.0.0.1/acme/app"];
const PASSPHRASE: &str = "signerpassphrase1";
/// As notary-server's and notary-signer's migrations leave them.
const SERVER_TABLES: &str = "CREATE TABLE tuf_files (id serial PRIMARY KEY, created_at timestamp, \
    updated_at timestamp, deleted_at timestamp, gun varchar(255) NOT NULL, role varchar(255) NOT NULL, \
    version integer NOT NULL, data bytea NOT NULL, sha256 char(64), UNIQUE (gun, role, version)); \
    CREATE TABLE change_category (category varchar(20) PRIMARY KEY); \
    INSERT INTO change_category VALUES ('update'), ('deletion'); \
    CREATE TABLE changefeed (id serial PRIMARY KEY, created_at timestamp DEFAULT CURRENT_TIMESTAMP, \
    gun varchar(255) NOT NULL, version integer NOT NULL, sha256 char(64), \
    category varchar(20) NOT NULL DEFAULT 'update' REFERENCES change_category)";
const SIGNER_TABLES: &str = "CREATE TABLE private_keys (id serial PRIMARY KEY, created_at timestamp, \
    updated_at timestamp, deleted_at timestamp, key_id varchar(255) NOT NULL UNIQUE, \
    encryption_alg varchar(255) NOT NULL, keywrap_alg varchar(255) NOT NULL, algorithm varchar(50) NOT NULL, \
    passphrase_alias varchar(50) NOT NULL, public bytea NOT NULL, private bytea NOT NULL, \
    gun varchar(255) NOT NULL, role varchar(255) NOT NULL, last_used timestamp)";
