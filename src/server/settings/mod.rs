//! What `trustgate-server` is told: by our TOML, by the JSON of a notary-server, or by nothing at all.
//!
//! Files are read and judged here, whole: a member that nobody knows is an error, every number has a
//! bound, and paths are relative to the file that names them. What is named is not opened, but for the
//! environment's variables nothing else is asked.

mod document;
mod notary;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use url::Url;
use zeroize::Zeroizing;

pub use self::values::{GunPrefixes, Network, ValueError};

use crate::http::read_bounded;
use crate::signer::settings::Sealing;
use crate::signer::vault::{Lookup, SecretPlace};
use crate::signer::{KeyAlgorithm, TlsFiles};

/// Everything that a server is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The folder for what the server makes itself where nobody names another: certificate, sealing
    /// key, database.
    pub state: PathBuf,
    /// The addresses to listen at, one at least.
    pub listen: Vec<String>,
    /// What connections are secured with.
    pub tls: Tls,
    /// Where files are kept.
    pub storage: Storage,
    /// Who signs.
    pub signer: Signer,
    /// What new keys are made of.
    pub key_algorithm: KeyAlgorithm,
    /// Who may do what.
    pub access: AccessSettings,
    /// What requests may cost.
    pub limits: Limits,
    /// How long what the server signs is valid, and when it is signed anew.
    pub lifetimes: Lifetimes,
    /// How long answers may be kept by whoever gets them.
    pub caching: Caching,
    /// For how long replaced files stay; `None`: for ever, as Notary has it.
    pub history: Option<SignedDuration>,
    /// Which repositories are taken.
    pub gun_prefixes: GunPrefixes,
    /// Where metrics are shown.
    pub metrics: Metrics,
    /// Which requests have a line in the access log.
    pub log: AccessLog,
}

/// What connections are secured with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// A certificate that the server makes itself, in the state folder.
    Own,
    /// These files.
    Files {
        /// The chain of certificates that is shown, in PEM.
        certificate: PathBuf,
        /// The private key of the first of them, in PEM.
        key: PathBuf,
        /// The authorities that a client's certificate must come from; `None`: clients show none.
        authorities: Option<PathBuf>,
    },
    /// Nothing: a proxy on this machine does it.
    Off,
}

/// Where files are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In this process, with which they end.
    Memory,
    /// In a PostgreSQL database.
    Postgres(DatabaseAddress),
    /// In a SQLite file.
    Sqlite(PathBuf),
}

/// Where the address of a database is written, which may have a password in it.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseAddress {
    /// In the settings themselves.
    Written(String),
    /// Elsewhere.
    Kept(SecretPlace),
}

/// Who signs what the server signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    /// This process, with keys that are sealed in the same storage. `None`: under a key-encryption
    /// key in the state folder, which the server makes.
    Inside(Option<Sealing>),
    /// Another process, ours or a notary-signer.
    Remote(RemoteSigner),
}

/// Where another process signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteSigner {
    /// The host, which its certificate must be for.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Certificates of both sides.
    pub tls: TlsFiles,
}

/// Who may do what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessSettings {
    /// Everybody may do everything: for a server that only this machine reaches.
    None,
    /// Names and passwords.
    Htpasswd(HtpasswdSettings),
    /// Tokens of a registry's token server.
    Token(TokenSettings),
}

/// Names and passwords of a file, as docker-registry takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HtpasswdSettings {
    /// What a browser shows above its question.
    pub realm: String,
    /// Lines of `name:` and a bcrypt hash.
    pub path: PathBuf,
    /// Whether reading needs no name.
    pub anonymous_pull: bool,
    /// Who belongs to which group.
    pub groups: BTreeMap<String, Vec<String>>,
    /// What is allowed, and to whom; without any, whoever is known may do everything.
    pub rules: Vec<RuleSettings>,
}

/// One thing that is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSettings {
    /// Users, and groups as `@name`.
    pub who: Vec<String>,
    /// In which repositories.
    pub repositories: GunPrefixes,
    /// What.
    pub may: Vec<Right>,
}

/// What a rule allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Right {
    /// Reading.
    Pull,
    /// Publishing.
    Push,
    /// Deleting a repository, and rotating the server's keys.
    Admin,
    /// Reading what happens in all repositories.
    Catalog,
}

/// Tokens of a registry's token server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSettings {
    /// Where clients get tokens.
    pub realm: String,
    /// What this server is called there: a token's audience.
    pub service: String,
    /// Who signs tokens.
    pub issuer: String,
    /// What tokens are verified with.
    pub keys: TokenKeys,
    /// Whether reading needs no token.
    pub anonymous_pull: bool,
}

/// What tokens are verified with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenKeys {
    /// Certificates in PEM: a token names one's key, or brings a chain that ends below one.
    Bundle(PathBuf),
    /// Keys as a JSON Web Key Set in a file.
    SetFile(PathBuf),
    /// The same, fetched.
    SetUrl {
        /// From where; `https`, or `http` on loopback.
        url: Url,
        /// The authorities of that server's certificate, in place of the system's.
        authorities: Option<PathBuf>,
    },
}

/// What requests may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at the same time.
    pub connections: u32,
    /// Connections of one client at the same time.
    pub connections_per_client: u32,
    /// The bytes of one publish.
    pub upload_bytes: u64,
    /// The bytes of all publishes at the same time.
    pub uploads_bytes: u64,
    /// How long a client may take for a request's head.
    pub head_patience: Duration,
    /// How long a client may take for a body, or to take an answer, with nothing moving.
    pub idle_patience: Duration,
    /// How long a request may take in all.
    pub request_patience: Duration,
    /// How long a server that stops waits for what it has begun.
    pub drain: Duration,
    /// How many requests a client may send.
    pub requests: Rate,
    /// How many wrong credentials a client may send.
    pub failures: Rate,
    /// The networks of reverse proxies, whose word on who asks counts.
    pub proxies: Vec<Network>,
}

