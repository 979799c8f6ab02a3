//! References as docker writes them, normalised as docker does, and GUNs.

use std::fmt;
use std::str::FromStr;

use super::{Digest, DigestError};

/// The longest repository name, domain included; docker's `NameTotalLengthMax`.
const NAME_LENGTH_LIMIT: usize = 255;
/// The longest tag that docker's grammar has.
const TAG_LENGTH_LIMIT: usize = 128;
/// No reference that the grammar accepts is longer: name, `:`, tag, `@`, `sha512:` and its value.
const REFERENCE_LENGTH_LIMIT: usize = NAME_LENGTH_LIMIT + 1 + TAG_LENGTH_LIMIT + 1 + 7 + 128;
const DEFAULT_DOMAIN: &str = "docker.io";
const DEFAULT_NAMESPACE: &str = "library/";
const DEFAULT_TAG: &str = "latest";

/// A normalised image reference: `domain/path[:tag][@digest]`.
///
/// `alpine` becomes `docker.io/library/alpine`; a missing tag stays missing
/// (see [`Reference::tag_or_latest`]). Where both tag and digest stand, engines
/// go by the digest alone; the tag is only a claim.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl Reference {
    /// The registry: `docker.io`, `registry.example:5000`.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository below the registry: `library/alpine`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, if one is written.
    #[must_use]
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// The digest, if one is written.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The tag that an engine would look up: the one written, else `latest`.
    #[must_use]
    pub fn tag_or_latest(&self) -> Tag {
        self.tag.clone().unwrap_or_else(|| Tag(DEFAULT_TAG.to_owned()))
    }

    /// The full repository name, `docker.io/library/alpine`.
    #[must_use]
    pub fn repository(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// The name that trust data for this repository is kept under.
    #[must_use]
    pub fn gun(&self) -> Gun {
        Gun(self.repository())
    }

    /// The repository name as docker shows it to people: `alpine`, `acme/base`, `localhost:5000/x`.
    #[must_use]
    pub fn familiar_name(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.repository();
        }
        match self.path.strip_prefix(DEFAULT_NAMESPACE) {
            Some(name) if !name.contains('/') => name.to_owned(),
            _ => self.path.clone(),
        }
    }

    /// The whole reference with the familiar name: `alpine:3.20@sha256:…`.
    #[must_use]
    pub fn familiar(&self) -> String {
        self.with_suffix(self.familiar_name())
    }

    /// The same name and tag, with this digest.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }

    /// The same name and digest, with this tag.
    #[must_use]
    pub fn with_tag(&self, tag: Tag) -> Self {
        Self { tag: Some(tag), ..self.clone() }
    }

    /// The same name and tag, without a digest.
    #[must_use]
    pub fn without_digest(&self) -> Self {
        Self { digest: None, ..self.clone() }
    }

    /// The same name and digest, without a tag.
    #[must_use]
    pub fn without_tag(&self) -> Self {
        Self { tag: None, ..self.clone() }
    }

    /// The same reference, with the tag `latest` where neither tag nor digest is written
    /// (docker's `TagNameOnly`).
    #[must_use]
    pub fn with_default_tag(&self) -> Self {
        if self.tag.is_some() || self.digest.is_some() {
            return self.clone();
        }
        self.with_tag(self.tag_or_latest())
    }

    fn with_suffix(&self, name: String) -> String {
        let mut text = name;
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag.as_str());
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(&digest.to_string());
        }
        text
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    /// Parses what a person or a Dockerfile writes, as docker's `ParseNormalizedNamed`.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if text.len() > REFERENCE_LENGTH_LIMIT {
            return Err(ReferenceError::TooLong { limit: REFERENCE_LENGTH_LIMIT });
        }
        if is_hex_identifier(text) {
            return Err(ReferenceError::LooksLikeId);
        }
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(digest.parse()?)),
            None => (text, None),
        };
        let (domain, remainder) = split_domain(named);
        let (path, tag) = match remainder.split_once(':') {
            Some((path, tag)) => (path, Some(tag.parse()?)),
            None => (remainder, None),
        };
        if path.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(ReferenceError::Uppercase { name: path.to_owned() });
        }
        if !is_domain(domain) {
            return Err(ReferenceError::Domain { domain: domain.to_owned() });
        }
        let path = if domain == DEFAULT_DOMAIN && !path.contains('/') {
            format!("{DEFAULT_NAMESPACE}{path}")
        } else {
            path.to_owned()
        };
        if !is_path(&path) {
            return Err(ReferenceError::Path { path });
        }
        if domain.len() + 1 + path.len() > NAME_LENGTH_LIMIT {
            return Err(ReferenceError::TooLong { limit: NAME_LENGTH_LIMIT });
        }
        Ok(Self { domain: domain.to_owned(), path, tag, digest })
    }
}

