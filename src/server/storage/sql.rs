//! The storage in SQL.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use super::{
    Answer, Change, ChangeKind, ChangeQuery, ChangeRecord, ChangeStart, Head, NewFile, RepositoryQuery,
    Standing, Storage, StorageError, StoredFile, at_once,
};
use crate::database::{Database, DatabaseError, Migration, Row, Schema, Session, Value, places};
use crate::image::Gun;
use crate::signer::SqlRows;
use crate::tuf::{PublicKey, RoleName, Version};

/// Files in a SQLite file or a PostgreSQL database.
#[derive(Clone, Debug)]
pub struct SqlStorage {
    pub(super) database: Database,
}

impl SqlStorage {
    /// The SQLite file at this path, made if there is none.
    pub async fn sqlite(path: &Path) -> Result<Self, StorageError> {
        Self::over(Database::sqlite(path).await?).await
    }

    /// Files that are gone when the program ends.
    pub async fn in_memory() -> Result<Self, StorageError> {
        Self::over(Database::in_memory().await?).await
    }

    /// The PostgreSQL database at this address: `postgres://user:password@host/database`.
    pub async fn postgres(url: &str) -> Result<Self, StorageError> {
        Self::over(Database::postgres(url).await?).await
    }

    /// Ends all connections, once what they do is done.
    pub async fn close(&self) {
        self.database.close().await;
    }

    /// A signer's keys in the same database, where it is inside the server's process.
    pub async fn key_rows(&self) -> Result<SqlRows, StorageError> {
        Ok(SqlRows::over(self.database.clone()).await?)
    }

    /// How many repositories a notary-server keeps in this database; `None`: it keeps none here, or we have some.
    pub async fn notarys_repositories(&self) -> Result<Option<i64>, StorageError> {
        if !self.database.has_table("tuf_files").await?
            || !self.database.read(ANY_REPOSITORY, &[]).await?.is_empty()
        {
            return Ok(None);
        }
        let rows = self.database.read(NOTARYS_REPOSITORIES, &[]).await?;
        let count = rows.first().map_or(Ok(0), |row| row.integer(0))?;
        Ok((0 < count).then_some(count))
    }

    async fn over(database: Database) -> Result<Self, StorageError> {
        SCHEMA.apply(&database).await?;
        Ok(Self { database })
    }

