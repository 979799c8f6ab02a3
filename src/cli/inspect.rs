//! `trustgate inspect`: what is signed in repositories, by whom, under which keys, and until when.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::names;
use super::output::Output;
use super::progress::while_waiting;
use super::settings::Settings;
use super::signing::{Telling, publish_failure, publisher, tell};
use crate::image::{Digest, Reference};
use crate::text::visible;
use crate::trust::Freshness;
use crate::trust::publish::{Survey, SurveyScope, SurveyedKey, SurveyedRole, SurveyedTarget};
use crate::tuf::RoleName;

/// What `inspect` takes.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Repository, or one tag of it: NAME or NAME:TAG
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,

    /// Print tables for people instead of JSON
    #[arg(long)]
    pretty: bool,
}

/// Prints what is known of each repository.
pub(super) async fn run(
    arguments: &Arguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let mut images = Vec::with_capacity(arguments.images.len());
    for text in &arguments.images {
        images.push((text, names::image(text)?));
    }
    let mut entries = Vec::with_capacity(images.len());
    let mut exit = Exit::Done;
    for (text, reference) in images {
        let gun = reference.gun();
        let publisher = publisher(settings, &gun, tell(Telling::Nothing))?;
        let survey = publisher.survey(&gun, SurveyScope::EvenExpired);
        match while_waiting(&format!("asking for the trust data of {gun}"), output, survey).await {
            Ok(survey) => {
                if let Freshness::Cached { reason } = &survey.freshness {
                    if settings.requires_fresh() {
                        return Err(Failure::unknown(format!(
                            "fresh trust data of `{gun}` is required, and the server gave none: {}",
                            visible(reason)
                        )));
                    }
                    output.remark(&format!(
                        "warning: trust data of {gun} comes from the cache: {}",
                        visible(reason)
                    ));
                }
                entries.push(Entry::of(text, &reference, &survey));
            }
            Err(error) => {
                let failure = publish_failure(&error);
                output.talk(&super::message::failure(&failure, output.styles().talk));
                exit = exit.and(failure.exit());
            }
        }
    }
    if arguments.pretty {
        let text: String = entries.iter().map(Entry::pretty).collect();
        output.data(text.as_bytes())?;
    } else {
        output.json_like_docker(&entries)?;
    }
    Ok(exit)
}

