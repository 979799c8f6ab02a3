//! The tables of a policy file as serde reads them, and nothing more.

use std::collections::BTreeSet;

use serde::Deserialize;
use toml::Spanned;

use super::DisabledBy;
use super::commands::{LocalImages, UnsignedPush};
use super::content::{Admission, CacheKind, ContextKind, Setting, SourceKind};
use super::repository::{DigestRule, TrustMode};
use super::source::Source;

/// Only the version: a later format may have keys that this one does not know.
#[derive(Debug, Deserialize)]
pub(super) struct Version {
    pub(super) version: Spanned<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Document {
    #[serde(rename = "version")]
    pub(super) _version: i64,
    pub(super) trust: Option<TrustMode>,
    pub(super) digest: Option<DigestRule>,
    pub(super) require_fresh: Option<bool>,
    pub(super) trust_on_first_use: Option<bool>,
    pub(super) server: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) repository: Vec<RepositoryTable>,
    #[serde(default)]
    pub(super) contexts: ContextsTable,
    #[serde(default)]
    pub(super) caches: CachesTable,
    #[serde(default)]
    pub(super) sources: SourcesTable,
    #[serde(default)]
    pub(super) syntax: SyntaxTable,
    #[serde(default)]
    pub(super) sbom: SbomTable,
    #[serde(default)]
    pub(super) push: PushTable,
    #[serde(default)]
    pub(super) run: RunTable,
    #[serde(default)]
    pub(super) disable: DisableTable,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RepositoryTable {
    pub(super) pattern: Spanned<String>,
    pub(super) trust: Option<TrustMode>,
    pub(super) digest: Option<DigestRule>,
    pub(super) require_fresh: Option<bool>,
    pub(super) trust_on_first_use: Option<bool>,
    pub(super) server: Option<Spanned<String>>,
    pub(super) root_keys: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) root_authority: Option<Spanned<String>>,
    pub(super) roles: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) signers: Option<Spanned<Vec<Spanned<String>>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ContextsTable {
    docker_image: Option<Spanned<VerifyOrRefuse>>,
    git: Option<Spanned<AllowOrRefuse>>,
    http: Option<Spanned<AllowOrRefuse>>,
    input: Option<Spanned<AllowVerifyOrRefuse>>,
    local: Option<Spanned<AllowOrRefuse>>,
    oci_layout: Option<Spanned<AllowOrRefuse>>,
}

impl ContextsTable {
    pub(super) fn settings(&self, source: &Source<'_>) -> Vec<(ContextKind, Setting<Admission>)> {
        let at = |kind: ContextKind| format!("contexts.{}", kind.key());
        [
            source.admission(ContextKind::DockerImage, self.docker_image.as_ref(), at),
            source.admission(ContextKind::Git, self.git.as_ref(), at),
            source.admission(ContextKind::Http, self.http.as_ref(), at),
            source.admission(ContextKind::Input, self.input.as_ref(), at),
            source.admission(ContextKind::Local, self.local.as_ref(), at),
            source.admission(ContextKind::OciLayout, self.oci_layout.as_ref(), at),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct CachesTable {
    azblob: Option<Spanned<AllowOrRefuse>>,
    gha: Option<Spanned<AllowOrRefuse>>,
    inline: Option<Spanned<AllowVerifyOrRefuse>>,
    local: Option<Spanned<AllowOrRefuse>>,
    registry: Option<Spanned<AllowVerifyOrRefuse>>,
    s3: Option<Spanned<AllowOrRefuse>>,
    pub(super) trusted: Option<Spanned<Vec<Spanned<String>>>>,
}

impl CachesTable {
    pub(super) fn settings(&self, source: &Source<'_>) -> Vec<(CacheKind, Setting<Admission>)> {
        let at = |kind: CacheKind| format!("caches.{}", kind.key());
        [
            source.admission(CacheKind::Azblob, self.azblob.as_ref(), at),
            source.admission(CacheKind::Gha, self.gha.as_ref(), at),
            source.admission(CacheKind::Inline, self.inline.as_ref(), at),
            source.admission(CacheKind::Local, self.local.as_ref(), at),
            source.admission(CacheKind::Registry, self.registry.as_ref(), at),
            source.admission(CacheKind::S3, self.s3.as_ref(), at),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct SourcesTable {
    blob: Option<Spanned<AllowOrRefuse>>,
    git: Option<Spanned<AllowFixedOrRefuse>>,
    http: Option<Spanned<AllowFixedOrRefuse>>,
}

impl SourcesTable {
    pub(super) fn settings(&self, source: &Source<'_>) -> Vec<(SourceKind, Setting<Admission>)> {
        let at = |kind: SourceKind| format!("sources.{}", kind.key());
        [
            source.admission(SourceKind::Blob, self.blob.as_ref(), at),
            source.admission(SourceKind::Git, self.git.as_ref(), at),
            source.admission(SourceKind::Http, self.http.as_ref(), at),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct SyntaxTable {
    pub(super) images: Option<Spanned<VerifyOrRefuse>>,
    pub(super) builtin: Option<Spanned<Vec<Spanned<String>>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct SbomTable {
    pub(super) generators: Option<Spanned<Vec<Spanned<String>>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct PushTable {
    pub(super) unsigned: Option<Spanned<UnsignedPush>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RunTable {
    pub(super) local_images: Option<Spanned<LocalImages>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct DisableTable {
    pub(super) allowed_by: Option<Spanned<BTreeSet<DisabledBy>>>,
}

/// The values that a key may have differ; serde lists the right ones in its message.
macro_rules! admissions {
    ($($name:ident: $($variant:ident)+;)+) => {$(
        #[derive(Clone, Copy, Debug, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub(super) enum $name { $($variant,)+ }

        impl From<$name> for Admission {
            fn from(value: $name) -> Self {
                match value { $($name::$variant => Self::$variant,)+ }
            }
        }
    )+};
}

admissions! {
    AllowOrRefuse: Allow Refuse;
    AllowFixedOrRefuse: Allow Fixed Refuse;
    AllowVerifyOrRefuse: Allow Verify Refuse;
    VerifyOrRefuse: Verify Refuse;
}
