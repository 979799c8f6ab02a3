//! Reading an archive, which may be anything.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};

use super::record::{EndMember, Record, gun};
use super::{FIRST_LINE, KeyMember, LINE_LIMIT};
use crate::image::Gun;
use crate::server::storage::{ChangeRecord, Listed};
use crate::server::transfer::TransferError;
use crate::tuf::{PublicKey, RoleName, TARGETS_LIMIT};

/// An archive that is read from its start to its end; files' bytes can be had at any time.
pub(in crate::server::transfer) struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    hash: Context,
    place: u64,
    line: u64,
    found: EndMember,
    stage: Stage,
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Keys,
    Repositories,
    Changes,
    End,
}

/// A record that means something by itself.
#[derive(Debug)]
pub(in crate::server::transfer) enum Item {
    Change(ChangeRecord),
    /// A file of the repository before, whose `id` is the place of its bytes.
    File(Listed),
    Key(KeyMember),
    Repository(Gun),
    SigningKey(RoleName, PublicKey, jiff::Timestamp),
}

impl Reader {
    pub(in crate::server::transfer) fn open(path: &Path) -> Result<Self, TransferError> {
        let unreadable = |error: io::Error| TransferError::read(path, &error);
        if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
            // It is read more than once.
            return Err(unreadable(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")));
        }
        let file = File::open(path).map_err(unreadable)?;
        let mut reader = Self {
            path: path.to_owned(),
            file: BufReader::with_capacity(BUFFER, file),
            hash: Context::new(&SHA256),
            place: 0,
            line: 0,
            found: EndMember::default(),
            stage: Stage::Keys,
        };
        let first = reader.take_line().ok().flatten();
        if first.as_deref() == Some(FIRST_LINE.as_bytes()) {
            return Ok(reader);
        }
        let later = first.is_some_and(|it| it.starts_with(b"trustgate export "));
        Err(TransferError::NoArchive { path: path.to_owned(), later })
    }

    /// From the start again.
    pub(in crate::server::transfer) fn again(&self) -> Result<Self, TransferError> {
        Self::open(&self.path)
    }

    /// The next record; `None` is the end, and only where the archive is whole.
    pub(in crate::server::transfer) fn next(&mut self) -> Result<Option<Item>, TransferError> {
        // The last line is not part of the hash that it has in it.
        let before = self.hash.clone();
        let Some(line) = self.take_line()? else {
            return Err(self.damaged("it ends before its last record: it was cut short"));
        };
        let record = serde_json::from_slice(&line).map_err(|it| {
            // The position would be that in the line.
            let reason = it.to_string();
            let reason = reason.split(" at line ").next().unwrap_or_default().to_owned();
            self.damaged(&reason)
        })?;
        let item = match record {
            Record::Key(key) => {
                self.enter(Stage::Keys)?;
                self.found.keys += 1;
                Item::Key(key)
            }
            Record::Repository { gun: name } => {
                self.enter(Stage::Repositories)?;
                self.found.repositories += 1;
                Item::Repository(gun(&name).map_err(|it| self.damaged(&it))?)
            }
            Record::SigningKey(member) => {
                self.within_repository()?;
                let (role, key, created) = member.key().map_err(|it| self.damaged(&it))?;
                Item::SigningKey(role, key, created)
            }
            Record::File(member) => {
                self.within_repository()?;
                self.found.files += 1;
                let listed = member.listed(self.place).map_err(|it| self.damaged(&it))?;
                self.pass(listed.size)?;
                Item::File(listed)
            }
            Record::Change(member) => {
                self.enter(Stage::Changes)?;
                self.found.changes += 1;
                Item::Change(member.record().map_err(|it| self.damaged(&it))?)
            }
            Record::End(end) => {
                self.enter(Stage::End)?;
                self.found.sha256 = hex::encode(before.finish());
                if end.sha256 != self.found.sha256 {
                    return Err(self.damaged("its SHA-256 is another one than its last record has"));
                }
                if end != self.found {
                    return Err(self.damaged("it has not as many records as its last one says"));
                }
                return match self.take_line()? {
                    None => Ok(None),
                    Some(_) => Err(self.damaged("something stands behind its last record")),
                };
            }
        };
        Ok(Some(item))
    }

    /// The bytes of a file that was listed.
    pub(in crate::server::transfer) fn content(&self, file: &Listed) -> Result<Vec<u8>, TransferError> {
        let length = usize::try_from(file.size).unwrap_or(usize::MAX).min(TARGETS_LIMIT);
        let mut content = vec![0; length];
        let place = u64::try_from(file.id).unwrap_or(u64::MAX);
        self.file
            .get_ref()
            .read_exact_at(&mut content, place)
            .map_err(|it| TransferError::read(&self.path, &it))?;
        Ok(content)
    }

    fn enter(&mut self, stage: Stage) -> Result<(), TransferError> {
        if stage < self.stage {
            return Err(self.damaged("its records are not in order"));
        }
        self.stage = stage;
        Ok(())
    }

    fn within_repository(&mut self) -> Result<(), TransferError> {
        if self.stage == Stage::Repositories {
            return Ok(());
        }
        Err(self.damaged("it has a file or a signing key of no repository"))
    }

    /// Passes over bytes and the end of line behind them.
    fn pass(&mut self, length: u64) -> Result<(), TransferError> {
        if u64::try_from(TARGETS_LIMIT).is_ok_and(|limit| limit < length) {
            return Err(self.damaged(&format!("a file is longer than {TARGETS_LIMIT} bytes")));
        }
        let mut left = length + 1;
        while 0 < left {
            let buffer = self.file.fill_buf().map_err(|it| TransferError::read(&self.path, &it))?;
            let most = usize::try_from(left).unwrap_or(usize::MAX);
            let piece = buffer.get(..most).unwrap_or(buffer);
            let Some(last) = piece.last().copied() else {
                return Err(self.damaged("it ends in the middle of a file: it was cut short"));
            };
            self.hash.update(piece);
            let taken = piece.len();
            self.file.consume(taken);
            let taken = u64::try_from(taken).unwrap_or(u64::MAX);
            self.place += taken;
            left -= taken;
            if left == 0 && last != b'\n' {
                return Err(self.damaged("a file is longer than its record says"));
            }
        }
        Ok(())
    }

    /// The next line, without its end.
    fn take_line(&mut self) -> Result<Option<Vec<u8>>, TransferError> {
        let mut line = Vec::new();
        let limit = u64::try_from(LINE_LIMIT).unwrap_or(u64::MAX);
        let mut bounded = (&mut self.file).take(limit);
        bounded.read_until(b'\n', &mut line).map_err(|it| TransferError::read(&self.path, &it))?;
        if line.is_empty() {
            return Ok(None);
        }
        self.line += 1;
        self.hash.update(&line);
        self.place += u64::try_from(line.len()).unwrap_or(u64::MAX);
        if line.pop_if(|it| *it == b'\n').is_none() {
            return Err(self.damaged("a record has no end: it was cut short, or is none of ours"));
        }
        Ok(Some(line))
    }

    fn damaged(&self, reason: &str) -> TransferError {
        TransferError::Archive { path: self.path.clone(), record: self.line, reason: reason.to_owned() }
    }
}

const BUFFER: usize = 256 << 10;
