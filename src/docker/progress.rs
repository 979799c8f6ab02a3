//! Progress as docker shows it: lines that are drawn over on a terminal, else one line an event.
//!
//! Not by `indicatif`: scripts and eyes know docker's own lines, so they are drawn byte for byte as
//! docker draws them.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::{Counter, Message};

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
        if message.counter.as_ref().is_some_and(Counter::counts) {
            return Ok(());
        }
        writeln!(self.out, "{}{}", prefix(message), message.status)?;
        self.out.flush()
    }
}

/// One line for each layer, drawn again as it proceeds: docker's output on a terminal.
#[derive(Debug)]
pub struct TerminalProgress<W> {
    out: W,
    width: u16,
    /// Which line belongs to which ID, counted from the first.
    lines: BTreeMap<String, usize>,
}

impl<W: Write + Send> TerminalProgress<W> {
    /// Draws on a terminal of this width.
    pub fn new(out: W, width: u16) -> Self {
        Self { out, width, lines: BTreeMap::new() }
    }
}

impl<W> TerminalProgress<W> {
    fn line_of(&mut self, id: &str) -> Line {
        if id.is_empty() {
            self.lines.clear();
            return Line::None;
        }
        if let Some(line) = self.lines.get(id) {
            return Line::Above(self.lines.len().saturating_sub(*line));
        }
        if LINE_COUNT_LIMIT <= self.lines.len() {
            self.lines.clear();
        }
        self.lines.insert(id.to_owned(), self.lines.len());
        Line::New
    }
}

/// Where a message's line is, seen from below the last one.
enum Line {
    /// It has none of its own.
    None,
    /// It begins now.
    New,
    /// So many lines up.
    Above(usize),
}