impl fmt::Display for Reference {
    /// The whole, normalised reference.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_suffix(self.repository()))
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Reference {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A tag: letters, digits, `_`, `.`, `-`; at most 128 of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

impl Tag {
    /// The tag as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let mut bytes = text.bytes();
        let starts_well = bytes.next().is_some_and(word);
        if !starts_well
            || text.len() > TAG_LENGTH_LIMIT
            || !bytes.all(|b| word(b) || matches!(b, b'.' | b'-'))
        {
            return Err(ReferenceError::Tag { tag: text.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A globally unique name: the normalised repository name that trust data belongs to.
///
/// Trust servers and `notary` take names that docker's grammar does not, such as
/// `example.com/Lab`; a `Gun` holds those too, but nothing that could leave a
/// cache folder or change a URL's path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gun(String);

impl Gun {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the first `/`: the registry's host, with its port.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.split('/').next().unwrap_or(&self.0)
    }

    /// The name without docker's own defaults, as docker shows it to people.
    #[must_use]
    pub fn familiar(&self) -> &str {
        let Some(path) = self.0.strip_prefix("docker.io/") else { return &self.0 };
        match path.strip_prefix(DEFAULT_NAMESPACE) {
            Some(name) if !name.contains('/') => name,
            _ => path,
        }
    }
}

impl FromStr for Gun {
    type Err = GunError;

    fn from_str(text: &str) -> Result<Self, GunError> {
        if text.is_empty() || text.len() > NAME_LENGTH_LIMIT {
            return Err(GunError::Length { limit: NAME_LENGTH_LIMIT });
        }
        let allowed =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'/' | b'[' | b']');
        if !text.bytes().all(allowed) {
            return Err(GunError::Character { gun: text.to_owned() });
        }
        if text.split('/').any(|part| matches!(part, "" | "." | "..") || part == "_trust") {
            return Err(GunError::Part { gun: text.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Gun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Gun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for Gun {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a text is no image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing is written.
    #[error("the image reference is empty")]
    Empty,
    /// The name or the whole text is longer than docker accepts.
    #[error("the image reference is longer than {limit} characters")]
    TooLong {
        /// The limit that was passed.
        limit: usize,
    },
    /// 64 hexadecimal characters: docker reads this as an image ID, never as a name.
    #[error("64 hexadecimal characters are an image ID, not a name")]
    LooksLikeId,
    /// A repository name must be lower case.
    #[error("the repository name `{name}` must be lower case")]
    Uppercase {
        /// The path as written.
        name: String,
    },
    /// The registry part is not `host[:port]`.
    #[error("`{domain}` is not a registry host")]
    Domain {
        /// The domain as written.
        domain: String,
    },
    /// The repository part has characters or separators that docker's grammar does not have.
    #[error("`{path}` is not a repository name")]
    Path {
        /// The path as written.
        path: String,
    },
    /// The tag has characters that docker's grammar does not have, or too many.
    #[error("`{tag}` is not a tag")]
    Tag {
        /// The tag as written.
        tag: String,
    },
    /// The digest is malformed.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

/// Why a text is no GUN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GunError {
    /// Empty, or longer than the server's column.
    #[error("a repository name has between 1 and {limit} characters")]
    Length {
        /// The limit that was passed.
        limit: usize,
    },
    /// A character that no registry, file system or URL path takes unchanged.
    #[error("`{gun}` has a character that a repository name can't have")]
    Character {
        /// The name as written.
        gun: String,
    },
    /// An empty part, `.` or `..`, or the server's own `_trust`.
    #[error("`{gun}` has a part that a repository name can't have (empty, `.`, `..` or `_trust`)")]
    Part {
        /// The name as written.
        gun: String,
    },
}

fn is_hex_identifier(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The first path element is the registry if it has a `.`, a `:` or an upper-case letter,
/// or is `localhost`; docker's `splitDockerDomain`.
fn split_domain(name: &str) -> (&str, &str) {
    let (domain, remainder) = match name.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (first, rest)
        }
        _ => (DEFAULT_DOMAIN, name),
    };
    if domain == "index.docker.io" { (DEFAULT_DOMAIN, remainder) } else { (domain, remainder) }
}

fn is_domain(text: &str) -> bool {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let Some((address, rest)) = rest.split_once(']') else { return false };
        if address.is_empty() || !address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':') {
            return false;
        }
        match rest.strip_prefix(':') {
            Some(port) => (None, Some(port)),
            None if rest.is_empty() => (None, None),
            None => return false,
        }
    } else {
        match text.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(text), None),
        }
    };
    if port.is_some_and(|port| port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit())) {
        return false;
    }
    host.is_none_or(|host| {
        host.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
    })
}

fn is_path(text: &str) -> bool {
    text.split('/').all(is_path_component)
}

/// `[a-z0-9]+` joined by `.`, `_`, `__` or any number of `-`.
fn is_path_component(text: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    if !alphanumeric(*first) || !alphanumeric(*last) {
        return false;
    }
    text.split(|c: char| c.is_ascii() && alphanumeric(c as u8))
        .all(|separator| matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn check(text: &str, normalised: &str, familiar: &str) {
        let reference: Reference = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(reference.to_string(), normalised);
        assert_eq!(reference.familiar(), familiar);
        assert_eq!(normalised.parse::<Reference>().as_ref(), Ok(&reference));
        assert_eq!(familiar.parse::<Reference>().as_ref(), Ok(&reference));
    }

    #[test]
    fn names_are_normalised_as_docker_does() {
        check("alpine", "docker.io/library/alpine", "alpine");
        check("alpine:3.20", "docker.io/library/alpine:3.20", "alpine:3.20");
        check("acme/base", "docker.io/acme/base", "acme/base");
        check("index.docker.io/alpine", "docker.io/library/alpine", "alpine");
        check("docker.io/library/scratch", "docker.io/library/scratch", "scratch");
        check("localhost/a", "localhost/a", "localhost/a");
        check("localhost:5000/a/b:c", "localhost:5000/a/b:c", "localhost:5000/a/b:c");
        check("127.0.0.1:5000/acme/base", "127.0.0.1:5000/acme/base", "127.0.0.1:5000/acme/base");
        check("[::1]:5000/a", "[::1]:5000/a", "[::1]:5000/a");
        check("Foo/bar", "Foo/bar", "Foo/bar");
        check("a__b/c.d--e", "docker.io/a__b/c.d--e", "a__b/c.d--e");
        check(
            &format!("alpine:3.20@sha256:{HEX}"),
            &format!("docker.io/library/alpine:3.20@sha256:{HEX}"),
            &format!("alpine:3.20@sha256:{HEX}"),
        );
    }

    #[test]
    fn what_docker_refuses_is_refused() {
        for text in [
            "",
            ":",
            "@",
            "a:",
            ":a",
            "a@",
            "/a",
            "a/",
            "a//b",
            "Alpine",
            "acme/Base",
            "a b",
            "a\n",
            "-a",
            "a-",
            "a___b",
            "a._b",
            "a..b",
            "../a",
            "http://a/b",
            "a:b:c",
            "a@sha256:00",
            "a:-x",
            "é/a",
            "a.b:x/c",
            "-a.b/c",
            "[::1/a",
            HEX,
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text:?} was accepted");
        }
        assert!(format!("a@sha256:{}", HEX.to_uppercase()).parse::<Reference>().is_err());
        assert!(format!("a@md5:{HEX}").parse::<Reference>().is_err());
        assert!("a/".repeat(200).parse::<Reference>().is_err());
        assert!(format!("a:{}", "t".repeat(129)).parse::<Reference>().is_err());
        assert!("a".repeat(100_000).parse::<Reference>().is_err());
    }

    #[test]
    fn a_gun_stays_in_its_folder() {
        for text in
            ["../a", "a/../b", "a/./b", "/a", "a/", "a//b", "", "a/_trust/b", "a\\b", "a\0b", "a%2fb", "a?b"]
        {
            assert!(text.parse::<Gun>().is_err(), "{text:?} was accepted");
        }
        assert_eq!("127.0.0.1:5000/acme/base".parse::<Gun>().unwrap().domain(), "127.0.0.1:5000");
        assert_eq!("docker.io/library/alpine".parse::<Gun>().unwrap().familiar(), "alpine");
        assert!("example.com/Lab".parse::<Gun>().is_ok());
    }

    #[test]
    fn a_missing_tag_is_latest_only_where_asked() {
        let reference: Reference = "alpine".parse().unwrap();
        assert_eq!(reference.tag(), None);
        assert_eq!(reference.with_default_tag().to_string(), "docker.io/library/alpine:latest");
        let pinned: Reference = format!("alpine@sha256:{HEX}").parse().unwrap();
        assert_eq!(pinned.with_default_tag(), pinned);
    }
}
