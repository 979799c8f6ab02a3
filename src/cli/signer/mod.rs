//! `trustgate signer`: who else may sign the tags of a repository.
//!
//! A signer is docker's: the role `targets/NAME`, whose keys may also sign in `targets/releases`, where
//! docker looks for tags first. A name that begins with `targets/` is a delegation of notary's, and
//! nothing else.

mod add;
mod list;
mod purge;
mod remove;

use clap::{Args, Subcommand};

use super::exit::{Exit, Failure};
use super::form::FormArguments;
use super::message;
use super::names;
use super::output::Output;
use super::published::Answer;
use super::settings::Settings;
use crate::image::Gun;
use crate::keys::KeyRole;
use crate::text::visible;
use crate::trust::publish::{Survey, SurveyedKey};
use crate::tuf::{KeyId, RoleName};

/// What `signer` takes.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Let somebody sign tags of repositories
    #[command(long_about = add::ABOUT, after_long_help = add::EXAMPLES)]
    Add(add::Arguments),
    /// List who may sign, with which keys
    #[command(alias = "ls")]
    List(list::Arguments),
    /// Take the right to sign from somebody, or from some of their keys
    #[command(alias = "rm", long_about = remove::ABOUT)]
    Remove(remove::Arguments),
    /// Take the right to sign from a key, whoever has it
    #[command(long_about = purge::ABOUT)]
    Purge(purge::Arguments),
}

/// Runs the command that was named.
pub(super) async fn run(
    arguments: &Arguments,
    settings: &Settings,
    output: &mut Output,
) -> Result<Exit, Failure> {
    match &arguments.command {
        Command::Add(command) => add::run(command, settings, output).await,
        Command::List(command) => list::run(command, settings, output).await,
        Command::Remove(command) => remove::run(command, settings, output).await,
        Command::Purge(command) => purge::run(command, settings, output).await,
    }
}

/// Whom a command is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Signer {
    /// Docker's: a name.
    Named(KeyRole),
    /// Notary's: any delegation.
    Delegation(RoleName),
}

impl Signer {
    fn parse(text: &str) -> Result<Self, Failure> {
        if !text.starts_with(TARGETS) {
            return signer_name(text).map(Self::Named);
        }
        let wrong = || {
            Failure::usage(format!("`{}` can't be a delegation's name", visible(text)))
                .help("write targets/ and names of lower-case letters, digits, `-` and `_`, with `/` between")
        };
        let role: RoleName = text.parse().map_err(|_| wrong())?;
        if role.is_delegation() { Ok(Self::Delegation(role)) } else { Err(wrong()) }
    }

    /// The role that it signs as.
    fn role(&self) -> RoleName {
        match self {
            Self::Named(name) => format!("{TARGETS}{name}").parse().unwrap_or(RoleName::RELEASES),
            Self::Delegation(role) => role.clone(),
        }
    }
}

/// The name of a signer, by docker's rule.
pub(super) fn signer_name(name: &str) -> Result<KeyRole, Failure> {
    let wrong = |message: String| {
        Failure::usage(message).help("use lower-case letters, digits, `-` and `_`, for example `alice`")
    };
    let first = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit();
    let others = |it: u8| first(it) || it == b'-' || it == b'_';
    if !name.bytes().next().is_some_and(first) || !name.bytes().all(others) || name.len() > NAME_LIMIT {
        return Err(wrong(format!("`{}` can't be a signer's name", visible(name))));
    }
    if RESERVED.contains(&name) {
        return Err(wrong(format!("`{name}` can't be a signer's name: a role is called so")));
    }
    name.parse().map_err(|_| wrong(format!("`{name}` can't be a signer's name")))
}

/// The repositories of a command, each once.
fn repositories(names: &[String]) -> Result<Vec<Gun>, Failure> {
    let mut guns: Vec<Gun> = Vec::with_capacity(names.len());
    for name in names {
        let gun = names::repository(name)?.gun();
        if !guns.contains(&gun) {
            guns.push(gun);
        }
    }
    Ok(guns)
}

