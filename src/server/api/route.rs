//! What a request's method and path ask for.
//!
//! A path is decoded once and read whole: what is not exactly one of Notary's routes is none. Repositories
//! and roles leave here as types that cannot hold a hostile name.

use std::borrow::Cow;

use axum::http::Method;

use crate::image::Gun;
use crate::server::page::{PageRequest, Subject};
use crate::tuf::{RoleName, Version};

/// One thing that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// A role's newest file.
    Current { gun: Gun, role: RoleName },
    /// A role's file of this hash.
    ByHash { gun: Gun, role: RoleName, sha256: [u8; 32] },
    /// A role's file of this version.
    ByVersion { gun: Gun, role: RoleName, version: Version },
    /// Publishing.
    Publish { gun: Gun },
    /// Forgetting a repository.
    Delete { gun: Gun },
    /// The key that the server signs a role with.
    Key { gun: Gun, role: RoleName },
    /// A new key for it.
    RotateKey { gun: Gun, role: RoleName },
    /// What was published and deleted, in one repository or in all.
    Changes { gun: Option<Gun> },
    /// Whether this is a server, and whether one must say who one is.
    Welcome,
    /// Whether everything works.
    Health,
    /// Numbers for a monitor.
    Metrics,
    /// What is kept here, for people.
    Page { subject: Subject },
    /// Something would be written, to a repository that cannot be.
    UnfitGun { name: String },
    /// Nothing of this server's.
    Nothing,
}

impl Route {
    /// Reads a request's method and its path as it was sent.
    pub(super) fn parse(method: &Method, path: &str) -> Self {
        let reads = method == Method::GET || method == Method::HEAD;
        if let Some(request) = PageRequest::read(path, None).filter(|_| reads) {
            return Self::Page { subject: request.subject };
        }
        let Some(path) = decode(path) else { return Self::Nothing };
        let Some(rest) = path.strip_prefix("/v2/") else {
            return match &*path {
                HEALTH if reads => Self::Health,
                METRICS if reads => Self::Metrics,
                _ => Self::Nothing,
            };
        };
        match rest {
            "" if reads => return Self::Welcome,
            "_trust/changefeed" if reads => return Self::Changes { gun: None },
            _ => {}
        }
        let Some((name, what)) = rest.split_once("/_trust/") else { return Self::Nothing };
        let writes = method == Method::POST || method == Method::DELETE;
        let gun: Gun = match name.parse() {
            Ok(gun) => gun,
            Err(_) if writes => return Self::UnfitGun { name: name.to_owned() },
            Err(_) => return Self::Nothing,
        };
        match what.strip_prefix("tuf/") {
            Some("") if method == Method::POST => Self::Publish { gun },
            Some("") if method == Method::DELETE => Self::Delete { gun },
            Some(file) if reads || method == Method::POST => Self::of_file(gun, file, method),
            None if what == "changefeed" && reads => Self::Changes { gun: Some(gun) },
            _ => Self::Nothing,
        }
    }

    /// `root.json`, `root.<hash>.json`, `1.root.json` or `timestamp.key`.
    fn of_file(gun: Gun, file: &str, method: &Method) -> Self {
        if let Some(role) = file.strip_suffix(".key") {
            let role = match role {
                "timestamp" => RoleName::TIMESTAMP,
                "snapshot" => RoleName::SNAPSHOT,
                _ => return Self::Nothing,
            };
            return if method == Method::POST {
                Self::RotateKey { gun, role }
            } else {
                Self::Key { gun, role }
            };
        }
        let Some(stem) = file.strip_suffix(".json").filter(|_| method != Method::POST) else {
            return Self::Nothing;
        };
        // No role has a dot in its name.
        let Some((first, second)) = stem.split_once('.') else {
            return stem.parse().map_or(Self::Nothing, |role| Self::Current { gun, role });
        };
        let parsed = if first.bytes().all(|it| it.is_ascii_digit()) {
            second.parse().ok().zip(version(first)).map(|(role, version)| (role, Place::Version(version)))
        } else {
            first.parse().ok().zip(hash(second)).map(|(role, sha256)| (role, Place::Hash(sha256)))
        };
        match parsed {
            Some((role, Place::Version(version))) => Self::ByVersion { gun, role, version },
            Some((role, Place::Hash(sha256))) => Self::ByHash { gun, role, sha256 },
            None => Self::Nothing,
        }
    }

