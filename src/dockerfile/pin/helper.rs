//! Words that no literal ends: a helper ARG tells whether a build argument was given.
//!
//! `ARG V=20` / `FROM node:${V}-slim` becomes
//!
//! ```dockerfile
//! ARG V
//! ARG V_PINNED=${V:+${V}-slim}
//! FROM node:${V_PINNED:-20-slim@sha256:…}
//! ```
//!
//! The default moves to where it is used, so that every `BuildKit` can tell "given" from "not
//! given": `:+` and `:-` are all it takes, and those are as old as variables in FROM.

use std::collections::{BTreeMap, BTreeSet};

use super::super::source::Text;
use super::super::word::{Form, Missing, Part, Word};
use super::super::{Dockerfile, Edit};
use super::tail::Defaults;
use super::{Reason, Site, VariableUse, is_simple};

/// Plans helpers for uses that share variables.
pub(super) struct Helpers<'a> {
    file: &'a Dockerfile,
    defaults: &'a Defaults<'a>,
    /// ARGs whose default moves, and that default, written without quotes.
    dropped: BTreeMap<String, String>,
    names: BTreeSet<String>,
    /// Helpers that are written already, by their place and value: equal words share one.
    written: BTreeMap<(usize, String), String>,
}

/// The edits of a group, and the ARGs that hold a whole reference.
pub(super) struct HelperPlan {
    pub(super) edits: Vec<Edit>,
    pub(super) whole: BTreeSet<String>,
}

impl<'a> Helpers<'a> {
    pub(super) fn new(file: &'a Dockerfile, defaults: &'a Defaults<'a>) -> Self {
        Self { file, defaults, dropped: BTreeMap::new(), names: BTreeSet::new(), written: BTreeMap::new() }
    }

    /// The edits that pin these uses; or which of them cannot be, and why.
    pub(super) fn plan(mut self, group: &[VariableUse]) -> Result<HelperPlan, (usize, Reason)> {
        let mut whole = BTreeSet::new();
        let mut targets: BTreeMap<Site, &VariableUse> = BTreeMap::new();
        for (at, one) in group.iter().enumerate() {
            let (site, keys) = self.defaults.whole_site(one.stage);
            whole.extend(keys);
            if targets.insert(site, one).is_some_and(|other| other.pinned != one.pinned) {
                return Err((at, Reason::Conflict));
            }
            self.drop_defaults(site).map_err(|reason| (at, reason))?;
        }
        let mut edits = self.dropped_words();
        self.occurrences(&targets, &mut edits).map_err(|reason| (0, reason))?;
        let mut lines: BTreeMap<usize, String> = BTreeMap::new();
        for (at, (site, one)) in targets.iter().enumerate() {
            edits.push(self.target(*site, one, &mut lines).map_err(|reason| (at, reason))?);
        }
        edits.extend(lines.into_iter().map(|(at, text)| Edit { span: at..at, text }));
        Ok(HelperPlan { edits, whole })
    }

    /// Finds the ARGs whose defaults must move for this word.
    fn drop_defaults(&mut self, site: Site) -> Result<(), Reason> {
        let parsed = self.defaults.parsed;
        for name in self.defaults.closure(site) {
            let definitions = self.defaults.definitions(&name);
            let arg = match definitions {
                [] if self.defaults.is_platform(&name) => return Err(Reason::Platform(name)),
                [] => continue,
                [arg] => *arg,
                _ => return Err(Reason::SeveralDefaults(name)),
            };
            match self.defaults.value(arg) {
                None => return Err(Reason::Form(name)),
                Some("") => continue,
                Some(_) => {}
            }
            if parsed.stages.iter().any(|stage| stage.bare_args.contains(&name)) {
                return Err(Reason::InStage(name));
            }
            let in_flag = |word: &String| {
                Word::parse(word, parsed.escape).is_ok_and(|word| word.names().contains(&name.as_str()))
            };
            if parsed.stages.iter().filter_map(|stage| stage.platform.as_ref()).any(in_flag) {
                return Err(Reason::PlatformFlag(name));
            }
            self.dropped.insert(name, String::new());
        }
        // Defaults refer to ARGs above them, so that those are written first.
        let names: Vec<String> = self.dropped.keys().cloned().collect();
        let mut ordered: Vec<(usize, String)> = names
            .into_iter()
            .filter_map(|name| Some((*self.defaults.definitions(&name).first()?, name)))
            .collect();
        ordered.sort();
        for (arg, name) in ordered {
            let word = self.defaults.word(Site::Default(arg)).ok_or(Reason::Form(name.clone()))?;
            let text = self.render(&word.parts, Some(arg))?;
            self.dropped.insert(name, text);
        }
        Ok(())
    }

