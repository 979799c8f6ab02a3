//! The trust server, beside notary-server and notary-signer, over the same kinds of storage.

mod bare;
mod client;
mod contenders;
mod lasting;
mod load;
mod page;
mod repository;
mod start;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use self::bare::Bare;
use self::client::Dialer;
use self::contenders::{Backend, Contender};
use self::load::{CONNECTIONS, Contest, Rate};
use self::repository::Repository;
use crate::lab::Lab;
use crate::postgres::Postgres;
use crate::report::{milliseconds, ratio};

pub(crate) use self::start::measure as start;

/// Requests in a second, for what clients do most.
pub(crate) fn rates(lab: &Lab) -> anyhow::Result<String> {
    block_on(async {
        let dialer = Dialer::new(&lab.authority)?;
        let postgres = Postgres::start(true).context("PostgreSQL is missing; scripts/deps postgres")?;
        let servers = [
            Contender::notary(lab, &dialer, "notary-server, memory", Backend::Memory).await?,
            Contender::notary(lab, &dialer, "notary-server, PostgreSQL", Backend::Postgres(&postgres))
                .await?,
            Contender::ours(lab, &dialer, "trustgate-server, SQLite", Backend::Sqlite).await?,
            Contender::ours(lab, &dialer, "trustgate-server, PostgreSQL", Backend::Postgres(&postgres))
                .await?,
        ];
        let bare = Bare::start(lab, vec![b'x'; ROOT_LENGTH].into())?;
        let mut bare_rates = Vec::new();
        let mut rows: Vec<Rates> = servers.iter().map(|_| Rates::default()).collect();
        for round in 0..ROUNDS {
            for (server, row) in servers.iter().zip(&mut rows) {
                if let Err(error) = measure(&dialer, server, row, round).await {
                    // The others are still worth measuring.
                    row.troubles.push(format!("{}, round {round}: {error:#}", server.name));
                }
                row.fill(round + 1);
            }
            bare_rates.push(load::read(&dialer, bare.address, "/", READS).await?.rate);
        }
        let mut text = String::from(
            "| server | GET timestamp | GET root by hash | POST, 1 writer | POST, 8 writers of 8 repositories | \
             POST, 8 writers of one | told to try again | told that the server failed | connections ended |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        );
        for (server, row) in servers.iter().zip(&rows) {
            let contest = row.contest;
            let asked = f64::from(contest.accepted + contest.outrun + contest.failed).max(1.0);
            writeln!(
                text,
                "| {} | {:.0}/s | {:.0}/s | {:.0}/s | {:.0}/s | {:.0}/s | {:.0} % | {:.0} % | {} |",
                server.name,
                median(&row.timestamp),
                median(&row.root),
                median(&row.alone),
                median(&row.apart),
                contest.rate,
                100.0 * f64::from(contest.outrun) / asked,
                100.0 * f64::from(contest.failed) / asked,
                row.dropped,
            )?;
        }
        writeln!(text, "| hyper alone, any file from memory | | {:.0}/s | | | | | | |", median(&bare_rates))?;
        let [memory, theirs, sqlite, ours] = rows.as_slice() else { anyhow::bail!("four servers") };
        let over = |ours: &Vec<Rate>, theirs: &Vec<Rate>| ratio(ratio_of(ours, theirs));
        write!(
            text,
            "\nOurs over notary-server's, both on PostgreSQL: GET timestamp {}, GET root {}, POST by one writer {},\n\
             by eight {}. On SQLite over notary-server's in memory: GET timestamp {}, GET root {}, POST by one writer {}.\n\
             hyper alone over notary-server: GET root {}, which is as far as a server can get here.\n",
            over(&ours.timestamp, &theirs.timestamp),
            over(&ours.root, &theirs.root),
            over(&ours.alone, &theirs.alone),
            over(&ours.apart, &theirs.apart),
            over(&sqlite.timestamp, &memory.timestamp),
            over(&sqlite.root, &memory.root),
            over(&sqlite.alone, &memory.alone),
            over(&bare_rates, &theirs.root),
        )?;
        for trouble in rows.iter().flat_map(|it| &it.troubles) {
            writeln!(text, "\nNot measured: {trouble}")?;
        }
        Ok(text)
    })
}

/// What large repositories, and many of them, cost a GET and the server's memory.
pub(crate) fn sizes(lab: &Lab) -> anyhow::Result<String> {
    block_on(async {
        let dialer = Dialer::new(&lab.authority)?;
        let server = Contender::ours(lab, &dialer, "sizes", Backend::Sqlite).await?;
        let mut connection = dialer.dial(server.address).await?;
        let small = Repository::publish(&mut connection, "bench.example/small").await?;
        let large = Repository::publish(&mut connection, "bench.example/large").await?;
        let path = |it: &Repository| vec![format!("{}timestamp.json", it.path)];
        let few = load::latency(&dialer, server.address, &path(&small)).await?;
        let file = large.next(Some(1), LARGE)?;
        let (status, body) = connection.post(&large.path, &[("targets", &file)]).await?;
        anyhow::ensure!(status.is_success(), "{status} {}", String::from_utf8_lossy(&body));
        let tags = load::latency(&dialer, server.address, &path(&large)).await?;
        drop(connection);
        multiply(&server.database, "bench.example/small", LARGE).await?;
        let paths =
            (0..LARGE).step_by(97).map(|it| format!("/v2/bench.example/many/{it}/_trust/tuf/timestamp.json"));
        let many = load::latency(&dialer, server.address, &paths.collect::<Vec<_>>()).await?;
        let times = |it: Duration| ratio(it.as_secs_f64() / few.as_secs_f64());
        let memory = server.memory_kib()?;
        let page = page::measure(&dialer, &server, "bench.example/large").await?;
        Ok(format!(
            "| server | GET timestamp | over the first |\n| --- | --- | --- |\n\
             | two repositories of one tag | {} | |\n| a repository of {LARGE} tags | {} | {} |\n\
             | {LARGE} repositories | {} | {} |\n\nPeak memory of the server: {} MiB.\n{page}",
            milliseconds(few),
            milliseconds(tags),
            times(tags),
            milliseconds(many),
            times(many),
            memory / 1024,
        ))
    })
}

/// Copies a repository's rows, under as many names: what a GET finds does not depend on who signed it.
async fn multiply(database: &Path, gun: &str, times: u32) -> anyhow::Result<()> {
    let options = SqliteConnectOptions::new().filename(database).busy_timeout(Duration::from_mins(1));
    let mut database = SqliteConnection::connect_with(&options).await?;
    for statement in [NAMES, FILES, CURRENT] {
        sqlx::query(statement).bind(gun).bind(times).execute(&mut database).await?;
    }
    Ok(database.close().await?)
}

#[derive(Default)]
struct Rates {
    timestamp: Vec<Rate>,
    root: Vec<Rate>,
    alone: Vec<Rate>,
    apart: Vec<Rate>,
    /// Of all rounds.
    contest: Contest,
    /// Connections that the server ended while it was measured, the contest's apart.
    dropped: u32,
    /// Rounds that came to no end.
    troubles: Vec<String>,
}

impl Rates {
    /// Has a value for each round: of those that came to no end, that there is none.
    fn fill(&mut self, rounds: usize) {
        for values in [&mut self.timestamp, &mut self.root, &mut self.alone, &mut self.apart] {
            values.resize(rounds, Rate::NAN);
        }
    }
}

async fn measure(dialer: &Dialer, server: &Contender, row: &mut Rates, round: usize) -> anyhow::Result<()> {
    let name = |what: &str, number: u32| format!("bench.example/{what}/{round}-{number}");
    let mut connection = dialer.dial(server.address).await?;
    let repository = Repository::publish(&mut connection, &name("read", 0)).await?;
    let root = connection.get(&format!("{}root.json", repository.path)).await?;
    let hash = hex::encode(ring::digest::digest(&ring::digest::SHA256, &root));
    let timestamp = format!("{}timestamp.json", repository.path);
    let answered = load::read(dialer, server.address, &timestamp, READS).await?;
    row.timestamp.push(answered.rate);
    row.dropped += answered.dropped;
    let root = format!("{}root.{hash}.json", repository.path);
    let answered = load::read(dialer, server.address, &root, READS).await?;
    row.root.push(answered.rate);
    row.dropped += answered.dropped;
    let answered = load::write(dialer, server.address, &[name("alone", 0)], WRITES).await?;
    row.alone.push(answered.rate);
    row.dropped += answered.dropped;
    let names: Vec<String> = (0..CONNECTIONS).map(|it| name("apart", it)).collect();
    let answered = load::write(dialer, server.address, &names, WRITES / 4).await?;
    row.apart.push(answered.rate);
    row.dropped += answered.dropped;
    let contest = load::contend(dialer, server.address, &name("contest", 0), WRITES / 16).await?;
    row.contest.accepted += contest.accepted;
    row.contest.outrun += contest.outrun;
    row.contest.failed += contest.failed;
    row.contest.rate = row.contest.rate.max(contest.rate);
    Ok(())
}

fn ratio_of(ours: &[Rate], theirs: &[Rate]) -> f64 {
    median(&ours.iter().zip(theirs).map(|(a, b)| a / b).collect::<Vec<_>>())
}

fn median(values: &[f64]) -> f64 {
    let mut values: Vec<f64> = values.iter().copied().filter(|it| it.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    // One thread: the servers need the processors more.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

const ROUNDS: usize = 5;
/// GETs of each connection in a round.
const READS: u32 = 1000;
/// About what the measured root has.
const ROOT_LENGTH: usize = 2500;
/// Publishes of the one writer in a round.
const WRITES: u32 = 160;
const NAMES: &str = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $2) \
    INSERT INTO repositories (gun, changed_at) SELECT 'bench.example/many/' || i, changed_at \
    FROM n, repositories WHERE gun = $1";
const FILES: &str = "INSERT INTO files (repository, role, version, sha256, content, expires_at, stored_at) \
    SELECT m.id, f.role, f.version, f.sha256, f.content, f.expires_at, f.stored_at FROM repositories m, \
    repositories r JOIN current_files c ON c.repository = r.id JOIN files f ON f.id = c.file \
    WHERE r.gun = $1 AND m.gun LIKE 'bench.example/many/%' AND $2 > 0";
const CURRENT: &str = "INSERT INTO current_files (repository, role, file) SELECT f.repository, f.role, f.id \
    FROM files f JOIN repositories m ON m.id = f.repository \
    WHERE m.gun LIKE 'bench.example/many/%' AND $1 <> '' AND $2 > 0";
/// Tags of the large repository, and repositories of the large server.
const LARGE: u32 = 100_000;
