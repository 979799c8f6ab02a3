//! What the global options and the environment come to: policies, the switch, where trust data is.
//!
//! The precedence is decided here and nowhere else. Nothing is fetched, and the HTTP
//! client is made only when a command asks for it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use url::Url;

use super::arguments::GlobalArguments;
use super::environment::{Clock, EngineVariables, Environment, Lookup};
use super::exit::Failure;
use crate::docker::EngineOptions;
use crate::gate::{Gate, TrustSwitch};
use crate::http::{HttpClient, HttpOptions};
use crate::keys::PassphraseVariables;
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
    passphrases: PassphraseVariables,
    engine: EngineVariables,
    program: PathBuf,
    search_path: OsString,
    config_option: Option<PathBuf>,
    frontend: Option<String>,
    variable: Lookup,
    quiet: bool,
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
            passphrases: environment.passphrases.clone(),
            engine: environment.engine.clone(),
            program: environment.program.clone(),
            search_path: environment.search_path.clone(),
            config_option: arguments.config.clone(),
            frontend: environment.frontend.clone(),
            variable: Arc::clone(&environment.variable),
            quiet: arguments.quiet,
            clock: Arc::clone(&environment.clock),
        })
    }

    /// Docker's trust folder: keys in `private/`, cached trust data in `tuf/`. `None` without a home.
    pub(super) fn trust_folder(&self) -> Option<&Path> {
        self.trust_folder.as_deref()
    }

    /// The passphrases that the environment gives.
    pub(super) fn passphrase_variables(&self) -> &PassphraseVariables {
        &self.passphrases
    }

    /// Those of a machine without any configuration.
    #[cfg(test)]
    pub(super) fn for_tests() -> Self {
        let clock: Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
        Self {
            policies: Vec::new(),
            require_fresh: false,
            switch: TrustSwitch::Enabled,
            config: None,
            trust_folder: None,
            server: None,
            certificate_file: None,
            passphrases: PassphraseVariables::default(),
            engine: EngineVariables::default(),
            program: PathBuf::new(),
            search_path: OsString::new(),
            config_option: None,
            frontend: None,
            variable: Arc::new(|_| None),
            quiet: false,
            clock,
        }
    }

    /// The same with one variable in the environment.
    #[cfg(test)]
    pub(super) fn with_variable(self, name: &'static str, value: &'static str) -> Self {
        let variable = move |asked: &str| (asked == name).then(|| value.to_owned());
        Self { variable: Arc::new(variable), ..self }
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

    /// The policies, with nothing that a command demands besides.
    pub(super) fn policies(&self) -> Result<PolicySet, Failure> {
        PolicySet::new(self.policies.clone()).map_err(|error| policy_failure(&error))
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

    /// A client with docker's credentials and certificates.
    pub(super) fn http(&self) -> Result<HttpClient, Failure> {
        let options = HttpOptions {
            config_dir: self.config.clone(),
            tls_dirs: vec![PathBuf::from(SYSTEM_TLS)],
            certificate_file: self.certificate_file.clone(),
            ..HttpOptions::new()
        };
        HttpClient::new(options).map_err(|error| Failure::unknown(error.to_string()))
    }

    /// What says where docker's engine is.
    pub(super) fn engine_options(&self) -> EngineOptions {
        EngineOptions {
            host: self.engine.host.clone(),
            context: self.engine.context.clone(),
            config_dir: self.config.clone(),
            certificate_path: self.engine.certificate_path.clone(),
            tls_verify: self.engine.tls_verify,
            api_version: self.engine.api_version.clone(),
            search_path: Some(self.search_path.clone()),
        }
    }

    /// This program.
    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    /// `--config`, which docker's command must be told, too.
    pub(super) fn config_option(&self) -> Option<&Path> {
        self.config_option.as_deref()
    }

    /// Where programs are looked for.
    pub(super) fn search_path(&self) -> &OsStr {
        &self.search_path
    }

    /// The value of a variable.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.variable)(name)
    }

    /// The frontend that `build` puts before the Dockerfile's own.
    pub(super) fn frontend(&self) -> Option<&str> {
        self.frontend.as_deref()
    }

    /// `--server`, else `$DOCKER_CONTENT_TRUST_SERVER`.
    pub(super) fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// Whether cached trust data is refused.
    pub(super) fn requires_fresh(&self) -> bool {
        self.require_fresh
    }

    /// `--quiet`.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Tells the time.
    pub(super) fn clock(&self) -> Clock {
        Arc::clone(&self.clock)
    }

    fn trust_source(&self, demands: Demands) -> Result<Arc<dyn TrustSource>, Failure> {
        let http = self.http()?;
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

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser as _;

    use super::*;
    use crate::cli::arguments::Arguments;
    use crate::cli::environment::ColorWish;
    use crate::policy::DisabledBy;

    /// A machine in a folder of its own, with these files.
    struct Machine {
        folder: tempfile::TempDir,
        environment: Environment,
    }

    impl Machine {
        fn new(files: &[&str]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            for name in files {
                let path = folder.path().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "version = 1\n").unwrap();
            }
            let environment = Environment {
                home: Some(folder.path().join("home")),
                docker_config: None,
                config_home: None,
                content_trust: None,
                content_trust_server: None,
                policy: None,
                system_policy: folder.path().join("etc/policy.toml"),
                certificate_file: None,
                color: ColorWish::Never,
                passphrases: PassphraseVariables::default(),
                engine: EngineVariables::default(),
                program: PathBuf::new(),
                search_path: OsString::new(),
                frontend: None,
                variable: Arc::new(|_| None),
                stdout_is_terminal: false,
                stderr_is_terminal: false,
                clock: Arc::new(|| jiff::Timestamp::UNIX_EPOCH),
            };
            Self { folder, environment }
        }

        fn settings(&self, words: &[&str]) -> Result<Settings, Failure> {
            let words = ["trustgate", "verify", "a"].iter().chain(words);
            Settings::new(&Arguments::try_parse_from(words).unwrap().global, &self.environment)
        }

        /// The policies that hold, by the names of their files.
        fn policies(&self, words: &[&str]) -> Vec<String> {
            let settings = self.settings(words).unwrap_or_else(|failure| panic!("{failure}"));
            let policies = settings.policy_set(DEMANDS).unwrap();
            let root = format!("{}/", self.folder.path().display());
            policies.files().iter().map(|file| file.replace(&root, "")).collect()
        }

        fn path(&self, name: &str) -> String {
            self.folder.path().join(name).display().to_string()
        }
    }

    const DEMANDS: Demands = Demands { signed_digests: false, signers: SignerListing::Required };

    #[test]
    fn the_policy_of_the_machine_always_comes_first() {
        let user = "home/.config/trustgate/policy.toml";
        let mut machine = Machine::new(&["etc/policy.toml", user, "one.toml", "two.toml"]);
        assert_eq!(machine.policies(&[]), ["etc/policy.toml", user]);
        let (one, two) = (machine.path("one.toml"), machine.path("two.toml"));
        machine.environment.policy = Some(format!("{one}::{two}").into());
        assert_eq!(machine.policies(&[]), ["etc/policy.toml", "one.toml", "two.toml"]);
        assert_eq!(machine.policies(&["--policy", &two]), ["etc/policy.toml", "two.toml"]);
    }

    #[test]
    fn without_a_file_docker_s_rule_holds() {
        assert_eq!(Machine::new(&[]).policies(&[]), Vec::<String>::new());
    }

    #[test]
    fn what_the_command_demands_is_one_more_layer() {
        let machine = Machine::new(&["etc/policy.toml"]);
        assert_eq!(machine.policies(&["--require-fresh"]), ["etc/policy.toml", "this command"]);
        let settings = Machine::new(&[]).settings(&[]).unwrap();
        let policies = settings.policy_set(Demands { signed_digests: true, ..DEMANDS }).unwrap();
        let rule = policies.terms(&"docker.io/acme/base".parse().unwrap()).unwrap();
        assert_eq!(rule.digest, crate::policy::DigestRule::Signed);
        // It leaves trust on first use as it was.
        assert!(matches!(rule.terms, crate::policy::Terms::AllOf(_)));
    }

    #[test]
    fn a_flag_outranks_the_environment() {
        let mut machine = Machine::new(&[]);
        machine.environment.content_trust = Some("0".to_owned());
        machine.environment.content_trust_server = Some("https://variable.example".to_owned());
        let settings = machine.settings(&[]).unwrap();
        assert_eq!(settings.switch(), TrustSwitch::Disabled(DisabledBy::Environment));
        assert_eq!(settings.server.as_deref(), Some("https://variable.example"));
        let words = ["--disable-content-trust=false", "--server", "https://flag.example"];
        let settings = machine.settings(&words).unwrap();
        assert_eq!(settings.switch(), TrustSwitch::Enabled);
        assert_eq!(settings.server.as_deref(), Some("https://flag.example"));
    }

    #[test]
    fn folders_are_docker_s_own() {
        let mut machine = Machine::new(&[]);
        let trust =
            |machine: &Machine, words: &[&str]| machine.settings(words).unwrap().trust_folder.unwrap();
        assert_eq!(trust(&machine, &[]), machine.folder.path().join("home/.docker/trust"));
        machine.environment.docker_config = Some(PathBuf::from("/variable"));
        assert_eq!(trust(&machine, &[]), Path::new("/variable/trust"));
        assert_eq!(trust(&machine, &["--config", "/flag"]), Path::new("/flag/trust"));
        assert_eq!(trust(&machine, &["--config", "/flag", "--trust-dir", "/dir"]), Path::new("/dir"));
    }
}
