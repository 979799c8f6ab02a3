//! Words with quotes, escapes and variables, as the `FROM` line and ARG defaults have them.
//!
//! A port of `BuildKit`'s shell lexer, split in two steps: a word is parsed into parts, and
//! the parts are evaluated. What `BuildKit` evaluates it always evaluates (a default word that
//! is not needed too), so that parsing alone finds every error of form.

use std::collections::{BTreeMap, BTreeSet};

use super::{Span, pattern};

/// A word, parsed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Word {
    pub(super) parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// Characters that stand for themselves; the span has their quotes and escapes too
    /// where other characters of this part stand before and behind them.
    Text { text: String, span: Span },
    /// `$name`, `${name}` and all its longer forms.
    Variable(Variable),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) name: String,
    /// From the `$` to its end.
    pub(super) span: Span,
    pub(super) form: Form,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// `$name` or `${name}`.
    Plain,
    /// `${name-word}`, `${name:-word}`.
    Default { when: Missing, word: Word },
    /// `${name+word}`, `${name:+word}`.
    Alternative { when: Missing, word: Word },
    /// `${name?word}`, `${name:?word}`.
    Required { when: Missing, word: Word },
    /// `${name#pattern}`, `${name##pattern}`.
    TrimPrefix { pattern: Word },
    /// `${name%pattern}`, `${name%%pattern}`.
    TrimSuffix { pattern: Word },
    /// `${name/pattern/word}`, `${name//pattern/word}`.
    Replace { all: bool, pattern: Word, replacement: Word },
}

/// When a variable counts as missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Unset,
    UnsetOrEmpty,
}

/// The variables that a word can see.
pub(super) type Values = BTreeMap<String, String>;

impl Word {
    /// Parses a word; `escape` is the file's escape character.
    pub(super) fn parse(text: &str, escape: char) -> Result<Self, WordError> {
        let mut parser = Parser { text, at: 0, escape, depth: 0 };
        if parser.peek() == Some('\u{feff}') {
            // Go's text scanner, on which BuildKit's lexer stands, drops it here.
            parser.next();
        }
        parser.parts(None, false)
    }

    /// What the word stands for; adds the variables that were set to `used`.
    pub(super) fn evaluate(
        &self,
        values: &Values,
        used: &mut BTreeSet<String>,
        budget: &mut Budget,
    ) -> Result<String, WordError> {
        let mut result = String::new();
        for part in &self.parts {
            match part {
                Part::Text { text, .. } => {
                    budget.take(text.len())?;
                    result.push_str(text);
                }
                Part::Variable(variable) => {
                    let value = variable.evaluate(values, used, budget)?;
                    budget.take(value.len())?;
                    result.push_str(&value);
                }
            }
        }
        Ok(result)
    }

    /// Every variable that it names, nested ones too.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        let variables = self.parts.iter().filter_map(|part| match part {
            Part::Text { .. } => None,
            Part::Variable(variable) => Some(variable),
        });
        for variable in variables {
            names.push(variable.name.as_str());
            match &variable.form {
                Form::Plain => {}
                Form::Default { word, .. } | Form::Alternative { word, .. } | Form::Required { word, .. } => {
                    names.extend(word.names());
                }
                Form::TrimPrefix { pattern } | Form::TrimSuffix { pattern } => names.extend(pattern.names()),
                Form::Replace { pattern, replacement, .. } => {
                    names.extend(pattern.names());
                    names.extend(replacement.names());
                }
            }
        }
        names
    }

    fn push(&mut self, character: char, span: Span) {
        if let Some(Part::Text { text, span: whole }) = self.parts.last_mut() {
            text.push(character);
            whole.end = span.end;
        } else {
            self.parts.push(Part::Text { text: character.to_string(), span });
        }
    }
}

impl Variable {
    fn evaluate(
        &self,
        values: &Values,
        used: &mut BTreeSet<String>,
        budget: &mut Budget,
    ) -> Result<String, WordError> {
        let value = values.get(&self.name).map(String::as_str);
        if value.is_some() {
            used.insert(self.name.clone());
        }
        let is_missing = |when: Missing| match when {
            Missing::Unset => value.is_none(),
            Missing::UnsetOrEmpty => value.is_none_or(str::is_empty),
        };
        let plain = value.unwrap_or_default();
        Ok(match &self.form {
            Form::Plain => plain.to_owned(),
            Form::Default { when, word } => {
                let word = word.evaluate(values, used, budget)?;
                if is_missing(*when) { word } else { plain.to_owned() }
            }
            Form::Alternative { when, word } => {
                let word = word.evaluate(values, used, budget)?;
                if is_missing(*when) { String::new() } else { word }
            }
            Form::Required { when, word } => {
                let message = word.evaluate(values, used, budget)?;
                if is_missing(*when) {
                    return Err(WordError::Required { name: self.name.clone(), message });
                }
                plain.to_owned()
            }
            Form::TrimPrefix { pattern } => {
                let pattern = pattern.evaluate(values, used, budget)?;
                pattern::trim_prefix(&pattern, plain)?
            }
            Form::TrimSuffix { pattern } => {
                let pattern = pattern.evaluate(values, used, budget)?;
                pattern::trim_suffix(&pattern, plain)?
            }
            Form::Replace { all, pattern, replacement } => {
                let pattern = pattern.evaluate(values, used, budget)?;
                let replacement = replacement.evaluate(values, used, budget)?;
                if *all {
                    pattern::replace_all(&pattern, &replacement, plain, budget)?
                } else {
                    pattern::replace_first(&pattern, &replacement, plain)?
                }
            }
        })
    }
}

