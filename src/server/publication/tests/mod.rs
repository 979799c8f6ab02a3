//! Publishes, as clients hand them in and as a client reads what came of them.

mod attacks;
pub(in crate::server) mod desk;
mod keys;
mod random;
mod stories;

use serde_json::json;

use super::*;
use crate::image::Gun;
use crate::server::ErrorCode;
use crate::server::storage::{SqlStorage, Storage, StorageError};
use crate::tuf::testing::{Repository, TestKey, days, now};
use crate::tuf::{RoleName, Version};
use desk::Desk;

const BASE: &str = "docker.io/acme/base";

fn gun() -> Gun {
    BASE.parse().unwrap()
}

fn role(name: &str) -> RoleName {
    name.parse().unwrap()
}
