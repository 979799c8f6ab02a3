//! One repository: its roles with their keys and time, and its tags with who signed them.

use jiff::Timestamp;
use maud::{Markup, html};
use serde::Serialize;

use super::frame;
use super::request::{Query, repository_path};
use super::tags::{Tag, Tags};
use super::validity::{Validity, as_text, moment};
use super::verified::{Files, Verified};
use crate::image::Gun;
use crate::server::storage::{Standing, Storage, StorageError};
use crate::text::{visible, visible_prefix};
use crate::tuf::{KeyId, KeyType, PublicKey, RoleKeys, RoleName, Version};

/// What is known of it.
#[derive(Debug, Serialize)]
pub(super) struct Repository {
    name: Gun,
    #[serde(skip)]
    query: Query,
    #[serde(serialize_with = "as_text")]
    changed: Timestamp,
    roles: Vec<RoleEntry>,
    /// Whether there are more of them than are shown.
    #[serde(skip_serializing_if = "is_false")]
    more_roles: bool,
    tags: Tags,
}

#[derive(Debug, Serialize)]
struct RoleEntry {
    role: RoleName,
    #[serde(flatten)]
    file: Option<File>,
    /// How many of the keys must sign.
    threshold: Option<u64>,
    keys: Vec<KeyEntry>,
    /// How many keys there are besides those.
    #[serde(skip_serializing_if = "is_zero")]
    more_keys: usize,
    /// The prefixes of the tags that a delegation may sign.
    #[serde(skip_serializing_if = "Option::is_none")]
    paths: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

#[derive(Debug, Serialize)]
struct File {
    version: Version,
    #[serde(serialize_with = "as_text")]
    changed: Timestamp,
    #[serde(flatten)]
    validity: Validity,
}

#[derive(Debug, Serialize)]
struct KeyEntry {
    id: KeyId,
    /// The name of the private key's file, where the key is in a certificate.
    canonical_id: KeyId,
    #[serde(rename = "type", serialize_with = "type_name")]
    key_type: KeyType,
    /// Whether its signature is on the current file.
    signed: bool,
}

/// Reads and verifies it; `None` where there is no such repository.
pub(super) async fn load(
    storage: &dyn Storage,
    gun: &Gun,
    query: &Query,
    now: Timestamp,
) -> Result<Option<Repository>, StorageError> {
    let Some(files) = Files::read(storage, gun).await? else { return Ok(None) };
    let (name, query) = (gun.clone(), query.clone());
    // A hundred thousand tags take longer than whoever else this thread serves should wait.
    let work = tokio::task::spawn_blocking(move || Repository::of(name, query, files, now));
    let broken = |it: tokio::task::JoinError| StorageError::Corrupt { reason: it.to_string() };
    work.await.map_err(broken).map(Some)
}

impl Repository {
    fn of(name: Gun, query: Query, files: Files, now: Timestamp) -> Self {
        let mut verified = files.verify(now);
        let tags = Tags::find(&mut verified, &query);
        let published = verified.standing.iter().map(|it| RoleEntry::of(it, &verified, now));
        let unpublished = verified.unpublished().map(|it| RoleEntry {
            role: it.name.clone(),
            file: None,
            threshold: Some(it.keys.threshold),
            keys: keys(&it.keys, &[]),
            more_keys: more_keys(&it.keys),
            paths: Some(paths(&it.paths)),
            problem: None,
        });
        let mut all = published.chain(unpublished);
        let roles = all.by_ref().take(ROLES_SHOWN).collect();
        let more_roles = all.next().is_some();
        let changed = verified.standing.iter().map(|it| it.stored).max().unwrap_or(now);
        Self { name, query, changed, roles, more_roles, tags }
    }
}

impl RoleEntry {
    fn of(standing: &Standing, verified: &Verified, now: Timestamp) -> Self {
        let role = standing.role.clone();
        let signatures = verified.signatures.get(&role).map(Vec::as_slice).unwrap_or_default();
        let demanded = verified.keys(&role);
        Self {
            file: Some(File {
                version: standing.version,
                changed: standing.stored,
                validity: Validity::new(standing.stored, standing.expires, now),
            }),
            threshold: demanded.map(|it| it.threshold),
            keys: demanded.map(|it| keys(it, signatures)).unwrap_or_default(),
            more_keys: demanded.map(more_keys).unwrap_or_default(),
            paths: verified.delegation(&role).map(|it| paths(&it.paths)),
            problem: verified.problems.get(&role).map(|it| visible(it)),
            role,
        }
    }
}

fn keys(demanded: &RoleKeys, signatures: &[KeyId]) -> Vec<KeyEntry> {
    let key = |key: &PublicKey| KeyEntry {
        id: key.id().clone(),
        canonical_id: key.canonical_id().clone(),
        key_type: key.key_type().clone(),
        signed: signatures.contains(key.id()),
    };
    demanded.keys.iter().take(KEYS_SHOWN).map(key).collect()
}

fn more_keys(demanded: &RoleKeys) -> usize {
    demanded.keys.len().saturating_sub(KEYS_SHOWN)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(value: &usize) -> bool {
    *value == 0
}

fn paths(paths: &[String]) -> Vec<String> {
    paths.iter().take(PATHS_SHOWN).map(|it| visible_prefix(it, PATH_SHOWN)).collect()
}

fn type_name<S: serde::Serializer>(key_type: &KeyType, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&visible_prefix(key_type.as_str(), PATH_SHOWN))
}

/// The page.
pub(super) fn markup(repository: &Repository) -> Markup {
    let Repository { name, query, changed, roles, more_roles, tags } = repository;
    frame::page(
        name.as_str(),
        &html! {
            h1 { (name) }
            p { "Last change: " (moment(*changed)) }
            h2 id="roles" { "Roles" }
            table {
                caption { "How long each role is valid, and whose keys sign it" }
                thead { tr {
                    th scope="col" { "Role" }
                    th scope="col" { "Version" }
                    th scope="col" { "Time left" }
                    th scope="col" { "Expires" }
                    th scope="col" { "Last change" }
                    th scope="col" { "Keys" }
                } }
                tbody { @for role in roles { (role_markup(role)) } }
            }
            @if *more_roles { p { "There are more roles, which are not shown." } }
            h2 id="tags" { "Tags" }
            (frame::search(&repository_path(name), "Search tags", &query.search))
            @if tags.rows.is_empty() {
                p { (nothing(repository)) }
            } @else {
                table {
                    caption { (counted(tags.count, query)) }
                    thead { tr {
                        th scope="col" { "Tag" }
                        th scope="col" { "Digest" }
                        th scope="col" { "Size" }
                        th scope="col" { "Signers" }
                    } }
                    tbody { @for tag in &tags.rows { (tag_markup(tag)) } }
                }
            }
            @if tags.too_long > 0 {
                p { (tags.too_long) " more have names too long to be a tag's, and are not listed." }
            }
            (frame::pages(&repository_path(name), query, tags.next.as_deref()))
        },
    )
}

fn role_markup(role: &RoleEntry) -> Markup {
    let name = &role.role;
    html! {
        tr {
            th scope="row" {
                code { (name) }
                @if let Some(paths) = &role.paths { (paths_markup(paths)) }
            }
            @match &role.file {
                Some(File { version, changed, validity }) => {
                    td class="number" { (version) }
                    td {
                        (validity.bar(name.as_str())) " " (validity.words())
                        @if let Some(problem) = &role.problem {
                            p class="problem" { strong { "Problem: " } (problem) }
                        }
                    }
                    td { (moment(validity.expires())) }
                    td { (moment(*changed)) }
                }
                None => td colspan="4" { "Never signed" },
            }
            td { (keys_markup(role)) }
        }
    }
}

fn paths_markup(paths: &[String]) -> Markup {
    html! {
        @if paths.is_empty() {
            p class="note" { "may sign no tag" }
        } @else if !paths.iter().any(String::is_empty) {
            p class="note" { "may sign " @for path in paths { code { (path) "*" } " " } }
        }
    }
}

fn keys_markup(role: &RoleEntry) -> Markup {
    html! {
        @match role.threshold {
            Some(threshold) => p class="note" {
                (threshold) " of " (role.keys.len() + role.more_keys) @if threshold == 1 { " must sign" } @else { " must sign together" }
            },
            None => p class="note" { "unknown" },
        }
        ul {
            @for key in &role.keys {
                li {
                    code { (key.id) } " " (visible_prefix(key.key_type.as_str(), PATH_SHOWN))
                    @if key.signed { ", signed" }
                    @if key.canonical_id != key.id {
                        span class="note" { "private key " code { (key.canonical_id) } }
                    }
                }
            }
            @if role.more_keys > 0 { li { (role.more_keys) " more" } }
        }
    }
}

fn tag_markup(tag: &Tag) -> Markup {
    html! {
        tr {
            th scope="row" { code { (visible_prefix(&tag.name, NAME_SHOWN)) } }
            td { @match &tag.digest { Some(digest) => code { (digest) }, None => "no SHA-256" } }
            td class="number" { (tag.size) " bytes" }
            td {
                @match (&tag.released_by, tag.signers.is_empty()) {
                    (Some(_), true) => "Repo Admin",
                    _ => (tag.signers.join(", ")),
                }
                @if tag.released_by.is_none() { p class="problem" { "not released: docker does not see it" } }
                @if !tag.dissenters.is_empty() {
                    p class="problem" { "another digest: " (tag.dissenters.join(", ")) }
                }
            }
        }
    }
}

fn counted(count: usize, query: &Query) -> String {
    let plural = if count == 1 { "" } else { "s" };
    let found = if query.search.is_empty() { "" } else { " found" };
    format!("{count} tag{plural}{found}, with the manifest's digest and size")
}

fn nothing(repository: &Repository) -> &'static str {
    let query = &repository.query;
    let broken = |it: &RoleEntry| it.role == RoleName::TARGETS && it.problem.is_some();
    if repository.roles.iter().any(broken) {
        return "Which tags are signed cannot be told, as the role that lists them does not verify.";
    }
    match (&query.after, query.search.is_empty()) {
        (Some(_), _) => "There are no more tags.",
        (None, false) => "No tag has that in its name.",
        (None, true) => "No tag is signed.",
    }
}

/// A repository of docker's has three besides its signers; each may be named by whoever is above it.
const ROLES_SHOWN: usize = 500;
/// A role has one key, or one for each of a few people.
const KEYS_SHOWN: usize = 20;
/// Docker writes one path, which is empty.
const PATHS_SHOWN: usize = 16;
/// Prefixes of tags are as short as those.
const PATH_SHOWN: usize = 128;
/// Docker's tags have 128 characters at most.
const NAME_SHOWN: usize = 256;
