//! `trustgate-server` itself: from settings to a server that listens, and through its signals.
//!
//! The clock, the environment and where lines go come from the caller.

mod error;
mod legacy;
mod parts;
mod sealing;
#[cfg(test)]
mod tests;
mod transfer;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use rustix::process::{Resource, getrlimit};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::access::{Access, RateLimits};
use super::api::{Api, ApiOptions, Event, ServerMetrics, metrics_router, router};
use super::certificate::OwnCertificate;
use super::freshness::{Freshness, FreshnessOptions};
use super::listener::{Defect, Listener, Security};
use super::publication::{Publisher, PublisherOptions};
use super::settings::{Limits, Metrics, Settings, Tls, state_folder};
use super::storage::{RecentFiles, SqlStorage, Storage};
use crate::daemon::signals;
use crate::signer::settings::Sealing;
use crate::signer::{Clock, Vault};

pub use crate::signer::program::Variables;
pub use error::ProgramError;
pub use transfer::{ExportRequest, ImportRequest};

use parts::{Keys, host_name};

/// What the program is started with.
#[derive(Clone)]
pub struct Program {
    /// The file of settings; `None`: what a standalone server does.
    pub settings: Option<PathBuf>,
    /// Looks an environment variable up.
    pub variables: Variables,
    /// Tells the time.
    pub clock: Clock,
    /// Takes a line for the operator.
    pub line: Arc<dyn Fn(&str) + Send + Sync>,
}

/// A server that is ready to listen.
struct Assembled {
    settings: Settings,
    storage: Arc<SqlStorage>,
    keys: Keys,
    freshness: Arc<Freshness>,
    metrics: Arc<ServerMetrics>,
    tls: Option<Arc<ServerConfig>>,
    router: axum::Router,
}

impl Program {
    /// Serves until SIGTERM or SIGINT. SIGHUP has certificates and key-encryption keys read again.
    pub async fn serve(&self) -> Result<(), ProgramError> {
        let mut terminate = signals(SignalKind::terminate())?;
        let mut interrupt = signals(SignalKind::interrupt())?;
        let signaled = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        self.serve_until(signaled).await
    }

    /// Serves until it is told to end, or a part of it is lost: without one it would only seem to work.
    async fn serve_until(&self, shutdown: impl Future<Output = ()>) -> Result<(), ProgramError> {
        let hang_up = signals(SignalKind::hangup())?;
        let server = self.assemble().await?;
        let Assembled { mut settings, storage, keys, freshness, metrics, tls, router } = server;
        self.fit_into_files(&mut settings.limits);
        let mut sockets = Vec::new();
        for address in &settings.listen {
            sockets.push(bind(address).await?);
        }
        let (stop, stopped) = watch::channel(false);
        let mut background = JoinSet::new();
        if let Metrics::At(address) = &settings.metrics {
            let socket = bind(address).await?;
            let listener = Listener {
                router: metrics_router(Arc::clone(&metrics), Arc::clone(&freshness)),
                security: Security::Off,
                limits: Limits { connections: MONITORS, ..settings.limits.clone() },
                // A monitor's connections are none of a client's.
                metrics: Arc::default(),
                line: Arc::clone(&self.line),
            };
            let serving = listener.serve(vec![socket], told(stopped.clone()));
            background.spawn(serving.map(drop));
        }
        self.greet(&settings, &sockets);
        self.point_at_notarys_files(&settings, &storage).await;
        let (shown, security) = match tls {
            Some(config) => {
                let (sender, receiver) = watch::channel(config);
                (Some(sender), Security::Tls(receiver))
            }
            None => (None, Security::Off),
        };
        let keeper = Keeper { program: self.clone(), storage: Arc::clone(&storage), keys, shown };
        background.spawn(keeper.keep(hang_up, told(stopped.clone())));
        let until = told(stopped);
        background.spawn(async move { freshness.run(until).await });
        let line = Arc::clone(&self.line);
        let listener = Listener { router, security, limits: settings.limits, metrics, line };
        let mut ended = Ok(());
        let shutdown = async {
            tokio::select! {
                () = shutdown => {}
                // None of them ends by itself.
                Some(_) = background.join_next() => ended = Err(Defect),
            }
            (self.line)("ending, once what was begun is done");
        };
        let outcome = listener.serve(sockets, shutdown).await;
        stop.send_replace(true);
        let all = async { while background.join_next().await.is_some() {} };
        if tokio::time::timeout(BACKGROUND_PATIENCE, all).await.is_err() {
            background.shutdown().await;
        }
        storage.close().await;
        Ok(ended.and(outcome)?)
    }

