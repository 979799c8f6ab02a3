//! What every command that signs needs: key files, passphrases, and the publisher that uses both.
//!
//! A passphrase comes from the options that name a file or a file descriptor, else from docker's and
//! notary's variables, else from a person at a terminal; never from the command line, which everybody
//! on the machine can read. What is signed, and with which keys, is decided in `trust`.

#![expect(clippy::doc_markdown, reason = "the comments on fields are the help text, which is no markdown")]

use std::fs::File;
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::exit::Failure;
use super::output::{Format, Output};
use super::settings::Settings;
use crate::image::Gun;
use crate::keys::{
    CachedPassphrases, ChainedPassphrases, EnvironmentPassphrases, GivenPassphrase, KeyError, KeyStore,
    Passphrase, PassphraseRequest, PassphraseSource, ProcessTerminal, Prompt, Wording,
};
use crate::policy::{PolicySet, Terms};
use crate::text::visible;
use crate::trust::publish::{Event, PublishError, Publisher};
use crate::trust::{Cache, RepositoryTerms};
use crate::tuf::RootPins;

/// Where passphrases come from, on every command that opens or makes keys.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct PassphraseArguments {
    /// File whose first line is the passphrase of root (offline) keys
    /// [default: $DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE, else asked for]
    #[arg(long, value_name = "FILE", help_heading = PASSPHRASES, conflicts_with = "root_passphrase_fd")]
    root_passphrase_file: Option<PathBuf>,

    /// Open file descriptor with the passphrase of root keys
    #[arg(long, value_name = "NUMBER", help_heading = PASSPHRASES)]
    root_passphrase_fd: Option<u32>,

    /// File whose first line is the passphrase of all other keys
    /// [default: $DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE, else asked for]
    #[arg(long, value_name = "FILE", help_heading = PASSPHRASES, conflicts_with = "passphrase_fd")]
    passphrase_file: Option<PathBuf>,

    /// Open file descriptor with the passphrase of all other keys
    #[arg(long, value_name = "NUMBER", help_heading = PASSPHRASES)]
    passphrase_fd: Option<u32>,
}

/// The passphrases of one command; each is asked for once.
pub(super) type Passphrases = CachedPassphrases<ChainedPassphrases>;

impl PassphraseArguments {
    /// The passphrases that these options, the environment and a person at a terminal know.
    ///
    /// Files are read now, so that a wrong name is told before anything is done.
    pub(super) fn passphrases(&self, settings: &Settings) -> Result<Passphrases, Failure> {
        let mut sources: Vec<Box<dyn PassphraseSource + Send>> = Vec::new();
        let given = [
            (Keys::Root, &self.root_passphrase_file, self.root_passphrase_fd),
            (Keys::Others, &self.passphrase_file, self.passphrase_fd),
        ];
        for (keys, file, descriptor) in given {
            if let Some(path) = file {
                let source = GivenPassphrase::from_file(path).map_err(|error| key_failure(&error))?;
                sources.push(Box::new(GivenFor { keys, source }));
            }
            if let Some(number) = descriptor {
                sources.push(Box::new(GivenFor { keys, source: read_descriptor(number)? }));
            }
        }
        sources.push(Box::new(EnvironmentPassphrases::new(settings.passphrase_variables().clone())));
        sources.push(Box::new(Prompt::new(ProcessTerminal::find(), Wording::Offline)));
        Ok(CachedPassphrases::new(ChainedPassphrases::new(sources)))
    }
}

/// Where a passphrase that replaces another one comes from: a file, a descriptor, or a person.
pub(super) fn new_passphrase_source(
    file: Option<&Path>,
    descriptor: Option<u32>,
) -> Result<ChainedPassphrases, Failure> {
    let given = match (file, descriptor) {
        (Some(path), _) => Some(GivenPassphrase::from_file(path).map_err(|error| key_failure(&error))?),
        (None, Some(number)) => Some(read_descriptor(number)?),
        (None, None) => None,
    };
    let source: Box<dyn PassphraseSource + Send> = match given {
        Some(given) => Box::new(given),
        None => Box::new(Prompt::new(ProcessTerminal::find(), Wording::Offline)),
    };
    Ok(ChainedPassphrases::new(vec![source]))
}

/// The key files of this machine.
pub(super) fn key_store(settings: &Settings) -> Result<KeyStore, Failure> {
    settings.trust_folder().map(KeyStore::new).ok_or_else(|| {
        Failure::usage("there is no folder for keys: no home directory is known")
            .help("set $HOME or $DOCKER_CONFIG, or name the folder with --trust-dir")
    })
}

