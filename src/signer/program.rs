//! `trustgate-signer` itself: from settings to a signer that listens, and through its signals.
//!
//! The clock, the environment and where lines go come from the caller.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::signal::unix::SignalKind;

use super::journal::{Event, Journal};
use super::key_service::Clock;
use super::listener::{ServeError, serve};
use super::memory::MemoryRows;
use super::rows::KeyRows;
use super::settings::{SealingError, Settings, SettingsError, Storage};
use super::sql::SqlRows;
use super::takeover::{NotaryKeys, Takeover, TakeoverError};
use super::tls::TlsError;
use super::vault::Vault;
use crate::daemon::{SignalError, signals};
use crate::database::DatabaseError;
use crate::text::visible;

/// Looks an environment variable up.
pub type Variables = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What the program is started with.
#[derive(Clone)]
pub struct Program {
    /// The file of settings.
    pub settings: PathBuf,
    /// Looks an environment variable up.
    pub variables: Variables,
    /// Tells the time.
    pub clock: Clock,
    /// Takes a line for the operator.
    pub line: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Program {
    /// Runs until SIGTERM or SIGINT. SIGHUP has the key-encryption keys read again, and every key
    /// sealed under the current one.
    pub async fn run(&self) -> Result<(), ProgramError> {
        let mut hang_up = signals(SignalKind::hangup())?;
        let mut terminate = signals(SignalKind::terminate())?;
        let mut interrupt = signals(SignalKind::interrupt())?;
        let settings = Settings::load(&self.settings, &*self.variables)?;
        let tls = settings.tls.server_config()?;
        let sealing = settings.sealing.fetch(&*self.variables).await?;
        let stored = self.open(&settings.storage).await?;
        let rows: Arc<dyn KeyRows> = if let Some(rows) = &stored {
            Arc::new(rows.clone())
        } else {
            (self.line)("keys are kept in memory: they end with this process");
            Arc::new(MemoryRows::new())
        };
        let vault = Arc::new(Vault::new(rows, sealing, Arc::clone(&self.clock)));
        if let (Storage::Taken { .. }, Some(rows)) = (&settings.storage, &stored) {
            self.take_over(rows, &vault).await?;
        }
        let listen = |reason: std::io::Error| ProgramError::Listen {
            address: settings.listen.clone(),
            reason: reason.to_string(),
        };
        let listener = TcpListener::bind(&settings.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        (self.line)(&format!("listening at {address}"));
        self.reseal(&vault).await;
        let reloading = async {
            while hang_up.recv().await.is_some() {
                self.reload(&vault).await;
            }
        };
        let stopped = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        let serving = serve(listener, tls, Arc::clone(&vault) as _, self.journal(), stopped);
        let mut serving = std::pin::pin!(serving);
        let ended = tokio::select! {
            ended = &mut serving => ended,
            () = reloading => serving.await,
        };
        if let Some(rows) = stored {
            rows.close().await;
        }
        Ok(ended?)
    }

    /// Takes over the keys of a notary-signer, from its running database or from a dump of it.
    pub async fn import(&self, source: &str) -> Result<Takeover, ProgramError> {
        let settings = Settings::load(&self.settings, &*self.variables)?;
        let sealing = settings.sealing.fetch(&*self.variables).await?;
        let rows = self.open(&settings.storage).await?.ok_or(ProgramError::Volatile)?;
        let vault = Vault::new(Arc::new(rows.clone()), sealing, Arc::clone(&self.clock));
        let keys = NotaryKeys::open(source).await?;
        let outcome = keys.take_over(&vault, &*self.variables).await;
        rows.close().await;
        Ok(outcome?)
    }

    /// The table that the settings name; `None`: it ends with the process.
    async fn open(&self, storage: &Storage) -> Result<Option<SqlRows>, ProgramError> {
        let rows = match storage {
            Storage::Memory => return Ok(None),
            Storage::Postgres { address } => {
                let address = address.text(&*self.variables).await;
                SqlRows::postgres(&address.map_err(|reason| ProgramError::Address { reason })?).await
            }
            Storage::Sqlite { path } => SqlRows::sqlite(path).await,
            Storage::Taken { address } => SqlRows::postgres(address.reveal()).await,
        };
        Ok(Some(rows?))
    }

    /// Keys that a notary-signer left in this database, and made since: it may be used again.
    async fn take_over(&self, rows: &SqlRows, vault: &Vault) -> Result<(), ProgramError> {
        let Some(keys) = NotaryKeys::beside(rows).await? else { return Ok(()) };
        let outcome = keys.take_over(vault, &*self.variables).await?;
        if outcome.taken != 0 {
            (self.line)(&format!("keys taken over from notary-signer: {}", outcome.taken));
        }
        for (key, reason) in outcome.left {
            let (key, reason) = (visible(&key), visible(&reason));
            (self.line)(&format!("key {key} of notary-signer is not taken over: {reason}"));
        }
        Ok(())
    }

    /// Goes over to the key-encryption keys that the settings name now; where one cannot be had,
    /// everything stays as it was.
    async fn reload(&self, vault: &Vault) {
        let sealing = match Settings::load(&self.settings, &*self.variables) {
            Ok(settings) => settings.sealing,
            Err(error) => return (self.line)(&format!("nothing changed: {error}")),
        };
        match sealing.fetch(&*self.variables).await {
            Ok(keys) => {
                (self.line)(&format!("keys are sealed under `{}` from now on", keys.current()));
                vault.replace_sealing_keys(keys);
                self.reseal(vault).await;
            }
            Err(error) => (self.line)(&format!("nothing changed: {error}")),
        }
    }

    async fn reseal(&self, vault: &Vault) {
        match vault.reseal().await {
            Ok(outcome) => {
                if outcome.resealed != 0 {
                    (self.line)(&format!("keys sealed anew: {}", outcome.resealed));
                }
                for (key, reason) in outcome.left {
                    (self.line)(&format!("key {key} stays sealed as it is: {reason}"));
                }
            }
            Err(error) => (self.line)(&format!("keys could not be sealed anew: {error}")),
        }
    }

    fn journal(&self) -> Journal {
        let (line, clock) = (Arc::clone(&self.line), Arc::clone(&self.clock));
        Arc::new(move |event: &Event<'_>| line(&format!("{:.3} {event}", clock())))
    }
}

/// Why the program ends.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// There is no address of the database.
    #[error("the address of the keys' database cannot be had: {reason}")]
    Address {
        /// Why.
        reason: String,
    },
    /// The keys' database cannot be used.
    #[error("the keys cannot be kept: {0}")]
    Database(#[from] DatabaseError),
    /// The address cannot be listened at.
    #[error("`{address}` cannot be listened at: {reason}")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// Keys cannot be sealed.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// Serving ended.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The settings are unusable.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The system lets no signals through.
    #[error(transparent)]
    Signal(#[from] SignalError),
    /// Another signer's keys cannot be read.
    #[error(transparent)]
    Takeover(#[from] TakeoverError),
    /// TLS cannot start.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Keys would be gone at once.
    #[error("the settings keep keys in memory, where nothing can be imported to")]
    Volatile,
}

impl ProgramError {
    /// What to do about it, where there is one thing.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Sealing(SealingError::Secret(error)) => Some(error.help()),
            Self::Takeover(error) => error.help(),
            Self::Volatile => Some("name a SQLite file or a PostgreSQL database under `[storage]`"),
            _ => None,
        }
    }
}
