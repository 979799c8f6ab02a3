//! A publish to a repository that is there, as one statement: one way to PostgreSQL and back, and no longer a
//! time under the repository's lock than that.
//!
//! It changes all or nothing, and nothing where the state is not the expected one. Why it is not, the
//! transaction of several statements finds out, which new repositories and SQLite have anyway. Both take the same
//! locks in the same order, so that servers of both kinds can share a database.

use std::fmt::Write as _;

use sqlx::AssertSqlSafe;

use super::sql::{CHANGES_LOCK, version_number};
use super::{Change, NewFile, StorageError};
use crate::database::{Database, Value};
use crate::image::Gun;

/// Stores what a change brings, if its time has come; whether that is so.
pub(super) async fn publish(
    database: &Database,
    gun: &Gun,
    change: &Change,
    timestamp: &NewFile,
    now: i64,
) -> Result<bool, StorageError> {
    let Some(expected) = change.expected.as_ref().filter(|_| change.files.len() <= FILES) else {
        return Ok(false);
    };
    if !database.is_postgres() || FILES < change.retired.len() {
        return Ok(false);
    }
    let mut values: Vec<Value<'_>> = vec![
        gun.as_str().into(),
        expected.as_slice().into(),
        now.into(),
        version_number(timestamp.version)?.into(),
        timestamp.sha256.as_slice().into(),
        CHANGES_LOCK.into(),
    ];
    for file in &change.files {
        values.extend::<[Value<'_>; 5]>([
            file.role.as_str().into(),
            version_number(file.version)?.into(),
            file.sha256.as_slice().into(),
            file.content.as_slice().into(),
            file.expires.as_millisecond().into(),
        ]);
    }
    values.extend(change.retired.iter().map(|it| Value::from(it.as_str())));
    let sql = statement(change.files.len(), change.retired.len());
    let rows = database.write_once(AssertSqlSafe(sql), &values).await?;
    Ok(rows.len() == change.files.len())
}

/// The statement for so many files and so many roles that are given up.
///
/// What is locked is looked at once more when the lock was waited for: where another publish was faster, the
/// newest timestamp is not the expected one by then, `state` is empty, and so is all that comes of it. The
/// rest may be looked at as it was before: whatever changes it brings a new timestamp.
fn statement(files: usize, retired: usize) -> String {
    let mut sql = String::from(STATE);
    for file in 0..files {
        let first = FIXED + 1 + file * 5;
        let comma = if file == 0 { "" } else { ", " };
        // Writing to a string cannot go wrong.
        let _ = write!(
            sql,
            "{comma}(CAST(${} AS TEXT), CAST(${} AS BIGINT), CAST(${} AS BYTEA), CAST(${} AS BYTEA), CAST(${} AS BIGINT))",
            first,
            first + 1,
            first + 2,
            first + 3,
            first + 4
        );
    }
    sql.push_str(FIT);
    sql.push_str(CHANGES);
    let first = FIXED + 1 + files * 5;
    let places: Vec<String> = (first..first + retired).map(|it| format!("${it}")).collect();
    let places = places.join(", ");
    if retired == 0 {
        let _ = write!(sql, "{REPLACED})){NEWEST}");
    } else {
        let _ = write!(sql, "{REPLACED} OR c.role IN ({places}))), {RETIRED} c.role IN ({places})){NEWEST}");
    }
    sql
}

/// Values that there are once; those of files follow, and those of roles that are given up.
const FIXED: usize = 6;
/// Files, or roles, of one statement: more of them are a transaction of several.
const FILES: usize = 16;
/// The repository, locked, if its newest timestamp is the expected one; and the new files.
const STATE: &str = "WITH state AS MATERIALIZED (SELECT r.id FROM repositories r \
    JOIN current_files c ON c.repository = r.id JOIN files f ON f.id = c.file \
    WHERE r.gun = $1 AND c.role = 'timestamp' AND f.sha256 = $2 FOR NO KEY UPDATE OF r, c), \
    brought (role, version, sha256, content, expires_at) AS (VALUES ";
/// The same repository, if all files are newer than those that they replace.
const FIT: &str = "), fit AS MATERIALIZED (SELECT state.id FROM state WHERE NOT EXISTS \
    (SELECT 1 FROM brought JOIN current_files c ON c.repository = state.id AND c.role = brought.role \
    JOIN files f ON f.id = c.file WHERE brought.version <= f.version)), ";
/// The list of changes has its lock last, as everywhere: so the function has to depend on the other's row.
const CHANGES: &str = "touched AS (UPDATE repositories r SET changed_at = $3 FROM fit WHERE r.id = fit.id), \
    recorded AS (INSERT INTO changes (gun, version, sha256, happened_at) SELECT $1, $4, $5, $3 \
    FROM fit, LATERAL pg_advisory_xact_lock($6 + 0 * fit.id)), \
    stored AS (INSERT INTO files (repository, role, version, sha256, content, expires_at, stored_at) \
    SELECT fit.id, b.role, b.version, b.sha256, b.content, b.expires_at, $3 FROM fit, brought b \
    RETURNING id, repository, role), ";
const REPLACED: &str = "replaced AS (UPDATE files f SET replaced_at = $3 FROM fit, current_files c \
    WHERE c.repository = fit.id AND f.id = c.file AND (c.role IN (SELECT role FROM brought)";
const RETIRED: &str = "retired AS (DELETE FROM current_files c USING fit WHERE c.repository = fit.id AND";
const NEWEST: &str = " INSERT INTO current_files (repository, role, file) SELECT repository, role, id FROM stored \
    ON CONFLICT (repository, role) DO UPDATE SET file = excluded.file RETURNING file";
