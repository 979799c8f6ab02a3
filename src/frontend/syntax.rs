//! Which frontend builds the pinned Dockerfile: the daemon's own, or one that the user asked for.
//!
//! `BUILDKIT_SYNTAX` goes before `# syntax=`, as everywhere. Either may be what started this
//! very frontend; that is not followed again. What is left is an image that will *run*, so it
//! passes the gate like any other and is called by its digest.

use crate::dockerfile::{Span, detect_syntax};
use crate::frontend::context::BuildFile;
use crate::frontend::error::FrontendError;
use crate::frontend::ledger::Ledger;
use crate::frontend::options::{OptionError, Options};
use crate::gate::{Content, ContentDecision, Origin, Refusal, Request, UseRole};
use crate::image::Reference;

/// Who builds the Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Inner {
    /// The daemon's own frontend.
    Builtin,
    /// An image.
    Image {
        /// The image as it was named.
        reference: Reference,
        /// The whole line that named it; such a frontend reads its arguments from there.
        command_line: String,
    },
}

/// Finds out who builds, and lists that image among the ways in.
pub(super) fn list(options: &Options, file: &BuildFile, ledger: &mut Ledger<'_>) -> Inner {
    let Some(asked) = asked_for(options, file) else { return Inner::Builtin };
    let image = asked.command_line.split(' ').next().unwrap_or_default();
    let reference: Reference = match image.parse() {
        Ok(reference) => reference,
        Err(error) => {
            ledger.object(Refusal::invalid_reference(image, &error), asked.span);
            return Inner::Builtin;
        }
    };
    let inner = Inner::Image { reference: reference.clone(), command_line: asked.command_line.clone() };
    match ledger.admit(Content::Syntax { reference: &reference }, asked.span.clone()) {
        ContentDecision::Admitted { .. } => {
            ledger.allow_unverified(&reference);
            inner
        }
        ContentDecision::Verify => {
            let origin = match asked.span {
                Some(span) => Origin::Dockerfile { file: file.name.clone(), span },
                None => Origin::Option { name: SYNTAX_ARG.to_owned(), value: asked.command_line },
            };
            ledger.request(Request { role: UseRole::Syntax, origin, reference });
            inner
        }
        ContentDecision::Builtin { .. } | ContentDecision::Refused(_) => Inner::Builtin,
    }
}

/// Refuses named contexts that would put another image in the place of the verified frontend:
/// the daemon looks them up by the frontend's own name.
pub(super) fn check_contexts(options: &Options, reference: &Reference) -> Result<(), FrontendError> {
    for (name, _) in options.with_prefix("context:") {
        let image = name.split_once("::").map_or(name, |(image, _)| image);
        let same = image.parse::<Reference>().is_ok_and(|named| named.repository() == reference.repository());
        if same {
            return Err(OptionError::Refused {
                option: format!("context:{name}"),
                reason: format!("it would replace the verified frontend `{}`", reference.familiar()),
            }
            .into());
        }
    }
    Ok(())
}

/// A frontend that somebody asked for.
struct Asked {
    command_line: String,
    span: Option<Span>,
}

fn asked_for(options: &Options, file: &BuildFile) -> Option<Asked> {
    if let Some(value) = options.build_arg("BUILDKIT_SYNTAX") {
        let value = value.trim();
        let image = value.split(' ').next().unwrap_or_default();
        if !value.is_empty() && !is_ours(options, image) {
            return Some(Asked { command_line: value.to_owned(), span: None });
        }
    }
    let directive = detect_syntax(&file.source)?;
    if is_ours(options, &directive.image) {
        return None;
    }
    let command_line = match directive.arguments.as_str() {
        "" => directive.image.clone(),
        arguments => format!("{} {arguments}", directive.image),
    };
    Some(Asked { command_line, span: Some(directive.span) })
}

/// Whether an image is this frontend itself, of whatever tag: to be started by it once is enough.
fn is_ours(options: &Options, image: &str) -> bool {
    let Some(source) = options.value("source") else { return false };
    match (source.parse::<Reference>(), image.parse::<Reference>()) {
        (Ok(source), Ok(image)) => source.repository() == image.repository(),
        _ => source == image,
    }
}

const SYNTAX_ARG: &str = "build-arg:BUILDKIT_SYNTAX";
