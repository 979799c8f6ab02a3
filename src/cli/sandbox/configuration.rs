//! What the parts are told: ports, places, certificates.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use super::folder::{Folder, Notes};
use crate::cli::exit::Failure;

/// The programs that a sandbox is made of.
pub(super) struct Programs {
    registry: PathBuf,
    server: PathBuf,
    signer: PathBuf,
}

impl Programs {
    /// Ours from beside the running one, else from `$PATH`; the registry from there.
    pub(super) fn find(own: &Path, search_path: &OsStr) -> Result<Self, Failure> {
        let beside = |name: &str| {
            let beside = own.parent().map(|it| it.join(name)).filter(|it| it.is_file());
            beside.or_else(|| in_path(name, search_path)).ok_or_else(|| {
                Failure::unknown(format!("`{name}` is neither beside `trustgate` nor in $PATH"))
                    .help("install trustgate with all of its programs")
            })
        };
        let registry = in_path(REGISTRY_PROGRAM, search_path).ok_or_else(|| {
            Failure::unknown(format!("`{REGISTRY_PROGRAM}` is not in $PATH"))
                .help("apt install docker-registry")
        })?;
        Ok(Self { registry, server: beside("trustgate-server")?, signer: beside("trustgate-signer")? })
    }
}

/// A part of a sandbox that listens.
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) words: Vec<String>,
}

/// Writes what the parts are told, and says how each is started, those that others need first.
pub(super) fn configure(folder: &Folder, notes: &Notes, programs: &Programs) -> Result<Vec<Part>, Failure> {
    for name in ["registry", "server", "signer", "log", "docker", "certificates"] {
        folder.make_below(name)?;
    }
    for name in ["server", "signer"] {
        make_certificate(folder, name)?;
    }
    if !folder.join("certificates/sealing-key").exists() {
        folder.put("certificates/sealing-key", random_word()?.as_bytes())?;
    }
    let place = folder.path().display();
    let address = |part: &str| notes.address(part).unwrap_or_default();
    let port = |part: &str| notes.ports.get(part).copied().unwrap_or_default();
    let registry = format!(
        "version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: '{place}/registry'}}, delete: {{enabled: true}}}}\n\
         http: {{addr: '{}'}}\n",
        address(REGISTRY)
    );
    let signer = format!(
        "listen = '{}'\n[tls]\ncertificate = 'certificates/signer.crt'\nkey = 'certificates/signer.key'\n\
         authorities = 'certificates/server.crt'\n[storage]\nbackend = 'sqlite'\npath = 'signer/keys.db'\n\
         [sealing]\ncurrent = 'sandbox'\n[sealing.keys.sandbox]\nfile = 'certificates/sealing-key'\n",
        address(SIGNER)
    );
    let server = format!(
        "listen = '{}'\nstate = 'server'\n[signer.remote]\nhost = '127.0.0.1'\nport = {}\n\
         tls = {{ certificate = 'certificates/server.crt', key = 'certificates/server.key', authorities = 'certificates/signer.crt' }}\n",
        address(SERVER),
        port(SIGNER)
    );
    let told = |name: &str, text: &str| folder.put(name, text.as_bytes()).map(|it| text_of(&it));
    let registry = told("registry.yml", &registry)?;
    let signer = told("signer.toml", &signer)?;
    let server = told("server.toml", &server)?;
    let ours = |program: &Path, settings: String| vec![text_of(program), "--config".to_owned(), settings];
    Ok(vec![
        Part { name: REGISTRY, words: vec![text_of(&programs.registry), "serve".to_owned(), registry] },
        Part { name: SIGNER, words: ours(&programs.signer, signer) },
        Part { name: SERVER, words: ours(&programs.server, server) },
    ])
}

/// Ports that nobody listens at now, one for each part that has none.
pub(super) fn choose_ports(notes: &mut Notes) -> Result<(), Failure> {
    let mut held = Vec::new();
    for part in [REGISTRY, SIGNER, SERVER] {
        if notes.ports.contains_key(part) {
            continue;
        }
        let Some(socket) = free_port()? else {
            return Err(Failure::unknown("no port of 127.0.0.1 is free"));
        };
        let port =
            socket.local_addr().map_err(|error| Failure::unknown(format!("no port is free: {error}")))?;
        notes.ports.insert(part.to_owned(), port.port());
        // Held until all are chosen, so that no two are the same.
        held.push(socket);
    }
    Ok(())
}

/// A port that can be had, below those that the system hands out itself: a part that was ended should
/// find its own free again.
fn free_port() -> Result<Option<TcpListener>, Failure> {
    for _ in 0..PORT_ATTEMPTS {
        let mut bytes = [0; 2];
        getrandom::fill(&mut bytes)
            .map_err(|error| Failure::unknown(format!("no random numbers: {error}")))?;
        let port = FIRST_PORT + u16::from_le_bytes(bytes) % PORTS;
        if let Ok(socket) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return Ok(Some(socket));
        }
    }
    Ok(None)
}

/// Letters and digits that nobody can guess.
pub(super) fn random_word() -> Result<String, Failure> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Failure::unknown(format!("no random numbers: {error}")))?;
    Ok(hex::encode(bytes))
}

/// The first program of this name in `$PATH`.
pub(super) fn in_path(name: &str, search_path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(search_path).map(|it| it.join(name)).find(|it| it.is_absolute() && it.is_file())
}

/// A certificate for one side of the connection between server and signer. Each side knows the other's.
fn make_certificate(folder: &Folder, name: &str) -> Result<(), Failure> {
    let (certificate, key) = (format!("certificates/{name}.crt"), format!("certificates/{name}.key"));
    if folder.join(&certificate).exists() && folder.join(&key).exists() {
        return Ok(());
    }
    let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names)
        .map_err(|error| Failure::unknown(format!("no certificate can be made: {error}")))?;
    folder.put(&key, made.signing_key.serialize_pem().as_bytes())?;
    folder.put(&certificate, made.cert.pem().as_bytes())?;
    Ok(())
}

/// The folder's own path was checked to be text.
fn text_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

pub(super) const REGISTRY: &str = "registry";
pub(super) const SIGNER: &str = "signer";
pub(super) const SERVER: &str = "server";
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 12_000;
/// Where so many are taken, all are.
const PORT_ATTEMPTS: u32 = 1000;
const REGISTRY_PROGRAM: &str = "docker-registry";
