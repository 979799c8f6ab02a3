//! A notary-server's JSON configuration, taken over.
//!
//! Notary lets variables override its file (`server.http_addr` by `NOTARY_SERVER_SERVER_HTTP_ADDR`), and
//! they do here. Logging and error reporting are passed over; what cannot be taken over is an error.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::document::{NO_STATE, beneath, header_text};
use super::{
    AccessSettings, Caching, DatabaseAddress, GunPrefixes, HtpasswdSettings, RemoteSigner, Settings, Signer,
    Storage, Tls, TokenKeys, TokenSettings,
};
use crate::signer::settings::Sealing;
use crate::signer::vault::Lookup;
use crate::signer::{KeyAlgorithm, TlsFiles};
use crate::text::visible_prefix;

pub(super) fn parse(
    text: &str,
    folder: &Path,
    state: Option<PathBuf>,
    variables: Lookup<'_>,
) -> Result<Settings, String> {
    let document: Value = serde_json::from_str(text).map_err(|it| it.to_string())?;
    if !document.is_object() {
        return Err("it is not an object".to_owned());
    }
    check_members(&document, "")?;
    let given = Given { document, variables };
    let state = state.ok_or(NO_STATE)?;
    let storage = storage(&given)?;
    let settings = Settings {
        // Go reads an address without a host as every one of the machine.
        listen: vec![match given.needed("server.http_addr")? {
            address if address.starts_with(':') => format!("[::]{address}"),
            address => address,
        }],
        tls: tls(&given, folder)?,
        signer: signer(&given, folder, &storage)?,
        key_algorithm: key_algorithm(&given)?,
        access: access(&given, folder)?,
        caching: Caching {
            current: max_age(&given, "caching.max_age.current_metadata", Caching::NOTARY.current)?,
            consistent: max_age(&given, "caching.max_age.consistent_metadata", Caching::NOTARY.consistent)?,
        },
        gun_prefixes: gun_prefixes(&given)?,
        storage,
        ..Settings::standalone(&state)
    };
    Ok(settings)
}

/// What the file says, and what variables say in its place.
struct Given<'a> {
    document: Value,
    variables: Lookup<'a>,
}

impl Given<'_> {
    fn variable(&self, key: &str) -> Option<String> {
        (self.variables)(&format!("{PREFIX}{}", key.replace('.', "_").to_uppercase()))
    }

    fn value(&self, key: &str) -> Option<&Value> {
        key.split('.').try_fold(&self.document, |value, name| value.get(name))
    }

    /// A text or a number that is not empty.
    fn text(&self, key: &str) -> Result<Option<String>, String> {
        if let Some(text) = self.variable(key) {
            return Ok(Some(text).filter(|it| !it.is_empty()));
        }
        match self.value(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|it| !it.is_empty())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(format!("`{key}` is not a text")),
        }
    }

    fn needed(&self, key: &str) -> Result<String, String> {
        self.text(key)?.ok_or_else(|| format!("`{key}` is missing"))
    }

    fn path(&self, key: &str, folder: &Path) -> Result<Option<PathBuf>, String> {
        Ok(self.text(key)?.map(|it| folder.join(it)))
    }
}

/// Every member must be one that is taken over, or passed over knowingly.
fn check_members(value: &Value, above: &str) -> Result<(), String> {
    let Some(members) = value.as_object() else { return Ok(()) };
    for (name, value) in members {
        let key = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        if PASSED_OVER.contains(&key.as_str()) || TAKEN_OVER.contains(&key.as_str()) {
            continue;
        }
        let prefix = format!("{key}.");
        if !TAKEN_OVER.iter().any(|it| it.starts_with(&prefix)) {
            let shown = visible_prefix(&key, SHOWN);
            return Err(format!("`{shown}` is nothing that a notary-server is told"));
        }
        check_members(value, &key)?;
    }
    Ok(())
}

fn tls(given: &Given<'_>, folder: &Path) -> Result<Tls, String> {
    let certificate = given.path("server.tls_cert_file", folder)?;
    let key = given.path("server.tls_key_file", folder)?;
    match (certificate, key) {
        (None, None) => Ok(Tls::Off),
        (Some(certificate), Some(key)) => {
            let authorities = given.path("server.client_ca_file", folder)?;
            Ok(Tls::Files { certificate, key, authorities })
        }
        _ => Err("`server.tls_cert_file` and `server.tls_key_file` go together".to_owned()),
    }
}

fn storage(given: &Given<'_>) -> Result<Storage, String> {
    match given.needed("storage.backend")?.as_str() {
        "memory" => Ok(Storage::Memory),
        "postgres" => {
            let address = with_tls(given.needed("storage.db_url")?);
            Ok(Storage::Postgres(DatabaseAddress::Written(address)))
        }
        backend @ ("mysql" | "mysql5") => Err(format!(
            "files cannot be kept in {backend}; write settings with `[storage]` for SQLite or PostgreSQL, \
             and bring what is there over with `trustgate-server import`: `mysqldump notaryserver > files.sql`, \
             then `trustgate-server --config server.toml import --notary-server files.sql`"
        )),
        "rethinkdb" => {
            Err("files cannot be kept in rethinkdb, nor brought over from there; write settings with \
             `[storage]` for SQLite or PostgreSQL, and publish anew"
                .to_owned())
        }
        other => Err(format!(
            "files cannot be kept in {:?}; `memory` and `postgres` are taken over",
            visible_prefix(other, SHOWN)
        )),
    }
}

/// Notary's driver asks for TLS where the address says nothing of it.
fn with_tls(address: String) -> String {
    match Url::parse(&address) {
        Ok(mut url) if !url.query_pairs().any(|(name, _)| name == "sslmode") => {
            url.query_pairs_mut().append_pair("sslmode", "require");
            url.into()
        }
        _ => address,
    }
}

