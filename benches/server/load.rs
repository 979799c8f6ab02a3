//! What is asked of a trust server, and how fast it answers.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use futures_util::future::try_join_all;
use hyper::StatusCode;

use super::client::Dialer;
use super::lasting::{ATTEMPTS, Lasting};
use super::repository::Repository;

/// Requests in a second.
pub(crate) type Rate = f64;

/// How fast requests were answered.
#[derive(Clone, Copy)]
pub(crate) struct Answered {
    pub(crate) rate: Rate,
    /// How often the server ended a connection instead of answering.
    pub(crate) dropped: u32,
}

/// GETs of one path over several connections at once.
pub(crate) async fn read(
    dialer: &Dialer,
    address: SocketAddr,
    path: &str,
    each: u32,
) -> anyhow::Result<Answered> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut connection = Lasting::dial(dialer, address).await?;
        connection.get(path).await?;
        connections.push(connection);
    }
    let start = Instant::now();
    let readers = connections.into_iter().map(|mut connection| async move {
        for _ in 0..each {
            connection.get(path).await?;
        }
        anyhow::Ok(connection.dropped)
    });
    let dropped = try_join_all(readers).await?.into_iter().sum();
    Ok(Answered { rate: rate(CONNECTIONS * each, start.elapsed()), dropped })
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
) -> anyhow::Result<Answered> {
    let mut writers = Vec::new();
    for name in names {
        let repository = Repository::publish(&mut dialer.dial(address).await?, name).await?;
        // Signed before, as this is not what is measured.
        let files = (1..=u64::from(each)).map(|version| repository.next(Some(version), 1));
        let files = files.collect::<Result<Vec<_>, _>>()?;
        writers.push((Lasting::dial(dialer, address).await?, repository.path.clone(), files));
    }
    let start = Instant::now();
    let writing = writers.into_iter().map(|(mut connection, path, files)| async move {
        for file in files {
            publish(&mut connection, &path, &file).await?;
        }
        anyhow::Ok(connection.dropped)
    });
    let dropped = try_join_all(writing).await?.into_iter().sum();
    let publishes = u32::try_from(names.len())? * each;
    Ok(Answered { rate: rate(publishes, start.elapsed()), dropped })
}

/// Hands targets in until they are taken.
async fn publish(connection: &mut Lasting<'_>, path: &str, file: &[u8]) -> anyhow::Result<()> {
    for attempt in 0..ATTEMPTS {
        let Some((status, body)) = connection.post(path, &[("targets", file)]).await else { continue };
        // Nobody else writes here: where they were handed in before, it was taken though nobody was told so.
        let taken = 0 < attempt && is_outrun(&body);
        ensure!(status.is_success() || taken, "{path}: {status} {}", String::from_utf8_lossy(&body));
        return Ok(());
    }
    bail!("{path}: the server ended {ATTEMPTS} connections, one after the other")
}

/// What became of several writers' uploads to one repository.
#[derive(Clone, Copy, Default)]
pub(crate) struct Contest {
    pub(crate) accepted: u32,
    /// Told that somebody else was faster; they read what is there, and try again.
    pub(crate) outrun: u32,
    /// Told that the server failed, or told nothing; they try again, too.
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
        let mut connection = Lasting::dial(dialer, address).await?;
        while contest.accepted < each {
            let current = connection.get(&format!("{}targets.json", repository.path)).await?;
            let current: serde_json::Value = serde_json::from_slice(&current)?;
            let version = current["signed"]["version"].as_u64().context("targets without a version")?;
            let next = repository.next(Some(version), 1)?;
            let Some((status, body)) = connection.post(&repository.path, &[("targets", &next)]).await else {
                continue;
            };
            match status {
                StatusCode::OK => contest.accepted += 1,
                StatusCode::BAD_REQUEST if is_outrun(&body) => contest.outrun += 1,
                status if status.is_server_error() => contest.failed += 1,
                status => anyhow::bail!("{name}: {status} {}", String::from_utf8_lossy(&body)),
            }
        }
        contest.failed += connection.dropped;
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
