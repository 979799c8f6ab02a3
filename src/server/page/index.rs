//! The list of all repositories, each with the role whose time is over first.
//!
//! Of each repository only `root` and `timestamp` are read, which are short: whether the others hold
//! together is on the repository's own page.

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Serialize;

use super::frame;
use super::request::{Query, repository_path};
use super::validity::{Validity, as_text, moment};
use crate::image::Gun;
use crate::server::storage::{RepositoryQuery, Standing, Storage, StorageError};
use crate::text::visible;
use crate::tuf::{
    AnyTime, ROOT_LIMIT, RoleName, RootChain, RootPins, TIMESTAMP_LIMIT, TufError, Version, verify_timestamp,
};

/// A part of the list.
#[derive(Debug, Serialize)]
pub(super) struct Index {
    #[serde(skip)]
    query: Query,
    repositories: Vec<Row>,
    /// The name after which the next part starts.
    next: Option<Gun>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: Gun,
    #[serde(serialize_with = "as_text")]
    changed: Timestamp,
    /// The role whose time is over first.
    soonest: Soonest,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

#[derive(Debug, Serialize)]
struct Soonest {
    role: RoleName,
    version: Version,
    #[serde(flatten)]
    validity: Validity,
}

/// Reads it.
pub(super) async fn load(
    storage: &dyn Storage,
    query: &Query,
    now: Timestamp,
) -> Result<Index, StorageError> {
    let limit = query.limit.unwrap_or(PAGE);
    let wanted = RepositoryQuery {
        // Whoever read the query has checked the name.
        after: query.after.as_ref().and_then(|it| it.parse().ok()),
        search: Some(query.search.clone()).filter(|it| !it.is_empty()),
        limit: u32::try_from(limit).unwrap_or(u32::MAX).saturating_add(1),
    };
    let mut guns = storage.repositories(&wanted).await?;
    let more = limit < guns.len();
    guns.truncate(limit);
    let next = guns.last().filter(|_| more).cloned();
    let rows = stream::iter(guns).map(|gun| row(storage, gun, now)).buffered(PARALLEL_READS);
    let rows: Vec<Option<Row>> = rows.try_collect().await?;
    Ok(Index { query: query.clone(), repositories: rows.into_iter().flatten().collect(), next })
}

/// One repository; `None` where it was deleted a moment ago.
async fn row(storage: &dyn Storage, gun: Gun, now: Timestamp) -> Result<Option<Row>, StorageError> {
    let standing = storage.standing(&gun).await?;
    let (Some(soonest), Some(changed)) =
        (standing.iter().min_by_key(|it| it.expires), standing.iter().map(|it| it.stored).max())
    else {
        return Ok(None);
    };
    let problem = problem(storage, &gun, &standing).await?;
    let soonest = Soonest {
        role: soonest.role.clone(),
        version: soonest.version,
        validity: Validity::new(soonest.stored, soonest.expires, now),
    };
    Ok(Some(Row { name: gun, changed, soonest, problem }))
}

/// What is wrong with the two files that are read, whatever their age.
async fn problem(
    storage: &dyn Storage,
    gun: &Gun,
    standing: &[Standing],
) -> Result<Option<String>, StorageError> {
    let mut files = Vec::new();
    for (role, limit) in [(RoleName::ROOT, ROOT_LIMIT), (RoleName::TIMESTAMP, TIMESTAMP_LIMIT)] {
        let Some(file) = standing.iter().find(|it| it.role == role) else {
            return Ok(Some(format!("it has no `{role}`")));
        };
        if usize::try_from(file.size).map_or(true, |size| limit < size) {
            return Ok(Some(format!("its `{role}` has {} bytes", file.size)));
        }
        match storage.by_hash(gun, &file.role, &file.sha256).await? {
            Some(found) => files.push(found.content.to_vec()),
            // It is being replaced; the next look will tell.
            None => return Ok(None),
        }
    }
    let (Some(timestamp), Some(root)) = (files.pop(), files.pop()) else { return Ok(None) };
    let gun = gun.clone();
    let verified = tokio::task::spawn_blocking(move || verify(&gun, root, timestamp)).await;
    Ok(match verified {
        Ok(verified) => verified.err().map(|error| visible(&error.to_string())),
        Err(error) => Some(error.to_string()),
    })
}

fn verify(gun: &Gun, root: Vec<u8>, timestamp: Vec<u8>) -> Result<(), TufError> {
    let chain = RootChain::from_cache(gun, root, &RootPins::TrustOnFirstUse)?;
    verify_timestamp(chain.root(), timestamp, None, AnyTime).map(drop)
}

/// The page.
pub(super) fn markup(index: &Index) -> Markup {
    let searching = !index.query.search.is_empty();
    let title = if searching { "Repositories found" } else { "Repositories" };
    frame::page(
        title,
        &html! {
            h1 { "Repositories" }
            (frame::search("/", "Search repositories", &index.query.search))
            @if index.repositories.is_empty() {
                p { (nothing(&index.query)) }
            } @else {
                table {
                    caption { "Each with the role whose time is over first" }
                    thead { tr {
                        th scope="col" { "Repository" }
                        th scope="col" { "Role" }
                        th scope="col" { "Version" }
                        th scope="col" { "Time left" }
                        th scope="col" { "Last change" }
                    } }
                    tbody { @for row in &index.repositories { (row_markup(row)) } }
                }
            }
            (frame::pages("/", &index.query, index.next.as_ref().map(Gun::as_str)))
        },
    )
}

fn row_markup(row: &Row) -> Markup {
    let Row { name, changed, soonest, problem } = row;
    html! {
        tr {
            th scope="row" { a href=(repository_path(name)) { (name) } }
            @match problem {
                Some(problem) => td colspan="3" class="problem" { strong { "Broken: " } (problem) },
                None => {
                    td { code { (soonest.role) } }
                    td class="number" { (soonest.version) }
                    td {
                        (soonest.validity.bar(&format!("{} of {name}", soonest.role)))
                        " " (soonest.validity.words())
                    }
                }
            }
            td { (moment(*changed)) }
        }
    }
}

fn nothing(query: &Query) -> &'static str {
    match (&query.after, query.search.is_empty()) {
        (Some(_), _) => "There are no more repositories.",
        (None, false) => "No repository has that in its name.",
        (None, true) => "Nothing was published here yet.",
    }
}

/// Rows of a page, where nobody asks for more or fewer.
const PAGE: usize = 50;
/// Repositories that are looked at together: enough to hide a database's latency.
const PARALLEL_READS: usize = 8;
