//! Key files.

/// What a key file says that its key is for: a base role, or the bare name of a signer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyRole(String);

impl KeyRole {
    /// `root`.
    #[must_use]
    pub fn root() -> Self {
        Self("root".to_owned())
    }
    /// `targets`.
    #[must_use]
    pub fn targets() -> Self {
        Self("targets".to_owned())
    }
    /// `snapshot`.
    #[must_use]
    pub fn snapshot() -> Self {
        Self("snapshot".to_owned())
    }
    /// `delegation`: what notary calls a key that nobody gave a name.
    #[must_use]
    pub fn delegation() -> Self {
        Self("delegation".to_owned())
    }
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for KeyRole {
    type Err = super::KeyError;
    fn from_str(_: &str) -> Result<Self, Self::Err> {
        todo!()
    }
}

impl std::fmt::Display for KeyRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
