//! Forms that an older `BuildKit` takes silently, but reads otherwise.
//!
//! Forms that an older one refuses with an error of its own (the longer `${…}` before 0.13,
//! a letter case, a flag) are not listed: they cannot bring in another image unseen.

use crate::image::Platform;

use super::instruction::{Oddity, Parsed};
use super::scope::{BareArg, Scope};
use super::source::BYTE_ORDER_MARK;
use super::word::Word;
use super::{BuildInputs, Notice, Span};

/// Every such form of a file, in its order.
pub(super) fn warnings(source: &str, parsed: &Parsed) -> Vec<Notice> {
    let mut notices = directives(source);
    notices.extend(parsed.oddities.iter().map(|(oddity, span)| {
        let message = FORMS.iter().find(|(form, _)| form == oddity).map_or("", |(_, message)| message);
        Notice { span: span.clone(), message: message.to_owned() }
    }));
    notices.extend(arguments(parsed));
    notices.sort_by_key(|notice| notice.span.start);
    notices
}

/// The block of directives at the top, whose end and members changed.
fn directives(source: &str) -> Vec<Notice> {
    let mut notices = Vec::new();
    let unmarked = source.strip_prefix(BYTE_ORDER_MARK).unwrap_or(source);
    let has_mark = unmarked.len() < source.len();
    let has_shebang = unmarked.starts_with("#!");
    let (mut saw_check, mut saw_other) = (false, false);
    let mut at = source.len() - unmarked.len();
    for (number, line) in unmarked.split_inclusive('\n').enumerate() {
        let start = at;
        at += line.len();
        if number == 0 && has_shebang {
            continue;
        }
        let Some((key, value)) = key_and_value(line) else { break };
        let message = match key.as_str() {
            "check" => {
                saw_check = true;
                continue;
            }
            "syntax" if saw_other => {
                "BuildKit before 0.11 follows this `syntax` line, which stands behind an \
                                      unknown directive"
            }
            "syntax" if saw_check => {
                "BuildKit 0.11 to 0.13 does not see this `syntax` directive behind `check`"
            }
            "syntax" if has_shebang => "BuildKit before 0.11 does not see this `syntax` directive",
            "syntax" if has_mark => "BuildKit before 0.19 does not see this `syntax` directive",
            "escape" if saw_check && !saw_other && !has_shebang => {
                "BuildKit before 0.14 ignores this `escape` directive behind `check`"
            }
            "syntax" | "escape" => continue,
            _ => {
                saw_other = true;
                continue;
            }
        };
        notices.push(Notice { span: start + value.start..start + value.end, message: message.to_owned() });
    }
    notices
}

/// `# key = value`, with the place of the value.
fn key_and_value(line: &str) -> Option<(String, Span)> {
    let (key, value) = line.trim_start().strip_prefix('#')?.split_once('=')?;
    let key = key.trim();
    let is_key = key.starts_with(|first: char| first.is_ascii_alphabetic())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let trimmed = value.trim_start();
    let start = line.len() - trimmed.len();
    let length = trimmed.trim_end().len();
    (is_key && length > 0).then(|| (key.to_ascii_lowercase(), start..start + length))
}

/// FROM lines that other rules for ARGs expand otherwise.
fn arguments(parsed: &Parsed) -> Vec<Notice> {
    let mut notices = Vec::new();
    let inputs = BuildInputs::for_platform(Platform::new("linux", "amd64", ""));
    let scopes = [BareArg::Ignored, BareArg::Empty].map(|bare| Scope::new(parsed, &inputs, bare));
    let [Ok(mut current), Ok(mut older)] = scopes else { return notices };
    let has_default =
        |name: &str| parsed.global_args.iter().any(|arg| arg.key == name && arg.value.is_some());
    for stage in parsed.stages.iter().filter(|stage| stage.base.as_str().contains('$')) {
        let text = stage.base.as_str();
        let span = stage.base.whole_span();
        let now = current.expand(text, parsed.escape).ok().map(|(value, _)| value);
        let then = older.expand(text, parsed.escape).ok().map(|(value, _)| value);
        if now != then {
            let result = then.unwrap_or_default();
            let message = format!(
                "BuildKit before 0.17 takes an ARG without default for an empty one, and expands this to `{result}`"
            );
            notices.push(Notice { span: span.clone(), message });
        }
        let Ok(word) = Word::parse(text, parsed.escape) else { continue };
        for (name, since) in NEW_ARGUMENTS {
            if word.names().contains(&name) && !has_default(name) {
                let message = format!("BuildKit before {since} has no {name}, and expands it to nothing");
                notices.push(Notice { span: span.clone(), message });
            }
        }
    }
    notices
}

const FORMS: [(Oddity, &str); 4] = [
    (
        Oddity::HeredocBody,
        "BuildKit before 0.10 has no heredocs and reads the lines of this body as instructions",
    ),
    (
        Oddity::HeredocBlank,
        "BuildKit before 0.22 takes `<< WORD` with a blank for no heredoc, and its body for instructions",
    ),
    (
        Oddity::HeredocBehindVariable,
        "BuildKit 0.10 to 0.14 takes this `<<` beside `${…}` for a heredoc, and the lines below for its body",
    ),
    (
        Oddity::FlagEscape,
        "BuildKit before 0.21 takes a backslash for the escape character in flags, whatever the file says",
    ),
];
const NEW_ARGUMENTS: [(&str, &str); 3] =
    [("TARGETSTAGE", "0.17"), ("BUILDOSVERSION", "0.19"), ("TARGETOSVERSION", "0.19")];
