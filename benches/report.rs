//! BENCHMARKS.md: what was measured, where, and the command that repeats it.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

/// Puts the sections together.
pub(crate) fn text(sections: &[(&str, &str, String)]) -> anyhow::Result<String> {
    let mut text = String::from(
        "# Benchmarks\n\n\
         Made by `make bench`, which measures everything in one run and writes this file. Commands are timed as\n\
         whole processes, in turns (A B A B …) after an uncounted first round; a time is the median, a ratio the\n\
         median of the rounds' ratios. Machines differ: the ratios are what to compare. Peak memory is the largest\n\
         resident set, by GNU time. A round trip of 50 ms is made by a delaying proxy in this folder's `benches/`.\n\n",
    );
    writeln!(text, "Measured on {}.", machine())?;
    for (title, introduction, body) in sections {
        write!(text, "\n## {title}\n{introduction}\n\n{body}")?;
    }
    Ok(text)
}

/// `12.3 ms`
pub(crate) fn milliseconds(duration: Duration) -> String {
    let value = duration.as_secs_f64() * 1000.0;
    if value < 100.0 { format!("{value:.1} ms") } else { format!("{value:.0} ms") }
}

/// `0.42`
pub(crate) fn ratio(value: f64) -> String {
    format!("{value:.2}")
}

fn machine() -> String {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let model = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    format!("{processors} processors ({}), Debian 12", model.unwrap_or_else(|| "unknown".to_owned()))
}
