//! The engine's API: ping, push, pull, tag, and what images it has.

use std::time::Duration;

use hyper::{HeaderMap, Method};
use serde::Deserialize;

use super::connection::{Answer, Call};
use super::message::{Line, Lines};
use super::{Endpoint, EngineError, EngineOptions, Image, LocalTag, Progress};
use crate::http::Secret;
use crate::image::{Digest, Platform, Reference, Tag};
use crate::text::visible_prefix;

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
    /// The manifest or index that it names now; `None` where the engine does not say it (a
    /// containerd image store): the registry has to be asked.
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
        let endpoint = Endpoint::find(options)?;
        let call = Call {
            method: Method::GET,
            path: "/_ping",
            query: &[],
            authorization: None,
            patience: ANSWER_PATIENCE,
        };
        let answer = endpoint.send(call).await?;
        let version = Version::of(&answer.headers, options.api_version.as_deref());
        let engine = Self { endpoint, version };
        engine.expect_success(answer).await?;
        Ok(engine)
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
        if reference.digest().is_some() {
            return Err(EngineError::Refused {
                status: None,
                message: "cannot push a digest reference".to_owned(),
            });
        }
        let tag = reference.tag_or_latest();
        let path = format!("/images/{}/push", reference.familiar_name());
        let platform = transfer.platform.map(wire_platform);
        let mut query = vec![("tag", tag.as_str())];
        query.extend(platform.as_deref().map(|platform| ("platform", platform)));
        let answer = self.call(Method::POST, &path, &query, Some(transfer.authorization)).await?;
        if answer.status.as_u16() == 404 {
            return Err(EngineError::NoImage { name: reference.with_tag(tag).familiar() });
        }
        let mut content = None;
        let followed = self.follow(answer, progress, |aside| {
            let Some(pushed) = PushedBy::parse(&aside, &tag)? else { return Ok(()) };
            if content.as_ref().is_some_and(|known| *known != pushed) {
                return Err("it names two digests for one tag".to_owned());
            }
            content = Some(pushed);
            Ok(())
        });
        match followed.await {
            Ok(()) => Ok(Pushed { tag, content }),
            // Most engines notice only after their answer has begun.
            Err(EngineError::Refused { message, .. })
                if NOT_THERE.iter().any(|words| message.starts_with(words)) =>
            {
                Err(EngineError::NoImage { name: reference.with_tag(tag).familiar() })
            }
            Err(error) => Err(error),
        }
    }

    /// Pulls by digest where the reference has one, else by tag (`latest` where it has none).
    /// Dropping the future cancels the pull.
    pub async fn pull(
        &self,
        reference: &Reference,
        transfer: Transfer<'_>,
        progress: &mut dyn Progress,
    ) -> Result<(), EngineError> {
        let name = reference.familiar_name();
        let tag = match reference.digest() {
            Some(digest) => digest.to_string(),
            None => reference.tag_or_latest().to_string(),
        };
        let platform = transfer.platform.map(Platform::to_string);
        let mut query = vec![("fromImage", name.as_str()), ("tag", tag.as_str())];
        query.extend(platform.as_deref().map(|platform| ("platform", platform)));
        let answer = self.call(Method::POST, "/images/create", &query, Some(transfer.authorization)).await?;
        self.follow(answer, progress, |_| Ok(())).await
    }

    /// Gives the image that `source` names (a reference or an ID) another name.
    pub async fn tag(&self, source: &str, name: &Reference) -> Result<(), EngineError> {
        if name.digest().is_some() {
            return Err(EngineError::Refused {
                status: None,
                message: "refusing to create a tag with a digest reference".to_owned(),
            });
        }
        let missing = || EngineError::NoImage { name: visible_prefix(source, SHOWN_LIMIT) };
        let path = image_path(source, "tag").ok_or_else(missing)?;
        let (repository, tag) = (name.familiar_name(), name.tag_or_latest());
        let query = [("repo", repository.as_str()), ("tag", tag.as_str())];
        let answer = self.call(Method::POST, &path, &query, None).await?;
        if answer.status.as_u16() == 404 {
            return Err(missing());
        }
        self.expect_success(answer).await.map(drop)
    }

    /// The image that a reference or an ID names here; `None` where the engine has none.
    pub async fn inspect(&self, name: &str) -> Result<Option<Image>, EngineError> {
        let Some(path) = image_path(name, "json") else { return Ok(None) };
        let answer = self.call(Method::GET, &path, &[], None).await?;
        if answer.status.as_u16() == 404 {
            return Ok(None);
        }
        let body = self.expect_success(answer).await?;
        Image::parse(&body).map(Some).map_err(|reason| self.unusable(&reason))
    }

    /// The tags of a repository that this engine has, sorted: what `push --all-tags` pushes.
    pub async fn tags(&self, repository: &Reference) -> Result<Vec<LocalTag>, EngineError> {
        let filter = serde_json::json!({ "reference": [repository.familiar_name()] }).to_string();
        let answer = self.call(Method::GET, "/images/json", &[("filters", filter.as_str())], None).await?;
        let body = self.expect_success(answer).await?;
        LocalTag::parse_list(&body, repository).map_err(|reason| self.unusable(&reason))
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        authorization: Option<&Secret>,
    ) -> Result<Answer, EngineError> {
        let path = format!("/v{}{path}", self.version.api);
        // Where a registry is asked, nothing is said until it has answered.
        let patience = if authorization.is_some() { TRANSFER_PATIENCE } else { ANSWER_PATIENCE };
        self.endpoint.send(Call { method, path: &path, query, authorization, patience }).await
    }

    /// Shows what the engine says until it is done.
    async fn follow(
        &self,
        mut answer: Answer,
        progress: &mut dyn Progress,
        mut aside: impl FnMut(serde_json::Value) -> Result<(), String>,
    ) -> Result<(), EngineError> {
        if !answer.status.is_success() {
            return self.expect_success(answer).await.map(drop);
        }
        let mut one = |line: &[u8]| match Line::parse(line).map_err(|reason| self.unusable(&reason))? {
            Line::Message(message) => {
                progress.show(&message).map_err(|error| EngineError::Output { reason: error.to_string() })
            }
            Line::Aside(value) => aside(value).map_err(|reason| self.unusable(&reason)),
            Line::Error { code, message } => Err(EngineError::Refused { status: code, message }),
        };
        let mut lines = Lines::default();
        while let Some(chunk) = answer.chunk().await? {
            lines.feed(&chunk, &mut one)?.map_err(|too_long| self.unusable(&too_long.to_string()))?;
        }
        if lines.rest().is_empty() { Ok(()) } else { one(lines.rest()) }
    }

    /// The body of an answer that has to be a success.
    async fn expect_success(&self, answer: Answer) -> Result<Vec<u8>, EngineError> {
        #[derive(Deserialize)]
        struct Wire {
            message: String,
        }
        let status = answer.status;
        let body = answer.whole(BODY_LIMIT).await?;
        if status.is_success() {
            return Ok(body);
        }
        let message = serde_json::from_slice::<Wire>(&body).map(|wire| wire.message).unwrap_or_default();
        let message = match message.trim() {
            "" => format!("the engine answered with status {}", status.as_u16()),
            message => visible_prefix(message, MESSAGE_LIMIT),
        };
        Err(EngineError::Refused { status: Some(status.as_u16()), message })
    }

    fn unusable(&self, reason: &str) -> EngineError {
        EngineError::Protocol {
            address: self.endpoint.address.clone(),
            reason: visible_prefix(reason, MESSAGE_LIMIT),
        }
    }
}

