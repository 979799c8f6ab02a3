//! Instructions: which stages there are, what each names, and which ARGs stand before them.
//!
//! Checks as much of an instruction's form as `BuildKit` checks before it builds; what the
//! other words of an instruction mean is no concern of this room.

use std::collections::BTreeSet;

use super::flags::{self, Flag, Split};
use super::heredoc::{Heredoc, heredocs, reads_differently_unshared};
use super::keyword::{Keyword, check_arguments, check_flags};
use super::lines::Lines;
use super::onbuild::trigger_names;
use super::source::Text;
use super::word::{Budget, Values, Word, is_literal};
use super::words::{arguments, words};
use super::{DockerfileError, DockerfileErrorKind, Span, Stage, UseKind};

/// Everything that reading a file finds.
#[derive(Debug, Clone)]
pub(super) struct Parsed {
    pub(super) escape: char,
    /// ARGs before the first FROM.
    pub(super) global_args: Vec<GlobalArg>,
    pub(super) stages: Vec<StageBody>,
    /// Heredoc bodies, with the lines that end them.
    pub(super) heredocs: Vec<Span>,
    /// Instructions of several lines, in a file whose escape character is a backtick.
    pub(super) backtick_lines: Vec<Span>,
    /// Instructions whose reading depends on the version, by form.
    pub(super) oddities: Vec<(Oddity, Span)>,
}

/// Forms that older `BuildKit`s read otherwise; `versions.rs` explains them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Oddity {
    /// A heredoc body with a line that names an image.
    HeredocBody,
    /// `<< WORD`.
    HeredocBlank,
    /// `<<` behind `${x:-…}` in one word.
    HeredocBehindVariable,
    /// A flag with an escape character, in a file whose escape character is a backtick.
    FlagEscape,
}

/// One `NAME` or `NAME=default` of an ARG before the first FROM.
#[derive(Debug, Clone)]
pub(super) struct GlobalArg {
    pub(super) key: String,
    pub(super) value: Option<Text>,
    /// The whole word.
    pub(super) word: Text,
    /// The whole instruction.
    pub(super) instruction: Span,
}

/// A FROM and what follows it.
#[derive(Debug, Clone)]
pub(super) struct StageBody {
    pub(super) stage: Stage,
    pub(super) base: Text,
    pub(super) platform: Option<String>,
    pub(super) names: Vec<NameSite>,
    /// What its ONBUILD triggers name.
    pub(super) triggers: Vec<NameSite>,
    /// ARGs inside the stage that take the value of the ARG before the first FROM.
    pub(super) bare_args: Vec<String>,
}

/// A place that names an image or a stage without variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NameSite {
    pub(super) kind: UseKind,
    pub(super) written: String,
    pub(super) span: Span,
    /// What must follow a replacement, see [`flags::Value::closing`].
    pub(super) closing: String,
}

/// Reads a whole file.
pub(super) fn read(source: &str) -> Result<Parsed, DockerfileError> {
    let mut lines = Lines::new(source);
    let mut reader = Reader {
        parsed: Parsed {
            escape: lines.escape(),
            global_args: Vec::new(),
            stages: Vec::new(),
            heredocs: Vec::new(),
            backtick_lines: Vec::new(),
            oddities: Vec::new(),
        },
        names: 0,
    };
    let mut is_first = true;
    while lines.advance()? {
        is_first = false;
        reader.parsed.escape = lines.escape();
        reader.instruction(source, &mut lines)?;
    }
    let kind = match (is_first, reader.parsed.stages.is_empty()) {
        (true, _) => DockerfileErrorKind::NoInstructions,
        (false, true) => DockerfileErrorKind::NoStages,
        (false, false) => return Ok(reader.parsed),
    };
    Err(DockerfileError { span: None, kind })
}

/// What one instruction line is, and what it names.
pub(super) struct Command {
    pub(super) keyword: Keyword,
    pub(super) split: Split,
    pub(super) names: Vec<NameSite>,
    /// Heredocs may follow the line.
    takes_heredocs: bool,
}

/// Reads an instruction line; the places in the result are those of the source.
pub(super) fn command(line: &Text, escape: char, is_trigger: bool) -> Result<Command, DockerfileErrorKind> {
    let split = flags::split(line, escape)?;
    let text = line.as_str();
    let word = text.get(split.keyword.clone()).unwrap_or_default();
    let Some(keyword) = Keyword::named(word) else {
        return Err(DockerfileErrorKind::UnknownInstruction { name: shorten(word) });
    };
    let arguments = text.get(split.arguments.clone()).unwrap_or_default();
    let is_json = check_arguments(keyword, arguments, escape)?;
    let ignores_flags = keyword == Keyword::Healthcheck && arguments.eq_ignore_ascii_case("none");
    if !ignores_flags {
        check_flags(keyword, &split.flags)?;
    }
    let names = match keyword {
        Keyword::Copy => copy_names(line, &split.flags, escape, is_trigger)?,
        Keyword::Run => mount_names(line, &split.flags, is_trigger)?,
        _ => Vec::new(),
    };
    let takes_heredocs = matches!(keyword, Keyword::Add | Keyword::Copy | Keyword::Run) && !is_json;
    Ok(Command { keyword, split, names, takes_heredocs })
}

