//! Pinning ten bases: `trustgate pin` beside `docker trust inspect` of the same ten.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use crate::delay;
use crate::lab::{Lab, forget};
use crate::measure::{Subject, in_turns};
use crate::report::{milliseconds, ratio};

const IMAGES: usize = 10;
const ROUNDS: usize = 11;
/// At 50 ms docker takes seconds a round.
const FAR_ROUNDS: usize = 5;
const FAR: Duration = Duration::from_millis(50);

/// Measures at loopback and at a round trip of 50 ms, with and without a cache.
pub(crate) fn measure(lab: &Lab) -> anyhow::Result<String> {
    let names: Vec<String> = (0..IMAGES).map(|n| format!("{}/bench/pin{n}", lab.registry)).collect();
    for (number, name) in names.iter().enumerate() {
        lab.publish(name, "1", &format!("{number:064x}"))?;
    }
    let mut text = String::from(
        "| round trip | cache | `trustgate pin` | peak memory | `docker trust inspect` | peak memory | ratio |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for (label, rtt) in [("loopback", None), ("50 ms", Some(FAR))] {
        let server = match rtt {
            Some(rtt) => delay::start(lab.trust_server, rtt)?,
            None => lab.trust_server,
        };
        for warm in [false, true] {
            let ours = lab.configuration("pin-ours", server)?;
            let theirs = lab.configuration("pin-theirs", server)?;
            let dockerfile = ours.join("Dockerfile");
            fs::write(&dockerfile, format!("FROM {}:1\n", names.join(":1\nFROM ")))?;
            let address = format!("https://{server}");
            let prepare = |folder: std::path::PathBuf| {
                Box::new(move || if warm { Ok(()) } else { forget(&folder) }) as Box<dyn Fn() -> _>
            };
            let figures = in_turns(
                &[
                    Subject {
                        name: "trustgate pin",
                        command: Box::new(|| {
                            let mut command = lab.program("trustgate");
                            command.arg("--config").arg(&ours).arg("pin").arg(&dockerfile);
                            command.env("DOCKER_CONTENT_TRUST_SERVER", &address);
                            command
                        }),
                        prepare: prepare(ours.clone()),
                    },
                    Subject {
                        name: "docker trust inspect",
                        command: Box::new(|| {
                            let mut command = lab.docker(&theirs);
                            command
                                .args(["trust", "inspect"])
                                .args(names.iter().map(|name| format!("{name}:1")));
                            command.env("DOCKER_CONTENT_TRUST_SERVER", &address);
                            command
                        }),
                        prepare: prepare(theirs.clone()),
                    },
                ],
                if rtt.is_some() { FAR_ROUNDS } else { ROUNDS },
            )?;
            let [mine, docker] = figures.as_slice() else { anyhow::bail!("two subjects, two figures") };
            writeln!(
                text,
                "| {label} | {} | {} | {} MiB | {} | {} MiB | {} |",
                if warm { "warm" } else { "cold" },
                milliseconds(mine.median()),
                mine.peak_kib / 1024,
                milliseconds(docker.median()),
                docker.peak_kib / 1024,
                ratio(mine.ratio_to(docker)),
            )?;
        }
    }
    Ok(text)
}