    /// The edits that take the defaults away.
    fn dropped_words(&self) -> Vec<Edit> {
        let args = &self.defaults.parsed.global_args;
        let words = self.dropped.keys().flat_map(|name| self.defaults.definitions(name));
        words
            .filter_map(|&arg| {
                let arg = args.get(arg)?;
                let span = arg.word.span(arg.key.len()..arg.word.as_str().len());
                Some(Edit { span, text: String::new() })
            })
            .collect()
    }

    /// The other words that name an ARG whose default moved: they carry it themselves now.
    fn occurrences(
        &self,
        targets: &BTreeMap<Site, &VariableUse>,
        edits: &mut Vec<Edit>,
    ) -> Result<(), Reason> {
        let parsed = self.defaults.parsed;
        let kept = (0..parsed.global_args.len()).filter(|&arg| {
            parsed.global_args.get(arg).is_some_and(|arg| !self.dropped.contains_key(&arg.key))
        });
        let sites = kept.map(Site::Default).chain((0..parsed.stages.len()).map(Site::Base));
        for site in sites.filter(|site| !targets.contains_key(site)) {
            let Some(text) = site.text(parsed).filter(|text| text.as_str().contains('$')) else { continue };
            let Some(word) = self.defaults.word(site) else { continue };
            self.occurrences_in(&word, text, site.visible(parsed), edits)?;
        }
        Ok(())
    }

    fn occurrences_in(
        &self,
        word: &Word,
        text: &Text,
        visible: usize,
        edits: &mut Vec<Edit>,
    ) -> Result<(), Reason> {
        for part in &word.parts {
            let Part::Variable(variable) = part else { continue };
            let is_visible = self.defaults.definition(&variable.name, visible).is_some();
            if let Some(default) = self.dropped.get(&variable.name).filter(|_| is_visible) {
                let name = &variable.name;
                if !matches!(variable.form, Form::Plain | Form::Default { when: Missing::UnsetOrEmpty, .. }) {
                    return Err(Reason::Form(name.clone()));
                }
                let span = text.span(variable.span.clone());
                edits.push(Edit { span, text: format!("${{{name}:-{default}}}") });
                continue;
            }
            match &variable.form {
                Form::Plain => {}
                Form::Default { word, .. } | Form::Alternative { word, .. } | Form::Required { word, .. } => {
                    self.occurrences_in(word, text, visible, edits)?;
                }
                Form::TrimPrefix { pattern } | Form::TrimSuffix { pattern } => {
                    self.occurrences_in(pattern, text, visible, edits)?;
                }
                Form::Replace { pattern, replacement, .. } => {
                    self.occurrences_in(pattern, text, visible, edits)?;
                    self.occurrences_in(replacement, text, visible, edits)?;
                }
            }
        }
        Ok(())
    }

    /// The edit of the word itself; its helper goes to `lines`.
    fn target(
        &mut self,
        site: Site,
        one: &VariableUse,
        lines: &mut BTreeMap<usize, String>,
    ) -> Result<Edit, Reason> {
        let unfit = || Reason::Quoting(one.written.clone());
        let text = site.text(self.defaults.parsed).ok_or_else(unfit)?;
        if let Site::Default(arg) = site {
            let key = self.defaults.parsed.global_args.get(arg).map(|arg| &arg.key);
            if key.is_some_and(|key| self.dropped.contains_key(key)) {
                return Err(Reason::Conflict);
            }
        }
        let word = self.defaults.word(site).ok_or_else(unfit)?;
        if !is_simple(&one.pinned) {
            return Err(unfit());
        }
        let prefix = match word.parts.as_slice() {
            [Part::Text { text, .. }, _, ..] if is_simple(text) && one.pinned.starts_with(text) => text,
            _ => "",
        };
        let skipped = usize::from(!prefix.is_empty());
        let parts = word.parts.get(skipped..).unwrap_or_default();
        let default = one.pinned.get(prefix.len()..).ok_or_else(unfit)?;
        let closure = self.defaults.closure(site);
        let given: Vec<&String> = closure.iter().filter(|name| self.defaults.is_declared(name)).collect();
        let replacement = match (given.as_slice(), parts) {
            ([], _) => default.to_owned(),
            ([_], [Part::Variable(variable)]) if variable.form == Form::Plain => {
                format!("${{{}:-{default}}}", variable.name)
            }
            _ => {
                let helper = self.helper(site, &word, parts, &given, lines)?;
                format!("${{{helper}:-{default}}}")
            }
        };
        let is_bare = !text.as_str().contains(['"', '\'', '\\', '`']);
        let first = parts.first().map_or(0, |part| match part {
            Part::Text { span, .. } => span.start,
            Part::Variable(variable) => variable.span.start,
        });
        Ok(if is_bare {
            Edit { span: text.span(first..text.as_str().len()), text: replacement }
        } else {
            Edit { span: text.whole_span(), text: format!("{prefix}{replacement}") }
        })
    }