fn signer(given: &Given<'_>, folder: &Path, storage: &Storage) -> Result<Signer, String> {
    match given.needed("trust_service.type")?.as_str() {
        // Notary's keys end with its process, which is no more than a memory's files need.
        "local" if *storage == Storage::Memory => Ok(Signer::Inside(Some(Sealing::Unknown))),
        "local" => Ok(Signer::Inside(None)),
        "remote" => {
            let needed = |key: &str| {
                let file = given.text(key)?;
                file.map(PathBuf::from).ok_or_else(|| {
                    format!("`{key}` is missing; a signer is spoken to only with certificates on both sides")
                })
            };
            let port = given.needed("trust_service.port")?;
            let tls = TlsFiles {
                certificate: needed("trust_service.tls_client_cert")?,
                key: needed("trust_service.tls_client_key")?,
                authorities: needed("trust_service.tls_ca_file")?,
            };
            Ok(Signer::Remote(RemoteSigner {
                host: given.needed("trust_service.hostname")?,
                port: port
                    .parse()
                    .map_err(|_| format!("`trust_service.port` is {:?}", visible_prefix(&port, SHOWN)))?,
                tls: beneath(tls, folder),
            }))
        }
        other => Err(format!(
            "`trust_service.type` is `remote` or `local`, not {:?}",
            visible_prefix(other, SHOWN)
        )),
    }
}

fn key_algorithm(given: &Given<'_>) -> Result<KeyAlgorithm, String> {
    match given.text("trust_service.key_algorithm")?.as_deref() {
        None => Ok(KeyAlgorithm::P256),
        Some(name) => name.parse().map_err(|it| format!("`trust_service.key_algorithm`: {it}")),
    }
}

fn access(given: &Given<'_>, folder: &Path) -> Result<AccessSettings, String> {
    let option = |name: &str| given.needed(&format!("auth.options.{name}"));
    match given.text("auth.type")?.as_deref() {
        None => Ok(AccessSettings::None),
        Some("token") => {
            let bundle = given.path("auth.options.rootcertbundle", folder)?;
            let keys = match (bundle, given.path("auth.options.jwks", folder)?) {
                (Some(bundle), None) => TokenKeys::Bundle(bundle),
                (None, Some(file)) => TokenKeys::SetFile(file),
                _ => return Err("`auth.options` needs one of `rootcertbundle` and `jwks`".to_owned()),
            };
            Ok(AccessSettings::Token(TokenSettings {
                realm: header_text("realm", option("realm")?)?,
                service: header_text("service", option("service")?)?,
                issuer: option("issuer")?,
                keys,
                anonymous_pull: false,
            }))
        }
        Some("htpasswd") => Ok(AccessSettings::Htpasswd(HtpasswdSettings {
            realm: header_text("realm", option("realm")?)?,
            path: folder.join(option("path")?),
            anonymous_pull: false,
            groups: std::collections::BTreeMap::new(),
            rules: Vec::new(),
        })),
        Some(other) => Err(format!(
            "`auth.type` is {:?}; `token` and `htpasswd` are taken over",
            visible_prefix(other, SHOWN)
        )),
    }
}

fn max_age(given: &Given<'_>, key: &str, usual: Duration) -> Result<Duration, String> {
    let Some(text) = given.text(key)? else { return Ok(usual) };
    match text.parse() {
        Ok(seconds) if seconds <= YEAR => Ok(Duration::from_secs(seconds)),
        _ => Err(format!(
            "`{key}` is {:?}, not a number of seconds up to {YEAR}",
            visible_prefix(&text, SHOWN)
        )),
    }
}

fn gun_prefixes(given: &Given<'_>) -> Result<GunPrefixes, String> {
    let key = "repositories.gun_prefixes";
    let written = match given.variable(key) {
        Some(text) => text.split_whitespace().map(str::to_owned).collect(),
        None => match given.value(key) {
            None | Some(Value::Null) => Vec::new(),
            Some(value) => serde_json::from_value(value.clone()).map_err(|it| format!("`{key}`: {it}"))?,
        },
    };
    GunPrefixes::new(written).map_err(|it| format!("`{key}`: {it}"))
}

const PREFIX: &str = "NOTARY_SERVER_";
const TAKEN_OVER: &[&str] = &[
    "server.http_addr",
    "server.tls_cert_file",
    "server.tls_key_file",
    "server.client_ca_file",
    "trust_service.type",
    "trust_service.hostname",
    "trust_service.port",
    "trust_service.tls_ca_file",
    "trust_service.tls_client_cert",
    "trust_service.tls_client_key",
    "trust_service.key_algorithm",
    "storage.backend",
    "storage.db_url",
    "auth.type",
    "auth.options.realm",
    "auth.options.service",
    "auth.options.issuer",
    "auth.options.rootcertbundle",
    "auth.options.jwks",
    "auth.options.path",
    "caching.max_age.current_metadata",
    "caching.max_age.consistent_metadata",
    "repositories.gun_prefixes",
];
/// What a program of another house logs and reports is its own; the rest is `RethinkDB`'s, which is an
/// error of its own, and a switch that Notary's own servers do not look at.
const PASSED_OVER: &[&str] = &[
    "logging",
    "reporting",
    "server.grpc_addr",
    "storage.username",
    "storage.password",
    "storage.database",
    "storage.tls_ca_file",
    "storage.client_cert_file",
    "storage.client_key_file",
    "auth.options.autoredirect",
];
const YEAR: u64 = 31_536_000;
/// As much of a wrong value as a message shows.
const SHOWN: usize = 80;
