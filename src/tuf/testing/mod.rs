//! Metadata for tests: made, signed and broken at will, byte for byte in Notary's form.
//!
//! Only tests see this module, those of other parts and of `tests/` through the feature `testing`.
//! Nothing here is random: a key is made from its name, time stands still at [`now`].
//!
//! ```
//! use trustgate::tuf::testing::{Repository, now};
//!
//! let mut repository = Repository::new("docker.io/acme/base");
//! repository.tag("targets", "1.4", b"a manifest");
//! let verified = repository.publish().verify(now()).unwrap();
//! assert!(verified.targets.find("1.4").unwrap().is_some());
//! ```

// A test that misuses the maker should stop at once, and says so by panicking.
#![allow(clippy::missing_panics_doc)]

#[cfg(test)]
pub(crate) mod arbitrary;
mod certificate;
mod hostile;
mod key;

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha512};

use super::{
    RoleName, RootChain, RootPins, Snapshot, Targets, Trusted, TufError, canonical, verify_delegation,
    verify_snapshot, verify_targets, verify_timestamp,
};
use crate::image::Gun;

pub use certificate::{
    CERTIFICATE_SIGNATURE, CODE_SIGNING, DIGITAL_SIGNATURE, ECDSA_SHA1, ECDSA_SHA256, TestCertificate, pem,
};
pub use hostile::{check_canonical, verify_any};
pub use key::TestKey;

/// The time at which test repositories are published: noon of 1 June 2026.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::from_second(1_780_315_200).expect("a time of this century")
}

/// This many days after [`now`], or before it.
#[must_use]
pub fn days(days: i64) -> Timestamp {
    now() + SignedDuration::from_hours(24 * days)
}

/// A repository's trust data, before it is signed. Everything may be changed.
pub struct Repository {
    /// The name that it is published under.
    pub gun: String,
    /// The roles by their names, delegations among them.
    pub roles: BTreeMap<String, Role>,
}

/// One role of a [`Repository`].
pub struct Role {
    /// What will be signed; `meta` of `snapshot` and `timestamp` is filled in by [`Repository::publish`].
    pub signed: Value,
    /// Who signs it.
    pub signers: Vec<TestKey>,
    /// Called with the finished object before it is signed.
    pub before_signing: Option<SignedEdit>,
    /// Called with the finished file before the role above it takes its hash.
    pub after_signing: Option<FileEdit>,
}

/// A change of what is about to be signed.
pub type SignedEdit = Box<dyn Fn(&mut Value) + Send + Sync>;
/// A change of a finished file.
pub type FileEdit = Box<dyn Fn(Vec<u8>) -> Vec<u8> + Send + Sync>;

impl Role {
    /// A role with what every file has.
    #[must_use]
    pub fn new(kind: &str, expires: Timestamp, signers: Vec<TestKey>) -> Self {
        let signed = json!({"_type": kind, "expires": expires.to_string(), "version": 1});
        Self { signed, signers, before_signing: None, after_signing: None }
    }

    /// Sets its version.
    pub fn set_version(&mut self, version: u64) {
        self.signed["version"] = json!(version);
    }

    /// Sets when it expires.
    pub fn set_expires(&mut self, expires: Timestamp) {
        self.signed["expires"] = json!(expires.to_string());
    }

    fn finish(&self, mut signed: Value) -> Vec<u8> {
        if let Some(edit) = &self.before_signing {
            edit(&mut signed);
        }
        let file = sign(&signed, &self.signers);
        match &self.after_signing {
            Some(edit) => edit(file),
            None => file,
        }
    }
}

impl Repository {
    /// A repository without tags, with a key of its own for each role.
    #[must_use]
    pub fn new(gun: &str) -> Self {
        let key = |role: &str| TestKey::p256(&format!("{gun} {role}"));
        let certificate = TestCertificate::for_gun(gun, days(-30));
        let root_key = key("root").in_certificate(&certificate);
        let mut repository = Self { gun: gun.to_owned(), roles: BTreeMap::new() };
        let mut root = Role::new("Root", days(3650), vec![root_key.clone()]);
        root.signed["consistent_snapshot"] = json!(false);
        root.signed["keys"] = json!({});
        root.signed["roles"] = json!({});
        repository.roles.insert("root".to_owned(), root);
        for (role, kind, lifetime) in
            [("targets", "Targets", 1095), ("snapshot", "Snapshot", 1095), ("timestamp", "Timestamp", 14)]
        {
            let keys = vec![key(role)];
            repository.set_keys(role, &keys, 1);
            repository.roles.insert(role.to_owned(), Role::new(kind, days(lifetime), keys));
        }
        repository.set_keys("root", &[root_key], 1);
        repository.roles.entry("targets".to_owned()).and_modify(|it| fill_targets(&mut it.signed));
        repository
    }