    /// Writes the helper's lines, and says its name.
    fn helper(
        &mut self,
        site: Site,
        word: &Word,
        parts: &[Part],
        given: &[&String],
        lines: &mut BTreeMap<usize, String>,
    ) -> Result<String, Reason> {
        let (at, end) = self.place(site, given)?;
        let stem = word
            .names()
            .into_iter()
            .find(|name| self.defaults.is_declared(name))
            .map_or_else(|| "IMAGE".to_owned(), str::to_owned);
        let rest = match given {
            [_] => render(parts, &|_| None)?,
            _ => self.render(parts, None)?,
        };
        let key = (at, format!("{given:?} {rest}"));
        if let Some(name) = self.written.get(&key) {
            return Ok(name.clone());
        }
        let name = self.unused(&format!("{stem}_PINNED"));
        self.written.insert(key, name.clone());
        let text = if let [only] = given {
            format!("ARG {name}=${{{only}:+{rest}}}{end}")
        } else {
            let flag = self.unused(&format!("{stem}_GIVEN"));
            let flags: Vec<String> = given.iter().map(|name| format!("${{{name}:+1}}")).collect();
            format!("ARG {flag}={}{end}ARG {name}=${{{flag}:+{rest}}}{end}", flags.concat())
        };
        lines.entry(at).or_default().push_str(&text);
        Ok(name)
    }

    /// Behind the last ARG that the word depends on; with the line end that stands there.
    fn place(&self, site: Site, given: &[&String]) -> Result<(usize, &'static str), Reason> {
        let args = &self.defaults.parsed.global_args;
        let visible = site.visible(self.defaults.parsed);
        let last = args.iter().take(visible).rfind(|arg| given.contains(&&arg.key));
        let last = last.ok_or(Reason::Conflict)?;
        if let Site::Default(target) = site
            && args.get(target).is_some_and(|target| target.instruction == last.instruction)
        {
            return Err(Reason::Order(last.key.clone()));
        }
        let source = &self.file.source;
        let rest = source.get(last.instruction.end..).unwrap_or_default();
        let feed = rest.find('\n').ok_or(Reason::Conflict)?;
        let end = if rest.get(..feed).is_some_and(|line| line.ends_with('\r')) { "\r\n" } else { "\n" };
        Ok((last.instruction.end + feed + 1, end))
    }

    fn unused(&mut self, wanted: &str) -> String {
        let names = std::iter::once(wanted.to_owned()).chain((2..).map(|count| format!("{wanted}_{count}")));
        let is_free = |name: &String| !self.file.source.contains(name.as_str()) && !self.names.contains(name);
        let mut names = names.filter(is_free);
        let name = names.next().unwrap_or_else(|| wanted.to_owned());
        self.names.insert(name.clone());
        name
    }

    /// A word without quotes, in which dropped defaults stand where they are used.
    fn render(&self, parts: &[Part], below: Option<usize>) -> Result<String, Reason> {
        let is_above = |name: &str| below.is_none_or(|below| self.defaults.definition(name, below).is_some());
        render(parts, &|name| self.dropped.get(name).filter(|_| is_above(name)).cloned())
    }
}

fn render(parts: &[Part], default: &dyn Fn(&str) -> Option<String>) -> Result<String, Reason> {
    let mut result = String::new();
    for part in parts {
        match part {
            Part::Text { text, .. } if is_simple(text) => result.push_str(text),
            Part::Text { text, .. } => return Err(Reason::Quoting(text.clone())),
            Part::Variable(variable) => {
                let name = &variable.name;
                let text = match (&variable.form, default(name)) {
                    (Form::Plain | Form::Default { when: Missing::UnsetOrEmpty, .. }, Some(default)) => {
                        format!("${{{name}:-{default}}}")
                    }
                    (Form::Plain, None) => format!("${{{name}}}"),
                    (Form::Default { when, word }, None) => {
                        let colon = if *when == Missing::UnsetOrEmpty { ":" } else { "" };
                        format!("${{{name}{colon}-{}}}", render(&word.parts, default)?)
                    }
                    (Form::Alternative { when, word }, None) => {
                        let colon = if *when == Missing::UnsetOrEmpty { ":" } else { "" };
                        format!("${{{name}{colon}+{}}}", render(&word.parts, default)?)
                    }
                    _ => return Err(Reason::Form(name.clone())),
                };
                result.push_str(&text);
            }
        }
        if result.len() > RENDER_LIMIT {
            return Err(Reason::Conflict);
        }
    }
    Ok(result)
}

/// Defaults inside defaults can double at every level; a reference has some hundred characters.
const RENDER_LIMIT: usize = 4096;
