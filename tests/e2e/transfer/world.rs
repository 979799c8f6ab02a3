//! A real notary-server and notary-signer over a database, and our server that takes their place.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::notary_signer::{Running, free_port, program};

/// Notary's own programs.
pub(super) struct Programs {
    pub(super) server: PathBuf,
    pub(super) signer: PathBuf,
    pub(super) client: PathBuf,
}

impl Programs {
    /// Says what is missing where one is.
    pub(super) fn find() -> Option<Self> {
        let find = |name| program(name);
        Some(Self { server: find("notary-server")?, signer: find("notary-signer")?, client: find("notary")? })
    }
}

/// Where Notary keeps what it has.
pub(super) struct Backend<'a> {
    /// As Notary calls it.
    pub(super) name: &'a str,
    /// The address of the server's database.
    pub(super) files: String,
    /// The address of the signer's.
    pub(super) keys: String,
}

/// Both of Notary's processes; they end with the value.
pub(super) struct Notary {
    pub(super) port: u16,
    _server: Running,
    _signer: Running,
}

impl Notary {
    /// Starts them with the certificates of this folder.
    pub(super) fn start(programs: &Programs, here: &Path, backend: &Backend<'_>) -> Self {
        let (signer_port, port) = (free(), free());
        let signer = json!({
            "server": {"grpc_addr": format!("127.0.0.1:{signer_port}"), "tls_cert_file": "./peer.crt",
                       "tls_key_file": "./peer.key", "client_ca_file": "./ca.crt"},
            "logging": {"level": "error"},
            "storage": {"backend": backend.name, "db_url": backend.keys, "default_alias": "alias1"}
        });
        let server = json!({
            "server": {"http_addr": format!("127.0.0.1:{port}"), "tls_cert_file": "./peer.crt",
                       "tls_key_file": "./peer.key"},
            "trust_service": {"type": "remote", "hostname": "127.0.0.1", "port": signer_port.to_string(),
                              "tls_ca_file": "./ca.crt", "tls_client_cert": "./peer.crt",
                              "tls_client_key": "./peer.key", "key_algorithm": "ecdsa"},
            "logging": {"level": "error"},
            "storage": {"backend": backend.name, "db_url": backend.files}
        });
        let command = |program: &Path, name: &str, settings: &Value| {
            fs::write(here.join(name), settings.to_string()).expect("a configuration");
            let mut command = Command::new(program);
            command.arg("-config").arg(here.join(name)).env("NOTARY_SIGNER_ALIAS1", PASSPHRASE);
            command
        };
        let signer = Running::start(&mut command(&programs.signer, "signer.json", &signer), signer_port);
        let server = Running::start(&mut command(&programs.server, "server.json", &server), port);
        Self { port, _server: server, _signer: signer }
    }
}

/// Our server at Notary's address and with its certificate, but with a state of its own.
pub(super) struct Ours<'a> {
    here: &'a Path,
    name: &'a str,
    port: u16,
}

impl<'a> Ours<'a> {
    pub(super) fn new(here: &'a Path, name: &'a str, port: u16) -> Self {
        let tls = "[tls]\ncertificate = \"peer.crt\"\nkey = \"peer.key\"\n";
        let settings = format!("listen = [\"127.0.0.1:{port}\"]\n{tls}");
        fs::write(here.join(format!("{name}.toml")), settings).expect("settings");
        Self { here, name, port }
    }

    pub(super) fn start(&self) -> Running {
        Running::start(&mut self.command(&[]), self.port)
    }

    /// Imports everything, of which nothing may be left out; returns what is said of it.
    pub(super) fn import(&self, files: &str, keys: &str) -> Value {
        let words = ["import", "--strict", "--output", "json", "--notary-server"];
        let mut command = self.command(&words);
        let output = command.arg(files).args(["--notary-signer", keys]).output().expect("our server starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let name = self.name;
        assert!(output.status.success(), "{name}: {}{}", text(&output.stderr), text(&output.stdout));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trustgate-server"));
        command.arg("--config").arg(self.here.join(format!("{}.toml", self.name))).args(words);
        command.env("TRUSTGATE_SERVER_STATE", self.here.join(self.name)).current_dir(self.here);
        command.env("NOTARY_SIGNER_ALIAS1", PASSPHRASE);
        command
    }
}

fn free() -> u16 {
    let (port, listener) = free_port();
    drop(listener);
    port
}

const PASSPHRASE: &str = "signerpassphrase1";
