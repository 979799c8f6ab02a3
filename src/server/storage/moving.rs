//! Everything of a moment, read as one, and put into another storage as it was.
//!
//! What is put back lands as a publish does: on exactly the state that was looked at. Files of the past
//! follow in portions, so that nobody who publishes in the meantime waits for long.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::sql::{
    SqlStorage, Terms, change_record, columns, corrupt, gun_of, hash_of, lock, moment, role_of,
    version_number, version_of,
};
use super::{Change, ChangeRecord, NewFile, StorageError};
use crate::database::{Row, Session, Value};
use crate::image::Gun;
use crate::signer::{KeyRow, SqlRows};
use crate::tuf::{PublicKey, RoleName, Version};

/// A storage at one moment, whatever is published afterwards.
pub struct Snapshot {
    session: Session,
    /// Whether a signer inside the server keeps its keys here.
    sealed_keys: bool,
}

/// A file as a snapshot lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its place in the storage.
    pub id: i64,
    /// Its role.
    pub role: RoleName,
    /// Its version.
    pub version: Version,
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// How many bytes it has.
    pub size: u64,
    /// When it was stored.
    pub stored: Timestamp,
    /// When it was replaced or given up.
    pub replaced: Option<Timestamp>,
}

impl Snapshot {
    /// Repositories, in an order of the database's own: those after this one.
    pub async fn repositories(&mut self, after: i64, limit: i64) -> Result<Vec<(i64, Gun)>, StorageError> {
        let sql = "SELECT id, gun FROM repositories WHERE id > $1 ORDER BY id LIMIT $2";
        let rows = self.session.fetch(sql, &[after.into(), limit.into()]).await?;
        rows.iter().map(|row| Ok((row.integer(0)?, gun_of(row, 1)?))).collect()
    }

    /// Files of a repository in the order in which they were stored: those after this one.
    pub async fn files(
        &mut self,
        repository: i64,
        after: i64,
        limit: i64,
    ) -> Result<Vec<Listed>, StorageError> {
        let rows = self.session.fetch(FILES, &[repository.into(), after.into(), limit.into()]).await?;
        rows.iter().map(listed).collect()
    }

    /// A file's bytes.
    pub async fn content(&mut self, file: i64) -> Result<Vec<u8>, StorageError> {
        let rows = self.session.fetch("SELECT content FROM files WHERE id = $1", &[file.into()]).await?;
        let row = rows.first().ok_or_else(|| corrupt("a file that was listed is not there".to_owned()))?;
        Ok(row.bytes(0)?)
    }

    /// The keys that the server handed out for the roles of a repository, oldest first.
    pub async fn signing_keys(
        &mut self,
        gun: &Gun,
    ) -> Result<Vec<(RoleName, PublicKey, Timestamp)>, StorageError> {
        let sql = "SELECT role, public_key, created_at FROM signing_keys WHERE gun = $1 ORDER BY id";
        let rows = self.session.fetch(sql, &[gun.as_str().into()]).await?;
        let key = |row: &Row| {
            let key = PublicKey::from_json(row.text(1)?.as_bytes()).map_err(corrupt)?;
            Ok((role_of(row, 0)?, key, moment(row, 2)?))
        };
        rows.iter().map(key).collect()
    }

    /// The list of changes after this one.
    pub async fn changes(&mut self, after: i64, limit: i64) -> Result<Vec<ChangeRecord>, StorageError> {
        let sql =
            "SELECT id, gun, version, sha256, happened_at FROM changes WHERE id > $1 ORDER BY id LIMIT $2";
        let rows = self.session.fetch(sql, &[after.into(), limit.into()]).await?;
        rows.iter().map(change_record).collect()
    }

    /// Sealed keys after the one of this ID, where a signer inside the server keeps them here.
    pub async fn sealed_keys(&mut self, after: &str, limit: i64) -> Result<Vec<KeyRow>, StorageError> {
        if !self.sealed_keys {
            return Ok(Vec::new());
        }
        Ok(SqlRows::page(&mut self.session, after, limit).await?)
    }
}

/// A file of the past, to be put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastFile {
    /// The file.
    pub file: NewFile,
    /// When it was stored.
    pub stored: Timestamp,
    /// When it was replaced.
    pub replaced: Timestamp,
}

/// What makes a file that one and no other.
pub type FileMark = (RoleName, Version, [u8; 32]);

impl SqlStorage {
    /// The storage as it is now, and stays for whoever holds this.
    pub async fn snapshot(&self) -> Result<Snapshot, StorageError> {
        let sealed_keys = self.database.has_table("sealed_keys").await?;
        Ok(Snapshot { session: self.database.snapshot().await?, sealed_keys })
    }

    /// Publishes a state that was made elsewhere, with the times at which its files were stored there.
    /// Whether the list of changes says so is for the caller to choose, who may put the list back, too.
    pub async fn restore_state(
        &self,
        gun: &Gun,
        change: &Change,
        stored: &BTreeMap<RoleName, Timestamp>,
        recorded: bool,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        self.apply(gun, change, &Terms { stored, recorded }, now).await
    }

