//! `trustgate status`: the repositories that are known here, how long their roles are valid, who can sign.

use clap::Args;
use futures_util::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::inspect::table;
use super::names;
use super::output::{Format, Output};
use super::progress::while_waiting;
use super::settings::Settings;
use super::signing::{Telling, publish_failure, publisher, tell};
use crate::image::Gun;
use crate::text::visible;
use crate::trust::Freshness;
use crate::trust::publish::{Publisher, Survey, SurveyScope, SurveyedKey};
use crate::tuf::RoleName;

/// What `status` takes.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Repository [default: all that this machine has trust data of]
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// End with exit code 1 if a role expires within this time: 30d, 2w, 12h
    ///
    /// The timestamp, which the server renews every two weeks, counts only once it has expired.
    #[arg(long, value_name = "TIME", value_parser = names::span)]
    fail_within: Option<SignedDuration>,

    /// How to print the result
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    output: Format,
}

/// Asks each server, or looks into the cache where one can't be reached, and prints what was found.
pub(super) async fn run(
    arguments: &Arguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let mut guns = Vec::new();
    for name in &arguments.names {
        guns.push(names::repository(name)?.gun());
    }
    if guns.is_empty() {
        guns = known_repositories(settings)?;
    }
    let entries = entries(guns, settings, output).await?;
    let exit = entries.iter().fold(Exit::Done, |exit, it| exit.and(it.exit(arguments.fail_within)));
    match arguments.output {
        Format::Json => output.json(&entries)?,
        Format::Text => print(&entries, output)?,
    }
    let failures: Vec<&Failure> = entries.iter().filter_map(|it| it.failure.as_ref()).collect();
    for failure in failures {
        output.talk(&super::message::failure(failure, output.styles().talk));
    }
    if let Some(within) = arguments.fail_within {
        for role in entries.iter().flat_map(|it| it.expiring(within)) {
            output.talk(&role);
        }
    }
    Ok(exit)
}

/// What is known of each of these.
pub(super) async fn entries(
    guns: Vec<Gun>,
    settings: &Settings,
    output: &Output,
) -> Result<Vec<Entry>, Failure> {
    let mut questions = Vec::with_capacity(guns.len());
    for gun in guns {
        questions.push((publisher(settings, &gun, tell(Telling::Nothing))?, gun));
    }
    let now = (settings.clock())();
    let entries = stream::iter(questions)
        .map(|(publisher, gun)| async move { entry(&publisher, &gun, settings, now).await })
        .buffered(PARALLEL_LIMIT)
        .collect();
    Ok(while_waiting("asking for trust data", output, entries).await)
}

/// The repositories that this machine has trust data of.
pub(super) fn known_repositories(settings: &Settings) -> Result<Vec<Gun>, Failure> {
    // Any name will do: the list is the folder's, not a repository's.
    let anything = names::repository("trustgate")?.gun();
    let publisher = publisher(settings, &anything, tell(Telling::Nothing))?;
    publisher.known_repositories().map_err(|error| publish_failure(&error))
}

async fn entry(publisher: &Publisher, gun: &Gun, settings: &Settings, now: Timestamp) -> Entry {
    let (survey, failure) = match publisher.survey(gun, SurveyScope::EvenExpired).await {
        Ok(survey) => {
            let failure = match &survey.freshness {
                Freshness::Fresh => None,
                Freshness::Cached { reason } => Some(Failure::unknown(format!(
                    "the trust server of `{gun}` could not be asked: {}",
                    visible(reason)
                ))),
            };
            (Some(survey), failure)
        }
        Err(error) => {
            let failure = publish_failure(&error);
            // What was last seen is still worth showing where the server can't be asked.
            let cached = match failure.exit() {
                Exit::Unknown if !settings.requires_fresh() => {
                    publisher.survey(gun, SurveyScope::Cached).await.ok()
                }
                _ => None,
            };
            (cached, Some(failure))
        }
    };
    Entry::of(gun, survey.as_ref(), failure, now)
}

/// One repository.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    name: String,
    server: Option<String>,
    /// Whether the server itself vouched for it just now; absent where nothing is known.
    freshness: Option<Freshness>,
    /// How many tags `targets` and `targets/releases` list.
    signed_tags: usize,
    staged_changes: usize,
    roles: Vec<RoleEntry>,
    #[serde(rename = "error")]
    failure: Option<Failure>,
}

#[derive(Debug, Serialize)]
struct RoleEntry {
    role: String,
    version: Option<u64>,
    expires: Option<String>,
    /// Negative where it has expired.
    days_left: Option<i64>,
    threshold: u64,
    keys: Vec<Key>,
    /// Whether enough of its keys are on this machine.
    can_sign: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(skip)]
    left: Option<SignedDuration>,
}

#[derive(Debug, Serialize)]
struct Key {
    id: String,
    here: bool,
}

impl Entry {
    fn of(gun: &Gun, survey: Option<&Survey>, failure: Option<Failure>, now: Timestamp) -> Self {
        let released = |role: &RoleName| *role == RoleName::TARGETS || role.as_str() == "targets/releases";
        let tags = |survey: &Survey| {
            let tags = survey.targets.iter().filter(|it| released(&it.role)).map(|it| it.name.as_str());
            tags.collect::<std::collections::BTreeSet<_>>().len()
        };
        Self {
            name: gun.to_string(),
            server: survey.map(|it| it.server.clone()),
            freshness: survey.map(|it| it.freshness.clone()),
            signed_tags: survey.map(tags).unwrap_or_default(),
            staged_changes: survey.map(|it| it.staged).unwrap_or_default(),
            roles: survey.map(|it| roles(it, now)).unwrap_or_default(),
            failure,
        }
    }

