//! Where sealed keys are kept: the little that the vault asks of a database.
//!
//! A row is safe to store anywhere, backups included: what would sign is sealed in it. Rows know
//! nothing of how.

use std::fmt;
use std::str::FromStr;

use futures_util::future::BoxFuture;
use jiff::Timestamp;

use crate::image::Gun;
use crate::tuf::{KeyId, KeyType, PublicKey, RoleName};

/// A table of sealed keys. Each call is one transaction.
pub trait KeyRows: Send + Sync {
    /// Adds a key. One of the same ID, deleted or not, is [`RowsError::Exists`].
    fn insert(&self, row: KeyRow) -> BoxFuture<'_, Result<(), RowsError>>;

    /// The key of this ID, unless it was deleted.
    fn find<'a>(&'a self, key: &'a KeyId) -> BoxFuture<'a, Result<Option<KeyRow>, RowsError>>;

    /// The oldest key of this purpose and type that nothing was signed with and that was not deleted.
    fn find_unused<'a>(
        &'a self,
        gun: &'a Gun,
        role: &'a RoleName,
        key_type: &'a KeyType,
    ) -> BoxFuture<'a, Result<Option<KeyRow>, RowsError>>;

    /// Notes that something was signed with a key. One that is not there is no error.
    fn mark_used<'a>(&'a self, key: &'a KeyId, now: Timestamp) -> BoxFuture<'a, Result<(), RowsError>>;

    /// Takes a key out of use, and keeps its row; whether there was one.
    fn delete<'a>(&'a self, key: &'a KeyId, now: Timestamp) -> BoxFuture<'a, Result<bool, RowsError>>;

    /// Keys sealed under this alias, deleted ones too, in the order of their IDs after this one.
    fn sealed_under<'a>(
        &'a self,
        alias: &'a Alias,
        after: Option<&'a KeyId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<KeyRow>, RowsError>>;

    /// Every alias that keys, deleted ones too, are sealed under.
    fn aliases(&self) -> BoxFuture<'_, Result<Vec<Alias>, RowsError>>;

    /// Replaces what a key is sealed as, if it is still as it was read; whether it was.
    fn reseal<'a>(
        &'a self,
        key: &'a KeyId,
        read: &'a SealedKey,
        resealed: SealedKey,
    ) -> BoxFuture<'a, Result<bool, RowsError>>;

    /// Whether the table can be read and written.
    fn health(&self) -> BoxFuture<'_, Result<(), RowsError>>;
}

/// A key at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// Its public half, which its ID comes from.
    pub public: PublicKey,
    /// The repository that it was made for.
    pub gun: Gun,
    /// The role that it was made for.
    pub role: RoleName,
    /// Its private half.
    pub sealed: SealedKey,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last noted that something was signed with it.
    pub last_used: Option<Timestamp>,
}

/// A private key that only the key-encryption key of its alias opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedKey {
    /// Which key-encryption key.
    pub alias: Alias,
    /// The sealed bytes.
    pub bytes: Vec<u8>,
}

/// The name of a key-encryption key, as Notary has them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alias(String);

impl Alias {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Alias {
    type Err = AliasError;

    fn from_str(text: &str) -> Result<Self, AliasError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if (1..=ALIAS_LIMIT).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(AliasError)
        }
    }
}

impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

/// A text that is no alias.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an alias has 1 to 50 letters, digits, `-`, `_` and `.`")]
pub struct AliasError;

/// Why rows cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowsError {
    /// There is a key of this ID already.
    #[error("key {key} is stored already")]
    Exists {
        /// The key.
        key: KeyId,
    },
    /// The table cannot be used now.
    #[error("the keys' storage cannot be used: {reason}")]
    Unavailable {
        /// What it said.
        reason: String,
    },
}

/// The width of Notary's column.
const ALIAS_LIMIT: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_are_plain_words() {
        for text in ["alias1", "2026-11", "kek_v2.old", &"a".repeat(50)] {
            assert_eq!(text.parse::<Alias>().unwrap().as_str(), text);
        }
        for text in ["", "a b", "a/b", "é", "a\n", "a\0", &"a".repeat(51)] {
            assert_eq!(text.parse::<Alias>(), Err(AliasError), "{text:?}");
        }
    }
}
