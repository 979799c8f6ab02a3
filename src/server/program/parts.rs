//! The parts of a server, made as the settings say.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;

use super::sealing::own_sealing;
use super::{Program, ProgramError};
use crate::server::certificate::OwnCertificate;
use crate::server::listener::server_config;
use crate::server::settings::{RemoteSigner as RemoteSettings, Settings, Signer, Storage, Tls};
use crate::server::storage::SqlStorage;
use crate::signer::settings::Sealing;
use crate::signer::{KeyRows, KeyService, RemoteSigner, Vault};

/// Who signs.
pub(super) enum Keys {
    /// This process.
    Inside(Arc<Vault>),
    /// Another one.
    Remote(Arc<RemoteSigner>),
}

impl Keys {
    pub(super) fn service(&self) -> Arc<dyn KeyService> {
        match self {
            Self::Inside(vault) => Arc::clone(vault) as _,
            Self::Remote(signer) => Arc::clone(signer) as _,
        }
    }
}

impl Program {
    pub(super) async fn storage(&self, settings: &Settings) -> Result<Arc<SqlStorage>, ProgramError> {
        let storage = match &settings.storage {
            Storage::Memory => {
                (self.line)("everything is kept in memory: it ends with this process");
                SqlStorage::in_memory().await?
            }
            Storage::Sqlite(path) => {
                if let Some(folder) = path.parent() {
                    make_folder(folder)?;
                }
                SqlStorage::sqlite(path).await?
            }
            Storage::Postgres(address) => {
                let url = address.fetch(&*self.variables).await;
                let url = url.map_err(|it| ProgramError::Database(it.to_string()))?;
                SqlStorage::postgres(&url).await?
            }
        };
        Ok(Arc::new(storage))
    }

    pub(super) async fn keys(
        &self,
        settings: &Settings,
        storage: &Arc<SqlStorage>,
    ) -> Result<Keys, ProgramError> {
        match &settings.signer {
            Signer::Inside(_) => {
                let sealing = self.sealing(settings, storage).await?.fetch(&*self.variables).await?;
                let rows = Arc::new(storage.key_rows().await?) as Arc<dyn KeyRows>;
                Ok(Keys::Inside(Arc::new(Vault::new(rows, sealing, Arc::clone(&self.clock)))))
            }
            Signer::Remote(RemoteSettings { host, port, tls }) => {
                Ok(Keys::Remote(Arc::new(RemoteSigner::new(host, *port, tls.client_config()?)?)))
            }
        }
    }

    /// What keys are sealed with, where this process signs.
    pub(super) async fn sealing(
        &self,
        settings: &Settings,
        storage: &Arc<SqlStorage>,
    ) -> Result<Sealing, ProgramError> {
        match (&settings.signer, &settings.storage) {
            (Signer::Inside(Some(sealing)), _) => Ok(sealing.clone()),
            // What ends with the process needs no key that outlives it.
            (_, Storage::Memory) => Ok(Sealing::Unknown),
            _ => {
                make_folder(&settings.state)?;
                own_sealing(&settings.state, &storage.key_rows().await?).await
            }
        }
    }

    /// What the server proves itself with; nothing, where a proxy does.
    pub(super) fn tls(&self, settings: &Settings) -> Result<Option<Arc<ServerConfig>>, ProgramError> {
        match &settings.tls {
            Tls::Off => Ok(None),
            Tls::Own => {
                make_folder(&settings.state)?;
                let own = OwnCertificate::beneath(&settings.state);
                let mut names: Vec<String> = settings.listen.iter().filter_map(|it| host(it)).collect();
                names.extend(host_name());
                if own.renew(&names, (self.clock)())? {
                    (self.line)(&format!("made a certificate: {}", own.certificate.display()));
                }
                Ok(Some(server_config(&own.certificate, &own.key, None)?))
            }
            Tls::Files { certificate, key, authorities } => {
                Ok(Some(server_config(certificate, key, authorities.as_deref())?))
            }
        }
    }
}

/// The host of an address that means one.
fn host(address: &str) -> Option<String> {
    let (host, _) = address.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let any = host.is_empty() || host.parse::<std::net::IpAddr>().is_ok_and(|it| it.is_unspecified());
    (!any).then(|| host.to_owned())
}

/// What this machine calls itself.
pub(super) fn host_name() -> Option<String> {
    let name = rustix::system::uname().nodename().to_str().ok()?.to_ascii_lowercase();
    (!name.is_empty()).then_some(name)
}

/// Makes a folder that is nobody else's, with those above it.
fn make_folder(path: &Path) -> Result<(), ProgramError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|it| ProgramError::state(path, &it))
}
