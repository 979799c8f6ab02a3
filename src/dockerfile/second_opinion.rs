//! A second reader, the crate `dockerfile-parser`: where it sees a base image that we do not,
//! the file is refused.
//!
//! It never widens what is accepted, and a file that it cannot read is not refused for that.
//! It knows neither heredocs nor `# escape=`, so it has no say inside heredoc bodies, and none
//! on lines that a backtick continues.

use dockerfile_parser::{Dockerfile as Other, Instruction};

use super::instruction::{Parsed, read};
use super::lines::decode;
use super::scope::{BareArg, Scope};
use super::source::BYTE_ORDER_MARK;
use super::{BuildInputs, ImageUse, Span, UseKind, line_and_column};

/// The two readers differ.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} names the base image `{image}` to one Dockerfile parser, but not by BuildKit's rules")]
pub struct SecondOpinion {
    /// Where the other reader sees a base image.
    pub span: Span,
    /// That line, counted from 1.
    pub line: usize,
    /// What it reads there.
    pub image: String,
}

impl SecondOpinion {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> &'static str {
        "write the line so that it can be read in one way only: no backslashes at the end of the line above it"
    }
}

/// Asks the second reader whether it sees a base image that is none of `uses`.
pub fn second_opinion(source: &[u8], uses: &[ImageUse], inputs: &BuildInputs) -> Result<(), SecondOpinion> {
    let Ok(text) = decode(source) else { return Ok(()) };
    let Ok(parsed) = read(text) else { return Ok(()) };
    let bases: Vec<&ImageUse> = uses.iter().filter(|one| one.kind == UseKind::From).collect();
    for (span, image) in other_bases(text) {
        let is_inside =
            |places: &[Span]| places.iter().any(|place| place.start <= span.start && span.start < place.end);
        if is_inside(&parsed.heredocs) || is_inside(&parsed.backtick_lines) {
            continue;
        }
        let at = bases.partition_point(|base| base.span.end <= span.start);
        let is_known = bases.get(at).is_some_and(|base| {
            base.span.start <= span.start
                && (text.get(base.span.clone()) == Some(image.as_str())
                    || expands_to(&parsed, inputs, &image, &base.written))
        });
        if !is_known {
            let (line, _) = line_and_column(source, span.start);
            return Err(SecondOpinion { span, line, image });
        }
    }
    Ok(())
}

fn expands_to(parsed: &Parsed, inputs: &BuildInputs, word: &str, written: &str) -> bool {
    let Ok(mut scope) = Scope::new(parsed, inputs, BareArg::Ignored) else { return false };
    scope.expand(word, parsed.escape).is_ok_and(|(value, _)| value == written)
}

/// The base images that the other reader sees, with their places; none where it cannot read
/// the file.
fn other_bases(text: &str) -> Vec<(Span, String)> {
    let unmarked = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let offset = text.len() - unmarked.len();
    let depth = unmarked.bytes().filter(|byte| matches!(byte, b'\n' | b'\\')).count();
    if unmarked.len() > SIZE_LIMIT || depth > DEPTH_LIMIT {
        return Vec::new();
    }
    let read = || {
        let Ok(file) = Other::parse(unmarked) else { return Vec::new() };
        let bases = file.instructions.into_iter().filter_map(|instruction| match instruction {
            Instruction::From(from) => Some(from.image),
            _ => None,
        });
        bases.map(|image| (image.span.start + offset..image.span.end + offset, image.content)).collect()
    };
    std::thread::scope(|scope| {
        let reader = std::thread::Builder::new().stack_size(STACK_SIZE).spawn_scoped(scope, read);
        reader.ok().and_then(|reader| reader.join().ok()).unwrap_or_default()
    })
}

/// Files longer than this are not shown to the other reader; it needs some 100 bytes for each
/// byte of the file.
const SIZE_LIMIT: usize = 1 << 20;
/// The other reader calls itself for every continued line and every escape; it gets this many
/// of them, and a stack that holds them.
const DEPTH_LIMIT: usize = 10_000;
const STACK_SIZE: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dockerfile::Dockerfile;
    use crate::image::Platform;

    fn ask(source: &str) -> Result<(), SecondOpinion> {
        let inputs = BuildInputs::for_platform(Platform::new("linux", "amd64", ""));
        let file = Dockerfile::parse(source.as_bytes()).expect("a Dockerfile");
        let uses = file.image_uses(&inputs).expect("image uses");
        second_opinion(source.as_bytes(), &uses, &inputs)
    }

    #[test]
    fn both_see_the_same() {
        for source in [
            "FROM a\n",
            "\u{feff}ARG V=1\nFROM a:${V} AS x\nFROM --platform=linux/amd64 x\nCOPY --from=b /a /b\n",
            "FROM a\nRUN x \\\n  # comment\n  y\nFROM b\r\n",
            "FROM al\\\npine\n",
        ] {
            assert_eq!(ask(source), Ok(()), "{source:?}");
        }
    }

    #[test]
    fn it_has_no_say_where_it_cannot_read() {
        for source in [
            "FROM a\nRUN <<EOF\nFROM evil\nEOF\n",
            "FROM a\nRUN <<\"E O F\"\nFROM evil\nE O F\n",
            "# escape=`\nFROM a\nRUN x `\nFROM b\n",
            "FROM \"a\"\n",
            "FROM a\nRUN echo \\\\\nFROM hidden\n",
        ] {
            assert_eq!(ask(source), Ok(()), "{source:?}");
        }
    }

    #[test]
    fn a_base_that_only_it_sees_is_refused() {
        // To it a lone carriage return ends a line.
        let found = ask("FROM a\nRUN x\rFROM evil\n").expect_err("a second base");
        assert_eq!((found.line, found.image.as_str(), found.span), (2, "evil", 18..22));
    }

    #[test]
    fn deep_files_do_not_overflow_its_stack() {
        let lines = "RUN x \\\n".to_owned() + &"y \\\n".repeat(DEPTH_LIMIT - 3) + "z\n";
        assert_eq!(ask(&format!("FROM a\n{lines}")), Ok(()));
        let escapes = "\\n".repeat(DEPTH_LIMIT - 3);
        assert_eq!(ask(&format!("FROM a\nENV X=\"{escapes}\"\n")), Ok(()));
    }
}
