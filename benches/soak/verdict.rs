//! Whether everything that was acknowledged is there, and everybody can read it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use jiff::Timestamp;

use crate::reader::{Trouble, repository};
use crate::tell;
use crate::world::World;

pub(crate) async fn judge(world: &World) -> anyhow::Result<()> {
    let book = world.acknowledged.lock().expect("no panic holds it").clone();
    let mut publishes = 0;
    for ((cluster, path), versions) in &book {
        for (part, address) in &world.clusters[*cluster].servers {
            let mut connection = world.dialer.dial(*address).await?;
            for (version, file) in versions {
                let stored = connection.get(&format!("{path}{version}.targets.json")).await;
                let stored =
                    stored.with_context(|| format!("lost: version {version}, at server {}", part.name))?;
                ensure!(
                    stored == file.as_slice(),
                    "{path}: version {version} is another one at {}",
                    part.name
                );
            }
            let current = connection.get(&format!("{path}targets.json")).await?;
            let current: serde_json::Value = serde_json::from_slice(&current)?;
            let newest = versions.keys().next_back().copied();
            ensure!(newest <= current["signed"]["version"].as_u64(), "{path} went back at {}", part.name);
            match repository(&mut connection, path, None, Timestamp::now).await {
                Ok(_) => {}
                Err(Trouble::Connection) => anyhow::bail!("{path} cannot be read at {}", part.name),
                Err(Trouble::Unverified(error)) => anyhow::bail!("{path} does not verify: {error}"),
            }
            clients(world, &address.to_string(), path).await?;
        }
        publishes += versions.len();
    }
    ensure!(publishes >= FEWEST, "only {publishes} publishes were acknowledged: that proves nothing");
    tell(&format!("{publishes} acknowledged publishes to {} repositories are all there", book.len()));
    Ok(())
}

/// Docker's client, notary's and ours, each for the first time.
async fn clients(world: &World, address: &str, path: &str) -> anyhow::Result<()> {
    let name = path.trim_start_matches("/v2/").trim_end_matches("/_trust/tuf/");
    let authority = world.folder.path().join("ca.crt");
    let config = tempfile::tempdir()?;
    let tls = config.path().join("tls").join(address);
    std::fs::create_dir_all(&tls)?;
    std::fs::copy(&authority, tls.join("ca.crt"))?;
    let server = format!("https://{address}");
    let trustgate = program("TRUSTGATE_BIN", "trustgate")?;
    let mut ours = Command::new(trustgate);
    ours.arg("--config").arg(config.path()).args(["verify", &format!("{name}:v0")]);
    let mut notary = Command::new(program("LAB_NOTARY", "notary")?);
    notary.args(["-s", &server, "--tlscacert"]).arg(&authority).arg("-d").arg(config.path().join("notary"));
    notary.args(["lookup", name, "v0"]);
    let mut docker = Command::new(program("LAB_DOCKER", "docker")?);
    docker.env("DOCKER_CONFIG", config.path()).args(["trust", "inspect", &format!("{name}:v0")]);
    for mut command in [ours, notary, docker] {
        command.env("DOCKER_CONTENT_TRUST_SERVER", &server);
        let mut command = tokio::process::Command::from(command);
        let output = tokio::time::timeout(CLIENT_PATIENCE, command.output()).await??;
        let said = String::from_utf8_lossy(&output.stdout);
        // docker answers `[]` where there is nothing.
        let fine = output.status.success() && said.trim() != "[]";
        ensure!(fine, "{command:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

fn program(variable: &str, name: &str) -> anyhow::Result<std::path::PathBuf> {
    let path = std::env::var_os(variable)
        .with_context(|| format!("{variable} does not name `{name}`; run `make soak`"))?;
    ensure!(Path::new(&path).exists(), "there is no {}", Path::new(&path).display());
    Ok(path.into())
}

/// A run that acknowledged less than this was too short, or something was wrong all the time.
const FEWEST: usize = 50;
const CLIENT_PATIENCE: Duration = Duration::from_mins(1);
