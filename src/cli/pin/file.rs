//! Dockerfiles on disk: read with a limit, replaced whole or not at all.
//!
//! Knows nothing of what stands in them.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::cli::exit::Failure;

/// One file that `pin` was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// `-`.
    StandardInput,
    /// A path, as typed.
    Path(PathBuf),
}

impl Source {
    /// What a word of the command line names.
    pub(super) fn named(word: &Path) -> Self {
        if word.as_os_str() == "-" { Self::StandardInput } else { Self::Path(word.to_owned()) }
    }

    /// The name that messages use.
    pub(super) fn name(&self) -> String {
        match self {
            Self::StandardInput => "<stdin>".to_owned(),
            Self::Path(path) => path.display().to_string(),
        }
    }

    /// The whole content, as long as it has at most `limit` bytes.
    pub(super) fn read(&self, limit: usize) -> Result<Vec<u8>, Failure> {
        match self {
            Self::StandardInput => read_bounded(&mut io::stdin().lock(), limit, &self.name()),
            Self::Path(path) => {
                let name = self.name();
                let mut file = File::open(path).map_err(|error| unreadable(&name, &error))?;
                if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
                    return Err(Failure::usage(format!("`{name}` is a folder, not a Dockerfile"))
                        .help(format!("name the file in it: {name}/Dockerfile")));
                }
                read_bounded(&mut file, limit, &name)
            }
        }
    }
}

fn read_bounded(reader: &mut dyn Read, limit: usize, name: &str) -> Result<Vec<u8>, Failure> {
    let mut content = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    reader.take(most).read_to_end(&mut content).map_err(|error| unreadable(name, &error))?;
    if content.len() > limit {
        return Err(Failure::refused(format!("`{name}` is longer than {limit} bytes"))
            .note("no Dockerfile of that size is read, here or in a gated build"));
    }
    Ok(content)
}

fn unreadable(name: &str, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound => Failure::usage(format!("there is no file `{name}`"))
            .help("name the Dockerfile: trustgate pin path/to/Dockerfile"),
        _ => Failure::unknown(format!("can't read `{name}`: {error}")),
    }
}

/// Replaces the content of a file, or leaves it as it was: the new content is written
/// beside it, made durable, and renamed over it. Mode and owner stay; where `path` is a
/// symbolic link, the file that it points to is replaced and the link stays.
///
/// A file or folder marked read-only is left alone, also for root, whom the system
/// would let through: the mark is somebody's wish.
pub(super) fn replace(path: &Path, expected: &[u8], content: &[u8]) -> Result<(), Failure> {
    let name = path.display().to_string();
    let failure = |error: io::Error| Failure::unknown(format!("can't write `{name}`: {error}"));
    let metadata = fs::metadata(path).map_err(failure)?;
    if !metadata.is_file() {
        return Err(Failure::usage(format!("`{name}` is not a regular file, so it can't be rewritten"))
            .help("leave out --write and apply the diff, or name the file itself"));
    }
    let target = fs::canonicalize(path).map_err(failure)?;
    if metadata.permissions().readonly() {
        return Err(Failure::unknown(format!("can't write `{name}`: the file is read-only"))
            .help(format!("chmod u+w {name}")));
    }
    let folder = target.parent().unwrap_or(Path::new("/"));
    if fs::metadata(folder).map_err(failure)?.permissions().readonly() {
        return Err(Failure::unknown(format!("can't write `{name}`: its folder is read-only"))
            .help(format!("chmod u+w {}", folder.display())));
    }
    // Somebody else may have saved the file while the trust server was asked.
    let unchanged = Source::Path(target.clone()).read(expected.len()).is_ok_and(|now| now == expected);
    if !unchanged {
        return Err(Failure::unknown(format!("`{name}` changed while it was being pinned"))
            .note("it was left as it is")
            .help("run the command again"));
    }
    write_beside(&target, folder, &metadata, content).map_err(failure)
}

fn write_beside(target: &Path, folder: &Path, metadata: &Metadata, content: &[u8]) -> io::Result<()> {
    let mut beside = tempfile::Builder::new().prefix(".trustgate-").tempfile_in(folder)?;
    beside.write_all(content)?;
    let own = beside.as_file().metadata()?;
    if (own.uid(), own.gid()) != (metadata.uid(), metadata.gid()) {
        std::os::unix::fs::fchown(beside.as_file(), Some(metadata.uid()), Some(metadata.gid()))?;
    }
    // After the owner, because a change of owner clears set-ID bits.
    beside.as_file().set_permissions(fs::Permissions::from_mode(metadata.mode() & 0o7777))?;
    beside.as_file().sync_all()?;
    beside.persist(target).map_err(|error| error.error)?;
    // The rename itself is durable once the folder is.
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Dockerfile");
        fs::write(&path, content).unwrap();
        (folder, path)
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn the_mode_stays_and_nothing_is_left_behind() {
        let (folder, path) = folder_with(b"old");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        replace(&path, b"old", b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(names(folder.path()), ["Dockerfile"]);
    }

    #[test]
    fn a_symbolic_link_stays_a_link() {
        let (folder, path) = folder_with(b"old");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("Dockerfile", &link).unwrap();
        replace(&link, b"old", b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn a_file_that_changed_meanwhile_is_left_alone() {
        let (_folder, path) = folder_with(b"newer, and longer");
        let error = replace(&path, b"old", b"new").unwrap_err();
        assert!(error.message().contains("changed while"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"newer, and longer");
    }

    #[test]
    fn what_is_marked_read_only_is_left_alone() {
        let (folder, path) = folder_with(b"old");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
        assert!(replace(&path, b"old", b"new").unwrap_err().message().contains("the file is read-only"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
        assert!(replace(&path, b"old", b"new").unwrap_err().message().contains("its folder is read-only"));
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }

    #[test]
    fn no_more_than_the_limit_is_read() {
        let (_folder, path) = folder_with(b"12345");
        let source = Source::Path(path);
        assert_eq!(source.read(5).unwrap(), b"12345");
        assert!(source.read(4).unwrap_err().message().contains("longer than 4 bytes"));
        let endless = Source::Path(PathBuf::from("/dev/zero"));
        assert!(endless.read(1000).is_err());
    }
}