/// How many bytes the words of one file may still grow to, all together.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn new() -> Self {
        Self(EXPANSION_LIMIT)
    }

    pub(super) fn take(&mut self, length: usize) -> Result<(), WordError> {
        self.0 = self.0.checked_sub(length).ok_or(WordError::TooLarge { limit: EXPANSION_LIMIT })?;
        Ok(())
    }
}

/// Why a word has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    /// A quote is not closed.
    #[error("a quote ({0}) is not closed")]
    Quote(char),
    /// `${` without its `}`, or `${x/` without the second `/`.
    #[error("`${{` is not closed")]
    Brace,
    /// `${}`, `${:…}`, `${{…}`.
    #[error("`${{` is not followed by a variable name")]
    Substitution,
    /// A form of `${…}` that `BuildKit` does not have.
    #[error("`{0}` is no modifier of `${{…}}`")]
    Modifier(String),
    /// `${x:?message}` and `x` is not there.
    #[error("`{name}` is required: {}", if message.is_empty() { "it has no value" } else { message })]
    Required {
        /// The variable.
        name: String,
        /// What the file's author says about it.
        message: String,
    },
    /// A pattern with a backslash before a character that has no other meaning.
    #[error("`{0}` is not a pattern: only `*`, `?`, `\\`, `/` and `}}` take a backslash")]
    Pattern(String),
    /// `${x//p/$…}`: the replacement has a `$` left, which `BuildKit` would expand once more.
    #[error("the replacement `{0}` has a `$` left after expansion")]
    Replacement(String),
    /// Letters and digits outside ASCII, in or directly behind a variable's name.
    #[error("a variable name with `{0}` is not supported")]
    NonAsciiName(char),
    /// Variables inside variables inside variables.
    #[error("`${{…}}` is nested more than {limit} deep")]
    Nesting {
        /// How deep it may be.
        limit: usize,
    },
    /// The values grow without end.
    #[error("the values of ARGs and FROM lines grow to more than {limit} bytes")]
    TooLarge {
        /// How large they may be, all together.
        limit: usize,
    },
}

