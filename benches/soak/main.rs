//! Ten minutes of a trust server's worst life: `make soak`.
//!
//! Two servers and a signer on one PostgreSQL, and a server by itself on SQLite. Writers publish, readers
//! verify as clients do, and meanwhile processes are killed, the database crashes, and clocks jump. In the
//! end every publish that was acknowledged must be there, and docker's, notary's and our clients must
//! verify all of it.
//!
//!     soak SECONDS           runs it
//!     soak server SETTINGS CLOCK, soak signer SETTINGS CLOCK
//!                            what it starts itself: the program, with a clock that a file puts off

mod chaos;
#[path = "../server/client.rs"]
mod client;
mod clock;
mod parts;
#[path = "../../tests/support/postgres.rs"]
mod postgres;
#[path = "../private.rs"]
mod private;
mod reader;
#[path = "../server/repository.rs"]
mod repository;
mod verdict;
mod world;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio::task::JoinSet;
use trustgate::{server, signer};

use self::chaos::Chaos;
use self::world::World;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["server", settings, clock] => Ok(runtime.block_on(server_program(settings.into(), clock).serve())?),
        ["signer", settings, clock] => Ok(runtime.block_on(signer_program(settings.into(), clock).run())?),
        [seconds] => {
            let seconds = seconds.parse().context("the number of seconds")?;
            runtime.block_on(soak(Duration::from_secs(seconds)))
        }
        _ => anyhow::bail!("soak SECONDS"),
    }
}

async fn soak(duration: Duration) -> anyhow::Result<()> {
    let world = Arc::new(World::start().await?);
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    for cluster in 0..world.clusters.len() {
        for writer in writer::all(&world, cluster).await? {
            tasks.spawn(writer.write(stopped.clone()));
        }
        tasks.spawn(reader::read(Arc::clone(&world), cluster, stopped.clone()));
    }
    let chaos = tokio::spawn(Chaos::new(Arc::clone(&world)).rage(stopped.clone()));
    tell(&format!("everything runs; {} s of kills, crashes and wrong clocks begin", duration.as_secs()));
    let mut ended = None;
    tokio::select! {
        // A writer or a reader ends early only where something happened that never may.
        early = tasks.join_next() => ended = early,
        () = tokio::time::sleep(duration) => {}
    }
    stop.send_replace(true);
    let calmed = chaos.await?;
    if let Some(early) = ended {
        early??;
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    calmed?;
    verdict::judge(&world).await
}

fn server_program(settings: PathBuf, offset: &str) -> server::program::Program {
    server::program::Program {
        settings: Some(settings),
        variables: Arc::new(|name| std::env::var(name).ok()),
        clock: clock::put_off_by(Path::new(offset)),
        line: Arc::new(tell),
    }
}

fn signer_program(settings: PathBuf, offset: &str) -> signer::program::Program {
    signer::program::Program {
        settings,
        variables: Arc::new(|name| std::env::var(name).ok()),
        clock: clock::put_off_by(Path::new(offset)),
        line: Arc::new(tell),
    }
}

#[expect(clippy::print_stderr, reason = "it is a program's log")]
fn tell(line: &str) {
    eprintln!("{line}");
}
