//! Why something may not enter a build: a stable code, texts for people, an exit code.

use std::fmt;

use serde::Serialize;

use crate::image::ReferenceError;
use crate::text::visible;

/// One refusal, complete: it can be shown without knowing how it came about.
///
/// Everything in it is safe to print: the constructors replace control characters,
/// which names, tags and servers' messages may hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The stable short name of the reason.
    pub code: RefusalCode,
    /// One line: the thing, and what is wrong with it.
    pub title: String,
    /// What stands at the caret, below the place that names the image.
    pub label: String,
    /// Facts, most useful first.
    pub notes: Vec<String>,
    /// What to do next, best first.
    pub help: Vec<String>,
    /// Whether the answer is no, or could not be found out.
    pub exit: Exit,
}

impl Refusal {
    /// A refusal with this code, title and label, and the exit code that belongs to the code.
    #[must_use]
    pub fn new(code: RefusalCode, title: &str, label: &str) -> Self {
        Self {
            code,
            title: visible(title),
            label: visible(label),
            notes: Vec::new(),
            help: Vec::new(),
            exit: code.exit(),
        }
    }

    /// The same refusal with one more fact.
    #[must_use]
    pub fn note(mut self, note: &str) -> Self {
        self.notes.push(visible(note));
        self
    }

    /// The same refusal with one more thing to do.
    #[must_use]
    pub fn help(mut self, help: &str) -> Self {
        self.help.push(visible(help));
        self
    }

    /// For a text that stands where an image belongs and is no image reference.
    #[must_use]
    pub fn invalid_reference(written: &str, error: &ReferenceError) -> Self {
        Self::new(
            RefusalCode::InvalidReference,
            &format!("`{written}` is not an image reference"),
            &error.to_string(),
        )
        .help("write [registry/]repository[:tag][@digest]")
    }
}

/// With what code a program ends that could not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// Refused: what was checked does not hold. Exit code 1.
    Refused,
    /// It could not be found out. Exit code 3.
    Unknown,
}

impl Exit {
    /// The process exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Refused => 1,
            Self::Unknown => 3,
        }
    }
}

macro_rules! refusal_codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $exit:ident, $summary:literal;)+) => {
        /// The stable short name of a reason. `docs/refusals.md` has a paragraph on each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum RefusalCode {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl RefusalCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name: `unsigned-tag`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// One sentence on what it means, for rule lists.
            #[must_use]
            pub fn summary(self) -> &'static str {
                match self { $(Self::$variant => $summary,)+ }
            }

            /// The exit code that belongs to it.
            #[must_use]
            pub fn exit(self) -> Exit {
                match self { $(Self::$variant => Exit::$exit,)+ }
            }
        }
    };
}

