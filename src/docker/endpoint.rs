//! Where the engine is, found as docker's command finds it.

use std::ffi::OsString;
use std::path::PathBuf;

use super::EngineError;

/// What says where the engine is.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// `$DOCKER_HOST`.
    pub host: Option<String>,
    /// `$DOCKER_CONTEXT`.
    pub context: Option<String>,
    /// Docker's folder (`$DOCKER_CONFIG`), with `config.json` and `contexts/`.
    pub config_dir: Option<PathBuf>,
    /// `$DOCKER_CERT_PATH`.
    pub certificate_path: Option<PathBuf>,
    /// Whether `$DOCKER_TLS_VERIFY` is set to anything.
    pub tls_verify: bool,
    /// `$DOCKER_API_VERSION`.
    pub api_version: Option<String>,
    /// Where `ssh` is looked for, as `PATH` is written; `None` means the process's own `PATH`.
    pub search_path: Option<OsString>,
}

/// Where an engine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The address as docker writes it: `unix:///var/run/docker.sock`.
    pub address: String,
    /// What named it: `DOCKER_HOST`, the context `name`, or docker's default.
    pub named_by: String,
}

impl Endpoint {
    /// Finds the endpoint; connects to nothing.
    pub fn find(options: &EngineOptions) -> Result<Self, EngineError> {
        let _ = options;
        todo!()
    }
}
