//! SQLite and PostgreSQL as one: the same SQL, the same values, one transaction at a time.
//!
//! Both bind `$1`. What differs is how a transaction starts, where reads go, and a few words.

use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Postgres, Row as _, SqlSafeStr, Sqlite,
    SqliteConnection, SqlitePool, Transaction,
};

use super::DatabaseError;
use super::warm::{QUIET, WarmPool};

/// A database, and the connections to it.
#[derive(Clone, Debug)]
pub(crate) enum Database {
    /// A file. SQLite has one writer at a time: so it has one connection here, and waiting is fair.
    Sqlite { readers: SqlitePool, writer: SqlitePool },
    /// A server.
    Postgres(WarmPool),
}

/// A value that goes into a statement.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Integer(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// No bytes.
    NoBytes,
    /// No text.
    Null,
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

/// A query with its values bound; both databases have the same methods, and no trait in common.
macro_rules! bound {
    ($database:ty, $sql:expr, $values:expr) => {{
        let mut query = sqlx::query::<$database>($sql);
        for value in $values {
            query = match *value {
                Value::Integer(number) => query.bind(number),
                Value::Text(text) => query.bind(text.to_owned()),
                Value::Bytes(bytes) => query.bind(bytes.to_vec()),
                Value::NoBytes => query.bind(None::<Vec<u8>>),
                Value::Null => query.bind(None::<String>),
            };
        }
        query
    }};
}

impl Database {
    /// The SQLite file at this path, made if there is none, for its owner's eyes only.
    pub(crate) async fn sqlite(path: &Path) -> Result<Self, DatabaseError> {
        make_private(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An acknowledged publish outlives a power cut, too.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE)
            .disable_statement_logging();
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            .idle_timeout(None)
            .max_lifetime(None)
            .before_acquire(|connection, _| Box::pin(async { Ok(is_usable(connection)) }))
            .connect_with(options.clone())
            .await
            .map_err(|it| DatabaseError::from_sqlx(&it))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(PATIENCE)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .before_acquire(|connection, _| Box::pin(async { Ok(is_usable(connection)) }))
            .connect_lazy_with(options.pragma("query_only", "ON"));
        Ok(Self::Sqlite { readers, writer })
    }

    /// A SQLite database that ends with the program.
    pub(crate) async fn in_memory() -> Result<Self, DatabaseError> {
        let options =
            SqliteConnectOptions::new().in_memory(true).foreign_keys(true).disable_statement_logging();
        // Each connection would have a database of its own: so there is one, which never ends.
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await
            .map_err(|it| DatabaseError::from_sqlx(&it))?;
        Ok(Self::Sqlite { readers: pool.clone(), writer: pool })
    }

