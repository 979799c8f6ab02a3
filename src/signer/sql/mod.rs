//! Sealed keys in a SQLite file or a PostgreSQL database, which several signers may share.
//!
//! What is stored is safe in anybody's hands; nothing here could open it. Other tables may stand beside it:
//! those of a trust server whose signer is inside it, or those of the notary-signer that was here before.

use std::path::Path;

use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::rows::{Alias, AliasError, KeyRow, KeyRows, RowsError, SealedKey};
use crate::database::{Database, DatabaseError, Migration, Row, Schema, Session, Value};
use crate::image::{Gun, GunError};
use crate::tuf::{KeyId, KeyType, PublicKey, RoleName, TufError};

type Rows<'a, T> = BoxFuture<'a, Result<T, RowsError>>;

/// A table of sealed keys in SQL.
#[derive(Clone, Debug)]
pub struct SqlRows {
    database: Database,
}

impl SqlRows {
    /// The SQLite file at this path, made if there is none.
    pub async fn sqlite(path: &Path) -> Result<Self, DatabaseError> {
        Self::over(Database::sqlite(path).await?).await
    }

    /// The PostgreSQL database at this address: `postgres://user:password@host/database`.
    pub async fn postgres(url: &str) -> Result<Self, DatabaseError> {
        Self::over(Database::postgres(url).await?).await
    }

    /// Ends all connections, once what they do is done.
    pub async fn close(&self) {
        self.database.close().await;
    }

    /// The table in this database, made if there is none.
    pub(crate) async fn over(database: Database) -> Result<Self, DatabaseError> {
        SCHEMA.apply(&database).await?;
        Ok(Self { database })
    }

    /// Keys after the one of this ID, as a transaction sees them that may be about other tables, too.
    pub(crate) async fn page(
        session: &mut Session,
        after: &str,
        limit: i64,
    ) -> Result<Vec<KeyRow>, DatabaseError> {
        session.fetch(PAGE, &[after.into(), limit.into()]).await?.iter().map(key_row).collect()
    }

    /// What else is in the database is for others to say.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    async fn rows(&self, sql: &'static str, values: &[Value<'_>]) -> Result<Vec<KeyRow>, DatabaseError> {
        self.database.read(sql, values).await?.iter().map(key_row).collect()
    }

    /// One statement, which is a transaction of its own.
    async fn write(&self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, DatabaseError> {
        let mut session = self.database.begin().await?;
        let changed = session.execute(sql, values).await?;
        session.commit().await?;
        Ok(changed)
    }
}

impl KeyRows for SqlRows {
    fn insert(&self, row: KeyRow) -> Rows<'_, ()> {
        Box::pin(async move {
            let key = row.public.canonical_id();
            let public = row.public.to_json().to_string();
            let values = [
                key.as_str().into(),
                row.gun.as_str().into(),
                row.role.as_str().into(),
                row.public.key_type().as_str().into(),
                public.as_str().into(),
                row.sealed.alias.as_str().into(),
                row.sealed.bytes.as_slice().into(),
                row.created.as_millisecond().into(),
                Value::from(row.last_used.map_or(NEVER, Timestamp::as_millisecond)),
            ];
            match self.write(INSERT, &values).await? {
                0 => Err(RowsError::Exists { key: key.clone() }),
                _ => Ok(()),
            }
        })
    }

    fn find<'a>(&'a self, key: &'a KeyId) -> Rows<'a, Option<KeyRow>> {
        Box::pin(async { Ok(self.rows(FIND, &[key.as_str().into()]).await?.pop()) })
    }

    fn find_unused<'a>(
        &'a self,
        gun: &'a Gun,
        role: &'a RoleName,
        key_type: &'a KeyType,
    ) -> Rows<'a, Option<KeyRow>> {
        Box::pin(async {
            let values = [gun.as_str().into(), role.as_str().into(), key_type.as_str().into(), NEVER.into()];
            Ok(self.rows(FIND_UNUSED, &values).await?.pop())
        })
    }

    fn mark_used<'a>(&'a self, key: &'a KeyId, now: Timestamp) -> Rows<'a, ()> {
        let sql = "UPDATE sealed_keys SET used_at = $1 WHERE key_id = $2";
        Box::pin(async move {
            self.write(sql, &[now.as_millisecond().into(), key.as_str().into()]).await?;
            Ok(())
        })
    }

    fn delete<'a>(&'a self, key: &'a KeyId, now: Timestamp) -> Rows<'a, bool> {
        let sql = "UPDATE sealed_keys SET deleted_at = $1 WHERE key_id = $2 AND deleted_at IS NULL";
        Box::pin(async move {
            Ok(0 < self.write(sql, &[now.as_millisecond().into(), key.as_str().into()]).await?)
        })
    }

    fn sealed_under<'a>(
        &'a self,
        alias: &'a Alias,
        after: Option<&'a KeyId>,
        limit: usize,
    ) -> Rows<'a, Vec<KeyRow>> {
        Box::pin(async move {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let after = after.map_or("", KeyId::as_str);
            Ok(self.rows(SEALED_UNDER, &[alias.as_str().into(), after.into(), limit.into()]).await?)
        })
    }

    fn aliases(&self) -> Rows<'_, Vec<Alias>> {
        Box::pin(async {
            let sql = "SELECT DISTINCT alias FROM sealed_keys ORDER BY alias";
            let rows = self.database.read(sql, &[]).await?;
            let aliases = rows.iter().map(|row| alias_of(row, 0)).collect::<Result<_, _>>();
            Ok(aliases?)
        })
    }

    fn reseal<'a>(&'a self, key: &'a KeyId, read: &'a SealedKey, resealed: SealedKey) -> Rows<'a, bool> {
        Box::pin(async move {
            let values = [
                resealed.alias.as_str().into(),
                resealed.bytes.as_slice().into(),
                key.as_str().into(),
                read.alias.as_str().into(),
                read.bytes.as_slice().into(),
            ];
            Ok(0 < self.write(RESEAL, &values).await?)
        })
    }

    fn health(&self) -> Rows<'_, ()> {
        Box::pin(async {
            self.database.read("SELECT key_id FROM sealed_keys LIMIT 1", &[]).await?;
            Ok(())
        })
    }
}

