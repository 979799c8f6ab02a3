//! The user's engine and registries, as commands that move images use them.

use std::io;

use clap::Args;
use rustix::termios::tcgetwinsize;

use super::exit::Failure;
use super::output::{Format, Output};
use super::settings::Settings;
use crate::docker::{
    CommandError, Engine, EngineError, PlainProgress, Progress, QuietProgress, TerminalProgress,
};
use crate::http::{HttpClient, Secret};
use crate::image::{Platform, Reference};
use crate::registry::{Insecure, Registry, RegistryError};

/// Which registries may be asked without TLS.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct RegistryArguments {
    /// Registry that may be asked without TLS: HOST, HOST:PORT or ADDRESS/BITS; those on loopback always may
    #[arg(long, value_name = "REGISTRY")]
    insecure_registry: Vec<String>,
}

impl RegistryArguments {
    /// What asks registries, with docker's credentials.
    pub(super) fn registry(&self, http: HttpClient) -> Result<Registry, Failure> {
        let entries = self.insecure_registry.iter().map(String::as_str);
        let insecure = Insecure::listed(entries).map_err(|error| Failure::usage(error.to_string()))?;
        Ok(Registry::new(http, insecure))
    }
}

/// The engine that docker's own command would use.
pub(super) async fn engine(settings: &Settings) -> Result<Engine, Failure> {
    Engine::connect(&settings.engine_options()).await.map_err(|error| engine_failure(&error))
}

/// Docker's credentials for this image's registry, as the engine takes them.
pub(super) async fn authorization(http: &HttpClient, reference: &Reference) -> Result<Secret, Failure> {
    http.engine_authorization(reference.domain()).await.map_err(|error| {
        Failure::unknown(error.to_string()).help(format!("docker login {}", reference.domain()))
    })
}

/// How an engine's messages are shown on standard output.
pub(super) fn progress(format: Format, settings: &Settings, output: &Output) -> Box<dyn Progress> {
    if settings.is_quiet() || format == Format::Json {
        return Box::new(QuietProgress);
    }
    if output.styles().data_is_terminal {
        let width = tcgetwinsize(io::stdout()).map_or(DEFAULT_WIDTH, |size| size.ws_col);
        return Box::new(TerminalProgress::new(io::stdout(), width));
    }
    Box::new(PlainProgress::new(io::stdout()))
}

/// `--platform`.
pub(super) fn platform(text: Option<&str>) -> Result<Option<Platform>, Failure> {
    text.map(str::parse).transpose().map_err(|error: crate::image::PlatformError| {
        Failure::usage(error.to_string()).help("write os/architecture[/variant], for example linux/arm64")
    })
}

/// An engine's error as the end of a command.
pub(super) fn engine_failure(error: &EngineError) -> Failure {
    let message = error.to_string();
    let failure = match error {
        EngineError::Refused { .. } | EngineError::NoImage { .. } => Failure::refused(message),
        EngineError::Configuration { .. } => Failure::usage(message),
        _ => Failure::unknown(message),
    };
    error.help().into_iter().fold(failure, Failure::help)
}

/// A registry's error as the end of a command.
pub(super) fn registry_failure(error: &RegistryError) -> Failure {
    let message = error.to_string();
    let failure = match error {
        RegistryError::Digest { .. } | RegistryError::Malformed { .. } | RegistryError::Refused { .. } => {
            Failure::refused(message)
        }
        _ => Failure::unknown(message),
    };
    error.help().into_iter().fold(failure, Failure::help)
}

/// Docker's command that is missing or does not start, as the end of a command.
pub(super) fn command_failure(error: &CommandError) -> Failure {
    error.help().into_iter().fold(Failure::unknown(error.to_string()), Failure::help)
}

/// Where a terminal does not say how wide it is.
const DEFAULT_WIDTH: u16 = 80;
