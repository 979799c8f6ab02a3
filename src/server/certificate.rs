//! The certificate that a server makes itself: an authority of its own, and a leaf below it.
//!
//! Clients are told of the authority once. The leaf is renewed long before it ends, and whenever the
//! machine has another name.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use sha2::{Digest as _, Sha256};
use x509_cert::der::{DecodePem as _, Encode as _};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::http::read_bounded;

/// Where the server's own certificate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnCertificate {
    /// The leaf's certificate, which is shown.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authority's certificate, which clients trust.
    pub authority: PathBuf,
    authority_key: PathBuf,
}

impl OwnCertificate {
    /// The certificate in a state folder.
    #[must_use]
    pub fn beneath(state: &Path) -> Self {
        Self {
            certificate: state.join("server.crt"),
            key: state.join("server.key"),
            authority: state.join("ca.crt"),
            authority_key: state.join("ca.key"),
        }
    }

    /// Makes what is missing, or will be missing soon. Returns whether there is a new leaf.
    pub fn renew(&self, names: &[String], now: Timestamp) -> Result<bool, CertificateError> {
        let authority = self.authority(now)?;
        let names = wanted_names(names);
        if self.is_good(&names, now, &authority) {
            return Ok(false);
        }
        let key = KeyPair::generate().map_err(|it| failed(&self.key, &it))?;
        let mut leaf = CertificateParams::default();
        leaf.distinguished_name = named("trustgate-server");
        leaf.subject_alt_names = names;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        set_validity(&mut leaf, now, LEAF_LIFETIME);
        let certificate = leaf.signed_by(&key, &authority.issuer);
        let certificate = certificate.map_err(|it| failed(&self.certificate, &it))?;
        // Whoever reads between the two finds a pair that does not fit, and reads again when told so.
        write(&self.key, &key.serialize_pem(), PRIVATE)?;
        write(&self.certificate, &certificate.pem(), PUBLIC)?;
        Ok(true)
    }

    /// The authority that is there, or a new one where there is none or it ends before a leaf would.
    fn authority(&self, now: Timestamp) -> Result<Authority, CertificateError> {
        let stored = match read(&self.authority_key) {
            Ok(pem) => Some(KeyPair::from_pem(&pem).map_err(|it| failed(&self.authority_key, &it))?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(&self.authority_key, &error)),
        };
        if let Some(key) = stored {
            let (params, name) = authority(&key);
            let pem = read(&self.authority).unwrap_or_default();
            let good = x509_cert::Certificate::from_pem(&pem)
                .is_ok_and(|it| ends(&it).is_some_and(|end| now + LEAF_LIFETIME < end) && belongs(&it, &key));
            if good {
                return Ok(Authority { issuer: Issuer::new(params, key), name });
            }
        }
        let key = KeyPair::generate().map_err(|it| failed(&self.authority_key, &it))?;
        let (mut params, name) = authority(&key);
        set_validity(&mut params, now, AUTHORITY_LIFETIME);
        let certificate = params.self_signed(&key).map_err(|it| failed(&self.authority, &it))?;
        write(&self.authority_key, &key.serialize_pem(), PRIVATE)?;
        write(&self.authority, &certificate.pem(), PUBLIC)?;
        Ok(Authority { issuer: Issuer::new(params, key), name })
    }

    /// Whether the leaf that is there is this authority's, for these names, and lasts for a while.
    fn is_good(&self, names: &[SanType], now: Timestamp, authority: &Authority) -> bool {
        let Ok(certificate) = read(&self.certificate).and_then(|it| {
            x509_cert::Certificate::from_pem(&it).map_err(|it| io::Error::other(it.to_string()))
        }) else {
            return false;
        };
        let Ok(key) = read(&self.key).map(|it| KeyPair::from_pem(&it)) else { return false };
        let issued = certificate.tbs_certificate().issuer().to_string().contains(&authority.name);
        let lasting = ends(&certificate).is_some_and(|end| now + LEAF_RENEWAL < end);
        let started = certificate.tbs_certificate().validity().not_before.to_unix_duration() <= unix(now);
        let fits = key.is_ok_and(|key| belongs(&certificate, &key));
        issued && lasting && started && fits && has_names(&certificate, names)
    }
}

/// Why there is no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server's own certificate cannot be made: `{}`: {reason}", path.display())]
pub struct CertificateError {
    path: PathBuf,
    reason: String,
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    name: String,
}

