//! Asking a person for passphrases, in docker's words.

use std::io;

use super::{KeyError, Passphrase, PassphraseRequest, PassphraseSource};

/// A terminal that can be asked.
pub trait Terminal {
    /// Shows a text.
    fn say(&mut self, text: &str) -> io::Result<()>;

    /// Shows a text and reads a line without showing it, then ends the line.
    ///
    /// [`io::ErrorKind::Interrupted`] says that the person gave up, [`io::ErrorKind::NotConnected`] that
    /// there is no terminal.
    fn ask(&mut self, prompt: &str) -> io::Result<Passphrase>;
}

/// Whose words a prompt uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wording {
    /// Those that content trust came with: offline key and tagging key.
    Offline,
    /// Those of docker 1.10 on: root key and repository key.
    Root,
}

impl Wording {
    /// The key as people are shown it.
    fn key(self, request: &PassphraseRequest<'_>) -> String {
        let name = match (self, request.alias()) {
            (Self::Offline, "root") => "offline",
            (Self::Offline, "targets" | "snapshot") => "tagging",
            (Self::Root, "targets" | "snapshot") => "repository",
            (_, role) => role,
        };
        let Some(id) = request.key_id else { return format!("{name} key") };
        let id = id.as_str().get(..SHOWN_DIGITS).unwrap_or_default();
        match (self, request.gun) {
            (Self::Offline, Some(gun)) => format!("{name} key with id {gun} ({id})"),
            (Self::Offline, None) => format!("{name} key with id {id}"),
            (Self::Root, _) => format!("{name} key with ID {id}"),
        }
    }

    fn known_key_prompt(self, request: &PassphraseRequest<'_>) -> String {
        let key = self.key(request);
        match self {
            Self::Offline => format!("Enter key passphrase for {key}: "),
            Self::Root => format!("Enter passphrase for {key}: "),
        }
    }

    fn root_key_warning(self) -> String {
        let name = match self {
            Self::Offline => "offline",
            Self::Root => "root",
        };
        format!(
            "You are about to create a new {name} signing key passphrase. This passphrase\n\
             will be used to protect the most sensitive key in your signing system. Please\n\
             choose a long, complex passphrase and be careful to keep the password and the\n\
             key file itself secure and backed up. It is highly recommended that you use a\n\
             password manager to generate the passphrase and keep it safe. There will be no\n\
             way to recover this key. You can find the key in your config directory.\n"
        )
    }
}

/// Asks a person.
pub struct Prompt<T> {
    terminal: T,
    wording: Wording,
}

impl<T: Terminal> Prompt<T> {
    /// Asks at this terminal in these words.
    pub fn new(terminal: T, wording: Wording) -> Self {
        Self { terminal, wording }
    }

    /// The passphrase for a new key, typed twice.
    fn choose(&mut self, request: &PassphraseRequest<'_>) -> Result<Passphrase, Failure> {
        if request.alias() == "root" && request.attempt == 0 {
            self.terminal.say(&self.wording.root_key_warning())?;
        }
        let key = self.wording.key(request);
        for _ in 0..CHOICES {
            let passphrase = self.terminal.ask(&format!("Enter passphrase for new {key}: "))?;
            if !passphrase.is_long_enough() {
                self.terminal.say(TOO_SHORT)?;
                continue;
            }
            let repeated = self.terminal.ask(&format!("Repeat passphrase for new {key}: "))?;
            if repeated.expose() == passphrase.expose() {
                return Ok(passphrase);
            }
            self.terminal.say("Passphrases do not match. Please retry.\n")?;
        }
        Err(Failure::Key(KeyError::PassphraseMismatch))
    }

    fn enter(&mut self, request: &PassphraseRequest<'_>) -> Result<Passphrase, Failure> {
        if request.attempt > 0 {
            self.terminal.say("Passphrase incorrect. Please retry.\n")?;
        }
        Ok(self.terminal.ask(&self.wording.known_key_prompt(request))?)
    }
}

impl<T: Terminal> PassphraseSource for Prompt<T> {
    fn passphrase(&mut self, request: &PassphraseRequest<'_>) -> Result<Passphrase, KeyError> {
        let answer = if request.new { self.choose(request) } else { self.enter(request) };
        answer.map_err(|failure| match failure {
            Failure::Key(error) => error,
            Failure::Terminal(error) => match error.kind() {
                io::ErrorKind::Interrupted => KeyError::Interrupted,
                io::ErrorKind::NotConnected | io::ErrorKind::UnexpectedEof => {
                    KeyError::NoTerminal { role: request.role.to_string(), key_id: request.key_id.cloned() }
                }
                _ => KeyError::PassphraseUnreadable {
                    source_name: self.name(request),
                    reason: error.to_string(),
                },
            },
        })
    }

    fn name(&self, _request: &PassphraseRequest<'_>) -> String {
        "the terminal".to_owned()
    }
}

enum Failure {
    Key(KeyError),
    Terminal(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Terminal(error)
    }
}

