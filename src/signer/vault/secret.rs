//! Where key-encryption keys come from: a file, an environment variable, or a command.
//!
//! A command is the way to a key management service: it prints the key, and nothing here needs to know
//! whose it is.

use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use tokio::io::AsyncReadExt as _;
use zeroize::Zeroizing;

use super::sealing::SealingKey;
use crate::http::read_bounded;
use crate::signer::rows::Alias;

/// Looks an environment variable up.
pub type Lookup<'a> = &'a (dyn Fn(&str) -> Option<String> + Send + Sync);

/// Where one key-encryption key comes from, and how it is written there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretSource {
    /// Where it is.
    pub place: SecretPlace,
    /// How it is written.
    pub form: SecretForm,
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretPlace {
    /// What this program prints, given these arguments. No shell reads them.
    Command(Vec<String>),
    /// The variable of this name.
    Environment(String),
    /// The file at this path, which nobody else may read.
    File(PathBuf),
}

/// How a secret is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretForm {
    /// 32 random bytes in hexadecimal or base64.
    #[default]
    Key,
    /// A passphrase, from which the key is derived.
    Passphrase,
}

impl SecretSource {
    /// Fetches the key.
    pub async fn fetch(&self, alias: &Alias, variables: Lookup<'_>) -> Result<SealingKey, SecretError> {
        let text = self.place.read(variables).await.map_err(|reason| self.unusable(alias, reason))?;
        // As editors and `echo` leave it.
        let text = text.strip_suffix(b"\n").unwrap_or(&text);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        match self.form {
            SecretForm::Key => {
                let bytes = decode(text).ok_or_else(|| {
                    self.unusable(alias, "it is not 32 bytes in hexadecimal or base64".to_owned())
                })?;
                Ok(SealingKey::new(&bytes))
            }
            SecretForm::Passphrase if text.len() < PASSPHRASE_MINIMUM => {
                Err(self.unusable(alias, format!("it is shorter than {PASSPHRASE_MINIMUM} characters")))
            }
            SecretForm::Passphrase => Ok(SealingKey::from_passphrase(text, alias)),
        }
    }

    fn unusable(&self, alias: &Alias, reason: String) -> SecretError {
        SecretError { alias: alias.clone(), place: self.place.to_string(), reason, form: self.form }
    }
}

impl SecretPlace {
    /// What is there as a line of text, which is not a key.
    pub(crate) async fn text(&self, variables: Lookup<'_>) -> Result<Zeroizing<String>, String> {
        let bytes = self.read(variables).await.map_err(|reason| format!("{self}: {reason}"))?;
        let text = std::str::from_utf8(&bytes).map_err(|_| format!("{self}: it is not UTF-8"))?;
        Ok(Zeroizing::new(text.trim().to_owned()))
    }

    async fn read(&self, variables: Lookup<'_>) -> Result<Zeroizing<Vec<u8>>, String> {
        match self {
            Self::Command(words) => run(words).await,
            Self::Environment(name) => {
                let value = variables(name).ok_or("the variable is not set")?;
                Ok(Zeroizing::new(value.into_bytes()))
            }
            Self::File(path) => {
                let mode = std::fs::metadata(path).map_err(|it| it.to_string())?.permissions().mode();
                if mode & OTHERS != 0 {
                    let mode = mode & 0o7777;
                    return Err(format!("everybody can reach it: its mode is {mode:o}; make it 600 or 640"));
                }
                read_bounded(path, SECRET_LIMIT).map(Zeroizing::new).map_err(|it| it.to_string())
            }
        }
    }
}

impl fmt::Display for SecretPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Arguments may name what should not be in a log.
            Self::Command(words) => {
                write!(f, "the command `{}`", words.first().map(String::as_str).unwrap_or_default())
            }
            Self::Environment(name) => write!(f, "the variable `{name}`"),
            Self::File(path) => write!(f, "`{}`", path.display()),
        }
    }
}

/// Why a key-encryption key cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key-encryption key `{alias}` from {place} cannot be used: {reason}")]
pub struct SecretError {
    alias: Alias,
    place: String,
    reason: String,
    form: SecretForm,
}

impl SecretError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self.form {
            SecretForm::Key => "`openssl rand -hex 32` makes one",
            SecretForm::Passphrase => "a password manager makes a good one",
        }
    }
}

