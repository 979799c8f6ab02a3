//! Passphrases that nobody has to be asked for, and sources made of other sources.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::disk::{self, Links};
use super::{KeyError, Passphrase, PassphraseRequest, PassphraseSource};

/// The passphrases of docker's and notary's environment variables.
#[derive(Clone, Debug, Default)]
pub struct PassphraseVariables {
    /// `DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE`.
    pub docker_root: Option<Passphrase>,
    /// `DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE`: every key but root keys.
    pub docker_repository: Option<Passphrase>,
    /// `NOTARY_ROOT_PASSPHRASE`.
    pub notary_root: Option<Passphrase>,
    /// `NOTARY_TARGETS_PASSPHRASE`.
    pub notary_targets: Option<Passphrase>,
    /// `NOTARY_SNAPSHOT_PASSPHRASE`.
    pub notary_snapshot: Option<Passphrase>,
    /// `NOTARY_DELEGATION_PASSPHRASE`: every key of a delegation.
    pub notary_delegation: Option<Passphrase>,
}

impl PassphraseVariables {
    /// Reads them; an empty variable counts as unset, as in docker.
    pub fn read(mut variable: impl FnMut(&str) -> Option<String>) -> Self {
        let mut read = |name| variable(name).map(Passphrase::new).filter(|it| !it.is_empty());
        Self {
            docker_root: read(DOCKER_ROOT),
            docker_repository: read(DOCKER_REPOSITORY),
            notary_root: read("NOTARY_ROOT_PASSPHRASE"),
            notary_targets: read("NOTARY_TARGETS_PASSPHRASE"),
            notary_snapshot: read("NOTARY_SNAPSHOT_PASSPHRASE"),
            notary_delegation: read("NOTARY_DELEGATION_PASSPHRASE"),
        }
    }

    /// Those that are for such a key, docker's first.
    fn candidates(&self, role: &str) -> impl Iterator<Item = (&'static str, &Passphrase)> {
        let docker = match role {
            "root" => (DOCKER_ROOT, &self.docker_root),
            _ => (DOCKER_REPOSITORY, &self.docker_repository),
        };
        let notary = match role {
            "root" => ("NOTARY_ROOT_PASSPHRASE", &self.notary_root),
            "targets" => ("NOTARY_TARGETS_PASSPHRASE", &self.notary_targets),
            "snapshot" => ("NOTARY_SNAPSHOT_PASSPHRASE", &self.notary_snapshot),
            _ => ("NOTARY_DELEGATION_PASSPHRASE", &self.notary_delegation),
        };
        [docker, notary].into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)))
    }
}

/// Answers from environment variables. Where one is set for a key, nobody is asked for its passphrase.
#[derive(Clone, Debug)]
pub struct EnvironmentPassphrases {
    variables: PassphraseVariables,
}

impl EnvironmentPassphrases {
    /// Answers from these.
    #[must_use]
    pub fn new(variables: PassphraseVariables) -> Self {
        Self { variables }
    }

    fn candidate(&self, request: &PassphraseRequest<'_>) -> Option<(&'static str, &Passphrase)> {
        let attempt = usize::try_from(request.attempt).unwrap_or(usize::MAX);
        self.variables.candidates(request.alias()).nth(attempt)
    }
}

impl PassphraseSource for EnvironmentPassphrases {
    fn passphrase(&mut self, request: &PassphraseRequest<'_>) -> Result<Passphrase, KeyError> {
        match self.candidate(request) {
            Some((_, passphrase)) => Ok(passphrase.clone()),
            None if self.variables.candidates(request.alias()).next().is_none() => Err(request.unknown()),
            None => Err(request.wrong(self.name(request))),
        }
    }

    fn name(&self, request: &PassphraseRequest<'_>) -> String {
        let names: Vec<_> =
            self.variables.candidates(request.alias()).map(|(name, _)| format!("`{name}`")).collect();
        if names.is_empty() { "the environment".to_owned() } else { names.join(" or ") }
    }
}

/// One passphrase for every key: out of a file, or of a file descriptor.
#[derive(Clone, Debug)]
pub struct GivenPassphrase {
    passphrase: Passphrase,
    name: String,
}

