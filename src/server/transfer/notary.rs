//! A notary-server's files, in a PostgreSQL database that runs, or in a dump of that or of `MySQL`.
//!
//! Everything is read in one transaction, so that what somebody publishes in the meantime is there as a
//! whole or not at all. Rows that were deleted are left out.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::TransferError;
use super::source::{Offer, Offered};
use crate::database::dump::{Column, Dump, Table};
use crate::database::{Database, DatabaseError, Row, Session, moment};
use crate::image::GunError;
use crate::server::storage::{ChangeKind, ChangeRecord, Listed, sha256};
use crate::tuf::Version;

/// The files, at some place in them.
pub(super) struct NotaryFiles {
    session: Session,
    /// Whether it has a list of changes: early versions have none.
    feed: bool,
    after: String,
    names: VecDeque<String>,
    last_change: i64,
    changes: VecDeque<ChangeRecord>,
    now: Timestamp,
    _dump: Option<Dump>,
}

impl NotaryFiles {
    /// The address of a running database, or the path of a dump.
    pub(super) async fn open(source: &str, now: Timestamp) -> Result<Self, TransferError> {
        let (database, dump) = if Database::is_address(source) {
            (Database::foreign(source).await.map_err(TransferError::Foreign)?, None)
        } else {
            let dump = Dump::load(source.as_ref(), TABLES).await?;
            (dump.database().clone(), Some(dump))
        };
        if !database.has_table(FILES.name).await.map_err(TransferError::Foreign)? {
            let reason = format!("it has no table `{}`", FILES.name);
            return Err(TransferError::Foreign(DatabaseError::Corrupt { reason }));
        }
        let feed = database.has_table(FEED.name).await.map_err(TransferError::Foreign)?;
        let session = database.snapshot().await.map_err(TransferError::Foreign)?;
        Ok(Self {
            session,
            feed,
            after: String::new(),
            names: VecDeque::new(),
            last_change: 0,
            changes: VecDeque::new(),
            now,
            _dump: dump,
        })
    }

    pub(super) fn again(&mut self) {
        self.after.clear();
        self.names.clear();
        self.last_change = 0;
        self.changes.clear();
    }

    pub(super) async fn next(&mut self) -> Result<Option<Offer>, TransferError> {
        if self.names.is_empty() {
            let rows = self.fetch(NAMES, &[self.after.clone().as_str().into()]).await?;
            for row in &rows {
                self.names.push_back(row.text(0).map_err(TransferError::Foreign)?);
            }
        }
        let Some(name) = self.names.pop_front() else { return Ok(None) };
        self.after.clone_from(&name);
        let gun = match name.parse() {
            Ok(gun) => gun,
            Err(error) => {
                let error: GunError = error;
                return Ok(Some(Offer::Nameless { name, reason: error.to_string() }));
            }
        };
        let rows = self.fetch(FILES_OF, &[name.as_str().into()]).await?;
        let mut files = Vec::new();
        for row in &rows {
            files.extend(self.listed(row).await?);
        }
        Ok(Some(Offer::Repository(Offered { gun, files, signing_keys: Vec::new() })))
    }

    pub(super) async fn content(&mut self, file: &Listed) -> Result<Vec<u8>, TransferError> {
        let rows = self.fetch(CONTENT, &[file.id.into()]).await?;
        let row = rows.first().ok_or_else(|| foreign("a row that was listed is not there"))?;
        row.bytes(0).map_err(TransferError::Foreign)
    }

    pub(super) async fn next_change(&mut self) -> Result<Option<ChangeRecord>, TransferError> {
        while self.feed && self.changes.is_empty() {
            let rows = self.fetch(CHANGES, &[self.last_change.into()]).await?;
            if rows.is_empty() {
                return Ok(None);
            }
            for row in &rows {
                self.last_change = row.integer(0).map_err(TransferError::Foreign)?;
                self.changes.extend(self.change(row).map_err(TransferError::Foreign)?);
            }
        }
        Ok(self.changes.pop_front())
    }