impl Command {
    /// The heredocs that follow its line.
    pub(super) fn heredocs(&self, line: &str) -> Result<Vec<Heredoc>, DockerfileErrorKind> {
        if self.takes_heredocs && line.contains("<<") { Ok(heredocs(line)?) } else { Ok(Vec::new()) }
    }
}

struct Reader {
    parsed: Parsed,
    names: usize,
}

impl Reader {
    fn instruction(&mut self, source: &str, lines: &mut Lines<'_>) -> Result<(), DockerfileError> {
        let span = lines.span();
        let at = |kind| DockerfileError { span: Some(span.clone()), kind };
        let line = lines.line();
        let escape = lines.escape();
        let mut command = command(line, escape, false).map_err(&at)?;
        if escape == '`' && !line.is_whole() && command.keyword != Keyword::From {
            self.parsed.backtick_lines.push(span.clone());
        }
        if escape != '\\' && command.split.flags.iter().any(|flag| flag.has_escape) {
            self.parsed.oddities.push((Oddity::FlagEscape, span.clone()));
        }
        let arguments = command.split.arguments.clone();
        let is_onbuild = command.keyword == Keyword::Onbuild;
        if is_onbuild {
            let keyword_end = command.split.keyword.end;
            command = trigger(&line.slice(arguments.clone()), escape).map_err(&at)?;
            command.split.keyword.end = keyword_end;
        }
        self.count(command.names.len()).map_err(&at)?;
        let found = command.heredocs(line.as_str()).map_err(&at)?;
        if command.takes_heredocs && line.as_str().contains("<<") && reads_differently_unshared(line.as_str())
        {
            self.parsed.oddities.push((Oddity::HeredocBehindVariable, span.clone()));
        }
        if is_onbuild {
            let text = line.as_str().get(arguments.start..).unwrap_or_default().to_owned();
            self.stage("ONBUILD").map_err(&at)?.triggers.extend(command.names.iter().cloned());
            let bodies = self.heredoc_bodies(source, lines, &found)?;
            return check_trigger(text, &command.names, &found, &bodies).map_err(at);
        }
        match command.keyword {
            Keyword::From => self.from(line, &command.split, &span).map_err(&at)?,
            Keyword::Arg => self.arg(&line.slice(arguments), escape, &span).map_err(&at)?,
            keyword => self.stage(keyword.name()).map_err(&at)?.names.append(&mut command.names),
        }
        self.heredoc_bodies(source, lines, &found)?;
        Ok(())
    }

    fn from(&mut self, line: &Text, split: &Split, span: &Span) -> Result<(), DockerfileErrorKind> {
        self.count(1)?;
        let words: Vec<Span> = arguments(line.as_str(), split.arguments.clone()).collect();
        let text = |range: &Span| line.as_str().get(range.clone()).unwrap_or_default();
        let (base, name) = match words.as_slice() {
            [base] => (base, None),
            [base, keyword, name] if text(keyword).eq_ignore_ascii_case("as") => {
                (base, Some(stage_name(text(name))?))
            }
            _ => return Err(DockerfileErrorKind::FromArguments),
        };
        let platform = split.flags.iter().find(|flag| flag.name() == "platform");
        self.parsed.stages.push(StageBody {
            stage: Stage { index: self.parsed.stages.len(), name, span: span.clone() },
            base: line.slice(base.clone()),
            platform: platform.and_then(Flag::value).filter(|value| !value.is_empty()).map(str::to_owned),
            names: Vec::new(),
            triggers: Vec::new(),
            bare_args: Vec::new(),
        });
        Ok(())
    }

    fn arg(&mut self, line: &Text, escape: char, span: &Span) -> Result<(), DockerfileErrorKind> {
        for range in words(line.as_str(), escape) {
            self.count(1)?;
            let word = line.slice(range);
            let (key, value) = match word.as_str().split_once('=') {
                Some((key, _)) => (key, Some(word.slice(key.len() + 1..word.as_str().len()))),
                None => (word.as_str(), None),
            };
            let key = key.to_owned();
            match self.parsed.stages.last_mut() {
                Some(stage) if value.is_none() => stage.bare_args.push(key),
                Some(_) => {}
                None => {
                    self.parsed.global_args.push(GlobalArg { key, value, word, instruction: span.clone() });
                }
            }
        }
        Ok(())
    }

    fn stage(&mut self, instruction: &'static str) -> Result<&mut StageBody, DockerfileErrorKind> {
        self.parsed.stages.last_mut().ok_or(DockerfileErrorKind::BeforeFrom { instruction })
    }

    fn count(&mut self, more: usize) -> Result<(), DockerfileErrorKind> {
        self.names += more;
        if self.names > NAME_LIMIT {
            return Err(DockerfileErrorKind::TooManyNames { limit: NAME_LIMIT });
        }
        Ok(())
    }

