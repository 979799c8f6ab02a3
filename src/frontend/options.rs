//! What the client asked for: `BUILDKIT_FRONTEND_OPT_*`, and what becomes of each option.
//!
//! Every option has a [`Disposition`]; the table is [`disposition`]. An option that is not
//! known is forwarded, since the daemon's own frontend grows options that change nothing
//! about where content comes from (memory limits, lint settings); but one whose name begins
//! as those do that bring content in is refused, until it is known here.

use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::image::Platform;

/// The options of one build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    values: BTreeMap<String, String>,
    session: String,
}

/// What becomes of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It goes to the nested frontend as it came.
    Forward,
    /// It is meant for this frontend, or is replaced by what this frontend found out.
    Consume,
    /// A named context: verified, then rewritten.
    NamedContext,
    /// A cache to import: verified, then rewritten.
    Cache,
    /// An SBOM generator: verified, then rewritten.
    SbomGenerator,
    /// It would bring in what cannot be verified.
    Refuse(&'static str),
}

impl Options {
    /// Reads the environment that `BuildKit` gives a frontend.
    pub fn from_environment(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, OptionError> {
        let mut options = Self::default();
        for (name, value) in variables {
            let Some(name) = name.to_str() else { continue };
            let option = name.strip_prefix("BUILDKIT_FRONTEND_OPT_").is_some();
            if !option && name != "BUILDKIT_SESSION_ID" {
                continue;
            }
            let Some(value) = value.to_str() else {
                return Err(OptionError::NotText { name: name.to_owned() });
            };
            if !option {
                value.clone_into(&mut options.session);
                continue;
            }
            let Some((key, value)) = value.split_once('=') else {
                return Err(OptionError::NoValue { option: value.to_owned() });
            };
            if options.values.insert(key.to_owned(), value.to_owned()).is_some() {
                return Err(OptionError::Twice { option: key.to_owned() });
            }
        }
        Ok(options)
    }

    /// Options from pairs, for tests and for nested use.
    #[must_use]
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>, session: &str) -> Self {
        let values = pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Self { values, session: session.to_owned() }
    }

    /// An option's value.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// A build argument's value.
    #[must_use]
    pub fn build_arg(&self, name: &str) -> Option<&str> {
        self.value(&format!("{BUILD_ARG}{name}"))
    }

    /// All build arguments.
    #[must_use]
    pub fn build_args(&self) -> BTreeMap<String, String> {
        self.with_prefix(BUILD_ARG).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Options whose key begins so, with the rest of the key.
    pub fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.values.iter().filter_map(move |(key, value)| Some((key.strip_prefix(prefix)?, value.as_str())))
    }

    /// All options.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The session that exposes a directory of the client; newer clients have several.
    #[must_use]
    pub fn session_of(&self, directory: &str) -> &str {
        self.value(&format!("local-sessionid:{directory}")).unwrap_or(&self.session)
    }

    /// The target platforms that were asked for; empty for the builder's own.
    pub fn platforms(&self) -> Result<Vec<Platform>, OptionError> {
        match self.value("platform") {
            None | Some("") => Ok(Vec::new()),
            Some(list) if PLATFORM_LIMIT < list.split(',').count() => Err(OptionError::Invalid {
                option: "platform".to_owned(),
                reason: format!("it names more than {PLATFORM_LIMIT} platforms"),
            }),
            Some(list) => list.split(',').map(platform).collect(),
        }
    }

    /// Whether the result is metadata about the Dockerfile, not a build.
    #[must_use]
    pub fn subrequest(&self) -> Option<&str> {
        self.value("requestid").filter(|request| !request.is_empty())
    }
}

