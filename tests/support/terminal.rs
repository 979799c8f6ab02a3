//! A program on a terminal of its own, and a person who reads and types there.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// A running program, and what it has shown.
pub(crate) struct Session {
    child: Child,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    seen: Vec<u8>,
    /// How much of it was expected already.
    expected: usize,
}

impl Session {
    /// Starts the program with the terminal as its input, output and error.
    pub(crate) fn start(mut command: Command) -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&keyboard).and_then(|()| unlockpt(&keyboard)).expect("a terminal to use");
        let name = ptsname(&keyboard, Vec::new()).expect("its name");
        let terminal = rustix::fs::open(&*name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty());
        let terminal: OwnedFd = terminal.expect("the terminal");
        let copy = || Stdio::from(terminal.try_clone().expect("a descriptor"));
        command.stdin(copy()).stdout(copy()).stderr(copy());
        let child = command.spawn().expect("the program starts");
        // The program's are the only ones now: the screen ends with it.
        drop(command);
        drop(terminal);
        let keyboard = File::from(keyboard);
        let mut output = keyboard.try_clone().expect("a descriptor");
        let (sender, screen) = channel();
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut chunk) {
                if sender.send(chunk[..length].to_owned()).is_err() {
                    break;
                }
            }
        });
        Self { child, keyboard, screen, seen: Vec::new(), expected: 0 }
    }

    /// Waits until the program shows this, after what was expected before.
    #[track_caller]
    pub(crate) fn expect(&mut self, text: &str) -> &mut Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = find(&self.seen[self.expected..], text.as_bytes()) {
                self.expected += at + text.len();
                return self;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(chunk) => self.seen.extend(chunk),
                Err(error) => panic!("`{text}` was not shown ({error}):\n{}", self.text()),
            }
        }
    }

    /// Types a line.
    pub(crate) fn answer(&mut self, line: &str) -> &mut Self {
        self.keyboard.write_all(format!("{line}\r").as_bytes()).expect("the keyboard works");
        self
    }

    /// Ends the program here and now, as the system does when memory runs out.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Waits for its end: all that was shown, and the exit code.
    pub(crate) fn end(mut self) -> (String, Option<i32>) {
        while let Ok(chunk) = self.screen.recv_timeout(PATIENCE) {
            self.seen.extend(chunk);
        }
        let status = self.child.wait().expect("it ends");
        (self.text(), status.code())
    }

    /// As plain text: a terminal ends its lines with a carriage return, too.
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen).replace("\r\n", "\n")
    }
}

fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    text.windows(needle.len()).position(|window| window == needle)
}

/// A push, with 600,000 rounds for each key's passphrase, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_mins(2);