impl From<DatabaseError> for RowsError {
    fn from(error: DatabaseError) -> Self {
        Self::Unavailable { reason: error.to_string() }
    }
}

fn key_row(row: &Row) -> Result<KeyRow, DatabaseError> {
    let time = |number| Timestamp::from_millisecond(number).map_err(|it| corrupt(it.to_string()));
    let used = row.integer(6)?;
    Ok(KeyRow {
        public: PublicKey::from_json(row.text(0)?.as_bytes()).map_err(corrupt)?,
        gun: gun_of(row, 1)?,
        role: role_of(row, 2)?,
        sealed: SealedKey { alias: alias_of(row, 3)?, bytes: row.bytes(4)? },
        created: time(row.integer(5)?)?,
        last_used: if used == NEVER { None } else { Some(time(used)?) },
    })
}

fn gun_of(row: &Row, column: usize) -> Result<Gun, DatabaseError> {
    row.text(column)?.parse().map_err(|it: GunError| corrupt(it.to_string()))
}

fn role_of(row: &Row, column: usize) -> Result<RoleName, DatabaseError> {
    row.text(column)?.parse().map_err(|it: TufError| corrupt(it.to_string()))
}

fn corrupt(reason: String) -> DatabaseError {
    DatabaseError::Corrupt { reason }
}

fn alias_of(row: &Row, column: usize) -> Result<Alias, DatabaseError> {
    row.text(column)?.parse().map_err(|it: AliasError| corrupt(it.to_string()))
}

const INSERT: &str = "INSERT INTO sealed_keys \
    (key_id, gun, role, key_type, public_key, alias, sealed, created_at, used_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (key_id) DO NOTHING";
const FIND: &str = "SELECT public_key, gun, role, alias, sealed, created_at, used_at FROM sealed_keys \
    WHERE key_id = $1 AND deleted_at IS NULL";
const FIND_UNUSED: &str = "SELECT public_key, gun, role, alias, sealed, created_at, used_at FROM sealed_keys \
    WHERE gun = $1 AND role = $2 AND key_type = $3 AND used_at = $4 AND deleted_at IS NULL \
    ORDER BY created_at, key_id LIMIT 1";
const SEALED_UNDER: &str = "SELECT public_key, gun, role, alias, sealed, created_at, used_at \
    FROM sealed_keys WHERE alias = $1 AND key_id > $2 ORDER BY key_id LIMIT $3";
const PAGE: &str = "SELECT public_key, gun, role, alias, sealed, created_at, used_at FROM sealed_keys \
    WHERE deleted_at IS NULL AND key_id > $1 ORDER BY key_id LIMIT $2";
const RESEAL: &str = "UPDATE sealed_keys SET alias = $1, sealed = $2 \
    WHERE key_id = $3 AND alias = $4 AND sealed = $5";
/// What stands for no time, where nothing was signed yet.
const NEVER: i64 = -1;
const SCHEMA: Schema = Schema {
    name: "signer",
    migrations: &[Migration { version: 1, compatible_from: 1, sql: include_str!("1.sql") }],
};
