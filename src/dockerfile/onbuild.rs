//! `ONBUILD` triggers of base images: one line of `Config.OnBuild` in, the images it names out.

use crate::image::{Reference, ReferenceError};

use super::instruction::{NameSite, command};
use super::keyword::Keyword;
use super::lines::{Lines, decode};
use super::{DockerfileError, DockerfileErrorKind, UseKind};

/// One image (or stage) that a trigger names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnbuildUse {
    /// `OnbuildCopyFrom` or `OnbuildMountFrom`.
    pub kind: UseKind,
    /// The name as `BuildKit` would resolve it; a stage of the Dockerfile goes first
    /// (see [`Dockerfile::stage_of_trigger`](super::Dockerfile::stage_of_trigger)).
    pub written: String,
    /// The name as an image reference; meaningful where it names no stage and is not `scratch`.
    pub reference: Result<Reference, ReferenceError>,
}

/// Reads one trigger as `BuildKit` does when a build starts from its image: always with the
/// default escape character, and as exactly one instruction.
pub fn onbuild_uses(trigger: &str) -> Result<Vec<OnbuildUse>, DockerfileError> {
    let names = trigger_names(trigger)?.into_iter().filter(|name| !name.written.is_empty());
    Ok(names
        .map(|name| OnbuildUse { kind: name.kind, reference: name.written.parse(), written: name.written })
        .collect())
}

/// The names in a trigger, mounts without `from` included; places are those of its text.
pub(super) fn trigger_names(trigger: &str) -> Result<Vec<NameSite>, DockerfileError> {
    let source = decode(trigger.as_bytes())?;
    let mut lines = Lines::new(source);
    if !lines.advance()? {
        return Err(DockerfileError { span: None, kind: DockerfileErrorKind::NoInstructions });
    }
    let span = lines.span();
    let error = |kind| DockerfileError::at(&span, kind);
    let command = command(lines.line(), lines.escape(), true).map_err(error)?;
    if matches!(command.keyword, Keyword::From | Keyword::Maintainer | Keyword::Onbuild) {
        let instruction = command.keyword.name();
        return Err(error(DockerfileErrorKind::Trigger { instruction }));
    }
    for heredoc in command.heredocs(lines.line().as_str()).map_err(error)? {
        lines.heredoc_body(&heredoc)?;
    }
    if lines.advance()? {
        return Err(DockerfileError::at(&lines.span(), DockerfileErrorKind::TriggerCount));
    }
    Ok(command.names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(trigger: &str) -> Result<Vec<String>, DockerfileErrorKind> {
        let uses = onbuild_uses(trigger).map_err(|error| error.kind)?;
        Ok(uses.into_iter().map(|one| format!("{:?} {}", one.kind, one.written)).collect())
    }

    #[test]
    fn triggers_name_images() {
        assert_eq!(read("RUN make"), Ok(vec![]));
        assert_eq!(read("COPY --from=alpine:3 / /x"), Ok(vec!["OnbuildCopyFrom alpine:3".to_owned()]));
        assert_eq!(
            read("RUN --mount=from=a,target=/a --mount=type=cache,target=/b --mount=from=b,target=/c x"),
            Ok(vec!["OnbuildMountFrom a".to_owned(), "OnbuildMountFrom b".to_owned()])
        );
        assert_eq!(read("copy --from='a' <<E /x\nFROM b\nE"), Ok(vec!["OnbuildCopyFrom a".to_owned()]));
        assert_eq!(
            read("# escape=`\nCOPY --from=a `\n x y"),
            Ok(vec!["OnbuildCopyFrom a".to_owned()]),
            "a trigger is a small file of its own"
        );
    }

    #[test]
    fn other_triggers_are_refused() {
        for (trigger, kind) in [
            ("", DockerfileErrorKind::Empty),
            ("# x", DockerfileErrorKind::NoInstructions),
            ("RUN a\nCOPY --from=b x y", DockerfileErrorKind::TriggerCount),
            ("FROM a", DockerfileErrorKind::Trigger { instruction: "FROM" }),
            ("ONBUILD RUN a", DockerfileErrorKind::Trigger { instruction: "ONBUILD" }),
            ("COPY --from=$X a b", DockerfileErrorKind::NoVariables { instruction: "COPY --from" }),
            ("RUN <<E\nx", DockerfileErrorKind::UnterminatedHeredoc { name: "E".to_owned() }),
            ("\0", DockerfileErrorKind::Nul),
        ] {
            assert_eq!(read(trigger), Err(kind), "{trigger:?}");
        }
    }
}
