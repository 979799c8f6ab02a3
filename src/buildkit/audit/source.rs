//! One source of a definition, named.

use std::collections::BTreeMap;

use super::AuditError;
use super::wire::{self, Field};
use crate::image::{Digest, Reference};

/// Where content comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The digest of the operation.
    pub vertex: String,
    /// The identifier as the definition has it.
    pub identifier: String,
    /// What the identifier means.
    pub kind: SourceKind,
    /// Attributes as the definition has them.
    pub attributes: BTreeMap<String, String>,
}

/// The kinds of source that are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// An image of a registry or of the daemon's own store.
    Image {
        /// Its reference.
        reference: Reference,
    },
    /// An image of an OCI layout that the client exposes.
    Layout {
        /// Its digest.
        digest: Digest,
    },
    /// A directory of the client.
    Local {
        /// The name it is exposed under.
        name: String,
    },
    /// A git repository.
    Git {
        /// Where it is fetched from.
        remote: String,
    },
    /// One blob of a registry or of an OCI layout, which carries no signature.
    Blob {
        /// Where it is.
        locator: String,
    },
    /// A URL.
    Http {
        /// The URL.
        url: String,
    },
}

impl Source {
    /// Reads a `pb.SourceOp`.
    pub(super) fn read(vertex: String, bytes: &[u8]) -> Result<Self, AuditError> {
        let mut identifier: Option<String> = None;
        let mut attributes = BTreeMap::new();
        for field in wire::fields(bytes) {
            let Field { number, value } = field?;
            match number {
                1 => {
                    if identifier.replace(value.text()?.to_owned()).is_some() {
                        return Err(AuditError::Malformed { reason: "a source has two identifiers" });
                    }
                }
                2 => {
                    let (key, value) = attribute(value.message()?)?;
                    if attributes.insert(key, value).is_some() {
                        return Err(AuditError::Malformed { reason: "a source has an attribute twice" });
                    }
                }
                _ => return Err(AuditError::Malformed { reason: "a source has an unknown field" }),
            }
        }
        let identifier = identifier.ok_or(AuditError::Malformed { reason: "a source has no identifier" })?;
        let kind = kind(&identifier, &attributes)?;
        Ok(Self { vertex, identifier, kind, attributes })
    }

    /// Whether this is an image of a registry.
    #[must_use]
    pub fn is_image(&self) -> bool {
        matches!(self.kind, SourceKind::Image { .. })
    }

    /// Whether a checksum or a full commit fixes the content.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        match &self.kind {
            SourceKind::Image { reference } => reference.digest().is_some(),
            SourceKind::Layout { .. } | SourceKind::Blob { .. } => true,
            SourceKind::Local { .. } => false,
            SourceKind::Http { .. } => {
                self.attributes.get("http.checksum").is_some_and(|sum| !sum.is_empty())
            }
            SourceKind::Git { .. } => {
                let reference = self.identifier.split_once('#').map_or("", |(_, fragment)| fragment);
                let reference = reference.split_once(':').map_or(reference, |(reference, _)| reference);
                is_commit(reference)
                    || self.attributes.get("git.checksum").is_some_and(|checksum| is_commit(checksum))
            }
        }
    }

    /// The identifiers under which a daemon may look this source up in a source policy: the
    /// one in the definition, and for git the normalised one that newer daemons make of it.
    #[must_use]
    pub fn policy_identifiers(&self) -> Vec<String> {
        let mut identifiers = vec![self.identifier.clone()];
        if let SourceKind::Git { remote } = &self.kind {
            let fragment = self.identifier.split_once('#').map_or(String::new(), |(_, f)| format!("#{f}"));
            let normalised = format!("git://{}{fragment}", place(remote));
            if normalised != self.identifier {
                identifiers.push(normalised);
            }
        }
        identifiers
    }
}

fn attribute(bytes: &[u8]) -> Result<(String, String), AuditError> {
    let (mut key, mut text) = (None, None);
    for field in wire::fields(bytes) {
        let Field { number, value } = field?;
        let slot = match number {
            1 => &mut key,
            2 => &mut text,
            _ => return Err(AuditError::Malformed { reason: "an attribute has an unknown field" }),
        };
        if slot.replace(value.text()?.to_owned()).is_some() {
            return Err(AuditError::Malformed { reason: "an attribute has a field twice" });
        }
    }
    Ok((key.unwrap_or_default(), text.unwrap_or_default()))
}

