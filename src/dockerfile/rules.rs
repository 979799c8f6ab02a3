//! What holds for every Dockerfile, whatever is in it; for property tests and fuzzing.

use std::collections::BTreeMap;

use crate::image::{Digest, Platform, Reference};

use super::{
    BuildInputs, Dockerfile, Edit, ImageUse, UseKind, UseTarget, literal_edits, pin_edits, rewrite,
    second_opinion,
};

/// Checks, for any bytes: reading them does not panic, every use has a place, literal and pinning
/// edits change what they should and nothing else, build arguments keep their effect, and a
/// second run of pinning changes nothing. Fails with a sentence.
pub fn keeps_its_rules(source: &[u8]) -> Result<(), String> {
    let Ok(file) = Dockerfile::parse(source) else { return Ok(()) };
    let _ = file.version_warnings();
    let Ok(uses) = file.image_uses(&inputs(&[])) else { return Ok(()) };
    let _ = second_opinion(source, &uses, &inputs(&[]));
    let text = std::str::from_utf8(source).map_err(|_| "a file that is read is text")?;
    if let Some(lost) = uses.iter().find(|one| text.get(one.span.clone()).is_none_or(str::is_empty)) {
        return Err(format!("{lost:?} has no place"));
    }
    let images: Vec<(usize, &Reference)> = uses
        .iter()
        .enumerate()
        .filter(|(_, one)| one.target == UseTarget::Image)
        .filter_map(|(index, one)| Some((index, one.reference.as_ref().ok()?)))
        .collect();
    literal(&file, &uses, &images)?;
    pinned(&file, &uses, &images)
}

fn literal(file: &Dockerfile, uses: &[ImageUse], images: &[(usize, &Reference)]) -> Result<(), String> {
    let digest = Digest::of(b"literal");
    let wanted: BTreeMap<usize, Reference> =
        images.iter().map(|(index, reference)| (*index, reference.with_digest(digest.clone()))).collect();
    let list: Vec<(usize, Reference)> = wanted.clone().into_iter().collect();
    let edits = literal_edits(file, uses, &list).map_err(|error| error.to_string())?;
    let again = uses_after(file, &edits, "literal edits")?.1;
    if again.len() != uses.len() {
        return Err("literal edits change the number of uses".to_owned());
    }
    for (index, (before, after)) in uses.iter().zip(&again).enumerate() {
        let is_right = match wanted.get(&index) {
            Some(reference) => after.reference.as_ref() == Ok(reference),
            None => after.written == before.written,
        };
        if !is_right || before.target != after.target {
            return Err(format!("{before:?} became {after:?} by a literal edit"));
        }
    }
    Ok(())
}

fn pinned(file: &Dockerfile, uses: &[ImageUse], images: &[(usize, &Reference)]) -> Result<(), String> {
    let digest = Digest::of(b"pinned");
    let pins: Vec<(usize, Digest)> = images.iter().map(|(index, _)| (*index, digest.clone())).collect();
    let plan = pin_edits(file, &inputs(&[]), &pins).map_err(|error| format!("a plan: {error}"))?;
    let (edited, again) = uses_after(file, &plan.edits, "pins")?;
    for (index, _) in images {
        let is_refused = plan.unpinnable.iter().any(|one| one.use_index == *index);
        let found = again.get(*index).and_then(|one| one.reference.as_ref().ok()).and_then(Reference::digest);
        if !is_refused && found != Some(&digest) {
            return Err(format!("use {index} is neither pinned nor refused: {again:?}"));
        }
    }
    let mut names: Vec<&str> = file.parsed.global_args.iter().map(|arg| arg.key.as_str()).collect();
    names.dedup();
    names.truncate(ARGUMENTS_TRIED);
    let alone = names.iter().map(|name| vec![(*name, "0other")]);
    let all = [
        names.iter().map(|name| (*name, "0other")).collect(),
        names.iter().map(|name| (*name, "")).collect(),
    ];
    for given in alone.chain(all) {
        keeps_arguments(file, &edited, uses, &inputs(&given))?;
    }
    let second =
        pin_edits(&edited, &inputs(&[]), &pins).map_err(|error| format!("a second plan: {error}"))?;
    if second.edits.is_empty() { Ok(()) } else { Err(format!("a second run changes {:?}", second.edits)) }
}

/// What a build argument changed before, it changes to the same name now.
fn keeps_arguments(
    before: &Dockerfile,
    after: &Dockerfile,
    defaults: &[ImageUse],
    given: &BuildInputs,
) -> Result<(), String> {
    let Ok(old) = before.image_uses(given) else { return Ok(()) };
    let new =
        after.image_uses(given).map_err(|error| format!("pinned, with {:?}: {error}", given.build_args))?;
    for ((old, new), default) in old.iter().zip(&new).zip(defaults) {
        let is_changed = old.written != default.written && old.reference.is_ok() && old.kind == UseKind::From;
        if is_changed && old.written != new.written {
            return Err(format!("with {:?}, {old:?} became {new:?}", given.build_args));
        }
    }
    Ok(())
}

fn uses_after(file: &Dockerfile, edits: &[Edit], what: &str) -> Result<(Dockerfile, Vec<ImageUse>), String> {
    let edited = rewrite(file.source(), edits).map_err(|error| error.to_string())?;
    outside_is_kept(file.source(), &edited, edits)?;
    let file = Dockerfile::parse(&edited).map_err(|error| format!("after {what}: {error}"))?;
    let uses = file.image_uses(&inputs(&[])).map_err(|error| format!("after {what}: {error}"))?;
    Ok((file, uses))
}

fn outside_is_kept(before: &[u8], after: &[u8], edits: &[Edit]) -> Result<(), String> {
    let mut rest = after;
    let mut copied = 0;
    let mut sorted: Vec<&Edit> = edits.iter().collect();
    sorted.sort_by_key(|edit| edit.span.start);
    for edit in sorted {
        let kept = before.get(copied..edit.span.start).ok_or("edits overlap")?;
        rest = rest.strip_prefix(kept).ok_or("bytes before an edit changed")?;
        rest = rest.strip_prefix(edit.text.as_bytes()).ok_or("an edit is not there")?;
        copied = edit.span.end;
    }
    if Some(rest) == before.get(copied..) { Ok(()) } else { Err("bytes behind the edits changed".to_owned()) }
}

fn inputs(given: &[(&str, &str)]) -> BuildInputs {
    let mut inputs = BuildInputs::for_platform(Platform::new("linux", "amd64", ""));
    inputs.build_args = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    inputs
}

/// Enough for any short file.
const ARGUMENTS_TRIED: usize = 12;
