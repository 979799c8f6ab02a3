//! What pinning would change, as a unified diff that `git apply` and `patch -p1` take.

use anstyle::{AnsiColor, Style};
use similar::TextDiff;

use crate::cli::output::Styles;
use crate::text::visible;

/// The difference between two versions of a file, empty if there is none.
pub(super) fn unified(name: &str, before: &str, after: &str) -> String {
    if before == after {
        return String::new();
    }
    let name = name.trim_start_matches("./").trim_start_matches('/');
    TextDiff::from_lines(before, after)
        .unified_diff()
        .context_radius(CONTEXT)
        .header(&format!("a/{name}"), &format!("b/{name}"))
        .to_string()
}

/// The diff as it goes to this reader: byte for byte into a file or a pipe, where `patch`
/// wants it; on a terminal without the control characters that the file may hold.
pub(super) fn for_reader(diff: &str, styles: Styles) -> String {
    if !styles.data && !styles.data_is_terminal {
        return diff.to_owned();
    }
    let line = |line: &str| {
        let line = line.strip_suffix('\n').unwrap_or(line);
        // A carriage return at the end is a Windows line end, not worth a code point on each line.
        let words = line.strip_suffix('\r').unwrap_or(line).split('\t');
        let shown = words.map(visible).collect::<Vec<_>>().join("\t");
        let style = if styles.data { style_of(line) } else { Style::new() };
        format!("{style}{shown}{style:#}\n")
    };
    diff.split_inclusive('\n').map(line).collect()
}

fn style_of(line: &str) -> Style {
    match line.as_bytes() {
        [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => Style::new().bold(),
        [b'+', ..] => AnsiColor::Green.on_default(),
        [b'-', ..] => AnsiColor::Red.on_default(),
        [b'@', ..] => AnsiColor::Cyan.on_default(),
        _ => Style::new(),
    }
}

/// As many lines around a change as `diff -u` shows.
const CONTEXT: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Styles = Styles { data: false, talk: false, data_is_terminal: false };

    #[test]
    fn every_byte_of_a_line_is_kept_for_patch() {
        let diff =
            unified("./x/Dockerfile", "FROM a\r\n# \u{1b}[2J\r\nRUN x", "FROM b\r\n# \u{1b}[2J\r\nRUN x");
        assert_eq!(
            diff,
            "--- a/x/Dockerfile\n+++ b/x/Dockerfile\n@@ -1,3 +1,3 @@\n-FROM a\r\n+FROM b\r\n # \u{1b}[2J\r\n RUN x\n\
             \\ No newline at end of file\n"
        );
        assert_eq!(for_reader(&diff, PLAIN), diff);
    }

    #[test]
    fn a_terminal_gets_no_control_characters() {
        let shown = for_reader("-a\u{1b}[2J\tc\r\n+b\n", Styles { data_is_terminal: true, ..PLAIN });
        assert_eq!(shown, "-a\\u{1b}[2J\tc\n+b\n");
        let colored = for_reader("+b\n", Styles { data: true, ..PLAIN });
        assert_eq!(colored, "\u{1b}[32m+b\u{1b}[0m\n");
    }
}
