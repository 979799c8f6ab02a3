//! Which heredocs a line opens.
//!
//! A port of the other half of `BuildKit`'s shell lexer: splitting a whole line into words
//! where no variable has a value. It always escapes with a backslash, whatever the file's
//! escape character is, and it finds heredocs behind a `#` too.

use super::word::{NESTING_LIMIT, WordError};

/// One `<<WORD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heredoc {
    /// The line that ends it.
    pub(super) name: String,
    /// `<<-`: tabs before the end line do not count.
    pub(super) strips_tabs: bool,
    /// `<< WORD`, with a blank.
    pub(super) has_blank: bool,
}

/// The heredocs of a joined line, in order.
pub(super) fn heredocs(line: &str) -> Result<Vec<Heredoc>, WordError> {
    candidates(line, Buffers::Shared)?.iter().filter_map(|word| heredoc(word).transpose()).collect()
}

/// Whether `BuildKit` before it shared one word buffer between nesting levels saw other heredocs.
pub(super) fn reads_differently_unshared(line: &str) -> bool {
    let found = |buffers| -> Result<Vec<Heredoc>, WordError> {
        candidates(line, buffers)?.iter().filter_map(|word| heredoc(word).transpose()).collect()
    };
    line.contains("${") && found(Buffers::Shared) != found(Buffers::PerLevel)
}

/// The word as one heredoc, if it is one: `^(\d*)<<(-?)\s*([^<]*)$`.
pub(super) fn heredoc(word: &str) -> Result<Option<Heredoc>, WordError> {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit());
    let Some(rest) = rest.strip_prefix("<<") else { return Ok(None) };
    let (strips_tabs, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let name = rest.trim_start_matches(['\t', '\n', '\x0c', '\r', ' ']);
    if name.is_empty() || name.contains('<') {
        return Ok(None);
    }
    let split = |quotes| Splitter::new(name, quotes, Escapes::Dropped, Buffers::Shared, |_| true).words();
    let mut words = split(Quotes::Dropped)?;
    if words.len() != 1 || split(Quotes::Kept)?.len() != 1 {
        return Ok(None);
    }
    let has_blank = name.len() < rest.len();
    Ok(words.pop().map(|name| Heredoc { name, strips_tabs, has_blank }))
}

fn candidates(line: &str, buffers: Buffers) -> Result<Vec<String>, WordError> {
    let splitter = Splitter::new(line, Quotes::Kept, Escapes::Kept, buffers, |word| word.contains("<<"));
    match splitter.words() {
        // BuildKit takes a line that its lexer cannot split for one without heredocs.
        Err(WordError::Nesting { limit }) => Err(WordError::Nesting { limit }),
        Err(WordError::NonAsciiName(character)) => Err(WordError::NonAsciiName(character)),
        Err(_) => Ok(Vec::new()),
        Ok(words) => Ok(words),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Dropped,
    Kept,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    Dropped,
    Kept,
}

/// Current `BuildKit` keeps the word that it is building in one buffer for all nesting levels:
/// the text before `${x:-…}` is lost for word splitting.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Buffers {
    Shared,
    PerLevel,
}

struct Splitter<'a> {
    text: &'a str,
    at: usize,
    quotes: Quotes,
    escapes: Escapes,
    buffers: Buffers,
    keep: fn(&str) -> bool,
    buffer: String,
    depth: usize,
}

/// What one nesting level has found.
#[derive(Default)]
struct Level {
    result: String,
    words: Vec<String>,
    in_word: bool,
}

impl<'a> Splitter<'a> {
    fn new(
        text: &'a str,
        quotes: Quotes,
        escapes: Escapes,
        buffers: Buffers,
        keep: fn(&str) -> bool,
    ) -> Self {
        let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Self { text, at, quotes, escapes, buffers, keep, buffer: String::new(), depth: 0 }
    }

    fn words(mut self) -> Result<Vec<String>, WordError> {
        Ok(self.level(None)?.words)
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.at += character.len_utf8();
        Some(character)
    }

    fn level(&mut self, stop: Option<char>) -> Result<Level, WordError> {
        let outer = std::mem::take(&mut self.buffer);
        let mut level = Level::default();
        loop {
            let Some(character) = self.peek() else {
                if stop.is_some() {
                    return Err(WordError::Brace);
                }
                break;
            };
            if stop == Some(character) {
                self.next();
                break;
            }
            match character {
                '\'' => {
                    let text = self.single_quote()?;
                    self.add_raw(&mut level, &text);
                }
                '"' => {
                    let text = self.double_quote()?;
                    self.add_raw(&mut level, &text);
                }
                '<' => {
                    let text = self.possible_heredoc();
                    self.add_raw(&mut level, &text);
                }
                '$' => {
                    let text = self.dollar()?;
                    for character in text.chars() {
                        self.add(&mut level, character);
                    }
                    level.result.push_str(&text);
                }
                '\\' => {
                    self.next();
                    let mut text = String::new();
                    if self.escapes == Escapes::Kept {
                        text.push('\\');
                    }
                    text.extend(self.next());
                    if !text.is_empty() {
                        self.add_raw(&mut level, &text);
                    }
                }
                _ => {
                    self.next();
                    self.add(&mut level, character);
                    level.result.push(character);
                }
            }
        }
        if !self.buffer.is_empty() {
            self.flush(&mut level);
        }
        if self.buffers == Buffers::PerLevel {
            self.buffer = outer;
        }
        Ok(level)
    }

    fn flush(&mut self, level: &mut Level) {
        if (self.keep)(&self.buffer) {
            level.words.push(std::mem::take(&mut self.buffer));
        } else {
            self.buffer.clear();
        }
        level.in_word = false;
    }

