//! Sealed keys on their way: as they are, or under a passphrase of the move.

use zeroize::Zeroizing;

use crate::signer::Alias;
use crate::signer::vault::{SealingKey, SealingKeys};

/// The passphrase that keys are sealed under from one server to another.
pub struct MovePassphrase(Zeroizing<Vec<u8>>);

impl MovePassphrase {
    /// A passphrase; `None`: it is too short to keep anybody out.
    #[must_use]
    pub fn new(text: Zeroizing<Vec<u8>>) -> Option<Self> {
        (LEAST <= text.len()).then_some(Self(text))
    }

    /// Something to seal with, under a name that no other move has: it is also the salt.
    pub(super) fn sealing(&self) -> Result<SealingKeys, getrandom::Error> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt)?;
        let alias: Alias =
            format!("{PREFIX}{}", hex::encode(salt)).parse().expect("letters, digits and a dash");
        Ok(self.of(&alias))
    }

    /// What opens keys of this alias, where it is one of a move.
    pub(super) fn opening(&self, alias: &Alias) -> Option<SealingKeys> {
        is_of_move(alias).then(|| self.of(alias))
    }

    fn of(&self, alias: &Alias) -> SealingKeys {
        SealingKeys::new(alias.clone(), SealingKey::from_passphrase(&self.0, alias))
    }
}

impl std::fmt::Debug for MovePassphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// Whether keys of this alias are sealed under the passphrase of a move.
pub(super) fn is_of_move(alias: &Alias) -> bool {
    alias.as_str().starts_with(PREFIX)
}

const PREFIX: &str = "move-";
/// As docker asks of passphrases.
const LEAST: usize = 8;
