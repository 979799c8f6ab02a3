//! Values of settings that are checked as they are read: bounded numbers, times, sizes, prefixes.
//!
//! The check is part of the type, so that an error stands under the value in the file.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use url::Url;

use crate::image::Gun;
use crate::text::visible_prefix;

/// A number between two others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number<const LEAST: u32, const MOST: u32>(pub(super) u32);

/// A time as `90s`, `5m`, `12h` or `14d`, between two numbers of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span<const LEAST: u64, const MOST: u64>(pub(super) Duration);

/// A size as `64MiB`, `512KiB` or a number of bytes, between two numbers of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size<const LEAST: u64, const MOST: u64>(pub(super) u64);

/// A URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WebAddress(pub(super) Url);

/// A network of IP addresses: `10.0.0.0/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Which repositories are meant: those whose names begin so, each with `/` at the end. None: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GunPrefixes {
    prefixes: Vec<String>,
}

/// A value that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ValueError {
    reason: String,
}

impl GunPrefixes {
    /// These prefixes.
    pub fn new(prefixes: Vec<String>) -> Result<Self, ValueError> {
        if PREFIX_LIMIT < prefixes.len() {
            return Err(wrong(format!("there are more than {PREFIX_LIMIT} prefixes")));
        }
        for prefix in &prefixes {
            let shown = visible_prefix(prefix, SHOWN);
            let Some(name) = prefix.strip_suffix('/') else {
                return Err(wrong(format!("the prefix {shown:?} does not end with `/`")));
            };
            if name.parse::<Gun>().is_err() {
                return Err(wrong(format!("no repository's name begins with {shown:?}")));
            }
        }
        Ok(Self { prefixes })
    }

    /// Whether a repository is one of them.
    #[must_use]
    pub fn take(&self, gun: &Gun) -> bool {
        self.prefixes.is_empty() || self.prefixes.iter().any(|it| gun.as_str().starts_with(it))
    }

    /// The prefixes; none: all repositories are meant.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.prefixes
    }
}

impl Network {
    /// Whether an address is in it. An IPv4 address in IPv6's clothes is the one that it is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let unfit =
            || wrong(format!("{:?} is no network, such as `10.0.0.0/8`", visible_prefix(text, SHOWN)));
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| unfit())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(longest), str::parse).map_err(|_| unfit())?;
        if longest < prefix {
            return Err(unfit());
        }
        Ok(Self { address, prefix })
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for WebAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Url::parse(&text)
            .map(Self)
            .map_err(|it| de::Error::custom(format!("{:?} is no URL: {it}", visible_prefix(&text, SHOWN))))
    }
}

impl<'de> Deserialize<'de> for GunPrefixes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Vec::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl<'de, const LEAST: u32, const MOST: u32> Deserialize<'de> for Number<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        match u32::try_from(number) {
            Ok(it) if (LEAST..=MOST).contains(&it) => Ok(Self(it)),
            _ => Err(de::Error::custom(format!("{number} is not between {LEAST} and {MOST}"))),
        }
    }
}

impl<'de, const LEAST: u64, const MOST: u64> Deserialize<'de> for Span<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let seconds = measured(&text, &TIME_UNITS).ok_or_else(|| {
            de::Error::custom(format!(
                "{:?} is no time, such as `90s`, `5m`, `12h` or `14d`",
                visible_prefix(&text, SHOWN)
            ))
        })?;
        if (LEAST..=MOST).contains(&seconds) {
            return Ok(Self(Duration::from_secs(seconds)));
        }
        let (least, most) = (in_units(LEAST, &TIME_UNITS), in_units(MOST, &TIME_UNITS));
        Err(de::Error::custom(format!("{text} is not between {least} and {most}")))
    }
}

impl<'de, const LEAST: u64, const MOST: u64> Deserialize<'de> for Size<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = deserializer.deserialize_any(SizeVisitor)?;
        if (LEAST..=MOST).contains(&bytes) {
            return Ok(Self(bytes));
        }
        let (least, most) = (in_units(LEAST, &SIZE_UNITS), in_units(MOST, &SIZE_UNITS));
        Err(de::Error::custom(format!("{bytes} bytes are not between {least} and {most}")))
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size such as `64MiB`, or a number of bytes")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<u64, E> {
        u64::try_from(number).map_err(|_| E::custom("a size is not negative"))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<u64, E> {
        Ok(number)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
        measured(text, &SIZE_UNITS).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

/// The number of a text such as `14d` in its least unit.
fn measured(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|it: char| !it.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// The other way, in the greatest unit that fits.
fn in_units(number: u64, units: &[(&str, u64)]) -> String {
    let fitting = units.iter().rev().find(|(_, factor)| *factor <= number && number.is_multiple_of(*factor));
    let (name, factor) = fitting.or(units.first()).copied().unwrap_or(("", 1));
    format!("{}{name}", number / factor)
}

fn wrong(reason: String) -> ValueError {
    ValueError { reason }
}

const TIME_UNITS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
const SIZE_UNITS: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
/// Each is compared with the name of every repository that is asked for.
const PREFIX_LIMIT: usize = 1000;
/// As much of a wrong value as a message shows.
const SHOWN: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_addresses() {
        let network = |text: &str| text.parse::<Network>().unwrap();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        for (of, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("10.1.2.3", "10.1.2.3", "10.1.2.2"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("10.0.0.0/8", "::ffff:10.0.0.1", "::ffff:11.0.0.1"),
            ("fd00::/8", "fdff::1", "fe80::1"),
            ("::/0", "::1", "127.0.0.1"),
        ] {
            assert!(network(of).contains(address(inside)), "{of} {inside}");
            assert!(!network(of).contains(address(outside)), "{of} {outside}");
        }
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/-1", "host"] {
            assert!(text.parse::<Network>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn prefixes_begin_names() {
        let prefixes = |texts: &[&str]| GunPrefixes::new(texts.iter().map(|it| (*it).to_owned()).collect());
        let gun = |text: &str| text.parse::<Gun>().unwrap();
        let two = prefixes(&["docker.io/acme/", "localhost:5000/"]).unwrap();
        assert!(two.take(&gun("docker.io/acme/web")) && two.take(&gun("localhost:5000/a/b")));
        assert!(!two.take(&gun("docker.io/acmeevil/web")) && !two.take(&gun("docker.io/library/acme")));
        assert!(GunPrefixes::default().take(&gun("docker.io/library/alpine")));
        for text in ["", "/", "docker.io/acme", "./", "a b/", "docker.io//"] {
            assert!(prefixes(&[text]).is_err(), "{text:?}");
        }
    }

    #[test]
    fn measures_have_units() {
        for (text, seconds) in [("90s", 90), ("5m", 300), ("12h", 43_200), ("14 d", 1_209_600)] {
            assert_eq!(measured(text, &TIME_UNITS), Some(seconds), "{text}");
        }
        for text in ["", "5", "d", "-1d", "1.5h", "1w", "99999999999999999999d", "9999999999999999999d"] {
            assert_eq!(measured(text, &TIME_UNITS), None, "{text}");
        }
        assert_eq!(in_units(64 << 20, &SIZE_UNITS), "64MiB");
        assert_eq!(in_units(0, &SIZE_UNITS), "0B");
        assert_eq!(in_units(90, &TIME_UNITS), "90s");
    }
}
