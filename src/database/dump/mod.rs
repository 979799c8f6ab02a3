//! Dumps in SQL's text, as `pg_dump` and `mysqldump` write them, read into a database that can be asked.
//!
//! Only the rows of the wanted tables are kept, in a SQLite file that ends with the value; everything else
//! is passed over and never run. A dump is read once, from its start to its end, a row at a time, and one
//! that stops short is refused as a whole.

mod bytes;
mod error;
mod lexer;
mod parser;
mod staging;
mod value;

#[cfg(test)]
mod tests;

pub use error::DumpError;
pub(crate) use staging::Dump;

/// A table whose rows are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    /// Its name, in whichever schema it is.
    pub(crate) name: &'static str,
    /// The columns that are wanted; others are passed over.
    pub(crate) columns: &'static [Column],
    /// Whether a dump without it is another one than was meant.
    pub(crate) required: bool,
    /// What makes the copy.
    pub(crate) create: &'static str,
    /// What adds a row to the copy, with a value for each column.
    pub(crate) insert: &'static str,
}

/// A column that is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// Its name.
    pub(crate) name: &'static str,
    /// What is in it.
    pub(crate) kind: Kind,
    /// Whether it may be NULL.
    pub(crate) optional: bool,
}

/// What is in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bytes,
    Integer,
    Text,
}

impl Column {
    pub(crate) const fn integer(name: &'static str) -> Self {
        Self { name, kind: Kind::Integer, optional: false }
    }

    pub(crate) const fn text(name: &'static str) -> Self {
        Self { name, kind: Kind::Text, optional: false }
    }

    pub(crate) const fn optional_text(name: &'static str) -> Self {
        Self { name, kind: Kind::Text, optional: true }
    }

    pub(crate) const fn bytes(name: &'static str) -> Self {
        Self { name, kind: Kind::Bytes, optional: false }
    }
}
