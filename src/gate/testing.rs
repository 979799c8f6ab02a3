//! A trust source for tests: a table in place of servers.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::image::{Digest, Gun};
use crate::trust::{
    Freshness, RepositoryTerms, RoleStatus, SignedTarget, Signer, TrustError, TrustSource, Want,
};

/// Signed tags by repository. A repository that is not in it has no trust data.
#[derive(Debug, Default)]
pub struct TrustTable {
    repositories: BTreeMap<String, Vec<SignedTarget>>,
    failures: BTreeMap<String, TrustError>,
    asked: Mutex<Vec<String>>,
}

impl TrustTable {
    /// An empty table: nothing is signed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same table, in which this tag of this repository (full names) is signed.
    ///
    /// # Panics
    ///
    /// If the repository is no GUN.
    #[must_use]
    pub fn signed(self, gun: &str, tag: &str, digest: &Digest) -> Self {
        self.target(target(gun, tag, digest))
    }

    /// The same table with this target.
    #[must_use]
    pub fn target(mut self, target: SignedTarget) -> Self {
        self.repositories.entry(target.gun.to_string()).or_default().push(target);
        self
    }

    /// The same table, in which each question about this repository ends in this error.
    #[must_use]
    pub fn failing(mut self, gun: &str, error: TrustError) -> Self {
        self.failures.insert(gun.to_owned(), error);
        self
    }

    /// What was asked, in order: `docker.io/acme/base 1.4`.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn answer(&self, gun: &Gun, want: Want<'_>) -> Result<SignedTarget, TrustError> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{gun} {want}"));
        if let Some(error) = self.failures.get(gun.as_str()) {
            return Err(error.clone());
        }
        let Some(targets) = self.repositories.get(gun.as_str()) else {
            return Err(TrustError::NoTrustData { gun: gun.clone(), server: SERVER.to_owned() });
        };
        let found = targets.iter().find(|target| match want {
            Want::Tag(tag) => target.tag == tag.as_str(),
            Want::Digest(digest) => target.digest == *digest,
        });
        match (found, want) {
            (Some(target), _) => Ok(target.clone()),
            (None, Want::Tag(tag)) => Err(TrustError::NotSigned {
                gun: gun.clone(),
                tag: tag.to_string(),
                signed_tags: targets.iter().map(|target| target.tag.clone()).collect(),
                server: SERVER.to_owned(),
                timestamp_expires: EXPIRES,
            }),
            (None, Want::Digest(digest)) => Err(TrustError::DigestNotSigned {
                gun: gun.clone(),
                digest: digest.clone(),
                server: SERVER.to_owned(),
            }),
        }
    }
}

impl TrustSource for TrustTable {
    fn find<'a>(
        &'a self,
        gun: &'a Gun,
        want: Want<'a>,
        _terms: &'a RepositoryTerms,
    ) -> BoxFuture<'a, Result<SignedTarget, TrustError>> {
        async move { self.answer(gun, want) }.boxed()
    }
}

/// A target as a look-up returns it where nothing is remarkable.
///
/// # Panics
///
/// If the repository is no GUN.
#[must_use]
pub fn target(gun: &str, tag: &str, digest: &Digest) -> SignedTarget {
    let status = |role: &str, version: u64| RoleStatus {
        role: role.to_owned(),
        version,
        expires: EXPIRES,
        key_ids: vec!["b2".repeat(32)],
    };
    SignedTarget {
        gun: gun.parse().unwrap_or_else(|error| panic!("{gun}: {error}")),
        tag: tag.to_owned(),
        digest: digest.clone(),
        platforms: Vec::new(),
        size: 1_234,
        role: "targets/releases".to_owned(),
        signers: vec![Signer { name: "alice".to_owned(), key_ids: vec!["a1".repeat(32)] }],
        roles: vec![
            status("root", 1),
            status("timestamp", 7),
            status("snapshot", 5),
            status("targets", 4),
            status("targets/releases", 3),
        ],
        server: SERVER.to_owned(),
        freshness: Freshness::Fresh,
        first_use: false,
        root_key_ids: vec!["0c".repeat(32)],
        cached: Vec::new(),
        requests: 4,
        notes: Vec::new(),
    }
}

/// When everything in the table expires: 2030-01-01.
pub const EXPIRES: jiff::Timestamp = jiff::Timestamp::constant(1_893_456_000, 0);
/// The server that the table plays.
pub const SERVER: &str = "https://trust.example";
