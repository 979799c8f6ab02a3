//! One tag of many: `trustgate verify` beside `notary lookup`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::lab::{Lab, forget, run};
use crate::measure::{Subject, in_turns};
use crate::report::{milliseconds, ratio};

const TAGS: [u32; 3] = [1_000, 10_000, 100_000];
const ROUNDS: usize = 7;

/// Measures in repositories of 1,000, 10,000 and 100,000 tags, with and without a cache.
pub(crate) fn measure(lab: &Lab) -> anyhow::Result<String> {
    let server = format!("https://{}", lab.trust_server);
    let mut text = String::from(
        "| tags | cache | `trustgate verify` | peak memory | `notary lookup` | peak memory | ratio |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for tags in TAGS {
        let repository = format!("{}/bench/tags{tags}", lab.registry);
        publish(lab, &server, &repository, tags)?;
        let wanted = format!("v{}", tags / 2);
        let ours = lab.configuration("verify-ours", lab.trust_server)?;
        let theirs = lab.configuration("verify-theirs", lab.trust_server)?;
        for warm in [false, true] {
            let figures = in_turns(
                &[
                    Subject {
                        name: "trustgate verify",
                        command: Box::new(|| {
                            let mut command = lab.program("trustgate");
                            command
                                .arg("--config")
                                .arg(&ours)
                                .arg("verify")
                                .arg(format!("{repository}:{wanted}"));
                            command.env("DOCKER_CONTENT_TRUST_SERVER", &server);
                            command
                        }),
                        prepare: Box::new(|| if warm { Ok(()) } else { forget(&ours) }),
                    },
                    Subject {
                        name: "notary lookup",
                        command: Box::new(|| {
                            let mut command = lab.notary(&server, &theirs.join("trust"));
                            command.args(["lookup", &repository, &wanted]);
                            command
                        }),
                        prepare: Box::new(|| if warm { Ok(()) } else { forget(&theirs) }),
                    },
                ],
                ROUNDS,
            )?;
            let [mine, notary] = figures.as_slice() else { anyhow::bail!("two subjects, two figures") };
            writeln!(
                text,
                "| {tags} | {} | {} | {} MiB | {} | {} MiB | {} |",
                if warm { "warm" } else { "cold" },
                milliseconds(mine.median()),
                mine.peak_kib / 1024,
                milliseconds(notary.median()),
                notary.peak_kib / 1024,
                ratio(mine.ratio_to(notary)),
            )?;
        }
    }
    Ok(text)
}

/// Signs many tags at once, by writing the changes that `notary add` would have left and publishing them.
pub(crate) fn publish(lab: &Lab, server: &str, repository: &str, tags: u32) -> anyhow::Result<()> {
    let trust = lab.publisher();
    run(lab.notary(server, &trust).args(["init", "--publish", repository]))?;
    let changes = trust.join("tuf").join(repository).join("changelist");
    fs::create_dir_all(&changes)?;
    for number in 0..tags {
        write_change(&changes, number)?;
    }
    run(lab.notary(server, &trust).args(["publish", repository]))
}

fn write_change(folder: &Path, number: u32) -> anyhow::Result<()> {
    let mut digest = [0; 32];
    digest[..4].copy_from_slice(&number.to_be_bytes());
    let data = serde_json::json!({"hashes": {"sha256": STANDARD.encode(digest)}, "length": 528});
    let change = serde_json::json!({
        "action": "create", "role": "targets", "type": "target", "path": format!("v{number}"),
        "data": STANDARD.encode(data.to_string()),
    });
    fs::write(folder.join(format!("{number:020}_{number}.change")), change.to_string())?;
    Ok(())
}