    async fn file(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Option<StoredFile>, StorageError> {
        self.database.read(sql, values).await?.first().map(stored_file).transpose()
    }

    async fn publish_change(&self, gun: &Gun, change: &Change, now: Timestamp) -> Result<(), StorageError> {
        self.apply(gun, change, &Terms { stored: &BTreeMap::new(), recorded: true }, now).await
    }

    pub(super) async fn apply(
        &self,
        gun: &Gun,
        change: &Change,
        terms: &Terms<'_>,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let timestamp = check(change)?;
        let now = now.as_millisecond();
        if terms.recorded
            && terms.stored.is_empty()
            && at_once::publish(&self.database, gun, change, timestamp, now).await?
        {
            return Ok(());
        }
        let mut session = self.database.begin().await?;
        let repository = lock(&mut session, gun, now).await?;
        let current = current_files(&mut session, repository).await?;
        if current.get(&RoleName::TIMESTAMP).map(|it| it.head.sha256) != change.expected {
            return Err(StorageError::Moved);
        }
        for file in &change.files {
            let role = file.role.clone();
            if let Some(stored) = current.get(&role).map(|it| it.head.version)
                && file.version <= stored
            {
                return Err(StorageError::Version { role, stored });
            }
        }
        for role in &change.retired {
            let forget = "DELETE FROM current_files WHERE repository = $1 AND role = $2";
            session.execute(forget, &[repository.into(), role.as_str().into()]).await?;
        }
        let new = change.files.iter().map(|it| &it.role);
        let replaced: Vec<i64> =
            new.chain(&change.retired).filter_map(|role| current.get(role)).map(|it| it.id).collect();
        replace(&mut session, &replaced, now).await?;
        let stored = |file: &NewFile| terms.stored.get(&file.role).map_or(now, |it| it.as_millisecond());
        insert(&mut session, repository, &change.files, stored).await?;
        if !terms.recorded {
            return Ok(session.commit().await?);
        }
        let kind = ChangeKind::Update { version: timestamp.version, sha256: timestamp.sha256 };
        record(&mut session, gun, &kind, now).await?;
        Ok(session.commit().await?)
    }

    async fn delete_repository(&self, gun: &Gun, now: Timestamp) -> Result<bool, StorageError> {
        let now = now.as_millisecond();
        let mut session = self.database.begin().await?;
        let deleted =
            session.execute("DELETE FROM repositories WHERE gun = $1", &[gun.as_str().into()]).await?;
        if deleted == 0 {
            return Ok(false);
        }
        record(&mut session, gun, &ChangeKind::Deletion, now).await?;
        session.commit().await?;
        Ok(true)
    }

    async fn list_changes(&self, query: &ChangeQuery) -> Result<Vec<ChangeRecord>, StorageError> {
        let count = i64::from(query.count);
        let gun = query.gun.as_ref().map(Gun::as_str);
        let rows = match (query.start, gun) {
            (ChangeStart::After(id), None) => {
                self.database.read(CHANGES_AFTER, &[id.into(), count.into()]).await?
            }
            (ChangeStart::After(id), Some(gun)) => {
                self.database.read(CHANGES_AFTER_OF, &[id.into(), count.into(), gun.into()]).await?
            }
            (ChangeStart::Before(_) | ChangeStart::Newest, gun) => {
                let before = if let ChangeStart::Before(id) = query.start { id } else { i64::MAX };
                let mut rows = match gun {
                    None => self.database.read(CHANGES_BEFORE, &[before.into(), count.into()]).await?,
                    Some(gun) => {
                        let values = [before.into(), count.into(), gun.into()];
                        self.database.read(CHANGES_BEFORE_OF, &values).await?
                    }
                };
                rows.reverse();
                rows
            }
        };
        rows.iter().map(change_record).collect()
    }

    async fn prune_files(&self, replaced_before: Timestamp) -> Result<u64, StorageError> {
        let before = replaced_before.as_millisecond();
        let mut pruned = 0;
        loop {
            // In portions, so that nobody who publishes waits for long.
            let mut session = self.database.begin().await?;
            let portion = session.execute(PRUNE, &[before.into(), PRUNE_PORTION.into()]).await?;
            session.commit().await?;
            pruned += portion;
            if portion == 0 {
                return Ok(pruned);
            }
        }
    }
}

impl Storage for SqlStorage {
    fn current<'a>(&'a self, gun: &'a Gun, role: &'a RoleName) -> Answer<'a, Option<StoredFile>> {
        Box::pin(async { self.file(CURRENT, &[gun.as_str().into(), role.as_str().into()]).await })
    }

    fn by_hash<'a>(
        &'a self,
        gun: &'a Gun,
        role: &'a RoleName,
        sha256: &'a [u8; 32],
    ) -> Answer<'a, Option<StoredFile>> {
        let values = [gun.as_str().into(), role.as_str().into(), sha256.as_slice().into()];
        Box::pin(async move { self.file(BY_HASH, &values).await })
    }

    fn by_version<'a>(
        &'a self,
        gun: &'a Gun,
        role: &'a RoleName,
        version: Version,
    ) -> Answer<'a, Option<StoredFile>> {
        Box::pin(async move {
            let version = version_number(version)?;
            self.file(BY_VERSION, &[gun.as_str().into(), role.as_str().into(), version.into()]).await
        })
    }

    fn heads<'a>(&'a self, gun: &'a Gun) -> Answer<'a, BTreeMap<RoleName, Head>> {
        Box::pin(async {
            let rows = self.database.read(HEADS, &[gun.as_str().into()]).await?;
            let heads = rows.iter().map(|row| current_file(row).map(|(role, it)| (role, it.head)));
            heads.collect()
        })
    }

    fn publish<'a>(&'a self, gun: &'a Gun, change: &'a Change, now: Timestamp) -> Answer<'a, ()> {
        Box::pin(self.publish_change(gun, change, now))
    }

    fn delete<'a>(&'a self, gun: &'a Gun, now: Timestamp) -> Answer<'a, bool> {
        Box::pin(self.delete_repository(gun, now))
    }

    fn changes<'a>(&'a self, query: &'a ChangeQuery) -> Answer<'a, Vec<ChangeRecord>> {
        Box::pin(self.list_changes(query))
    }

    fn signing_keys<'a>(&'a self, gun: &'a Gun, role: &'a RoleName) -> Answer<'a, Vec<PublicKey>> {
        Box::pin(async {
            let sql = "SELECT public_key FROM signing_keys WHERE gun = $1 AND role = $2 ORDER BY id DESC";
            let rows = self.database.read(sql, &[gun.as_str().into(), role.as_str().into()]).await?;
            let keys = rows.iter().map(|row| PublicKey::from_json(row.text(0)?.as_bytes()).map_err(corrupt));
            keys.collect()
        })
    }

    fn add_signing_key<'a>(
        &'a self,
        gun: &'a Gun,
        role: &'a RoleName,
        key: &'a PublicKey,
        now: Timestamp,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let sql = "INSERT INTO signing_keys (gun, role, key_id, public_key, created_at) \
                       VALUES ($1, $2, $3, $4, $5) ON CONFLICT (gun, role, key_id) DO NOTHING";
            let text = key.to_json().to_string();
            let mut session = self.database.begin().await?;
            let (gun, role, id) = (gun.as_str(), role.as_str(), key.id().as_str());
            let values =
                [gun.into(), role.into(), id.into(), text.as_str().into(), now.as_millisecond().into()];
            session.execute(sql, &values).await?;
            Ok(session.commit().await?)
        })
    }

    fn expiring<'a>(&'a self, role: &'a RoleName, before: Timestamp, limit: u32) -> Answer<'a, Vec<Gun>> {
        Box::pin(async move {
            let values = [role.as_str().into(), before.as_millisecond().into(), i64::from(limit).into()];
            let rows = self.database.read(EXPIRING, &values).await?;
            rows.iter().map(|row| gun_of(row, 0)).collect()
        })
    }

    fn repositories<'a>(&'a self, query: &'a RepositoryQuery) -> Answer<'a, Vec<Gun>> {
        Box::pin(async {
            let after = query.after.as_ref().map_or("", Gun::as_str);
            let pattern = pattern(query.search.as_deref().unwrap_or_default());
            let values = [after.into(), pattern.as_str().into(), i64::from(query.limit).into()];
            let sql = self.database.either(REPOSITORIES_IN_SQLITE, REPOSITORIES_IN_POSTGRES);
            self.database.read(sql, &values).await?.iter().map(|row| gun_of(row, 0)).collect()
        })
    }

    fn standing<'a>(&'a self, gun: &'a Gun) -> Answer<'a, Vec<Standing>> {
        Box::pin(async {
            let rows = self.database.read(STANDING, &[gun.as_str().into()]).await?;
            let mut roles = rows.iter().map(standing).collect::<Result<Vec<_>, _>>()?;
            roles.sort_by(|one, other| one.role.cmp(&other.role));
            Ok(roles)
        })
    }

    fn prune(&self, replaced_before: Timestamp) -> Answer<'_, u64> {
        Box::pin(self.prune_files(replaced_before))
    }

    fn health(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async {
            let version = SCHEMA.version(&self.database).await?;
            version.map(drop).ok_or_else(|| corrupt("it has no tables".to_owned()))
        })
    }
}

