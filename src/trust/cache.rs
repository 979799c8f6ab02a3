//! Docker's own cache of trust data: `<trust folder>/tuf/<gun>/metadata/<role>.json`.
//!
//! Knows files, not what is in them. Every file is replaced as a whole (written beside, then
//! renamed), so a reader never sees half of one; writers hold a lock per repository for the moment
//! of writing, so several processes can share a cache. Docker's clients read and write the same
//! files without that lock; the worst that comes of it is a file that does not fit the others,
//! which is read from the server again.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::http::read_bounded;
use crate::image::Gun;
use crate::tuf::{RoleName, Root, RootChain, RootPins, peek_version};

/// The folder of cached trust data: `$DOCKER_CONFIG/trust`.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The cache below docker's trust folder, `$DOCKER_CONFIG/trust`.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Where a role's file is.
    #[must_use]
    pub fn path(&self, gun: &Gun, role: &RoleName) -> PathBuf {
        self.metadata(gun).join(format!("{role}.json"))
    }

    /// The repositories that have a root in the cache, by name.
    pub fn repositories(&self) -> io::Result<Vec<Gun>> {
        let mut found = Vec::new();
        let top = self.folder.join(TUF);
        let mut folders = vec![(top.clone(), 0)];
        let mut seen = 0;
        while let Some((folder, depth)) = folders.pop() {
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if depth == 0 && error.kind() == io::ErrorKind::NotFound => return Ok(found),
                Err(error) => return Err(error),
            };
            for entry in entries {
                let entry = entry?;
                seen += 1;
                if seen > WALK_LIMIT {
                    let reason = format!("it holds more than {WALK_LIMIT} files and folders");
                    return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
                }
                // Links are not followed: they could lead in a circle.
                if !entry.file_type()?.is_dir() {
                    continue;
                }
                if entry.file_name() == METADATA && entry.path().join(ROOT_FILE).is_file() {
                    let name = folder.strip_prefix(&top).ok().and_then(Path::to_str);
                    found.extend(name.and_then(|it| it.parse::<Gun>().ok()));
                }
                if depth < WALK_DEPTH {
                    folders.push((entry.path(), depth + 1));
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// The cached root, if it is a sound one. It is what this machine took for the repository's, not more.
    #[must_use]
    pub fn root(&self, gun: &Gun) -> Option<Root> {
        let CachedFile::Content(raw) = self.read(gun, &RoleName::ROOT, crate::tuf::ROOT_LIMIT) else {
            return None;
        };
        let chain = RootChain::from_cache(gun, raw, &RootPins::TrustOnFirstUse).ok()?;
        Some((**chain.root()).clone())
    }

    /// What is cached of a role.
    pub(super) fn read(&self, gun: &Gun, role: &RoleName, limit: usize) -> CachedFile {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        match read_bounded(&self.path(gun, role), limit) {
            Ok(content) => CachedFile::Content(content),
            // Where a folder of the path is missing, or is a file, nothing was ever cached.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                CachedFile::Absent
            }
            Err(error) => CachedFile::Unreadable(error.to_string()),
        }
    }

    /// Stores files that were verified together, `timestamp` last.
    ///
    /// The root must still be the one that the caller started from: where another process has
    /// trusted another one meanwhile, nothing is written and the caller starts again from that.
    /// Where another process has stored a newer timestamp meanwhile, its files stay.
    pub(super) fn store(&self, gun: &Gun, start: &Start, files: &[(&RoleName, &[u8])]) -> io::Result<Stored> {
        let _lock = self.lock(gun)?;
        let root = self.content(gun, &RoleName::ROOT);
        let ours = files.iter().find(|(role, _)| **role == RoleName::ROOT).map(|(_, content)| *content);
        if root != start.root && root.as_deref() != ours {
            return Ok(Stored::RootChanged);
        }
        let timestamp = self.content(gun, &RoleName::TIMESTAMP);
        if timestamp != start.timestamp {
            let ours = files.iter().find(|(role, _)| **role == RoleName::TIMESTAMP);
            let ours = ours.and_then(|(_, content)| peek_version(content));
            if timestamp.and_then(|content| peek_version(&content)) > ours {
                return Ok(Stored::Overtaken);
            }
        }
        for (role, content) in files {
            self.replace(gun, role, content)?;
        }
        Ok(Stored::Written)
    }

    /// Stores a delegation's file, if the files it was verified with are still the cached ones.
    pub(super) fn store_delegation(
        &self,
        gun: &Gun,
        timestamp: &[u8],
        role: &RoleName,
        content: &[u8],
    ) -> io::Result<()> {
        if is_misplaced(role) {
            return Ok(());
        }
        let _lock = self.lock(gun)?;
        if self.content(gun, &RoleName::TIMESTAMP).as_deref() != Some(timestamp) {
            return Ok(());
        }
        self.replace(gun, role, content)
    }

    /// Stores base roles that were published just now: those that name them can be read from the server.
    ///
    /// As ever, the root must still be the one that the caller started from.
    pub(super) fn store_published(
        &self,
        gun: &Gun,
        start: Option<&[u8]>,
        files: &[(RoleName, Vec<u8>)],
    ) -> io::Result<Stored> {
        let _lock = self.lock(gun)?;
        if self.content(gun, &RoleName::ROOT).as_deref() != start {
            return Ok(Stored::RootChanged);
        }
        for (role, content) in files {
            self.replace(gun, role, content)?;
        }
        Ok(Stored::Written)
    }

    /// Forgets a repository. Returns whether anything of it was there.
    ///
    /// Other repositories may lie below it: `a` and `a/b`.
    pub(super) fn remove(&self, gun: &Gun) -> io::Result<bool> {
        let folder = self.folder.join(TUF).join(gun.as_str());
        if !folder.is_dir() {
            return Ok(false);
        }
        let mut removed = false;
        {
            let _lock = self.lock(gun)?;
            for name in [METADATA, CHANGELIST] {
                match std::fs::remove_dir_all(folder.join(name)) {
                    Ok(()) => removed = true,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            std::fs::remove_file(folder.join(LOCK))?;
        }
        // Folders that others are below stay.
        let mut empty = Some(folder.as_path());
        while let Some(folder) = empty.filter(|it| it.parent() != Some(self.folder.as_path())) {
            if std::fs::remove_dir(folder).is_err() {
                break;
            }
            empty = folder.parent();
        }
        Ok(removed)
    }

    /// Where notary keeps staged changes of a repository.
    pub(super) fn changelist(&self, gun: &Gun) -> PathBuf {
        self.folder.join(TUF).join(gun.as_str()).join(CHANGELIST)
    }

    fn content(&self, gun: &Gun, role: &RoleName) -> Option<Vec<u8>> {
        match self.read(gun, role, crate::tuf::ROOT_LIMIT) {
            CachedFile::Content(content) => Some(content),
            CachedFile::Absent | CachedFile::Unreadable(_) => None,
        }
    }

    /// Writes a file beside its place and moves it there.
    fn replace(&self, gun: &Gun, role: &RoleName, content: &[u8]) -> io::Result<()> {
        let path = self.path(gun, role);
        let folder = path.parent().unwrap_or(&self.folder);
        private_folder(folder)?;
        // Only its owner can read it: that is how `tempfile` makes them, and how docker does.
        let mut file = tempfile::Builder::new().prefix(".trustgate-").tempfile_in(folder)?;
        file.write_all(content)?;
        if *role == RoleName::ROOT {
            // The root is what the repository is known by. The others can be read again.
            file.as_file().sync_all()?;
        }
        file.persist(&path).map_err(|error| error.error)?;
        Ok(())
    }

    /// Waits for the repository's lock, which is held only while files are written.
    fn lock(&self, gun: &Gun) -> io::Result<File> {
        let folder = self.folder.join(TUF).join(gun.as_str());
        private_folder(&folder)?;
        let mut options = File::options();
        options.create(true).truncate(false).write(true).mode(0o600);
        let file = options.open(folder.join(LOCK))?;
        for _ in 0..LOCK_TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "another process holds its lock"))
    }

    fn metadata(&self, gun: &Gun) -> PathBuf {
        self.folder.join(TUF).join(gun.as_str()).join(METADATA)
    }
}

/// What the cache has of a role.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CachedFile {
    /// Nothing.
    Absent,
    /// A file, not yet verified.
    Content(Vec<u8>),
    /// A file that can't be read, and why.
    Unreadable(String),
}