refusal_codes! {
    /// The build asks to go unchecked, and the policy does not let it.
    DisableForbidden = "disable-forbidden", Refused,
        "The build asks for content trust to be disabled, which the policy forbids.";
    /// Two trust servers or roles that must agree name different digests.
    DisagreeingTrustData = "disagreeing-trust-data", Refused,
        "Look-ups that must agree found different digests for one tag.";
    /// The digest that is written is not the one that the tag is signed with.
    DigestMismatch = "digest-mismatch", Refused,
        "The written digest is not the one that is signed for the written tag.";
    /// A role of the trust data, or a certificate in it, has expired.
    ExpiredMetadata = "expired-metadata", Refused,
        "The trust data has expired, so nobody vouches for it any more.";
    /// The crate that reads the Dockerfile a second time sees an image that we do not.
    HiddenImage = "hidden-image", Refused,
        "A second reading of the Dockerfile found an image that the first did not.";
    /// The trust data is malformed, badly signed, or does not fit together.
    InvalidMetadata = "invalid-metadata", Refused,
        "The trust data is malformed, not signed as it must be, or does not fit together.";
    /// The program itself broke on the way.
    InternalError = "internal-error", Unknown,
        "The program broke before it could decide.";
    /// The file is no Dockerfile that a builder would take.
    InvalidDockerfile = "invalid-dockerfile", Refused,
        "The file can't be read as a Dockerfile.";
    /// What stands where an image belongs is no reference.
    InvalidReference = "invalid-reference", Refused,
        "The text that stands where an image belongs is not an image reference.";
    /// A signer that the policy requires did not sign this digest.
    MissingSigner = "missing-signer", Refused,
        "A signer that the policy requires has not signed this digest.";
    /// The trust server has no trust data for the repository.
    NoTrustData = "no-trust-data", Refused,
        "The repository has no trust data: nothing in it is signed.";
    /// The content is of a kind that the policy does not let in.
    ContentNotAllowed = "content-not-allowed", Refused,
        "No rule of the policy lets this kind of content into a build.";
    /// The tag is signed only by roles that do not count.
    NotReleased = "not-released", Refused,
        "The tag is signed, but only by roles that do not count for this repository.";
    /// Metadata went back to an earlier version.
    RolledBackMetadata = "rolled-back-metadata", Refused,
        "The trust data is older than what was seen before.";
    /// Trust data came from the cache, and the policy wants it fresh.
    StaleMetadata = "stale-metadata", Unknown,
        "The trust server could not be asked, and cached trust data is not accepted.";
    /// The server does not show the trust data to this user.
    Unauthorized = "unauthorized", Unknown,
        "The trust server wants credentials that it did not get.";
    /// A definition holds an operation whose sources cannot be told.
    UnauditableDefinition = "unauditable-definition", Refused,
        "The build's definition holds an operation whose sources cannot be told.";
    /// A definition holds a source that the gate did not let in.
    UnexpectedSource = "unexpected-source", Refused,
        "The build's definition holds a source that was not let in.";
    /// Rules of equal weight match one repository.
    AmbiguousRule = "ambiguous-rule", Refused,
        "Two rules of the policy match the repository and neither is more specific.";
    /// An image use that `pin` cannot complete with its digest.
    Unpinnable = "unpinnable", Refused,
        "The image can't be pinned where it is written.";
    /// An image use without a digest, found by `pin --check`.
    UnpinnedImage = "unpinned-image", Refused,
        "The image is named by a tag that can move, without its digest.";
    /// The policy pins no root for the repository, and trust on first use is off.
    UnpinnedRoot = "unpinned-root", Refused,
        "The policy pins no root for the repository, and trust on first use is off.";
    /// The trust server could not be reached.
    UnreachableServer = "unreachable-server", Unknown,
        "The trust server could not be asked.";
    /// The digest is not the signed one of any tag, and the policy wants it to be.
    UnsignedDigest = "unsigned-digest", Refused,
        "The policy wants digests to be signed, and this one is not.";
    /// The tag is not signed.
    UnsignedTag = "unsigned-tag", Refused,
        "The repository has trust data, but none for this tag.";
    /// The server answered, but not with the trust data that it should have.
    UnusableAnswer = "unusable-answer", Unknown,
        "The trust server answered, but not with the trust data that it should have.";
    /// The cache folder cannot be used.
    UnusableCache = "unusable-cache", Unknown,
        "The trust cache can't be read or written.";
    /// The root is not the pinned or previously trusted one.
    UntrustedRoot = "untrusted-root", Refused,
        "The root of the trust data is not the one that is pinned or was trusted before.";
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for RefusalCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_has_its_own_paragraph_in_the_documents() {
        let document = include_str!("../../docs/refusals.md");
        let mut names = BTreeSet::new();
        for code in RefusalCode::ALL {
            assert!(names.insert(code.name()), "{code} twice");
            let heading = format!("## `{code}`\n\n");
            let paragraph = document.split_once(&heading).map(|(_, rest)| rest);
            let paragraph = paragraph.unwrap_or_else(|| panic!("no paragraph on {code}"));
            let paragraph = paragraph.split("\n## ").next().unwrap_or_default();
            assert!(paragraph.len() > 120, "the paragraph on {code} says too little");
            let exit = format!("Exit code {}.", code.exit().code());
            assert!(
                paragraph.split_whitespace().collect::<Vec<_>>().join(" ").contains(&exit),
                "the paragraph on {code} lacks `{exit}`"
            );
        }
        let headings = document.lines().filter_map(|line| line.strip_prefix("## `"));
        for heading in headings {
            assert!(names.contains(heading.trim_end_matches('`')), "{heading} is no code");
        }
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let refusal = Refusal::new(RefusalCode::UnsignedTag, "a\u{1b}[2J", "b\r\nc").note("d\u{9b}31m");
        assert_eq!(refusal.title, "a\\u{1b}[2J");
        assert_eq!(refusal.label, "b\\u{d}\\u{a}c");
        assert_eq!(refusal.notes, ["d\\u{9b}31m"]);
    }
}
