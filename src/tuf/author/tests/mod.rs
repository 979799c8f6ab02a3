//! Documents written, and read as a client reads them.

mod edits;
mod partial;
mod repository;

use jiff::Timestamp;

use super::*;
use crate::image::Gun;
use crate::tuf::testing::{TestKey, days, now};
use crate::tuf::{PublicKey, RoleKeys, RoleName, Target};

pub(super) const BASE: &str = "docker.io/acme/base";

pub(super) fn gun() -> Gun {
    BASE.parse().unwrap()
}

/// One set of keys of which this many must sign.
pub(super) fn role_keys(keys: &[&TestKey], threshold: u64) -> RoleKeys {
    RoleKeys { keys: keys.iter().map(|it| it.public().clone()).collect(), threshold }
}

pub(super) fn delegation(name: &str) -> RoleName {
    format!("targets/{name}").parse().unwrap()
}

pub(super) fn target(byte: u8) -> Target {
    Target { length: 523, sha256: Some([byte; 32]), sha512: None, custom: None }
}

/// The root key of this name in a certificate for the repository.
pub(super) fn root_key(name: &str) -> (TestKey, PublicKey) {
    let key = TestKey::p256(name);
    let certificate = root_certificate(&key, &gun(), [7; 16], now()).unwrap();
    (key, certificate)
}

pub(super) fn in_three_years() -> Timestamp {
    days(3 * 365)
}
