//! Failures of the command line, in the look that refusals have.

use anstyle::{AnsiColor, Style};

use super::exit::Failure;
use crate::text::visible;

/// The text for a person, colored if asked.
pub(super) fn failure(failure: &Failure, styled: bool) -> String {
    let paint = |style: Style| if styled { style } else { Style::new() };
    let error = paint(AnsiColor::Red.on_default().bold());
    let bold = paint(Style::new().bold());
    let label = paint(AnsiColor::Cyan.on_default().bold());
    let mut lines = vec![format!("{error}error{error:#}{bold}: {}{bold:#}", visible(failure.message()))];
    lines.extend(failure.notes().iter().map(|note| format!("  = {}", visible(note))));
    let help = failure.help_lines().iter();
    lines.extend(help.map(|help| format!("  = {label}help{label:#}: {}", visible(help))));
    lines.join("\n") + "\n"
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