/// What a change from another server brings.
pub(super) struct Terms<'a> {
    /// When files were stored, where that was not now.
    pub(super) stored: &'a BTreeMap<RoleName, Timestamp>,
    /// Whether the list of changes gets a record.
    pub(super) recorded: bool,
}

/// A role's newest file, as the transaction sees it.
struct Current {
    id: i64,
    head: Head,
}

/// What must hold of a change whatever is stored. Returns its timestamp.
fn check(change: &Change) -> Result<&NewFile, StorageError> {
    let mut roles = BTreeSet::new();
    if !change.files.iter().map(|it| &it.role).chain(&change.retired).all(|it| roles.insert(it)) {
        return Err(StorageError::Unfit { reason: "it names a role twice" });
    }
    let timestamp = change.files.iter().find(|it| it.role == RoleName::TIMESTAMP);
    timestamp.ok_or(StorageError::Unfit { reason: "it has no timestamp" })
}

/// Waits until nobody else changes the repository, and makes its row if there is none.
pub(super) async fn lock(session: &mut Session, gun: &Gun, now: i64) -> Result<i64, StorageError> {
    let rows = session.fetch(LOCK, &[gun.as_str().into(), now.into()]).await?;
    let row = rows.first().ok_or_else(|| corrupt("a row that was written is not there".to_owned()))?;
    Ok(row.integer(0)?)
}