    /// Reads the bodies of an instruction's heredocs; says what stands in each.
    fn heredoc_bodies(
        &mut self,
        source: &str,
        lines: &mut Lines<'_>,
        found: &[Heredoc],
    ) -> Result<Vec<String>, DockerfileError> {
        let mut bodies = Vec::new();
        for heredoc in found {
            let body = lines.heredoc_body(heredoc)?;
            let text = source.get(body.clone()).unwrap_or_default();
            let end_line = text.trim_end_matches(['\r', '\n']).rfind('\n').map_or(0, |at| at + 1);
            let text = text.get(..end_line).unwrap_or_default();
            if heredoc.has_blank {
                self.parsed.oddities.push((Oddity::HeredocBlank, lines.span()));
            }
            if text.lines().any(looks_like_a_name) {
                self.parsed.oddities.push((Oddity::HeredocBody, body.clone()));
            }
            self.parsed.heredocs.push(body);
            bodies.push(text.to_owned());
        }
        Ok(bodies)
    }
}

fn trigger(line: &Text, escape: char) -> Result<Command, DockerfileErrorKind> {
    let command = command(line, escape, true)?;
    match command.keyword {
        Keyword::Onbuild | Keyword::Maintainer | Keyword::From => {
            Err(DockerfileErrorKind::Trigger { instruction: command.keyword.name() })
        }
        _ => Ok(command),
    }
}

/// A build that fires the trigger reads its text anew, with the default escape character;
/// both readings must agree.
fn check_trigger(
    mut text: String,
    names: &[NameSite],
    found: &[Heredoc],
    bodies: &[String],
) -> Result<(), DockerfileErrorKind> {
    for (heredoc, body) in found.iter().zip(bodies) {
        text.push('\n');
        text.push_str(body);
        text.push_str(&heredoc.name);
    }
    let again = trigger_names(&text).map_err(|error| error.kind)?;
    let agree = again.len() == names.len()
        && again.iter().zip(names).all(|(a, b)| (a.kind, &a.written) == (b.kind, &b.written));
    if agree { Ok(()) } else { Err(DockerfileErrorKind::TriggerReadTwice) }
}

fn copy_names(
    line: &Text,
    flags: &[Flag],
    escape: char,
    is_trigger: bool,
) -> Result<Vec<NameSite>, DockerfileErrorKind> {
    let Some(flag) = flags.iter().find(|flag| flag.name() == "from") else { return Ok(Vec::new()) };
    let value = flag.whole_value()?;
    if value.text.is_empty() {
        return Ok(Vec::new());
    }
    if !is_literal(&value.text) {
        let word = Word::parse(&value.text, escape)?;
        if word.evaluate(&Values::new(), &mut BTreeSet::new(), &mut Budget::new())? != value.text {
            return Err(DockerfileErrorKind::NoVariables { instruction: "COPY --from" });
        }
    }
    let kind = if is_trigger { UseKind::OnbuildCopyFrom } else { UseKind::CopyFrom };
    Ok(vec![site(kind, line, value)])
}

/// A mount without `from` counts as one from `scratch`, where a stage can have that name.
fn mount_names(line: &Text, flags: &[Flag], is_trigger: bool) -> Result<Vec<NameSite>, DockerfileErrorKind> {
    let kind = if is_trigger { UseKind::OnbuildMountFrom } else { UseKind::MountFrom };
    let mut names = Vec::new();
    for flag in flags.iter().filter(|flag| flag.name() == "mount") {
        let value = match flag.field("from")? {
            Some(value) if !value.text.is_empty() => value,
            _ => flags::Value { text: String::new(), raw: 0..0, closing: String::new() },
        };
        if value.text.find('$').is_some_and(|at| at + 1 != value.text.len()) {
            return Err(DockerfileErrorKind::NoVariables { instruction: "RUN --mount" });
        }
        names.push(site(kind, line, value));
    }
    Ok(names)
}

fn site(kind: UseKind, line: &Text, value: flags::Value) -> NameSite {
    NameSite { kind, written: value.text, span: line.span(value.raw), closing: value.closing }
}

fn stage_name(word: &str) -> Result<String, DockerfileErrorKind> {
    let name = word.to_ascii_lowercase();
    let is_name = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if is_name { Ok(name) } else { Err(DockerfileErrorKind::StageName { name: shorten(word) }) }
}

/// Whether a reader without heredocs could take this line of a body for one that names an image.
fn looks_like_a_name(line: &str) -> bool {
    let line = line.trim_start();
    let first = line.split(|c: char| c.is_whitespace()).next().unwrap_or_default();
    first.eq_ignore_ascii_case("from") || line.contains("from=")
}

/// A word of the file, short enough for a message.
pub(super) fn shorten(word: &str) -> String {
    if word.chars().count() <= QUOTED_LIMIT {
        return word.to_owned();
    }
    word.chars().take(QUOTED_LIMIT).chain(['…']).collect()
}

/// Stages, ARGs and names of images, all together. The largest generated files have some
/// thousand; each costs a few hundred bytes for as long as the file is held.
pub(super) const NAME_LIMIT: usize = 100_000;
/// Messages quote words of the file up to this length.
const QUOTED_LIMIT: usize = 60;
