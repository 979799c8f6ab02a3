//! Writing an archive: there as a whole, or not at all.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};
use tempfile::NamedTempFile;

use super::record::{EndMember, Record};
use super::{ChangeMember, FIRST_LINE, FileMember, KeyMember, SigningKeyMember};
use crate::image::Gun;

/// An archive that is not there yet. Dropped before it is finished, it never is.
pub(in crate::server::transfer) struct Writer {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
    hash: Context,
    written: u64,
    end: EndMember,
}

impl Writer {
    /// Starts an archive beside the place where it is to be, for its owner's eyes only.
    pub(in crate::server::transfer) fn create(path: &Path) -> io::Result<Self> {
        if path.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::Builder::new().prefix(".trustgate-export-").tempfile_in(folder)?;
        let mut writer = Self {
            path: path.to_owned(),
            file: BufWriter::with_capacity(BUFFER, file),
            hash: Context::new(&SHA256),
            written: 0,
            end: EndMember::default(),
        };
        writer.write(FIRST_LINE.as_bytes())?;
        writer.write(b"\n")?;
        Ok(writer)
    }

    pub(in crate::server::transfer) fn key(&mut self, key: KeyMember) -> io::Result<()> {
        self.end.keys += 1;
        self.record(&Record::Key(key))
    }

    pub(in crate::server::transfer) fn repository(&mut self, gun: &Gun) -> io::Result<()> {
        self.end.repositories += 1;
        self.record(&Record::Repository { gun: gun.to_string() })
    }

    pub(in crate::server::transfer) fn signing_key(&mut self, key: SigningKeyMember) -> io::Result<()> {
        self.record(&Record::SigningKey(key))
    }

    pub(in crate::server::transfer) fn file(&mut self, member: FileMember, content: &[u8]) -> io::Result<()> {
        self.end.files += 1;
        self.record(&Record::File(member))?;
        self.write(content)?;
        self.write(b"\n")
    }

    pub(in crate::server::transfer) fn change(&mut self, change: ChangeMember) -> io::Result<()> {
        self.end.changes += 1;
        self.record(&Record::Change(change))
    }

    /// Puts it where it is to be, and sees to it that it stays there. Returns how many bytes it has.
    pub(in crate::server::transfer) fn finish(mut self) -> io::Result<u64> {
        let hash = std::mem::replace(&mut self.hash, Context::new(&SHA256));
        self.end.sha256 = hex::encode(hash.finish());
        self.record(&Record::End(self.end.clone()))?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(&self.path).map_err(|it| it.error)?;
        let folder = self.path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
        Ok(self.written)
    }

    fn record(&mut self, record: &Record) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        self.write(&line)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.written += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.file.write_all(bytes)
    }
}

const BUFFER: usize = 256 << 10;
