//! The status page of a repository that is large, beside the list that it shows a part of.

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::client::Dialer;
use super::contenders::Contender;
use crate::report::{milliseconds, ratio};

/// The time of one page, and what it does to the server's memory.
pub(crate) async fn measure(dialer: &Dialer, server: &Contender, name: &str) -> anyhow::Result<String> {
    let before = server.memory_kib()?;
    let (list, listed) = median(dialer, server, &format!("/v2/{name}/_trust/tuf/targets.json")).await?;
    let (page, shown) = median(dialer, server, &format!("/repository/{name}")).await?;
    ensure!(shown < listed, "the page has {shown} bytes, and the list {listed}");
    Ok(format!(
        "\nThat repository's status page, with the first of its tags: {}, {} KiB; a GET of its `targets`, which the page reads\n\
         and verifies: {}, {:.1} MiB; the one over the other {}. Peak memory before {} MiB, after {} MiB.\n",
        milliseconds(page),
        shown / 1024,
        milliseconds(list),
        f64::from(u32::try_from(listed / 1024)?) / 1024.0,
        ratio(page.as_secs_f64() / list.as_secs_f64()),
        before / 1024,
        server.memory_kib()? / 1024,
    ))
}

/// Of some GETs, one after the other; and the length of what came.
async fn median(dialer: &Dialer, server: &Contender, path: &str) -> anyhow::Result<(Duration, usize)> {
    let mut connection = dialer.dial(server.address).await?;
    let mut length = connection.get(path).await?.len();
    let mut times = Vec::new();
    for _ in 0..SAMPLES {
        let start = Instant::now();
        length = connection.get(path).await?.len();
        times.push(start.elapsed());
    }
    Ok((crate::measure::median(times), length))
}

const SAMPLES: usize = 21;
