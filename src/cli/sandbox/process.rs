//! Processes that outlive the command that started them, and are known again by later ones.
//!
//! A number alone names no process, as the system gives it to others later: with it goes the moment of
//! the start, and which start of the machine it was.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use super::folder::unusable;
use crate::cli::exit::Failure;
use crate::text::visible;

/// One process, and no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) pid: i32,
    /// In the system's ticks since it was started.
    start: u64,
    boot: String,
}

impl Identity {
    /// The process that has this number now.
    pub(super) fn of(pid: i32) -> Option<Self> {
        let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (state, start) = state_and_start(&line)?;
        // A process that has ended, and waits for its parent to notice, is none; as long as one of its threads is
        // left, it still has its files and its ports.
        let is_left = !matches!(state, "Z" | "X") || 1 < threads(pid);
        is_left.then(|| Self { pid, start, boot: boot() })
    }

    /// Whether it runs.
    pub(super) fn runs(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Ends it: kindly, and after a while by force.
    pub(super) async fn end(&self) -> Result<(), Failure> {
        let failed =
            |reason: String| Failure::unknown(format!("process {} does not end: {reason}", self.pid));
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(()) };
        let handle = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => handle,
            Err(rustix::io::Errno::SRCH) => return Ok(()),
            Err(error) => return Err(failed(error.to_string())),
        };
        // From here on the handle is this process's, whoever gets the number later.
        if !self.runs() {
            return Ok(());
        }
        for (signal, patience) in [(Signal::TERM, END_PATIENCE), (Signal::KILL, KILL_PATIENCE)] {
            match pidfd_send_signal(&handle, signal) {
                Ok(()) => {}
                Err(rustix::io::Errno::SRCH) => return Ok(()),
                Err(error) => return Err(failed(error.to_string())),
            }
            let deadline = Instant::now() + patience;
            while Instant::now() < deadline {
                if !self.runs() {
                    return Ok(());
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        Err(failed("it was told to, and killed".to_owned()))
    }
}

/// Starts a program of its own; what it says goes to a file.
pub(super) fn start(words: &[String], folder: &Path, log: &Path) -> Result<Identity, Failure> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(Failure::unknown("there is no program to start"));
    };
    let file = File::options().create(true).append(true).open(log).map_err(|error| unusable(log, &error))?;
    let errors = file.try_clone().map_err(|error| unusable(log, &error))?;
    let child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(errors)
        // Ctrl-C at the terminal is not meant for it.
        .process_group(0)
        .spawn()
        .map_err(|error| Failure::unknown(format!("`{}` does not start: {error}", visible(program))))?;
    let pid = i32::try_from(child.id()).unwrap_or_default();
    Identity::of(pid).ok_or_else(|| {
        Failure::unknown(format!("`{}` ended at once", visible(program))).note(last_words(log))
    })
}

/// The process that was started with exactly these words: one whose number could not be noted any more.
pub(super) fn find(words: &[String]) -> Option<Identity> {
    let mut wanted = words.join("\0").into_bytes();
    wanted.push(0);
    let limit = u64::try_from(wanted.len()).unwrap_or_default() + 1;
    pids().filter(|pid| words_of(*pid, limit).is_some_and(|it| it == wanted)).find_map(Identity::of)
}

/// A process of this name that was told this, among other words.
pub(super) fn find_told(name: &str, word: &str) -> Option<Identity> {
    let is_told = |pid: &i32| {
        let Some(found) = words_of(*pid, WORDS_LIMIT) else { return false };
        let mut words = found.split(|it| *it == 0);
        let program = words.next().and_then(|it| it.rsplit(|it| *it == b'/').next());
        program == Some(name.as_bytes()) && words.any(|it| it == word.as_bytes())
    };
    pids().filter(is_told).find_map(Identity::of)
}

fn pids() -> impl Iterator<Item = i32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten();
    processes.filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok())
}

/// What a process was started with, each word ended by a zero.
fn words_of(pid: i32, limit: u64) -> Option<Vec<u8>> {
    let file = File::open(format!("/proc/{pid}/cmdline")).ok()?;
    let mut words = Vec::new();
    file.take(limit).read_to_end(&mut words).ok()?;
    Some(words)
}

/// The end of what a program said.
pub(super) fn last_words(log: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LAST_WORDS)))?;
        let mut bytes = Vec::new();
        file.take(LAST_WORDS).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let text = String::from_utf8_lossy(&read().unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.iter().rev().take(3).rev().copied().collect::<Vec<_>>().join(" | ");
    format!("its last words, in `{}`: {last}", log.display())
}

/// The third and the 22nd field; the second is a name in parentheses, which may hold anything.
fn state_and_start(stat: &str) -> Option<(&str, u64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

fn threads(pid: i32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

fn boot() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.unwrap_or_default().trim().to_owned()
}

/// A server finishes what it has begun; an engine takes longest.
const END_PATIENCE: Duration = Duration::from_secs(20);
/// The system needs a moment to clear up.
const KILL_PATIENCE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Long enough for a program, its options and a few paths.
const WORDS_LIMIT: u64 = 64 << 10;
/// The last lines of a log are this long, or of no use.
const LAST_WORDS: u64 = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn names_of_processes_do_not_confuse() {
        let stat = "7 (a) R 1) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(state_and_start(stat), Some(("S", 4711)));
        assert_eq!(state_and_start("7 (x) S 1 2"), None);
        assert_eq!(state_and_start(""), None);
    }

    #[tokio::test]
    async fn only_the_process_that_was_started_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mark = format!("{}.5", 1000 + std::process::id());
        let sleep = words(&["/bin/sleep", &mark]);
        let started = start(&sleep, folder.path(), &log).unwrap();
        // It becomes that program a moment after it has a number.
        while find(&sleep).is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(find(&sleep), Some(started.clone()));
        assert_eq!(find(&words(&["/bin/sleep"])), None);
        for stranger in [
            Identity { start: started.start + 1, ..started.clone() },
            Identity { boot: "another".to_owned(), ..started.clone() },
        ] {
            assert!(!stranger.runs());
            stranger.end().await.unwrap();
            assert!(started.runs());
        }
        started.end().await.unwrap();
        assert!(!started.runs());
        started.end().await.unwrap();
    }

    #[tokio::test]
    async fn what_does_not_start_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let missing = folder.path().join("missing").display().to_string();
        let failure = start(std::slice::from_ref(&missing), folder.path(), &log).unwrap_err();
        assert!(failure.message().contains(&missing), "{}", failure.message());
    }
}