    /// Which files of a repository there are.
    pub async fn known_files(&self, gun: &Gun) -> Result<BTreeSet<FileMark>, StorageError> {
        let rows = self.database.read(MARKS, &[gun.as_str().into()]).await?;
        rows.iter().map(|row| Ok((role_of(row, 0)?, version_of(row, 1)?, hash_of(row.bytes(2)?)?))).collect()
    }

    /// Puts files of the past beside those of a repository that is there.
    pub async fn restore_past(&self, gun: &Gun, files: &[PastFile]) -> Result<(), StorageError> {
        let mut session = self.database.begin().await?;
        let rows = session
            .fetch("SELECT id, changed_at FROM repositories WHERE gun = $1", &[gun.as_str().into()])
            .await?;
        let Some(row) = rows.first() else { return Err(StorageError::Moved) };
        let repository = lock(&mut session, gun, row.integer(1)?).await?;
        for past in files {
            let values = [
                repository.into(),
                past.file.role.as_str().into(),
                version_number(past.file.version)?.into(),
                past.file.sha256.as_slice().into(),
                past.file.content.as_slice().into(),
                past.file.expires.as_millisecond().into(),
                past.stored.as_millisecond().into(),
                Value::from(past.replaced.as_millisecond()),
            ];
            session.execute(INSERT_PAST, &values).await?;
        }
        Ok(session.commit().await?)
    }

    /// Whether nothing was ever published here.
    pub async fn has_no_changes(&self) -> Result<bool, StorageError> {
        Ok(self.database.read("SELECT id FROM changes LIMIT 1", &[]).await?.is_empty())
    }

    /// Puts the list of changes back, with its numbers, into a storage that has none; `None`, where it has
    /// one by now. Whoever follows the list goes on where they were.
    pub async fn restore_changes(&self) -> Result<Option<ChangesRestored>, StorageError> {
        let mut session = self.database.begin().await?;
        session.lock(super::sql::CHANGES_LOCK).await?;
        let empty = session.fetch("SELECT id FROM changes LIMIT 1", &[]).await?.is_empty();
        Ok(empty.then_some(ChangesRestored { session }))
    }
}

/// A list of changes that is put back, all of it or nothing.
pub struct ChangesRestored {
    session: Session,
}

impl ChangesRestored {
    /// Adds one.
    pub async fn add(&mut self, record: &ChangeRecord) -> Result<(), StorageError> {
        let (version, hash) = columns(&record.kind)?;
        let values = [
            record.id.into(),
            record.gun.as_str().into(),
            version.into(),
            hash,
            record.at.as_millisecond().into(),
        ];
        let sql = self.session.either(INSERT_CHANGE_IN_SQLITE, INSERT_CHANGE_IN_POSTGRES);
        self.session.execute(sql, &values).await?;
        Ok(())
    }

    /// Makes it last.
    pub async fn finish(mut self) -> Result<(), StorageError> {
        // SQLite goes on from the highest number by itself.
        let sql = self.session.either("SELECT 0", NEXT_CHANGE_IN_POSTGRES);
        self.session.fetch(sql, &[]).await?;
        Ok(self.session.commit().await?)
    }
}

fn listed(row: &Row) -> Result<Listed, StorageError> {
    let replaced = row.integer(6)?;
    Ok(Listed {
        id: row.integer(0)?,
        role: role_of(row, 1)?,
        version: version_of(row, 2)?,
        sha256: hash_of(row.bytes(3)?)?,
        size: u64::try_from(row.integer(4)?).map_err(|it| corrupt(it.to_string()))?,
        stored: moment(row, 5)?,
        replaced: if replaced == STANDS { None } else { Some(moment(row, 6)?) },
    })
}

/// What stands for no time.
const STANDS: i64 = -1;
const FILES: &str = "SELECT id, role, version, sha256, CAST(octet_length(content) AS BIGINT), stored_at, \
    CAST(COALESCE(replaced_at, -1) AS BIGINT) FROM files WHERE repository = $1 AND id > $2 ORDER BY id LIMIT $3";
const MARKS: &str = "SELECT f.role, f.version, f.sha256 FROM repositories r \
    JOIN files f ON f.repository = r.id WHERE r.gun = $1";
const INSERT_PAST: &str = "INSERT INTO files \
    (repository, role, version, sha256, content, expires_at, stored_at, replaced_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const INSERT_CHANGE_IN_SQLITE: &str =
    "INSERT INTO changes (id, gun, version, sha256, happened_at) VALUES ($1, $2, $3, $4, $5)";
const INSERT_CHANGE_IN_POSTGRES: &str = "INSERT INTO changes (id, gun, version, sha256, happened_at) \
    OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, $5)";
const NEXT_CHANGE_IN_POSTGRES: &str =
    "SELECT setval(pg_get_serial_sequence('changes', 'id'), (SELECT MAX(id) FROM changes))";
