//! Asking people for passphrases.

use super::{KeyError, Passphrase, PassphraseRequest, PassphraseSource};

/// A terminal that can be asked.
pub trait Terminal {
    /// Shows a text.
    fn say(&mut self, text: &str) -> std::io::Result<()>;
    /// Shows a text and reads a line without showing it.
    fn ask(&mut self, prompt: &str) -> std::io::Result<Passphrase>;
}

/// Whose words a prompt uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wording {
    /// Those that content trust came with: offline key and tagging key.
    Offline,
    /// Those of docker 1.10 on and of notary: root key and repository key.
    Root,
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
}

impl<T: Terminal> PassphraseSource for Prompt<T> {
    fn passphrase(&mut self, _request: &PassphraseRequest<'_>) -> Result<Passphrase, KeyError> {
        let _ = (&mut self.terminal, self.wording);
        todo!()
    }
}
