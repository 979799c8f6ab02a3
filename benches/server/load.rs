//! What is asked of a trust server, and how fast it answers.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use hyper::StatusCode;

use super::client::Dialer;
use super::repository::Repository;

/// Requests in a second.
pub(crate) type Rate = f64;

/// GETs of one path over several connections at once.
pub(crate) async fn read(
    dialer: &Dialer,
    address: SocketAddr,
    path: &str,
    each: u32,
) -> anyhow::Result<Rate> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut connection = dialer.dial(address).await?;
        connection.get(path).await?;
        connections.push(connection);
    }
    let start = Instant::now();
    let readers = connections.into_iter().map(|mut connection| async move {
        for _ in 0..each {
            connection.get(path).await?;
        }
        anyhow::Ok(())
    });
    try_join_all(readers).await?;
    Ok(rate(CONNECTIONS * each, start.elapsed()))
}

/// The median time of one GET over a warm connection, with nothing else going on.
pub(crate) async fn latency(
    dialer: &Dialer,
    address: SocketAddr,
    paths: &[String],
) -> anyhow::Result<Duration> {
    let mut connection = dialer.dial(address).await?;
    let mut times = Vec::new();
    for path in paths.iter().cycle().take(LATENCY_SAMPLES) {
        let start = Instant::now();
        connection.get(path).await?;
        times.push(start.elapsed());
    }
    Ok(crate::measure::median(times))
}

/// Writers, each with a repository of its own, one publish after the other.
pub(crate) async fn write(
    dialer: &Dialer,
    address: SocketAddr,
    names: &[String],
    each: u32,
) -> anyhow::Result<Rate> {
    let mut writers = Vec::new();
    for name in names {
        let mut connection = dialer.dial(address).await?;
        let repository = Repository::publish(&mut connection, name).await?;
        // Signed before, as this is not what is measured.
        let files = (1..=u64::from(each)).map(|version| repository.next(Some(version), 1));
        writers.push((connection, repository.path.clone(), files.collect::<Result<Vec<_>, _>>()?));
    }
    let start = Instant::now();
    let writing = writers.into_iter().map(|(mut connection, path, files)| async move {
        for file in files {
            let (status, body) = connection.post(&path, &[("targets", &file)]).await?;
            ensure!(status.is_success(), "{path}: {status} {}", String::from_utf8_lossy(&body));
        }
        anyhow::Ok(())
    });
    try_join_all(writing).await?;
    let publishes = u32::try_from(names.len())? * each;
    Ok(rate(publishes, start.elapsed()))
}

/// What became of several writers' uploads to one repository.
#[derive(Clone, Copy, Default)]
pub(crate) struct Contest {
    pub(crate) accepted: u32,
    /// Told that somebody else was faster; they read what is there, and try again.
    pub(crate) outrun: u32,
    /// Told that the server failed; they try again, too.
    pub(crate) failed: u32,
    pub(crate) rate: Rate,
}

/// Writers of one repository, each until it has published so many times.
pub(crate) async fn contend(
    dialer: &Dialer,
    address: SocketAddr,
    name: &str,
    each: u32,
) -> anyhow::Result<Contest> {
    let mut connection = dialer.dial(address).await?;
    let repository = &Repository::publish(&mut connection, name).await?;
    let start = Instant::now();
    let writing = (0..CONNECTIONS).map(|_| async move {
        let mut contest = Contest::default();
        let mut connection = dialer.dial(address).await?;
        while contest.accepted < each {
            // A notary-server under such load ends connections now and then.
            let Ok(current) = connection.get(&format!("{}targets.json", repository.path)).await else {
                contest.failed += 1;
                connection = dialer.dial(address).await?;
                continue;
            };
            let current: serde_json::Value = serde_json::from_slice(&current)?;
            let version = current["signed"]["version"].as_u64().context("targets without a version")?;
            let next = repository.next(Some(version), 1)?;
            let Ok((status, body)) = connection.post(&repository.path, &[("targets", &next)]).await else {
                contest.failed += 1;
                connection = dialer.dial(address).await?;
                continue;
            };
            match status {
                StatusCode::OK => contest.accepted += 1,
                StatusCode::BAD_REQUEST if is_outrun(&body) => contest.outrun += 1,
                status if status.is_server_error() => contest.failed += 1,
                status => anyhow::bail!("{name}: {status} {}", String::from_utf8_lossy(&body)),
            }
        }
        Ok(contest)
    });
    let mut sum = Contest::default();
    for contest in try_join_all(writing).await? {
        sum.accepted += contest.accepted;
        sum.outrun += contest.outrun;
        sum.failed += contest.failed;
    }
    sum.rate = rate(sum.accepted, start.elapsed());
    Ok(sum)
}

fn is_outrun(body: &[u8]) -> bool {
    String::from_utf8_lossy(body).contains("\"VERSION\"")
}

fn rate(requests: u32, elapsed: Duration) -> Rate {
    f64::from(requests) / elapsed.as_secs_f64()
}

/// Readers, and writers of one repository.
pub(crate) const CONNECTIONS: u32 = 8;
const LATENCY_SAMPLES: usize = 2000;
