//! Repositories with signed tags, as publishers leave them on a trust server.

use jiff::Timestamp;
use trustgate::tuf::testing::{Repository, TestCertificate, TestKey};

use crate::server::TrustServer;

/// A server with `acme/base` (two signers) and `acme/tools` (signed by its owner).
pub(crate) fn acme() -> TrustServer {
    let server = TrustServer::start();
    let mut base = repository("docker.io/acme/base");
    for signer in ["releases", "alice", "bob"] {
        add_signer(&mut base, signer);
    }
    sign(&mut base, "1.4", &["targets/releases", "targets/alice", "targets/bob"]);
    sign(&mut base, "1.3", &["targets/releases", "targets/alice"]);
    sign(&mut base, "1.5-rc", &["targets/bob"]);
    server.publish(&base.publish());
    let mut tools = repository("docker.io/acme/tools");
    sign(&mut tools, "latest", &["targets"]);
    server.publish(&tools.publish());
    server
}

/// The digest that [`sign`] signs.
pub(crate) fn digest_of(gun: &str, tag: &str) -> String {
    sign(&mut repository(gun), tag, &["targets"])
}

/// A repository whose metadata is valid for longer than anybody will run these tests.
pub(crate) fn repository(gun: &str) -> Repository {
    let mut repository = Repository::new(gun);
    let certificate = TestCertificate {
        not_after: until("2049-01-01"),
        ..TestCertificate::for_gun(gun, until("2026-01-01"))
    };
    let root_key = TestKey::p256(&format!("{gun} root")).in_certificate(&certificate);
    let old: Vec<String> = repository.role("root").signers.iter().map(|key| key.id().to_string()).collect();
    for key in old {
        repository.role("root").signed["keys"].as_object_mut().unwrap().remove(&key);
    }
    repository.replace_keys("root", vec![root_key], 1);
    for role in ["root", "targets", "snapshot", "timestamp"] {
        repository.role(role).set_expires(until("2099-01-01"));
    }
    repository
}

/// Adds a signer's delegation, as `docker trust signer add` does.
pub(crate) fn add_signer(repository: &mut Repository, name: &str) {
    let role = format!("targets/{name}");
    repository.delegate(&role, &[TestKey::p256(&role)], 1, &[""]);
    repository.role(&role).set_expires(until("2099-01-01"));
}

/// Signs a tag in the given roles. The manifest is made of the names, so the digest is always the same.
pub(crate) fn sign(repository: &mut Repository, tag: &str, roles: &[&str]) -> String {
    let manifest = format!("the manifest of {}:{tag}", repository.gun);
    let digests = roles.iter().map(|role| repository.tag(role, tag, manifest.as_bytes()));
    format!("sha256:{}", digests.last().unwrap())
}

/// Midnight of that day.
pub(crate) fn until(day: &str) -> Timestamp {
    format!("{day}T00:00:00Z").parse().unwrap()
}
