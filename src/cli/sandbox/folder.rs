//! A sandbox's folder, and what is noted in it.
//!
//! The notes are written before anything else is made, and replaced as a whole: a folder that has them is
//! a sandbox's, however far that came. One command at a time works on it.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::process::Identity;
use crate::cli::exit::Failure;
use crate::http::read_bounded;

/// Where a sandbox is, or will be.
pub(super) struct Folder {
    path: PathBuf,
}

/// What is noted of a sandbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Notes {
    version: u32,
    /// The port of each part.
    pub(super) ports: BTreeMap<String, u16>,
    /// The process of each part.
    pub(super) processes: BTreeMap<String, Identity>,
    /// With which words each was started.
    pub(super) commands: BTreeMap<String, Vec<String>>,
    /// The engine that clients are to use, where it is the sandbox's own.
    pub(super) engine: Option<String>,
    pub(super) root_passphrase: String,
    pub(super) repository_passphrase: String,
    /// The images, once they are pushed and signed.
    pub(super) images: Option<BTreeMap<String, String>>,
}

/// Held while a command works on a folder.
pub(super) struct Turn {
    _file: File,
}

impl Folder {
    pub(super) fn at(named: Option<&Path>, home: Option<&Path>) -> Result<Self, Failure> {
        let path = match (named, home) {
            (Some(path), _) => path.to_owned(),
            (None, Some(home)) => home.join(".trustgate/sandbox"),
            (None, None) => {
                return Err(
                    Failure::usage("it is not known where your home is").help("name a folder: --folder DIR")
                );
            }
        };
        let path = std::path::absolute(&path)
            .map_err(|error| Failure::usage(format!("`{}`: {error}", path.display())))?;
        if path.to_str().is_none_or(|it| it.contains(['\'', '\n', '"', '\\'])) {
            let message = format!(
                "`{}` cannot be a sandbox's folder: it has a quote or the like in it",
                path.display()
            );
            return Err(Failure::usage(message).help("name another: --folder DIR"));
        }
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The notes; `None` where there is no sandbox.
    pub(super) fn read(&self) -> Result<Option<Notes>, Failure> {
        let path = self.join(NOTES);
        match path.symlink_metadata() {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(&path, &error)),
        }
        let broken = |reason: String| {
            Failure::unknown(format!("`{}` cannot be read: {reason}", path.display()))
                .help("end what runs in that folder and remove it by hand")
        };
        let bytes = read_bounded(&path, NOTES_LIMIT).map_err(|error| broken(error.to_string()))?;
        let notes: Notes = serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
        if notes.version != VERSION {
            return Err(broken(format!(
                "it is of version {}, and this program knows {VERSION}",
                notes.version
            )));
        }
        Ok(Some(notes))
    }

    /// Replaces the notes.
    pub(super) fn write(&self, notes: &Notes) -> Result<(), Failure> {
        let path = self.join(NOTES);
        let write = || -> io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
            file.write_all(&serde_json::to_vec_pretty(notes)?)?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(|error| unusable(&path, &error))
    }

    /// Makes the folder, should it not be there; whatever else is in it stays what it is.
    pub(super) fn make(&self) -> Result<(), Failure> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.path);
        made.map_err(|error| unusable(&self.path, &error))?;
        if self.join(NOTES).exists() {
            return Ok(());
        }
        let mut entries = std::fs::read_dir(&self.path).map_err(|error| unusable(&self.path, &error))?;
        // What was interrupted before the first note leaves these.
        let foreign = entries.find_map(|entry| {
            let name = entry.ok()?.file_name();
            let ours = name == LOCK || name.to_str().is_some_and(|it| it.starts_with(".tmp"));
            (!ours).then_some(name)
        });
        match foreign {
            Some(name) => Err(Failure::usage(format!(
                "`{}` is not a sandbox's folder: there is `{}` in it",
                self.path.display(),
                name.display()
            ))
            .help("name one that is empty or not there: --folder DIR")),
            None => Ok(()),
        }
    }

    /// A folder in it, for nobody else.
    pub(super) fn make_below(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.join(name);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|error| unusable(&path, &error))?;
        Ok(path)
    }

    /// A file in it, for nobody else.
    pub(super) fn put(&self, name: &str, content: &[u8]) -> Result<PathBuf, Failure> {
        let path = self.join(name);
        let write = || -> io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(&self.path))?;
            file.write_all(content)?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(|error| unusable(&path, &error))?;
        Ok(path)
    }

    /// Lets no other command work on it meanwhile.
    pub(super) fn turn(&self) -> Result<Turn, Failure> {
        let path = self.join(LOCK);
        let file =
            File::options().create(true).append(true).open(&path).or_else(|error| match error.kind() {
                // What runs can be ended all the same.
                io::ErrorKind::ReadOnlyFilesystem => File::open(&path),
                _ => Err(error),
            });
        let file = file.map_err(|error| unusable(&path, &error))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            rustix::io::Errno::WOULDBLOCK => {
                Failure::unknown(format!("another command works on the sandbox in `{}`", self.path.display()))
                    .help("try again when it is done")
            }
            other => unusable(&path, &other.into()),
        })?;
        Ok(Turn { _file: file })
    }

    /// The same failure, which says so where a full disk is behind it: programs that find one often cannot.
    pub(super) fn explain(&self, failure: Failure) -> Failure {
        let full = rustix::fs::statvfs(&self.path)
            .is_ok_and(|it| it.f_bavail.saturating_mul(it.f_frsize) < ROOM_LEAST);
        if full {
            failure
                .note(format!("there is no room left on the disk of `{}`", self.path.display()))
                .help("make room on that disk, then: trustgate sandbox up")
        } else {
            failure
        }
    }

    /// Removes it, and everything in it.
    pub(super) fn remove(&self) -> Result<(), Failure> {
        // The notes go last: what is left without them would be nobody's.
        let entries = std::fs::read_dir(&self.path).map_err(|error| unusable(&self.path, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| unusable(&self.path, &error))?;
            if entry.file_name() == NOTES {
                continue;
            }
            let is_folder = entry.file_type().is_ok_and(|it| it.is_dir());
            let path = entry.path();
            let removed =
                if is_folder { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            removed.map_err(|error| unusable(&path, &error))?;
        }
        std::fs::remove_dir_all(&self.path).map_err(|error| unusable(&self.path, &error))
    }
}

impl Notes {
    pub(super) fn new(root_passphrase: String, repository_passphrase: String) -> Self {
        Self {
            version: VERSION,
            ports: BTreeMap::new(),
            processes: BTreeMap::new(),
            commands: BTreeMap::new(),
            engine: None,
            root_passphrase,
            repository_passphrase,
            images: None,
        }
    }

    /// `127.0.0.1:PORT` of a part.
    pub(super) fn address(&self, part: &str) -> Option<String> {
        self.ports.get(part).map(|port| format!("127.0.0.1:{port}"))
    }
}

/// A file or folder that cannot be read or written.
pub(super) fn unusable(path: &Path, error: &io::Error) -> Failure {
    let failure = Failure::unknown(format!("`{}`: {error}", path.display()));
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            failure.help("name a folder that you can write to: --folder DIR")
        }
        _ => failure,
    }
}

const NOTES: &str = "sandbox.json";
const LOCK: &str = "lock";
const VERSION: u32 = 1;
/// Less than what a part writes as it starts.
const ROOM_LEAST: u64 = 256 << 10;
/// A dozen numbers and names.
const NOTES_LIMIT: u64 = 1 << 20;
