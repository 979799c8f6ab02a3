//! The manifests of a multi-platform image, in what is signed of its index.
//!
//! A tag's target is the index. Its children's digests stand beside it, in the target's `custom` data:
//! `{"trustgate":{"platforms":[{"digest":"sha256:…","platform":"linux/amd64","size":527},…]}}`, so that
//! one platform's manifest can be verified without its index. Docker and notary sign and keep `custom`
//! without looking at it.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::image::{Digest, Platform};

/// A manifest of a multi-platform image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlatformManifest {
    /// Its digest.
    pub digest: Digest,
    /// Its number of bytes.
    pub size: u64,
    /// What it runs on; an attestation runs on nothing.
    #[serde(serialize_with = "written")]
    pub platform: Option<Platform>,
}

#[expect(clippy::ref_option, reason = "serde hands the field over as it is")]
fn written<S: Serializer>(platform: &Option<Platform>, serializer: S) -> Result<S::Ok, S::Error> {
    platform.as_ref().map(Platform::to_string).serialize(serializer)
}

/// Adds the manifests of an index to what a publisher says of a target, in the place of earlier ones.
#[must_use]
pub fn with_platforms(custom: Option<Value>, manifests: &[PlatformManifest]) -> Value {
    let list: Vec<Value> = manifests
        .iter()
        .map(|it| {
            let mut entry = Map::new();
            entry.insert("digest".to_owned(), it.digest.to_string().into());
            entry.insert("size".to_owned(), it.size.into());
            if let Some(platform) = &it.platform {
                entry.insert("platform".to_owned(), platform.to_string().into());
            }
            Value::Object(entry)
        })
        .collect();
    let mut custom = match custom {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    };
    let ours = custom.entry(MEMBER).or_insert_with(|| json!({}));
    if !ours.is_object() {
        *ours = json!({});
    }
    if let Some(members) = ours.as_object_mut() {
        members.insert(PLATFORMS.to_owned(), list.into());
    }
    Value::Object(custom)
}

/// The manifests that a target's publisher signed with its index; none: nothing is said about them.
pub fn platforms_of(custom: Option<&Value>) -> Result<Vec<PlatformManifest>, PlatformsError> {
    let Some(list) = custom.and_then(|it| it.get(MEMBER)).and_then(|it| it.get(PLATFORMS)) else {
        return Ok(Vec::new());
    };
    let list = list.as_array().ok_or_else(|| PlatformsError("it is no list".to_owned()))?;
    if list.len() > PLATFORM_LIMIT {
        return Err(PlatformsError(format!("it has more than {PLATFORM_LIMIT} entries")));
    }
    list.iter().map(|it| read(it).map_err(PlatformsError)).collect()
}

fn read(entry: &Value) -> Result<PlatformManifest, String> {
    let digest = entry.get("digest").and_then(Value::as_str).ok_or("`digest` is missing")?;
    let digest = digest.parse().map_err(|it| format!("`digest`: {it}"))?;
    let size = entry.get("size").and_then(Value::as_u64).ok_or("`size` is missing")?;
    let platform = match entry.get("platform") {
        None => None,
        Some(Value::String(text)) => Some(text.parse().map_err(|it| format!("`platform`: {it}"))?),
        Some(_) => return Err("`platform` is no text".to_owned()),
    };
    Ok(PlatformManifest { digest, size, platform })
}

/// What a publisher signed about platforms cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signed list of platforms is malformed: {0}")]
pub struct PlatformsError(String);

const MEMBER: &str = "trustgate";
const PLATFORMS: &str = "platforms";
/// The largest official images have a dozen platforms, each with an attestation.
const PLATFORM_LIMIT: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn manifests() -> Vec<PlatformManifest> {
        let digest = |it: &[u8]| Digest::of(it);
        vec![
            PlatformManifest {
                digest: digest(b"a"),
                size: 527,
                platform: Some("linux/amd64".parse().unwrap()),
            },
            PlatformManifest {
                digest: digest(b"b"),
                size: 528,
                platform: Some("linux/arm/v7".parse().unwrap()),
            },
            PlatformManifest { digest: digest(b"c"), size: 900, platform: None },
        ]
    }

    #[test]
    fn what_is_written_is_read_and_what_else_was_there_stays() {
        let other = json!({"build": {"number": 7}, "trustgate": {"note": "x", "platforms": []}});
        for custom in [None, Some(other)] {
            let written = with_platforms(custom.clone(), &manifests());
            assert_eq!(platforms_of(Some(&written)).unwrap(), manifests());
            if custom.is_some() {
                assert_eq!(written.pointer("/build/number"), Some(&7.into()));
                assert_eq!(written.pointer("/trustgate/note"), Some(&"x".into()));
            }
        }
        assert_eq!(platforms_of(None).unwrap(), []);
        assert_eq!(platforms_of(Some(&json!({"other": 1}))).unwrap(), []);
    }

    #[test]
    fn malformed_lists_are_errors() {
        let digest = Digest::of(b"a").to_string();
        for list in [
            json!({}),
            json!([1]),
            json!([{"size": 1}]),
            json!([{"digest": "sha256:1", "size": 1}]),
            json!([{"digest": digest, "size": -1}]),
            json!([{"digest": digest, "size": 1, "platform": 1}]),
            json!([{"digest": digest, "size": 1, "platform": "linux"}]),
            Value::Array(vec![json!({"digest": digest, "size": 1}); PLATFORM_LIMIT + 1]),
        ] {
            let custom = json!({"trustgate": {"platforms": list}});
            assert!(platforms_of(Some(&custom)).is_err(), "{custom}");
        }
    }
}
