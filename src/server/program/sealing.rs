//! The key-encryption key that a standalone server makes itself.

use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::ProgramError;
use crate::signer::settings::Sealing;
use crate::signer::vault::{SecretForm, SecretPlace, SecretSource};
use crate::signer::{Alias, KeyRows};

/// The key in this folder, as the settings would name it; made, where nothing was ever sealed with it.
pub(super) async fn own_sealing(state: &Path, rows: &dyn KeyRows) -> Result<Sealing, ProgramError> {
    let alias: Alias = ALIAS.parse().expect("the name is an alias");
    let path = state.join(FILE);
    if !path.try_exists().map_err(|it| ProgramError::state(&path, &it))? {
        if rows.aliases().await?.contains(&alias) {
            return Err(ProgramError::KeyLost { path });
        }
        make(&path).map_err(|it| ProgramError::state(&path, &it))?;
    }
    let source = SecretSource { place: SecretPlace::File(path), form: SecretForm::Key };
    Ok(Sealing::Keys { current: alias.clone(), sources: BTreeMap::from([(alias, source)]) })
}

/// Writes a key that nobody has seen; where another process was faster, that one's stays.
fn make(path: &Path) -> io::Result<()> {
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(key.as_mut()).map_err(|it| io::Error::other(it.to_string()))?;
    let text = Zeroizing::new(hex::encode(key.as_ref()));
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().permissions(Permissions::from_mode(0o600)).tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => File::open(folder)?.sync_all(),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error),
    }
}

const ALIAS: &str = "state";
const FILE: &str = "kek";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::storage::SqlStorage;
    use crate::signer::{KeyAlgorithm, KeyService as _, Vault};
    use crate::tuf::RoleName;
    use std::sync::Arc;

    #[tokio::test]
    async fn a_key_is_made_once_and_never_over_sealed_keys() {
        let folder = tempfile::tempdir().unwrap();
        let storage = SqlStorage::in_memory().await.unwrap();
        let rows = Arc::new(storage.key_rows().await.unwrap());
        let variables = |_: &str| None;
        let sealing = own_sealing(folder.path(), &*rows).await.unwrap();
        let path = folder.path().join(FILE);
        let made = std::fs::read(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let keys = sealing.fetch(&variables).await.unwrap();
        let vault = Vault::new(Arc::clone(&rows) as _, keys, Arc::new(|| jiff::Timestamp::UNIX_EPOCH));
        let gun = "acme/base".parse().unwrap();
        vault.create(&gun, &RoleName::TIMESTAMP, KeyAlgorithm::Ed25519).await.unwrap();
        own_sealing(folder.path(), &*rows).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), made);
        std::fs::remove_file(&path).unwrap();
        let lost = own_sealing(folder.path(), &*rows).await;
        assert!(matches!(lost, Err(ProgramError::KeyLost { .. })));
        assert!(!path.exists());
    }
}
