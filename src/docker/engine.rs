//! The engine's API: ping, push, pull, tag, and what images it has.

use super::{Endpoint, EngineError, EngineOptions, Image, LocalTag, Progress};
use crate::http::Secret;
use crate::image::{Digest, Platform, Reference, Tag};

/// An engine that answered.
#[derive(Debug)]
pub struct Engine {
    endpoint: Endpoint,
    version: Version,
}

/// What an engine says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The version of the API that is spoken with it: the lower of its and ours.
    pub api: String,
    /// Its operating system.
    pub os: String,
    /// Its builder: `1` is the old one, `2` is `BuildKit`.
    pub builder: String,
}

/// What is needed to move an image between an engine and a registry.
#[derive(Clone, Copy, Debug)]
pub struct Transfer<'a> {
    /// The `X-Registry-Auth` header, from [`crate::http::HttpClient::engine_authorization`].
    pub authorization: &'a Secret,
    /// The one platform that is meant.
    pub platform: Option<&'a Platform>,
}

/// What a push stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The tag that was pushed.
    pub tag: Tag,
    /// The manifest or index that it names now, and how large that is; `None` where the engine
    /// does not say it (a containerd image store): the registry has to be asked.
    pub content: Option<PushedBy>,
}

/// What an engine says that it pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedBy {
    /// The digest of the manifest or index.
    pub digest: Digest,
    /// Its length.
    pub size: u64,
}

impl Engine {
    /// Finds the engine as docker's command does, and asks for its version.
    pub async fn connect(options: &EngineOptions) -> Result<Self, EngineError> {
        let _ = options;
        todo!()
    }

    /// Where it is.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What it says of itself.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Pushes one tag (`latest` where the reference has none). Dropping the future cancels the push.
    pub async fn push(
        &self,
        reference: &Reference,
        transfer: Transfer<'_>,
        progress: &mut dyn Progress,
    ) -> Result<Pushed, EngineError> {
        let _ = (reference, transfer, progress);
        todo!()
    }

    /// Pulls by digest where the reference has one, else by tag (`latest` where it has none).
    pub async fn pull(
        &self,
        reference: &Reference,
        transfer: Transfer<'_>,
        progress: &mut dyn Progress,
    ) -> Result<(), EngineError> {
        let _ = (reference, transfer, progress);
        todo!()
    }

    /// Gives the image that `source` names (a reference or an ID) another name.
    pub async fn tag(&self, source: &str, name: &Reference) -> Result<(), EngineError> {
        let _ = (source, name);
        todo!()
    }

    /// The image that a reference or an ID names here; `None` where the engine has none.
    pub async fn inspect(&self, name: &str) -> Result<Option<Image>, EngineError> {
        let _ = name;
        todo!()
    }

    /// The tags of a repository that this engine has, sorted: what `push --all-tags` pushes.
    pub async fn tags(&self, repository: &Reference) -> Result<Vec<LocalTag>, EngineError> {
        let _ = repository;
        todo!()
    }
}