    /// The PostgreSQL database at this address.
    pub(crate) async fn postgres(url: &str) -> Result<Self, DatabaseError> {
        // The library takes any scheme. Its reasons may quote the address, which may hold a password.
        let options = PgConnectOptions::from_str(url).ok().filter(|_| Self::is_address(url));
        let options = options
            .ok_or_else(|| DatabaseError::Configuration {
                reason: "the address is not one of a PostgreSQL database".to_owned(),
            })?
            .application_name("trustgate")
            .disable_statement_logging();
        let pool = PgPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS)
            .acquire_timeout(PATIENCE)
            .test_before_acquire(false)
            .after_connect(|connection, _| {
                Box::pin(async move { sqlx::raw_sql(LIMITS_OF_POSTGRES).execute(connection).await.map(drop) })
            })
            .before_acquire(|connection, metadata| {
                Box::pin(async move {
                    if QUIET <= metadata.idle_for {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_with(options)
            .await
            .map_err(|it| DatabaseError::from_sqlx(&it))?;
        Ok(Self::Postgres(WarmPool::over(pool)))
    }

    /// Whether this is the address of a database that can be read from, not the path of a file.
    pub(crate) fn is_address(text: &str) -> bool {
        ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme))
    }

    /// The PostgreSQL database of another program, which is only read. The address has no password: whoever
    /// lists this machine's processes would see it.
    pub(crate) async fn foreign(address: &str) -> Result<Self, DatabaseError> {
        let url = url::Url::parse(address).ok().filter(|_| Self::is_address(address));
        let unusable = |reason: &str| DatabaseError::Configuration { reason: reason.to_owned() };
        let url = url.ok_or_else(|| unusable("the address is not one of a PostgreSQL database"))?;
        if url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password") {
            return Err(unusable(
                "the address has a password in it, which everybody on this machine can read; the variable \
                 `PGPASSWORD` or the file `~/.pgpass` is the place for it",
            ));
        }
        let options = PgConnectOptions::from_str(address)
            .map_err(|_| unusable("the address is not one of a PostgreSQL database"))?
            .options([("default_transaction_read_only", "on")])
            .application_name("trustgate")
            .disable_statement_logging();
        let pool = PgPoolOptions::new()
            .max_connections(FOREIGN_CONNECTIONS)
            .acquire_timeout(PATIENCE)
            .connect_with(options)
            .await
            .map_err(|it| DatabaseError::from_sqlx(&it))?;
        Ok(Self::Postgres(WarmPool::over(pool)))
    }

    /// Whether there is a table of this name.
    pub(crate) async fn has_table(&self, name: &str) -> Result<bool, DatabaseError> {
        let sql = match self {
            Self::Sqlite { .. } => "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = $1",
            Self::Postgres(_) => "SELECT CAST(COUNT(to_regclass($1)) AS BIGINT)",
        };
        let rows = self.read(sql, &[name.into()]).await?;
        rows.first().map_or(Ok(false), |row| Ok(row.integer(0)? != 0))
    }

    /// One statement that reads.
    pub(crate) async fn read(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, DatabaseError> {
        let rows = match self {
            Self::Sqlite { readers, .. } => fetch_from_file(readers, sql, values).await,
            Self::Postgres(postgres) => fetch_from_server(postgres, sql, values).await,
        };
        rows.map_err(|it| self.error(&it))
    }

    /// One statement that writes and returns rows, and is a transaction of its own.
    pub(crate) async fn write_once(
        &self,
        sql: impl SqlSafeStr,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, DatabaseError> {
        let rows = match self {
            Self::Sqlite { writer, .. } => fetch_from_file(writer, sql, values).await,
            Self::Postgres(postgres) => fetch_from_server(postgres, sql, values).await,
        };
        rows.map_err(|it| self.error(&it))
    }

    /// Whether a server keeps it, which is some way from here.
    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// The statement for this database, where the two have no words in common.
    pub(crate) fn either(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self {
            Self::Sqlite { .. } => sqlite,
            Self::Postgres(_) => postgres,
        }
    }

    /// Starts a transaction that writes; nothing of it stays unless it is committed.
    pub(crate) async fn begin(&self) -> Result<Session, DatabaseError> {
        match self {
            Self::Sqlite { writer, .. } => {
                // Without it the lock is asked for too late, when waiting would be in vain.
                let session = writer.begin_with("BEGIN IMMEDIATE").await;
                session.map(Session::Sqlite).map_err(|it| self.error(&it))
            }
            Self::Postgres(postgres) => {
                let session = postgres.pool().begin_with(BEGIN_IN_POSTGRES).await;
                session.map(Session::Postgres).map_err(|it| self.error(&it))
            }
        }
    }

    /// Starts a transaction that reads, all of it what was there at its start.
    pub(crate) async fn snapshot(&self) -> Result<Session, DatabaseError> {
        match self {
            Self::Sqlite { readers, .. } => {
                let mut session = readers.begin().await.map(Session::Sqlite).map_err(|it| self.error(&it))?;
                // The moment is that of the first statement that reads.
                session.fetch("SELECT COUNT(*) FROM sqlite_master", &[]).await?;
                Ok(session)
            }
            Self::Postgres(postgres) => {
                let transaction = postgres.pool().begin().await.map_err(|it| self.error(&it))?;
                let mut session = Session::Postgres(transaction);
                session.script(SNAPSHOT_OF_POSTGRES.to_owned()).await?;
                Ok(session)
            }
        }
    }

    /// Ends all connections, once what they do is done.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { readers, writer } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(postgres) => postgres.close().await,
        }
    }

    fn error(&self, error: &sqlx::Error) -> DatabaseError {
        match (self, error) {
            // The file is there; it is the line before it that is long.
            (Self::Sqlite { .. }, sqlx::Error::PoolTimedOut) => {
                DatabaseError::Busy { reason: error.to_string() }
            }
            _ => DatabaseError::from_sqlx(error),
        }
    }
}

async fn fetch_from_file(
    pool: &SqlitePool,
    sql: impl SqlSafeStr,
    values: &[Value<'_>],
) -> Result<Vec<Row>, sqlx::Error> {
    let rows = bound!(Sqlite, sql, values).fetch_all(pool).await?;
    Ok(rows.into_iter().map(Row::Sqlite).collect())
}

async fn fetch_from_server(
    postgres: &WarmPool,
    sql: impl SqlSafeStr,
    values: &[Value<'_>],
) -> Result<Vec<Row>, sqlx::Error> {
    let mut connection = postgres.take().await?;
    let rows = bound!(Postgres, sql, values).fetch_all(&mut *connection).await?;
    postgres.keep(connection);
    Ok(rows.into_iter().map(Row::Postgres).collect())
}

/// The places of so many rows of so many values each, the first of them with this number:
/// `($1, $2), ($3, $4)`.
pub(crate) fn places(first: usize, rows: usize, width: usize) -> String {
    let row = |row: usize| {
        let places: Vec<String> = (0..width).map(|it| format!("${}", first + row * width + it)).collect();
        format!("({})", places.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// A transaction.
pub(crate) enum Session {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Session {
    /// One statement; returns how many rows it changed.
    pub(crate) async fn execute(
        &mut self,
        sql: impl SqlSafeStr,
        values: &[Value<'_>],
    ) -> Result<u64, DatabaseError> {
        match self {
            Self::Sqlite(session) => {
                bound!(Sqlite, sql, values).execute(&mut **session).await.map(|it| it.rows_affected())
            }
            Self::Postgres(session) => {
                bound!(Postgres, sql, values).execute(&mut **session).await.map(|it| it.rows_affected())
            }
        }
        .map_err(|it| DatabaseError::from_sqlx(&it))
    }

    /// One statement that returns rows.
    pub(crate) async fn fetch(
        &mut self,
        sql: impl SqlSafeStr,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, DatabaseError> {
        match self {
            Self::Sqlite(session) => {
                let rows = bound!(Sqlite, sql, values).fetch_all(&mut **session).await;
                rows.map(|it| it.into_iter().map(Row::Sqlite).collect())
            }
            Self::Postgres(session) => {
                let rows = bound!(Postgres, sql, values).fetch_all(&mut **session).await;
                rows.map(|it| it.into_iter().map(Row::Postgres).collect())
            }
        }
        .map_err(|it| DatabaseError::from_sqlx(&it))
    }

    /// Statements of our own, none of which has values.
    pub(crate) async fn script(&mut self, sql: String) -> Result<(), DatabaseError> {
        match self {
            Self::Sqlite(session) => {
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut **session).await.map(drop)
            }
            Self::Postgres(session) => {
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut **session).await.map(drop)
            }
        }
        .map_err(|it| DatabaseError::from_sqlx(&it))
    }

    /// Waits for a lock that others take too, which ends with the transaction. SQLite has one for
    /// everything, and this transaction has it already.
    pub(crate) async fn lock(&mut self, lock: i64) -> Result<(), DatabaseError> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(_) => {
                self.fetch("SELECT pg_advisory_xact_lock($1)", &[lock.into()]).await.map(drop)
            }
        }
    }

    /// The statement for this database, where the two have no words in common.
    pub(crate) fn either(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self {
            Self::Sqlite(_) => sqlite,
            Self::Postgres(_) => postgres,
        }
    }

    /// SQL of ours in the words of this database.
    pub(crate) fn dialect(&self, sql: &str) -> String {
        let (identity, bytes, bytewise) = match self {
            Self::Sqlite(_) => ("INTEGER PRIMARY KEY AUTOINCREMENT", "BLOB", "BINARY"),
            Self::Postgres(_) => ("BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "BYTEA", "\"C\""),
        };
        sql.replace("{identity}", identity).replace("{bytes}", bytes).replace("{bytewise}", bytewise)
    }

    /// Makes it last.
    pub(crate) async fn commit(self) -> Result<(), DatabaseError> {
        match self {
            Self::Sqlite(session) => session.commit().await,
            Self::Postgres(session) => session.commit().await,
        }
        .map_err(|it| DatabaseError::from_sqlx(&it))
    }
}

/// A row that came back.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    pub(crate) fn integer(&self, column: usize) -> Result<i64, DatabaseError> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
        .map_err(|it| DatabaseError::from_sqlx(&it))
    }

    pub(crate) fn optional_text(&self, column: usize) -> Result<Option<String>, DatabaseError> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
        .map_err(|it| DatabaseError::from_sqlx(&it))
    }

    pub(crate) fn text(&self, column: usize) -> Result<String, DatabaseError> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
        .map_err(|it| DatabaseError::from_sqlx(&it))
    }

    pub(crate) fn bytes(&self, column: usize) -> Result<Vec<u8>, DatabaseError> {
        self.optional_bytes(column)?
            .ok_or_else(|| DatabaseError::Corrupt { reason: "bytes that must be there are not".to_owned() })
    }

    pub(crate) fn optional_bytes(&self, column: usize) -> Result<Option<Vec<u8>>, DatabaseError> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
        .map_err(|it| DatabaseError::from_sqlx(&it))
    }
}