    /// The role of this name.
    pub fn role(&mut self, name: &str) -> &mut Role {
        self.roles.get_mut(name).expect("the test knows its roles")
    }

    /// Makes `root` say that these are a base role's keys; who signs stays as it is.
    pub fn set_keys(&mut self, role: &str, keys: &[TestKey], threshold: u64) {
        let root = &mut self.role("root").signed;
        for key in keys {
            root["keys"][key.id()] = key.to_json();
        }
        let ids: Vec<_> = keys.iter().map(TestKey::id).collect();
        root["roles"][role] = json!({"keyids": ids, "threshold": threshold});
    }

    /// Replaces a base role's keys and has them sign.
    pub fn replace_keys(&mut self, role: &str, keys: Vec<TestKey>, threshold: u64) {
        self.set_keys(role, &keys, threshold);
        self.role(role).signers = keys;
    }

    /// Moves the root on to new keys, signed by the old and the new ones, with the version after.
    pub fn rotate_root(&mut self, keys: &[TestKey]) {
        self.set_keys("root", keys, 1);
        let root = self.role("root");
        root.signers.extend(keys.iter().cloned());
        root.signed["version"] = json!(root.signed["version"].as_u64().map_or(1, |it| it + 1));
    }

    /// A certificate for the repository around a new key of this name.
    #[must_use]
    pub fn root_key(&self, name: &str) -> TestKey {
        TestKey::p256(name).in_certificate(&TestCertificate::for_gun(&self.gun, days(-30)))
    }

    /// Adds a tag of this manifest to a role, as docker writes it. Returns the digest in hexadecimal.
    pub fn tag(&mut self, role: &str, tag: &str, manifest: &[u8]) -> String {
        let digest = Sha256::digest(manifest);
        let target = json!({"hashes": {"sha256": STANDARD.encode(digest)}, "length": manifest.len()});
        self.role(role).signed["targets"][tag] = target;
        hex::encode(digest)
    }

    /// Lets the parent of a role delegate to it, and makes the role, signed by these keys.
    pub fn delegate(&mut self, name: &str, keys: &[TestKey], threshold: u64, paths: &[&str]) {
        let (parent, _) = name.rsplit_once('/').expect("a delegation's name has a parent");
        let delegations = &mut self.role(parent).signed["delegations"];
        for key in keys {
            delegations["keys"][key.id()] = key.to_json();
        }
        let ids: Vec<_> = keys.iter().map(TestKey::id).collect();
        let entry = json!({"keyids": ids, "name": name, "paths": paths, "threshold": threshold});
        delegations["roles"].as_array_mut().expect("a list of roles").push(entry);
        let mut role = Role::new("Targets", days(1095), keys.to_vec());
        fill_targets(&mut role.signed);
        self.roles.insert(name.to_owned(), role);
    }

    /// Signs everything: the files as a server would hand them out.
    #[must_use]
    pub fn publish(&self) -> Files {
        self.publish_with(BTreeMap::new())
    }

    /// Signs everything but these files, which the roles above name as they are.
    #[must_use]
    pub fn publish_with(&self, given: BTreeMap<String, Vec<u8>>) -> Files {
        let mut files = given;
        let given: BTreeSet<String> = files.keys().cloned().collect();
        for (name, role) in &self.roles {
            if !matches!(name.as_str(), "snapshot" | "timestamp") && !given.contains(name) {
                files.insert(name.clone(), role.finish(role.signed.clone()));
            }
        }
        for (name, only) in [("snapshot", None), ("timestamp", Some("snapshot"))] {
            let Some(role) = self.roles.get(name).filter(|_| !given.contains(name)) else { continue };
            let mut signed = role.signed.clone();
            let mut meta = json!({});
            let named = |it: &str| only.map_or(it != "timestamp", |only| only == it);
            for (name, file) in files.iter().filter(|(it, _)| named(it)) {
                meta[name] = describe(file);
            }
            signed["meta"] = meta;
            files.insert(name.to_owned(), role.finish(signed));
        }
        Files { gun: self.gun.clone(), files }
    }
}

