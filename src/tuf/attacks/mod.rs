//! What a hostile server, mirror or signer may try, one test an attack, each with the refusal that it meets;
//! and, in `accepted`, the oddities that real clients accept, so that strictness does not grow by accident.

mod accepted;
mod consistency;
mod delegations;
mod root;
mod signatures;
mod structure;

use super::TufError;
use super::testing::{Files, Repository, TestKey, now};

/// A repository with a tag, and a delegation with another.
fn repository() -> Repository {
    let mut repository = Repository::new(GUN);
    repository.tag("targets", "v1", b"manifest one");
    repository.delegate("targets/releases", &[TestKey::p256("releases")], 1, &[""]);
    repository.tag("targets/releases", "v2", b"manifest two");
    repository
}

/// The refusal of a whole repository.
fn refusal(repository: &Repository) -> TufError {
    refusal_of(&repository.publish())
}

fn refusal_of(files: &Files) -> TufError {
    match files.verify(now()) {
        Ok(_) => panic!("the attack succeeded"),
        Err(error) => error,
    }
}

/// Asserts on the variant of an error, and that its text says something.
macro_rules! assert_refused {
    ($error:expr, $pattern:pat $(if $guard:expr)?) => {{
        let error: $crate::tuf::TufError = $error;
        assert!(matches!(&error, $pattern $(if $guard)?), "another refusal: {error:?}");
    }};
}
use assert_refused;

const GUN: &str = "docker.io/acme/base";