/// A publisher of this repository: its server, and the roots that may stand behind it, are the policy's.
///
/// `tell` gets each event; [`tell`] is what most commands want.
pub(super) fn publisher(
    settings: &Settings,
    gun: &Gun,
    tell: impl Fn(Event) + Send + Sync + 'static,
) -> Result<Publisher, Failure> {
    let terms = terms(&settings.policies()?, gun)?;
    let server = terms.server.map(|url| url.to_string()).or_else(|| settings.server().map(str::to_owned));
    let keys = key_store(settings)?;
    let folder = settings.trust_folder().map(|folder| Cache::new(folder.to_owned()));
    let cache = folder.ok_or_else(|| Failure::usage("there is no folder for trust data"))?;
    let pins = terms.pins;
    Ok(Publisher::new(settings.http()?, cache, keys, settings.clock())
        .with_server(server)
        .with_pins(Arc::new(move |_| pins.clone()))
        .with_events(Arc::new(tell)))
}

/// What the policy says about the server and the root of a repository that is published to.
///
/// Several policies that must each be met by a look-up of their own have the first one's word here: who
/// reads is still held to all of them. A policy that pins no root does not keep a publisher out, whose own
/// keys the root must name before anything can be signed.
fn terms(policies: &PolicySet, gun: &Gun) -> Result<RepositoryTerms, Failure> {
    let rule = policies.terms(gun).map_err(|error| Failure::refused(error.to_string()).help(error.help()))?;
    let Terms::AllOf(all) = rule.terms else { return Ok(RepositoryTerms::docker()) };
    let pinned = all.iter().find(|terms| terms.pins != RootPins::TrustOnFirstUse);
    Ok(pinned.or(all.first()).cloned().unwrap_or_else(RepositoryTerms::docker))
}

/// Tells a person what is wrong with key files: others can read one, one is damaged, one is a link.
///
/// Signing does not stop for it, as the keys that are used may be others.
pub(super) fn warn_about_keys(settings: &Settings, manner: Telling) {
    let Ok(listing) = key_store(settings).and_then(|keys| keys.list().map_err(|error| key_failure(&error)))
    else {
        // Whoever reads a key will say what is wrong with the folder.
        return;
    };
    if manner == Telling::Nothing {
        return;
    }
    for warning in listing.warnings {
        let path = visible(&warning.path.display().to_string());
        let _ = writeln!(io::stderr(), "warning: `{path}` {}", visible(&warning.reason));
    }
}

/// Tells a person what happens while something is published; what docker tells, where docker tells it.
pub(super) fn tell(manner: Telling) -> impl Fn(Event) + Send + Sync + 'static {
    move |event| {
        let Some((stream, line)) = told(&event) else { return };
        // Nobody is left to tell where a stream is gone; what is published is published.
        let _ = match (stream, manner) {
            (Stream::Data, Telling::AsDocker) => writeln!(io::stdout(), "{line}"),
            (Stream::Data, Telling::TalkOnly) | (Stream::Talk, Telling::AsDocker | Telling::TalkOnly) => {
                writeln!(io::stderr(), "{line}")
            }
            (_, Telling::Nothing) => Ok(()),
        };
    }
}

/// Where what happens is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    /// Docker's own lines on standard output, warnings on standard error.
    AsDocker,
    /// All on standard error: standard output is JSON.
    TalkOnly,
    /// Nowhere.
    Nothing,
}

impl Telling {
    /// How a command tells whose result has this form.
    pub(super) fn of(format: Format, settings: &Settings) -> Self {
        match (settings.is_quiet(), format) {
            (true, _) => Self::Nothing,
            (false, Format::Json) => Self::TalkOnly,
            (false, Format::Text) => Self::AsDocker,
        }
    }
}

enum Stream {
    Data,
    Talk,
}

fn told(event: &Event) -> Option<(Stream, String)> {
    let talk = |text: String| Some((Stream::Talk, text));
    match event {
        Event::Initialized { gun } => Some((Stream::Data, format!("Finished initializing \"{gun}\""))),
        Event::NearExpiry { role, expires, reason } => talk(format!(
            "warning: `{role}` expires on {}, and was not signed again: {}",
            expires.strftime("%Y-%m-%d"),
            visible(reason)
        )),
        Event::NeedsSigning { role, key_ids } => {
            let ids: Vec<String> = key_ids.iter().map(|id| format!("{:.7}", id.as_str())).collect();
            talk(format!("warning: `{role}` must be signed anew, with one of the keys {}", ids.join(", ")))
        }
        Event::Conflict { attempt } => talk(format!(
            "Another publisher was faster; trying again (attempt {})",
            attempt.saturating_add(1)
        )),
        Event::Retrying { reason } => talk(format!("The trust server is asked again: {}", visible(reason))),
        Event::AnswerLost => talk(
            "The trust server's answer was lost; what it has was read again, and is what was signed"
                .to_owned(),
        ),
        Event::NotCached { reason } => {
            talk(format!("warning: the new trust data is not in the cache: {}", visible(reason)))
        }
        Event::KeyRemoved { role, key_id } => {
            talk(format!("Removed the {role} key {:.7}, which no role needs any more", key_id.as_str()))
        }
        _ => None,
    }
}

