//! A person with a docker configuration of their own, who uses trustgate, docker and notary on it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use trustgate::cli::{Clock, EngineVariables, Environment};
use trustgate::keys::{EnvironmentPassphrases, Passphrase, PassphraseVariables};

use super::engine::Engine;
use super::image::{Recipe, trustgate_program};
use super::lab::Lab;
use super::terminal::Session;

/// A person, and what they know.
pub(crate) struct Person {
    lab: &'static Lab,
    config: tempfile::TempDir,
    trust_server: String,
    trust_authority: PathBuf,
}

impl Person {
    /// Somebody who has neither keys nor trust data yet.
    pub(crate) fn new(lab: &'static Lab) -> Self {
        let (config, trust_authority) = (lab.fresh_config(), lab.trust_authority().to_owned());
        Self { lab, config, trust_server: lab.trust_server().to_owned(), trust_authority }
    }

    /// The same person, who asks another trust server whose certificate comes from this authority.
    pub(crate) fn at_server_of(self, url: &str, authority: &Path) -> Self {
        let host = url.trim_start_matches("https://");
        let folder = self.config.path().join("tls").join(host);
        std::fs::create_dir_all(&folder).expect("a tls folder");
        std::fs::copy(authority, folder.join("ca.crt")).expect("the CA's certificate");
        Self { trust_authority: authority.to_owned(), ..self.at_server(url) }
    }

    /// The same person, who asks another trust server.
    pub(crate) fn at_server(self, url: &str) -> Self {
        Self { trust_server: url.to_owned(), ..self }
    }

    /// Docker's configuration folder.
    pub(crate) fn config(&self) -> &Path {
        self.config.path()
    }

    /// Gives the engine an image under this name (without the registry); returns the whole name.
    pub(crate) fn make(&self, name: &str) -> String {
        let reference = self.lab.reference(name);
        let recipe = Recipe::busybox().with_file("/name", name.as_bytes());
        self.lab.make(Engine::Bookworm, &reference, &recipe);
        reference
    }

    /// trustgate in that folder, which knows no passphrase but by asking.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let docker = Path::new(self.lab.variable("LAB_DOCKER"));
        let folder = docker.parent().expect("a folder").display();
        let mut command = Command::new(trustgate_program());
        command
            .args(words)
            .current_dir(self.config.path())
            .env_clear()
            .env("HOME", self.config.path())
            .env("PATH", format!("{folder}:/usr/bin:/bin"))
            .env("NO_PROXY", "*")
            .env("DOCKER_HOST", self.lab.variable("LAB_DOCKER_HOST"))
            .env("DOCKER_CONFIG", self.config.path())
            .env("DOCKER_BUILDKIT", "1")
            .env("DOCKER_CONTENT_TRUST_SERVER", &self.trust_server)
            .stdin(Stdio::null());
        command
    }

    /// Runs trustgate where the environment knows the passphrases.
    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        Ran::of(with_passphrases(self.command(words)))
    }

    /// Runs trustgate at a terminal, where it has to ask.
    pub(crate) fn at_terminal(&self, words: &[&str]) -> Session {
        Session::start(self.command(words))
    }

    /// Runs docker with content trust on.
    pub(crate) fn docker(&self, engine: Engine, words: &[&str]) -> Ran {
        let mut command = engine.docker(self.lab);
        command.env("DOCKER_CONFIG", self.config.path()).env("LAB_CONFIG", self.config.path());
        command.env("DOCKER_CONTENT_TRUST", "1").env("DOCKER_CONTENT_TRUST_SERVER", &self.trust_server);
        command.args(words).current_dir(self.config.path()).stdin(Stdio::null());
        Ran::of(with_passphrases(command))
    }

    /// Runs notary on the same trust folder.
    pub(crate) fn notary(&self, words: &[&str]) -> Ran {
        Ran::of(self.notary_command(words))
    }

    /// The same, for who has something to answer.
    pub(crate) fn notary_command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.lab.variable("LAB_NOTARY"));
        command.arg("-d").arg(self.config.path().join("trust"));
        command.arg("--tlscacert").arg(&self.trust_authority).args(["-s", &self.trust_server]);
        command.args(words).current_dir(self.config.path()).stdin(Stdio::null());
        with_passphrases(command)
    }

    /// The same for the library, with passphrases and another clock.
    pub(crate) fn environment(&self, clock: Clock) -> Environment {
        let mut environment = Environment::of_process(clock);
        environment.home = Some(self.config().to_owned());
        environment.docker_config = Some(self.config().to_owned());
        environment.config_home = None;
        environment.content_trust = None;
        environment.content_trust_server = Some(self.trust_server.clone());
        environment.policy = None;
        environment.passphrases = passphrase_variables();
        environment.engine = EngineVariables {
            host: Some(self.lab.variable("LAB_DOCKER_HOST").to_owned()),
            ..EngineVariables::default()
        };
        environment
    }

    /// How many private keys they have.
    pub(crate) fn key_count(&self) -> usize {
        std::fs::read_dir(self.config.path().join("trust/private")).map_or(0, Iterator::count)
    }
}