async fn current_files(
    session: &mut Session,
    repository: i64,
) -> Result<BTreeMap<RoleName, Current>, StorageError> {
    let rows = session.fetch(HEADS_OF, &[repository.into()]).await?;
    rows.iter().map(current_file).collect()
}

/// Adds to the list of changes, whose numbers are committed in order.
async fn record(session: &mut Session, gun: &Gun, kind: &ChangeKind, now: i64) -> Result<(), StorageError> {
    let (version, hash) = columns(kind)?;
    let values = [gun.as_str().into(), version.into(), hash, now.into(), CHANGES_LOCK.into()];
    session.execute(session.either(RECORD_IN_SQLITE, RECORD_IN_POSTGRES), &values).await?;
    Ok(())
}

/// What the list of changes has of this: a deletion has neither version nor hash.
pub(super) fn columns(kind: &ChangeKind) -> Result<(i64, Value<'_>), StorageError> {
    Ok(match kind {
        ChangeKind::Update { version, sha256 } => (version_number(*version)?, Value::Bytes(sha256)),
        ChangeKind::Deletion => (0, Value::NoBytes),
    })
}

/// Notes that these files are no longer their roles' newest.
async fn replace(session: &mut Session, files: &[i64], now: i64) -> Result<(), StorageError> {
    for portion in files.chunks(ROWS) {
        let sql = format!("UPDATE files SET replaced_at = $1 WHERE id IN {}", places(2, 1, portion.len()));
        let values: Vec<Value<'_>> =
            std::iter::once(now).chain(portion.iter().copied()).map(Value::from).collect();
        session.execute(AssertSqlSafe(sql), &values).await?;
    }
    Ok(())
}

/// Stores files, and makes them their roles' newest.
async fn insert(
    session: &mut Session,
    repository: i64,
    files: &[NewFile],
    stored: impl Fn(&NewFile) -> i64,
) -> Result<(), StorageError> {
    for portion in files.chunks(ROWS) {
        let mut values: Vec<Value<'_>> = Vec::with_capacity(portion.len() * 7);
        for file in portion {
            values.extend::<[Value<'_>; 7]>([
                repository.into(),
                file.role.as_str().into(),
                version_number(file.version)?.into(),
                file.sha256.as_slice().into(),
                file.content.as_slice().into(),
                file.expires.as_millisecond().into(),
                stored(file).into(),
            ]);
        }
        let sql = format!("{INSERT} VALUES {} RETURNING id, role", places(1, portion.len(), 7));
        let rows = session.fetch(AssertSqlSafe(sql), &values).await?;
        if rows.len() != portion.len() {
            return Err(corrupt("a file that was written is not there".to_owned()));
        }
        let rows = rows.iter().map(|it| Ok((it.integer(0)?, it.text(1)?)));
        let rows: Vec<(i64, String)> = rows.collect::<Result<_, DatabaseError>>()?;
        let values: Vec<Value<'_>> = rows
            .iter()
            .flat_map(|(id, role)| [repository.into(), role.as_str().into(), (*id).into()])
            .collect();
        let sql = format!("{SET_CURRENT} VALUES {} {REPLACING_CURRENT}", places(1, rows.len(), 3));
        session.execute(AssertSqlSafe(sql), &values).await?;
    }
    Ok(())
}

/// Reads role, version, hash, content and both times.
fn stored_file(row: &Row) -> Result<StoredFile, StorageError> {
    let stored = Timestamp::from_second(row.integer(4)?.div_euclid(1000));
    Ok(StoredFile {
        role: role_of(row, 0)?,
        version: version_of(row, 1)?,
        sha256: hash_of(row.bytes(2)?)?,
        content: row.bytes(3)?.into(),
        stored: stored.map_err(|it| corrupt(it.to_string()))?,
        expires: Timestamp::from_millisecond(row.integer(5)?).map_err(|it| corrupt(it.to_string()))?,
    })
}