/// What an authority of this key is, but for how long; and what it is called.
fn authority(key: &KeyPair) -> (CertificateParams, String) {
    let digits: String =
        hex::encode(Sha256::digest(key.public_key_raw())).chars().take(NAME_DIGITS).collect();
    let name = format!("trustgate-server {digits}");
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    (params, name)
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// The names by which a server on this machine is reached.
fn wanted_names(more: &[String]) -> Vec<SanType> {
    let mut names =
        vec![SanType::IpAddress(Ipv4Addr::LOCALHOST.into()), SanType::IpAddress(Ipv6Addr::LOCALHOST.into())];
    for name in std::iter::once("localhost").chain(more.iter().map(String::as_str)) {
        let name = match name.parse::<IpAddr>() {
            Ok(address) => Some(SanType::IpAddress(address)),
            Err(_) => name.to_owned().try_into().ok().map(SanType::DnsName),
        };
        names.extend(name.filter(|it| !names.contains(it)));
    }
    names
}

fn has_names(certificate: &x509_cert::Certificate, wanted: &[SanType]) -> bool {
    let Ok(Some((_, found))) = certificate.tbs_certificate().get_extension::<SubjectAltName>() else {
        return false;
    };
    wanted.iter().all(|name| {
        found.0.iter().any(|it| match (name, it) {
            (SanType::DnsName(name), GeneralName::DnsName(it)) => name.as_str() == it.as_str(),
            (SanType::IpAddress(IpAddr::V4(address)), GeneralName::IpAddress(it)) => {
                it.as_bytes() == address.octets()
            }
            (SanType::IpAddress(IpAddr::V6(address)), GeneralName::IpAddress(it)) => {
                it.as_bytes() == address.octets()
            }
            _ => false,
        })
    })
}

/// Whether a certificate is of this key.
fn belongs(certificate: &x509_cert::Certificate, key: &KeyPair) -> bool {
    let stored = certificate.tbs_certificate().subject_public_key_info().to_der();
    stored.is_ok_and(|it| it == rcgen::PublicKeyData::subject_public_key_info(key))
}

fn ends(certificate: &x509_cert::Certificate) -> Option<Timestamp> {
    let end = certificate.tbs_certificate().validity().not_after.to_unix_duration();
    Timestamp::from_second(i64::try_from(end.as_secs()).ok()?).ok()
}

fn unix(now: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(now.as_second()).unwrap_or_default())
}

/// Valid from a day ago, as clocks differ.
fn set_validity(params: &mut CertificateParams, now: Timestamp, lifetime: SignedDuration) {
    let day = |moment: Timestamp| {
        let date = moment.to_zoned(TimeZone::UTC).date();
        let [month, day] = [date.month(), date.day()].map(|it| u8::try_from(it).unwrap_or(1));
        rcgen::date_time_ymd(date.year().into(), month, day)
    };
    params.not_before = day(now - SignedDuration::from_hours(24));
    params.not_after = day(now + lifetime);
}

fn read(path: &Path) -> io::Result<String> {
    String::from_utf8(read_bounded(path, PEM_LIMIT)?).map_err(io::Error::other)
}

/// Puts a file in its place whole, or not at all.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), CertificateError> {
    let writing = || {
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut file =
            tempfile::Builder::new().permissions(Permissions::from_mode(mode)).tempfile_in(folder)?;
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|it| it.error)?;
        File::open(folder)?.sync_all()
    };
    writing().map_err(|it| failed(path, &it))
}

fn failed(path: &Path, reason: &dyn ToString) -> CertificateError {
    CertificateError { path: path.to_owned(), reason: reason.to_string() }
}

const PRIVATE: u32 = 0o600;
const PUBLIC: u32 = 0o644;
/// Clients of some systems take no longer one.
const LEAF_LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 397);
/// Whoever starts a server once in four months never sees the end of a leaf.
const LEAF_RENEWAL: SignedDuration = SignedDuration::from_hours(24 * 130);
/// Clients are told of an authority by hand.
const AUTHORITY_LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 365 * 10);
/// Enough to tell authorities apart.
const NAME_DIGITS: usize = 8;
/// Ours have a few hundred bytes.
const PEM_LIMIT: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-22T10:00:00Z".parse().unwrap()
    }

    fn days(days: i64) -> Timestamp {
        now() + SignedDuration::from_hours(24 * days)
    }

    #[test]
    fn a_leaf_is_kept_until_it_is_of_no_use() {
        let folder = tempfile::tempdir().unwrap();
        let own = OwnCertificate::beneath(folder.path());
        let host = ["trust.example".to_owned(), "192.0.2.1".to_owned()];
        assert!(own.renew(&host, now()).unwrap());
        let authority = std::fs::read(&own.authority).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(&own.key), mode(&own.authority_key), mode(&own.authority)),
            (PRIVATE, PRIVATE, PUBLIC)
        );
        for later in [now(), days(260)] {
            assert!(!own.renew(&host, later).unwrap(), "{later}");
        }
        // Another name, too little time left, a clock that went back, a key that does not fit.
        assert!(own.renew(&["other.example".to_owned()], now()).unwrap());
        assert!(own.renew(&host, days(300)).unwrap());
        assert!(own.renew(&host, now()).unwrap());
        std::fs::write(&own.key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
        assert!(own.renew(&host, now()).unwrap());
        std::fs::write(&own.certificate, "-----BEGIN CERTIFICATE-----\n").unwrap();
        assert!(own.renew(&host, now()).unwrap());
        assert_eq!(std::fs::read(&own.authority).unwrap(), authority);
        // An authority that would end before its leaf.
        assert!(own.renew(&host, days(365 * 9)).unwrap());
        assert_ne!(std::fs::read(&own.authority).unwrap(), authority);
    }

    #[test]
    fn a_key_that_is_none_is_told_rather_than_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let own = OwnCertificate::beneath(folder.path());
        std::fs::write(&own.authority_key, "not a key").unwrap();
        let told = own.renew(&[], now()).unwrap_err().to_string();
        assert!(told.contains("ca.key"), "{told}");
    }

    #[test]
    fn rustls_serves_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let own = OwnCertificate::beneath(folder.path());
        own.renew(&[], now()).unwrap();
        crate::server::listener::server_config(&own.certificate, &own.key, None).unwrap();
    }
}
