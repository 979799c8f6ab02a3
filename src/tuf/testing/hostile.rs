//! What must hold of any bytes at all: the heart of the fuzz targets, and of a test that runs without them.

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{Repository, TestKey, envelope, now};
use crate::tuf::canonical::{canonicalize, from_wire, to_wire};
use crate::tuf::scan::scan;
use crate::tuf::{RootChain, RootPins, peek_version};

/// Panics when the ways to canonicalise a text disagree.
pub fn check_canonical(text: &[u8]) {
    let Ok(canonical) = canonicalize(text) else {
        assert!(std::str::from_utf8(text).is_err() || whole(text).is_none(), "scanned what is no JSON");
        return;
    };
    if let Some(digest) = whole(text) {
        assert_eq!(digest, <[u8; 32]>::from(Sha256::digest(&canonical)), "two canonical forms of one text");
        assert_eq!(from_wire(text), canonical);
    }
    // A control character in a string has a canonical form, which is no JSON any more.
    if canonical.iter().all(|it| *it >= 0x20) {
        assert_eq!(canonicalize(&canonical).as_ref(), Ok(&canonical), "a canonical form has another");
        let wire = to_wire(&canonical);
        assert_eq!(canonicalize(&wire).as_ref(), Ok(&canonical), "the wire form means something else");
    }
}

/// The digest of a text that is an object in wire form and nothing else.
fn whole(text: &[u8]) -> Option<[u8; 32]> {
    scan(text, 0).filter(|it| it.range.end == text.len()).map(|it| it.digest)
}

/// Verifies a text as the file of a role (`role` modulo 5), as it is and truly signed; panics when a
/// text that says nothing of `v1` yields a target of that name.
pub fn verify_any(role: u8, text: &[u8]) {
    let role = ["root", "targets", "snapshot", "timestamp", "targets/releases"][usize::from(role % 5)];
    let _ = peek_version(text);
    let text = text.to_vec();
    let as_it_is = text.clone();
    publish(role, move |_| as_it_is.clone());
    publish(role, move |signers| {
        let message = canonicalize(&text).unwrap_or_else(|_| text.clone());
        let signatures: Vec<_> = signers.iter().map(|it| it.sign(&message)).collect();
        let mut file = b"{\"signed\":".to_vec();
        file.extend_from_slice(&text);
        let rest = envelope(b"0", &json!(signatures));
        file.extend_from_slice(rest.strip_prefix(b"{\"signed\":0").unwrap_or_default());
        file
    });
}

fn publish(role: &str, file: impl Fn(&[TestKey]) -> Vec<u8> + Send + Sync + 'static) {
    let mut repository = Repository::new("docker.io/acme/base");
    repository.delegate("targets/releases", &[TestKey::ed25519("releases")], 1, &["v"]);
    let role = repository.role(role);
    let signers = role.signers.clone();
    role.after_signing = Some(Box::new(move |_| file(&signers)));
    let files = repository.publish();
    let _ = RootChain::from_cache(&files.gun(), files.get("root"), &RootPins::TrustOnFirstUse);
    let Ok(it) = files.verify(now()) else { return };
    for targets in std::iter::once(&it.targets).chain(it.delegations.values()) {
        let listed = targets.names(usize::MAX);
        assert_eq!(listed.len(), targets.count());
        for name in &listed {
            let found = targets.find(name);
            assert!(!matches!(found, Ok(None)), "{name:?} is listed and not found");
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
        let mut repository = Repository::new("docker.io/acme/base");
        repository.delegate("targets/releases", &[TestKey::ed25519("releases")], 1, &["v"]);
        repository.tag("targets", "v<1>", b"manifest");
        let files = repository.publish();
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
