//! Where the expansion of a word ends: the literal whose end is the end of the reference.

use std::collections::{BTreeMap, BTreeSet};

use super::super::instruction::Parsed;
use super::super::scope::{BareArg, Scope, settle_epoch};
use super::super::source::Text;
use super::super::word::{Budget, Form, Missing, Part, Values, Word};
use super::super::{BuildInputs, Edit, Span};
use super::Site;

/// The ARGs of a file and what they hold when no build argument is given.
#[derive(Debug)]
pub(super) struct Defaults<'a> {
    pub(super) parsed: &'a Parsed,
    /// What FROM lines see.
    values: Values,
    /// The value of each ARG that has a default, by its place in the file.
    each: Vec<Option<String>>,
    /// Places of ARGs with a default, by name.
    definitions: BTreeMap<&'a str, Vec<usize>>,
    declared: BTreeSet<&'a str>,
    platform: BTreeSet<String>,
}

/// The end of a word's expansion.
#[derive(Debug)]
pub(super) struct Tail<'a> {
    text: &'a Text,
    /// The literal's bytes in `text`.
    range: Span,
    content: String,
    /// The ARGs on the way, if the literal is the whole of each of their values.
    pub(super) keys: Vec<String>,
    /// The literal is the whole reference.
    pub(super) is_whole: bool,
}

impl<'a> Defaults<'a> {
    pub(super) fn new(parsed: &'a Parsed, inputs: &BuildInputs) -> Self {
        let mut definitions: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, arg) in parsed.global_args.iter().enumerate() {
            if arg.value.is_some() {
                definitions.entry(&arg.key).or_default().push(index);
            }
        }
        let bare = Parsed { global_args: Vec::new(), ..parsed.clone() };
        let platform_values =
            Scope::new(&bare, inputs, BareArg::Ignored).map(|scope| scope.values).unwrap_or_default();
        let mut values = platform_values.clone();
        let mut budget = Budget::new();
        let mut each = Vec::with_capacity(parsed.global_args.len());
        for arg in &parsed.global_args {
            let value = arg.value.as_ref().and_then(|text| {
                let word = Word::parse(text.as_str(), parsed.escape).ok()?;
                word.evaluate(&values, &mut BTreeSet::new(), &mut budget).ok()
            });
            if let Some(value) = &value {
                values.insert(arg.key.clone(), value.clone());
            }
            each.push(value);
        }
        settle_epoch(&mut values, inputs);
        Self {
            parsed,
            values,
            each,
            definitions,
            declared: parsed.global_args.iter().map(|arg| arg.key.as_str()).collect(),
            platform: platform_values.into_keys().collect(),
        }
    }

    /// What a word of a FROM stands for.
    pub(super) fn expand(&self, word: &Word) -> Option<String> {
        word.evaluate(&self.values, &mut BTreeSet::new(), &mut Budget::new()).ok()
    }

    /// The ARG whose default a variable holds, seen from behind the first `visible` ARGs.
    pub(super) fn definition(&self, name: &str, visible: usize) -> Option<usize> {
        let places = self.definitions.get(name)?;
        places.get(places.partition_point(|&place| place < visible).checked_sub(1)?).copied()
    }

    pub(super) fn definitions(&self, name: &str) -> &[usize] {
        self.definitions.get(name).map_or(&[], Vec::as_slice)
    }

    /// What an ARG's default expands to.
    pub(super) fn value(&self, arg: usize) -> Option<&str> {
        self.each.get(arg)?.as_deref()
    }

    pub(super) fn is_declared(&self, name: &str) -> bool {
        self.declared.contains(name)
    }

    pub(super) fn is_platform(&self, name: &str) -> bool {
        self.platform.contains(name)
    }

    pub(super) fn word(&self, site: Site) -> Option<Word> {
        Word::parse(site.text(self.parsed)?.as_str(), self.parsed.escape).ok()
    }

    /// Every variable that the image of a stage depends on, ARG defaults followed.
    pub(super) fn closure_of_stage(&self, stage: usize) -> BTreeSet<String> {
        self.closure(Site::Base(stage))
    }

    pub(super) fn closure(&self, site: Site) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut open = vec![site];
        while let Some(site) = open.pop() {
            if !seen.insert(site) {
                continue;
            }
            let Some(word) = self.word(site) else { continue };
            for name in word.names() {
                found.insert(name.to_owned());
                open.extend(self.definition(name, site.visible(self.parsed)).map(Site::Default));
            }
        }
        found
    }

    /// Follows a stage's word to its last literal.
    pub(super) fn tail(&self, stage: usize) -> Option<Tail<'a>> {
        let mut site = Site::Base(stage);
        let mut word = self.word(site)?;
        let mut keys = Vec::new();
        let mut is_whole = true;
        loop {
            is_whole &= word.parts.len() == 1;
            let variable = match word.parts.pop()? {
                Part::Text { text: content, span: range } => {
                    return Some(Tail { text: site.text(self.parsed)?, range, content, keys, is_whole });
                }
                Part::Variable(variable) => variable,
            };
            let definition = self.definition(&variable.name, site.visible(self.parsed));
            let value = match definition {
                Some(arg) => self.value(arg),
                None => self
                    .values
                    .get(&variable.name)
                    .map(String::as_str)
                    .filter(|_| self.is_platform(&variable.name)),
            };
            match variable.form {
                Form::Default { when, word: nested }
                    if value.is_none() || (when == Missing::UnsetOrEmpty && value == Some("")) =>
                {
                    word = nested;
                }
                Form::Plain | Form::Default { .. } => {
                    site = Site::Default(definition?);
                    word = self.word(site)?;
                    keys.push(variable.name);
                }
                _ => return None,
            }
        }
    }

    /// The site whose value is a stage's image, if variables alone lead there; else the FROM.
    pub(super) fn whole_site(&self, stage: usize) -> (Site, BTreeSet<String>) {
        let mut site = Site::Base(stage);
        let mut keys = BTreeSet::new();
        while let Some(word) = self.word(site) {
            let [Part::Variable(variable)] = word.parts.as_slice() else { break };
            let Some(arg) = self.definition(&variable.name, site.visible(self.parsed)) else { break };
            if variable.form != Form::Plain {
                break;
            }
            keys.insert(variable.name.clone());
            site = Site::Default(arg);
        }
        (site, keys)
    }
}

impl Tail<'_> {
    /// The edit that turns what is written into what shall be, if the literal reaches that far.
    pub(super) fn edit(&self, written: &str, pinned: &str) -> Option<Edit> {
        let end = self.text.span(0..self.range.end).end;
        if let Some(added) = pinned.strip_prefix(written) {
            return Some(Edit { span: end..end, text: added.to_owned() });
        }
        let (_, old) = written.split_once('@')?;
        let (_, new) = pinned.split_once('@')?;
        let is_plain = self.text.as_str().get(self.range.clone()) == Some(self.content.as_str());
        let before = self.content.strip_suffix(old).filter(|_| is_plain)?;
        let span = self.text.span(self.range.start + before.len()..self.range.end);
        Some(Edit { span, text: new.to_owned() })
    }
}
