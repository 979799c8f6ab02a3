//! Where results and talk go: data to standard output, everything else to standard error.
//!
//! A reader that goes away is no error: what remains is dropped, and the exit code
//! stays what the checks made it. Whatever others wrote (image names, server answers,
//! file contents) is neutralised by the caller before it comes here.

use std::io::{self, Write};

use clap::ValueEnum;

use super::arguments::ColorChoice;
use super::environment::{ColorWish, Environment};
use super::exit::Failure;
use crate::gate::diagnose::Style;

/// The two streams of a command, and how they may be used.
pub(super) struct Output {
    data: Box<dyn Write>,
    talk: Box<dyn Write>,
    data_closed: bool,
    last_said: LastSaid,
    styles: Styles,
    manner: Manner,
}

/// How much is said on standard error besides errors and refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Nothing.
    Quiet,
    /// Warnings and summaries.
    Plain,
    /// These, and what is being waited for.
    Lively,
}

/// `--output` of commands whose result is one text or one JSON document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Lines for people, as docker prints them
    #[default]
    Text,
    /// One JSON document
    Json,
}

/// The shape of the last message, which decides about the space before the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LastSaid {
    Nothing,
    Line,
    Block,
}

/// Which streams take color.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Styles {
    /// Colour on standard output.
    pub(super) data: bool,
    /// Colour on standard error.
    pub(super) talk: bool,
    /// Standard output is read by a person: control characters must not reach it.
    pub(super) data_is_terminal: bool,
}

impl Styles {
    /// What `--color` and the environment come to.
    #[must_use]
    pub(super) fn new(choice: ColorChoice, environment: &Environment) -> Self {
        let on = |is_terminal: bool| match (choice, environment.color) {
            (ColorChoice::Always, _) | (ColorChoice::Auto, ColorWish::Always) => true,
            (ColorChoice::Never, _) | (ColorChoice::Auto, ColorWish::Never) => false,
            (ColorChoice::Auto, ColorWish::Automatic) => is_terminal,
        };
        Self {
            data: on(environment.stdout_is_terminal),
            talk: on(environment.stderr_is_terminal),
            data_is_terminal: environment.stdout_is_terminal,
        }
    }
}

impl Styles {
    /// How diagnostics are drawn on standard error.
    #[must_use]
    pub(super) fn of_talk(self) -> Style {
        if self.talk { Style::Colored } else { Style::Plain }
    }
}

impl Output {
    /// The streams of this process.
    #[must_use]
    pub(super) fn of_process(styles: Styles, quiet: bool, environment: &Environment) -> Self {
        let manner = match (quiet, environment.stderr_is_terminal) {
            (true, _) => Manner::Quiet,
            (false, false) => Manner::Plain,
            (false, true) => Manner::Lively,
        };
        Self::new(Box::new(io::stdout()), Box::new(io::stderr()), styles, manner)
    }

    /// Any two streams.
    #[must_use]
    pub(super) fn new(data: Box<dyn Write>, talk: Box<dyn Write>, styles: Styles, manner: Manner) -> Self {
        Self { data, talk, data_closed: false, last_said: LastSaid::Nothing, styles, manner }
    }

    /// Which streams take color.
    #[must_use]
    pub(super) fn styles(&self) -> Styles {
        self.styles
    }

    /// Whether a bar may be drawn on standard error.
    #[must_use]
    pub(super) fn shows_progress(&self) -> bool {
        self.manner == Manner::Lively
    }

    /// Writes a part of the result, as it is.
    pub(super) fn data(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.data_closed {
            return Ok(());
        }
        match self.data.write_all(bytes).and_then(|()| self.data.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.data_closed = true;
                Ok(())
            }
            Err(error) => Err(Failure::unknown(format!("can't write to standard output: {error}"))),
        }
    }

    /// Writes a line of the result that `--quiet` silences.
    pub(super) fn result_line(&mut self, line: &str) -> Result<(), Failure> {
        match self.manner {
            Manner::Quiet => Ok(()),
            Manner::Plain | Manner::Lively => self.data(format!("{line}\n").as_bytes()),
        }
    }

    /// Writes a JSON document and a line end.
    pub(super) fn json(&mut self, document: &impl serde::Serialize) -> Result<(), Failure> {
        let mut text = serde_json::to_string_pretty(document)
            .map_err(|error| Failure::unknown(format!("can't write the result as JSON: {error}")))?;
        text.push('\n');
        self.data(text.as_bytes())
    }

    /// Writes a JSON document with the indentation of docker's own.
    pub(super) fn json_like_docker(&mut self, document: &impl serde::Serialize) -> Result<(), Failure> {
        let unwritable = |error| Failure::unknown(format!("can't write the result as JSON: {error}"));
        let mut text = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
        let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
        document.serialize(&mut serializer).map_err(unwritable)?;
        text.push(b'\n');
        self.data(&text)
    }

    /// Tells a person something that they must know: an error, a refusal. Messages of several
    /// lines are set apart by an empty one.
    pub(super) fn talk(&mut self, text: &str) {
        let text = text.trim_end_matches('\n');
        let said = if text.contains('\n') { LastSaid::Block } else { LastSaid::Line };
        let gap = match (self.last_said, said) {
            (LastSaid::Nothing, _) | (LastSaid::Line, LastSaid::Line) => "",
            (LastSaid::Block | LastSaid::Line, _) => "\n",
        };
        self.last_said = said;
        // Nobody is left to tell where standard error is gone; the exit code still speaks.
        let _ = self.talk.write_all(format!("{gap}{text}\n").as_bytes());
        let _ = self.talk.flush();
    }

    /// Asks a person something, on the line where the answer is typed.
    pub(super) fn ask(&mut self, question: &str) {
        let _ = self.talk.write_all(question.as_bytes());
        let _ = self.talk.flush();
        self.last_said = LastSaid::Line;
    }

    /// Tells a person something that `--quiet` silences: a warning, a summary.
    pub(super) fn remark(&mut self, text: &str) {
        if self.manner != Manner::Quiet {
            self.talk(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::BrokenPipe))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::StorageFull))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn output(data: impl Write + 'static) -> Output {
        let styles = Styles { data: false, talk: false, data_is_terminal: false };
        Output::new(Box::new(data), Box::new(io::sink()), styles, Manner::Plain)
    }

    #[test]
    fn a_reader_that_goes_away_is_no_error() {
        let mut output = output(Gone);
        assert_eq!(output.data(b"one\n"), Ok(()));
        assert_eq!(output.data(b"two\n"), Ok(()));
    }

    #[test]
    fn a_full_disk_is_an_error() {
        assert!(output(Full).data(b"one\n").is_err());
    }
}
