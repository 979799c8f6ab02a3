//! Failures of the command line, in the look that refusals have.

use anstyle::{AnsiColor, Style};

use super::exit::Failure;
use crate::dockerfile::{Notice, Span, line_and_column};
use crate::gate::{Refusal, Warning};
use crate::text::visible;

/// How a message is introduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// It makes the command fail.
    Error,
    /// Somebody should look.
    Warning,
}

/// A refusal that has no place in a file.
pub(super) fn refusal(refusal: &Refusal, styled: bool) -> String {
    at_place("", b"", None, refusal, Severity::Error, styled)
}

/// A warning of the gate.
pub(super) fn warning(warning: &Warning, styled: bool) -> String {
    let mut text = format!("warning: {}\n", visible(&warning.message));
    for note in &warning.notes {
        text.push_str(&format!("  = {}\n", visible(note)));
    }
    let _ = styled;
    text
}

/// A remark on a form in a Dockerfile.
pub(super) fn notice(name: &str, source: &[u8], notice: &Notice, styled: bool) -> String {
    let (line, column) = line_and_column(source, notice.span.start);
    let _ = styled;
    format!("warning: {}\n  --> {}:{line}:{column}\n", visible(&notice.message), visible(name))
}

/// A refusal with its place in a Dockerfile.
pub(super) fn at_place(
    name: &str,
    source: &[u8],
    span: Option<&Span>,
    refusal: &Refusal,
    severity: Severity,
    styled: bool,
) -> String {
    let _ = styled;
    let word = match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut text = format!("{word}[{}]: {}\n", refusal.code, refusal.title);
    if let Some(span) = span {
        let (line, column) = line_and_column(source, span.start);
        text.push_str(&format!("  --> {}:{line}:{column} {}\n", visible(name), refusal.label));
    }
    for note in &refusal.notes {
        text.push_str(&format!("  = {note}\n"));
    }
    for help in &refusal.help {
        text.push_str(&format!("  = help: {help}\n"));
    }
    text
}

/// The text for a person, coloured if asked.
pub(super) fn failure(failure: &Failure, styled: bool) -> String {
    let paint = |style: Style| if styled { style } else { Style::new() };
    let error = paint(AnsiColor::Red.on_default().bold());
    let bold = paint(Style::new().bold());
    let label = paint(AnsiColor::Cyan.on_default().bold());
    let mut text = format!("{error}error{error:#}{bold}: {}{bold:#}\n", visible(failure.message()));
    for note in failure.notes() {
        text.push_str(&format!("  = {bold}note{bold:#}: {}\n", visible(note)));
    }
    for help in failure.help_lines() {
        text.push_str(&format!("  = {label}help{label:#}: {}\n", visible(help)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_cannot_move_the_cursor() {
        let text = failure(&Failure::usage("there is no file `a\u{1b}[2J`").help("look\rup"), false);
        assert_eq!(text, "error: there is no file `a\\u{1b}[2J`\n  = help: look\\u{d}up\n");
    }
}