/// Reads role, version, hash and number.
fn current_file(row: &Row) -> Result<(RoleName, Current), StorageError> {
    let head = Head { version: version_of(row, 1)?, sha256: hash_of(row.bytes(2)?)? };
    Ok((role_of(row, 0)?, Current { id: row.integer(3)?, head }))
}

/// Reads role, version, hash, size and the two times.
fn standing(row: &Row) -> Result<Standing, StorageError> {
    let moment = |column| {
        Timestamp::from_second(row.integer(column)?.div_euclid(1000)).map_err(|it| corrupt(it.to_string()))
    };
    Ok(Standing {
        role: role_of(row, 0)?,
        version: version_of(row, 1)?,
        sha256: hash_of(row.bytes(2)?)?,
        size: u64::try_from(row.integer(3)?).map_err(|it| corrupt(it.to_string()))?,
        expires: moment(4)?,
        stored: moment(5)?,
    })
}

/// What `LIKE` compares with to find this text anywhere, in lower case.
fn pattern(search: &str) -> String {
    let mut pattern = String::from("%");
    for character in search.chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character.to_ascii_lowercase());
    }
    pattern.push('%');
    pattern
}

pub(super) fn moment(row: &Row, column: usize) -> Result<Timestamp, StorageError> {
    Timestamp::from_millisecond(row.integer(column)?).map_err(|it| corrupt(it.to_string()))
}

pub(super) fn change_record(row: &Row) -> Result<ChangeRecord, StorageError> {
    let at = Timestamp::from_millisecond(row.integer(4)?).map_err(|it| corrupt(it.to_string()))?;
    let kind = match row.optional_bytes(3)? {
        Some(hash) => ChangeKind::Update { version: version_of(row, 2)?, sha256: hash_of(hash)? },
        None => ChangeKind::Deletion,
    };
    Ok(ChangeRecord { id: row.integer(0)?, at, gun: gun_of(row, 1)?, kind })
}

pub(super) fn role_of(row: &Row, column: usize) -> Result<RoleName, StorageError> {
    row.text(column)?.parse().map_err(|it: crate::tuf::TufError| corrupt(it.to_string()))
}

pub(super) fn gun_of(row: &Row, column: usize) -> Result<Gun, StorageError> {
    row.text(column)?.parse().map_err(|it: crate::image::GunError| corrupt(it.to_string()))
}

pub(super) fn version_of(row: &Row, column: usize) -> Result<Version, StorageError> {
    let number = row.integer(column)?;
    let version = u64::try_from(number).ok().and_then(Version::new);
    version.ok_or_else(|| corrupt(format!("a file has version {number}")))
}

pub(super) fn hash_of(bytes: Vec<u8>) -> Result<[u8; 32], StorageError> {
    let length = bytes.len();
    bytes.try_into().map_err(|_| corrupt(format!("a hash has {length} bytes")))
}

pub(super) fn version_number(version: Version) -> Result<i64, StorageError> {
    i64::try_from(version.get()).map_err(|it| corrupt(it.to_string()))
}

pub(super) fn corrupt(reason: String) -> StorageError {
    StorageError::Corrupt { reason }
}

const CURRENT: &str = "SELECT f.role, f.version, f.sha256, f.content, f.stored_at, f.expires_at FROM repositories r \
    JOIN current_files c ON c.repository = r.id JOIN files f ON f.id = c.file WHERE r.gun = $1 AND c.role = $2";
const BY_HASH: &str = "SELECT f.role, f.version, f.sha256, f.content, f.stored_at, f.expires_at FROM repositories r \
    JOIN files f ON f.repository = r.id WHERE r.gun = $1 AND f.role = $2 AND f.sha256 = $3 ORDER BY f.id DESC LIMIT 1";
/// A role that was given up and begun anew may have a version twice: the later one counts.
const BY_VERSION: &str = "SELECT f.role, f.version, f.sha256, f.content, f.stored_at, f.expires_at FROM repositories r \
    JOIN files f ON f.repository = r.id WHERE r.gun = $1 AND f.role = $2 AND f.version = $3 \
    ORDER BY f.id DESC LIMIT 1";
const HEADS: &str = "SELECT c.role, f.version, f.sha256, f.id FROM repositories r \
    JOIN current_files c ON c.repository = r.id JOIN files f ON f.id = c.file WHERE r.gun = $1";
