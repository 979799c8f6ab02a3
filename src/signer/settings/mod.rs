//! What `trustgate-signer` is told by its file: our TOML, or the JSON of a notary-signer.
//!
//! Unknown keys of our own file are errors: a misspelt one must not be a setting that is not in force.

mod notary;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use zeroize::Zeroizing;

use super::rows::Alias;
use super::tls::TlsFiles;
use super::vault::{Lookup, SealingKey, SealingKeys, SecretError, SecretForm, SecretPlace, SecretSource};
use crate::http::read_bounded;

/// Everything that a signer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The address to listen at.
    pub listen: String,
    /// Certificates of both sides.
    pub tls: TlsFiles,
    /// Where sealed keys are kept.
    pub storage: Storage,
    /// What keys are sealed with.
    pub sealing: Sealing,
}

/// Where sealed keys are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In this process, with which they end.
    Memory,
    /// In a PostgreSQL database, which several signers may share.
    Postgres {
        /// Where its address is.
        address: SecretPlace,
    },
    /// In the database of a notary-signer, beside the keys that it left there.
    Taken {
        /// The address.
        address: DatabaseAddress,
    },
    /// In a SQLite file.
    Sqlite {
        /// The file.
        path: PathBuf,
    },
}

/// The address of a database, which may have a password in it.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseAddress(Zeroizing<String>);

impl DatabaseAddress {
    /// The address itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DatabaseAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// What keys are sealed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sealing {
    /// A key that nobody knows and that ends with the process, as the keys in memory do.
    Unknown,
    /// Key-encryption keys from elsewhere.
    Keys {
        /// The one that seals.
        current: Alias,
        /// Where each comes from.
        sources: BTreeMap<Alias, SecretSource>,
    },
}

