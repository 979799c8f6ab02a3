//! Reads `testdata/dockerfile`: one folder a case, with a Dockerfile and what must be found in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::*;
use crate::image::Digest;

/// `expect.json` of a case.
#[derive(Debug, Default, Deserialize, PartialEq, Eq, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
struct Expect {
    /// What the case is about.
    #[serde(skip_serializing)]
    about: String,
    #[serde(skip_serializing)]
    build_args: BTreeMap<String, String>,
    #[serde(skip_serializing)]
    target: Option<String>,
    #[serde(skip_serializing)]
    platform: Option<String>,
    #[serde(skip_serializing)]
    named_contexts: Vec<String>,
    #[serde(skip_serializing)]
    base_triggers: BTreeMap<usize, Vec<String>>,
    /// `line:column message`, instead of all that follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    syntax: Option<String>,
    /// Names of the stages, `-` for none.
    stages: Vec<String>,
    uses: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unpinnable: Vec<String>,
    /// Where the second reader sees another base image.
    #[serde(skip_serializing_if = "Option::is_none")]
    second_reader: Option<String>,
}

#[test]
fn every_case() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/dockerfile");
    let mut cases: Vec<PathBuf> = fs::read_dir(&root)
        .expect("testdata/dockerfile")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort();
    let mut wrong = Vec::new();
    for case in &cases {
        let name = case.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if let Err(problem) = run(case) {
            wrong.push(format!("{name}: {problem}"));
        }
    }
    assert!(cases.len() >= 120, "only {} cases", cases.len());
    assert!(wrong.is_empty(), "{} cases fail:\n{}", wrong.len(), wrong.join("\n"));
}

fn run(case: &Path) -> Result<(), String> {
    let source = fs::read(case.join("Dockerfile")).map_err(|error| error.to_string())?;
    let text = fs::read_to_string(case.join("expect.json")).map_err(|error| error.to_string())?;
    let expect: Expect = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let mut inputs = BuildInputs::for_platform(
        expect.platform.as_deref().unwrap_or("linux/amd64").parse().map_err(|_| "the platform")?,
    );
    inputs.build_platform = Platform::new("linux", "amd64", "");
    inputs.build_args.clone_from(&expect.build_args);
    inputs.target.clone_from(&expect.target);
    inputs.named_contexts = expect.named_contexts.iter().cloned().collect();
    inputs.base_triggers.clone_from(&expect.base_triggers);
    let (found, pinned) = read(&source, &inputs)?;
    let show = |expect: &Expect| serde_json::to_string_pretty(expect).unwrap_or_default();
    if show(&found) != show(&expect) {
        return Err(format!("found {}\nexpected {}", show(&found), show(&expect)));
    }
    let file = case.join("Dockerfile.pinned");
    if file.exists() {
        let expected = fs::read_to_string(&file).map_err(|error| error.to_string())?;
        let pinned = String::from_utf8_lossy(&pinned).into_owned();
        let filled = fill(&expected);
        if pinned != filled {
            return Err(format!("pinned to\n{pinned}\nexpected\n{filled}"));
        }
    }
    Ok(())
}

/// Everything that a reading finds, and the pinned file.
fn read(source: &[u8], inputs: &BuildInputs) -> Result<(Expect, Vec<u8>), String> {
    let mut found = Expect::default();
    let fail = |error: &DockerfileError| {
        let place = error.span.as_ref().map_or("-".to_owned(), |span| place(source, span));
        Expect { error: Some(format!("{place} {error}")), ..Expect::default() }
    };
    let file = match Dockerfile::parse(source) {
        Ok(file) => file,
        Err(error) => return Ok((fail(&error), Vec::new())),
    };
    let uses = match file.image_uses(inputs) {
        Ok(uses) => uses,
        Err(error) => return Ok((fail(&error), Vec::new())),
    };
    found.syntax = file.syntax().map(|syntax| {
        format!("{} {} {}", place(source, &syntax.span), syntax.image, syntax.arguments).trim_end().to_owned()
    });
    let name = |stage: &Stage| stage.name.clone().unwrap_or_else(|| "-".to_owned());
    found.stages = file.stages().iter().map(name).collect();
    found.uses = uses.iter().map(|one| describe(source, one)).collect();
    found.warnings = file
        .version_warnings()
        .iter()
        .map(|notice| format!("{} {}", place(source, &notice.span), notice.message))
        .collect();
    found.second_reader = second_opinion(source, &uses, inputs)
        .err()
        .map(|other| format!("{} {}", place(source, &other.span), other.image));
    check_literal_edits(&file, &uses, inputs)?;
    let plan = pin_edits(&file, inputs, &digests(&uses)).expect("a plan");
    let pinned = rewrite(source, &plan.edits).expect("sound edits");
    found.unpinnable =
        plan.unpinnable.iter().map(|one| format!("{} {}", place(source, &one.span), one.reason)).collect();
    check_pinned(&pinned, inputs, &plan)?;
    Ok((found, pinned))
}