fn fill_targets(signed: &mut Value) {
    signed["delegations"] = json!({"keys": {}, "roles": []});
    signed["targets"] = json!({});
}

/// The files of a published repository.
#[derive(Clone)]
pub struct Files {
    gun: String,
    /// The files by the names of their roles.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// What [`Files::verify`] verified.
pub struct Verified {
    /// The root.
    pub chain: RootChain,
    /// The timestamp.
    pub timestamp: Trusted<super::Timestamp>,
    /// The snapshot.
    pub snapshot: Trusted<Snapshot>,
    /// The targets.
    pub targets: Trusted<Targets>,
    /// The delegations that were published, by their names.
    pub delegations: BTreeMap<RoleName, Trusted<Targets>>,
}

impl Files {
    /// The repository that they were published for.
    #[must_use]
    pub fn gun(&self) -> Gun {
        self.gun.parse().expect("the test's repository has a valid name")
    }

    /// The file of a role.
    #[must_use]
    pub fn get(&self, role: &str) -> Vec<u8> {
        self.files.get(role).expect("the test knows its roles").clone()
    }

    /// Verifies everything as a first-time user would, who trusts the first root.
    pub fn verify(&self, now: Timestamp) -> Result<Verified, TufError> {
        self.verify_pinned(&RootPins::TrustOnFirstUse, now)
    }

    /// Verifies everything under these pins.
    pub fn verify_pinned(&self, pins: &RootPins, now: Timestamp) -> Result<Verified, TufError> {
        let chain = RootChain::bootstrap(&self.gun(), self.get("root"), pins, now)?;
        self.verify_below(chain, now)
    }

    /// Verifies everything below this root.
    pub fn verify_below(&self, chain: RootChain, now: Timestamp) -> Result<Verified, TufError> {
        let root = chain.root();
        let timestamp = verify_timestamp(root, self.get("timestamp"), None, now)?;
        let snapshot = verify_snapshot(root, &timestamp, self.get("snapshot"), None, now)?;
        let targets = verify_targets(root, &snapshot, self.get("targets"), None, now)?;
        let mut delegations = BTreeMap::new();
        let mut queue: Vec<_> = targets.delegations().iter().map(|it| it.name.clone()).collect();
        while let Some(name) = queue.pop() {
            let Some(file) = self.files.get(name.as_str()).filter(|_| !delegations.contains_key(&name))
            else {
                continue;
            };
            let parent = name.parent().and_then(|it| delegations.get(&it)).unwrap_or(&targets);
            let delegation = verify_delegation(parent, &name, &snapshot, file.clone(), None, now)?;
            queue.extend(delegation.delegations().iter().map(|it| it.name.clone()));
            delegations.insert(name, delegation);
        }
        Ok(Verified { chain, timestamp, snapshot, targets, delegations })
    }
}

/// A file in Notary's exact form: canonical bytes, signed, the five characters escaped.
#[must_use]
pub fn sign(signed: &Value, signers: &[TestKey]) -> Vec<u8> {
    let body = canonical::to_vec(signed).expect("test metadata holds integers only");
    let signatures: Vec<Value> = signers.iter().map(|it| it.sign(&body)).collect();
    envelope(&body, &json!(signatures))
}

/// A file of these signed bytes and these signatures.
#[must_use]
pub fn envelope(body: &[u8], signatures: &Value) -> Vec<u8> {
    let signatures = canonical::to_vec(signatures).expect("signatures hold strings only");
    let file = [b"{\"signed\":".as_slice(), body, b",\"signatures\":", &signatures, b"}"].concat();
    canonical::to_wire(&file)
}

/// Length and hashes of a file, as `snapshot` and `timestamp` list them.
#[must_use]
pub fn describe(file: &[u8]) -> Value {
    let (sha256, sha512) = (STANDARD.encode(Sha256::digest(file)), STANDARD.encode(Sha512::digest(file)));
    json!({"hashes": {"sha256": sha256, "sha512": sha512}, "length": file.len()})
}
