//! Docker's credentials: `config.json` and credential helpers.
//!
//! A registry's name comes in, what docker would log in with goes out. Nothing here talks to a
//! network, and nothing but the one secret that was asked for is kept.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use zeroize::Zeroizing;

use super::error::excerpt;
use super::file::read_bounded;
use super::{HttpError, HttpOptions, Secret};

/// What docker would log in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Credential {
    /// A user and a password, or an access token in its place.
    Password { user: String, password: Secret },
    /// A token that is exchanged for others.
    IdentityToken(Secret),
    /// A token that is used as it is.
    RegistryToken(Secret),
}

/// Docker's credentials, each looked up once.
pub(super) struct Credentials {
    config_file: Option<PathBuf>,
    search_path: Option<OsString>,
    helper_time: Duration,
    known: tokio::sync::Mutex<HashMap<String, Arc<tokio::sync::OnceCell<Option<Credential>>>>>,
}

impl Credentials {
    pub(super) fn new(options: &HttpOptions) -> Self {
        Self {
            config_file: options.config_dir.as_ref().map(|folder| folder.join("config.json")),
            search_path: options.search_path.clone(),
            helper_time: options.timeouts.helper,
            known: tokio::sync::Mutex::default(),
        }
    }

    /// The credentials of a registry; `None` means anonymous.
    pub(super) async fn of_registry(&self, registry: &str) -> Result<Option<Credential>, HttpError> {
        let cell = Arc::clone(self.known.lock().await.entry(registry.to_owned()).or_default());
        let found = cell.get_or_try_init(|| self.look_up(registry)).await;
        found.cloned().map_err(|reason| HttpError::Credentials { registry: registry.to_owned(), reason })
    }

    /// The credentials as the engine takes them: base64 of JSON, `{}` without any.
    pub(super) async fn engine_header(&self, registry: &str) -> Result<Secret, HttpError> {
        let found = self.of_registry(registry).await?;
        let server = if registry == "docker.io" { HUB_KEY } else { registry };
        let fields: Vec<(&str, &str)> = match &found {
            None => Vec::new(),
            Some(Credential::Password { user, password }) => {
                vec![("username", user), ("password", password.expose()), ("serveraddress", server)]
            }
            Some(Credential::IdentityToken(token)) => {
                vec![("identitytoken", token.expose()), ("serveraddress", server)]
            }
            Some(Credential::RegistryToken(token)) => {
                vec![("registrytoken", token.expose()), ("serveraddress", server)]
            }
        };
        let fields: std::collections::BTreeMap<&str, &str> = fields.into_iter().collect();
        let json = Zeroizing::new(serde_json::to_vec(&fields).map_err(|_| HttpError::Credentials {
            registry: registry.to_owned(),
            reason: "they can't be written as JSON".to_owned(),
        })?);
        Ok(Secret::new(BASE64_URL_SAFE.encode(json.as_slice())))
    }

    async fn look_up(&self, registry: &str) -> Result<Option<Credential>, String> {
        let Some(mut config) = self.config()? else { return Ok(None) };
        let key = if registry == "docker.io" { HUB_KEY } else { registry };
        match config.helper(key) {
            Some(helper) => self.ask_helper(&helper, key).await,
            None => config.take_entry(key).map_or(Ok(None), AuthEntry::credential),
        }
    }

    fn config(&self) -> Result<Option<ConfigFile>, String> {
        let Some(path) = &self.config_file else { return Ok(None) };
        let bytes = match read_bounded(path, CONFIG_LIMIT) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("`{}`: {error}", path.display())),
        };
        // The parser's own message could quote a secret.
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            format!("`{}` is not docker's configuration (line {})", path.display(), error.line())
        })
    }

    /// Runs `docker-credential-<helper> get`.
    async fn ask_helper(&self, helper: &str, key: &str) -> Result<Option<Credential>, String> {
        // The name becomes a program; docker's own helpers are plain words.
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if helper.is_empty() || !helper.bytes().all(plain) {
            return Err(format!("`{}` is not the name of a credential helper", excerpt(helper)));
        }
        let program = format!("docker-credential-{helper}");
        let answer = match tokio::time::timeout(self.helper_time, self.run(&program, key)).await {
            Ok(answer) => answer.map_err(|error| format!("`{program}`: {error}"))?,
            Err(_) => return Err(format!("`{program}` took too long")),
        };
        if !answer.success {
            let text = String::from_utf8_lossy(&answer.output);
            return if text.contains("credentials not found") {
                Ok(None)
            } else if text.trim_start().starts_with('{') {
                Err(format!("`{program}` reported an error"))
            } else {
                Err(format!("`{program}` said: {}", excerpt(&text)))
            };
        }
        let reply: HelperReply = serde_json::from_slice(&answer.output)
            .map_err(|_| format!("`{program}` gave no JSON with `Username` and `Secret`"))?;
        Ok(match reply.user.as_str() {
            _ if reply.secret.expose().is_empty() => None,
            "<token>" => Some(Credential::IdentityToken(reply.secret)),
            _ => Some(Credential::Password { user: reply.user, password: reply.secret }),
        })
    }

    async fn run(&self, program: &str, key: &str) -> std::io::Result<HelperAnswer> {
        let mut command = tokio::process::Command::new(self.resolve(program)?);
        command.arg("get").kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(std::io::Error::other("it has no standard input or output"));
        };
        // A helper that answers without reading closes the pipe: that is its right.
        let _ = stdin.write_all(key.as_bytes()).await;
        drop(stdin);
        let mut output = Zeroizing::new(Vec::with_capacity(HELPER_CAPACITY));
        stdout.take(HELPER_LIMIT + 1).read_to_end(&mut output).await?;
        if u64::try_from(output.len()).map_or(true, |length| length > HELPER_LIMIT) {
            return Err(std::io::Error::other(format!("its answer is longer than {HELPER_LIMIT} bytes")));
        }
        Ok(HelperAnswer { success: child.wait().await?.success(), output })
    }

    fn resolve(&self, program: &str) -> std::io::Result<PathBuf> {
        let Some(path) = &self.search_path else { return Ok(PathBuf::from(program)) };
        std::env::split_paths(path)
            .map(|folder| folder.join(program))
            .find(|candidate| candidate.is_file())
            .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::NotFound, "it is not in PATH"))
    }
}