/// What becomes of an option, by its name and, where that decides, its value.
#[must_use]
pub fn disposition(key: &str, value: &str) -> Disposition {
    use Disposition::{Cache, Consume, Forward, NamedContext, Refuse, SbomGenerator};
    if let Some(name) = key.strip_prefix(BUILD_ARG) {
        return build_arg_disposition(name, value);
    }
    if let Some(name) = key.strip_prefix("context:") {
        return if name == OWN_CONTEXT { Consume } else { NamedContext };
    }
    if let Some(kind) = key.strip_prefix("attest:") {
        return if kind.eq_ignore_ascii_case("sbom") { SbomGenerator } else { Forward };
    }
    match key {
        "cache-from" | "cache-imports" => Cache,
        // Where the Dockerfile and a remote context come from is found out here and passed as
        // inputs. How this frontend was chosen is over; the nested one is told what it needs.
        "context" | "contextkey" | "dockerfilekey" | "source" | "cmdline" | "disable-content-trust" => {
            Consume
        }
        "override-copy-image" if value.is_empty() => Consume,
        "override-copy-image" => Refuse("it makes old builders run a helper image of the caller's choice"),
        "add-hosts" | "cgroup-parent" | "contextsubdir" | "cpuperiod" | "cpuquota" | "cpusetcpus"
        | "cpusetmems" | "cpushares" | "filename" | "force-network-mode" | "frontend.caps" | "hostname"
        | "image-resolve-mode" | "memory" | "memswap" | "multi-platform" | "no-cache" | "platform"
        | "requestid" | "shm-size" | "target" | "ulimit" => Forward,
        _ if key.starts_with("gateway-") => Consume,
        _ if FORWARDED_PREFIXES.iter().any(|prefix| key.starts_with(prefix)) => Forward,
        _ if CONTENT_PREFIXES.iter().any(|prefix| key.starts_with(prefix)) => {
            Refuse("it is not known, and options of this kind bring content into a build")
        }
        _ => Forward,
    }
}

fn build_arg_disposition(name: &str, value: &str) -> Disposition {
    match name {
        "BUILDKIT_SYNTAX" | "DOCKER_CONTENT_TRUST" | "DOCKER_CONTENT_TRUST_SERVER" => Disposition::Consume,
        "BUILDKIT_DISABLE_FILEOP" if crate::gate::parse_boolean(value) == Some(true) => {
            Disposition::Refuse("it makes old builders run a helper image for every COPY")
        }
        _ => match name.strip_prefix("BUILDKIT_ATTEST_") {
            Some(kind) if kind.eq_ignore_ascii_case("sbom") => Disposition::SbomGenerator,
            Some(_) | None => Disposition::Forward,
        },
    }
}

/// A platform as the client writes it: `os/arch[/variant]`, `os(version)/arch`, or one word.
fn platform(text: &str) -> Result<Platform, OptionError> {
    let invalid = |reason: String| OptionError::Invalid { option: "platform".to_owned(), reason };
    let without_version = match (text.find('('), text.find(')')) {
        (Some(open), Some(close)) if open < close => {
            format!("{}{}", text.get(..open).unwrap_or(""), text.get(close + 1..).unwrap_or(""))
        }
        _ => text.to_owned(),
    };
    if without_version.contains('/') {
        return without_version.parse().map_err(|error| invalid(format!("{error}")));
    }
    let host = Platform::host();
    match without_version.to_ascii_lowercase().as_str() {
        "" => Err(invalid("an empty name stands in its list".to_owned())),
        os @ ("linux" | "windows" | "darwin" | "macos" | "freebsd") => {
            Ok(Platform::new(os, &host.architecture, &host.variant))
        }
        architecture => format!("linux/{architecture}").parse().map_err(|error| invalid(format!("{error}"))),
    }
}

/// An option that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// The value is not UTF-8.
    #[error("the environment variable `{name}` is not UTF-8")]
    NotText {
        /// The variable.
        name: String,
    },
    /// No `=` in it.
    #[error("the build option `{option}` has no value")]
    NoValue {
        /// The text as it came.
        option: String,
    },
    /// The same option twice, so that it is not clear which one counts.
    #[error("the build option `{option}` is given twice")]
    Twice {
        /// The option.
        option: String,
    },
    /// A value that means nothing.
    #[error("the build option `{option}` cannot be read: {reason}")]
    Invalid {
        /// The option.
        option: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An option that would bring in what cannot be verified.
    #[error("the build option `{option}` is refused: {reason}")]
    Refused {
        /// The option.
        option: String,
        /// Why.
        reason: String,
    },
}

/// The named context that holds a policy of this build's caller.
pub const OWN_CONTEXT: &str = "trustgate";

const BUILD_ARG: &str = "build-arg:";

/// Known families of options that bring nothing in. `input-metadata:` is the configuration of
/// an input, `sharedkey:` and `local-sessionid:` say how a directory of the client is found.
const FORWARDED_PREFIXES: &[&str] = &["label:", "vcs:", "input-metadata:", "local-sessionid:", "sharedkey:"];

