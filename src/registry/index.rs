//! What a manifest is, and what an index lists.

use std::fmt;

use serde::Deserialize;

use crate::image::{Digest, Platform};
use crate::text::visible_prefix;

/// The media type of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// Docker's manifest of one platform.
    DockerManifest,
    /// Docker's manifest list.
    DockerList,
    /// OCI's manifest of one platform.
    OciManifest,
    /// OCI's index.
    OciIndex,
}

impl MediaType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::DockerManifest, Self::DockerList, Self::OciManifest, Self::OciIndex];

    /// Whether it lists other manifests.
    #[must_use]
    pub fn is_index(self) -> bool {
        matches!(self, Self::DockerList | Self::OciIndex)
    }

    /// The media type as registries and manifests write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DockerManifest => "application/vnd.docker.distribution.manifest.v2+json",
            Self::DockerList => "application/vnd.docker.distribution.manifest.list.v2+json",
            Self::OciManifest => "application/vnd.oci.image.manifest.v1+json",
            Self::OciIndex => "application/vnd.oci.image.index.v1+json",
        }
    }

    /// The media type that a `Content-Type` names, whatever parameters follow.
    pub(super) fn of_header(header: &str) -> Option<Self> {
        let name = header.split(';').next().unwrap_or_default().trim();
        Self::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(name))
    }

    /// The media type of a manifest's bytes, which must agree with the registry's word for it.
    ///
    /// Bytes that are a manifest to one reader and an index to another are refused.
    pub(super) fn of_content(header: &str, bytes: &[u8]) -> Result<Self, String> {
        let shape: Shape = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if shape.schema_version != Some(2) {
            return Err("its schema is not version 2".to_owned());
        }
        let written = match shape.media_type.as_deref() {
            None => None,
            Some(name) => match Self::of_header(name) {
                Some(known) => Some(known),
                None => return Err(format!("it is a `{}`", visible_prefix(name, SHOWN_LIMIT))),
            },
        };
        let media_type = match (written, Self::of_header(header)) {
            (Some(written), Some(named)) if written != named => {
                return Err(format!("it is a `{written}`, and the registry says `{named}`"));
            }
            (Some(media_type), _) | (None, Some(media_type)) => media_type,
            (None, None) => {
                return Err(format!(
                    "the registry says that it is a `{}`",
                    visible_prefix(header, SHOWN_LIMIT)
                ));
            }
        };
        let manifest = shape.config.is_some() || shape.layers.is_some();
        let index = shape.manifests.is_some();
        if (manifest, index) == (!media_type.is_index(), media_type.is_index()) {
            Ok(media_type)
        } else {
            Err(format!("it is no `{media_type}`"))
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for MediaType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One manifest that an index lists.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Child {
    /// Its digest.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
    /// What it is for; `None` where the index does not say, or says `unknown/unknown`, as
    /// `BuildKit` does of attestations.
    pub platform: Option<Platform>,
}

/// An entry of an index.
pub(super) struct Entry {
    pub(super) child: Child,
    /// Whether it is an index itself.
    pub(super) is_index: bool,
}

/// What an index lists.
pub(super) fn entries(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    let index: Index = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if CHILD_LIMIT < index.manifests.len() {
        return Err(format!("it lists more than {CHILD_LIMIT} manifests"));
    }
    let entry = |wire: WireEntry| {
        let digest = wire.digest.parse().map_err(|error| format!("a digest in it: {error}"))?;
        let is_index =
            wire.media_type.as_deref().and_then(MediaType::of_header).is_some_and(MediaType::is_index);
        let platform = wire.platform.and_then(WirePlatform::known);
        Ok(Entry { child: Child { digest, size: wire.size, platform }, is_index })
    };
    index.manifests.into_iter().map(entry).collect()
}

/// What tells a manifest from an index.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: Option<i64>,
    media_type: Option<String>,
    config: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    manifests: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<WireEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireEntry {
    media_type: Option<String>,
    digest: String,
    size: u64,
    platform: Option<WirePlatform>,
}

#[derive(Deserialize)]
struct WirePlatform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: String,
}

impl WirePlatform {
    fn known(self) -> Option<Platform> {
        let written = Platform::new(&self.os, &self.architecture, &self.variant);
        // What `os/arch` does not take is no platform that anybody asks for.
        let platform: Option<Platform> = written.to_string().parse().ok();
        platform.filter(|platform| platform.os != "unknown" && platform.architecture != "unknown")
    }
}

/// The largest index known has fewer than a hundred; a signature carries each of them.
pub(super) const CHILD_LIMIT: usize = 1_000;
/// Enough to recognise a media type.
const SHOWN_LIMIT: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";

    #[test]
    fn what_bytes_are() {
        for (header, bytes, expected) in [
            (MANIFEST, r#"{"schemaVersion":2,"config":{},"layers":[]}"#, Ok(MediaType::DockerManifest)),
            (
                "application/vnd.docker.distribution.manifest.V2+json; charset=x",
                r#"{"schemaVersion":2,"config":{}}"#,
                Ok(MediaType::DockerManifest),
            ),
            (
                "text/plain",
                r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#,
                Ok(MediaType::OciIndex),
            ),
            (INDEX, r#"{"schemaVersion":2,"manifests":[]}"#, Ok(MediaType::OciIndex)),
            (
                "text/plain",
                r#"{"schemaVersion":2,"manifests":[]}"#,
                Err("the registry says that it is a `text/plain`"),
            ),
            (MANIFEST, r#"{"schemaVersion":1,"config":{}}"#, Err("its schema is not version 2")),
            (
                MANIFEST,
                r#"{"schemaVersion":2,"mediaType":"application/x","config":{}}"#,
                Err("it is a `application/x`"),
            ),
            (
                MANIFEST,
                r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#,
                Err("and the registry says"),
            ),
            (MANIFEST, r#"{"schemaVersion":2,"config":{},"layers":[],"manifests":[]}"#, Err("it is no")),
            (INDEX, r#"{"schemaVersion":2,"config":{},"manifests":[]}"#, Err("it is no")),
            (INDEX, r#"{"schemaVersion":2}"#, Err("it is no")),
            (INDEX, r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#, Err("duplicate field")),
            (INDEX, "[]", Err("invalid")),
            (INDEX, "", Err("EOF")),
        ] {
            match (MediaType::of_content(header, bytes.as_bytes()), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{bytes}"),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{bytes}: {found}"),
                (found, _) => panic!("{bytes}: {found:?}"),
            }
        }
    }

    #[test]
    fn platforms_of_an_index() {
        let digest = Digest::of(b"");
        let entry = |platform: &str| {
            format!(r#"{{"mediaType":"{MANIFEST}","digest":"{digest}","size":7,"platform":{platform}}}"#)
        };
        let index = |entries: &[String]| format!(r#"{{"manifests":[{}]}}"#, entries.join(","));
        let platforms = [
            r#"{"os":"linux","architecture":"arm64","variant":"v8"}"#,
            r#"{"os":"unknown","architecture":"unknown"}"#,
            r#"{"os":"li\u001bnux","architecture":"a/b"}"#,
            "{}",
            "null",
        ];
        let found = entries(index(&platforms.map(entry)).as_bytes()).unwrap();
        let found: Vec<_> =
            found.iter().map(|entry| entry.child.platform.as_ref().map(Platform::to_string)).collect();
        assert_eq!(found, [Some("linux/arm64".to_owned()), None, None, None, None]);
        let many = index(&vec![entry("null"); 10_000]);
        assert_eq!(entries(many.as_bytes()).err().unwrap(), "it lists more than 1000 manifests");
        for malformed in
            [r#"{"digest":"sha256:00","size":1}"#, &format!(r#"{{"digest":"{digest}","size":-1}}"#), "{}"]
        {
            assert!(entries(index(&[malformed.to_owned()]).as_bytes()).is_err(), "{malformed}");
        }
    }
}
