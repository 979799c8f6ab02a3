//! Images without a network: made from Debian's static busybox, pushed to the lab's registry, and signed
//! with docker's own content trust where a test wants that.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};

use super::engine::Engine;
use super::lab::Lab;

/// An image in the lab's registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    /// With the registry, without tag and digest.
    pub(crate) repository: String,
    /// As pushed.
    pub(crate) tag: String,
    /// Of the manifest, `sha256:…`.
    pub(crate) digest: String,
}

impl Image {
    /// `repository:tag`.
    pub(crate) fn by_tag(&self) -> String {
        format!("{}:{}", self.repository, self.tag)
    }

    /// `repository@digest`.
    pub(crate) fn by_digest(&self) -> String {
        format!("{}@{}", self.repository, self.digest)
    }

    /// `repository:tag@digest`.
    pub(crate) fn pinned(&self) -> String {
        format!("{}:{}@{}", self.repository, self.tag, self.digest)
    }
}

/// What an image is made of.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    dockerfile: String,
    files: Vec<(String, Vec<u8>)>,
    busybox: bool,
}

impl Recipe {
    /// Busybox with its commands, enough for `RUN` with a shell.
    pub(crate) fn busybox() -> Self {
        let dockerfile = "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n";
        Self { dockerfile: dockerfile.to_owned(), files: Vec::new(), busybox: true }
    }

    /// An image that adds to this one.
    pub(crate) fn on(base: &Image) -> Self {
        Self { dockerfile: format!("FROM {}\n", base.by_digest()), files: Vec::new(), busybox: false }
    }

    /// With a file, at an absolute path.
    pub(crate) fn with_file(mut self, path: &str, content: &[u8]) -> Self {
        let name = format!("file-{}", self.files.len());
        writeln!(self.dockerfile, "COPY {name} {path}").expect("a string takes all");
        self.files.push((name, content.to_owned()));
        self
    }

    /// With one more line of Dockerfile.
    pub(crate) fn with_line(mut self, line: &str) -> Self {
        writeln!(self.dockerfile, "{line}").expect("a string takes all");
        self
    }
}

/// What the images of one lab share.
#[derive(Debug, Default)]
pub(crate) struct Workshop {
    /// Docker's trust folder knows no locks.
    signing: Mutex<()>,
    /// Held for writing by who prunes the engine's cache, for reading by who builds.
    bookworm: RwLock<()>,
    trixie: RwLock<()>,
    frontend: OnceLock<Image>,
    /// By the text of the policy.
    organisations: Mutex<BTreeMap<String, Image>>,
}

impl Lab {
    /// Makes and pushes `name` (`repository:tag`, without the registry); nobody signs it.
    pub(crate) fn push_unsigned(&self, name: &str, recipe: &Recipe) -> Image {
        self.push_unsigned_from(Engine::Bookworm, name, recipe)
    }

    /// The same, made by this engine: no other engine has any of it then.
    pub(crate) fn push_unsigned_from(&self, engine: Engine, name: &str, recipe: &Recipe) -> Image {
        self.make(engine, &self.reference(name), recipe);
        self.push(engine, name, &[])
    }

    /// Makes and pushes `name`, and signs it with docker's content trust.
    pub(crate) fn push_signed(&self, name: &str, recipe: &Recipe) -> Image {
        self.make(Engine::Bookworm, &self.reference(name), recipe);
        let _alone = self.workshop().signing.lock().unwrap_or_else(PoisonError::into_inner);
        self.push(
            Engine::Bookworm,
            name,
            &[
                ("DOCKER_CONTENT_TRUST", "1"),
                ("DOCKER_CONTENT_TRUST_SERVER", self.trust_server()),
                ("DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE", self.variable("LAB_ROOT_PASSPHRASE")),
                ("DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE", self.variable("LAB_REPOSITORY_PASSPHRASE")),
            ],
        )
    }