impl GivenPassphrase {
    /// The first line of a file.
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        // A mounted secret is a link in many places.
        let (content, _) = disk::read_at_most(path, PASSPHRASE_LIMIT, Links::Followed)?;
        Self::first_line(&content, format!("`{}`", path.display()))
    }

    /// The first line of what comes out of an open file descriptor, which is read to its end.
    pub fn from_descriptor(descriptor: OwnedFd) -> Result<Self, KeyError> {
        let name = "the file descriptor".to_owned();
        match disk::read_to_end(File::from(descriptor), PASSPHRASE_LIMIT) {
            Ok(content) => Self::first_line(&content, name),
            Err(error) => {
                Err(KeyError::PassphraseUnreadable { source_name: name, reason: error.to_string() })
            }
        }
    }

    fn first_line(content: &[u8], name: String) -> Result<Self, KeyError> {
        let unusable = |reason: &str| KeyError::PassphraseUnreadable {
            source_name: name.clone(),
            reason: reason.to_owned(),
        };
        let line = content.split(|it| *it == b'\n').next().unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = std::str::from_utf8(line).map_err(|_| unusable("it is not UTF-8"))?;
        if text.is_empty() {
            return Err(unusable("its first line is empty"));
        }
        Ok(Self { passphrase: Passphrase::new(text.to_owned()), name })
    }
}

impl PassphraseSource for GivenPassphrase {
    fn passphrase(&mut self, request: &PassphraseRequest<'_>) -> Result<Passphrase, KeyError> {
        if request.attempt == 0 { Ok(self.passphrase.clone()) } else { Err(request.wrong(self.name.clone())) }
    }

    fn name(&self, _request: &PassphraseRequest<'_>) -> String {
        self.name.clone()
    }
}

/// Asks one source after the other, until one knows of such a key.
#[derive(Default)]
pub struct ChainedPassphrases {
    sources: Vec<Box<dyn PassphraseSource + Send>>,
    answered: Option<usize>,
}

impl ChainedPassphrases {
    /// Asks these, the first one first.
    #[must_use]
    pub fn new(sources: Vec<Box<dyn PassphraseSource + Send>>) -> Self {
        Self { sources, answered: None }
    }
}

impl PassphraseSource for ChainedPassphrases {
    fn passphrase(&mut self, request: &PassphraseRequest<'_>) -> Result<Passphrase, KeyError> {
        for (index, source) in self.sources.iter_mut().enumerate() {
            match source.passphrase(request) {
                Err(KeyError::NoPassphrase { .. }) => {}
                answer => {
                    self.answered = Some(index);
                    return answer;
                }
            }
        }
        Err(request.unknown())
    }

    fn name(&self, request: &PassphraseRequest<'_>) -> String {
        let answered = self.answered.and_then(|it| self.sources.get(it));
        answered.map_or_else(|| "nowhere".to_owned(), |it| it.name(request))
    }
}

/// Remembers the last passphrase of each kind of key, so that people are asked once.
pub struct CachedPassphrases<S> {
    source: S,
    known: BTreeMap<String, Passphrase>,
}

impl<S: PassphraseSource> CachedPassphrases<S> {
    /// Remembers what this source says.
    pub fn new(source: S) -> Self {
        Self { source, known: BTreeMap::new() }
    }
}

impl<S: PassphraseSource> PassphraseSource for CachedPassphrases<S> {
    fn passphrase(&mut self, request: &PassphraseRequest<'_>) -> Result<Passphrase, KeyError> {
        if request.attempt == 0
            && let Some(known) = self.known.get(request.alias())
        {
            return Ok(known.clone());
        }
        let passphrase = self.source.passphrase(request)?;
        self.known.insert(request.alias().to_owned(), passphrase.clone());
        Ok(passphrase)
    }

    fn name(&self, request: &PassphraseRequest<'_>) -> String {
        self.source.name(request)
    }
}

const DOCKER_ROOT: &str = "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE";
const DOCKER_REPOSITORY: &str = "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE";
/// Longer than anybody types; a wrong file should not be taken for a passphrase.
const PASSPHRASE_LIMIT: usize = 4096;
