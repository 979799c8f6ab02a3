//! Edits: replacing some words of a Dockerfile, and nothing else.

use std::collections::BTreeMap;

use crate::image::Reference;

use super::{Dockerfile, DockerfileError, DockerfileErrorKind, ImageUse, Span};

/// One replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced; empty for an insertion.
    pub span: Span,
    /// What stands there afterwards.
    pub text: String,
}

/// Applies edits that do not overlap, in any order; every byte outside them stays.
pub fn rewrite(source: &[u8], edits: &[Edit]) -> Result<Vec<u8>, DockerfileError> {
    let mut sorted: Vec<&Edit> = edits.iter().collect();
    sorted.sort_by_key(|edit| (edit.span.start, edit.span.end));
    let added: usize = sorted.iter().map(|edit| edit.text.len()).sum();
    let mut result = Vec::with_capacity(source.len().saturating_add(added));
    let mut copied = 0;
    let mut last_start = None;
    for edit in sorted {
        let problem = || DockerfileError::at(&edit.span, DockerfileErrorKind::Edits);
        let is_sound = edit.span.start <= edit.span.end && last_start != Some(edit.span.start);
        let kept = source.get(copied..edit.span.start).filter(|_| is_sound).ok_or_else(problem)?;
        source.get(edit.span.clone()).ok_or_else(problem)?;
        result.extend_from_slice(kept);
        result.extend_from_slice(edit.text.as_bytes());
        copied = edit.span.end;
        last_start = Some(edit.span.start);
    }
    result.extend_from_slice(source.get(copied..).unwrap_or_default());
    Ok(result)
}

/// The edits that replace the words of these uses (by index) by literal references,
/// safe under the quotes, escapes and continuations that stand there.
///
/// References are written with their registry, so that no stage can have their name.
pub fn literal_edits(
    file: &Dockerfile,
    uses: &[ImageUse],
    pinned: &[(usize, Reference)],
) -> Result<Vec<Edit>, DockerfileError> {
    let words = closings(file);
    let mut edits = Vec::with_capacity(pinned.len());
    for (index, reference) in pinned {
        let problem = DockerfileErrorKind::NoSuchUse { index: *index };
        let unknown = DockerfileError { span: None, kind: problem };
        let one = uses.get(*index).ok_or_else(|| unknown.clone())?;
        let closing = words.get(&(one.span.start, one.span.end)).ok_or(unknown)?;
        edits.push(Edit { span: one.span.clone(), text: format!("{reference}{closing}") });
    }
    edits.sort_by_key(|edit| edit.span.start);
    Ok(edits)
}

/// For every word that names an image: the quotes that must follow what replaces it.
pub(super) fn closings(file: &Dockerfile) -> BTreeMap<(usize, usize), &str> {
    let stages = &file.parsed.stages;
    let bases = stages.iter().map(|stage| (stage.base.whole_span(), ""));
    let names = stages
        .iter()
        .flat_map(|stage| stage.names.iter().chain(&stage.triggers))
        .map(|name| (name.span.clone(), name.closing.as_str()));
    bases.chain(names).map(|(span, closing)| ((span.start, span.end), closing)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(span: Span, text: &str) -> Edit {
        Edit { span, text: text.to_owned() }
    }

    #[test]
    fn edits_change_only_their_spans() {
        let edits = [edit(6..6, "-"), edit(1..3, "XYZ"), edit(3..3, "_"), edit(7..7, "!")];
        assert_eq!(rewrite(b"abcdefg", &edits).as_deref(), Ok(&b"aXYZ_def-g!"[..]));
        assert_eq!(rewrite(b"abc", &[]).as_deref(), Ok(&b"abc"[..]));
    }

    #[test]
    fn unsound_edits_are_refused() {
        for edits in [
            vec![edit(1..3, "x"), edit(2..4, "y")],
            vec![edit(1..1, "x"), edit(1..1, "y")],
            vec![edit(3..8, "x")],
            vec![edit(9..9, "x")],
            vec![Edit { span: Span { start: 3, end: 2 }, text: String::new() }],
        ] {
            let kind = rewrite(b"abcdefg", &edits).map_err(|error| error.kind);
            assert_eq!(kind, Err(DockerfileErrorKind::Edits), "{edits:?}");
        }
    }
}
