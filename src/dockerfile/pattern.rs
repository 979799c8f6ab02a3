//! The patterns of `${x#p}`, `${x%p}` and `${x/p/r}`.
//!
//! `*` is any run of characters and `?` any one, neither of them a line feed; the rest stands
//! for itself. `BuildKit` makes a regular expression of it; the table used here finds what that
//! expression finds first, in time that grows with pattern times value and no faster.

use super::word::{Budget, WordError};

/// `${x#p}`; `${x##p}` comes here as the pattern `#p`.
pub(super) fn trim_prefix(pattern: &str, value: &str) -> Result<String, WordError> {
    let (pattern, stars) = strip_doubled(pattern, '#');
    let tokens = tokens(pattern.chars(), pattern)?;
    let value: Vec<char> = value.chars().collect();
    let ends = match_ends(&tokens, &value, stars)?;
    let cut = ends.first().copied().flatten().unwrap_or(0);
    Ok(value.iter().skip(cut).collect())
}

/// `${x%p}`; `${x%%p}` comes here as the pattern `%p`.
pub(super) fn trim_suffix(pattern: &str, value: &str) -> Result<String, WordError> {
    let (pattern, stars) = strip_doubled(pattern, '%');
    let reversed = reverse_pattern(pattern);
    let tokens = tokens(reversed.into_iter(), pattern)?;
    let value: Vec<char> = value.chars().rev().collect();
    let ends = match_ends(&tokens, &value, stars)?;
    let cut = ends.first().copied().flatten().unwrap_or(0);
    Ok(value.iter().skip(cut).rev().collect())
}

/// `${x/p/r}`.
pub(super) fn replace_first(pattern: &str, replacement: &str, value: &str) -> Result<String, WordError> {
    let tokens = tokens(pattern.chars(), pattern)?;
    let value: Vec<char> = value.chars().collect();
    let ends = match_ends(&tokens, &value, Stars::Longest)?;
    let Some((start, end)) = first_match(&ends, 0) else { return Ok(value.into_iter().collect()) };
    let mut result: String = value.iter().take(start).collect();
    result.push_str(replacement);
    result.extend(value.iter().skip(end));
    Ok(result)
}

/// `${x//p/r}`.
pub(super) fn replace_all(
    pattern: &str,
    replacement: &str,
    value: &str,
    budget: &mut Budget,
) -> Result<String, WordError> {
    if replacement.contains('$') {
        return Err(WordError::Replacement(replacement.to_owned()));
    }
    let tokens = tokens(pattern.chars(), pattern)?;
    let value: Vec<char> = value.chars().collect();
    let ends = match_ends(&tokens, &value, Stars::Longest)?;
    let mut result = String::new();
    let mut copied = 0;
    let mut search = 0;
    while let Some((start, end)) = first_match(&ends, search) {
        result.extend(value.iter().take(start).skip(copied));
        // An empty match directly behind another match is no match of its own.
        if end > copied || start == 0 {
            budget.take(replacement.len())?;
            result.push_str(replacement);
        }
        copied = end;
        search = if end > search { end } else { search + 1 };
    }
    result.extend(value.iter().skip(copied));
    Ok(result)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stars {
    Shortest,
    Longest,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Literal(char),
    One,
    Any,
}

fn strip_doubled(pattern: &str, mark: char) -> (&str, Stars) {
    match pattern.strip_prefix(mark) {
        Some(rest) => (rest, Stars::Longest),
        None => (pattern, Stars::Shortest),
    }
}

fn tokens(characters: impl Iterator<Item = char>, pattern: &str) -> Result<Vec<Token>, WordError> {
    let mut tokens = Vec::new();
    let mut characters = characters.peekable();
    // Go's text scanner drops a byte-order mark at the start.
    characters.next_if_eq(&'\u{feff}');
    while let Some(character) = characters.next() {
        tokens.push(match character {
            '*' => Token::Any,
            '?' => Token::One,
            '\\' => match characters.next() {
                Some(escaped @ ('*' | '?' | '\\' | '/' | '}')) => Token::Literal(escaped),
                _ => return Err(WordError::Pattern(pattern.to_owned())),
            },
            other => Token::Literal(other),
        });
    }
    Ok(tokens)
}

/// The pattern backwards, with each escape kept before the character that it escapes.
fn reverse_pattern(pattern: &str) -> Vec<char> {
    let mut reversed = Vec::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match (character, character == '\\') {
            (escape, true) => {
                if let Some(escaped) = characters.next() {
                    reversed.push(escaped);
                }
                reversed.push(escape);
            }
            (other, false) => reversed.push(other),
        }
    }
    reversed.reverse();
    reversed
}

/// For each start, where the match that a backtracking engine would find first ends.
fn match_ends(tokens: &[Token], value: &[char], stars: Stars) -> Result<Vec<Option<usize>>, WordError> {
    if tokens.len().saturating_mul(value.len()) > WORK_LIMIT {
        return Err(WordError::TooLarge { limit: WORK_LIMIT });
    }
    let mut ends = vec![None; value.len() + 1];
    // `row[p]` is the end of the match of `tokens[p..]` at the current start, `below` at the next one.
    let mut below: Vec<Option<usize>> = vec![None; tokens.len() + 1];
    for (start, end) in ends.iter_mut().enumerate().rev() {
        let here = value.get(start).copied();
        let mut row = vec![None; tokens.len() + 1];
        let mut rest = Some(start);
        if let Some(last) = row.last_mut() {
            *last = rest;
        }
        for (index, token) in tokens.iter().enumerate().rev() {
            let consumed = |index: usize| below.get(index).copied().flatten();
            let one_more = if here.is_some_and(|next| next != '\n') { consumed(index) } else { None };
            let found = match token {
                Token::Literal(literal) if here == Some(*literal) => consumed(index + 1),
                Token::One if here.is_some_and(|next| next != '\n') => consumed(index + 1),
                Token::Literal(_) | Token::One => None,
                Token::Any if stars == Stars::Longest => one_more.or(rest),
                Token::Any => rest.or(one_more),
            };
            if let Some(cell) = row.get_mut(index) {
                *cell = found;
            }
            rest = found;
        }
        *end = rest;
        below = row;
    }
    Ok(ends)
}

fn first_match(ends: &[Option<usize>], from: usize) -> Option<(usize, usize)> {
    ends.iter().enumerate().skip(from).find_map(|(start, end)| end.map(|end| (start, end)))
}

/// Cells of the table: a reference against a pattern has some thousand.
const WORK_LIMIT: usize = 1 << 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_patterns_stay_cheap() {
        let value = "a".repeat(2_000);
        let pattern = format!("{}b", "*a".repeat(1_000));
        assert_eq!(trim_prefix(&pattern, &value).as_deref(), Ok(value.as_str()));
        let long = "a".repeat(1 << 20);
        assert_eq!(trim_prefix(&pattern, &long), Err(WordError::TooLarge { limit: WORK_LIMIT }));
    }

    #[test]
    fn replacement_is_charged() {
        let value = "a".repeat(60_000);
        let replacement = "b".repeat(60_000);
        let mut budget = Budget::new();
        assert!(matches!(
            replace_all("?", &replacement, &value, &mut budget),
            Err(WordError::TooLarge { .. })
        ));
    }
}
