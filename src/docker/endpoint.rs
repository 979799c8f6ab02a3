//! Where the engine is, found as docker's command finds it.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::EngineError;
use crate::http::read_bounded;
use crate::image::Digest;
use crate::text::visible_prefix;

/// What says where the engine is.
#[derive(Clone, Debug, Default)]
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
#[derive(Clone)]
pub struct Endpoint {
    /// The address as docker writes it: `unix:///var/run/docker.sock`.
    pub address: String,
    /// What named it: `DOCKER_HOST`, a context, or docker's default.
    pub named_by: String,
    pub(super) way: Way,
}

/// How to get there.
#[derive(Clone)]
pub(super) enum Way {
    /// A socket of this machine.
    Unix(PathBuf),
    /// A port, with TLS where there is a configuration for it.
    Tcp { host: String, port: u16, prefix: String, tls: Option<Arc<rustls::ClientConfig>> },
    /// `docker system dial-stdio` on another machine.
    Ssh { program: PathBuf, arguments: Vec<String> },
}

impl Endpoint {
    /// Finds the endpoint; connects to nothing.
    ///
    /// `DOCKER_HOST` comes before `DOCKER_CONTEXT`, that before the current context of
    /// `config.json`, as in docker.
    pub fn find(options: &EngineOptions) -> Result<Self, EngineError> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(host) = given(&options.host) {
            let place = "DOCKER_HOST".to_owned();
            let tls =
                || if options.tls_verify { TlsFiles::of_variables(options).map(Some) } else { Ok(None) };
            return Self::parse(&host, place, options, tls);
        }
        let context = match given(&options.context) {
            Some(name) => Some((name, "DOCKER_CONTEXT".to_owned())),
            None => current_context(options)?,
        };
        match context {
            Some((name, place)) if name != DEFAULT_CONTEXT => Self::of_context(&name, &place, options),
            _ => Self::parse(DEFAULT_ADDRESS, "docker's default".to_owned(), options, || Ok(None)),
        }
    }

    fn of_context(name: &str, named_by: &str, options: &EngineOptions) -> Result<Self, EngineError> {
        let shown = visible_prefix(name, SHOWN_LIMIT);
        let unusable = |reason: String| EngineError::Configuration {
            place: format!("docker's context `{shown}` ({named_by})"),
            reason,
        };
        let base = options.config_dir.as_ref().ok_or_else(|| unusable("docker has no folder".to_owned()))?;
        // Contexts are filed under the hash of their names.
        let folder = Digest::of(name.as_bytes());
        let path = base.join("contexts/meta").join(folder.hex()).join("meta.json");
        let bytes = match read_bounded(&path, FILE_LIMIT) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(unusable("there is no such context".to_owned()));
            }
            Err(error) => return Err(unusable(format!("`{}`: {error}", path.display()))),
        };
        let meta: ContextFile = serde_json::from_slice(&bytes)
            .map_err(|error| unusable(format!("`{}` is damaged: {error}", path.display())))?;
        let Some(endpoint) = meta.endpoints.docker.filter(|endpoint| !endpoint.host.is_empty()) else {
            return Err(unusable("it names no docker engine".to_owned()));
        };
        if endpoint.skip_tls_verify {
            let reason = "it skips the verification of the engine's certificate, which is not done here";
            return Err(unusable(reason.to_owned()));
        }
        let certificates = base.join("contexts/tls").join(folder.hex()).join("docker");
        let tls = || Ok(certificates.is_dir().then(|| TlsFiles::of_folder(&certificates)));
        Self::parse(&endpoint.host, format!("docker's context `{shown}`"), options, tls)
    }

    fn parse(
        address: &str,
        named_by: String,
        options: &EngineOptions,
        tls: impl FnOnce() -> Result<Option<TlsFiles>, EngineError>,
    ) -> Result<Self, EngineError> {
        let shown = visible_prefix(address, SHOWN_LIMIT);
        let unusable = |reason: &str| EngineError::Configuration {
            place: named_by.clone(),
            reason: format!("`{shown}` {reason}"),
        };
        let way = match address.split_once("://") {
            Some(("unix", path)) => match path {
                "" => Way::Unix(PathBuf::from(DEFAULT_SOCKET)),
                path if path.starts_with('/') => Way::Unix(PathBuf::from(path)),
                _ => return Err(unusable("is not the absolute path of a socket")),
            },
            Some(("tcp" | "http" | "https", rest)) => {
                let secure = address.starts_with("https");
                let tls = tls()?.map(|files| files.load()).transpose()?;
                if secure && tls.is_none() {
                    return Err(unusable("wants TLS; set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH"));
                }
                tcp(rest, tls).ok_or_else(|| unusable("is not tcp://host:port"))?
            }
            Some(("ssh", rest)) => {
                let program =
                    ssh_program(options).ok_or_else(|| unusable("needs `ssh`, which is not in PATH"))?;
                let arguments =
                    ssh_arguments(rest).ok_or_else(|| unusable("is not ssh://[user@]host[:port]"))?;
                Way::Ssh { program, arguments }
            }
            Some(("npipe", _)) => {
                return Err(unusable("is a pipe of Windows, which this system does not have"));
            }
            Some(("fd", _)) => {
                return Err(unusable("is a socket of the engine itself, which no client can use"));
            }
            Some(_) => return Err(unusable("is an address of a kind that is not known")),
            None => {
                let tls = tls()?.map(|files| files.load()).transpose()?;
                tcp(address, tls).ok_or_else(|| unusable("is not an engine's address"))?
            }
        };
        Ok(Self { address: shown, named_by, way })
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("address", &self.address)
            .field("named_by", &self.named_by)
            .finish_non_exhaustive()
    }
}