    /// The repository that it is about.
    pub(super) fn gun(&self) -> Option<&Gun> {
        match self {
            Self::Current { gun, .. }
            | Self::ByHash { gun, .. }
            | Self::ByVersion { gun, .. }
            | Self::Publish { gun }
            | Self::Delete { gun }
            | Self::Key { gun, .. }
            | Self::RotateKey { gun, .. } => Some(gun),
            Self::Changes { gun } => gun.as_ref(),
            Self::Page { subject } => subject.gun(),
            Self::Welcome | Self::Health | Self::Metrics | Self::UnfitGun { .. } | Self::Nothing => None,
        }
    }

    /// Notary's name for it, as its metrics have it.
    pub(super) fn operation(&self) -> &'static str {
        match self {
            Self::Current { .. } => "GetRole",
            Self::ByHash { .. } => "GetRoleByHash",
            Self::ByVersion { .. } => "GetRoleByVersion",
            Self::Publish { .. } | Self::UnfitGun { .. } => "UpdateTUF",
            Self::Delete { .. } => "DeleteTUF",
            Self::Key { .. } => "GetKey",
            Self::RotateKey { .. } => "RotateKey",
            Self::Changes { .. } => "Changefeed",
            Self::Welcome => "Ping",
            Self::Health => "Health",
            Self::Metrics => "Metrics",
            Self::Page { .. } => "Page",
            Self::Nothing => "Unknown",
        }
    }

    /// Whether it changes something.
    pub(super) fn writes(&self) -> bool {
        matches!(
            self,
            Self::Publish { .. } | Self::Delete { .. } | Self::RotateKey { .. } | Self::UnfitGun { .. }
        )
    }
}

/// Which of a role's files.
enum Place {
    Version(Version),
    Hash([u8; 32]),
}

/// A version, with zeros in front of it as Notary takes it.
fn version(digits: &str) -> Option<Version> {
    digits.parse().ok().and_then(Version::new)
}

/// 64 hexadecimal digits in lower case. Notary's route takes longer hashes too, and finds nothing by them.
fn hash(text: &str) -> Option<[u8; 32]> {
    if text.bytes().any(|it| it.is_ascii_uppercase()) {
        return None;
    }
    let mut sha256 = [0; 32];
    hex::decode_to_slice(text, &mut sha256).ok()?;
    Some(sha256)
}

/// The path with its `%` sequences resolved, once; nothing, where they are none or spell no text.
fn decode(path: &str) -> Option<Cow<'_, str>> {
    if !path.contains('%') {
        return Some(Cow::Borrowed(path));
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, behind) = behind.split_first_chunk::<2>()?;
        let mut byte = [0];
        hex::decode_to_slice(digits, &mut byte).ok()?;
        bytes.push(byte[0]);
        rest = behind;
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

