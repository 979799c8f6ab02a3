//! Trust servers to be measured: ours and Debian's, each with its signer, over the same kinds of storage.

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::json;

use super::client::Dialer;
use crate::lab::Lab;
use crate::postgres::Postgres;
use crate::private;

/// A server and its signer, where it has one; they end when this is dropped.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    /// The SQLite file, where it has one.
    pub(crate) database: PathBuf,
    server: Child,
    signer: Option<Child>,
}

/// Where a contender keeps files.
#[derive(Clone, Copy)]
pub(crate) enum Backend<'a> {
    Memory,
    Sqlite,
    Postgres(&'a Postgres),
}

impl Contender {
    /// Debian's notary-server with Debian's notary-signer.
    pub(crate) async fn notary(
        lab: &Lab,
        dialer: &Dialer,
        name: &'static str,
        backend: Backend<'_>,
    ) -> anyhow::Result<Self> {
        let folder = folder(lab, name)?;
        let storage = |which: &str| match backend {
            Backend::Postgres(postgres) => {
                let database = format!("notary-{which}");
                postgres.create(&database, if which == "server" { SERVER_TABLES } else { SIGNER_TABLES });
                json!({"backend": "postgres", "db_url": postgres.url(&database), "default_alias": "bench"})
            }
            _ => json!({"backend": "memory"}),
        };
        let (address, signer_address) = (free()?, free()?);
        private::write(&folder.join("signer.json"), &signer_json(lab, signer_address, &storage("signer")))?;
        private::write(
            &folder.join("server.json"),
            &server_json(lab, address, signer_address, &storage("server")),
        )?;
        let programs = lab.notary.parent().context("notary is in a folder")?.to_owned();
        let mut signer = Command::new(programs.join("notary-signer"));
        signer.arg("-config").arg(folder.join("signer.json")).env("NOTARY_SIGNER_BENCH", "a passphrase");
        let mut server = Command::new(programs.join("notary-server"));
        server.arg("-config").arg(folder.join("server.json"));
        Self::start(dialer, name, &folder, address, server, Some(signer)).await
    }

    /// Our server; on PostgreSQL with our signer as a process of its own, as Notary's are.
    pub(crate) async fn ours(
        lab: &Lab,
        dialer: &Dialer,
        name: &'static str,
        backend: Backend<'_>,
    ) -> anyhow::Result<Self> {
        let folder = folder(lab, name)?;
        let (address, signer_address) = (free()?, free()?);
        let certificates = lab.folder.join("certificates");
        let certificates = certificates.display();
        let mut settings = format!(
            "listen = \"{address}\"\nstate = \"{}\"\n\
             [tls]\ncertificate = \"{certificates}/server.crt\"\nkey = \"{certificates}/server.key\"\n",
            folder.display()
        );
        let mut signer = None;
        match backend {
            Backend::Memory => settings.push_str("[storage]\nbackend = \"memory\"\n"),
            Backend::Sqlite => {}
            Backend::Postgres(postgres) => {
                for part in ["server", "signer"] {
                    let database = format!("trustgate-{part}");
                    postgres.create(&database, "");
                    private::write(&folder.join(format!("{part}-database")), &postgres.url(&database))?;
                }
                write!(
                    settings,
                    "[storage]\nbackend = \"postgres\"\nfile = \"server-database\"\n[signer.remote]\nhost = \"127.0.0.1\"\n\
                     port = {}\n[signer.remote.tls]\nauthorities = \"{certificates}/ca.crt\"\n\
                     certificate = \"{certificates}/server.crt\"\nkey = \"{certificates}/server.key\"\n",
                    signer_address.port()
                )?;
                private::write(&folder.join("kek"), &format!("{:064x}", 7))?;
                private::write(
                    &folder.join("signer.toml"),
                    &format!(
                        "listen = \"{signer_address}\"\n[tls]\ncertificate = \"{certificates}/signer.crt\"\n\
                         key = \"{certificates}/signer.key\"\nauthorities = \"{certificates}/ca.crt\"\n\
                         [storage]\nbackend = \"postgres\"\nfile = \"signer-database\"\n\
                         [sealing]\ncurrent = \"bench\"\n[sealing.keys.bench]\nfile = \"kek\"\n"
                    ),
                )?;
                let mut command = lab.program("trustgate-signer");
                command.arg("--config").arg(folder.join("signer.toml"));
                signer = Some(command);
            }
        }
        private::write(&folder.join("server.toml"), &settings)?;
        let mut server = lab.program("trustgate-server");
        server.arg("--config").arg(folder.join("server.toml"));
        Self::start(dialer, name, &folder, address, server, signer).await
    }

    async fn start(
        dialer: &Dialer,
        name: &'static str,
        folder: &Path,
        address: SocketAddr,
        mut server: Command,
        signer: Option<Command>,
    ) -> anyhow::Result<Self> {
        let launch = |command: &mut Command, log: &str| {
            let log = fs::File::create(folder.join(log))?;
            let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
            child.with_context(|| format!("starting {command:?}"))
        };
        let signer = signer.map(|mut it| launch(&mut it, "signer.log")).transpose()?;
        let server = launch(&mut server, "server.log")?;
        let database = folder.join("server.db");
        let contender = Self { name, address, database, server, signer };
        if let Err(error) = dialer.until_signing(address, Instant::now() + START_DEADLINE).await {
            let log = fs::read_to_string(folder.join("server.log")).unwrap_or_default();
            bail!("{name} does not come up: {error}: {log}")
        }
        Ok(contender)
    }

    /// The resident set of the server now, in KiB.
    pub(crate) fn memory_kib(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.server.id()))?;
        let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:")).context("no VmHWM")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        for child in std::iter::once(&mut self.server).chain(&mut self.signer) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn signer_json(lab: &Lab, address: SocketAddr, storage: &serde_json::Value) -> String {
    let certificate = |name: &str| lab.folder.join("certificates").join(name);
    json!({
        "server": {
            "grpc_addr": address.to_string(),
            "tls_cert_file": certificate("signer.crt"),
            "tls_key_file": certificate("signer.key"),
            "client_ca_file": certificate("ca.crt")
        },
        "logging": {"level": "error"},
        "storage": storage
    })
    .to_string()
}

fn server_json(lab: &Lab, address: SocketAddr, signer: SocketAddr, storage: &serde_json::Value) -> String {
    let certificate = |name: &str| lab.folder.join("certificates").join(name);
    json!({
        "server": {
            "http_addr": address.to_string(),
            "tls_cert_file": certificate("server.crt"),
            "tls_key_file": certificate("server.key")
        },
        "trust_service": {
            "type": "remote", "hostname": "127.0.0.1", "port": signer.port().to_string(),
            "tls_ca_file": certificate("ca.crt"), "tls_client_cert": certificate("server.crt"),
            "tls_client_key": certificate("server.key"), "key_algorithm": "ecdsa"
        },
        "logging": {"level": "error"},
        "storage": storage
    })
    .to_string()
}

pub(super) fn folder(lab: &Lab, name: &str) -> anyhow::Result<PathBuf> {
    let name: String = name.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '-' }).collect();
    let folder = lab.folder.join("bench/servers").join(name);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

pub(super) fn free() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

const START_DEADLINE: Duration = Duration::from_mins(1);
/// The tables that a notary-server expects to find.
const SERVER_TABLES: &str = include_str!("../../testdata/notary/server.sql");
/// The tables that a notary-signer expects to find.
const SIGNER_TABLES: &str = include_str!("../../testdata/notary/signer.sql");
