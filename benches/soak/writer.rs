//! Who publishes: some to a repository of their own, some to one that they share.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hyper::StatusCode;
use tokio::sync::watch;

use crate::client::Connection;
use crate::repository::Repository;
use crate::world::World;

pub(crate) struct Writer {
    world: Arc<World>,
    cluster: usize,
    number: usize,
    repository: Arc<Repository>,
}

/// The writers of a cluster, with their repositories made.
pub(crate) async fn all(world: &Arc<World>, cluster: usize) -> anyhow::Result<Vec<Writer>> {
    let mut connection = world.connect(cluster, 0).await?;
    let mut writers = Vec::new();
    let names = (0..OWN).map(|it| (format!("own{it}"), 1)).chain([("shared".to_owned(), SHARING)]);
    for (name, sharing) in names {
        let name = format!("soak.example/{cluster}/{name}");
        let repository = Arc::new(Repository::publish(&mut connection, &name).await?);
        for _ in 0..sharing {
            let (world, repository) = (Arc::clone(world), Arc::clone(&repository));
            writers.push(Writer { world, cluster, number: writers.len(), repository });
        }
    }
    Ok(writers)
}

impl Writer {
    /// Publishes until it is told to stop. That a server does not answer, or says that it cannot, is part
    /// of the story; that it refuses what is right is not.
    pub(crate) async fn write(self, stopped: watch::Receiver<bool>) -> anyhow::Result<()> {
        let mut round = self.number;
        while !*stopped.borrow() {
            round += 1;
            let Ok(mut connection) = self.world.connect(self.cluster, round).await else {
                tokio::time::sleep(BREATH).await;
                continue;
            };
            for _ in 0..PUBLISHES {
                if *stopped.borrow() {
                    break;
                }
                // No answer within this time is as good as none.
                match tokio::time::timeout(PATIENCE, self.publish(&mut connection)).await {
                    Ok(Ok(Outcome::Answered)) => {}
                    Ok(Ok(Outcome::Failed)) => tokio::time::sleep(BREATH).await,
                    Ok(Err(Trouble::Never(reason))) => anyhow::bail!("{}: {reason}", self.repository.path),
                    Ok(Err(Trouble::Connection)) | Err(_) => break,
                }
            }
        }
        Ok(())
    }

    async fn publish(&self, connection: &mut Connection) -> Result<Outcome, Trouble> {
        let path = &self.repository.path;
        let current =
            connection.get(&format!("{path}targets.json")).await.map_err(|_| Trouble::Connection)?;
        let never = |it: anyhow::Error| Trouble::Never(it.to_string());
        let current: serde_json::Value = serde_json::from_slice(&current).map_err(|it| never(it.into()))?;
        let version = current["signed"]["version"].as_u64().context("no version").map_err(never)?;
        let file = self.repository.next(Some(version), 1).map_err(never)?;
        let posted = connection.post(path, &[("targets", &file)]).await;
        let (status, body) = posted.map_err(|_| Trouble::Connection)?;
        let body = String::from_utf8_lossy(&body);
        match status {
            StatusCode::OK => {
                self.world.note(self.cluster, path, version + 1, file);
                Ok(Outcome::Answered)
            }
            StatusCode::BAD_REQUEST if body.contains("\"VERSION\"") => Ok(Outcome::Answered),
            status if status.is_server_error() => Ok(Outcome::Failed),
            status => Err(Trouble::Never(format!("{status} {body}"))),
        }
    }
}

enum Outcome {
    /// Published, or somebody else was faster.
    Answered,
    /// The server said that it could not.
    Failed,
}

enum Trouble {
    Connection,
    Never(String),
}

const OWN: usize = 3;
const SHARING: usize = 3;
/// Publishes over one connection, before the next server has its turn.
const PUBLISHES: usize = 25;
const PATIENCE: Duration = Duration::from_secs(15);
const BREATH: Duration = Duration::from_millis(200);