    /// Why it could not be looked at.
    pub(super) fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// What it comes to; with a time, whether a role expires within it.
    pub(super) fn exit(&self, within: Option<SignedDuration>) -> Exit {
        let failed = self.failure.as_ref().map_or(Exit::Done, Failure::exit);
        match within {
            Some(within) if self.roles.iter().any(|it| it.expires_within(within)) => {
                failed.and(Exit::Refused)
            }
            _ => failed,
        }
    }

    /// What fails `--fail-within`, in words.
    fn expiring(&self, within: SignedDuration) -> impl Iterator<Item = String> {
        self.roles.iter().filter(move |it| it.expires_within(within)).map(|it| {
            let expires = it.expires.as_deref().unwrap_or("never");
            format!(
                "error: `{}` of {} expires on {expires}; sign it again: trustgate repo refresh {}",
                it.role, self.name, self.name
            )
        })
    }
}

impl RoleEntry {
    fn expires_within(&self, within: SignedDuration) -> bool {
        // The server renews the timestamp; until it has expired there is nothing to do here.
        let within = if self.role == RoleName::TIMESTAMP.as_str() { SignedDuration::ZERO } else { within };
        self.left.is_some_and(|left| left <= within)
    }
}

fn roles(survey: &Survey, now: Timestamp) -> Vec<RoleEntry> {
    let role = |name: &RoleName, file: Option<(u64, Timestamp)>, threshold: u64, keys: &[SurveyedKey]| {
        let left = file.map(|(_, expires)| expires.duration_since(now));
        let keys: Vec<Key> =
            keys.iter().map(|key| Key { id: key.canonical_id.to_string(), here: key.here }).collect();
        let here = keys.iter().filter(|key| key.here).count();
        RoleEntry {
            role: name.to_string(),
            version: file.map(|(version, _)| version),
            expires: file.map(|(_, expires)| expires.to_string()),
            days_left: left.map(whole_days),
            threshold,
            can_sign: u64::try_from(here).unwrap_or(u64::MAX) >= threshold,
            keys,
            problem: None,
            left,
        }
    };
    let base = survey.roles.iter();
    let base = base.map(|it| role(&it.role, Some((it.version.get(), it.expires)), it.threshold, &it.keys));
    let delegations = survey.delegations.iter().map(|it| RoleEntry {
        problem: it.problem.clone(),
        ..role(&it.role, it.file.map(|(version, at)| (version.get(), at)), it.threshold, &it.keys)
    });
    base.chain(delegations).collect()
}

/// Prints them as tables.
pub(super) fn print(entries: &[Entry], output: &mut Output) -> Result<(), Failure> {
    if entries.is_empty() {
        output.remark("No repository is known here; name one, or push one");
        return Ok(());
    }
    for (index, entry) in entries.iter().filter(|it| it.freshness.is_some()).enumerate() {
        let gap = if index == 0 { "" } else { "\n" };
        let cached = match &entry.freshness {
            Some(Freshness::Cached { .. }) => ", from the cache",
            _ => "",
        };
        let tags = if entry.signed_tags == 1 {
            "1 signed tag"
        } else {
            &format!("{} signed tags", entry.signed_tags)
        };
        let server = entry.server.as_deref().map(visible).unwrap_or_default();
        let mut text = format!("{gap}{} ({tags}, {server}{cached})\n", entry.name);
        if entry.staged_changes > 0 {
            text.extend(["staged changes: ", &entry.staged_changes.to_string(), "\n"]);
        }
        let rows = entry.roles.iter().map(|it| {
            let version = it.version.map_or_else(|| "-".to_owned(), |version| version.to_string());
            let left = match (&it.problem, it.days_left) {
                (Some(problem), _) => visible(problem),
                (None, Some(days)) if days < 0 => "expired".to_owned(),
                (None, Some(days)) => days.to_string(),
                (None, None) => "never signed".to_owned(),
            };
            let here = it.keys.iter().filter(|key| key.here).count();
            let keys = format!("{here} of {}", it.keys.len());
            let sign = if it.can_sign { "yes" } else { "no" };
            let expires = it.expires.as_deref().and_then(|it| it.split('T').next()).unwrap_or("-").to_owned();
            [visible(&it.role), version, expires, left, keys, sign.to_owned()]
        });
        text.push_str(&table(["ROLE", "VERSION", "EXPIRES", "DAYS LEFT", "KEYS HERE", "CAN SIGN"], rows));
        output.data(text.as_bytes())?;
    }
    Ok(())
}

/// Rounded down: a moment too late is -1.
fn whole_days(left: SignedDuration) -> i64 {
    let days = left.as_nanos().div_euclid(SignedDuration::from_hours(24).as_nanos());
    i64::try_from(days).unwrap_or(i64::MAX)
}

/// Repositories asked at once: enough to hide a distant server's latency.
const PARALLEL_LIMIT: usize = 8;

pub(super) const ABOUT: &str = "\
Print each repository that is known here: how long its roles are valid, and who can sign.

A repository is known when this machine has trust data of it: somebody pulled, verified or signed there. Each \
trust server is asked; where one can't be reached, what was last seen is shown, and the exit code is 3.";

pub(super) const EXAMPLES: &str = "\
Examples:
  Everything that this machine knows:
      trustgate status
  In CI, once a day: does anything run out within a month?
      trustgate status --fail-within 30d acme/base acme/tools

Exit codes: 0 done, 1 a role expires within --fail-within or doesn't hold, 2 wrong usage, 3 a server could \
not be asked";