fn place(source: &[u8], span: &Span) -> String {
    let (line, column) = line_and_column(source, span.start);
    format!("{line}:{column}")
}

fn describe(source: &[u8], one: &ImageUse) -> String {
    let target = match &one.target {
        UseTarget::Image => match &one.reference {
            Ok(reference) => reference.to_string(),
            Err(error) => format!("! {error}"),
        },
        UseTarget::Stage(index) => format!("stage {index}"),
        UseTarget::Scratch => "empty".to_owned(),
        UseTarget::NamedContext(name) => format!("context {name}"),
    };
    let raw = String::from_utf8_lossy(&source[one.span.clone()]).into_owned();
    let as_written = if raw == one.written { String::new() } else { format!(" from {raw:?}") };
    let platform = one.platform.as_ref().map(|platform| format!(" for {platform}")).unwrap_or_default();
    let variables =
        if one.variables.is_empty() { String::new() } else { format!(" with {}", one.variables.join(" ")) };
    let reached = if one.reachable { "" } else { " unreached" };
    format!(
        "{} {:?} {}{as_written} = {target}{platform}{variables}{reached}",
        place(source, &one.span),
        one.kind,
        one.written
    )
}

/// Each image gets the digest of its name.
fn digests(uses: &[ImageUse]) -> Vec<(usize, Digest)> {
    let images = uses.iter().enumerate().filter(|(_, one)| one.target == UseTarget::Image);
    images
        .filter_map(|(index, one)| {
            let reference = one.reference.as_ref().ok()?;
            Some((index, digest_of(&reference.without_digest().with_default_tag())))
        })
        .collect()
}

fn digest_of(reference: &Reference) -> Digest {
    Digest::of(reference.to_string().as_bytes())
}

/// Replaces `{node:20}` by the digest that the image gets.
fn fill(text: &str) -> String {
    let mut result = String::new();
    for (index, part) in text.split("@{").enumerate() {
        if index == 0 {
            result.push_str(part);
            continue;
        }
        let (name, rest) = part.split_once('}').expect("a closing brace");
        let reference: Reference = name.parse().expect("a reference");
        result.push('@');
        result.push_str(&digest_of(&reference.with_default_tag()).to_string());
        result.push_str(rest);
    }
    result
}

/// Literal references in the place of every image read back as themselves, and nothing else changes.
fn check_literal_edits(file: &Dockerfile, uses: &[ImageUse], inputs: &BuildInputs) -> Result<(), String> {
    let pinned: Vec<(usize, Reference)> = digests(uses)
        .into_iter()
        .filter_map(|(index, digest)| Some((index, uses[index].reference.as_ref().ok()?.with_digest(digest))))
        .collect();
    let edits = literal_edits(file, uses, &pinned).expect("literal edits");
    let edited = rewrite(file.source(), &edits).expect("sound edits");
    let again = Dockerfile::parse(&edited).expect("the edited file").image_uses(inputs).expect("its uses");
    for (index, (before, after)) in uses.iter().zip(&again).enumerate() {
        let is_replaced = match pinned.iter().find(|(pinned, _)| *pinned == index) {
            Some((_, reference)) => after.reference.as_ref() == Ok(reference),
            None => after.written == before.written,
        };
        let is_same =
            (&after.target, after.kind, after.reachable) == (&before.target, before.kind, before.reachable);
        if !is_replaced || !is_same && before.target == UseTarget::Image {
            return Err(format!("{before:?} became {after:?}"));
        }
    }
    if again.len() == uses.len() { Ok(()) } else { Err("literal edits change the number of uses".to_owned()) }
}

/// Without build arguments every use is pinned but those of which the plan says otherwise, and
/// a second run changes nothing.
fn check_pinned(pinned: &[u8], inputs: &BuildInputs, plan: &PinPlan) -> Result<(), String> {
    let defaults = BuildInputs { build_args: BTreeMap::new(), ..inputs.clone() };
    let file = Dockerfile::parse(pinned).map_err(|error| format!("the pinned file: {error}"))?;
    let Ok(uses) = file.image_uses(&defaults) else { return Ok(()) };
    for (index, digest) in digests(&uses) {
        let refused = plan.unpinnable.iter().any(|one| one.use_index == index);
        let found = uses[index].reference.as_ref().ok().and_then(Reference::digest);
        if !refused && found != Some(&digest) {
            return Err(format!("{:?} is not pinned", uses[index]));
        }
    }
    let again = pin_edits(&file, &defaults, &digests(&uses)).map_err(|error| error.to_string())?;
    if inputs.build_args.is_empty() && !again.edits.is_empty() {
        return Err(format!("a second run changes {:?}", again.edits));
    }
    Ok(())
}