impl<W: Write + Send> Progress for TerminalProgress<W> {
    fn show(&mut self, message: &Message) -> io::Result<()> {
        let Some(counter) = message.counter.as_ref() else {
            // Lines above an ordinary one can't be reached any more.
            self.lines.clear();
            writeln!(self.out, "{}{}", prefix(message), message.status)?;
            return self.out.flush();
        };
        let (start, back) = match self.line_of(&message.id) {
            Line::None => (String::new(), String::new()),
            Line::New => ("\n\x1b[1A".to_owned(), "\x1b[1B".to_owned()),
            Line::Above(lines) => (format!("\x1b[{lines}A"), format!("\x1b[{lines}B")),
        };
        let bar = counter.draw(self.width);
        let text = format!("{start}\x1b[2K\r{}{} {bar}\r{back}", prefix(message), message.status);
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

fn prefix(message: &Message) -> String {
    if message.id.is_empty() { String::new() } else { format!("{}: ", message.id) }
}

impl Counter {
    /// Whether there is anything to show.
    fn counts(&self) -> bool {
        0 < self.current || 0 < self.total
    }

    /// The bar and the numbers, for a terminal of this width.
    fn draw(&self, width: u16) -> String {
        if !self.counts() {
            return String::new();
        }
        let (current, total) = (i128::from(self.current), i128::from(self.total));
        let counted = |count: i128| if self.units.is_empty() { size(count) } else { count.to_string() };
        let units = if self.units.is_empty() { String::new() } else { format!(" {}", self.units) };
        if total <= 0 {
            return if self.units.is_empty() {
                format!("{:>8}", counted(current))
            } else {
                counted(current) + &units
            };
        }
        let done = usize::try_from((current.max(0) * 100 / total / 2).min(50)).unwrap_or_default();
        let mut text = String::new();
        if BAR_WIDTH < width {
            text = format!("[{}>{}] ", "=".repeat(done), " ".repeat(50 - done));
        }
        if self.hide_counts {
            return text;
        }
        let first = if self.units.is_empty() { format!("{:>8}", counted(current)) } else { counted(current) };
        // More than everything is no count that one could show beside the whole.
        let second = if total < current { String::new() } else { format!("/{}", counted(total)) };
        text + &first + &second + &units
    }
}

/// A size of four digits, as docker writes it: `7.651MB`, `512B`.
fn size(bytes: i128) -> String {
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    let mut value = bytes as f64;
    let mut unit = 0;
    while 1000.0 <= value && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let decimals = match value {
        value if 100.0 <= value => 1,
        value if 10.0 <= value => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{}{}", if text.is_empty() { "0" } else { text }, UNITS.get(unit).unwrap_or(&""))
}

const UNITS: [&str; 9] = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
/// On a narrower terminal docker draws no bar.
const BAR_WIDTH: u16 = 110;
/// An image has at most a hundred-odd layers; a hostile engine could name others for ever.
const LINE_COUNT_LIMIT: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str, status: &str, counter: Option<(i64, i64)>) -> Message {
        let counter = counter.map(|(current, total)| Counter { current, total, ..Counter::default() });
        Message { id: id.to_owned(), status: status.to_owned(), counter }
    }

    #[test]
    fn sizes_have_four_digits() {
        for (bytes, expected) in [
            (0, "0B"),
            (512, "512B"),
            (999, "999B"),
            (1000, "1kB"),
            (1024, "1.024kB"),
            (7_651_000, "7.651MB"),
            (51_234_000, "51.23MB"),
            (100_000_000, "100MB"),
            (999_999, "1000kB"),
            (i128::from(i64::MAX), "9.223EB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn bars() {
        let draw = |current, total, width| Counter { current, total, ..Counter::default() }.draw(width);
        assert_eq!(draw(512, 1024, 120), format!("[{}>{}]     512B/1.024kB", "=".repeat(25), " ".repeat(25)));
        assert_eq!(draw(512, 1024, 80), "    512B/1.024kB");
        assert_eq!(draw(2048, 1024, 80), " 2.048kB");
        assert_eq!(draw(2048, 0, 80), " 2.048kB");
        assert_eq!(draw(0, 0, 80), "");
        assert_eq!(draw(-5, 10, 120), format!("[>{}]      -5B/10B", " ".repeat(50)));
        assert_eq!(draw(i64::MAX, i64::MAX, 120), format!("[{}>]  9.223EB/9.223EB", "=".repeat(50)));
        let seconds = Counter { current: 3, total: 5, units: "seconds".into(), hide_counts: false };
        assert_eq!(seconds.draw(80), "3/5 seconds");
    }

    #[test]
    fn without_a_terminal_counters_are_left_out() {
        let mut out = Vec::new();
        let mut progress = PlainProgress::new(&mut out);
        for shown in [
            message("", "The push refers to repository [acme/web]", None),
            message("aa", "Preparing", Some((0, 0))),
            message("aa", "Pushing", Some((512, 1024))),
            message("aa", "Pushed", None),
        ] {
            progress.show(&shown).unwrap();
        }
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "The push refers to repository [acme/web]\naa: Preparing\naa: Pushed\n"
        );
    }

    #[test]
    fn on_a_terminal_each_layer_keeps_its_line() {
        let mut out = Vec::new();
        let mut progress = TerminalProgress::new(&mut out, 80);
        for shown in [
            message("aa", "Preparing", Some((0, 0))),
            message("bb", "Preparing", Some((0, 0))),
            message("aa", "Pushing", Some((512, 1024))),
            message("", "done", None),
            message("aa", "Preparing", Some((0, 0))),
        ] {
            progress.show(&shown).unwrap();
        }
        let expected = "\n\x1b[1A\x1b[2K\raa: Preparing \r\x1b[1B\
            \n\x1b[1A\x1b[2K\rbb: Preparing \r\x1b[1B\
            \x1b[2A\x1b[2K\raa: Pushing     512B/1.024kB\r\x1b[2B\
            done\n\
            \n\x1b[1A\x1b[2K\raa: Preparing \r\x1b[1B";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn endless_ids_take_no_endless_memory() {
        let mut progress = TerminalProgress::new(io::sink(), 80);
        for id in 0..3 * LINE_COUNT_LIMIT {
            progress.show(&message(&id.to_string(), "Waiting", Some((0, 0)))).unwrap();
        }
        assert!(progress.lines.len() <= LINE_COUNT_LIMIT);
    }
}