impl Settings {
    /// Reads a file: JSON where its name says so, else TOML. Paths in it are relative to its folder.
    pub fn load(path: &Path, variables: Lookup<'_>) -> Result<Self, SettingsError> {
        let unusable = |reason: String| SettingsError { path: path.to_owned(), reason };
        let bytes = read_bounded(path, FILE_LIMIT).map_err(|it| unusable(it.to_string()))?;
        let text = std::str::from_utf8(&bytes).map_err(|_| unusable("it is not UTF-8".to_owned()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let json = path.extension().is_some_and(|it| it == "json");
        let read = if json { notary::parse(text, variables) } else { parse(text) };
        read.map(|settings| settings.beneath(folder)).map_err(unusable)
    }

    fn beneath(mut self, folder: &Path) -> Self {
        let tls = &mut self.tls;
        for path in [&mut tls.certificate, &mut tls.key, &mut tls.authorities] {
            *path = folder.join(&*path);
        }
        match &mut self.storage {
            Storage::Postgres { address: SecretPlace::File(path) } | Storage::Sqlite { path } => {
                *path = folder.join(&*path);
            }
            Storage::Memory | Storage::Postgres { .. } | Storage::Taken { .. } => {}
        }
        self.sealing.beneath(folder);
        self
    }
}

impl Sealing {
    /// Has paths be relative to a folder.
    pub(crate) fn beneath(&mut self, folder: &Path) {
        if let Self::Keys { sources, .. } = self {
            for source in sources.values_mut() {
                if let SecretPlace::File(path) = &mut source.place {
                    *path = folder.join(&*path);
                }
            }
        }
    }

    /// Fetches the key-encryption keys.
    pub async fn fetch(&self, variables: Lookup<'_>) -> Result<SealingKeys, SealingError> {
        match self {
            Self::Unknown => {
                let key = SealingKey::random().map_err(SealingError::Random)?;
                Ok(SealingKeys::new(alias_in_memory(), key))
            }
            Self::Keys { current, sources } => {
                let source = sources.get(current).ok_or_else(|| SealingError::Current(current.clone()))?;
                let mut keys = SealingKeys::new(current.clone(), source.fetch(current, variables).await?);
                for (alias, source) in sources.iter().filter(|(alias, _)| *alias != current) {
                    keys = keys.with(alias.clone(), source.fetch(alias, variables).await?);
                }
                Ok(keys)
            }
        }
    }
}

/// A file of settings that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the settings in `{}` cannot be used: {reason}", path.display())]
pub struct SettingsError {
    path: PathBuf,
    reason: String,
}

/// Why there is nothing to seal with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealingError {
    /// The alias that seals has no key-encryption key.
    #[error("there is no key-encryption key `{0}`, under which keys are to be sealed")]
    Current(Alias),
    /// The system gives no randomness.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
    /// A key-encryption key cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default = "default_listen")]
    listen: String,
    tls: TlsFiles,
    storage: StorageTable,
    sealing: Option<SealingTable>,
}

#[derive(Deserialize)]
#[serde(tag = "backend", rename_all = "kebab-case", deny_unknown_fields)]
enum StorageTable {
    Memory {},
    Postgres { file: Option<PathBuf>, environment: Option<String>, command: Option<Vec<String>> },
    Sqlite { path: PathBuf },
}

impl StorageTable {
    fn storage(self) -> Result<Storage, String> {
        match self {
            Self::Memory {} => Ok(Storage::Memory),
            Self::Postgres { file, environment, command } => {
                let address = place(file, environment, command).ok_or(
                    "`storage` needs one of `file`, `environment` and `command`, which gives the address of the \
                     PostgreSQL database: it may have a password in it, so it is not written here",
                )?;
                Ok(Storage::Postgres { address })
            }
            Self::Sqlite { path } => Ok(Storage::Sqlite { path }),
        }
    }
}

/// What keys are sealed with, as a file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SealingTable {
    current: String,
    keys: BTreeMap<String, SourceTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceTable {
    file: Option<PathBuf>,
    environment: Option<String>,
    command: Option<Vec<String>>,
    #[serde(default)]
    form: SecretForm,
}

fn parse(text: &str) -> Result<Settings, String> {
    let Document { listen, tls, storage, sealing } =
        toml::from_str(text).map_err(|it| it.to_string().trim_end().to_owned())?;
    let storage = storage.storage()?;
    let sealing = match (sealing, &storage) {
        (Some(table), _) => table.sealing()?,
        (None, Storage::Memory) => Sealing::Unknown,
        (None, _) => {
            return Err("`sealing` is missing, which says what keys are sealed with before they are stored"
                .to_owned());
        }
    };
    Ok(Settings { listen, tls, storage, sealing })
}

impl SealingTable {
    /// What it says.
    pub(crate) fn sealing(self) -> Result<Sealing, String> {
        let mut sources = BTreeMap::new();
        for (name, table) in self.keys {
            let source = table.source().ok_or_else(|| {
                format!("the key-encryption key {name:?} needs one of `file`, `environment` and `command`")
            })?;
            sources.insert(alias(&name)?, source);
        }
        let current = alias(&self.current)?;
        if !sources.contains_key(&current) {
            return Err(SealingError::Current(current).to_string());
        }
        Ok(Sealing::Keys { current, sources })
    }
}

impl SourceTable {
    fn source(self) -> Option<SecretSource> {
        let place = place(self.file, self.environment, self.command)?;
        Some(SecretSource { place, form: self.form })
    }
}

/// The one place of a secret that is named.
pub(crate) fn place(
    file: Option<PathBuf>,
    environment: Option<String>,
    command: Option<Vec<String>>,
) -> Option<SecretPlace> {
    match (file, environment, command) {
        (Some(path), None, None) => Some(SecretPlace::File(path)),
        (None, Some(name), None) => Some(SecretPlace::Environment(name)),
        (None, None, Some(words)) => Some(SecretPlace::Command(words)),
        _ => None,
    }
}

fn alias(name: &str) -> Result<Alias, String> {
    name.parse().map_err(|it| format!("{name:?} is no alias: {it}"))
}

fn alias_in_memory() -> Alias {
    ALIAS_IN_MEMORY.parse().expect("the name is an alias")
}

fn default_listen() -> String {
    DEFAULT_LISTEN.to_owned()
}

/// Notary's port, for this machine alone.
const DEFAULT_LISTEN: &str = "127.0.0.1:7899";
const ALIAS_IN_MEMORY: &str = "memory";
/// A file of settings has a few hundred bytes.
const FILE_LIMIT: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const TLS: &str = "[tls]\ncertificate = \"s.crt\"\nkey = \"/s.key\"\nauthorities = \"ca.crt\"\n";
    const MEMORY: &str = "[storage]\nbackend = \"memory\"\n";