fn kind(identifier: &str, attributes: &BTreeMap<String, String>) -> Result<SourceKind, AuditError> {
    let unknown = || AuditError::UnknownScheme { identifier: identifier.to_owned() };
    let (scheme, name) = identifier.split_once("://").ok_or_else(unknown)?;
    match scheme {
        "docker-image" => {
            only(identifier, attributes, IMAGE_ATTRIBUTES)?;
            let reference = reference(identifier, name)?;
            if let (Some(checksum), Some(digest)) = (attributes.get("image.checksum"), reference.digest())
                && *checksum != digest.to_string()
            {
                return Err(AuditError::Attribute {
                    identifier: identifier.to_owned(),
                    attribute: "image.checksum".to_owned(),
                });
            }
            Ok(SourceKind::Image { reference })
        }
        "oci-layout" => {
            only(identifier, attributes, LAYOUT_ATTRIBUTES)?;
            let reference = reference(identifier, name)?;
            let digest = reference
                .digest()
                .cloned()
                .ok_or_else(|| AuditError::NoDigest { identifier: identifier.to_owned() })?;
            Ok(SourceKind::Layout { digest })
        }
        "docker-image+blob" | "oci-layout+blob" => {
            Err(AuditError::Blob { identifier: identifier.to_owned() })
        }
        "local" => {
            prefixed(identifier, attributes, "local.")?;
            Ok(SourceKind::Local { name: name.to_owned() })
        }
        "git" => {
            if let Some(bundle) = attributes.get("git.bundle") {
                return Ok(SourceKind::Blob { locator: bundle.clone() });
            }
            only(identifier, attributes, GIT_ATTRIBUTES)?;
            let remote = attributes.get("git.fullurl").map_or(name, String::as_str);
            // whoever judges by the identifier must not be deceived by the attribute
            let named = name.split_once('#').map_or(name, |(place, _)| place);
            // (0.8 writes `host/22/path` where `ssh://host:22/path` is fetched)
            if place(named).replace(':', "/") != place(remote).replace(':', "/") {
                return Err(AuditError::GitRemote {
                    identifier: identifier.to_owned(),
                    remote: remote.to_owned(),
                });
            }
            Ok(SourceKind::Git { remote: remote.to_owned() })
        }
        "http" | "https" => {
            prefixed(identifier, attributes, "http.")?;
            Ok(SourceKind::Http { url: identifier.to_owned() })
        }
        _ => Err(unknown()),
    }
}

fn reference(identifier: &str, name: &str) -> Result<Reference, AuditError> {
    name.parse().map_err(|error| AuditError::Reference {
        identifier: identifier.to_owned(),
        reason: format!("{error}"),
    })
}

/// Refuses every attribute that is not listed: it may bring other content in.
fn only(identifier: &str, attributes: &BTreeMap<String, String>, known: &[&str]) -> Result<(), AuditError> {
    match attributes.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            Err(AuditError::Attribute { identifier: identifier.to_owned(), attribute: name.clone() })
        }
    }
}

/// Refuses attributes of another kind of source.
fn prefixed(identifier: &str, attributes: &BTreeMap<String, String>, prefix: &str) -> Result<(), AuditError> {
    match attributes.keys().find(|name| !name.starts_with(prefix)) {
        None => Ok(()),
        Some(name) => {
            Err(AuditError::Attribute { identifier: identifier.to_owned(), attribute: name.clone() })
        }
    }
}

/// Host and path of a git remote, without scheme, user or fragment, in one form, whether it was a URL or `user@host:path`.
#[must_use]
pub fn place(remote: &str) -> String {
    let remote = remote.split_once('#').map_or(remote, |(place, _)| place);
    let rest = remote.split_once("://").map_or(remote, |(_, rest)| rest);
    let (host, path) = match rest.find(['/', ':']) {
        // a port stays with its host; what follows the colon of `host:path` is the path
        Some(at) if rest.get(at..).is_some_and(has_port) => {
            let end = rest.get(at + 1..).and_then(|after| after.find('/')).map_or(rest.len(), |i| at + 1 + i);
            rest.split_at_checked(end).unwrap_or((rest, ""))
        }
        Some(at) => rest.split_at_checked(at).unwrap_or((rest, "")),
        None => (rest, ""),
    };
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let path: Vec<&str> = path
        .trim_start_matches([':', '/'])
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    if path.is_empty() { host.to_owned() } else { format!("{host}/{}", path.join("/")) }
}

/// A whole commit name, SHA-1 or SHA-256.
fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether `:digits/` follows, a port.
fn has_port(after: &str) -> bool {
    after.strip_prefix(':').is_some_and(|rest| {
        let port = rest.split_once('/').map_or(rest, |(port, _)| port);
        !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// `image.layerlimit` is missing on purpose: it cuts layers off a verified image.
const IMAGE_ATTRIBUTES: &[&str] = &["image.resolvemode", "image.recordtype", "image.checksum"];

/// `oci.layerlimit` is missing as `image.layerlimit` is.
const LAYOUT_ATTRIBUTES: &[&str] = &["oci.session", "oci.store"];

/// `git.bundle` is missing: it fetches a registry's blob in the place of the remote.
const GIT_ATTRIBUTES: &[&str] = &[
    "git.authheadersecret",
    "git.authtokensecret",
    "git.checksum",
    "git.checkoutbundle",
    "git.fetchbycommit",
    "git.fullurl",
    "git.keepgitdir",
    "git.knownsshhosts",
    "git.mountsshsock",
    "git.mtime",
    "git.sig.ignoresignedtag",
    "git.sig.pubkey",
    "git.sig.rejectexpired",
    "git.sig.requiresignedtag",
    "git.skipsubmodules",
];

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn one_place_however_it_is_written() {
        for remote in [
            "https://example.org/a/b.git",
            "git@example.org:a/b.git",
            "ssh://git@example.org/a/b.git",
            "example.org/a/b.git",
            "git://example.org//a/./b.git#main",
            "example.org:a/b.git",
        ] {
            assert_eq!(place(remote), "example.org/a/b.git", "{remote}");
        }
        assert_eq!(place("ssh://git@example.org:22/a"), "example.org:22/a");
        assert_eq!(place("http://127.0.0.1:8080/r.git"), "127.0.0.1:8080/r.git");
        assert_ne!(place("https://example.org/a"), place("https://evil.org/a"));
    }
}
