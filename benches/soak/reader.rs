//! Who reads, as clients do: root, timestamp, and the rest by hash, all of it verified.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use trustgate::image::Gun;
use trustgate::tuf::{
    RoleName, RootChain, RootPins, TufError, Version, verify_snapshot, verify_targets, verify_timestamp,
};

use crate::client::Connection;
use crate::clock;
use crate::world::World;

/// Reads the cluster's repositories over and over, from all its servers.
pub(crate) async fn read(
    world: Arc<World>,
    cluster: usize,
    stopped: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut seen: BTreeMap<String, Version> = BTreeMap::new();
    let mut round = 0;
    while !*stopped.borrow() {
        round += 1;
        for path in world.paths(cluster) {
            let Ok(mut connection) = world.connect(cluster, round).await else { break };
            let reading =
                repository(&mut connection, &path, seen.get(&path).copied(), || clock::now(&world.clock()));
            match tokio::time::timeout(PATIENCE, reading).await {
                Ok(Ok(version)) => {
                    seen.insert(path, version);
                }
                // While nobody can sign, and right after the clock jumped, files are expired; the verdict
                // has a closer look.
                Ok(Err(Trouble::Connection | Trouble::Unverified(TufError::Expired { .. }))) | Err(_) => {}
                Ok(Err(Trouble::Unverified(error))) => anyhow::bail!("{path} does not verify: {error}"),
            }
        }
        tokio::time::sleep(BREATH).await;
    }
    Ok(())
}

/// Why a repository was not read.
pub(crate) enum Trouble {
    /// The server went away, or could not.
    Connection,
    /// What it sent is not what a client accepts.
    Unverified(TufError),
}

/// Reads one repository as a client that comes for the first time, but for the timestamp that it has
/// seen. Returns the timestamp's version.
pub(crate) async fn repository(
    connection: &mut Connection,
    path: &str,
    seen: Option<Version>,
    now: impl Fn() -> Timestamp,
) -> Result<Version, Trouble> {
    let gun: Gun = path
        .trim_start_matches("/v2/")
        .trim_end_matches("/_trust/tuf/")
        .parse()
        .expect("a repository that was published");
    let get = async |connection: &mut Connection, name: String| {
        connection.get(&format!("{path}{name}.json")).await.map_err(|_| Trouble::Connection)
    };
    let timestamp = get(connection, "timestamp".to_owned()).await?;
    let root = get(connection, "root".to_owned()).await?;
    let unverified = Trouble::Unverified;
    let chain =
        RootChain::bootstrap(&gun, root.to_vec(), &RootPins::TrustOnFirstUse, now()).map_err(unverified)?;
    let root = chain.root();
    let timestamp = verify_timestamp(root, timestamp.to_vec(), seen, now()).map_err(unverified)?;
    let hash = hex::encode(timestamp.snapshot().sha256);
    let snapshot = get(connection, format!("snapshot.{hash}")).await?;
    let snapshot = verify_snapshot(root, &timestamp, snapshot.to_vec(), None, now()).map_err(unverified)?;
    let listed = snapshot.meta(&RoleName::TARGETS).expect("the server lists what was published");
    let targets = get(connection, format!("targets.{}", hex::encode(listed.sha256))).await?;
    verify_targets(root, &snapshot, targets.to_vec(), None, now()).map_err(unverified)?;
    Ok(timestamp.version())
}

const PATIENCE: Duration = Duration::from_secs(20);
const BREATH: Duration = Duration::from_millis(20);