    /// The frontend's image, in the registry, made as `make image` makes it.
    pub(crate) fn frontend(&self) -> &Image {
        self.workshop().frontend.get_or_init(|| {
            let program = frontend_program();
            let stage = tempfile::tempdir().expect("a temporary folder");
            install(&program, stage.path(), Path::new("/usr/bin/trustgate-frontend"));
            install(Path::new(CA_BUNDLE), stage.path(), Path::new(CA_BUNDLE));
            std::fs::create_dir_all(stage.path().join("etc/trustgate")).expect("a folder");
            // A static program has none; the development build brings its libraries along.
            for library in libraries(&program) {
                install(&library, stage.path(), &library);
            }
            let mut command = Engine::Bookworm.builder(self);
            command.args(["build", "--tag", &self.reference(FRONTEND_NAME), "--file"]);
            command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("image/Dockerfile")).arg(stage.path());
            self.run_build(Engine::Bookworm, command);
            self.push(Engine::Bookworm, FRONTEND_NAME, &[])
        })
    }

    /// An organisation's own frontend: ours, its policy, and the CA of its trust server.
    pub(crate) fn organisation_frontend(&self, policy: &str) -> Image {
        let mut organisations = self.workshop().organisations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(image) = organisations.get(policy) {
            return image.clone();
        }
        let image = self.push_frontend(&format!("acme/frontend:{}", organisations.len()), policy);
        organisations.insert(policy.to_owned(), image.clone());
        image
    }

    /// The same under a name of its own.
    pub(crate) fn push_frontend(&self, name: &str, policy: &str) -> Image {
        let recipe =
            Recipe::on(self.frontend()).with_file("/etc/trustgate/policy.toml", policy.as_bytes()).with_file(
                &format!("/etc/trustgate/tls/{}/ca.crt", self.trust_host()),
                &read(self.trust_authority()),
            );
        self.push_unsigned(name, &recipe)
    }

    /// Makes an image that only this engine has, under any name.
    pub(crate) fn make(&self, engine: Engine, reference: &str, recipe: &Recipe) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write =
            |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("a file");
        // Of equal images an engine keeps one: taking one name away would take it from under another's push.
        write("Dockerfile", format!("{}LABEL lab.name=\"{reference}\"\n", recipe.dockerfile).as_bytes());
        for (name, bytes) in &recipe.files {
            write(name, bytes);
        }
        if recipe.busybox {
            std::fs::copy(self.variable("LAB_BUSYBOX"), folder.path().join("busybox")).expect("busybox");
        }
        let mut command = engine.builder(self);
        command.args(["build", "--tag", reference]).arg(folder.path());
        self.run_build(engine, command);
    }

    /// Pushes what this engine has under this name.
    pub(crate) fn push(&self, engine: Engine, name: &str, environment: &[(&str, &str)]) -> Image {
        let reference = self.reference(name);
        let mut command = engine.docker(self);
        command.envs(environment.iter().copied()).args(["push", &reference]);
        let text = succeed(command);
        let (repository, tag) = reference.rsplit_once(':').expect("a name with a tag");
        let digest = text
            .split_whitespace()
            .find(|word| word.starts_with("sha256:") && word.len() == DIGEST_LENGTH)
            .unwrap_or_else(|| panic!("docker push named no digest:\n{text}"));
        // An engine prefers an image that wears the name at home to the registry's.
        engine.run(self, &["rmi", &reference]);
        Image { repository: repository.to_owned(), tag: tag.to_owned(), digest: digest.to_owned() }
    }

    /// What keeps builds and prunes of an engine apart.
    pub(super) fn building(&self, engine: Engine) -> &RwLock<()> {
        match engine {
            Engine::Bookworm => &self.workshop().bookworm,
            Engine::Trixie => &self.workshop().trixie,
        }
    }

    /// Has the engine build an image with this command.
    pub(crate) fn run_build(&self, engine: Engine, command: Command) {
        let _building = self.building(engine).read().unwrap_or_else(PoisonError::into_inner);
        succeed(command);
    }

    /// The name with the registry before it.
    pub(crate) fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.registry())
    }
}

/// The program `trustgate`: the one that `make test` built static, else the development build.
pub(crate) fn trustgate_program() -> PathBuf {
    program("TRUSTGATE_BIN", env!("CARGO_BIN_EXE_trustgate"))
}

/// The program `trustgate-frontend`, likewise.
pub(crate) fn frontend_program() -> PathBuf {
    program("TRUSTGATE_FRONTEND_BIN", env!("CARGO_BIN_EXE_trustgate-frontend"))
}

/// The program `trustgate-server`, likewise.
pub(crate) fn server_program() -> PathBuf {
    program("TRUSTGATE_SERVER_BIN", env!("CARGO_BIN_EXE_trustgate-server"))
}

/// The program `trustgate-signer`, likewise.
pub(crate) fn signer_program() -> PathBuf {
    program("TRUSTGATE_SIGNER_BIN", env!("CARGO_BIN_EXE_trustgate-signer"))
}

fn program(variable: &str, built: &str) -> PathBuf {
    std::env::var_os(variable).unwrap_or_else(|| built.into()).into()
}

fn install(file: &Path, stage: &Path, path: &Path) {
    let target = stage.join(path.strip_prefix("/").expect("an absolute path"));
    std::fs::create_dir_all(target.parent().expect("a folder above")).expect("a folder");
    std::fs::copy(file, &target).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

/// The shared libraries that this program needs, its loader too.
pub(crate) fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().expect("ldd starts");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .map(PathBuf::from)
        .collect()
}

pub(crate) fn succeed(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("docker starts");
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} did not work:\n{text}");
    text
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

const CA_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

const FRONTEND_NAME: &str = "trustgate/frontend:test";

/// `sha256:` and 64 digits.
const DIGEST_LENGTH: usize = 71;
