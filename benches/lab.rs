//! The lab that `scripts/bench` started, as its environment tells, and what is published in it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

/// Where everything is.
pub(crate) struct Lab {
    /// A folder of the lab's own.
    pub(crate) folder: PathBuf,
    /// The registry's `host:port`.
    pub(crate) registry: String,
    /// The trust server's address.
    pub(crate) trust_server: SocketAddr,
    /// The certificate authority that signed the trust server's certificate.
    pub(crate) authority: PathBuf,
    /// The lab's engine, as `DOCKER_HOST` names it.
    pub(crate) docker_host: String,
    /// A static busybox.
    pub(crate) busybox: PathBuf,
    /// Debian 12's `notary`.
    pub(crate) notary: PathBuf,
    /// The folder with the released programs.
    pub(crate) programs: PathBuf,
}

impl Lab {
    /// Reads `LAB_*` and `TRUSTGATE_RELEASE`.
    pub(crate) fn from_environment() -> anyhow::Result<Self> {
        Ok(Self {
            folder: variable("LAB_DIR")?.into(),
            registry: variable("LAB_REGISTRY")?,
            trust_server: variable("LAB_TRUST_HOST")?.parse()?,
            authority: variable("LAB_TRUST_CA")?.into(),
            docker_host: variable("LAB_DOCKER_HOST")?,
            busybox: variable("LAB_BUSYBOX")?.into(),
            notary: variable("LAB_NOTARY")?.into(),
            programs: variable("TRUSTGATE_RELEASE")?.into(),
        })
    }

    /// One of the project's own programs, as released.
    pub(crate) fn program(&self, name: &str) -> Command {
        Command::new(self.programs.join(name))
    }

    /// The commands that build on the lab's engines, by what the report calls them.
    pub(crate) fn engines(&self) -> Vec<(&'static str, PathBuf)> {
        [("dockerd 20.10, BuildKit 0.8", "bin/docker"), ("dockerd 26.1, BuildKit 0.13", "bin/buildx-trixie")]
            .into_iter()
            .map(|(name, program)| (name, self.folder.join(program)))
            .filter(|(_, program)| program.exists())
            .collect()
    }

    /// Debian 12's docker, talking to the lab's engine.
    pub(crate) fn docker(&self, config: &Path) -> Command {
        let mut command = Command::new(self.folder.join("bin/docker"));
        command.env("LAB_CONFIG", config);
        command
    }

    /// Debian 12's `notary`, which keeps what it knows in `trust`.
    pub(crate) fn notary(&self, server: &str, trust: &Path) -> Command {
        let mut command = Command::new(&self.notary);
        command.args(["--server", server, "--tlscacert"]).arg(&self.authority).arg("--trustDir").arg(trust);
        with_passphrase(&mut command, DRAWN_PASSPHRASE);
        command
    }

    /// A docker configuration folder that trusts the authority for this server, with no trust data yet.
    pub(crate) fn configuration(&self, name: &str, server: SocketAddr) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join("bench").join(name);
        let tls = folder.join("tls").join(server.to_string());
        fs::create_dir_all(&tls)?;
        fs::copy(&self.authority, tls.join("ca.crt"))?;
        Ok(folder)
    }

    /// The trust folder with the keys of all that `notary` published here.
    pub(crate) fn publisher(&self) -> PathBuf {
        self.folder.join("bench/publisher")
    }

    /// Signs one tag with the real `notary` in a new repository of the lab's trust server.
    pub(crate) fn publish(&self, repository: &str, tag: &str, digest_hex: &str) -> anyhow::Result<()> {
        let server = format!("https://{}", self.trust_server);
        let trust = self.publisher();
        run(self.notary(&server, &trust).args(["init", "--publish", repository]))?;
        run(self.notary(&server, &trust).args([
            "addhash",
            "--publish",
            repository,
            tag,
            "528",
            "--sha256",
            digest_hex,
        ]))
    }
}

/// A passphrase as notary, docker and trustgate take it from the environment.
pub(crate) fn with_passphrase(command: &mut Command, passphrase: &str) {
    for role in ["ROOT", "TARGETS", "SNAPSHOT", "DELEGATION"] {
        command.env(format!("NOTARY_{role}_PASSPHRASE"), passphrase);
    }
    for role in ["ROOT", "REPOSITORY"] {
        command.env(format!("DOCKER_CONTENT_TRUST_{role}_PASSPHRASE"), passphrase);
    }
}

/// Runs a command that must succeed.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} ended with {}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Empties a folder of trust data: the next run is a first one.
pub(crate) fn forget(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder.join("trust/tuf")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn variable(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set; run this by `make bench`"))
}

/// As long as what `openssl rand -hex 16` prints. The lab is gone after the run, and its keys with it.
pub(crate) const DRAWN_PASSPHRASE: &str = "0123456789abcdef0123456789abcdef";
/// As long as somebody may type.
pub(crate) const TYPED_PASSPHRASE: &str = "a typed passphrase";