/// What a program prints.
async fn run(words: &[String]) -> Result<Zeroizing<Vec<u8>>, String> {
    let (program, arguments) = words.split_first().ok_or("no command is given")?;
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|it| it.to_string())?;
    let output = child.stdout.take().ok_or("its output cannot be read")?;
    // At once as large as it may get: growing would leave copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(SECRET_BUFFER));
    let finished = async {
        let mut output = output.take(SECRET_LIMIT + 1);
        while text.len() < SECRET_BUFFER && output.read_buf(&mut *text).await? != 0 {}
        drop(output);
        child.wait().await
    };
    let status = tokio::time::timeout(COMMAND_TIMEOUT, finished)
        .await
        .map_err(|_| format!("it took longer than {} seconds", COMMAND_TIMEOUT.as_secs()))?
        .map_err(|it: io::Error| it.to_string())?;
    if !status.success() {
        return Err(format!("it ended with {status}"));
    }
    if u64::try_from(text.len()).is_ok_and(|it| it <= SECRET_LIMIT) {
        Ok(text)
    } else {
        Err(format!("it printed more than {SECRET_LIMIT} bytes"))
    }
}

fn decode(text: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    if hex::decode_to_slice(text, bytes.as_mut_slice()).is_ok() {
        return Some(bytes);
    }
    let decoded = STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).ok().map(Zeroizing::new)?;
    let whole: &[u8; 32] = decoded.as_slice().try_into().ok()?;
    bytes.copy_from_slice(whole);
    Some(bytes)
}

/// A secret is a line.
const SECRET_LIMIT: u64 = 4096;
/// The same, and room to see that there is more.
const SECRET_BUFFER: usize = 4200;
/// A key management service answers in a second; a start that hangs helps nobody.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// As docker asks of new passphrases.
const PASSPHRASE_MINIMUM: usize = 8;
/// The permissions of everybody.
const OTHERS: u32 = 0o007;

#[cfg(test)]
mod tests {
    use super::*;

    async fn fetch(place: SecretPlace, form: SecretForm) -> Result<(), String> {
        let variables = |name: &str| match name {
            "KEK" => Some("ab".repeat(32)),
            "SHORT" => Some("ab".repeat(31)),
            _ => None,
        };
        let source = SecretSource { place, form };
        source.fetch(&"a".parse().unwrap(), &variables).await.map(drop).map_err(|it| it.to_string())
    }

    fn command(script: &str) -> SecretPlace {
        SecretPlace::Command(vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()])
    }

    #[test]
    fn keys_have_two_forms() {
        let bytes: [u8; 32] = std::array::from_fn(|it| u8::try_from(it * 7 % 251).unwrap());
        for text in [hex::encode(bytes), STANDARD.encode(bytes), STANDARD_NO_PAD.encode(bytes)] {
            assert_eq!(*decode(text.as_bytes()).unwrap(), bytes, "{text}");
        }
        for text in ["", "hunter2", &"a".repeat(63), &"g".repeat(64), &STANDARD.encode([1; 31])] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
    }

    #[tokio::test]
    async fn secrets_come_from_each_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kek");
        std::fs::write(&path, format!("{}\r\n", "cd".repeat(32))).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let variable = SecretPlace::Environment("KEK".to_owned());
        for place in [variable, command("printf %064d 7"), SecretPlace::File(path.clone())] {
            fetch(place, SecretForm::Key).await.unwrap();
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let reason = fetch(SecretPlace::File(path), SecretForm::Key).await.unwrap_err();
        assert!(reason.contains("its mode is 644"), "{reason}");
    }

    #[tokio::test]
    async fn what_is_no_secret_is_told() {
        let variable = |name: &str| SecretPlace::Environment(name.to_owned());
        let missing = SecretPlace::File("/nowhere/kek".into());
        let cases = [
            (
                variable("NONE"),
                SecretForm::Key,
                "the variable `NONE` cannot be used: the variable is not set",
            ),
            (variable("SHORT"), SecretForm::Key, "it is not 32 bytes"),
            (missing, SecretForm::Key, "`/nowhere/kek` cannot be used: No such file"),
            (command("exit 3"), SecretForm::Key, "`/bin/sh` cannot be used: it ended with exit status: 3"),
            (command("yes"), SecretForm::Key, "it "),
            (command("echo short"), SecretForm::Passphrase, "it is shorter than 8 characters"),
            (SecretPlace::Command(Vec::new()), SecretForm::Key, "no command is given"),
        ];
        for (place, form, reason) in cases {
            let told = fetch(place, form).await.unwrap_err();
            assert!(told.contains(reason), "{told}");
        }
    }
}
