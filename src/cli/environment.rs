//! The environment of the process, read once; everything below gets values.
//!
//! No other part of the command line reads a variable, a clock, or asks whether a
//! stream is a terminal, so that a test can hold all of them still.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;

use crate::keys::PassphraseVariables;

/// Tells the time. Every check of an expiry date goes by this.
pub type Clock = Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>;

/// Looks a variable up.
pub type Lookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What the process was started with, arguments apart.
#[derive(Clone)]
pub struct Environment {
    /// `$HOME`.
    pub home: Option<PathBuf>,
    /// `$DOCKER_CONFIG`: docker's configuration folder.
    pub docker_config: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`.
    pub config_home: Option<PathBuf>,
    /// `$DOCKER_CONTENT_TRUST`, docker's switch.
    pub content_trust: Option<String>,
    /// `$DOCKER_CONTENT_TRUST_SERVER`.
    pub content_trust_server: Option<String>,
    /// What says where docker's engine is, as docker's own command reads it.
    pub engine: EngineVariables,
    /// This program, which is not docker's command even where it has its name.
    pub program: PathBuf,
    /// `$PATH`: where docker's command is looked for.
    pub search_path: OsString,
    /// Any variable: `--build-arg NAME` takes its value from there.
    pub variable: Lookup,
    /// `$TRUSTGATE_FRONTEND`: the frontend that `build` puts before the Dockerfile's own.
    pub frontend: Option<String>,
    /// `$TRUSTGATE_POLICY`: policy files, separated as in `$PATH`.
    pub policy: Option<OsString>,
    /// The policy of this machine, which nothing a user says can loosen.
    pub system_policy: PathBuf,
    /// `$SSL_CERT_FILE`: the only CA bundle, in place of the system's.
    pub certificate_file: Option<PathBuf>,
    /// What the variables say about color.
    pub color: ColorWish,
    /// The passphrases that docker's and notary's variables give.
    pub passphrases: PassphraseVariables,
    /// Whether standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// Whether standard error is a terminal.
    pub stderr_is_terminal: bool,
    /// Tells the time.
    pub clock: Clock,
}

impl Environment {
    /// Reads the environment of this process. An empty variable counts as unset, as in docker.
    #[must_use]
    pub fn of_process(clock: Clock) -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let path = |name: &str| variable(name).map(PathBuf::from);
        // A value that is not UTF-8 is no switch and no address; keeping what can be read
        // of it makes the error that follows name it.
        let text = |name: &str| variable(name).map(|value| value.to_string_lossy().into_owned());
        Self {
            home: path("HOME"),
            docker_config: path("DOCKER_CONFIG"),
            config_home: path("XDG_CONFIG_HOME"),
            content_trust: text("DOCKER_CONTENT_TRUST"),
            content_trust_server: text("DOCKER_CONTENT_TRUST_SERVER"),
            engine: EngineVariables {
                host: text("DOCKER_HOST"),
                context: text("DOCKER_CONTEXT"),
                certificate_path: path("DOCKER_CERT_PATH"),
                tls_verify: variable("DOCKER_TLS_VERIFY").is_some(),
                api_version: text("DOCKER_API_VERSION"),
            },
            program: std::env::current_exe().unwrap_or_default(),
            search_path: std::env::var_os("PATH").unwrap_or_default(),
            variable: Arc::new(|name| std::env::var(name).ok()),
            frontend: text("TRUSTGATE_FRONTEND"),
            policy: variable("TRUSTGATE_POLICY"),
            system_policy: PathBuf::from(SYSTEM_POLICY),
            certificate_file: path("SSL_CERT_FILE"),
            color: ColorWish::from_variables(&variable),
            // A passphrase that is not UTF-8 opens no key that could be typed.
            passphrases: PassphraseVariables::read(|name| variable(name)?.into_string().ok()),
            stdout_is_terminal: std::io::stdout().is_terminal(),
            stderr_is_terminal: std::io::stderr().is_terminal(),
            clock,
        }
    }
}

/// Docker's variables that say where its engine is.
#[derive(Clone, Debug, Default)]
pub struct EngineVariables {
    /// `$DOCKER_HOST`.
    pub host: Option<String>,
    /// `$DOCKER_CONTEXT`.
    pub context: Option<String>,
    /// `$DOCKER_CERT_PATH`.
    pub certificate_path: Option<PathBuf>,
    /// Whether `$DOCKER_TLS_VERIFY` is set to anything.
    pub tls_verify: bool,
    /// `$DOCKER_API_VERSION`.
    pub api_version: Option<String>,
}

/// What the usual variables say about color; `--color` overrides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColorWish {
    /// `NO_COLOR` is set, or `CLICOLOR=0`, or the terminal is `dumb`.
    Never,
    /// Nothing is said: color on terminals.
    Automatic,
    /// `CLICOLOR_FORCE` is set.
    Always,
}

impl ColorWish {
    fn from_variables(variable: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let is = |name: &str, value: &str| variable(name).is_some_and(|found| found == value);
        if variable("NO_COLOR").is_some() {
            return Self::Never;
        }
        if variable("CLICOLOR_FORCE").is_some() && !is("CLICOLOR_FORCE", "0") {
            return Self::Always;
        }
        if is("CLICOLOR", "0") || is("TERM", "dumb") { Self::Never } else { Self::Automatic }
    }
}

/// Where an administrator puts the policy of a machine.
const SYSTEM_POLICY: &str = "/etc/trustgate/policy.toml";

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(variables: &[(&str, &str)]) -> ColorWish {
        ColorWish::from_variables(&|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn color_goes_by_the_usual_variables() {
        assert_eq!(wish(&[]), ColorWish::Automatic);
        assert_eq!(wish(&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]), ColorWish::Never);
        assert_eq!(wish(&[("CLICOLOR_FORCE", "1")]), ColorWish::Always);
        assert_eq!(wish(&[("CLICOLOR_FORCE", "0")]), ColorWish::Automatic);
        assert_eq!(wish(&[("CLICOLOR", "0")]), ColorWish::Never);
        assert_eq!(wish(&[("TERM", "dumb")]), ColorWish::Never);
    }
}
