//! The tags of a repository, those of all its roles as one list.
//!
//! A tag counts for docker when `targets/releases` or `targets` lists it; whoever else lists the same
//! digest has signed it, too.

use std::borrow::Cow;
use std::iter::Peekable;

use serde::Serialize;

use super::request::{Query, TEXT_LIMIT};
use super::verified::Verified;
use crate::text::visible;
use crate::tuf::{RoleName, Target, TufError};

/// A part of the list.
#[derive(Debug, Default, Serialize)]
pub(super) struct Tags {
    /// How many there are that fit the search, in all of the list.
    pub(super) count: usize,
    /// Names that are too long to be a tag's, which are counted only.
    pub(super) too_long: usize,
    pub(super) rows: Vec<Tag>,
    /// The name after which the next part starts.
    pub(super) next: Option<String>,
}

/// A tag.
#[derive(Debug, Serialize)]
pub(super) struct Tag {
    pub(super) name: String,
    /// Of the manifest; `None` where only hashes are listed that docker does not know.
    pub(super) digest: Option<String>,
    /// Of the manifest.
    pub(super) size: u64,
    /// The role that docker believes; `None`: only signers list it, and docker does not see it.
    pub(super) released_by: Option<RoleName>,
    /// Who else signed this digest for it.
    pub(super) signers: Vec<String>,
    /// Who signed another digest for it.
    pub(super) dissenters: Vec<String>,
}

impl Tags {
    /// The part that is asked for. A list that breaks off is a problem of its role.
    pub(super) fn find(verified: &mut Verified, query: &Query) -> Self {
        let limit = query.limit.unwrap_or(PAGE);
        let search = query.search.to_ascii_lowercase();
        let mut tags = Self::default();
        let mut problems = Vec::new();
        let mut last = String::new();
        let mut lists: Vec<_> = verified.targets.iter().map(|it| (it.role(), it.iter().peekable())).collect();
        while let Some((name, targets)) = next(&mut lists, &mut problems) {
            if TEXT_LIMIT < name.len() {
                tags.too_long += 1;
                continue;
            }
            if !name.to_ascii_lowercase().contains(&search) {
                continue;
            }
            tags.count += 1;
            if query.after.as_deref().is_some_and(|after| *name <= *after) {
                continue;
            }
            if tags.rows.len() < limit {
                tags.rows.push(Tag::of(&name, &targets));
                last = name.into_owned();
            } else {
                tags.next.get_or_insert_with(|| last.clone());
            }
        }
        drop(lists);
        verified.problems.extend(problems);
        tags
    }
}

impl Tag {
    fn of(name: &str, targets: &[(&RoleName, Target)]) -> Self {
        let listed = |role: &RoleName| targets.iter().find(|(it, _)| *it == role);
        let released = listed(&RoleName::RELEASES).or_else(|| listed(&RoleName::TARGETS));
        let Some((_, target)) = released.or(targets.first()) else {
            return Self {
                name: visible(name),
                digest: None,
                size: 0,
                released_by: None,
                signers: Vec::new(),
                dissenters: Vec::new(),
            };
        };
        let others =
            targets.iter().filter(|(role, _)| **role != RoleName::RELEASES && **role != RoleName::TARGETS);
        let (signers, dissenters): (Vec<_>, Vec<_>) =
            others.partition(|(_, it)| it.sha256 == target.sha256 && it.length == target.length);
        let names = |list: Vec<&(&RoleName, Target)>| list.iter().map(|(role, _)| signer(role)).collect();
        Self {
            name: visible(name),
            digest: target.sha256.map(|it| format!("sha256:{}", hex::encode(it))),
            size: target.length,
            released_by: released.map(|(role, _)| (*role).clone()),
            signers: names(signers),
            dissenters: names(dissenters),
        }
    }
}

/// A name, and what each role that lists it says of it.
type Listed<'a> = (Cow<'a, str>, Vec<(&'a RoleName, Target)>);

/// The next name of all lists, and what each that has it says of it.
fn next<'a, I>(
    lists: &mut [(&'a RoleName, Peekable<I>)],
    problems: &mut Vec<(RoleName, String)>,
) -> Option<Listed<'a>>
where
    I: Iterator<Item = Result<(Cow<'a, str>, Target), TufError>>,
{
    let names = lists.iter_mut().filter_map(|(_, list)| match list.peek() {
        Some(Ok((name, _))) => Some(name.clone()),
        // An error has no name, and its turn is now.
        Some(Err(_)) => Some(Cow::Borrowed("")),
        None => None,
    });
    let least = names.min()?;
    let mut found = Vec::new();
    for (role, list) in lists {
        let turn = |it: &Result<(Cow<'a, str>, Target), TufError>| {
            it.as_ref().map_or(true, |(name, _)| *name == least)
        };
        match list.next_if(turn) {
            Some(Ok((_, target))) => found.push((*role, target)),
            Some(Err(error)) => {
                problems.push(((*role).clone(), error.to_string()));
                // What is behind it is not to be trusted to be in order.
                while list.next().is_some() {}
            }
            None => {}
        }
    }
    Some((least, found))
}

/// A delegation as docker shows it.
fn signer(role: &RoleName) -> String {
    role.as_str().strip_prefix("targets/").unwrap_or(role.as_str()).to_owned()
}

/// Rows of a page, where nobody asks for more or fewer.
const PAGE: usize = 100;