struct HelperAnswer {
    success: bool,
    output: Zeroizing<Vec<u8>>,
}

#[derive(Deserialize)]
struct HelperReply {
    #[serde(rename = "Username")]
    user: String,
    #[serde(rename = "Secret")]
    secret: Secret,
}

/// The part of docker's `config.json` that is about credentials.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ConfigFile {
    auths: Option<HashMap<String, AuthEntry>>,
    creds_store: Option<String>,
    cred_helpers: Option<HashMap<String, String>>,
}

impl ConfigFile {
    /// The helper of this registry, else the store of all.
    fn helper(&self, key: &str) -> Option<String> {
        let helpers = self.cred_helpers.as_ref();
        let own = helpers.and_then(|helpers| {
            helpers.iter().find(|(known, _)| known.as_str() == key || host_of(known) == host_of(key))
        });
        own.map(|(_, helper)| helper).or(self.creds_store.as_ref()).filter(|name| !name.is_empty()).cloned()
    }

    /// The entry of this registry: by its exact key, else by its host, as docker does for entries
    /// of old versions (`https://registry.example/v1/`).
    fn take_entry(&mut self, key: &str) -> Option<AuthEntry> {
        let auths = self.auths.as_mut()?;
        auths.remove(key).or_else(|| {
            let mut same: Vec<String> =
                auths.keys().filter(|known| host_of(known) == host_of(key)).cloned().collect();
            same.sort();
            auths.remove(same.first()?)
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AuthEntry {
    auth: Option<Secret>,
    username: Option<String>,
    password: Option<Secret>,
    identitytoken: Option<Secret>,
    registrytoken: Option<Secret>,
}

impl AuthEntry {
    fn credential(self) -> Result<Option<Credential>, String> {
        let given = |secret: &Secret| !secret.expose().is_empty();
        if let Some(token) = self.identitytoken.filter(given) {
            return Ok(Some(Credential::IdentityToken(token)));
        }
        if let Some(token) = self.registrytoken.filter(given) {
            return Ok(Some(Credential::RegistryToken(token)));
        }
        if let Some(auth) = self.auth.filter(given) {
            return decode(&auth).map(Some);
        }
        Ok(match (self.username, self.password) {
            (Some(user), Some(password)) if !user.is_empty() => Some(Credential::Password { user, password }),
            _ => None,
        })
    }
}

/// `base64(user:password)`; docker cuts off trailing NULs.
fn decode(auth: &Secret) -> Result<Credential, String> {
    let malformed = || "`auth` in docker's configuration is not base64 of `user:password`".to_owned();
    let bytes = Zeroizing::new(BASE64_STANDARD.decode(auth.expose().trim()).map_err(|_| malformed())?);
    let text = std::str::from_utf8(&bytes).map_err(|_| malformed())?;
    let (user, password) = text.split_once(':').ok_or_else(malformed)?;
    let password = Secret::new(password.trim_matches('\0').to_owned());
    Ok(Credential::Password { user: user.to_owned(), password })
}

/// `https://registry.example/v1/` and `registry.example` are one host; so are the Hub's names.
fn host_of(key: &str) -> &str {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    match bare.split('/').next().unwrap_or(bare) {
        "docker.io" => "index.docker.io",
        host => host,
    }
}

/// What docker files the Hub's credentials under.
const HUB_KEY: &str = "https://index.docker.io/v1/";
/// A configuration has a few kilobytes.
const CONFIG_LIMIT: u64 = 1 << 20;
/// Identity tokens have a few kilobytes.
const HELPER_LIMIT: u64 = 64 << 10;
/// Enough that the buffer does not move, leaving copies of a secret behind.
const HELPER_CAPACITY: usize = 65 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_engine_gets_what_docker_would_log_in_with() {
        let folder = tempfile::tempdir().unwrap();
        let config = serde_json::json!({ "auths": {
            HUB_KEY: { "auth": BASE64_STANDARD.encode("ann:pa:ss?>") },
            "registry.example": { "identitytoken": "it" },
            "token.example:5000": { "registrytoken": "rt" },
        }});
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        let options = HttpOptions { config_dir: Some(folder.path().to_owned()), ..HttpOptions::new() };
        let credentials = Credentials::new(&options);
        for (registry, expected) in [
            (
                "docker.io",
                serde_json::json!({"username": "ann", "password": "pa:ss?>", "serveraddress": HUB_KEY}),
            ),
            (
                "registry.example",
                serde_json::json!({"identitytoken": "it", "serveraddress": "registry.example"}),
            ),
            (
                "token.example:5000",
                serde_json::json!({"registrytoken": "rt", "serveraddress": "token.example:5000"}),
            ),
            ("unknown.example", serde_json::json!({})),
        ] {
            let header = credentials.engine_header(registry).await.unwrap();
            let json = BASE64_URL_SAFE.decode(header.expose()).unwrap();
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&json).unwrap(), expected, "{registry}");
        }
    }
}