    async fn fetch(
        &mut self,
        sql: &'static str,
        values: &[crate::database::Value<'_>],
    ) -> Result<Vec<Row>, TransferError> {
        self.session.fetch(sql, values).await.map_err(TransferError::Foreign)
    }

    /// Reads number, role, version, hash, length and time. Rows of roles that there are not are none.
    async fn listed(&mut self, row: &Row) -> Result<Option<Listed>, TransferError> {
        let read = |row: &Row| -> Result<_, DatabaseError> {
            let role = row.text(1)?.parse().ok();
            let version = u64::try_from(row.integer(2)?).ok().and_then(Version::new);
            let size = u64::try_from(row.integer(4)?).unwrap_or(u64::MAX);
            let stored = row.optional_text(5)?.and_then(|it| moment(&it));
            Ok((row.integer(0)?, role, version, row.optional_text(3)?, size, stored))
        };
        let (id, role, version, hash, size, stored) = read(row).map_err(TransferError::Foreign)?;
        let (Some(role), Some(version)) = (role, version) else { return Ok(None) };
        let stored = stored.unwrap_or(self.now);
        let mut listed = Listed { id, role, version, sha256: [0; 32], size, stored, replaced: None };
        let known = hash.is_some_and(|it| hex::decode_to_slice(it.trim(), &mut listed.sha256).is_ok());
        if !known {
            // Rows of early versions have none.
            listed.sha256 = sha256(&self.content(&listed).await?);
        }
        Ok(Some(listed))
    }

    /// Reads number, time, name, version, hash and category.
    fn change(&self, row: &Row) -> Result<Option<ChangeRecord>, DatabaseError> {
        let at = row.optional_text(1)?.and_then(|it| moment(&it)).unwrap_or(self.now);
        let Ok(gun) = row.text(2)?.parse() else { return Ok(None) };
        let mut hash = [0; 32];
        let version = u64::try_from(row.integer(3)?).ok().and_then(Version::new);
        let kind = match (row.text(5)?.as_str(), version, row.optional_text(4)?) {
            ("deletion", ..) => ChangeKind::Deletion,
            ("update", Some(version), Some(text)) if hex::decode_to_slice(text.trim(), &mut hash).is_ok() => {
                ChangeKind::Update { version, sha256: hash }
            }
            _ => return Ok(None),
        };
        Ok(Some(ChangeRecord { id: row.integer(0)?, at, gun, kind }))
    }
}

fn foreign(reason: &str) -> TransferError {
    TransferError::Foreign(DatabaseError::Corrupt { reason: reason.to_owned() })
}

const TABLES: &[Table] = &[FILES, FEED];
/// As notary-server's migrations make it.
const FILES: Table = Table {
    name: "tuf_files",
    columns: &[
        Column::integer("id"),
        Column::optional_text("created_at"),
        Column::optional_text("deleted_at"),
        Column::text("gun"),
        Column::text("role"),
        Column::integer("version"),
        Column::bytes("data"),
        Column::optional_text("sha256"),
    ],
    required: true,
    create: "CREATE TABLE tuf_files (id BIGINT PRIMARY KEY, created_at TEXT, deleted_at TEXT, gun TEXT NOT NULL, \
             role TEXT NOT NULL, version BIGINT NOT NULL, data BLOB NOT NULL, sha256 TEXT, \
             UNIQUE (gun, role, version))",
    insert: "INSERT INTO tuf_files VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
};
const FEED: Table = Table {
    name: "changefeed",
    columns: &[
        Column::integer("id"),
        Column::optional_text("created_at"),
        Column::text("gun"),
        Column::integer("version"),
        Column::optional_text("sha256"),
        Column::text("category"),
    ],
    required: false,
    create: "CREATE TABLE changefeed (id BIGINT PRIMARY KEY, created_at TEXT, gun TEXT NOT NULL, \
             version BIGINT NOT NULL, sha256 TEXT, category TEXT NOT NULL)",
    insert: "INSERT INTO changefeed VALUES ($1, $2, $3, $4, $5, $6)",
};
const NAMES: &str =
    "SELECT DISTINCT gun FROM tuf_files WHERE deleted_at IS NULL AND gun > $1 ORDER BY gun LIMIT 200";
const FILES_OF: &str = "SELECT CAST(id AS BIGINT), role, CAST(version AS BIGINT), CAST(sha256 AS TEXT), \
    CAST(octet_length(data) AS BIGINT), CAST(created_at AS TEXT) FROM tuf_files \
    WHERE gun = $1 AND deleted_at IS NULL ORDER BY id";
const CONTENT: &str = "SELECT data FROM tuf_files WHERE id = $1";
const CHANGES: &str = "SELECT CAST(id AS BIGINT), CAST(created_at AS TEXT), gun, CAST(version AS BIGINT), \
    CAST(sha256 AS TEXT), category FROM changefeed WHERE id > $1 ORDER BY id LIMIT 500";