/// How the names of options begin that bring content in.
const CONTENT_PREFIXES: &[&str] =
    &["cache", "context", "dockerfile", "frontend", "generator", "image", "input", "override", "source"];

/// Nobody builds for more at once, and each one costs a reading of the Dockerfile.
const PLATFORM_LIMIT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Options, OptionError> {
        Options::from_environment(variables.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn the_environment_is_read() {
        let options = read(&[
            ("PATH", "/bin"),
            ("BUILDKIT_FRONTEND_OPT_3", "build-arg:A=b=c"),
            ("BUILDKIT_FRONTEND_OPT_0", "local-sessionid:other=s2"),
            ("BUILDKIT_SESSION_ID", "s1"),
        ])
        .unwrap();
        assert_eq!(options.build_arg("A"), Some("b=c"));
        assert_eq!((options.session_of("context"), options.session_of("other")), ("s1", "s2"));
        let twice = [("BUILDKIT_FRONTEND_OPT_1", "a=1"), ("BUILDKIT_FRONTEND_OPT_2", "a=2")];
        assert!(matches!(read(&twice), Err(OptionError::Twice { .. })));
        assert!(matches!(read(&[("BUILDKIT_FRONTEND_OPT_1", "a")]), Err(OptionError::NoValue { .. })));
    }

    #[test]
    fn every_option_has_its_place() {
        use Disposition::{Cache, Consume, Forward, NamedContext, SbomGenerator};
        for (key, value, expected) in [
            ("filename", "x", Forward),
            ("target", "x", Forward),
            ("platform", "linux/amd64", Forward),
            ("label:a", "b", Forward),
            ("build-arg:FOO", "x", Forward),
            ("build-arg:BUILDKIT_DISABLE_FILEOP", "0", Forward),
            ("build-arg:BUILDKIT_DISABLE_FILEOP", "nonsense", Forward),
            ("build-arg:BUILDKIT_ATTEST_PROVENANCE", "mode=max", Forward),
            ("build-arg:BUILDKIT_ATTEST_Sbom", "", SbomGenerator),
            ("attest:SBOM", "", SbomGenerator),
            ("attest:provenance", "", Forward),
            ("context:base", "docker-image://a", NamedContext),
            ("context:trustgate", "local:trustgate", Consume),
            ("context", "https://x/y.git", Consume),
            ("contextkey", "x", Consume),
            ("dockerfilekey", "x", Consume),
            ("cache-from", "a,b", Cache),
            ("cache-imports", "[]", Cache),
            ("source", "x", Consume),
            ("cmdline", "x", Consume),
            ("gateway-devel", "true", Consume),
            ("build-arg:BUILDKIT_SYNTAX", "x", Consume),
            ("build-arg:DOCKER_CONTENT_TRUST", "0", Consume),
            ("vcs:revision", "x", Forward),
            ("input-metadata:x", "{}", Forward),
            ("new-memory-limit", "1", Forward),
            ("override-copy-image", "", Consume),
        ] {
            let found = disposition(key, value);
            let same = std::mem::discriminant(&found) == std::mem::discriminant(&expected);
            assert!(same, "{key}={value}: {found:?}");
        }
        for (key, value) in [
            ("override-copy-image", "evil"),
            ("build-arg:BUILDKIT_DISABLE_FILEOP", "1"),
            ("context-image", "evil"),
            ("cache-from-image", "evil"),
            ("source2", "evil"),
            ("image-override", "evil"),
        ] {
            assert!(matches!(disposition(key, value), Disposition::Refuse(_)), "{key}");
        }
    }

    #[test]
    fn platforms_as_clients_write_them() {
        let parsed = |text: &str| Options::from_pairs([("platform", text)], "").platforms();
        let names = |text: &str| parsed(text).unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names("linux/amd64,linux/arm64/v8"), ["linux/amd64", "linux/arm64"]);
        assert_eq!(names("arm64"), ["linux/arm64"]);
        assert_eq!(names("windows(10.0.17763)/amd64"), ["windows/amd64"]);
        assert_eq!(names(""), [""; 0]);
        for text in [",", "linux/", "a/b/c/d", "linux/amd64,"] {
            assert!(parsed(text).is_err(), "{text}");
        }
        assert!(parsed(&vec!["linux/amd64"; 65].join(",")).is_err());
    }
}