/// What was cached when a refresh began.
#[derive(Clone, Debug, Default)]
pub(super) struct Start {
    pub(super) root: Option<Vec<u8>>,
    pub(super) timestamp: Option<Vec<u8>>,
}

/// What became of files that were to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// They are in the cache.
    Written,
    /// Another process stored newer ones meanwhile.
    Overtaken,
    /// Another process trusted another root meanwhile.
    RootChanged,
}

/// Whether a role's file would lie where another repository's metadata does: `a` with the role
/// `targets/metadata/root`, and the repository `a/metadata/targets`.
fn is_misplaced(role: &RoleName) -> bool {
    role.as_str().split('/').any(|part| part == METADATA)
}

pub(super) fn private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

const TUF: &str = "tuf";
const METADATA: &str = "metadata";
const ROOT_FILE: &str = "root.json";
const CHANGELIST: &str = "changelist";
const LOCK: &str = ".trustgate.lock";
/// A name of a repository has 255 characters at most, and at most every other one is a `/`.
const WALK_DEPTH: usize = 130;
/// A mirror of all of Docker Hub's official images has some thousands.
const WALK_LIMIT: usize = 1 << 20;
/// With [`LOCK_PAUSE`] ten seconds: a holder writes a few files, which a slow disk does in one.
const LOCK_TRIES: u32 = 1_000;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::tuf::testing::{TestKey, sign};

    fn cache() -> (tempfile::TempDir, Cache, Gun) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().join("trust"));
        (folder, cache, "127.0.0.1:5000/acme/base".parse().unwrap())
    }

    fn timestamp(version: u64) -> Vec<u8> {
        let signed = serde_json::json!({"_type": "Timestamp", "version": version});
        sign(&signed, &[TestKey::p256("timestamp")])
    }

    #[test]
    fn the_layout_is_dockers() {
        let (folder, cache, gun) = cache();
        let files: [(&RoleName, &[u8]); 2] = [(&RoleName::ROOT, b"r"), (&RoleName::TIMESTAMP, b"t")];
        assert_eq!(cache.store(&gun, &Start::default(), &files).unwrap(), Stored::Written);
        cache.store_delegation(&gun, b"t", &RoleName::RELEASES, b"d").unwrap();
        let metadata = folder.path().join("trust/tuf/127.0.0.1:5000/acme/base/metadata");
        assert_eq!(std::fs::read(metadata.join("root.json")).unwrap(), b"r");
        assert_eq!(std::fs::read(metadata.join("targets/releases.json")).unwrap(), b"d");
        assert_eq!(
            std::fs::metadata(metadata.join("root.json")).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(std::fs::metadata(&metadata).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(std::fs::read_dir(&metadata).unwrap().count(), 3, "a temporary file was left");
    }

    #[test]
    fn repositories_are_found_whatever_their_depth() {
        let (_folder, cache, gun) = cache();
        assert_eq!(cache.repositories().unwrap(), []);
        let deep: Gun = "docker.io/acme/metadata/base".parse().unwrap();
        let files: [(&RoleName, &[u8]); 1] = [(&RoleName::ROOT, b"r")];
        for gun in [&gun, &deep] {
            assert_eq!(cache.store(gun, &Start::default(), &files).unwrap(), Stored::Written);
        }
        std::fs::create_dir_all(cache.metadata(&"docker.io/acme/empty".parse().unwrap())).unwrap();
        assert_eq!(cache.repositories().unwrap(), [gun.clone(), deep]);
        assert!(cache.root(&gun).is_none(), "a byte is no root");
    }

    #[test]
    fn another_root_meanwhile_stops_the_store() {
        let (_folder, cache, gun) = cache();
        let first: [(&RoleName, &[u8]); 1] = [(&RoleName::ROOT, b"first")];
        let second: [(&RoleName, &[u8]); 1] = [(&RoleName::ROOT, b"second")];
        assert_eq!(cache.store(&gun, &Start::default(), &first).unwrap(), Stored::Written);
        assert_eq!(cache.store(&gun, &Start::default(), &second).unwrap(), Stored::RootChanged);
        assert_eq!(cache.store(&gun, &Start::default(), &first).unwrap(), Stored::Written);
        let start = Start { root: Some(b"first".to_vec()), timestamp: None };
        assert_eq!(cache.store(&gun, &start, &second).unwrap(), Stored::Written);
    }

    #[test]
    fn a_newer_timestamp_meanwhile_stays() {
        let (_folder, cache, gun) = cache();
        let store = |start: &Start, version| {
            let content = timestamp(version);
            cache.store(&gun, start, &[(&RoleName::TIMESTAMP, content.as_slice())]).unwrap()
        };
        assert_eq!(store(&Start::default(), 5), Stored::Written);
        assert_eq!(store(&Start::default(), 4), Stored::Overtaken);
        assert_eq!(store(&Start::default(), 6), Stored::Written);
        // What was there at the start is no reason: it was verified, or found to be worth nothing.
        let start = Start { root: None, timestamp: Some(timestamp(6)) };
        assert_eq!(store(&start, 2), Stored::Written);
    }

    #[test]
    fn a_delegation_of_another_time_is_not_stored() {
        let (_folder, cache, gun) = cache();
        let files: [(&RoleName, &[u8]); 1] = [(&RoleName::TIMESTAMP, b"new")];
        cache.store(&gun, &Start::default(), &files).unwrap();
        cache.store_delegation(&gun, b"old", &RoleName::RELEASES, b"d").unwrap();
        assert_eq!(cache.read(&gun, &RoleName::RELEASES, 10), CachedFile::Absent);
    }

    #[test]
    fn a_delegation_never_lands_in_another_repository() {
        let (_folder, cache, gun) = cache();
        let neighbour: Gun = format!("{gun}/metadata/targets").parse().unwrap();
        let files: [(&RoleName, &[u8]); 1] = [(&RoleName::TIMESTAMP, b"t")];
        cache.store(&gun, &Start::default(), &files).unwrap();
        let role: RoleName = "targets/metadata/root".parse().unwrap();
        cache.store_delegation(&gun, b"t", &role, b"evil").unwrap();
        assert_eq!(cache.read(&neighbour, &RoleName::ROOT, 10), CachedFile::Absent);
    }

    #[test]
    fn what_is_no_file_of_ours_is_told_apart() {
        let (folder, cache, gun) = cache();
        assert_eq!(cache.read(&gun, &RoleName::ROOT, 10), CachedFile::Absent);
        let path = cache.path(&gun, &RoleName::ROOT);
        std::fs::create_dir_all(&path).unwrap();
        assert!(matches!(cache.read(&gun, &RoleName::ROOT, 10), CachedFile::Unreadable(_)));
        std::fs::remove_dir(&path).unwrap();
        std::fs::write(&path, "12345678901").unwrap();
        assert!(matches!(cache.read(&gun, &RoleName::ROOT, 10), CachedFile::Unreadable(_)));
        let blocked = Cache::new(folder.path().join("file"));
        std::fs::write(folder.path().join("file"), "").unwrap();
        assert_eq!(blocked.read(&gun, &RoleName::ROOT, 10), CachedFile::Absent);
        assert!(blocked.store(&gun, &Start::default(), &[(&RoleName::ROOT, b"r")]).is_err());
    }

    #[test]
    fn writers_do_not_mix_their_files() {
        let (_folder, cache, gun) = cache();
        thread::scope(|scope| {
            for version in 1..=8 {
                let (cache, gun) = (cache.clone(), gun.clone());
                scope.spawn(move || {
                    let content = timestamp(version);
                    let files = [
                        (&RoleName::SNAPSHOT, content.as_slice()),
                        (&RoleName::TIMESTAMP, content.as_slice()),
                    ];
                    cache.store(&gun, &Start::default(), &files).unwrap()
                });
            }
        });
        let newest = CachedFile::Content(timestamp(8));
        assert_eq!(cache.read(&gun, &RoleName::TIMESTAMP, 1_000), newest);
        assert_eq!(cache.read(&gun, &RoleName::SNAPSHOT, 1_000), newest);
    }
}
