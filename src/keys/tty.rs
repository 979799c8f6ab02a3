//! The terminal of the process, read without showing what is typed.
//!
//! Keys are read one by one, so that Control-C is a key like another: the terminal is put back as it
//! was before anything ends.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::{Passphrase, Terminal};

/// Where a person sits: standard input if that is a terminal, or else the terminal of the process.
pub struct ProcessTerminal {
    files: Option<Files>,
}

struct Files {
    input: File,
    output: File,
}

impl ProcessTerminal {
    /// Looks for the terminal. Without one, every question fails.
    #[must_use]
    pub fn find() -> Self {
        Self { files: Files::of_standard_streams().or_else(Files::of_process) }
    }
}

impl Files {
    fn of_standard_streams() -> Option<Self> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return None;
        }
        let input: OwnedFd = io::stdin().as_fd().try_clone_to_owned().ok()?;
        let output: OwnedFd = io::stderr().as_fd().try_clone_to_owned().ok()?;
        Some(Self { input: input.into(), output: output.into() })
    }

    fn of_process() -> Option<Self> {
        let input = File::options().read(true).write(true).open("/dev/tty").ok()?;
        let output = input.try_clone().ok()?;
        Some(Self { input, output })
    }
}

impl Terminal for ProcessTerminal {
    fn say(&mut self, text: &str) -> io::Result<()> {
        let files = self.files.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        files.output.write_all(text.as_bytes())
    }

    fn ask(&mut self, prompt: &str) -> io::Result<Passphrase> {
        let files = self.files.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let silence = Silence::over(&files.input)?;
        files.output.write_all(prompt.as_bytes())?;
        let line = read_line(&mut &files.input);
        drop(silence);
        files.output.write_all(b"\n")?;
        line
    }
}

/// A terminal that shows nothing and hands out key by key, until this is dropped.
struct Silence<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Silence<'a> {
    fn over(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        silent.special_codes[SpecialCodeIndex::VMIN] = 1;
        silent.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(terminal, OptionalActions::Now, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        // There is nobody to tell, and nothing else to try.
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

/// Reads keys up to the end of a line, and does what a terminal does with those that edit it.
fn read_line(keys: &mut impl io::Read) -> io::Result<Passphrase> {
    let mut line = Zeroizing::new(Vec::with_capacity(LINE_LIMIT));
    let mut key = Zeroizing::new([0]);
    loop {
        match keys.read(key.as_mut()) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        match key[0] {
            b'\n' | b'\r' => break,
            CONTROL_C | CONTROL_BACKSLASH => return Err(io::ErrorKind::Interrupted.into()),
            CONTROL_D if line.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            CONTROL_D => break,
            CONTROL_U => line.clear(),
            BACKSPACE | DELETE => {
                // One character, not one byte of it.
                while line.pop().is_some_and(|it| it & 0xc0 == 0x80) {}
            }
            _ if line.len() >= LINE_LIMIT => {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "the line is too long"));
            }
            other => line.push(other),
        }
    }
    let text = std::str::from_utf8(&line)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the line is not UTF-8"))?;
    // As docker: blanks around a passphrase come from pasting.
    Ok(Passphrase::new(text.trim().to_owned()))
}

const CONTROL_C: u8 = 0x03;
const CONTROL_D: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const CONTROL_U: u8 = 0x15;
const CONTROL_BACKSLASH: u8 = 0x1c;
const DELETE: u8 = 0x7f;
/// Longer than a terminal's own lines.
const LINE_LIMIT: usize = 4096;

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn keys_edit_the_line() {
        for (keys, expected) in [
            (&b"abc\n"[..], "abc"),
            (b"abc\r\n", "abc"),
            (b" abc \n", "abc"),
            (b"abd\x7fc\n", "abc"),
            (b"\x08\x08abc\n", "abc"),
            ("aé\x7fb\n".as_bytes(), "ab"),
            (b"nonsense\x15abc\n", "abc"),
            (b"abc\x04", "abc"),
            (b"\n", ""),
        ] {
            assert_eq!(read_line(&mut &*keys).unwrap().expose(), expected, "{keys:?}");
        }
    }

    /// A terminal, and the side of it where the person sits.
    fn terminal() -> (ProcessTerminal, File, File) {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap();
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
        let input = File::from(rustix::fs::open(&*name, flags, rustix::fs::Mode::empty()).unwrap());
        let kept = input.try_clone().unwrap();
        let output = input.try_clone().unwrap();
        (ProcessTerminal { files: Some(Files { input, output }) }, File::from(person), kept)
    }

    #[test]
    fn nothing_that_is_typed_is_shown() {
        let (mut terminal, mut person, kept) = terminal();
        let before = tcgetattr(&kept).unwrap();
        for (typed, expected) in [("correct horse\r", Some("correct horse")), ("abc\x03", None)] {
            let mut typist = person.try_clone().unwrap();
            let seen = std::thread::spawn(move || {
                let mut seen = Vec::new();
                let mut chunk = [0; 64];
                while !seen.ends_with(b"Passphrase: ") {
                    let length = typist.read(&mut chunk).unwrap();
                    seen.extend_from_slice(&chunk[..length]);
                }
                typist.write_all(typed.as_bytes()).unwrap();
            });
            let answer = terminal.ask("Passphrase: ");
            seen.join().unwrap();
            match expected {
                Some(expected) => assert_eq!(answer.unwrap().expose(), expected),
                None => assert_eq!(answer.unwrap_err().kind(), io::ErrorKind::Interrupted),
            }
            let mut rest = [0; 64];
            let length = person.read(&mut rest).unwrap();
            assert_eq!(&rest[..length], b"\r\n", "the end of the line, and nothing else");
            assert_eq!(tcgetattr(&kept).unwrap().local_modes, before.local_modes);
        }
    }

    #[test]
    fn without_a_terminal_there_is_an_error() {
        let mut terminal = ProcessTerminal { files: None };
        assert_eq!(terminal.ask("Passphrase: ").unwrap_err().kind(), io::ErrorKind::NotConnected);
        assert_eq!(terminal.say("words").unwrap_err().kind(), io::ErrorKind::NotConnected);
    }

    #[test]
    fn giving_up_and_nonsense_are_errors() {
        for (keys, kind) in [
            (&b"ab\x03"[..], io::ErrorKind::Interrupted),
            (b"ab\x1c", io::ErrorKind::Interrupted),
            (b"\x04", io::ErrorKind::UnexpectedEof),
            (b"abc", io::ErrorKind::UnexpectedEof),
            (b"\xff\n", io::ErrorKind::InvalidInput),
            (&[b'a'; 5000], io::ErrorKind::InvalidInput),
        ] {
            assert_eq!(read_line(&mut &*keys).unwrap_err().kind(), kind, "{:?}", &keys[..2.min(keys.len())]);
        }
    }
}
