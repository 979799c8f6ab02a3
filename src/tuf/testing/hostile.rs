//! What must hold of any bytes at all: the heart of the fuzz targets, and of a test that runs without them.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::json;

use super::{Repository, TestKey, envelope, now};
use crate::tuf::canonical::{canonicalize, from_wire, to_wire};
use crate::tuf::scan::scan;
use crate::tuf::{RootChain, RootPins, peek_version};

/// Panics when the ways to canonicalise a text disagree.
pub fn check_canonical(text: &[u8]) {
    let Ok(canonical) = canonicalize(text) else {
        assert!(std::str::from_utf8(text).is_err() || !is_whole(text), "scanned what is no JSON");
        return;
    };
    if is_whole(text) {
        assert_eq!(from_wire(text), canonical, "two canonical forms of one text");
    }
    // A control character in a string has a canonical form, which is no JSON any more.
    if canonical.iter().all(|it| *it >= 0x20) {
        assert_eq!(canonicalize(&canonical).as_ref(), Ok(&canonical), "a canonical form has another");
        let wire = to_wire(&canonical);
        assert_eq!(canonicalize(&wire).as_ref(), Ok(&canonical), "the wire form means something else");
    }
}

/// Whether a text is an object in wire form and nothing else.
fn is_whole(text: &[u8]) -> bool {
    scan(text, 0).is_some_and(|it| it.range.end == text.len())
}

/// Verifies a text as the file of a role (`role` modulo 5), as it is and truly signed; panics when what
/// is listed and what is found differ.
pub fn verify_any(role: u8, text: &[u8]) {
    let role = ["root", "targets", "snapshot", "timestamp", "targets/releases"][usize::from(role % 5)];
    let _ = peek_version(text);
    let (repository, _) = base();
    let message = canonicalize(text).unwrap_or_else(|_| text.to_vec());
    let signatures: Vec<_> = repository.roles[role].signers.iter().map(|it| it.sign(&message)).collect();
    let rest = envelope(b"0", &json!(signatures));
    let rest = rest.strip_prefix(b"{\"signed\":0").unwrap_or_default();
    publish(role, text.to_vec());
    publish(role, [b"{\"signed\":", text, rest].concat());
}

/// An honest repository and its root file, made once; fast keys where the role allows them.
fn base() -> &'static (Repository, Vec<u8>) {
    static BASE: OnceLock<(Repository, Vec<u8>)> = OnceLock::new();
    BASE.get_or_init(|| {
        let mut repository = Repository::new("docker.io/acme/base");
        for role in ["targets", "snapshot", "timestamp"] {
            repository.replace_keys(role, vec![TestKey::ed25519(role)], 1);
        }
        repository.delegate("targets/releases", &[TestKey::ed25519("releases")], 1, &["v"]);
        repository.tag("targets", "v<1>", b"manifest");
        let root = repository.publish().get("root");
        (repository, root)
    })
}

fn publish(role: &str, file: Vec<u8>) {
    let (repository, root) = base();
    let mut given = BTreeMap::from([("root".to_owned(), root.clone())]);
    given.insert(role.to_owned(), file);
    let files = repository.publish_with(given);
    if role == "root" {
        let _ = RootChain::from_cache(&files.gun(), files.get("root"), &RootPins::TrustOnFirstUse);
    }
    let Ok(it) = files.verify(now()) else { return };
    for targets in std::iter::once(&it.targets).chain(it.delegations.values()) {
        let listed = targets.names(usize::MAX);
        assert_eq!(listed.len(), targets.count());
        for name in &listed {
            assert!(!matches!(targets.find(name), Ok(None)), "{name:?} is listed and not found");
        }
        let _ = targets.for_each(|name, _| assert!(listed.iter().any(|it| it == name)));
        let is_listed = listed.iter().any(|it| it == "v1");
        assert!(is_listed || matches!(targets.find("v1"), Ok(None)), "`v1` is found and not listed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Honest files with a byte changed, dropped or doubled here and there.
    #[test]
    fn damaged_files() {
        let files = base().0.publish();
        let roles = ["root", "targets", "snapshot", "timestamp", "targets/releases"];
        let mut changes = 0_usize;
        for (index, role) in (0..).zip(roles) {
            let file: serde_json::Value = serde_json::from_slice(&files.get(role)).unwrap();
            let text = file["signed"].to_string().into_bytes();
            for at in (0..text.len()).step_by(41) {
                let mut damaged = text.clone();
                match at % 5 {
                    0 => damaged[at] ^= 1,
                    1 => drop(damaged.remove(at)),
                    2 => damaged.insert(at, b'"'),
                    3 => damaged[at] = b'\\',
                    _ => damaged.truncate(at),
                }
                check_canonical(&damaged);
                verify_any(index, &damaged);
                changes += 1;
            }
        }
        assert!(changes > 50);
    }
}
