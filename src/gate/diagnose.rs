//! Refusals and warnings as text for people, with the line and a caret.
//!
//! Everything that strangers wrote is shown harmlessly: control characters of a Dockerfile
//! here, those of names and messages where refusals and warnings are made.

use std::collections::BTreeMap;

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin as Place, Renderer, Snippet};

use super::decision::{Report, Warning};
use super::excerpt::excerpt;
use super::refusal::Refusal;
use super::request::Origin;
use crate::text::{visible, visible_lines, visible_prefix};

/// The files that requests point into, by the names that their origins use.
#[derive(Clone, Debug, Default)]
pub struct Sources<'a>(BTreeMap<String, &'a [u8]>);

impl<'a> Sources<'a> {
    /// No files: messages then name places without showing them.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// One file.
    #[must_use]
    pub fn one(file: &str, source: &'a [u8]) -> Self {
        Self::none().and(file, source)
    }

    /// The same files and one more.
    #[must_use]
    pub fn and(mut self, file: &str, source: &'a [u8]) -> Self {
        self.0.insert(file.to_owned(), source);
        self
    }

    pub(super) fn find(&self, file: &str) -> Option<&'a [u8]> {
        self.0.get(file).copied()
    }
}

/// How text is rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without colours: files, logs, `BuildKit`.
    Plain,
    /// With ANSI colours. Whoever prints it decides whether the terminal takes them.
    Colored,
}

/// Everything that a report says: warnings, then refusals, each followed by an empty line.
#[must_use]
pub fn report(report: &Report, sources: &Sources<'_>, style: Style) -> String {
    let mut text = String::new();
    for item in &report.warnings {
        let origin = item.request.and_then(|index| report.decided.get(index)).map(|it| &it.request.origin);
        push(&mut text, &warning(item, origin, sources, style));
    }
    for item in &report.general {
        push(&mut text, &refusal(item, None, sources, style));
    }
    for decided in &report.decided {
        if let Some(item) = decided.refusal() {
            push(&mut text, &refusal(item, Some(&decided.request.origin), sources, style));
        }
    }
    text
}

/// One refusal, with its place.
#[must_use]
pub fn refusal(refusal: &Refusal, origin: Option<&Origin>, sources: &Sources<'_>, style: Style) -> String {
    explained(Level::ERROR, refusal, origin, sources, style)
}

/// The same as a warning, for a caller to whom the reason is no obstacle.
#[must_use]
pub fn caution(refusal: &Refusal, origin: Option<&Origin>, sources: &Sources<'_>, style: Style) -> String {
    explained(Level::WARNING, refusal, origin, sources, style)
}

/// One warning, with its place.
#[must_use]
pub fn warning(warning: &Warning, origin: Option<&Origin>, sources: &Sources<'_>, style: Style) -> String {
    let title = visible(&warning.message);
    let group = Group::with_title(Level::WARNING.primary_title(title.as_str()));
    let mut group = place(group, origin, "", sources, AnnotationKind::Primary);
    for note in &warning.notes {
        group = group.element(Level::NOTE.no_name().message(visible_lines(note)));
    }
    render(group, style)
}

fn explained(
    level: Level<'_>,
    refusal: &Refusal,
    origin: Option<&Origin>,
    sources: &Sources<'_>,
    style: Style,
) -> String {
    let title = visible(&refusal.title);
    let group = level.primary_title(title.as_str());
    let mut group = place(Group::with_title(group), origin, &refusal.label, sources, AnnotationKind::Primary);
    for note in &refusal.notes {
        group = group.element(Level::NOTE.no_name().message(visible(note)));
    }
    for help in &refusal.help {
        group = group.element(Level::HELP.message(visible(help)));
    }
    group = group.element(Level::NOTE.no_name().message(format!("code: {}", refusal.code)));
    render(group, style)
}

fn place<'a>(
    group: Group<'a>,
    origin: Option<&Origin>,
    label: &str,
    sources: &Sources<'_>,
    kind: AnnotationKind,
) -> Group<'a> {
    let label = visible(label);
    let (path, detail) = match origin {
        Some(Origin::Dockerfile { file, span }) => {
            if let Some(source) = sources.find(file) {
                let shown = excerpt(source, span);
                let annotation = kind.span(shown.span).label((!label.is_empty()).then_some(label));
                let place = Place::path(visible(file)).line(shown.line).char_column(shown.column);
                let snippet = Snippet::source(shown.text).line_start(shown.line).fold(false);
                return group.element(place).element(snippet.annotation(annotation));
            }
            (visible(file), None)
        }
        Some(Origin::Option { name, value }) => {
            (format!("option {}={}", visible(name), visible_prefix(value, VALUE_LIMIT)), None)
        }
        Some(Origin::BaseConfig { base, trigger }) => {
            let trigger = visible_prefix(trigger, VALUE_LIMIT);
            (base.familiar(), Some(format!("trigger: ONBUILD {trigger}")))
        }
        Some(Origin::CommandLine) | None => (String::new(), None),
    };
    let mut group = group;
    if !path.is_empty() {
        group = group.element(Place::path(path));
    }
    for note in detail.into_iter().chain((!label.is_empty()).then_some(label)) {
        group = group.element(Element::from(Level::NOTE.no_name().message(note)));
    }
    group
}

fn render(group: Group<'_>, style: Style) -> String {
    let renderer = match style {
        Style::Plain => Renderer::plain(),
        Style::Colored => Renderer::styled(),
    };
    let text = renderer.render(&[group]);
    // the place has a line of its own, because its column is the file's and not the excerpt's;
    // the renderer takes the excerpt for another file then and puts `:::` between them
    let lines: Vec<&str> = text.lines().filter(|line| !is_separator(line)).collect();
    lines.join("\n")
}

fn is_separator(line: &str) -> bool {
    anstream::adapter::strip_str(line).to_string().trim() == ":::"
}

fn push(text: &mut String, item: &str) {
    text.push_str(item);
    text.push_str("\n\n");
}

/// An option or a trigger can be as long as its author likes; this much tells which one it is.
const VALUE_LIMIT: usize = 200;