/// One repository, in the words of `docker trust inspect`; the members after `AdministrativeKeys` are ours.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    name: String,
    signed_tags: Vec<SignedTag>,
    signers: Vec<KeyHolder>,
    administrative_keys: Vec<KeyHolder>,
    server: String,
    roles: Vec<Role>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct SignedTag {
    #[serde(rename = "SignedTag")]
    tag: String,
    digest: String,
    signers: Vec<String>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct KeyHolder {
    name: String,
    keys: Vec<Key>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Key {
    #[serde(rename = "ID")]
    id: String,
}

/// A role's file; a delegation that never signed has neither version nor expiry.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Role {
    name: String,
    version: Option<u64>,
    expires: Option<String>,
    threshold: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl Entry {
    fn of(text: &str, reference: &Reference, survey: &Survey) -> Self {
        let base = |role: &RoleName| survey.roles.iter().find(|it| it.role == *role);
        let keys = |name: &str, role: &RoleName| KeyHolder {
            name: name.to_owned(),
            keys: base(role).map(|it| key_ids(&it.keys, |key| key.id.to_string())).unwrap_or_default(),
        };
        let mut signers: Vec<KeyHolder> = survey
            .delegations
            .iter()
            .filter(|it| it.role.as_str() != RELEASES)
            .map(|it| KeyHolder {
                name: signer_name(&it.role).to_owned(),
                keys: key_ids(&it.keys, |key| key.canonical_id.to_string()),
            })
            .collect();
        signers.sort_by(|one, other| one.name.cmp(&other.name));
        let tag = reference.tag().map(ToString::to_string);
        let mut signed_tags = signed_tags(&survey.targets);
        signed_tags.retain(|it| tag.as_ref().is_none_or(|tag| it.tag == *tag));
        Self {
            name: text.to_owned(),
            signed_tags,
            signers,
            administrative_keys: vec![keys("Root", &RoleName::ROOT), keys("Repository", &RoleName::TARGETS)],
            server: survey.server.clone(),
            roles: roles(survey),
        }
    }

    /// The tables of `docker trust inspect --pretty`, and one of the roles below them.
    fn pretty(&self) -> String {
        let name = visible(&self.name);
        let mut text = String::new();
        let mut line = |part: std::fmt::Arguments<'_>| {
            // A string takes all that is written to it.
            let _ = text.write_fmt(part);
        };
        if self.signed_tags.is_empty() {
            line(format_args!("\nNo signatures for {name}\n\n"));
        } else {
            let rows = self.signed_tags.iter().map(|it| {
                let signers = if it.signers == [REPO_ADMIN] {
                    format!("({REPO_ADMIN})")
                } else {
                    it.signers.join(", ")
                };
                [visible(&it.tag), it.digest.clone(), visible(&signers)]
            });
            line(format_args!("\nSignatures for {name}\n\n"));
            line(format_args!("{}", table(["SIGNED TAG", "DIGEST", "SIGNERS"], rows)));
        }
        if !self.signers.is_empty() {
            let rows = self.signers.iter().map(|it| {
                let keys: Vec<String> = it.keys.iter().map(|key| format!("{:.12}", key.id)).collect();
                [visible(&it.name), keys.join(", ")]
            });
            line(format_args!("\nList of signers and their keys for {name}\n\n"));
            line(format_args!("{}", table(["SIGNER", "KEYS"], rows)));
        }
        line(format_args!("\nAdministrative keys for {name}\n\n"));
        for holder in self.administrative_keys.iter().rev() {
            let keys: Vec<&str> = holder.keys.iter().map(|key| key.id.as_str()).collect();
            line(format_args!("  {} Key:\t{}\n", holder.name, keys.join(", ")));
        }
        let rows = self.roles.iter().map(|it| {
            let expires = match (&it.expires, &it.problem) {
                (_, Some(problem)) => visible(problem),
                (Some(expires), None) => expires.clone(),
                (None, None) => "never signed".to_owned(),
            };
            [visible(&it.name), it.version.map_or_else(|| "-".to_owned(), |it| it.to_string()), expires]
        });
        line(format_args!("\nRoles of {name}\n\n"));
        line(format_args!("{}", table(["ROLE", "VERSION", "EXPIRES"], rows)));
        text
    }
}

/// Tags that `targets` or `targets/releases` list, with those who signed the same digest besides.
fn signed_tags(targets: &[SurveyedTarget]) -> Vec<SignedTag> {
    let key = |it: &SurveyedTarget| {
        let digest = it.target.sha256.as_ref()?;
        Some((it.name.clone(), Digest::from_sha256(digest).hex().to_owned()))
    };
    let is_released = |it: &SurveyedTarget| it.role == RoleName::TARGETS || it.role.as_str() == RELEASES;
    let mut tags: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for target in targets.iter().filter(|it| is_released(it)) {
        if let Some(key) = key(target) {
            tags.entry(key).or_default();
        }
    }
    for target in targets.iter().filter(|it| !is_released(it)) {
        if let Some(signers) = key(target).and_then(|it| tags.get_mut(&it)) {
            signers.push(signer_name(&target.role).to_owned());
        }
    }
    let mut tags: Vec<SignedTag> = tags
        .into_iter()
        .map(|((tag, digest), mut signers)| {
            signers.sort();
            if signers.is_empty() {
                signers.push(REPO_ADMIN.to_owned());
            }
            SignedTag { tag, digest, signers }
        })
        .collect();
    tags.sort_by(|one, other| names::natural(&one.tag, &other.tag));
    tags
}

fn roles(survey: &Survey) -> Vec<Role> {
    let base = survey.roles.iter().map(|SurveyedRole { role, version, expires, threshold, .. }| Role {
        name: role.to_string(),
        version: Some(version.get()),
        expires: Some(expires.to_string()),
        threshold: *threshold,
        problem: None,
    });
    let delegations = survey.delegations.iter().map(|it| Role {
        name: it.role.to_string(),
        version: it.file.map(|(version, _)| version.get()),
        expires: it.file.map(|(_, expires)| expires.to_string()),
        threshold: it.threshold,
        problem: it.problem.clone(),
    });
    base.chain(delegations).collect()
}

fn key_ids(keys: &[SurveyedKey], id: impl Fn(&SurveyedKey) -> String) -> Vec<Key> {
    let mut keys: Vec<Key> = keys.iter().map(|key| Key { id: id(key) }).collect();
    keys.sort_by(|one, other| one.id.cmp(&other.id));
    keys
}

fn signer_name(role: &RoleName) -> &str {
    role.as_str().strip_prefix("targets/").unwrap_or(role.as_str())
}

/// Columns as docker sets them: at least ten wide, three blanks between.
pub(super) fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count().saturating_add(COLUMN_GAP)).max(COLUMN_WIDTH);
        }
    }
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            let _ = write!(line, "{cell:<width$}");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

const RELEASES: &str = "targets/releases";
/// Docker's name for whoever has the targets key.
const REPO_ADMIN: &str = "Repo Admin";
const COLUMN_WIDTH: usize = 10;
const COLUMN_GAP: usize = 3;

pub(super) const ABOUT: &str = "\
Print what is signed in repositories, by whom, under which keys, and until when.

The JSON is that of `docker trust inspect`, with three members more: the trust server, and each role \
with its version and expiry. What has expired is shown, too; `verify` says whether a tag may be used.";

pub(super) const EXAMPLES: &str = "\
Examples:
  All signed tags, with the signers and keys of the repository:
      trustgate inspect --pretty acme/base
  The digest that is signed for one tag:
      trustgate inspect acme/base:1.4 | jq -r '.[].SignedTags[].Digest'

Exit codes: 0 done, 1 a repository's trust data doesn't hold, 2 wrong usage, 3 it could not be had";
