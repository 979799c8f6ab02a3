//! What the engine knows of an image.

use serde::Deserialize;

use crate::image::{Digest, Platform, Reference};

/// An image that the engine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its ID: the digest of its configuration (of its index in a containerd image store).
    pub id: Digest,
    /// The tags that name it.
    pub tags: Vec<Reference>,
    /// The digests under which repositories have it.
    pub digests: Vec<Reference>,
    /// What it runs on.
    pub platform: Option<Platform>,
}

impl Image {
    /// Reads the answer to `GET /images/NAME/json`.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Wire {
            id: String,
            repo_tags: Option<Vec<String>>,
            repo_digests: Option<Vec<String>>,
            os: Option<String>,
            architecture: Option<String>,
            variant: Option<String>,
        }
        let wire: Wire = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let platform = match (wire.os.as_deref(), wire.architecture.as_deref()) {
            (Some(os), Some(architecture)) if !os.is_empty() && !architecture.is_empty() => {
                Some(Platform::new(os, architecture, wire.variant.as_deref().unwrap_or_default()))
            }
            _ => None,
        };
        Ok(Self {
            id: wire.id.parse().map_err(|error| format!("its ID: {error}"))?,
            tags: references(wire.repo_tags.as_deref()),
            digests: references(wire.repo_digests.as_deref()),
            platform,
        })
    }
}

/// A tag of a repository on this engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalTag {
    /// The tag, with its repository.
    pub reference: Reference,
    /// The image that it names.
    pub id: Digest,
}

impl LocalTag {
    /// Reads the answer to `GET /images/json`; only what belongs to the repository counts.
    pub(super) fn parse_list(body: &[u8], repository: &Reference) -> Result<Vec<Self>, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Wire {
            id: String,
            repo_tags: Option<Vec<String>>,
        }
        let wire: Vec<Wire> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let mut tags = Vec::new();
        for image in wire {
            let id: Digest = image.id.parse().map_err(|error| format!("an ID: {error}"))?;
            let own = references(image.repo_tags.as_deref()).into_iter().filter(|reference| {
                reference.tag().is_some() && reference.repository() == repository.repository()
            });
            tags.extend(own.map(|reference| Self { reference, id: id.clone() }));
        }
        tags.sort_by(|one, other| one.reference.cmp(&other.reference));
        tags.dedup();
        Ok(tags)
    }
}

/// Untagged images are listed as `<none>:<none>`, which is no reference.
fn references(texts: Option<&[String]>) -> Vec<Reference> {
    texts.unwrap_or_default().iter().filter_map(|text| text.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn an_image() {
        let body = format!(
            r#"{{"Id":"{ID}","RepoTags":["web:1","<none>:<none>"],"RepoDigests":["web@{ID}"],"Os":"linux","Architecture":"arm64","Variant":"v8"}}"#
        );
        let image = Image::parse(body.as_bytes()).unwrap();
        assert_eq!(image.id.to_string(), ID);
        assert_eq!(image.tags, ["web:1".parse().unwrap()]);
        assert_eq!(image.digests, [format!("web@{ID}").parse().unwrap()]);
        assert_eq!(image.platform.unwrap().to_string(), "linux/arm64");
        let bare = Image::parse(format!(r#"{{"Id":"{ID}","RepoTags":null}}"#).as_bytes()).unwrap();
        assert!(bare.tags.is_empty() && bare.platform.is_none());
        for malformed in ["", "{}", "[]", r#"{"Id":"x"}"#] {
            assert!(Image::parse(malformed.as_bytes()).is_err(), "{malformed}");
        }
    }

    #[test]
    fn the_tags_of_one_repository() {
        let body = format!(
            r#"[{{"Id":"{ID}","RepoTags":["acme/web:2","acme/web:1","acme/webs:1"]}},{{"Id":"{ID}","RepoTags":null}}]"#
        );
        let tags = LocalTag::parse_list(body.as_bytes(), &"acme/web".parse().unwrap()).unwrap();
        let names: Vec<String> = tags.iter().map(|tag| tag.reference.familiar()).collect();
        assert_eq!(names, ["acme/web:1", "acme/web:2"]);
    }
}