impl Version {
    /// Reads what the engine answers to a ping. A version that the user fixed counts as it is.
    fn of(headers: &HeaderMap, fixed: Option<&str>) -> Self {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let fixed = fixed.and_then(|text| ApiVersion::parse(text.trim_start_matches('v')));
        // Engines that do not say it are older than the header.
        let theirs = ApiVersion::parse(header("api-version")).unwrap_or(ApiVersion { major: 1, minor: 24 });
        let api = fixed.unwrap_or_else(|| theirs.min(OURS)).to_string();
        let shown = |name| visible_prefix(header(name), SHOWN_LIMIT);
        Self { api, os: shown("ostype"), builder: shown("builder-version") }
    }
}

/// A version of docker's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ApiVersion {
    major: u16,
    minor: u16,
}

impl ApiVersion {
    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

impl std::fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl PushedBy {
    /// Reads what a push says to its client. Engines say other things in the same place, too; what
    /// has no digest is none of ours.
    fn parse(aside: &serde_json::Value, tag: &Tag) -> Result<Option<Self>, String> {
        let Some(digest) = aside.get("Digest") else { return Ok(None) };
        let digest = digest.as_str().and_then(|text| text.parse().ok());
        let digest = digest.ok_or("the digest that it pushed is malformed")?;
        if aside.get("Tag").and_then(serde_json::Value::as_str) != Some(tag.as_str()) {
            return Err(format!("it pushed another tag than `{tag}`"));
        }
        match aside.get("Size").and_then(serde_json::Value::as_u64) {
            Some(size) if (1..=MANIFEST_LIMIT).contains(&size) => Ok(Some(Self { digest, size })),
            _ => Err("the size of the manifest that it pushed can't be right".to_owned()),
        }
    }
}

/// `/images/NAME/verb`, where the name could be one: what else is asked for, the engine does not have.
fn image_path(name: &str, verb: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-:/@".contains(&b);
    let parts = || name.split('/');
    let sound = name.len() <= NAME_LIMIT && parts().all(|part| !matches!(part, "" | "." | ".."));
    (sound && name.bytes().all(plain)).then(|| format!("/images/{name}/{verb}"))
}

/// The platform of a push is JSON, that of a pull is not.
fn wire_platform(platform: &Platform) -> String {
    let Platform { os, architecture, variant } = platform;
    let mut wire = serde_json::json!({ "os": os, "architecture": architecture });
    if let (Some(wire), false) = (wire.as_object_mut(), variant.is_empty()) {
        wire.insert("variant".to_owned(), variant.as_str().into());
    }
    wire.to_string()
}

/// What engines say of an image that they don't have, with and without containerd's store.
const NOT_THERE: [&str; 2] = ["An image does not exist locally with the tag", "tag does not exist"];
/// The newest version whose answers were looked at; docker 27's.
const OURS: ApiVersion = ApiVersion { major: 1, minor: 47 };
/// An engine under load looks an image up within seconds.
const ANSWER_PATIENCE: Duration = Duration::from_mins(1);
/// A registry that has to be waited for is retried by the engine, which says so more often.
const TRANSFER_PATIENCE: Duration = Duration::from_mins(15);
/// The list of a repository's images has about 500 bytes for each.
const BODY_LIMIT: usize = 16 << 20;
/// Registries take no larger manifests.
const MANIFEST_LIMIT: u64 = 4 << 20;
/// A reference has at most 519 characters.
const NAME_LIMIT: usize = 1_000;
/// Enough to recognise a name.
const SHOWN_LIMIT: usize = 200;
/// Enough of an engine's message to understand it.
const MESSAGE_LIMIT: usize = 2_000;
