//! A SQLite file or a PostgreSQL database, as the rooms that keep something in one need it.
//!
//! Statements and values go in, rows come out; a transaction is all or nothing. What the tables are for is
//! the business of whoever brings their `Migration`s.

mod connection;
pub mod dump;
mod error;
mod migrations;
mod moment;
mod warm;

pub(crate) use connection::{Database, Row, Session, Value, places};
pub use error::DatabaseError;
pub(crate) use migrations::{Migration, Schema};
pub(crate) use moment::moment;
