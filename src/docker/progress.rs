//! Progress as docker shows it: lines that are drawn over on a terminal, else one line an event.

use std::io::{self, Write};

use super::Message;

/// Where an engine's messages go.
pub trait Progress: Send {
    /// Shows one message.
    fn show(&mut self, message: &Message) -> io::Result<()>;
}

/// Shows nothing: for `--quiet` and JSON.
#[derive(Clone, Copy, Debug)]
pub struct QuietProgress;

impl Progress for QuietProgress {
    fn show(&mut self, _: &Message) -> io::Result<()> {
        Ok(())
    }
}

/// One line for each event that is not a counter: docker's output where there is no terminal.
#[derive(Debug)]
pub struct PlainProgress<W> {
    out: W,
}

impl<W: Write + Send> PlainProgress<W> {
    /// Writes here.
    pub fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write + Send> Progress for PlainProgress<W> {
    fn show(&mut self, message: &Message) -> io::Result<()> {
        let _ = (&mut self.out, message);
        todo!()
    }
}

/// One line for each layer, drawn again as it proceeds: docker's output on a terminal.
#[derive(Debug)]
pub struct TerminalProgress<W> {
    out: W,
    width: u16,
}

impl<W: Write + Send> TerminalProgress<W> {
    /// Draws on a terminal of this width.
    pub fn new(out: W, width: u16) -> Self {
        Self { out, width }
    }
}

impl<W: Write + Send> Progress for TerminalProgress<W> {
    fn show(&mut self, message: &Message) -> io::Result<()> {
        let _ = (&mut self.out, self.width, message);
        todo!()
    }
}
