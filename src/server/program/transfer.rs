//! `export` and `import`: the settings' storage and keys, and what is moved out of or into them.

use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::parts::Keys;
use super::{Program, ProgramError};
use crate::server::settings::Signer;
use crate::server::transfer::{
    Export, ExportReport, ExportedKeys, Import, ImportFrom, ImportReport, MovePassphrase, SignerInside, Step,
};
use crate::signer::vault::SecretPlace;

/// What is asked of an export.
#[derive(Clone, Debug)]
pub struct ExportRequest {
    /// The archive to be.
    pub path: PathBuf,
    /// Repositories of these names and below them; none: all.
    pub repositories: Vec<String>,
    /// Whether keys go with them.
    pub keys: bool,
    /// The file of a passphrase that keys are sealed under on their way.
    pub passphrase_file: Option<PathBuf>,
}

/// What is asked of an import.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// Where from.
    pub from: ImportFrom,
    /// Whether nothing is imported where one repository does not verify.
    pub strict: bool,
    /// The file of the passphrase that keys are sealed under.
    pub passphrase_file: Option<PathBuf>,
}

impl Program {
    /// Exports, beside a server that runs or not.
    pub async fn export(
        &self,
        request: ExportRequest,
        watch: &mut (dyn FnMut(Step<'_>) + Send),
    ) -> Result<ExportReport, ProgramError> {
        let settings = self.settings()?;
        let passphrase = self.passphrase(request.passphrase_file).await?;
        let storage = self.storage(&settings).await?;
        let keys = match (request.keys, &settings.signer, passphrase) {
            (false, ..) => ExportedKeys::None,
            (true, Signer::Remote(_), _) => return Err(ProgramError::KeysElsewhere),
            (true, Signer::Inside(_), None) => ExportedKeys::AsStored,
            (true, Signer::Inside(_), Some(passphrase)) => {
                let sealing = self.sealing(&settings, &storage).await?;
                ExportedKeys::Under { stored: sealing.fetch(&*self.variables).await?, passphrase }
            }
        };
        let export = Export { repositories: request.repositories, keys };
        let report = export.run(&storage, &request.path, watch).await;
        storage.close().await;
        Ok(report?)
    }

    /// Imports, beside a server that runs or not.
    pub async fn import(
        &self,
        request: ImportRequest,
        watch: &mut (dyn FnMut(Step<'_>) + Send),
    ) -> Result<ImportReport, ProgramError> {
        let settings = self.settings()?;
        let passphrase = self.passphrase(request.passphrase_file).await?;
        let storage = self.storage(&settings).await?;
        let keys = self.keys(&settings, &storage).await?;
        let vault = match &keys {
            Keys::Inside(vault) => Some(Arc::clone(vault)),
            Keys::Remote(_) => None,
        };
        let signer =
            SignerInside { vault: vault.as_deref(), keys: Some(keys.service()), variables: &*self.variables };
        let import = Import { from: request.from, strict: request.strict, passphrase };
        let report = import.run(&storage, &signer, (self.clock)(), watch).await;
        storage.close().await;
        Ok(report?)
    }

    async fn passphrase(&self, file: Option<PathBuf>) -> Result<Option<MovePassphrase>, ProgramError> {
        let Some(path) = file else { return Ok(None) };
        let text = SecretPlace::File(path.clone()).text(&*self.variables).await;
        let text = text.map_err(|reason| ProgramError::Passphrase { reason })?;
        let passphrase = MovePassphrase::new(Zeroizing::new(text.as_bytes().to_vec()));
        let short = || ProgramError::Passphrase { reason: format!("`{}`: it is too short", path.display()) };
        passphrase.ok_or_else(short).map(Some)
    }
}