/// So many at once, and so many a minute in the long run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// At once; 0: no limit.
    pub burst: u32,
    /// In a minute.
    pub per_minute: u32,
}

/// How long what the server signs is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// A timestamp.
    pub timestamp: SignedDuration,
    /// A snapshot.
    pub snapshot: SignedDuration,
}

/// How long answers may be kept, in Notary's two kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caching {
    /// A role's newest file.
    pub current: Duration,
    /// A file asked for by hash or version, which never changes.
    pub consistent: Duration,
}

/// Where metrics are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Metrics {
    /// At another address, without TLS.
    At(String),
    /// Nowhere.
    Off,
    /// At `/metrics` of the server, to everybody, as Notary has it.
    Shared,
}

/// Which requests have a line in the access log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessLog {
    /// Every one.
    All,
    /// What changes something, and what is refused.
    #[default]
    Writes,
}

/// A file of settings that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the settings in `{}` cannot be used: {reason}", path.display())]
pub struct SettingsError {
    path: PathBuf,
    reason: String,
}

impl Settings {
    /// Reads a file: JSON, as a notary-server has it, where its name says so, else TOML.
    pub fn load(path: &Path, variables: Lookup<'_>) -> Result<Self, SettingsError> {
        let unusable = |reason: String| SettingsError { path: path.to_owned(), reason };
        let bytes = read_bounded(path, FILE_LIMIT).map_err(|it| unusable(it.to_string()))?;
        let text = std::str::from_utf8(&bytes).map_err(|_| unusable("it is not UTF-8".to_owned()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let state = state_folder(variables, rustix::process::geteuid().is_root());
        let json = path.extension().is_some_and(|it| it == "json");
        let read = if json {
            notary::parse(text, folder, state, variables)
        } else {
            document::parse(text, folder, state)
        };
        read.map_err(unusable)
    }

    /// What counts where there is no file: loopback with a certificate of its own, and everything else
    /// in this folder.
    #[must_use]
    pub fn standalone(state: &Path) -> Self {
        Self {
            state: state.to_owned(),
            listen: vec![DEFAULT_LISTEN.to_owned()],
            tls: Tls::Own,
            storage: Storage::Sqlite(state.join(DATABASE_NAME)),
            signer: Signer::Inside(None),
            key_algorithm: KeyAlgorithm::default(),
            access: AccessSettings::None,
            limits: Limits::usual(),
            lifetimes: Lifetimes::NOTARY,
            caching: Caching::NOTARY,
            history: None,
            gun_prefixes: GunPrefixes::default(),
            metrics: Metrics::Shared,
            log: AccessLog::default(),
        }
    }
}

impl Limits {
    /// What holds where nothing else is said.
    #[must_use]
    pub fn usual() -> Self {
        Self {
            connections: 10_000,
            connections_per_client: 1_000,
            upload_bytes: 64 << 20,
            uploads_bytes: 128 << 20,
            head_patience: Duration::from_secs(10),
            idle_patience: Duration::from_secs(30),
            request_patience: Duration::from_mins(5),
            drain: Duration::from_secs(30),
            requests: Rate { burst: 0, per_minute: 0 },
            failures: Rate { burst: 20, per_minute: 20 },
            proxies: Vec::new(),
        }
    }
}

impl Lifetimes {
    /// Notary's: two weeks, and three years.
    pub const NOTARY: Self = Self {
        timestamp: SignedDuration::from_hours(24 * 14),
        snapshot: SignedDuration::from_hours(24 * 365 * 3),
    };
}

impl Caching {
    /// Notary's: five minutes, and thirty days.
    pub const NOTARY: Self =
        Self { current: Duration::from_mins(5), consistent: Duration::from_hours(24 * 30) };
}

impl DatabaseAddress {
    /// The address itself.
    pub async fn fetch(&self, variables: Lookup<'_>) -> Result<Zeroizing<String>, AddressError> {
        let place = match self {
            Self::Written(address) => return Ok(Zeroizing::new(address.clone())),
            Self::Kept(place) => place,
        };
        place.text(variables).await.map_err(|reason| AddressError { reason })
    }
}

impl fmt::Debug for DatabaseAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Written(_) => f.write_str("Written(…)"),
            Self::Kept(place) => f.debug_tuple("Kept").field(place).finish(),
        }
    }
}

/// A database whose address cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address of the database cannot be had from {reason}")]
pub struct AddressError {
    reason: String,
}

/// The folder for what a server makes itself: `$TRUSTGATE_SERVER_STATE`, else the system's for root and
/// the user's for a user. `None`: nothing says where the user's is.
#[must_use]
pub fn state_folder(variables: Lookup<'_>, root: bool) -> Option<PathBuf> {
    let folder = |name: &str| variables(name).filter(|it| !it.is_empty()).map(PathBuf::from);
    if let Some(folder) = folder("TRUSTGATE_SERVER_STATE") {
        return Some(folder);
    }
    if root {
        return Some(PathBuf::from("/var/lib/trustgate-server"));
    }
    // What is not absolute is to be passed over, says the XDG specification.
    let state = folder("XDG_STATE_HOME").filter(|it| it.is_absolute());
    let state = state.or_else(|| folder("HOME").map(|it| it.join(".local/state")))?;
    Some(state.join("trustgate-server"))
}

/// Notary's port, for this machine alone.
const DEFAULT_LISTEN: &str = "127.0.0.1:4443";
const DATABASE_NAME: &str = "server.db";
/// A file of settings has a few kilobytes; one with many rules has more.
const FILE_LIMIT: u64 = 4 << 20;
