//! What may come into a build besides images by name: kinds, and how strictly each is let in.

use super::error::Place;
use crate::image::Gun;
use crate::policy::Pattern;

/// Where a named context, or the main one, comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContextKind {
    /// `docker-image://`.
    DockerImage,
    /// `git://`, `….git`, and what else the builder takes for git.
    Git,
    /// `http://`, `https://`.
    Http,
    /// `input:`, the result of another build.
    Input,
    /// A folder of the client.
    Local,
    /// `oci-layout://`, an image in a folder of the client.
    OciLayout,
}

impl ContextKind {
    /// The key in the policy's table `contexts`.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::DockerImage => "docker-image",
            Self::Git => "git",
            Self::Http => "http",
            Self::Input => "input",
            Self::Local => "local",
            Self::OciLayout => "oci-layout",
        }
    }

    fn default_admission(self) -> Admission {
        match self {
            Self::DockerImage | Self::Input => Admission::Verify,
            // the content that is built is the user's own choice; what it names is checked
            Self::Git | Self::Http | Self::Local => Admission::Allow,
            Self::OciLayout => Admission::Refuse,
        }
    }
}

/// Where an imported cache comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CacheKind {
    /// Azure blob storage.
    Azblob,
    /// GitHub Actions.
    Gha,
    /// The cache that an image carries in itself.
    Inline,
    /// A folder of the client.
    Local,
    /// An image in a registry.
    Registry,
    /// S3 storage.
    S3,
    /// A type that this program does not know; it never comes in.
    Unknown,
}

impl CacheKind {
    /// The kind that a cache option's `type=` names.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name {
            "azblob" => Self::Azblob,
            "gha" => Self::Gha,
            "inline" => Self::Inline,
            "local" => Self::Local,
            "registry" => Self::Registry,
            "s3" => Self::S3,
            _ => Self::Unknown,
        }
    }

    /// The key in the policy's table `caches`.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Azblob => "azblob",
            Self::Gha => "gha",
            Self::Inline => "inline",
            Self::Local => "local",
            Self::Registry => "registry",
            Self::S3 => "s3",
            Self::Unknown => "unknown",
        }
    }

    fn default_admission(self) -> Admission {
        match self {
            Self::Inline | Self::Registry => Admission::Verify,
            // whoever can write to it can replace the result of any step
            Self::Azblob | Self::Gha | Self::Local | Self::S3 | Self::Unknown => Admission::Refuse,
        }
    }
}

/// A source in a build's definition that is no image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// One blob of a registry or of an OCI layout.
    Blob,
    /// A git repository, as `ADD` fetches it.
    Git,
    /// A file from a web server, as `ADD` fetches it.
    Http,
}

impl SourceKind {
    /// The key in the policy's table `sources`.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::Git => "git",
            Self::Http => "http",
        }
    }

    fn default_admission(self) -> Admission {
        match self {
            Self::Blob => Admission::Refuse,
            Self::Git | Self::Http => Admission::Allow,
        }
    }
}

/// How strictly something is let in; the later ones are stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Admission {
    /// As it is.
    Allow,
    /// If its images pass the gate.
    Verify,
    /// If a checksum or a full commit fixes it.
    Fixed,
    /// Not itself, but the engine's own frontend in its place.
    Builtin,
    /// Not at all.
    Refuse,
}

/// A way in, as a policy is asked about it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way<'a> {
    Context(ContextKind),
    Cache(CacheKind, Option<&'a Gun>),
    Source(SourceKind),
    Syntax(&'a Gun),
    SbomGenerator(&'a Gun),
}

impl Way<'_> {
    /// What holds where no policy says anything.
    pub(super) fn default_admission(self) -> Admission {
        match self {
            Self::Context(kind) => kind.default_admission(),
            Self::Cache(kind, _) => kind.default_admission(),
            Self::Source(kind) => kind.default_admission(),
            Self::Syntax(_) | Self::SbomGenerator(_) => Admission::Verify,
        }
    }

    /// The key that decides about it.
    pub(super) fn key(self) -> String {
        match self {
            Self::Context(kind) => format!("contexts.{}", kind.key()),
            Self::Cache(kind, _) => format!("caches.{}", kind.key()),
            Self::Source(kind) => format!("sources.{}", kind.key()),
            Self::Syntax(_) => "syntax.images".to_owned(),
            Self::SbomGenerator(_) => "sbom.generators".to_owned(),
        }
    }
}

/// What the policies say about a way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// How strictly it is let in.
    pub admission: Admission,
    /// The key of the policy that decides, or would.
    pub key: String,
    /// Where a policy says so; `None` where none says anything and the default holds.
    pub place: Option<Place>,
}

impl Ruling {
    /// The rule's name for reports.
    #[must_use]
    pub fn rule(&self) -> String {
        match &self.place {
            Some(place) => format!("`{}` in {}:{}", self.key, place.file, place.line),
            None => format!("the default of `{}`", self.key),
        }
    }
}

/// A value of a policy and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// What one policy says about ways in; a key that is absent says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ContentRules {
    pub(super) contexts: Vec<(ContextKind, Setting<Admission>)>,
    pub(super) caches: Vec<(CacheKind, Setting<Admission>)>,
    pub(super) trusted_caches: Option<Setting<Vec<Pattern>>>,
    pub(super) sources: Vec<(SourceKind, Setting<Admission>)>,
    pub(super) syntax: Option<Setting<Admission>>,
    pub(super) builtin_syntax: Option<Setting<Vec<Pattern>>>,
    pub(super) generators: Option<Setting<Vec<Pattern>>>,
}

impl ContentRules {
    /// What this policy says about a way in, if anything.
    pub(super) fn ruling(&self, way: Way<'_>) -> Option<Ruling> {
        let found = |key: &str, admission: Admission, place: &Place| {
            Some(Ruling { admission, key: key.to_owned(), place: Some(place.clone()) })
        };
        match way {
            Way::Context(kind) => {
                let setting = find(&self.contexts, kind)?;
                found(&way.key(), setting.value, &setting.place)
            }
            Way::Cache(kind, gun) => {
                if let (CacheKind::Registry | CacheKind::Inline, Some(gun), Some(trusted)) =
                    (kind, gun, &self.trusted_caches)
                    && matches_any(&trusted.value, gun)
                {
                    return found("caches.trusted", Admission::Allow, &trusted.place);
                }
                let setting = find(&self.caches, kind)?;
                found(&way.key(), setting.value, &setting.place)
            }
            Way::Source(kind) => {
                let setting = find(&self.sources, kind)?;
                found(&way.key(), setting.value, &setting.place)
            }
            Way::Syntax(gun) => {
                if let Some(builtin) = &self.builtin_syntax
                    && matches_any(&builtin.value, gun)
                {
                    return found("syntax.builtin", Admission::Builtin, &builtin.place);
                }
                let setting = self.syntax.as_ref()?;
                found(&way.key(), setting.value, &setting.place)
            }
            Way::SbomGenerator(gun) => {
                let setting = self.generators.as_ref()?;
                let admission =
                    if matches_any(&setting.value, gun) { Admission::Verify } else { Admission::Refuse };
                found(&way.key(), admission, &setting.place)
            }
        }
    }
}

fn find<K: Copy + PartialEq, V>(entries: &[(K, V)], key: K) -> Option<&V> {
    entries.iter().find_map(|(candidate, value)| (*candidate == key).then_some(value))
}

fn matches_any(patterns: &[Pattern], gun: &Gun) -> bool {
    patterns.iter().any(|pattern| pattern.matches(gun))
}
