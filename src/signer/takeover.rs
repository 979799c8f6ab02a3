//! The keys of a notary-signer, opened with its passphrases and sealed anew in our vault.
//!
//! Their IDs stay, so that whoever signs with them notices nothing; the rows that they come from stay as
//! they are, too. Keys of which the passphrase is missing or which are damaged are told, not taken.

use jiff::Timestamp;

use super::jwe;
use super::key_service::KeyServiceError;
use super::sql::SqlRows;
use super::vault::{Lookup, Vault};
use crate::database::dump::{Column, Dump, DumpError, Table};
use crate::database::{Database, DatabaseError, Row, moment};
use crate::image::{Gun, GunError};
use crate::tuf::{KeyType, PublicKey, RoleName, TufError};

/// A notary-signer's table of keys.
#[derive(Debug)]
pub struct NotaryKeys {
    database: Database,
    /// The dump's copy, which ends with the value.
    _dump: Option<Dump>,
}

/// What became of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Takeover {
    /// How many were taken.
    pub taken: usize,
    /// How many were there already.
    pub present: usize,
    /// Which were not taken, and why.
    pub left: Vec<(String, String)>,
}

impl NotaryKeys {
    /// The keys in a running database, where the source is the address of one (without a password: that is
    /// `PGPASSWORD`'s or `~/.pgpass`'s to say), or in the text that `pg_dump` or `mysqldump` made of it.
    pub async fn open(source: &str) -> Result<Self, TakeoverError> {
        if Database::is_address(source) {
            let database = Database::foreign(source).await?;
            return Ok(Self { database, _dump: None });
        }
        let dump = Dump::load(source.as_ref(), KEYS_ALONE).await?;
        Ok(Self { database: dump.database().clone(), _dump: Some(dump) })
    }

    /// The keys that stand beside our own, where there are any.
    pub(crate) async fn beside(rows: &SqlRows) -> Result<Option<Self>, DatabaseError> {
        let database = rows.database().clone();
        let there = database.has_table(KEYS.name).await?;
        Ok(there.then_some(Self { database, _dump: None }))
    }

    /// Takes every key that the vault has not.
    pub async fn take_over(&self, vault: &Vault, passphrases: Lookup<'_>) -> Result<Takeover, TakeoverError> {
        let mut outcome = Takeover::default();
        let mut after = 0;
        loop {
            let rows = self.database.read(PAGE_AFTER, &[after.into(), PAGE.into()]).await?;
            for row in &rows {
                after = row.integer(0)?;
                let key = NotaryKey::of(row)?;
                match key.take(vault, passphrases).await {
                    Ok(true) => outcome.taken += 1,
                    Ok(false) => outcome.present += 1,
                    Err(Left::Key(reason)) => outcome.left.push((key.id, reason)),
                    Err(Left::All(error)) => return Err(error.into()),
                }
            }
            if rows.is_empty() {
                return Ok(outcome);
            }
        }
    }
}

/// A row of it.
struct NotaryKey {
    id: String,
    algorithm: String,
    alias: String,
    public: Vec<u8>,
    private: Vec<u8>,
    gun: String,
    role: String,
    last_used: Option<Timestamp>,
}

/// Why a key is not taken.
enum Left {
    Key(String),
    All(KeyServiceError),
}

impl NotaryKey {
    fn of(row: &Row) -> Result<Self, DatabaseError> {
        Ok(Self {
            id: row.text(1)?,
            algorithm: row.text(2)?,
            alias: row.text(3)?,
            public: row.bytes(4)?,
            private: row.bytes(5)?,
            gun: row.text(6)?,
            role: row.text(7)?,
            // That it is used counts; where the time cannot be read, it was long ago.
            last_used: row.optional_text(8)?.map(|it| moment(&it).unwrap_or(Timestamp::UNIX_EPOCH)),
        })
    }

    /// Whether it was taken, or there already.
    async fn take(&self, vault: &Vault, passphrases: Lookup<'_>) -> Result<bool, Left> {
        let told = |reason: &dyn std::fmt::Display| Left::Key(reason.to_string());
        let key_type = match self.algorithm.as_str() {
            "ecdsa" => KeyType::Ecdsa,
            "ed25519" => KeyType::Ed25519,
            other => {
                return Err(told(&format!("its type is {other:.20?}, which nothing is signed with here")));
            }
        };
        let public = PublicKey::new(key_type, self.public.clone());
        if public.id().as_str() != self.id {
            return Err(told(&format!("its public half is that of key {}", public.id())));
        }
        if vault.holds(public.canonical_id()).await.map_err(Left::All)? {
            return Ok(false);
        }
        let gun: Gun = self.gun.parse().map_err(|it: GunError| told(&it))?;
        let role: RoleName = self.role.parse().map_err(|it: TufError| told(&it))?;
        let variable = format!("NOTARY_SIGNER_{}", self.alias.to_uppercase());
        let passphrase = passphrases(&variable).filter(|it| !it.is_empty());
        let passphrase = zeroize::Zeroizing::new(passphrase.ok_or_else(|| {
            told(&format!("the variable `{variable}` is not set, which has the passphrase of its alias"))
        })?);
        let text = std::str::from_utf8(&self.private).map_err(|_| told(&"it is no JWE"))?;
        let key = jwe::open_key(text.trim(), passphrase.as_bytes(), &public).map_err(|it| told(&it))?;
        vault.import(&gun, &role, &key, self.last_used).await.map_err(Left::All)?;
        Ok(true)
    }
}

/// Why keys cannot be taken over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TakeoverError {
    /// The database cannot be read.
    #[error("notary-signer's keys cannot be read: {0}")]
    Database(#[from] DatabaseError),
    /// The dump cannot be read.
    #[error(transparent)]
    Dump(#[from] DumpError),
    /// The vault does not take them.
    #[error("keys cannot be stored: {0}")]
    Vault(#[from] KeyServiceError),
}

impl TakeoverError {
    /// What to do about it, where there is one thing.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Dump(error) => error.help(),
            Self::Database(_) | Self::Vault(_) => None,
        }
    }
}

/// As notary-signer's migrations make it.
const KEYS: Table = Table {
    name: "private_keys",
    columns: &[
        Column::integer("id"),
        Column::optional_text("deleted_at"),
        Column::text("key_id"),
        Column::text("algorithm"),
        Column::text("passphrase_alias"),
        Column::bytes("public"),
        Column::bytes("private"),
        Column::text("gun"),
        Column::text("role"),
        Column::optional_text("last_used"),
    ],
    required: true,
    create: "CREATE TABLE private_keys (id BIGINT PRIMARY KEY, deleted_at TEXT, key_id TEXT NOT NULL UNIQUE, \
             algorithm TEXT NOT NULL, passphrase_alias TEXT NOT NULL, public BLOB NOT NULL, \
             private BLOB NOT NULL, gun TEXT NOT NULL, role TEXT NOT NULL, last_used TEXT)",
    insert: "INSERT INTO private_keys VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
};
const KEYS_ALONE: &[Table] = &[KEYS];
const PAGE_AFTER: &str = "SELECT CAST(id AS BIGINT), key_id, algorithm, passphrase_alias, public, private, \
    gun, role, CAST(last_used AS TEXT) \
    FROM private_keys WHERE deleted_at IS NULL AND id > $1 ORDER BY id LIMIT $2";
/// Rows that are read at once.
const PAGE: i64 = 100;