/// An error of publishing as the end of a command.
pub(super) fn publish_failure(error: &PublishError) -> Failure {
    if let PublishError::Key(error) = error {
        return key_failure(error);
    }
    let message = error.to_string();
    let failure = match error.exit() {
        1 => Failure::refused(message),
        2 => Failure::usage(message),
        _ => Failure::unknown(message),
    };
    error.help().into_iter().fold(failure, Failure::help)
}

/// An error of keys or passphrases as the end of a command.
pub(super) fn key_failure(error: &KeyError) -> Failure {
    let message = error.to_string();
    let failure = match error {
        KeyError::Exists { .. }
        | KeyError::Exposed { .. }
        | KeyError::Interrupted
        | KeyError::PassphraseMismatch
        | KeyError::PassphraseTooShort { .. }
        | KeyError::WrongPassphrase { .. } => Failure::refused(message),
        KeyError::Conflict { .. } | KeyError::NoGun { .. } | KeyError::Role { .. } => Failure::usage(message),
        _ => Failure::unknown(message),
    };
    error.help().into_iter().fold(failure, Failure::help)
}

/// Asks a question that only `y` or `yes` answers with yes; no answer is no.
pub(super) fn confirm(question: &str, output: &mut Output) -> Result<bool, Failure> {
    output.ask(question);
    let mut answer = String::new();
    // A person's line; whatever is longer is no answer.
    let mut input = io::stdin().lock().take(ANSWER_LIMIT);
    input
        .read_line(&mut answer)
        .map_err(|error| Failure::unknown(format!("can't read the answer: {error}")))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Reads a passphrase from a descriptor that the process was started with.
fn read_descriptor(number: u32) -> Result<GivenPassphrase, Failure> {
    let opened: io::Result<OwnedFd> = match number {
        0 => io::stdin().as_fd().try_clone_to_owned(),
        _ => File::open(format!("/dev/fd/{number}")).map(OwnedFd::from),
    };
    let descriptor = opened.map_err(|error| {
        Failure::usage(format!("file descriptor {number} can't be read: {error}"))
            .help("open it for the command, for example: 3< passphrase.txt --passphrase-fd 3")
    })?;
    GivenPassphrase::from_descriptor(descriptor).map_err(|error| key_failure(&error))
}

/// Which keys a given passphrase is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keys {
    Root,
    Others,
}

/// A given passphrase, kept from keys that it is not for.
struct GivenFor {
    keys: Keys,
    source: GivenPassphrase,
}

impl PassphraseSource for GivenFor {
    fn passphrase(&mut self, request: &PassphraseRequest<'_>) -> Result<Passphrase, KeyError> {
        let wanted = if request.alias() == "root" { Keys::Root } else { Keys::Others };
        if wanted == self.keys {
            return self.source.passphrase(request);
        }
        Err(KeyError::NoPassphrase { role: request.role.to_string(), key_id: request.key_id.cloned() })
    }

    fn name(&self, request: &PassphraseRequest<'_>) -> String {
        self.source.name(request)
    }
}

/// Where `--help` lists the options.
const PASSPHRASES: &str = "Passphrases";
/// Bytes of an answer to a yes-or-no question.
const ANSWER_LIMIT: u64 = 256;

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::keys::KeyRole;

    fn given(keys: Keys, text: &str) -> Box<dyn PassphraseSource + Send> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        Box::new(GivenFor { keys, source: GivenPassphrase::from_file(file.path()).unwrap() })
    }

    fn ask(source: &mut dyn PassphraseSource, role: &str) -> Result<String, KeyError> {
        let role: KeyRole = role.parse().unwrap();
        let request = PassphraseRequest { role: &role, gun: None, key_id: None, new: true, attempt: 0 };
        source.passphrase(&request).map(|_| source.name(&request))
    }

    #[test]
    fn a_passphrase_opens_only_the_keys_that_it_was_given_for() {
        let root = || given(Keys::Root, "correct horse\n");
        let others = || given(Keys::Others, "battery staple\n");
        let mut chained = ChainedPassphrases::new(vec![root(), others()]);
        let (offline, tagging) = (ask(&mut chained, "root").unwrap(), ask(&mut chained, "targets").unwrap());
        assert_ne!(offline, tagging);
        assert_eq!(ask(&mut chained, "alice").unwrap(), tagging);
        let mut chained = ChainedPassphrases::new(vec![root()]);
        assert!(matches!(ask(&mut chained, "targets"), Err(KeyError::NoPassphrase { .. })));
    }

    #[test]
    fn a_descriptor_that_is_not_open_is_wrong_usage() {
        let failure = read_descriptor(9_999).err().unwrap();
        assert_eq!(failure.exit(), crate::cli::Exit::Usage);
    }
}
