//! The tables, and the way from older ones to them.
//!
//! Each migration says which version of the program can still work with what it makes, so that two
//! versions can run side by side while servers are replaced one by one.

use super::StorageError;
use super::database::{Database, Row};

/// One step.
struct Migration {
    /// Its number; they are applied in order.
    version: i64,
    /// The least version that a program must know to share the tables.
    compatible_from: i64,
    sql: &'static str,
}

/// Brings the tables to the version that this program knows, unless they are there or beyond.
pub(super) async fn apply(database: &Database) -> Result<(), StorageError> {
    apply_these(database, MIGRATIONS).await
}

async fn apply_these(database: &Database, migrations: &[Migration]) -> Result<(), StorageError> {
    let known = migrations.iter().map(|it| it.version).max().unwrap_or(0);
    let mut session = database.begin().await?;
    session.lock(MIGRATION_LOCK).await?;
    session.script(SCHEMA_VERSIONS.to_owned()).await?;
    let newest = "SELECT version, compatible_from FROM schema_versions ORDER BY version DESC LIMIT 1";
    let (found, needed) = match session.fetch(newest, &[]).await?.first() {
        Some(row) => (row.integer(0)?, row.integer(1)?),
        None => (0, 0),
    };
    if known < needed {
        return Err(StorageError::Schema { found, needed, known });
    }
    for migration in migrations.iter().filter(|it| found < it.version) {
        session.script(session.dialect(migration.sql)).await?;
        let note = "INSERT INTO schema_versions (version, compatible_from) VALUES ($1, $2)";
        session.execute(note, &[migration.version.into(), migration.compatible_from.into()]).await?;
    }
    session.commit().await
}

/// The version of the tables.
pub(super) async fn version(database: &Database) -> Result<Option<i64>, StorageError> {
    let rows =
        database.read("SELECT version FROM schema_versions ORDER BY version DESC LIMIT 1", &[]).await?;
    rows.first().map(|row: &Row| row.integer(0)).transpose()
}

const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, compatible_from: 1, sql: include_str!("migrations/1.sql") },
    Migration { version: 2, compatible_from: 1, sql: include_str!("migrations/2.sql") },
];

const SCHEMA_VERSIONS: &str = "CREATE TABLE IF NOT EXISTS schema_versions (version BIGINT PRIMARY KEY, compatible_from BIGINT NOT NULL)";
/// A number that nothing else in the database locks by.
const MIGRATION_LOCK: i64 = 0x7472_7573_7467_0001;

#[cfg(test)]
mod tests {
    use super::*;

    const fn step(version: i64, compatible_from: i64, sql: &'static str) -> Migration {
        Migration { version, compatible_from, sql }
    }

    #[tokio::test]
    async fn they_are_applied_once_and_in_order() {
        let database = Database::in_memory().await.unwrap();
        let first = [step(1, 1, "CREATE TABLE one (id {identity}, content {bytes} NOT NULL)")];
        let both = [
            step(1, 1, "CREATE TABLE one (id {identity}, content {bytes} NOT NULL)"),
            step(2, 1, "ALTER TABLE one ADD COLUMN added BIGINT; CREATE INDEX added_one ON one (added)"),
        ];
        for _ in 0..2 {
            apply_these(&database, &first).await.unwrap();
        }
        assert_eq!(version(&database).await.unwrap(), Some(1));
        for _ in 0..2 {
            apply_these(&database, &both).await.unwrap();
        }
        assert_eq!(version(&database).await.unwrap(), Some(2));
        // The program before runs on beside it.
        apply_these(&database, &first).await.unwrap();
        assert_eq!(version(&database).await.unwrap(), Some(2));
    }

    #[tokio::test]
    async fn tables_of_a_later_program_are_refused_where_they_cannot_be_shared() {
        let database = Database::in_memory().await.unwrap();
        let later = [step(1, 1, "CREATE TABLE one (id {identity})"), step(2, 2, "DROP TABLE one")];
        apply_these(&database, &later).await.unwrap();
        let error = apply_these(&database, &later[..1]).await.unwrap_err();
        assert!(matches!(error, StorageError::Schema { found: 2, needed: 2, known: 1 }), "{error}");
    }

    #[tokio::test]
    async fn a_step_that_breaks_leaves_nothing_behind() {
        let database = Database::in_memory().await.unwrap();
        let broken = [step(1, 1, "CREATE TABLE one (id {identity}); CREATE TABLE one (id {identity})")];
        assert!(apply_these(&database, &broken).await.is_err());
        apply_these(&database, &[step(1, 1, "CREATE TABLE one (id {identity})")]).await.unwrap();
    }
}