    fn add(&mut self, level: &mut Level, character: char) {
        if !character.is_whitespace() {
            self.buffer.push(character);
            level.in_word = true;
        } else if level.in_word && !self.buffer.is_empty() {
            self.flush(level);
        }
    }

    fn add_raw(&mut self, level: &mut Level, text: &str) {
        self.buffer.push_str(text);
        level.in_word = true;
        if self.depth > 0 {
            level.result.push_str(text);
        }
    }

    fn single_quote(&mut self) -> Result<String, WordError> {
        self.next();
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest.find('\'').ok_or(WordError::Quote('\''))?;
        let inside = rest.get(..length).unwrap_or_default();
        self.at += length + 1;
        Ok(if self.quotes == Quotes::Kept { format!("'{inside}'") } else { inside.to_owned() })
    }

    fn double_quote(&mut self) -> Result<String, WordError> {
        self.next();
        let mut text = String::new();
        let keeps = self.quotes == Quotes::Kept;
        if keeps {
            text.push('"');
        }
        loop {
            match self.peek() {
                None => return Err(WordError::Quote('"')),
                Some('"') => {
                    self.next();
                    if keeps {
                        text.push('"');
                    }
                    return Ok(text);
                }
                Some('$') => text.push_str(&self.dollar()?),
                Some('\\') => {
                    self.next();
                    if self.escapes == Escapes::Kept {
                        text.push('\\');
                    }
                    match self.peek() {
                        None => {}
                        Some(escaped @ ('"' | '$' | '\\')) => {
                            self.next();
                            text.push(escaped);
                        }
                        Some(_) => text.push('\\'),
                    }
                }
                Some(other) => {
                    self.next();
                    text.push(other);
                }
            }
        }
    }

    /// `<` or `<<` with the blanks behind it, which belong to the word.
    fn possible_heredoc(&mut self) -> String {
        self.next();
        let mut text = String::from("<");
        if self.peek() == Some('<') {
            self.next();
            text.push('<');
            while let Some(blank @ ('\t' | '\r' | ' ')) = self.peek() {
                self.next();
                text.push(blank);
            }
        }
        text
    }

    /// A variable as it stands, since none has a value; only its extent and form matter.
    fn dollar(&mut self) -> Result<String, WordError> {
        self.next();
        if self.peek() != Some('{') {
            let name = self.name();
            return Ok(format!("${name}"));
        }
        self.next();
        if matches!(self.peek(), None | Some('{' | '}' | ':')) {
            return Err(WordError::Substitution);
        }
        let name = self.name();
        // Whether such a character belongs to the name is a matter of Unicode tables.
        if let Some(next) = self.peek().filter(|next| !next.is_ascii() && next.is_alphanumeric()) {
            return Err(WordError::NonAsciiName(next));
        }
        if self.depth >= NESTING_LIMIT {
            return Err(WordError::Nesting { limit: NESTING_LIMIT });
        }
        self.depth += 1;
        let text = self.form(&name)?;
        self.depth -= 1;
        Ok(text)
    }

    fn form(&mut self, name: &str) -> Result<String, WordError> {
        let first = self.next().ok_or(WordError::Brace)?;
        match first {
            '}' => Ok(format!("${{{name}}}")),
            ':' => {
                let modifier = self.next().ok_or(WordError::Brace)?;
                if matches!(modifier, '#' | '%') {
                    return Err(WordError::Modifier(format!(":{modifier}")));
                }
                let word = self.nested('}', Escapes::Dropped)?;
                Ok(format!("${{{name}:{modifier}{word}}}"))
            }
            '+' | '-' | '?' => {
                let word = self.nested('}', Escapes::Dropped)?;
                Ok(format!("${{{name}{first}{word}}}"))
            }
            '#' | '%' => {
                let word = self.nested('}', Escapes::Kept)?;
                Ok(format!("${{{name}{first}{word}}}"))
            }
            '/' => {
                if self.peek() == Some('/') {
                    self.next();
                }
                let pattern = self.nested('/', Escapes::Kept)?;
                let replacement = self.nested('}', Escapes::Kept)?;
                Ok(format!("${{{name}/{pattern}/{replacement}}}"))
            }
            other => Err(WordError::Modifier(other.to_string())),
        }
    }

    fn nested(&mut self, stop: char, escapes: Escapes) -> Result<String, WordError> {
        let outer = std::mem::replace(&mut self.escapes, escapes);
        let level = self.level(Some(stop))?;
        self.escapes = outer;
        Ok(level.result)
    }

    fn name(&mut self) -> String {
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
        self.text.get(start..self.at).unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_heredocs_a_line_opens() {
        let table = include_str!("../../testdata/dockerfile/heredocs.txt");
        let mut count = 0;
        for line in table.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
            let (line, expected) = line.split_once(" => ").expect("a line and its heredocs");
            let found = match heredocs(line) {
                Err(error) => format!("!{error}"),
                Ok(found) => {
                    let names = found.iter().map(|heredoc| {
                        let mark = if heredoc.strips_tabs { "-" } else { "" };
                        format!("{mark}{}", heredoc.name)
                    });
                    names.collect::<Vec<_>>().join("|")
                }
            };
            assert_eq!(found, expected.trim(), "the line {line}");
            count += 1;
        }
        assert!(count > 30, "the table is read whole: {count}");
    }

    #[test]
    fn shared_buffer_is_noticed() {
        assert!(reads_differently_unshared("RUN a <<${X:-E}"));
        assert!(!reads_differently_unshared("RUN echo ${X:-E} <<EOF"));
    }
}
