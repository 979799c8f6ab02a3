//! How long a server takes until it answers: one that has to make everything, and one that finds it made.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::block_on;
use super::client::Dialer;
use super::contenders::{folder, free};
use crate::lab::Lab;
use crate::measure::median;
use crate::report::milliseconds;

/// From the start of the process to the first good answer of `/_notary_server/health`, over TLS.
pub(crate) fn measure(lab: &Lab) -> anyhow::Result<String> {
    let folder = folder(lab, "start")?;
    let (mut first, mut again) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let state = folder.join(round.to_string());
        first.push(block_on(ready(lab, &state))?);
        again.push(block_on(ready(lab, &state))?);
    }
    let longest = first.iter().chain(&again).max().copied().unwrap_or_default();
    Ok(format!(
        "| start | until it answers |\n| --- | --- |\n\
         | the first: certificates, keys and database are made | {} |\n| one after that | {} |\n\n\
         The longest of all {}: {}.\n",
        milliseconds(median(first)),
        milliseconds(median(again)),
        2 * ROUNDS,
        milliseconds(longest),
    ))
}

async fn ready(lab: &Lab, state: &Path) -> anyhow::Result<Duration> {
    fs::create_dir_all(state)?;
    // The one thing that it is told: the usual port may be somebody's.
    let address = free()?;
    let settings = state.join("server.toml");
    fs::write(&settings, format!("listen = \"{address}\"\n"))?;
    let mut command = lab.program("trustgate-server");
    command.arg("--config").arg(&settings).env("TRUSTGATE_SERVER_STATE", state);
    let log = fs::File::create(state.join("log"))?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    let authority = state.join("ca.crt");
    let start = Instant::now();
    let _server = Running(command.spawn().context("trustgate-server does not start")?);
    loop {
        let answer = async {
            let mut connection = Dialer::new(&authority)?.dial(address).await?;
            connection.get("/_notary_server/health").await
        };
        match answer.await {
            Ok(_) => return Ok(start.elapsed()),
            Err(error) if PATIENCE < start.elapsed() => bail!("it does not come up: {error:#}"),
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// It ends with the value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const ROUNDS: usize = 15;
/// What is measured is no finer than this.
const LOOK_EVERY: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_mins(1);