/// Whether a connection that nobody has can be had: where the disk is full SQLite itself ends the transaction, and the
/// library, whose own end of it then fails, would take it for one that goes on, until the program ends.
fn is_usable(connection: &SqliteConnection) -> bool {
    !connection.is_in_transaction()
}

/// SQLite makes its files as the process's mask says; sealed keys are no one else's business all the same.
fn make_private(path: &Path) -> Result<(), DatabaseError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let opened = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    opened
        .map(drop)
        .map_err(|it| DatabaseError::Configuration { reason: format!("{}: {it}", path.display()) })
}

/// How long somebody waits for a lock or a connection: less than clients wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same in PostgreSQL's words; a statement that takes longer has no one waiting for it. One message: each
/// is a way there and back.
const BEGIN_IN_POSTGRES: &str = "BEGIN; SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '30s'";
/// The same for statements that are transactions of their own.
const LIMITS_OF_POSTGRES: &str = "SET lock_timeout = '5s'; SET statement_timeout = '30s'";
const SNAPSHOT_OF_POSTGRES: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; \
    SET LOCAL statement_timeout = '30s'; SET LOCAL idle_in_transaction_session_timeout = 0; SELECT 1";
/// Reads of a file take microseconds, so few at a time are enough.
const READERS: u32 = 4;
/// PostgreSQL has 100 connections by default, for all servers together.
const POSTGRES_CONNECTIONS: u32 = 16;
/// One reads, and one is spare.
const FOREIGN_CONNECTIONS: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    /// There is no more room, and then there is: what was refused is taken.
    #[tokio::test]
    async fn a_full_disk_is_not_the_end_of_writing() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::sqlite(&folder.path().join("full.db")).await.unwrap();
        let mut session = database.begin().await.unwrap();
        session.script("CREATE TABLE one (content BLOB)".to_owned()).await.unwrap();
        session.commit().await.unwrap();
        // Of this connection alone: who comes after it has room again.
        let mut session = database.begin().await.unwrap();
        session.script("PRAGMA max_page_count = 8".to_owned()).await.unwrap();
        let content = vec![7; 1 << 20];
        let insert = "INSERT INTO one (content) VALUES ($1)";
        let error = session.execute(insert, &[content.as_slice().into()]).await.unwrap_err();
        assert!(matches!(error, DatabaseError::Full { .. }), "{error}");
        drop(session);
        let mut session = database.begin().await.unwrap();
        session.execute(insert, &[content.as_slice().into()]).await.unwrap();
        session.commit().await.unwrap();
        let rows = database.read("SELECT COUNT(*) FROM one", &[]).await.unwrap();
        assert_eq!(rows[0].integer(0).unwrap(), 1);
    }
}
