//! Which registries may be asked without TLS, as docker decides it.

use std::net::IpAddr;

use crate::text::visible_prefix;

/// The registries that may be asked without TLS: those on loopback, and those that were listed.
///
/// Unlike docker's engine, this looks up no names: a listed network holds addresses only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Insecure {
    hosts: Vec<String>,
    networks: Vec<Network>,
}

impl Insecure {
    /// Loopback only.
    #[must_use]
    pub fn loopback() -> Self {
        Self::default()
    }

    /// Loopback, and what the user listed: `host[:port]` or `address/bits`, as docker's
    /// `insecure-registries`.
    pub fn listed<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, InsecureError> {
        let mut listed = Self::default();
        for entry in entries {
            let unusable = || InsecureError { entry: visible_prefix(entry, SHOWN_LIMIT) };
            match entry.split_once('/') {
                Some((address, bits)) => {
                    listed.networks.push(Network::parse(address, bits).ok_or_else(unusable)?);
                }
                // Whatever is a registry in a reference is one here.
                None => match format!("{entry}/a").parse::<crate::image::Reference>() {
                    Ok(reference) if reference.domain() == entry && entry != "docker.io" => {
                        listed.hosts.push(entry.to_ascii_lowercase());
                    }
                    _ => return Err(unusable()),
                },
            }
        }
        Ok(listed)
    }

    /// Whether this registry, `host[:port]`, may be asked without TLS.
    #[must_use]
    pub fn allows(&self, registry: &str) -> bool {
        let registry = registry.to_ascii_lowercase();
        let host = host_of(&registry);
        if host == "localhost" || self.hosts.contains(&registry) {
            return true;
        }
        let Ok(address) = host.parse::<IpAddr>() else { return false };
        address.is_loopback() || self.networks.iter().any(|network| network.holds(address))
    }
}

/// An entry that names no registry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{entry}` is neither a registry (`host[:port]`) nor a network (`address/bits`)")]
pub struct InsecureError {
    entry: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    fn parse(address: &str, bits: &str) -> Option<Self> {
        let address: IpAddr = address.parse().ok()?;
        let bits = bits.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        (bits <= most).then_some(Self { address, bits })
    }

    fn holds(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - self.bits;
                network.to_bits().checked_shr(shift) == address.to_bits().checked_shr(shift)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128 - self.bits;
                network.to_bits().checked_shr(shift) == address.to_bits().checked_shr(shift)
            }
            _ => false,
        }
    }
}

/// `[::1]:5000` is at `::1`.
fn host_of(registry: &str) -> &str {
    match registry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, _)) => host,
        None => registry.split(':').next().unwrap_or(registry),
    }
}

/// Enough to recognise an entry.
const SHOWN_LIMIT: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_needs_no_tls() {
        let insecure = Insecure::loopback();
        for registry in
            ["localhost", "localhost:5000", "LOCALHOST:1", "127.0.0.1:5000", "127.255.0.1", "[::1]:5000"]
        {
            assert!(insecure.allows(registry), "{registry}");
        }
        for registry in
            ["docker.io", "localhost.example", "128.0.0.1", "[::2]:5000", "registry.example:5000", ""]
        {
            assert!(!insecure.allows(registry), "{registry}");
        }
    }

    #[test]
    fn others_are_listed() {
        let insecure =
            Insecure::listed(["registry.example:5000", "10.1.0.0/16", "fd00::/8", "0.0.0.0/32"]).unwrap();
        for registry in
            ["registry.example:5000", "Registry.Example:5000", "10.1.255.1:80", "[fd12::1]:5000", "0.0.0.0"]
        {
            assert!(insecure.allows(registry), "{registry}");
        }
        for registry in ["registry.example", "registry.example:5001", "10.2.0.1", "[fc00::1]", "0.0.0.1"] {
            assert!(!insecure.allows(registry), "{registry}");
        }
        assert!(Insecure::listed(["0.0.0.0/0"]).unwrap().allows("8.8.8.8"));
        for entry in
            ["", "a/b", "10.0.0.0/33", "::/129", "http://a", "docker.io", "acme", "a b", "10.0.0.0/-1"]
        {
            assert!(Insecure::listed([entry]).is_err(), "{entry}");
        }
    }
}