    /// Reads the settings, and has a look whether everything that they name works.
    pub async fn check(&self) -> Result<(), ProgramError> {
        let server = self.assemble().await?;
        let not = |part| move |reason: String| ProgramError::Part { part, reason };
        server.storage.health().await.map_err(|it| not("the storage")(it.to_string()))?;
        server.keys.service().health().await.map_err(|it| not("the signer")(it.to_string()))?;
        self.point_at_notarys_files(&server.settings, &server.storage).await;
        server.storage.close().await;
        (self.line)("everything that the settings name works");
        Ok(())
    }

    fn settings(&self) -> Result<Settings, ProgramError> {
        if let Some(path) = &self.settings {
            return Ok(Settings::load(path, &*self.variables)?);
        }
        let state = state_folder(&*self.variables, rustix::process::geteuid().is_root());
        Ok(Settings::standalone(&state.ok_or(ProgramError::StateUnknown)?))
    }

    async fn assemble(&self) -> Result<Assembled, ProgramError> {
        let settings = self.settings()?;
        let tls = self.tls(&settings)?;
        let storage = self.storage(&settings).await?;
        let keys = self.keys(&settings, &storage).await?;
        let files = Arc::new(RecentFiles::of(Arc::clone(&storage) as _)) as Arc<dyn Storage>;
        let publisher = Arc::new(Publisher::new(
            Arc::clone(&files),
            keys.service(),
            PublisherOptions {
                timestamp_lifetime: settings.lifetimes.timestamp,
                snapshot_lifetime: settings.lifetimes.snapshot,
                algorithm: settings.key_algorithm,
            },
        ));
        let freshness = Arc::new(Freshness::new(
            Arc::clone(&publisher),
            Arc::clone(&files),
            Arc::clone(&self.clock),
            FreshnessOptions {
                lifetimes: settings.lifetimes,
                history: settings.history,
                read_patience: READ_PATIENCE,
            },
        ));
        let metrics = Arc::new(ServerMetrics::new());
        let line = Arc::clone(&self.line);
        let router = router(Api {
            publisher,
            storage: files,
            keys: keys.service(),
            access: Access::open(&settings.access, (self.clock)()).await?,
            rates: RateLimits::new(&settings.limits),
            freshness: Arc::clone(&freshness),
            clock: Arc::clone(&self.clock),
            journal: Arc::new(move |event: &Event<'_>| line(&event.to_string())),
            metrics: Arc::clone(&metrics),
            options: ApiOptions {
                caching: settings.caching,
                gun_prefixes: settings.gun_prefixes.clone(),
                limits: settings.limits.clone(),
                log: settings.log,
                metrics: settings.metrics.clone(),
            },
        });
        Ok(Assembled { settings, storage, keys, freshness, metrics, tls, router })
    }

    /// No more connections than there can be files for: a server that has none left could store nothing, either.
    fn fit_into_files(&self, limits: &mut Limits) {
        let Some(files) = getrlimit(Resource::Nofile).current else { return };
        let places = u32::try_from(files - OWN_FILES.min(files / 2)).unwrap_or(u32::MAX);
        if places < limits.connections {
            (self.line)(&format!(
                "this process may open {files} files: so there are {places} connections at most, not {}",
                limits.connections
            ));
            limits.connections = places;
        }
    }

    /// Says where it is, and what a client needs to use it.
    fn greet(&self, settings: &Settings, sockets: &[TcpListener]) {
        let scheme = if settings.tls == Tls::Off { "http" } else { "https" };
        let addresses = sockets.iter().filter_map(|it| it.local_addr().ok());
        let mut first = None;
        for address in addresses {
            (self.line)(&format!("listening at {scheme}://{address}"));
            first.get_or_insert(address);
        }
        let (Some(address), Tls::Own) = (first, &settings.tls) else { return };
        let host = match host_name().filter(|_| address.ip().is_unspecified()) {
            Some(name) => format!("{name}:{}", address.port()),
            None => address.to_string(),
        };
        let authority = OwnCertificate::beneath(&settings.state).authority;
        (self.line)("a client needs:");
        (self.line)(&format!(
            "  install -D -m 644 '{}' \"${{DOCKER_CONFIG:-$HOME/.docker}}/tls/{host}/ca.crt\"",
            authority.display()
        ));
        (self.line)(&format!("  export DOCKER_CONTENT_TRUST_SERVER=https://{host}"));
        (self.line)("  export DOCKER_CONTENT_TRUST=1");
    }
}

/// Keeps what a running server was given up to date: certificates and key-encryption keys.
struct Keeper {
    program: Program,
    storage: Arc<SqlStorage>,
    keys: Keys,
    shown: Option<watch::Sender<Arc<ServerConfig>>>,
}

impl Keeper {
    async fn keep(self, mut hang_up: Signal, stopped: impl Future<Output = ()>) {
        let mut days = tokio::time::interval(DAY);
        let mut stopped = std::pin::pin!(stopped);
        if let Keys::Inside(vault) = &self.keys {
            self.reseal(vault).await;
        }
        loop {
            tokio::select! {
                () = &mut stopped => return,
                told = hang_up.recv() => match told {
                    Some(()) => self.reload().await,
                    None => return,
                },
                _ = days.tick() => self.renew(),
            }
        }
    }

