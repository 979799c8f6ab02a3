//! Why a database did not do what it was asked, by who can do something about it.

/// One reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// Others hold the locks for longer than is waited.
    #[error("the database is busy: {reason}")]
    Busy {
        /// What the database said.
        reason: String,
    },
    /// The address or path of the database cannot be used.
    #[error("the database cannot be opened: {reason}")]
    Configuration {
        /// Why.
        reason: String,
    },
    /// What is stored is not what was stored, or not what this program stores.
    #[error("the database holds what it should not: {reason}")]
    Corrupt {
        /// What is wrong.
        reason: String,
    },
    /// Somebody else was first with a value that there may be once.
    #[error("there is such a row already: {reason}")]
    Duplicate {
        /// What the database said.
        reason: String,
    },
    /// There is no room left.
    #[error("the database is full: {reason}")]
    Full {
        /// What the database said.
        reason: String,
    },
    /// The tables were made by a later program that earlier ones cannot share them with.
    #[error(
        "the database has schema version {found}, which needs a program that knows version {needed}; this one knows {known}"
    )]
    Schema {
        /// The version of the tables.
        found: i64,
        /// The least version that a program must know to use them.
        needed: i64,
        /// The version that this program knows.
        known: i64,
    },
    /// The database cannot be reached, or broke off.
    #[error("the database cannot be reached: {reason}")]
    Unavailable {
        /// What went wrong.
        reason: String,
    },
}

impl DatabaseError {
    /// What the database's library says, sorted.
    pub(crate) fn from_sqlx(error: &sqlx::Error) -> Self {
        let reason = error.to_string();
        match error {
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default().into_owned();
                Self::from_code(&code, reason)
            }
            sqlx::Error::Configuration(_) => Self::Configuration { reason },
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable { reason },
            // What is left is about rows that are not what was asked for. The enum may grow.
            _ => Self::Corrupt { reason },
        }
    }

    /// PostgreSQL's codes have five characters, SQLite's are numbers of which the low byte is the kind.
    fn from_code(code: &str, reason: String) -> Self {
        if let (1..=4, Ok(number)) = (code.len(), code.parse::<u32>()) {
            return match number & 0xff {
                _ if matches!(number, SQLITE_CONSTRAINT_PRIMARY_KEY | SQLITE_CONSTRAINT_UNIQUE) => {
                    Self::Duplicate { reason }
                }
                SQLITE_BUSY | SQLITE_LOCKED => Self::Busy { reason },
                SQLITE_FULL => Self::Full { reason },
                SQLITE_READONLY | SQLITE_IOERR | SQLITE_CANTOPEN => Self::Unavailable { reason },
                _ => Self::Corrupt { reason },
            };
        }
        match code {
            // Serialisation, deadlock, lock timeout, statement timeout.
            "40001" | "40P01" | "55P03" | "57014" => Self::Busy { reason },
            "53100" => Self::Full { reason },
            // Read only; out of memory, of connections; cannot connect now.
            "25006" | "53200" | "53300" | "53400" => Self::Unavailable { reason },
            "23505" => Self::Duplicate { reason },
            _ if ["08", "57", "58", "28", "3D"].iter().any(|class| code.starts_with(class)) => {
                Self::Unavailable { reason }
            }
            _ => Self::Corrupt { reason },
        }
    }
}

const SQLITE_BUSY: u32 = 5;
const SQLITE_LOCKED: u32 = 6;
const SQLITE_READONLY: u32 = 8;
const SQLITE_IOERR: u32 = 10;
const SQLITE_FULL: u32 = 13;
const SQLITE_CANTOPEN: u32 = 14;
const SQLITE_CONSTRAINT_PRIMARY_KEY: u32 = 1555;
const SQLITE_CONSTRAINT_UNIQUE: u32 = 2067;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_databases_are_sorted() {
        let kind = |code: &str| match DatabaseError::from_code(code, String::new()) {
            DatabaseError::Busy { .. } => "busy",
            DatabaseError::Full { .. } => "full",
            DatabaseError::Unavailable { .. } => "unavailable",
            DatabaseError::Corrupt { .. } => "corrupt",
            DatabaseError::Duplicate { .. } => "duplicate",
            other => panic!("{other}"),
        };
        // SQLITE_BUSY_SNAPSHOT is 517, SQLITE_IOERR_FSYNC 1034.
        for (code, expected) in [
            ("5", "busy"),
            ("517", "busy"),
            ("6", "busy"),
            ("13", "full"),
            ("1034", "unavailable"),
            ("11", "corrupt"),
            ("1555", "duplicate"),
            ("2067", "duplicate"),
            ("55P03", "busy"),
            ("40P01", "busy"),
            ("53100", "full"),
            ("53300", "unavailable"),
            ("57P01", "unavailable"),
            ("08006", "unavailable"),
            ("23505", "duplicate"),
            ("42P01", "corrupt"),
            ("", "corrupt"),
        ] {
            assert_eq!(kind(code), expected, "{code}");
        }
    }
}
