//! Whole processes, timed from outside, in turns.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

/// A command to be measured, and what has to happen before each run.
pub(crate) struct Subject<'a> {
    /// What messages call it.
    pub(crate) name: &'a str,
    /// Makes the command anew for each run.
    pub(crate) command: Box<dyn Fn() -> Command + 'a>,
    /// Runs before each timed run, untimed: empties a cache, for example.
    pub(crate) prepare: Box<dyn Fn() -> anyhow::Result<()> + 'a>,
}

/// What was measured of one subject.
pub(crate) struct Figures {
    /// Wall time of each counted run, in the order of the rounds.
    pub(crate) times: Vec<Duration>,
    /// The largest resident set of one run, in KiB, by GNU time.
    pub(crate) peak_kib: u64,
    /// The processor time of one run, its system calls included, by GNU time.
    pub(crate) processor: Duration,
}

impl Figures {
    /// The middle one of the wall times.
    pub(crate) fn median(&self) -> Duration {
        median(self.times.clone())
    }

    /// The median of this subject's time over the other's, round by round.
    pub(crate) fn ratio_to(&self, other: &Self) -> f64 {
        let ratios = self.times.iter().zip(&other.times).map(|(a, b)| a.as_secs_f64() / b.as_secs_f64());
        let mut ratios: Vec<f64> = ratios.collect();
        ratios.sort_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// Runs the subjects in turns, A B A B …, one round uncounted.
pub(crate) fn in_turns(subjects: &[Subject<'_>], rounds: usize) -> anyhow::Result<Vec<Figures>> {
    let mut figures: Vec<Figures> = subjects
        .iter()
        .map(|_| Figures { times: Vec::new(), peak_kib: 0, processor: Duration::ZERO })
        .collect();
    for round in 0..=rounds {
        for (subject, figures) in subjects.iter().zip(&mut figures) {
            (subject.prepare)()?;
            let elapsed = time(&mut (subject.command)(), subject.name)?;
            if round > 0 {
                figures.times.push(elapsed);
            }
        }
    }
    for (subject, figures) in subjects.iter().zip(&mut figures) {
        (subject.prepare)()?;
        (figures.peak_kib, figures.processor) = resources(&(subject.command)(), subject.name)?;
    }
    Ok(figures)
}

/// The middle one of these durations.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn time(command: &mut Command, name: &str) -> anyhow::Result<Duration> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let start = Instant::now();
    let output = command.output().with_context(|| format!("starting {name}"))?;
    let elapsed = start.elapsed();
    ensure!(
        output.status.success(),
        "{name} ended with {}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(elapsed)
}

/// Runs the command once more under GNU time, which knows what the child took.
fn resources(command: &Command, name: &str) -> anyhow::Result<(u64, Duration)> {
    let report = tempfile::NamedTempFile::new()?;
    let mut timed = Command::new("/usr/bin/time");
    timed
        .args(["-f", "%M %U %S", "-o"])
        .arg(report.path())
        .arg(command.get_program())
        .args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => timed.env(key, value),
            None => timed.env_remove(key),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        timed.current_dir(folder);
    }
    time(&mut timed, name)?;
    let text = std::fs::read_to_string(report.path())?;
    let figures: Vec<f64> =
        text.lines().last().unwrap_or_default().split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let [peak, user, system] = figures.as_slice() else { bail!("GNU time reports `{text}`") };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number of KiB")]
    let peak = *peak as u64;
    Ok((peak, Duration::from_secs_f64(user + system)))
}
