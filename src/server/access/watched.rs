//! A file that is read again when it changes: users come and go without a restart.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::AccessError;
use crate::http::read_bounded;

/// How the bytes of a file become what is kept of them.
type Parse<T> = fn(&[u8]) -> Result<T, String>;

/// A file and what it says.
pub(super) struct Watched<T> {
    path: PathBuf,
    limit: u64,
    parse: Parse<T>,
    state: Mutex<State<T>>,
}

struct State<T> {
    value: Arc<T>,
    version: Version,
    looked: Timestamp,
    problem: Option<String>,
}

/// What tells two versions of a file apart.
type Version = Option<(u64, u64, u64, i64, i64)>;

impl<T> Watched<T> {
    /// Reads a file of at most `limit` bytes.
    pub(super) fn open(
        path: &Path,
        limit: u64,
        parse: Parse<T>,
        now: Timestamp,
    ) -> Result<Self, AccessError> {
        let version = version(path);
        let value = read(path, limit, parse)
            .map_err(|reason| AccessError::File { path: path.display().to_string(), reason })?;
        let state = State { value: Arc::new(value), version, looked: now, problem: None };
        Ok(Self { path: path.to_owned(), limit, parse, state: Mutex::new(state) })
    }

    /// What the file says. What it said before counts on while it cannot be read.
    pub(super) fn value(&self, now: Timestamp) -> Arc<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let since = now.duration_since(state.looked);
        if since.is_negative() || LOOK_EVERY <= since {
            state.looked = now;
            let version = version(&self.path);
            if version != state.version || version.is_none() {
                match read(&self.path, self.limit, self.parse) {
                    Ok(value) => {
                        state.value = Arc::new(value);
                        state.problem = None;
                    }
                    Err(reason) => {
                        let path = self.path.display();
                        state.problem = Some(format!("`{path}` changed and cannot be used: {reason}"));
                    }
                }
                state.version = version;
            }
        }
        Arc::clone(&state.value)
    }

    /// Why what counts is not what the file says now.
    pub(super) fn problem(&self) -> Option<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).problem.clone()
    }
}

fn version(path: &Path) -> Version {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
}

fn read<T>(path: &Path, limit: u64, parse: Parse<T>) -> Result<T, String> {
    let bytes = read_bounded(path, limit).map_err(|it| it.to_string())?;
    parse(&bytes)
}

/// Looking is a system call; a change may take as long to be seen.
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> Result<String, String> {
        let text = String::from_utf8(bytes.to_vec()).map_err(|it| it.to_string())?;
        if text == "bad" { Err("it is bad".to_owned()) } else { Ok(text) }
    }

    #[test]
    fn a_change_is_seen_and_a_bad_one_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        assert!(Watched::open(&path, 10, text, at(0)).is_err());
        std::fs::write(&path, "one").unwrap();
        let watched = Watched::open(&path, 10, text, at(0)).unwrap();
        std::fs::write(&path, "two!").unwrap();
        assert_eq!(*watched.value(at(0)), "one");
        assert_eq!(*watched.value(at(1)), "two!");
        std::fs::write(&path, "bad").unwrap();
        assert_eq!(*watched.value(at(2)), "two!");
        assert!(watched.problem().unwrap().ends_with("cannot be used: it is bad"), "{:?}", watched.problem());
        std::fs::write(&path, "x".repeat(11)).unwrap();
        assert_eq!(*watched.value(at(3)), "two!");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(*watched.value(at(4)), "two!");
        assert!(watched.problem().is_some());
        std::fs::write(&path, "three").unwrap();
        // The clock went back.
        assert_eq!(*watched.value(at(1)), "three");
        assert_eq!(watched.problem(), None);
    }
}