    /// Reads everything again; where something cannot be used, that stays as it was.
    async fn reload(&self) {
        let line = &self.program.line;
        let settings = match self.program.settings() {
            Ok(settings) => settings,
            Err(error) => return line(&format!("nothing changed: {error}")),
        };
        self.show(&settings);
        let Keys::Inside(vault) = &self.keys else { return };
        let fetched = match self.program.sealing(&settings, &self.storage).await {
            // Its key is known to nobody, and would be another one.
            Ok(Sealing::Unknown) => return,
            Ok(sealing) => sealing.fetch(&*self.program.variables).await.map_err(ProgramError::from),
            Err(error) => Err(error),
        };
        match fetched {
            Ok(keys) => {
                line(&format!("keys are sealed under `{}` from now on", keys.current()));
                vault.replace_sealing_keys(keys);
                self.reseal(vault).await;
            }
            Err(error) => line(&format!("keys stay sealed as they are: {error}")),
        }
    }

    /// Renews a certificate of the server's own, should it be about to end.
    fn renew(&self) {
        match self.program.settings() {
            Ok(settings) if settings.tls == Tls::Own => self.show(&settings),
            _ => {}
        }
    }

    fn show(&self, settings: &Settings) {
        let line = &self.program.line;
        match (self.program.tls(settings), &self.shown) {
            (Ok(Some(config)), Some(shown)) => drop(shown.send_replace(config)),
            (Ok(None), None) => {}
            (Ok(_), _) => line("whether connections are secured changes with the next start"),
            (Err(error), _) => line(&format!("the certificate stays as it is: {error}")),
        }
    }

    async fn reseal(&self, vault: &Vault) {
        let line = &self.program.line;
        match vault.reseal().await {
            Ok(outcome) => {
                if outcome.resealed != 0 {
                    line(&format!("keys sealed anew: {}", outcome.resealed));
                }
                for (key, reason) in outcome.left {
                    line(&format!("key {key} stays sealed as it is: {reason}"));
                }
            }
            Err(error) => line(&format!("keys could not be sealed anew: {error}")),
        }
    }
}

async fn bind(address: &str) -> Result<TcpListener, ProgramError> {
    TcpListener::bind(address)
        .await
        .map_err(|it| ProgramError::Listen { address: address.to_owned(), reason: it.to_string() })
}

/// Resolves once it is told so, or nobody is left to tell.
async fn told(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|it| *it).await;
}

/// A client that waits longer for a fresh timestamp had better take the one that is there.
const READ_PATIENCE: Duration = Duration::from_secs(5);
/// Longer than signing and storing once takes.
const BACKGROUND_PATIENCE: Duration = Duration::from_secs(10);
/// What is opened beside connections: databases, sockets, certificates, and some to spare.
const OWN_FILES: u64 = 100;
/// Connections to the metrics' own address.
const MONITORS: u32 = 64;
const DAY: Duration = Duration::from_hours(24);
