//! One lab for the whole test process.
//!
//! `scripts/lab hold` starts and supervises it, and ends it when its input ends: the input is a pipe that
//! this process holds open until it is gone, whether it returns, panics or is killed. So nothing needs to
//! be dropped, which a static would not be.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use super::image::{Workshop, server_program, signer_program};

/// A running lab: where its parts are, and the images that tests share.
pub(crate) struct Lab {
    environment: BTreeMap<String, String>,
    workshop: Workshop,
    _supervisor: Child,
}

/// The lab of this test process, started at the first call.
///
/// `None` where an outside program is missing: the names are printed, and the test that asked returns.
/// Under `TRUSTGATE_REQUIRE_ENGINES=1`, as in `make test`, that is a failure instead.
pub(crate) fn lab() -> Option<&'static Lab> {
    static LAB: OnceLock<Result<Lab, Vec<String>>> = OnceLock::new();
    match LAB.get_or_init(Lab::start) {
        Ok(lab) => Some(lab),
        Err(missing) => unavailable(&missing.join(", ")),
    }
}

/// Says what a test would need; fails where everything has to be there.
pub(crate) fn unavailable<T>(missing: &str) -> Option<T> {
    let required = std::env::var_os("TRUSTGATE_REQUIRE_ENGINES").is_some_and(|value| value == "1");
    assert!(!required, "missing here: {missing}; `make deps` installs what it can");
    skip(missing);
    None
}

/// Says that a test passes without having tested, because this is missing.
///
/// Written past the test harness, which keeps what passing tests print to itself.
pub(crate) fn skip(missing: &str) {
    writeln!(std::io::stderr(), "skipped: {missing} is missing").expect("stderr takes a line");
}

impl Lab {
    fn start() -> Result<Self, Vec<String>> {
        let missing = missing_programs();
        if !missing.is_empty() {
            return Err(missing);
        }
        let directory = directory();
        let mut supervisor = Command::new(script())
            .arg("hold")
            .arg(&directory)
            .arg("--trixie")
            .env("TRUSTGATE_SERVER_BIN", server_program())
            .env("TRUSTGATE_SIGNER_BIN", signer_program())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("scripts/lab starts");
        let mut first_line = String::new();
        let output = supervisor.stdout.take().expect("the lab's output is piped");
        BufReader::new(output).read_line(&mut first_line).expect("the lab's first line");
        assert_eq!(first_line.trim(), "ready", "the lab did not start; its reasons are above");
        let environment = read_environment(&directory.join("env"));
        Ok(Self { workshop: Workshop::default(), environment, _supervisor: supervisor })
    }

    /// The registry's address; its repositories are named by it.
    pub(crate) fn registry(&self) -> &str {
        self.variable("LAB_REGISTRY")
    }

    /// The trust server's URL, the same for this machine and for a frontend inside an engine.
    pub(crate) fn trust_server(&self) -> &str {
        self.variable("LAB_TRUST_SERVER")
    }

    /// The trust server's `host:port`, as folders of `tls/` are named.
    pub(crate) fn trust_host(&self) -> &str {
        self.variable("LAB_TRUST_HOST")
    }

    /// The certificate of the CA that the trust server's certificate comes from.
    pub(crate) fn trust_authority(&self) -> &Path {
        Path::new(self.variable("LAB_TRUST_CA"))
    }

    /// The docker configuration folder that images are signed with.
    pub(crate) fn docker_config(&self) -> &Path {
        Path::new(self.variable("LAB_DOCKER_CONFIG"))
    }

    /// A docker configuration folder that has seen nothing yet, and trusts the trust server's CA.
    pub(crate) fn fresh_config(&self) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let host = folder.path().join("tls").join(self.trust_host());
        std::fs::create_dir_all(&host).expect("a tls folder");
        std::fs::copy(self.trust_authority(), host.join("ca.crt")).expect("the CA's certificate");
        folder
    }

    /// What the lab's folder says under this name; `env` in it lists them all.
    pub(crate) fn variable(&self, name: &str) -> &str {
        self.environment.get(name).unwrap_or_else(|| panic!("the lab says nothing of {name}"))
    }

    /// Everything that the registry logged so far.
    pub(crate) fn registry_log(&self) -> String {
        std::fs::read_to_string(Path::new(self.variable("LAB_DIR")).join("log/registry"))
            .expect("the registry's log")
    }

    pub(super) fn workshop(&self) -> &Workshop {
        &self.workshop
    }
}

/// A program of Debian's: the machine's, else the lab's, which is unpacked and not installed.
pub(crate) fn debian_program(name: &str) -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    let cache = variable("TRUSTGATE_LAB_CACHE").or_else(|| Some(cache?.join("trustgate/lab")));
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&folders).collect();
    let lab = cache.into_iter().flat_map(|it| ["bin", "sbin"].map(|name| it.join("bookworm/usr").join(name)));
    folders.into_iter().chain(lab).map(|it| it.join(name)).find(|it| it.is_file())
}

fn missing_programs() -> Vec<String> {
    let mut names = String::new();
    let mut child = Command::new(script())
        .args(["missing", "--trixie"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("scripts/lab starts");
    child.stdout.take().expect("its output is piped").read_to_string(&mut names).expect("names");
    assert!(child.wait().expect("scripts/lab ends").success(), "scripts/lab missing did not work");
    names.lines().map(str::to_owned).collect()
}

/// A folder of this process alone, with a path short enough for the engines' sockets.
fn directory() -> PathBuf {
    let name = format!("e2e-{}", std::process::id());
    let preferred = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&name);
    if preferred.as_os_str().len() <= LAB_PATH_LIMIT { preferred } else { std::env::temp_dir().join(name) }
}

fn read_environment(path: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(path).expect("the lab's env file");
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned()))
        .collect()
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/lab")
}

/// As `scripts/lab` has it.
const LAB_PATH_LIMIT: usize = 80;