const TOO_SHORT: &str = "Passphrase is too short. Please use a password manager to generate and store a good random passphrase.\n";
/// As many digits of a key's ID as docker shows.
const SHOWN_DIGITS: usize = 7;
/// How often a new passphrase may be mistyped, as in docker.
const CHOICES: u32 = 10;

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::keys::{CachedPassphrases, KeyRole};
    use crate::tuf::KeyId;

    /// A person who types these lines, and everything that they saw.
    #[derive(Default)]
    struct Person {
        lines: VecDeque<&'static str>,
        seen: String,
    }

    impl Terminal for &mut Person {
        fn say(&mut self, text: &str) -> io::Result<()> {
            self.seen.push_str(text);
            Ok(())
        }

        fn ask(&mut self, prompt: &str) -> io::Result<Passphrase> {
            self.seen.push_str(prompt);
            self.seen.push('\n');
            let line = self.lines.pop_front().ok_or(io::ErrorKind::Interrupted)?;
            Ok(Passphrase::new(line.to_owned()))
        }
    }

    fn id() -> KeyId {
        "a1d96fb4405e2f3cbcc8c7b6ac8ec3c02f7b35c3d9b0d2a6d4d4e0f9e7a3b1c2".parse().unwrap()
    }

    fn dialog(
        wording: Wording,
        role: &str,
        gun: Option<&str>,
        new: bool,
        lines: &[&'static str],
    ) -> (String, bool) {
        let mut person = Person { lines: lines.iter().copied().collect(), seen: String::new() };
        let (role, gun, key_id): (KeyRole, _, _) =
            (role.parse().unwrap(), gun.map(|it| it.parse().unwrap()), id());
        let mut answered = false;
        for attempt in 0..if new { 1 } else { 3 } {
            let request =
                PassphraseRequest { role: &role, gun: gun.as_ref(), key_id: Some(&key_id), new, attempt };
            let answer = Prompt::new(&mut person, wording).passphrase(&request);
            answered = answer.is_ok_and(|it| it.expose() == "correct horse");
            if answered {
                break;
            }
        }
        (person.seen, answered)
    }

    const BASE: Option<&str> = Some("docker.io/docker/trusttest");

    #[test]
    fn the_words_that_content_trust_came_with() {
        let twice = ["correct horse", "correct horse"];
        let (seen, answered) = dialog(Wording::Offline, "root", None, true, &twice);
        assert!(answered);
        insta::assert_snapshot!(seen, @"
        You are about to create a new offline signing key passphrase. This passphrase
        will be used to protect the most sensitive key in your signing system. Please
        choose a long, complex passphrase and be careful to keep the password and the
        key file itself secure and backed up. It is highly recommended that you use a
        password manager to generate the passphrase and keep it safe. There will be no
        way to recover this key. You can find the key in your config directory.
        Enter passphrase for new offline key with id a1d96fb: 
        Repeat passphrase for new offline key with id a1d96fb: 
        ");
        let (seen, _) = dialog(Wording::Offline, "targets", BASE, true, &twice);
        insta::assert_snapshot!(seen, @"
        Enter passphrase for new tagging key with id docker.io/docker/trusttest (a1d96fb): 
        Repeat passphrase for new tagging key with id docker.io/docker/trusttest (a1d96fb): 
        ");
        let (seen, _) = dialog(Wording::Offline, "root", None, false, &["correct horse"]);
        insta::assert_snapshot!(seen, @"Enter key passphrase for offline key with id a1d96fb:");
    }

    #[test]
    fn the_words_of_docker_since() {
        let lines = ["short", "correct horse", "different", "correct horse", "correct horse"];
        let (seen, answered) = dialog(Wording::Root, "targets", BASE, true, &lines);
        assert!(answered);
        insta::assert_snapshot!(seen, @"
        Enter passphrase for new repository key with ID a1d96fb: 
        Passphrase is too short. Please use a password manager to generate and store a good random passphrase.
        Enter passphrase for new repository key with ID a1d96fb: 
        Repeat passphrase for new repository key with ID a1d96fb: 
        Passphrases do not match. Please retry.
        Enter passphrase for new repository key with ID a1d96fb: 
        Repeat passphrase for new repository key with ID a1d96fb: 
        ");
        let (seen, answered) =
            dialog(Wording::Root, "alice", None, false, &["wrong", "worse", "correct horse"]);
        assert!(answered);
        insta::assert_snapshot!(seen, @"
        Enter passphrase for alice key with ID a1d96fb: 
        Passphrase incorrect. Please retry.
        Enter passphrase for alice key with ID a1d96fb: 
        Passphrase incorrect. Please retry.
        Enter passphrase for alice key with ID a1d96fb: 
        ");
    }

    #[test]
    fn giving_up_is_an_error() {
        let role = KeyRole::root();
        let key_id = id();
        let request =
            PassphraseRequest { role: &role, gun: None, key_id: Some(&key_id), new: false, attempt: 0 };
        let mut person = Person::default();
        let answer = Prompt::new(&mut person, Wording::Root).passphrase(&request);
        assert!(matches!(answer, Err(KeyError::Interrupted)));
        let mut person = Person { lines: ["a"; 10].into(), seen: String::new() };
        let answer =
            Prompt::new(&mut person, Wording::Root).passphrase(&PassphraseRequest { new: true, ..request });
        assert!(matches!(answer, Err(KeyError::PassphraseMismatch)));
    }

    #[test]
    fn people_are_asked_once_for_keys_of_a_kind() {
        let (role, key_id) = (KeyRole::targets(), id());
        let mut person = Person { lines: ["one", "two"].into(), seen: String::new() };
        let mut source = CachedPassphrases::new(Prompt::new(&mut person, Wording::Root));
        let mut ask = |attempt| {
            let request =
                PassphraseRequest { role: &role, gun: None, key_id: Some(&key_id), new: false, attempt };
            source.passphrase(&request).unwrap().expose().to_owned()
        };
        assert_eq!([ask(0), ask(0), ask(1), ask(0)], ["one", "one", "two", "two"]);
    }
}