/// The files that TLS with an engine needs.
struct TlsFiles {
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl TlsFiles {
    fn of_variables(options: &EngineOptions) -> Result<Self, EngineError> {
        let folder = options.certificate_path.as_ref().or(options.config_dir.as_ref());
        folder.map(|folder| Self::of_folder(folder)).ok_or_else(|| EngineError::Configuration {
            place: "DOCKER_TLS_VERIFY".to_owned(),
            reason: "it is set, and DOCKER_CERT_PATH is not".to_owned(),
        })
    }

    fn of_folder(folder: &Path) -> Self {
        let [authority, certificate, key] = ["ca.pem", "cert.pem", "key.pem"].map(|name| folder.join(name));
        Self { authority, certificate, key }
    }

    /// The authority's file has to be there; ours are for engines that ask who we are.
    fn load(&self) -> Result<Arc<rustls::ClientConfig>, EngineError> {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in certificates(&self.authority)? {
            roots.add(certificate).map_err(|error| unusable_file(&self.authority, &error))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has the default versions")
            .with_root_certificates(roots);
        if !self.certificate.exists() && !self.key.exists() {
            return Ok(Arc::new(builder.with_no_client_auth()));
        }
        let chain = certificates(&self.certificate)?;
        let pem = read_bounded(&self.key, FILE_LIMIT).map_err(|error| unusable_file(&self.key, &error))?;
        let pem = Zeroizing::new(pem);
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| unusable_file(&self.key, &error))?;
        let config = builder.with_client_auth_cert(chain, key);
        Ok(Arc::new(config.map_err(|error| unusable_file(&self.certificate, &error))?))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, EngineError> {
    let pem = read_bounded(path, FILE_LIMIT).map_err(|error| unusable_file(path, &error))?;
    let certificates = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(unusable_file(path, &"it holds no certificate")),
        other => other.map_err(|error| unusable_file(path, &error)),
    }
}

fn unusable_file(path: &Path, reason: &dyn fmt::Display) -> EngineError {
    EngineError::Configuration { place: format!("`{}`", path.display()), reason: reason.to_string() }
}

/// The context that `config.json` names, and that place.
fn current_context(options: &EngineOptions) -> Result<Option<(String, String)>, EngineError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct ConfigFile {
        current_context: Option<String>,
    }
    let Some(path) = options.config_dir.as_ref().map(|folder| folder.join("config.json")) else {
        return Ok(None);
    };
    let unusable = |reason| EngineError::Configuration { place: format!("`{}`", path.display()), reason };
    let bytes = match read_bounded(&path, FILE_LIMIT) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(error.to_string())),
    };
    // The parser's own message could quote a password.
    let config: ConfigFile = serde_json::from_slice(&bytes)
        .map_err(|error| unusable(format!("it is not docker's configuration (line {})", error.line())))?;
    let name = config.current_context.filter(|name| !name.is_empty());
    Ok(name.map(|name| (name, path.display().to_string())))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContextFile {
    endpoints: ContextEndpoints,
}

#[derive(Deserialize)]
struct ContextEndpoints {
    docker: Option<ContextEndpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContextEndpoint {
    #[serde(default)]
    host: String,
    #[serde(default, rename = "SkipTLSVerify")]
    skip_tls_verify: bool,
}

/// `host[:port][/prefix]`; docker's ports are 2375, and 2376 with TLS.
fn tcp(text: &str, tls: Option<Arc<rustls::ClientConfig>>) -> Option<Way> {
    let url: url::Url = format!("tcp://{text}").parse().ok()?;
    let host = url.host_str().filter(|host| !host.is_empty())?.to_owned();
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    let port = url.port().unwrap_or(if tls.is_some() { 2376 } else { 2375 });
    let prefix = url.path().trim_end_matches('/').to_owned();
    plain.then_some(Way::Tcp { host, port, prefix, tls })
}

/// What docker's own command calls `ssh` with.
fn ssh_arguments(text: &str) -> Option<Vec<String>> {
    let url: url::Url = format!("ssh://{text}").parse().ok()?;
    let host = url.host_str().filter(|host| !host.is_empty() && !host.starts_with('-'))?;
    if url.password().is_some() || url.query().is_some() || url.username().starts_with('-') {
        return None;
    }
    let mut arguments = vec!["-o".to_owned(), "ConnectTimeout=30".to_owned(), "-T".to_owned()];
    if !url.username().is_empty() {
        arguments.extend(["-l".to_owned(), url.username().to_owned()]);
    }
    if let Some(port) = url.port() {
        arguments.extend(["-p".to_owned(), port.to_string()]);
    }
    arguments.extend(["--", host.trim_matches(['[', ']']), "docker"].map(str::to_owned));
    match url.path() {
        "" | "/" => {}
        // The other machine's shell reads this word.
        path if path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b)) => {
            arguments.extend(["--host".to_owned(), format!("unix://{path}")]);
        }
        _ => return None,
    }
    arguments.extend(["system", "dial-stdio"].map(str::to_owned));
    Some(arguments)
}

fn ssh_program(options: &EngineOptions) -> Option<PathBuf> {
    let path = options.search_path.clone().or_else(|| std::env::var_os("PATH"))?;
    std::env::split_paths(&path).map(|folder| folder.join("ssh")).find(|candidate| candidate.is_file())
}

const DEFAULT_CONTEXT: &str = "default";
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
const DEFAULT_ADDRESS: &str = "unix:///var/run/docker.sock";
/// Configurations and certificates have a few kilobytes.
const FILE_LIMIT: u64 = 1 << 20;
/// Enough to recognise an address.
const SHOWN_LIMIT: usize = 200;
