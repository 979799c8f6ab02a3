//! The tables, and the way from older ones to them.
//!
//! Each migration says which version of the program can still work with what it makes, so that two
//! versions can run side by side while servers are replaced one by one.

use super::{Database, DatabaseError, Row};

/// The tables of one room. Several may share a database: each has versions of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schema {
    /// What its versions are noted under.
    pub(crate) name: &'static str,
    /// The steps, in order.
    pub(crate) migrations: &'static [Migration],
}

/// One step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Migration {
    /// Its number; they are applied in order.
    pub(crate) version: i64,
    /// The least version that a program must know to share the tables.
    pub(crate) compatible_from: i64,
    /// What makes it, in the words that [`Session::dialect`](super::Session::dialect) knows.
    pub(crate) sql: &'static str,
}

impl Schema {
    /// Brings the tables to the version that this program knows, unless they are there or beyond.
    pub(crate) async fn apply(&self, database: &Database) -> Result<(), DatabaseError> {
        let known = self.migrations.iter().map(|it| it.version).max().unwrap_or(0);
        let mut session = database.begin().await?;
        session.lock(MIGRATION_LOCK).await?;
        session.script(SCHEMA_VERSIONS.to_owned()).await?;
        let (found, needed) = match session.fetch(NEWEST, &[self.name.into()]).await?.first() {
            Some(row) => (row.integer(0)?, row.integer(1)?),
            None => (0, 0),
        };
        if known < needed {
            return Err(DatabaseError::Schema { found, needed, known });
        }
        for migration in self.migrations.iter().filter(|it| found < it.version) {
            session.script(session.dialect(migration.sql)).await?;
            let values = [self.name.into(), migration.version.into(), migration.compatible_from.into()];
            session.execute(NOTE, &values).await?;
        }
        session.commit().await
    }

    /// The version of the tables.
    pub(crate) async fn version(&self, database: &Database) -> Result<Option<i64>, DatabaseError> {
        let rows = database.read(NEWEST, &[self.name.into()]).await?;
        rows.first().map(|row: &Row| row.integer(0)).transpose()
    }
}

const SCHEMA_VERSIONS: &str = "CREATE TABLE IF NOT EXISTS schema_versions (schema_name TEXT NOT NULL, \
    version BIGINT NOT NULL, compatible_from BIGINT NOT NULL, PRIMARY KEY (schema_name, version))";
const NEWEST: &str = "SELECT version, compatible_from FROM schema_versions WHERE schema_name = $1 \
    ORDER BY version DESC LIMIT 1";
const NOTE: &str = "INSERT INTO schema_versions (schema_name, version, compatible_from) VALUES ($1, $2, $3)";
/// A number that nothing else in the database locks by.
const MIGRATION_LOCK: i64 = 0x7472_7573_7467_0001;

#[cfg(test)]
mod tests {
    use super::*;

    const fn step(version: i64, compatible_from: i64, sql: &'static str) -> Migration {
        Migration { version, compatible_from, sql }
    }

    const fn schema(migrations: &'static [Migration]) -> Schema {
        Schema { name: "test", migrations }
    }

    const FIRST: Migration = step(1, 1, "CREATE TABLE one (id {identity}, content {bytes} NOT NULL)");

    #[tokio::test]
    async fn they_are_applied_once_and_in_order() {
        let database = Database::in_memory().await.unwrap();
        let first = schema(const { &[FIRST] });
        let both = schema(
            const {
                &[
                    FIRST,
                    step(
                        2,
                        1,
                        "ALTER TABLE one ADD COLUMN added BIGINT; CREATE INDEX added_one ON one (added)",
                    ),
                ]
            },
        );
        for _ in 0..2 {
            first.apply(&database).await.unwrap();
        }
        assert_eq!(first.version(&database).await.unwrap(), Some(1));
        for _ in 0..2 {
            both.apply(&database).await.unwrap();
        }
        assert_eq!(both.version(&database).await.unwrap(), Some(2));
        // The program before runs on beside it.
        first.apply(&database).await.unwrap();
        assert_eq!(first.version(&database).await.unwrap(), Some(2));
        // Another room's tables in the same database.
        let other =
            Schema { name: "other", migrations: const { &[step(1, 1, "CREATE TABLE two (id {identity})")] } };
        assert_eq!(other.version(&database).await.unwrap(), None);
        other.apply(&database).await.unwrap();
        assert_eq!(other.version(&database).await.unwrap(), Some(1));
    }

    #[tokio::test]
    async fn tables_of_a_later_program_are_refused_where_they_cannot_be_shared() {
        let database = Database::in_memory().await.unwrap();
        schema(const { &[FIRST, step(2, 2, "DROP TABLE one")] }).apply(&database).await.unwrap();
        let error = schema(const { &[FIRST] }).apply(&database).await.unwrap_err();
        assert!(matches!(error, DatabaseError::Schema { found: 2, needed: 2, known: 1 }), "{error}");
    }

    #[tokio::test]
    async fn a_step_that_breaks_leaves_nothing_behind() {
        let database = Database::in_memory().await.unwrap();
        let broken = schema(
            const { &[step(1, 1, "CREATE TABLE one (id {identity}); CREATE TABLE one (id {identity})")] },
        );
        assert!(broken.apply(&database).await.is_err());
        schema(const { &[step(1, 1, "CREATE TABLE one (id {identity})")] }).apply(&database).await.unwrap();
    }
}