const HEALTH: &str = "/_notary_server/health";
const METRICS: &str = "/metrics";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn get(path: &str) -> Route {
        Route::parse(&Method::GET, path)
    }

    fn gun(name: &str) -> Gun {
        name.parse().unwrap()
    }

    #[test]
    fn files_are_named_in_three_ways() {
        for name in ["docker.io/library/alpine", "localhost:5000/a/b", "127.0.0.1:15000/lab/App", "x"] {
            let path = |file: &str| format!("/v2/{name}/_trust/tuf/{file}");
            let (gun, role) = (gun(name), RoleName::ROOT);
            assert_eq!(get(&path("root.json")), Route::Current { gun: gun.clone(), role: role.clone() });
            let releases = Route::Current { gun: gun.clone(), role: RoleName::RELEASES };
            assert_eq!(get(&path("targets/releases.json")), releases);
            let version = Version::new(7).unwrap();
            let seventh = Route::ByVersion { gun: gun.clone(), role: RoleName::RELEASES, version };
            assert_eq!(get(&path("7.targets/releases.json")), seventh);
            assert_eq!(get(&path("007.targets/releases.json")), seventh);
            let mut sha256 = [0; 32];
            hex::decode_to_slice(HASH, &mut sha256).unwrap();
            assert_eq!(get(&path(&format!("root.{HASH}.json"))), Route::ByHash { gun, role, sha256 });
        }
    }

    #[test]
    fn methods_choose() {
        let (gun, role) = (gun("a/b"), RoleName::TIMESTAMP);
        for (method, path, route) in [
            (Method::POST, "/v2/a/b/_trust/tuf/", Route::Publish { gun: gun.clone() }),
            (Method::DELETE, "/v2/a/b/_trust/tuf/", Route::Delete { gun: gun.clone() }),
            (
                Method::GET,
                "/v2/a/b/_trust/tuf/timestamp.key",
                Route::Key { gun: gun.clone(), role: role.clone() },
            ),
            (
                Method::POST,
                "/v2/a/b/_trust/tuf/timestamp.key",
                Route::RotateKey { gun: gun.clone(), role: role.clone() },
            ),
            (Method::HEAD, "/v2/a/b/_trust/tuf/timestamp.json", Route::Current { gun: gun.clone(), role }),
            (Method::GET, "/v2/a/b/_trust/changefeed", Route::Changes { gun: Some(gun.clone()) }),
            (Method::GET, "/v2/_trust/changefeed", Route::Changes { gun: None }),
            (Method::GET, "/v2/", Route::Welcome),
            (Method::GET, "/_notary_server/health", Route::Health),
            (Method::GET, "/metrics", Route::Metrics),
            (Method::GET, "/", Route::Page { subject: Subject::Index }),
            (Method::HEAD, "/repository/a%2Fb", Route::Page { subject: Subject::Repository(gun.clone()) }),
            (Method::GET, "/v2/a%2Fb/_trust/changefeed", Route::Changes { gun: Some(gun) }),
        ] {
            assert_eq!(Route::parse(&method, path), route, "{method} {path}");
        }
        for (method, path) in [
            (Method::PUT, "/v2/a/b/_trust/tuf/"),
            (Method::GET, "/v2/a/b/_trust/tuf/"),
            (Method::POST, "/v2/a/b/_trust/tuf/root.json"),
            (Method::POST, "/v2/a/b/_trust/tuf/root.key"),
            (Method::DELETE, "/v2/a/b/_trust/tuf/root.json"),
            (Method::DELETE, "/v2/a/b/_trust/tuf/timestamp.key"),
            (Method::PUT, "/v2/a/b/_trust/tuf/timestamp.key"),
            (Method::POST, "/v2/a/b/_trust/changefeed"),
            (Method::POST, "/v2/"),
            (Method::POST, "/metrics"),
            (Method::POST, "/"),
            (Method::DELETE, "/repository/a/b"),
            (Method::OPTIONS, "/v2/"),
        ] {
            assert_eq!(Route::parse(&method, path), Route::Nothing, "{method} {path}");
        }
    }

    #[test]
    fn odd_paths_are_nothing() {
        let upper = HASH.to_uppercase();
        for file in [
            "root",
            "Root.json",
            "mirrors.json",
            ".json",
            "root..json",
            "targets/../root.json",
            "targets/%2e%2e/root.json",
            "targets/.json",
            "0.root.json",
            "-1.root.json",
            "+1.root.json",
            "18446744073709551616.root.json",
            "1.1.root.json",
            "root.1.json",
            "root.abc.json",
            "root.json.json",
            &format!("root.{upper}.json"),
            &format!("root.{HASH}{HASH}.json"),
            &format!("{HASH}.json"),
            "snapshot.key.json",
            "targets.key",
            "root.json%00",
            "root.json%",
            "root.json%zz",
            "%ff.json",
        ] {
            assert_eq!(get(&format!("/v2/a/b/_trust/tuf/{file}")), Route::Nothing, "{file}");
        }
        for path in [
            "",
            "//",
            "/index.html",
            "/repository/",
            "/repository/a//b",
            "/status/a",
            "/v2",
            "/v2//_trust/tuf/root.json",
            "/v1/a/_trust/tuf/root.json",
            "*",
        ] {
            assert_eq!(get(path), Route::Nothing, "{path}");
        }
    }

    #[test]
    fn hostile_repositories_are_none() {
        let long = "a".repeat(256);
        for name in
            ["", "../x", "a/../b", "a//b", "/a", "a/", "a%252e", "a b", "a\u{0}", "é", "a*", "%2e%2e", &long]
        {
            let encoded = name.replace(' ', "%20").replace('\u{0}', "%00");
            assert_eq!(get(&format!("/v2/{encoded}/_trust/tuf/root.json")), Route::Nothing, "{name}");
            let written = Route::parse(&Method::POST, &format!("/v2/{encoded}/_trust/tuf/"));
            assert!(matches!(written, Route::UnfitGun { .. }), "{name}: {written:?}");
        }
    }

    proptest! {
        #[test]
        fn any_path_is_answered(path in "(/v2/|/_trust/|tuf/|[a-z.%/:]|%2[0-9a-f]|root|json|\\PC){0,20}") {
            let route = get(&path);
            if let Some(gun) = route.gun() {
                prop_assert!(gun.as_str().parse::<Gun>().is_ok());
            }
        }
    }
}
