//! What the global options and the environment come to: policies, the switch, where trust data is.
//!
//! The precedence is decided here and nowhere else. Nothing is fetched, and the HTTP
//! client is made only when a command asks for it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use url::Url;

use super::arguments::GlobalArguments;
use super::environment::{Clock, Environment};
use super::exit::Failure;
use crate::gate::{Gate, TrustSwitch};
use crate::http::{HttpClient, HttpOptions};
use crate::policy::{Policy, PolicyError, PolicySet, no_files};
use crate::trust::{Cache, SignerListing, TrustReader, TrustSource};

/// What every command works with.
pub(super) struct Settings {
    /// The policies of files, the one with most authority first.
    policies: Vec<Policy>,
    require_fresh: bool,
    switch: TrustSwitch,
    /// Docker's configuration folder; `None` where there is no home either.
    config: Option<PathBuf>,
    trust_folder: Option<PathBuf>,
    server: Option<String>,
    certificate_file: Option<PathBuf>,
    clock: Clock,
}

/// What a command demands beyond the policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Demands {
    /// A written digest must be a signed one.
    pub(super) signed_digests: bool,
    /// How far the list of signers goes.
    pub(super) signers: SignerListing,
}

impl Settings {
    /// Reads the policies; everything else is only put together.
    pub(super) fn new(arguments: &GlobalArguments, environment: &Environment) -> Result<Self, Failure> {
        let config = arguments
            .config
            .clone()
            .or_else(|| environment.docker_config.clone())
            .or_else(|| environment.home.as_ref().map(|home| home.join(".docker")));
        let trust_folder =
            arguments.trust_dir.clone().or_else(|| config.as_ref().map(|config| config.join("trust")));
        let switch = TrustSwitch::from_flag(
            arguments.disable_content_trust,
            TrustSwitch::from_environment(environment.content_trust.as_deref()),
        );
        let server = arguments.server.clone().or_else(|| environment.content_trust_server.clone());
        if let Some(url) = &server {
            check_server(url)?;
        }
        Ok(Self {
            policies: policies(&arguments.policy, environment)?,
            require_fresh: arguments.require_fresh,
            switch,
            config,
            trust_folder,
            server,
            certificate_file: environment.certificate_file.clone(),
            clock: Arc::clone(&environment.clock),
        })
    }

    /// Whether trust is on, and who turned it off.
    pub(super) fn switch(&self) -> TrustSwitch {
        self.switch
    }

    /// The gate that decides for this command.
    pub(super) fn gate(&self, demands: Demands) -> Result<Gate, Failure> {
        self.gate_with(demands, self.switch)
    }

    /// The same, with another switch.
    pub(super) fn gate_with(&self, demands: Demands, switch: TrustSwitch) -> Result<Gate, Failure> {
        let gate = Gate::new(self.policy_set(demands)?, self.trust_source(demands)?, switch);
        Ok(gate.with_now((self.clock)()))
    }

    fn policy_set(&self, demands: Demands) -> Result<PolicySet, Failure> {
        let mut layers = self.policies.clone();
        if self.require_fresh || demands.signed_digests {
            if layers.is_empty() {
                layers.push(Policy::docker_default());
            }
            layers.push(own_layer(self.require_fresh, demands.signed_digests)?);
        }
        PolicySet::new(layers).map_err(|error| policy_failure(&error))
    }

    fn trust_source(&self, demands: Demands) -> Result<Arc<dyn TrustSource>, Failure> {
        let options = HttpOptions {
            config_dir: self.config.clone(),
            tls_dirs: vec![PathBuf::from(SYSTEM_TLS)],
            certificate_file: self.certificate_file.clone(),
            ..HttpOptions::new()
        };
        let http = HttpClient::new(options).map_err(|error| Failure::unknown(error.to_string()))?;
        let cache = self.trust_folder.clone().map(Cache::new);
        let reader = TrustReader::new(http, cache, Arc::clone(&self.clock))
            .with_server(self.server.clone())
            .with_signers(demands.signers);
        Ok(Arc::new(reader))
    }
}

/// A wrong address is told once, before anything is asked, instead of for each image.
fn check_server(url: &str) -> Result<(), Failure> {
    Url::parse(url)
        .map_err(|error| format!("the trust server `{url}` is not a URL: {error}"))
        .and_then(|parsed| match parsed.scheme() {
            "https" => Ok(()),
            _ => Err(format!("the trust server `{url}` is not an https URL")),
        })
        .map_err(|message| {
            Failure::usage(message)
                .note("it comes from --server or from $DOCKER_CONTENT_TRUST_SERVER")
                .help("write the address as https://host[:port]")
        })
}

/// The files, the one with most authority first: that of the machine, which always counts, then
/// those of `--policy`, else of `$TRUSTGATE_POLICY`, else the user's own.
fn policies(named: &[PathBuf], environment: &Environment) -> Result<Vec<Policy>, Failure> {
    let mut layers = Vec::new();
    layers.extend(load_if_present(&environment.system_policy)?);
    if !named.is_empty() {
        for path in named {
            layers.push(load(path)?);
        }
        return Ok(layers);
    }
    if let Some(list) = &environment.policy {
        for path in split_list(list) {
            layers.push(load(&path)?);
        }
        return Ok(layers);
    }
    let config_home = environment
        .config_home
        .clone()
        .or_else(|| environment.home.as_ref().map(|home| home.join(".config")));
    if let Some(folder) = config_home {
        layers.extend(load_if_present(&folder.join(USER_POLICY))?);
    }
    Ok(layers)
}

fn split_list(list: &OsStr) -> impl Iterator<Item = PathBuf> {
    std::env::split_paths(list).filter(|path| !path.as_os_str().is_empty())
}

fn load(path: &Path) -> Result<Policy, Failure> {
    Policy::load(path).map_err(|error| policy_failure(&error))
}

/// A policy that is not there is none; one that is there and can't be read is an error,
/// because what it demands is not known.
fn load_if_present(path: &Path) -> Result<Option<Policy>, Failure> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => load(path).map(Some),
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => {
            Err(Failure::usage(format!("can't tell whether there is a policy `{}`: {error}", path.display())))
        }
    }
}

fn is_absence(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

/// What the command line itself demands, as one more layer. It only tightens, and leaves
/// trust on first use to the policies.
fn own_layer(require_fresh: bool, signed_digests: bool) -> Result<Policy, Failure> {
    let digest = if signed_digests { "signed" } else { "any" };
    let text = format!(
        "version = 1\ntrust-on-first-use = true\nrequire-fresh = {require_fresh}\ndigest = \"{digest}\"\n"
    );
    Policy::parse(&text, "this command", &no_files).map_err(|error| policy_failure(&error))
}

fn policy_failure(error: &PolicyError) -> Failure {
    Failure::usage(error.to_string()).help(error.help())
}

/// CA files and client certificates of this machine, in a folder a host.
const SYSTEM_TLS: &str = "/etc/trustgate/tls";
/// Below `$XDG_CONFIG_HOME`.
const USER_POLICY: &str = "trustgate/policy.toml";