/// Whether a word has nothing in it that expansion would change, whatever the escape character.
pub(super) fn is_literal(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii() && !matches!(byte, b'$' | b'"' | b'\'' | b'\\' | b'`'))
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    escape: char,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.at += character.len_utf8();
        Some(character)
    }

    /// Parses up to `stop`, which is taken, or to the end.
    fn parts(&mut self, stop: Option<char>, raw_escapes: bool) -> Result<Word, WordError> {
        let mut word = Word::default();
        while let Some(character) = self.peek() {
            let start = self.at;
            if stop == Some(character) {
                self.next();
                return Ok(word);
            }
            match character {
                '\'' => self.single_quote(&mut word)?,
                '"' => self.double_quote(&mut word, raw_escapes)?,
                '$' => self.dollar(&mut word)?,
                _ => {
                    self.next();
                    if character != self.escape {
                        word.push(character, start..self.at);
                        continue;
                    }
                    if raw_escapes {
                        word.push(character, start..self.at);
                    }
                    let Some(escaped) = self.next() else { break };
                    word.push(escaped, start..self.at);
                }
            }
        }
        if stop.is_some() { Err(WordError::Brace) } else { Ok(word) }
    }

    fn single_quote(&mut self, word: &mut Word) -> Result<(), WordError> {
        self.next();
        loop {
            let start = self.at;
            match self.next() {
                None => return Err(WordError::Quote('\'')),
                Some('\'') => return Ok(()),
                Some(character) => word.push(character, start..self.at),
            }
        }
    }

    fn double_quote(&mut self, word: &mut Word, raw_escapes: bool) -> Result<(), WordError> {
        self.next();
        loop {
            let start = self.at;
            match self.peek() {
                None => return Err(WordError::Quote('"')),
                Some('"') => {
                    self.next();
                    return Ok(());
                }
                Some('$') => self.dollar(word)?,
                Some(mut character) => {
                    self.next();
                    if character == self.escape {
                        if raw_escapes {
                            word.push(character, start..self.at);
                        }
                        match self.peek() {
                            None => continue,
                            Some(escaped) if escaped == '"' || escaped == '$' || escaped == self.escape => {
                                self.next();
                                character = escaped;
                            }
                            Some(_) => {}
                        }
                    }
                    word.push(character, start..self.at);
                }
            }
        }
    }

    fn dollar(&mut self, word: &mut Word) -> Result<(), WordError> {
        let start = self.at;
        self.next();
        if self.peek() != Some('{') {
            let name = self.name()?;
            if name.is_empty() {
                word.push('$', start..self.at);
            } else {
                let span = start..self.at;
                word.parts.push(Part::Variable(Variable { name, span, form: Form::Plain }));
            }
            return Ok(());
        }
        self.next();
        match self.peek() {
            None => return Err(WordError::Brace),
            Some('{' | '}' | ':') => return Err(WordError::Substitution),
            Some(_) => {}
        }
        let name = self.name()?;
        if self.depth >= NESTING_LIMIT {
            return Err(WordError::Nesting { limit: NESTING_LIMIT });
        }
        self.depth += 1;
        let form = self.form()?;
        self.depth -= 1;
        word.parts.push(Part::Variable(Variable { name, span: start..self.at, form }));
        Ok(())
    }

    /// What stands between a name and its closing brace, which is taken.
    fn form(&mut self) -> Result<Form, WordError> {
        let Some(first) = self.next() else { return Err(WordError::Brace) };
        let (when, modifier) = match first {
            ':' => (Missing::UnsetOrEmpty, self.next().ok_or(WordError::Brace)?),
            other => (Missing::Unset, other),
        };
        let has_colon = when == Missing::UnsetOrEmpty;
        match modifier {
            '}' if !has_colon => Ok(Form::Plain),
            '-' => Ok(Form::Default { when, word: self.parts(Some('}'), false)? }),
            '+' => Ok(Form::Alternative { when, word: self.parts(Some('}'), false)? }),
            '?' => Ok(Form::Required { when, word: self.parts(Some('}'), false)? }),
            '#' if !has_colon => Ok(Form::TrimPrefix { pattern: self.parts(Some('}'), true)? }),
            '%' if !has_colon => Ok(Form::TrimSuffix { pattern: self.parts(Some('}'), true)? }),
            '/' if !has_colon => {
                let all = self.peek() == Some('/');
                if all {
                    self.next();
                }
                let pattern = self.parts(Some('/'), true)?;
                let replacement = self.parts(Some('}'), true)?;
                Ok(Form::Replace { all, pattern, replacement })
            }
            other if has_colon => Err(WordError::Modifier(format!(":{other}"))),
            other => Err(WordError::Modifier(other.to_string())),
        }
    }

    fn name(&mut self) -> Result<String, WordError> {
        let start = self.at;
        match self.peek() {
            Some(digit) if digit.is_ascii_digit() => {
                while self.peek().is_some_and(|next| next.is_ascii_digit()) {
                    self.next();
                }
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => {
                self.next();
            }
            _ => {
                while self.peek().is_some_and(|next| next.is_ascii_alphanumeric() || next == '_') {
                    self.next();
                }
            }
        }
        // Whether such a character belongs to the name is a matter of Unicode tables.
        match self.peek() {
            Some(next) if !next.is_ascii() && next.is_alphanumeric() => Err(WordError::NonAsciiName(next)),
            _ => Ok(self.text.get(start..self.at).unwrap_or_default().to_owned()),
        }
    }
}

/// All the values that one file's words grow to, together: as much as the largest file that is
/// read could hold, and far more than any list of references needs.
pub(super) const EXPANSION_LIMIT: usize = 16 << 20;
/// People write two levels; each level costs stack.
pub(super) const NESTING_LIMIT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str, escape: char) -> Result<String, WordError> {
        let values: Values = [("X", "value"), ("E", ""), ("P", "a/b/c.tar.gz"), ("_1", "under")]
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Word::parse(text, escape)?.evaluate(&values, &mut BTreeSet::new(), &mut Budget::new())
    }

    #[test]
    fn every_form() {
        let table = include_str!("../../testdata/dockerfile/words.txt");
        let mut count = 0;
        for line in table.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
            let fields: Vec<&str> = line.split('\t').collect();
            let [escape, word, expected] = fields.as_slice() else { panic!("three fields: {line}") };
            let escape = escape.chars().next().expect("an escape character");
            let found = match expand(word, escape) {
                Ok(value) => format!("={value}"),
                Err(error) => format!("!{error}"),
            };
            assert_eq!(&found, expected, "the word {word}, escape {escape}");
            count += 1;
        }
        assert!(count > 80, "the table is read whole: {count}");
    }

    #[test]
    fn depth_has_a_limit() {
        let deep = |levels: usize| format!("{}x{}", "${A:-".repeat(levels), "}".repeat(levels));
        assert_eq!(expand(&deep(NESTING_LIMIT), '\\').as_deref(), Ok("x"));
        assert_eq!(expand(&deep(100_000), '\\'), Err(WordError::Nesting { limit: NESTING_LIMIT }));
    }

    #[test]
    fn spans_hold_the_raw_text() {
        let word = Word::parse("a\"b\\\"c\"${X:-\"y\"}z", '\\').expect("a word");
        let spans: Vec<(Span, String)> = word
            .parts
            .iter()
            .map(|part| match part {
                Part::Text { text, span } => (span.clone(), text.clone()),
                Part::Variable(variable) => (variable.span.clone(), variable.name.clone()),
            })
            .collect();
        assert_eq!(spans, [(0..6, "ab\"c".to_owned()), (7..16, "X".to_owned()), (16..17, "z".to_owned())]);
    }
}
