//! The wanted rows of a dump in a database of their own.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

use super::error::Fault;
use super::value::Cell;
use super::{DumpError, Table, parser};
use crate::database::{Database, DatabaseError, Session, Value};

/// What a dump had of some tables.
#[derive(Debug)]
pub(crate) struct Dump {
    database: Database,
    /// The copy is in it, and goes with it.
    _folder: tempfile::TempDir,
}

impl Dump {
    /// Reads a dump.
    pub(crate) async fn load(path: &Path, tables: &'static [Table]) -> Result<Self, DumpError> {
        if path.to_string_lossy().contains("://") {
            return Err(DumpError::Address);
        }
        let staging = |error: DatabaseError| DumpError::Staging { path: path.to_owned(), error };
        let unreadable =
            |reason: std::io::Error| DumpError::Read { path: path.to_owned(), reason: reason.to_string() };
        let file = File::open(path).map_err(unreadable)?;
        let folder = tempfile::Builder::new().prefix("trustgate-dump-").tempdir().map_err(unreadable)?;
        let database = Database::sqlite(&folder.path().join("rows.db")).await.map_err(staging)?;
        let mut session = database.begin().await.map_err(staging)?;
        for table in tables {
            session.script(table.create.to_owned()).await.map_err(staging)?;
        }
        // One row waits while another is written: rows may be long.
        let (sender, mut rows) = mpsc::channel::<(usize, Vec<Cell>)>(1);
        let reading = tokio::task::spawn_blocking(move || {
            parser::read(BufReader::with_capacity(BUFFER, file), tables, &mut |table, cells| {
                sender.blocking_send((table, cells)).map_err(|_| Fault::Stopped)
            })
        });
        while let Some((table, cells)) = rows.recv().await {
            let Some(table) = tables.get(table) else { continue };
            if let Err(error) = insert(&mut session, table, &cells).await {
                return Err(match error {
                    DatabaseError::Duplicate { .. } => DumpError::Foreign {
                        path: path.to_owned(),
                        reason: format!("`{}` has a row twice", table.name),
                        help: None,
                    },
                    other => staging(other),
                });
            }
        }
        match reading.await {
            Ok(read) => read.map_err(|it| of(it, path.to_owned()))?,
            Err(_) => return Err(unreadable(std::io::Error::other("the reader broke off"))),
        }
        session.commit().await.map_err(staging)?;
        Ok(Self { database, _folder: folder })
    }

    /// The tables, by the names that they have in the dump.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }
}

async fn insert(session: &mut Session, table: &Table, cells: &[Cell]) -> Result<(), DatabaseError> {
    let values: Vec<Value<'_>> = cells
        .iter()
        .map(|it| match it {
            Cell::Bytes(bytes) => Value::Bytes(bytes),
            Cell::Integer(number) => Value::Integer(*number),
            Cell::Null => Value::Null,
            Cell::Text(text) => Value::Text(text),
        })
        .collect();
    session.execute(table.insert, &values).await.map(drop)
}

fn of(fault: Fault, path: PathBuf) -> DumpError {
    match fault {
        Fault::Foreign(reason, help) => DumpError::Foreign { path, reason, help },
        Fault::Line(line, reason) => DumpError::Line { path, line, reason },
        Fault::Read(reason) => DumpError::Read { path, reason },
        Fault::Stopped => DumpError::Read { path, reason: "its rows are not taken".to_owned() },
    }
}

/// Pieces in which a dump is read.
const BUFFER: usize = 256 << 10;
