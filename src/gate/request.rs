//! What is asked of the gate: one image use, and where it came from.

use std::fmt;

use serde::Serialize;

use crate::dockerfile::Span;
use crate::image::Reference;

/// One image use: what is named, how the build would use it, and where it was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// How the image would enter the build.
    pub role: UseRole,
    /// Where it is named.
    pub origin: Origin,
    /// What is named.
    pub reference: Reference,
}

impl Request {
    /// A request for an image that was named on the command line.
    #[must_use]
    pub fn command_line(reference: Reference) -> Self {
        Self { role: UseRole::CommandLine, origin: Origin::CommandLine, reference }
    }
}

/// How an image would enter a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UseRole {
    /// The frontend that `# syntax=` or `BUILDKIT_SYNTAX` names.
    Syntax,
    /// `FROM`.
    From,
    /// `COPY --from=`.
    CopyFrom,
    /// `RUN --mount=…,from=`.
    MountFrom,
    /// An `ONBUILD` trigger of a base image.
    Onbuild,
    /// A named context `docker-image://`.
    NamedContext,
    /// The SBOM generator.
    SbomGenerator,
    /// A cache that is imported from a registry.
    CacheImport,
    /// An image that old builders insert by themselves to copy files.
    HelperImage,
    /// A source of a definition that was passed in as an input.
    Input,
    /// An image that a person named, outside any build.
    CommandLine,
}

impl fmt::Display for UseRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "syntax frontend",
            Self::From => "FROM",
            Self::CopyFrom => "COPY --from",
            Self::MountFrom => "RUN --mount from",
            Self::Onbuild => "ONBUILD trigger",
            Self::NamedContext => "named context",
            Self::SbomGenerator => "SBOM generator",
            Self::CacheImport => "cache import",
            Self::HelperImage => "helper image",
            Self::Input => "build input",
            Self::CommandLine => "command line",
        })
    }
}

/// Where an image, or content, was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In a Dockerfile, at these bytes.
    Dockerfile {
        /// The file's name, as it is shown and as the report's sources are keyed.
        file: String,
        /// The bytes of the word that names it.
        span: Span,
    },
    /// In a build option.
    Option {
        /// The option's name: `context:base`, `cache-from`.
        name: String,
        /// The option's value as given.
        value: String,
    },
    /// In the configuration of a base image.
    BaseConfig {
        /// The base image.
        base: Reference,
        /// The trigger's text.
        trigger: String,
    },
    /// On the command line.
    CommandLine,
}