    fn no_variables(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn a_file_says_where_everything_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signer.toml");
        let sealing = "[sealing]\ncurrent = \"2026\"\n[sealing.keys.2026]\nfile = \"kek\"\n\
                       [sealing.keys.old]\nenvironment = \"OLD\"\nform = \"passphrase\"\n";
        std::fs::write(&path, format!("listen = \"[::]:7899\"\n{TLS}{MEMORY}{sealing}")).unwrap();
        let settings = Settings::load(&path, &no_variables).unwrap();
        assert_eq!(settings.listen, "[::]:7899");
        assert_eq!(settings.tls.certificate, folder.path().join("s.crt"));
        assert_eq!(settings.tls.key, Path::new("/s.key"));
        let file = SecretPlace::File(folder.path().join("kek"));
        let variable = SecretPlace::Environment("OLD".to_owned());
        let sources = BTreeMap::from([
            ("2026".parse().unwrap(), SecretSource { place: file, form: SecretForm::Key }),
            ("old".parse().unwrap(), SecretSource { place: variable, form: SecretForm::Passphrase }),
        ]);
        assert_eq!(settings.sealing, Sealing::Keys { current: "2026".parse().unwrap(), sources });
    }

    #[test]
    fn what_is_missing_or_unknown_is_told() {
        let sealed = |keys: &str| format!("{TLS}{MEMORY}[sealing]\ncurrent = \"a\"\n{keys}");
        let cases = [
            (String::new(), "missing field `tls`"),
            (TLS.to_owned(), "missing field `storage`"),
            (format!("{TLS}[storage]\nbackend = \"rethinkdb\"\n"), "unknown variant `rethinkdb`"),
            (format!("{TLS}[storage]\nbackend = \"sqlite\"\n"), "missing field `path`"),
            (format!("{TLS}[storage]\nbackend = \"sqlite\"\npath = \"k\"\n"), "`sealing` is missing"),
            (format!("{TLS}[storage]\nbackend = \"postgres\"\n"), "`storage` needs one of"),
            (format!("{TLS}[storage]\nbackend = \"postgres\"\nurl = \"postgres://\"\n"), "unknown field"),
            (
                format!("{TLS}[storage]\nbackend = \"postgres\"\nfile = \"a\"\nenvironment = \"A\"\n"),
                "one of",
            ),
            (format!("{TLS}{MEMORY}[sealign]\n"), "unknown field `sealign`"),
            (format!("{TLS}skip-client-certificates = true\n{MEMORY}"), "unknown field"),
            (sealed("[sealing.keys.b]\nfile = \"b\"\n"), "no key-encryption key `a`"),
            (sealed("[sealing.keys.a]\n"), "needs one of `file`"),
            (sealed("[sealing.keys.a]\nfile = \"a\"\nenvironment = \"A\"\n"), "needs one of `file`"),
            (sealed("[sealing.keys.\"a b\"]\nfile = \"b\"\n"), "\"a b\" is no alias"),
            (sealed("[sealing.keys.a]\nfile = \"a\"\nform = \"hex\"\n"), "unknown variant `hex`"),
        ];
        for (text, reason) in cases {
            let told = parse(&text).unwrap_err();
            assert!(told.contains(reason), "{told}\nnot {reason}");
        }
    }

    #[test]
    fn databases_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signer.toml");
        let sealing = "[sealing]\ncurrent = \"a\"\n[sealing.keys.a]\nfile = \"a\"\n";
        let storage = |table: &str| {
            std::fs::write(&path, format!("{TLS}[storage]\n{table}\n{sealing}")).unwrap();
            Settings::load(&path, &no_variables).unwrap().storage
        };
        let sqlite = storage("backend = \"sqlite\"\npath = \"keys.db\"");
        assert_eq!(sqlite, Storage::Sqlite { path: folder.path().join("keys.db") });
        let address = SecretPlace::File(folder.path().join("url"));
        assert_eq!(storage("backend = \"postgres\"\nfile = \"url\""), Storage::Postgres { address });
        let address = SecretPlace::Environment("URL".to_owned());
        let postgres = storage("backend = \"postgres\"\nenvironment = \"URL\"");
        assert_eq!(postgres, Storage::Postgres { address });
    }

    #[tokio::test]
    async fn keys_in_memory_need_no_sealing() {
        let settings = parse(&format!("{TLS}{MEMORY}")).unwrap();
        assert_eq!((settings.listen.as_str(), &settings.sealing), (DEFAULT_LISTEN, &Sealing::Unknown));
        settings.sealing.fetch(&no_variables).await.unwrap();
    }
}