const HEADS_OF: &str = "SELECT c.role, f.version, f.sha256, f.id FROM current_files c \
    JOIN files f ON f.id = c.file WHERE c.repository = $1";
/// The update locks the row in PostgreSQL, the new one as well as one that is there.
const LOCK: &str = "INSERT INTO repositories (gun, changed_at) VALUES ($1, $2) \
    ON CONFLICT (gun) DO UPDATE SET changed_at = excluded.changed_at RETURNING id";
const INSERT: &str = "INSERT INTO files (repository, role, version, sha256, content, expires_at, stored_at)";
const SET_CURRENT: &str = "INSERT INTO current_files (repository, role, file)";
const REPLACING_CURRENT: &str = "ON CONFLICT (repository, role) DO UPDATE SET file = excluded.file";
/// Whoever reads the list goes on after the last number it saw: so numbers are committed in order. SQLite has
/// one lock for everything, and this transaction has it.
const RECORD_IN_POSTGRES: &str = "INSERT INTO changes (gun, version, sha256, happened_at) \
    SELECT $1, $2, $3, $4 FROM pg_advisory_xact_lock($5)";
const RECORD_IN_SQLITE: &str =
    "INSERT INTO changes (gun, version, sha256, happened_at) SELECT $1, $2, $3, $4 WHERE $5 IS NOT NULL";
const CHANGES_AFTER: &str = "SELECT id, gun, version, sha256, happened_at FROM changes \
    WHERE id > $1 ORDER BY id LIMIT $2";
const CHANGES_AFTER_OF: &str = "SELECT id, gun, version, sha256, happened_at FROM changes \
    WHERE gun = $3 AND id > $1 ORDER BY id LIMIT $2";
const CHANGES_BEFORE: &str = "SELECT id, gun, version, sha256, happened_at FROM changes \
    WHERE id < $1 ORDER BY id DESC LIMIT $2";
const CHANGES_BEFORE_OF: &str = "SELECT id, gun, version, sha256, happened_at FROM changes \
    WHERE gun = $3 AND id < $1 ORDER BY id DESC LIMIT $2";
const EXPIRING: &str = "SELECT r.gun FROM files f JOIN repositories r ON r.id = f.repository \
    WHERE f.replaced_at IS NULL AND f.role = $1 AND f.expires_at < $2 ORDER BY f.expires_at LIMIT $3";
const REPOSITORIES_IN_SQLITE: &str = "SELECT gun FROM repositories \
    WHERE gun > $1 AND lower(gun) LIKE $2 ESCAPE '!' ORDER BY gun LIMIT $3";
const REPOSITORIES_IN_POSTGRES: &str = "SELECT gun FROM repositories \
    WHERE gun COLLATE \"C\" > $1 AND lower(gun COLLATE \"C\") LIKE $2 ESCAPE '!' ORDER BY gun COLLATE \"C\" LIMIT $3";
const STANDING: &str = "SELECT c.role, f.version, f.sha256, CAST(octet_length(f.content) AS BIGINT), \
    f.expires_at, f.stored_at FROM repositories r JOIN current_files c ON c.repository = r.id \
    JOIN files f ON f.id = c.file WHERE r.gun = $1";
const ANY_REPOSITORY: &str = "SELECT id FROM repositories LIMIT 1";
const NOTARYS_REPOSITORIES: &str = "SELECT COUNT(DISTINCT gun) FROM tuf_files";
const PRUNE: &str = "DELETE FROM files WHERE id IN (SELECT id FROM files \
    WHERE replaced_at IS NOT NULL AND replaced_at < $1 AND role <> 'root' LIMIT $2)";
/// Files that go in one transaction.
const PRUNE_PORTION: i64 = 500;
/// Rows that one statement writes: with seven values each, far below what databases take.
const ROWS: usize = 100;
/// A number that nothing else in the database locks by.
pub(super) const CHANGES_LOCK: i64 = 0x7472_7573_7467_0002;
const SCHEMA: Schema = Schema {
    name: "server",
    migrations: &[
        Migration { version: 1, compatible_from: 1, sql: include_str!("migrations/1.sql") },
        Migration { version: 2, compatible_from: 1, sql: include_str!("migrations/2.sql") },
    ],
};
