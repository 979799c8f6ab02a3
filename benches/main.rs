//! What BENCHMARKS.md reports. `make bench` runs this with a lab around it.

mod build;
mod delay;
mod lab;
mod measure;
mod pin;
#[path = "../tests/support/postgres.rs"]
mod postgres;
mod private;
mod reading;
mod report;
mod server;
mod sign;
mod verify;

use std::io::Write as _;

use anyhow::Context as _;

/// Measures everything and writes the file; or, where words are given, the sections whose titles have one
/// of them, and prints those.
fn main() -> anyhow::Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let lab = lab::Lab::from_environment()?;
    let sections: [Section; 10] = [
        (
            "Pinning ten signed bases",
            "`trustgate pin` of a Dockerfile with ten FROMs, beside `docker trust inspect` of the same ten tags, at the\n\
             same trust server. Aims: 25 ms at loopback, 450 ms cold and 200 ms warm at 50 ms,\n\
             20 MiB.",
            pin::measure,
        ),
        (
            "One tag of many",
            "`trustgate verify` of one tag beside `notary lookup`. Aims: a twentieth of its time at 100,000 tags, 40 MiB.",
            verify::measure,
        ),
        (
            "Pushing a tag again",
            "`trustgate push` of a tag that exists, with another image each time, beside `docker push`, with content trust\n\
             and without. Layers are in the registry already. Passphrases are as a pipeline's store of secrets draws\n\
             them, but for one row: what a person may have thought of is hashed 600,000 times in keys that trustgate\n\
             makes, where docker's have 2,048. Aim: half of the time that docker adds.",
            sign::push,
        ),
        (
            "Inspecting a tag",
            "`trustgate inspect` beside `docker trust inspect` and `notary lookup`, with warm caches. Aim: a third.",
            sign::inspect,
        ),
        (
            "Signing one more tag",
            "`trustgate sign` in repositories of many tags, beside `notary addhash -p`. The time includes what the\n\
             trust server takes to check and store the new file, which is the same for both. Aims: linear, 1 s and\n\
             150 MiB at 100,000 tags.",
            sign::one_of_many,
        ),
        (
            "A cached build",
            "The same Dockerfile, one signed FROM, all steps cached: through the gate, through a frontend that does nothing\n\
             but forward, and through the engine's built-in one. Aim: the gate's own share (gated less forwarding) under\n\
             30 ms.",
            build::measure,
        ),
        (
            "The trust server",
            "Requests in a second, by one process that shares the machine with the servers, over TLS connections that\n\
             stay open: eight for GETs. Each server is with a signer of its kind; on SQLite ours signs in its own\n\
             process, as it does unless it is told otherwise. A POST is one new `targets`, signed before; eight writers of\n\
             one repository read, sign and post until all are through. Aims: on PostgreSQL 5 times notary-server's GETs\n\
             and POSTs, on SQLite its GETs from memory, and no writer told that the server failed. Roots by hash are in the\n\
             memory of either; how fast TLS, HTTP and this client are with nothing behind them is in the row of hyper.",
            server::rates,
        ),
        (
            "Many tags, many repositories",
            "The time of one GET over a warm connection, with SQLite. Aims: less than twice, and 200 MiB.",
            server::sizes,
        ),
        (
            "A trust server starts",
            "`trustgate-server` without settings, from its start to the first good answer. Aim: under a second.",
            server::start,
        ),
        ("Reading Dockerfiles", "In one process and thread: parse, and find every image use.", |_| {
            reading::measure()
        }),
    ];
    let mut measured = Vec::new();
    for (title, introduction, measure) in sections {
        if wanted.is_empty() || wanted.iter().any(|it| title.contains(it)) {
            measured.push((title, introduction, measure(&lab).context(title)?));
        }
    }
    let text = report::text(&measured)?;
    if wanted.is_empty() {
        std::fs::write("BENCHMARKS.md", text)?;
    } else {
        std::io::stdout().write_all(text.as_bytes())?;
    }
    Ok(())
}

/// Its title, what is to be known of it, and what measures it.
type Section = (&'static str, &'static str, fn(&lab::Lab) -> anyhow::Result<String>);
