//! Our own file of settings, in TOML: what may stand in it, and within which bounds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;
use url::{Host, Url};

use super::values::{GunPrefixes, Network, Number, Size, Span, WebAddress};
use super::{
    AccessLog, AccessSettings, Caching, DatabaseAddress, HtpasswdSettings, Lifetimes, Limits, Metrics, Rate,
    RemoteSigner, Right, RuleSettings, Settings, Signer, Storage, Tls, TokenKeys, TokenSettings,
};
use crate::signer::settings::{Sealing, SealingTable, place};
use crate::signer::{KeyAlgorithm, TlsFiles};
use crate::text::visible_prefix;

/// Reads a file whose paths are relative to `folder`. `state` is where the server keeps what it makes
/// unless the file says otherwise.
pub(super) fn parse(text: &str, folder: &Path, state: Option<PathBuf>) -> Result<Settings, String> {
    let document: Document = toml::from_str(text).map_err(|it| it.to_string().trim_end().to_owned())?;
    let state = match document.state {
        Some(path) => folder.join(path),
        None => state.ok_or(NO_STATE)?,
    };
    let usual = Settings::standalone(&state);
    let listen = match document.listen {
        None => usual.listen.clone(),
        Some(Listen::One(address)) => vec![address],
        Some(Listen::Several(addresses)) => addresses,
    };
    check_listen(&listen)?;
    let storage = match document.storage {
        Some(table) => table.storage(&state, folder)?,
        None => usual.storage.clone(),
    };
    let signer = document.signer.unwrap_or_default();
    let key_algorithm = signer.algorithm.map_or(usual.key_algorithm, KeyAlgorithm::from);
    let access = match document.access {
        Some(table) => table.access(folder)?,
        None if listen.iter().all(|it| is_loopback(it)) => AccessSettings::None,
        None => return Err(OPEN_TO_ALL.to_owned()),
    };
    Ok(Settings {
        tls: document.tls.map_or(Ok(Tls::Own), |it| it.tls(folder))?,
        signer: signer.signer(&storage, folder)?,
        limits: document.limits.map_or(usual.limits, LimitsTable::limits),
        lifetimes: document.lifetimes.map_or(usual.lifetimes, LifetimesTable::lifetimes),
        caching: document.caching.map_or(usual.caching, CachingTable::caching),
        history: document.history.map(|it| signed(it.keep.0)),
        gun_prefixes: document.gun_prefixes.unwrap_or_default(),
        metrics: document.metrics.map_or(Ok(usual.metrics), MetricsTable::metrics)?,
        log: document.log.map_or(usual.log, |it| it.requests),
        listen,
        storage,
        key_algorithm,
        access,
        state,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Document {
    listen: Option<Listen>,
    state: Option<PathBuf>,
    gun_prefixes: Option<GunPrefixes>,
    tls: Option<TlsTable>,
    storage: Option<StorageTable>,
    signer: Option<SignerTable>,
    access: Option<AccessTable>,
    limits: Option<LimitsTable>,
    lifetimes: Option<LifetimesTable>,
    caching: Option<CachingTable>,
    history: Option<HistoryTable>,
    metrics: Option<MetricsTable>,
    log: Option<LogTable>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "an address such as \"127.0.0.1:4443\", or several in brackets")]
enum Listen {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct TlsTable {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    authorities: Option<PathBuf>,
    #[serde(default)]
    off: bool,
}

impl TlsTable {
    fn tls(self, folder: &Path) -> Result<Tls, String> {
        match (self.certificate, self.key, self.off) {
            (Some(certificate), Some(key), false) => Ok(Tls::Files {
                certificate: folder.join(certificate),
                key: folder.join(key),
                authorities: self.authorities.map(|it| folder.join(it)),
            }),
            (None, None, true) if self.authorities.is_none() => Ok(Tls::Off),
            _ => {
                Err("`[tls]` needs `certificate` and `key`, or `off = true` behind a proxy on this machine; \
                      without `[tls]` the server makes a certificate itself"
                    .to_owned())
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(tag = "backend", rename_all = "kebab-case", deny_unknown_fields)]
enum StorageTable {
    Memory {},
    Postgres { file: Option<PathBuf>, environment: Option<String>, command: Option<Vec<String>> },
    Sqlite { path: Option<PathBuf> },
}

impl StorageTable {
    fn storage(self, state: &Path, folder: &Path) -> Result<Storage, String> {
        match self {
            Self::Memory {} => Ok(Storage::Memory),
            Self::Sqlite { path: Some(path) } => Ok(Storage::Sqlite(folder.join(path))),
            Self::Sqlite { path: None } => Ok(Settings::standalone(state).storage),
            Self::Postgres { file, environment, command } => {
                let file = file.map(|it| folder.join(it));
                let place = place(file, environment, command).ok_or(
                    "`[storage]` needs one of `file`, `environment` and `command`, which gives the address of \
                     the PostgreSQL database: it may have a password in it, so it is not written here",
                )?;
                Ok(Storage::Postgres(DatabaseAddress::Kept(place)))
            }
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignerTable {
    algorithm: Option<AlgorithmName>,
    sealing: Option<SealingTable>,
    remote: Option<RemoteTable>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum AlgorithmName {
    Ecdsa,
    Ed25519,
}

impl From<AlgorithmName> for KeyAlgorithm {
    fn from(name: AlgorithmName) -> Self {
        match name {
            AlgorithmName::Ecdsa => Self::P256,
            AlgorithmName::Ed25519 => Self::Ed25519,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RemoteTable {
    host: String,
    #[serde(default = "signer_port")]
    port: u16,
    tls: TlsFiles,
}

impl SignerTable {
    fn signer(self, storage: &Storage, folder: &Path) -> Result<Signer, String> {
        match (self.sealing, self.remote) {
            (None, None) if *storage == Storage::Memory => Ok(Signer::Inside(Some(Sealing::Unknown))),
            (None, None) => Ok(Signer::Inside(None)),
            (Some(table), None) => {
                let mut sealing = table.sealing()?;
                sealing.beneath(folder);
                Ok(Signer::Inside(Some(sealing)))
            }
            (None, Some(RemoteTable { host, port, tls })) => {
                Ok(Signer::Remote(RemoteSigner { host, port, tls: beneath(tls, folder) }))
            }
            (Some(_), Some(_)) => {
                Err("keys are sealed here or kept by another signer: `[signer.sealing]` and \
                     `[signer.remote]` exclude each other"
                    .to_owned())
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct AccessTable {
    #[serde(default)]
    open: bool,
    #[serde(default)]
    anonymous_pull: bool,
    htpasswd: Option<HtpasswdTable>,
    token: Option<TokenTable>,
    #[serde(default)]
    groups: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    rules: Vec<RuleTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HtpasswdTable {
    path: PathBuf,
    #[serde(default = "realm")]
    realm: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTable {
    who: Vec<String>,
    #[serde(default)]
    repositories: GunPrefixes,
    may: Vec<Right>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct TokenTable {
    realm: String,
    service: String,
    issuer: String,
    bundle: Option<PathBuf>,
    key_set: Option<PathBuf>,
    key_set_url: Option<WebAddress>,
    authorities: Option<PathBuf>,
}

impl AccessTable {
    fn access(self, folder: &Path) -> Result<AccessSettings, String> {
        let Self { open, anonymous_pull, htpasswd, token, groups, rules } = self;
        if htpasswd.is_none() && !(groups.is_empty() && rules.is_empty()) {
            return Err(
                "`groups` and `rules` are for the names of `[access.htpasswd]`; what a token allows, \
                        its token server says"
                    .to_owned(),
            );
        }
        match (open, htpasswd, token) {
            (true, None, None) if !anonymous_pull => Ok(AccessSettings::None),
            (false, Some(HtpasswdTable { path, realm }), None) => {
                let rules = rules.into_iter().map(|it| it.rule(&groups)).collect::<Result<_, _>>()?;
                let realm = header_text("realm", realm)?;
                let path = folder.join(path);
                Ok(AccessSettings::Htpasswd(HtpasswdSettings { realm, path, anonymous_pull, groups, rules }))
            }
            (false, None, Some(table)) => Ok(AccessSettings::Token(table.token(anonymous_pull, folder)?)),
            _ => {
                Err("`[access]` needs one of `[access.htpasswd]`, `[access.token]` and `open = true`, which \
                      lets everybody do everything"
                    .to_owned())
            }
        }
    }
}

impl RuleTable {
    fn rule(self, groups: &BTreeMap<String, Vec<String>>) -> Result<RuleSettings, String> {
        let Self { who, repositories, may } = self;
        let group = |it: &String| it.strip_prefix('@').is_some_and(|name| !groups.contains_key(name));
        if let Some(unknown) = who.iter().find(|it| group(it)) {
            return Err(format!("a rule is for {unknown:?}, and `[access.groups]` has no such group"));
        }
        Ok(RuleSettings { who, repositories, may })
    }
}

impl TokenTable {
    fn token(self, anonymous_pull: bool, folder: &Path) -> Result<TokenSettings, String> {
        let keys = match (self.bundle, self.key_set, self.key_set_url) {
            (Some(path), None, None) => TokenKeys::Bundle(folder.join(path)),
            (None, Some(path), None) => TokenKeys::SetFile(folder.join(path)),
            (None, None, Some(WebAddress(url))) => {
                let loopback = url.scheme() == "http" && is_loopback_url(&url);
                if url.scheme() != "https" && !loopback {
                    return Err(format!(
                        "the keys of `{url}` could be anybody's: `key-set-url` must be https"
                    ));
                }
                TokenKeys::SetUrl { url, authorities: self.authorities.map(|it| folder.join(it)) }
            }
            _ => {
                return Err("`[access.token]` needs one of `bundle`, `key-set` and `key-set-url`".to_owned());
            }
        };
        Ok(TokenSettings {
            realm: header_text("realm", self.realm)?,
            service: header_text("service", self.service)?,
            issuer: self.issuer,
            keys,
            anonymous_pull,
        })
    }
}

/// Every member has its bounds here; [`Limits::usual`] has what holds without it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LimitsTable {
    /// Each takes some 50 KiB, and a file descriptor.
    connections: Option<Number<1, 1_000_000>>,
    /// Behind a proxy all clients are one: there it is the proxy's to limit them.
    connections_per_client: Option<Number<1, 1_000_000>>,
    /// A repository of 100,000 tags has targets of 20 MiB.
    upload: Option<Size<{ 64 << 10 }, { 1 << 30 }>>,
    /// What is being received is in memory.
    uploads: Option<Size<{ 64 << 10 }, { 64 << 30 }>>,
    /// A request's head is one packet.
    head_patience: Option<Span<1, 300>>,
    /// Whoever moves nothing for so long is gone.
    idle_patience: Option<Span<1, 3600>>,
    /// Large files over thin lines take their time.
    request_patience: Option<Span<1, 86_400>>,
    /// Supervisors kill what has not stopped after 30 or 90 seconds.
    drain: Option<Span<0, 3600>>,
    requests: Option<RateTable>,
    failures: Option<RateTable>,
    #[serde(default)]
    proxies: Vec<Network>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RateTable {
    burst: Number<0, 1_000_000>,
    per_minute: Number<1, 60_000_000>,
}

impl LimitsTable {
    fn limits(self) -> Limits {
        let usual = Limits::usual();
        Limits {
            connections: self.connections.map_or(usual.connections, |it| it.0),
            connections_per_client: self
                .connections_per_client
                .map_or(usual.connections_per_client, |it| it.0),
            upload_bytes: self.upload.map_or(usual.upload_bytes, |it| it.0),
            uploads_bytes: self.uploads.map_or(usual.uploads_bytes, |it| it.0),
            head_patience: self.head_patience.map_or(usual.head_patience, |it| it.0),
            idle_patience: self.idle_patience.map_or(usual.idle_patience, |it| it.0),
            request_patience: self.request_patience.map_or(usual.request_patience, |it| it.0),
            drain: self.drain.map_or(usual.drain, |it| it.0),
            requests: self.requests.map_or(usual.requests, RateTable::rate),
            failures: self.failures.map_or(usual.failures, RateTable::rate),
            proxies: self.proxies,
        }
    }
}

impl RateTable {
    fn rate(self) -> Rate {
        Rate { burst: self.burst.0, per_minute: self.per_minute.0 }
    }
}

/// What is valid for less than an hour is expired before everybody has it; Notary's longest is ten years.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LifetimesTable {
    timestamp: Option<Span<HOUR, TEN_YEARS>>,
    snapshot: Option<Span<HOUR, TEN_YEARS>>,
}

impl LifetimesTable {
    fn lifetimes(self) -> Lifetimes {
        let usual = Lifetimes::NOTARY;
        Lifetimes {
            timestamp: self.timestamp.map_or(usual.timestamp, |it| signed(it.0)),
            snapshot: self.snapshot.map_or(usual.snapshot, |it| signed(it.0)),
        }
    }
}

/// A year is the most that HTTP gives a meaning to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CachingTable {
    current: Option<Span<0, YEAR>>,
    consistent: Option<Span<0, YEAR>>,
}

impl CachingTable {
    fn caching(self) -> Caching {
        let usual = Caching::NOTARY;
        Caching {
            current: self.current.map_or(usual.current, |it| it.0),
            consistent: self.consistent.map_or(usual.consistent, |it| it.0),
        }
    }
}

/// A client that began to read a day ago should find the rest.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryTable {
    keep: Span<DAY, { 100 * YEAR }>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MetricsTable {
    listen: Option<String>,
    #[serde(default)]
    off: bool,
}

impl MetricsTable {
    fn metrics(self) -> Result<Metrics, String> {
        match (self.listen, self.off) {
            (Some(address), false) => {
                check_address(&address)?;
                Ok(Metrics::At(address))
            }
            (None, true) => Ok(Metrics::Off),
            (None, false) => Ok(Metrics::Shared),
            (Some(_), true) => Err("`[metrics]` are off, or listen: not both".to_owned()),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogTable {
    requests: AccessLog,
}

pub(super) fn beneath(tls: TlsFiles, folder: &Path) -> TlsFiles {
    TlsFiles {
        certificate: folder.join(tls.certificate),
        key: folder.join(tls.key),
        authorities: folder.join(tls.authorities),
    }
}

/// A text that stands between quotes in a header.
pub(super) fn header_text(name: &str, text: String) -> Result<String, String> {
    let fits = |it: char| (' '..='~').contains(&it) && it != '"' && it != '\\';
    if text.is_empty() || HEADER_TEXT_LIMIT < text.len() || !text.chars().all(fits) {
        return Err(format!("the {name} {:?} cannot stand in a header", visible_prefix(&text, SHOWN)));
    }
    Ok(text)
}

fn check_listen(addresses: &[String]) -> Result<(), String> {
    if addresses.is_empty() || LISTEN_LIMIT < addresses.len() {
        return Err(format!("`listen` needs an address, and takes {LISTEN_LIMIT} at most"));
    }
    addresses.iter().try_for_each(|it| check_address(it))
}

/// `host:port`, the host in brackets where it is IPv6's.
fn check_address(address: &str) -> Result<(), String> {
    let port =
        address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
    if let Some(Ok(_)) = port {
        return Ok(());
    }
    let shown = visible_prefix(address, SHOWN);
    Err(format!("{shown:?} is no address to listen at, such as \"127.0.0.1:4443\" or \"[::]:4443\""))
}

fn is_loopback(address: &str) -> bool {
    match address.parse::<std::net::SocketAddr>() {
        Ok(address) => address.ip().to_canonical().is_loopback(),
        Err(_) => address.rsplit_once(':').is_some_and(|(host, _)| host == "localhost"),
    }
}

fn is_loopback_url(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn signed(span: Duration) -> SignedDuration {
    // The bounds of all of them are years, which fit.
    SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX)
}

fn signer_port() -> u16 {
    7899
}

fn realm() -> String {
    "trust".to_owned()
}

pub(super) const NO_STATE: &str = "nothing says where the server may keep what it makes: name a folder as \
    `state`, or set TRUSTGATE_SERVER_STATE";
const OPEN_TO_ALL: &str = "others reach the address that is listened at, and nothing says who may do what: \
    add `[access]`, with `open = true` if everybody may do everything";
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
const YEAR: u64 = 365 * DAY;
const TEN_YEARS: u64 = 10 * YEAR;
/// Each is a socket.
const LISTEN_LIMIT: usize = 16;
/// A realm is an address; a header has eight kilobytes in all.
const HEADER_TEXT_LIMIT: usize = 1024;
/// As much of a wrong value as a message shows.
const SHOWN: usize = 80;