/// What came of several repositories, each by itself.
#[derive(Default)]
struct Tally {
    answers: Vec<Answer>,
    failed: Vec<Gun>,
    exit: Option<Exit>,
}

impl Tally {
    /// Tells a failure, and goes on.
    fn failed(&mut self, gun: &Gun, failure: &Failure, output: &mut Output) {
        output.talk(&message::failure(failure, output.styles().talk));
        self.failed.push(gun.clone());
        self.exit = Some(self.exit.unwrap_or(Exit::Done).and(failure.exit()));
    }

    /// What a change comes to: its answers as JSON, and all that [`finish`](Self::finish) says.
    fn report(
        mut self,
        form: FormArguments,
        what: &str,
        count: usize,
        output: &mut Output,
    ) -> Result<Exit, Failure> {
        let answers = std::mem::take(&mut self.answers);
        form.json(&answers, output)?;
        let failed = self.finish(what, count, output);
        Ok(answers.iter().fold(failed, |exit, it| exit.and(it.exit())))
    }

    /// What the command comes to: docker's last line, where several repositories were asked for.
    fn finish(self, what: &str, count: usize, output: &mut Output) -> Exit {
        if count > 1 && !self.failed.is_empty() {
            let names: Vec<&str> = self.failed.iter().map(Gun::as_str).collect();
            output.talk(&format!("{what}: {}", names.join(", ")));
        }
        self.exit.unwrap_or(Exit::Done)
    }
}

/// The keys of a role.
fn keys_of<'a>(survey: &'a Survey, role: &RoleName) -> Option<&'a [SurveyedKey]> {
    survey.delegations.iter().find(|it| it.role == *role).map(|it| it.keys.as_slice())
}

/// The key of these that somebody means by its ID, in metadata or of its file, or by the start of one.
fn named_key(keys: &[SurveyedKey], text: &str) -> Result<KeyId, Failure> {
    if text.len() < LEAST_DIGITS || !text.bytes().all(|it| it.is_ascii_hexdigit()) {
        return Err(Failure::usage(format!("`{}` is no key ID", visible(text)))
            .help(format!("write the ID, or its first {LEAST_DIGITS} digits or more")));
    }
    let is_meant =
        |it: &&SurveyedKey| it.id.as_str().starts_with(text) || it.canonical_id.as_str().starts_with(text);
    let mut found = keys.iter().filter(is_meant).map(|it| it.id.clone());
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(id),
        (Some(_), Some(_)) => {
            Err(Failure::usage(format!("the IDs of several keys start with `{text}`"))
                .help("write more of it"))
        }
        (None, _) => Err(Failure::refused(format!("no key here has the ID {text}"))
            .help("see who has which: trustgate signer list")),
    }
}

const TARGETS: &str = "targets/";
/// As many digits as docker shows of a key's ID.
const LEAST_DIGITS: usize = 7;
/// Their keys would be taken for those of these roles; docker reserves the last.
const RESERVED: [&str; 5] = ["root", "targets", "snapshot", "timestamp", "releases"];
/// Role names have fewer than 256 characters, `targets/` among them.
const NAME_LIMIT: usize = 247;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_docker_s() {
        for name in ["alice", "0", "ci-team_2"] {
            assert_eq!(signer_name(name).unwrap().as_str(), name);
            assert_eq!(Signer::parse(name).unwrap().role().as_str(), format!("targets/{name}"));
        }
        let long = "a".repeat(248);
        for name in ["", "Alice", "-a", "_a", "a/b", "a b", "a\u{1b}[2J", "ä", "root", "releases", &long] {
            assert!(signer_name(name).is_err(), "{name}");
            assert!(Signer::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_delegation_is_named_in_full() {
        let role = Signer::parse("targets/team/ci").unwrap();
        assert_eq!(role, Signer::Delegation("targets/team/ci".parse().unwrap()));
        for name in ["targets/", "targets/A", "targets/../root", "targets//a", "targets/a/"] {
            assert!(Signer::parse(name).is_err(), "{name}");
        }
    }
}
