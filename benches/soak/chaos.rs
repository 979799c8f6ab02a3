//! What goes wrong, again and again, by dice whose seed is shown.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::watch;

use crate::world::World;
use crate::{clock, tell};

pub(crate) struct Chaos {
    world: Arc<World>,
    state: u64,
}

impl Chaos {
    pub(crate) fn new(world: Arc<World>) -> Self {
        let seed = std::env::var("SOAK_SEED").ok().and_then(|it| it.parse().ok());
        let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
        tell(&format!("SOAK_SEED={seed} throws the same dice again"));
        Self { world, state: seed }
    }

    /// Until it is told to stop; then everything runs again, by the right clock.
    pub(crate) async fn rage(mut self, mut stopped: watch::Receiver<bool>) -> anyhow::Result<()> {
        while !*stopped.borrow() {
            let pause = Duration::from_millis(500 + self.roll(4000));
            tokio::select! {
                _ = stopped.changed() => break,
                () = tokio::time::sleep(pause) => self.strike().await?,
            }
        }
        clock::set(&self.world.clock(), 0)?;
        self.world.settle().await
    }

    async fn strike(&mut self) -> anyhow::Result<()> {
        let servers = self.world.clusters.iter().flat_map(|it| &it.servers).count() as u64;
        let victim = usize::try_from(self.roll(servers))?;
        let world = Arc::clone(&self.world);
        let server = world.clusters.iter().flat_map(|it| &it.servers).nth(victim);
        let (server, _) = server.expect("a number below their count");
        match self.roll(10) {
            0..=3 => {
                tell(&format!("killing server {}", server.name));
                server.restart(Signal::KILL)?;
            }
            4 => {
                tell(&format!("ending server {}", server.name));
                server.restart(Signal::TERM)?;
            }
            5 => {
                let away = self.roll(3000);
                tell(&format!("killing the signer, for {away} ms"));
                world.signer.end(Signal::KILL)?;
                tokio::time::sleep(Duration::from_millis(away)).await;
                world.signer.launch()?;
            }
            6 | 7 => {
                tell("crashing PostgreSQL");
                let world = Arc::clone(&world);
                let crash = move || {
                    let mut postgres = world.postgres.lock().expect("no panic holds it");
                    postgres.end(Signal::QUIT);
                    postgres.launch();
                    postgres.wait();
                };
                tokio::task::spawn_blocking(crash).await?;
            }
            _ => {
                let offsets = [0, 3600, -3600, 10 * DAY, 15 * DAY, 400 * DAY];
                let offset = offsets[usize::try_from(self.roll(offsets.len() as u64))?];
                tell(&format!("clocks are {offset} s off"));
                clock::set(&world.clock(), offset)?;
            }
        }
        Ok(())
    }

    /// A number below this. The generator is `SplitMix64`.
    fn roll(&mut self, sides: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.state;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (value ^ (value >> 31)) % sides
    }
}

const DAY: i64 = 24 * 3600;
