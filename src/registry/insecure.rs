//! Which registries may be asked without TLS, as docker decides it.

use std::net::IpAddr;

/// The registries that may be asked without TLS: those on loopback, and those that were listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Insecure {
    hosts: Vec<String>,
    networks: Vec<(IpAddr, u8)>,
}

impl Insecure {
    /// Loopback only.
    #[must_use]
    pub fn loopback() -> Self {
        Self::default()
    }

    /// Loopback, and what the user listed: `host[:port]` or `address/bits`, as docker's `insecure-registries`.
    pub fn listed<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, InsecureError> {
        let _ = entries;
        todo!()
    }

    /// Whether this registry, `host[:port]`, may be asked without TLS.
    #[must_use]
    pub fn allows(&self, registry: &str) -> bool {
        let _ = (registry, &self.hosts, &self.networks);
        todo!()
    }
}

/// An entry that names no registry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{entry}` is neither a registry (`host[:port]`) nor a network (`address/bits`)")]
pub struct InsecureError {
    entry: String,
}
