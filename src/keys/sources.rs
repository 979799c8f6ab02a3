//! Passphrases that nobody has to be asked for.

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
    /// `NOTARY_DELEGATION_PASSPHRASE`.
    pub notary_delegation: Option<Passphrase>,
}

/// Answers from environment variables.
pub struct EnvironmentPassphrases {
    variables: PassphraseVariables,
}

impl EnvironmentPassphrases {
    /// Answers from these.
    #[must_use]
    pub fn new(variables: PassphraseVariables) -> Self {
        Self { variables }
    }
}

impl PassphraseSource for EnvironmentPassphrases {
    fn passphrase(&mut self, _request: &PassphraseRequest<'_>) -> Result<Passphrase, KeyError> {
        let _ = &self.variables;
        todo!()
    }
}

/// One passphrase for every key: out of a file, or of a file descriptor.
pub struct GivenPassphrase;

impl GivenPassphrase {
    /// The first line of a file.
    pub fn from_file(_path: &std::path::Path) -> Result<Self, KeyError> {
        todo!()
    }
    /// The first line of what an open file descriptor holds.
    pub fn from_descriptor(_number: u32) -> Result<Self, KeyError> {
        todo!()
    }
}

impl PassphraseSource for GivenPassphrase {
    fn passphrase(&mut self, _request: &PassphraseRequest<'_>) -> Result<Passphrase, KeyError> {
        todo!()
    }
}

/// Asks one source after the other.
pub struct ChainedPassphrases(pub Vec<Box<dyn PassphraseSource + Send>>);

impl PassphraseSource for ChainedPassphrases {
    fn passphrase(&mut self, _request: &PassphraseRequest<'_>) -> Result<Passphrase, KeyError> {
        todo!()
    }
}

/// Remembers the last passphrase of each kind of key.
pub struct CachedPassphrases<S>(S);

impl<S: PassphraseSource> CachedPassphrases<S> {
    /// Remembers what this source says.
    pub fn new(source: S) -> Self {
        Self(source)
    }
}

impl<S: PassphraseSource> PassphraseSource for CachedPassphrases<S> {
    fn passphrase(&mut self, request: &PassphraseRequest<'_>) -> Result<Passphrase, KeyError> {
        self.0.passphrase(request)
    }
}
