//! What the client takes from its surroundings.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::tls::SYSTEM_BUNDLES;

/// How the client connects; everything that it takes from its surroundings comes in here.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// How the client names itself.
    pub user_agent: String,
    /// Docker's folder (`$DOCKER_CONFIG`): `config.json` with credentials, `tls/<host[:port]>`
    /// with CA files (`*.crt`) and client certificates (`*.cert` beside `*.key`).
    pub config_dir: Option<PathBuf>,
    /// More folders that hold `<host[:port]>` folders, such as `/etc/trustgate/tls`.
    pub tls_dirs: Vec<PathBuf>,
    /// The value of `SSL_CERT_FILE`: the only CA bundle, in place of the system's.
    pub certificate_file: Option<PathBuf>,
    /// Where the system's CA bundle may be; the first that exists counts. With none, the
    /// compiled-in Mozilla roots do.
    pub certificate_bundles: Vec<PathBuf>,
    /// Where credential helpers are looked for, as `PATH` is written; `None` means the process's own `PATH`.
    pub search_path: Option<OsString>,
    /// Whether proxies come from the environment.
    pub proxies: Proxies,
    /// How long to wait.
    pub timeouts: Timeouts,
}

impl HttpOptions {
    /// The system's bundles, proxies from the environment, usual timeouts, no docker folder.
    #[must_use]
    pub fn new() -> Self {
        Self {
            user_agent: concat!("trustgate/", env!("CARGO_PKG_VERSION")).to_owned(),
            config_dir: None,
            tls_dirs: Vec::new(),
            certificate_file: None,
            certificate_bundles: SYSTEM_BUNDLES.iter().map(PathBuf::from).collect(),
            search_path: None,
            proxies: Proxies::Environment,
            timeouts: Timeouts {
                connect: Duration::from_secs(15),
                idle: Duration::from_secs(30),
                total: Duration::from_mins(3),
                helper: Duration::from_mins(1),
            },
        }
    }
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// Where proxies come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxies {
    /// `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`.
    Environment,
    /// Every connection is direct.
    None,
}

/// How long the client waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection, TLS and proxy included.
    pub connect: Duration,
    /// For the next bytes of an answer.
    pub idle: Duration,
    /// For a whole answer, with redirects and tokens.
    pub total: Duration,
    /// For a credential helper, which may have to ask a person.
    pub helper: Duration,
}