/// The command in an environment that knows all passphrases.
pub(crate) fn with_passphrases(mut command: Command) -> Command {
    for (name, value) in [
        ("DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE", ROOT_PASSPHRASE),
        ("DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE", REPOSITORY_PASSPHRASE),
        ("NOTARY_ROOT_PASSPHRASE", ROOT_PASSPHRASE),
        ("NOTARY_TARGETS_PASSPHRASE", REPOSITORY_PASSPHRASE),
        ("NOTARY_SNAPSHOT_PASSPHRASE", REPOSITORY_PASSPHRASE),
        ("NOTARY_DELEGATION_PASSPHRASE", REPOSITORY_PASSPHRASE),
    ] {
        command.env(name, value);
    }
    command
}

/// The same, where nobody can be asked anything.
pub(crate) fn unattended(command: Command) -> Command {
    let mut command = with_passphrases(command);
    command.stdin(Stdio::null());
    command
}

/// The passphrases for what is called as a library.
pub(crate) fn passphrases() -> EnvironmentPassphrases {
    EnvironmentPassphrases::new(passphrase_variables())
}

fn passphrase_variables() -> PassphraseVariables {
    let passphrase = |text: &str| Some(Passphrase::new(text.to_owned()));
    PassphraseVariables {
        docker_root: passphrase(ROOT_PASSPHRASE),
        docker_repository: passphrase(REPOSITORY_PASSPHRASE),
        ..PassphraseVariables::default()
    }
}

/// What a program printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// On standard output.
    pub(crate) output: String,
    /// On standard error.
    pub(crate) talk: String,
    /// The exit code; `None` where a signal ended it.
    pub(crate) code: Option<i32>,
}

impl Ran {
    /// Runs a command to its end.
    pub(crate) fn of(mut command: Command) -> Self {
        let Output { status, stdout, stderr } = command.output().expect("the program starts");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { output: text(stdout), talk: text(stderr), code: status.code() }
    }

    /// Must have ended with this code, and said all of these, on either stream.
    #[track_caller]
    pub(crate) fn expect(self, code: i32, sayings: &[&str]) -> Self {
        let Self { output, talk, .. } = &self;
        assert_eq!(self.code, Some(code), "stdout:\n{output}\nstderr:\n{talk}");
        for saying in sayings {
            let said = output.contains(saying) || talk.contains(saying);
            assert!(said, "`{saying}` is not said.\nstdout:\n{output}\nstderr:\n{talk}");
        }
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.output).unwrap_or_else(|error| panic!("{error}:\n{}", self.output))
    }
}

/// Of root keys.
pub(crate) const ROOT_PASSPHRASE: &str = "correct horse";
/// Of all other keys.
pub(crate) const REPOSITORY_PASSPHRASE: &str = "battery staple";
