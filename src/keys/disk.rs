//! Key files on disk: read bounded, written whole.
//!
//! A key file is a regular file, owned by who uses it, that nobody else can read. It is written
//! beside its place and moved there, so that whatever happens there is the old file or the new one.

use std::fs::{DirBuilder, File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::KeyError;

/// The content of a key file, and what the file system says of it.
pub(super) fn read(path: &Path) -> Result<(Zeroizing<Vec<u8>>, Metadata), KeyError> {
    read_at_most(path, KEY_FILE_LIMIT, Links::Refused)
}

/// Whether a symbolic link is followed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    Followed,
    Refused,
}

/// The content of a regular file of at most `limit` bytes.
pub(super) fn read_at_most(
    path: &Path,
    limit: usize,
    links: Links,
) -> Result<(Zeroizing<Vec<u8>>, Metadata), KeyError> {
    // Without blocking: a named pipe would wait for a writer.
    let mut flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    if links == Links::Refused {
        flags |= OFlags::NOFOLLOW;
    }
    let file = match rustix::fs::open(path, flags, rustix::fs::Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::LOOP) if links == Links::Refused => {
            return Err(not_a_file(path, "a symbolic link"));
        }
        Err(error) => return Err(KeyError::io(path, error.into())),
    };
    let metadata = file.metadata().map_err(|it| KeyError::io(path, it))?;
    if !metadata.is_file() {
        return Err(not_a_file(path, if metadata.is_dir() { "a folder" } else { "not a regular file" }));
    }
    let content = read_to_end(file, limit).map_err(|it| KeyError::io(path, it))?;
    Ok((content, metadata))
}

/// All that there is to read, at most `limit` bytes. No copy of it is left behind.
pub(super) fn read_to_end(source: impl io::Read, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut content = Zeroizing::new(Vec::with_capacity(limit + 1));
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut source = source.take(most);
    let mut chunk = Zeroizing::new([0; 4096]);
    loop {
        match source.read(chunk.as_mut()) {
            Ok(0) => break,
            Ok(length) => content.extend_from_slice(chunk.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if content.len() > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {limit} bytes")));
    }
    Ok(content)
}

/// Writes a file that only its owner can read, in the place of one that may be there.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), KeyError> {
    let failed = |it| KeyError::io(path, it);
    let folder = path.parent().unwrap_or(Path::new("."));
    create_folder(folder)?;
    // `tempfile` makes files that only their owner can read.
    let mut file = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .tempfile_in(folder)
        .map_err(|it| KeyError::io(folder, it))?;
    file.write_all(content).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|it| failed(it.error))?;
    sync_folder(folder)
}

/// The same beside anything else: what is there already is an error, unless it may be replaced.
pub(super) fn write_export(path: &Path, content: &[u8], existing: Existing) -> Result<(), KeyError> {
    let failed = |it| KeyError::io(path, it);
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if path.is_dir() {
        return Err(not_a_file(path, "a folder"));
    }
    let mut file = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .tempfile_in(folder)
        .map_err(|it| KeyError::io(folder, it))?;
    file.write_all(content).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    let moved = match existing {
        Existing::Replaced => file.persist(path),
        Existing::Kept => file.persist_noclobber(path),
    };
    match moved {
        Ok(_) => sync_folder(folder),
        Err(it) if it.error.kind() == io::ErrorKind::AlreadyExists => {
            Err(KeyError::Exists { path: path.to_owned() })
        }
        Err(it) => Err(failed(it.error)),
    }
}

/// What becomes of a file that is where another is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and the new one is not written.
    Kept,
    /// The new one takes its place.
    Replaced,
}

/// Makes a folder that only its owner can enter, and those above it.
pub(super) fn create_folder(folder: &Path) -> Result<(), KeyError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|it| KeyError::io(folder, it))
}

/// Has the file system keep what was renamed or removed in a folder.
pub(super) fn sync_folder(folder: &Path) -> Result<(), KeyError> {
    File::open(folder).and_then(|it| it.sync_all()).map_err(|it| KeyError::io(folder, it))
}

/// The permissions of a file that others than its owner have some of.
pub(super) fn exposed_mode(metadata: &Metadata) -> Option<u32> {
    let mode = metadata.mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

/// Whether the file belongs to somebody else than who runs this.
pub(super) fn is_foreign(metadata: &Metadata) -> bool {
    metadata.uid() != rustix::process::geteuid().as_raw()
}

fn not_a_file(path: &Path, what: &'static str) -> KeyError {
    KeyError::NotAFile { path: path.to_owned(), what }
}

/// What names of half-written files start with.
pub(super) const TEMPORARY: &str = ".trustgate-";
/// An RSA key of 4,096 bits has 3.5 KiB.
pub(super) const KEY_FILE_LIMIT: usize = 64 << 10;
