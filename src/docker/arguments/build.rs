//! `docker build` and `docker buildx build`.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::fields;
use super::flags::{Operands, SHOWN_LIMIT, text};
use super::{ArgumentError, FlagSet, Occurrence};
use crate::text::visible_prefix;

/// What a `build` command line says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "docker's switches are independent of each other")]
pub struct BuildArguments {
    /// All flags, in their order.
    pub flags: Vec<Occurrence>,
    /// The context: a folder, a URL, or `-`.
    pub context: OsString,
    /// `--tag`.
    pub tags: Vec<String>,
    /// `--push`.
    pub push: bool,
    /// `--load`.
    pub load: bool,
    /// `--output`.
    pub outputs: Vec<BuildOutput>,
    /// `--file`.
    pub file: Option<OsString>,
    /// `--build-arg`; `None` means the value of the variable of that name.
    pub build_args: Vec<(String, Option<String>)>,
    /// `--build-context`, as name and value.
    pub build_contexts: Vec<(String, String)>,
    /// `--target`.
    pub target: Option<String>,
    /// `--platform`, split at commas.
    pub platforms: Vec<String>,
    /// `--metadata-file`.
    pub metadata_file: Option<OsString>,
    /// `--iidfile`.
    pub image_id_file: Option<OsString>,
    /// `--builder`.
    pub builder: Option<String>,
    /// `--secret`, as written.
    pub secrets: Vec<String>,
    /// `--cache-from`, as written.
    pub cache_from: Vec<String>,
    /// `--attest`, `--sbom` and `--provenance`: the flag's name and its value as written.
    pub attestations: Vec<(String, String)>,
    /// `--quiet`.
    pub quiet: bool,
    /// `--pull`.
    pub pull: bool,
    /// Whether nothing is built: `--check`, or `--call` or `--print` with anything but `build`.
    pub only_checks: bool,
    /// `--disable-content-trust`, where it is written.
    pub disable_content_trust: Option<bool>,
}

impl BuildArguments {
    /// The flags of `build` that are known here, buildx's and the old builder's together.
    #[must_use]
    pub fn known_flags() -> FlagSet {
        FlagSet::new("build", VALUES, SWITCHES)
    }

    /// Reads the words after `build`; `None` where docker would only print its help.
    pub fn parse(flags: &FlagSet, arguments: &[OsString]) -> Result<Option<Self>, ArgumentError> {
        let parsed = flags.parse(arguments, Operands::AmongFlags)?;
        if parsed.is_set("help")? {
            return Ok(None);
        }
        let context = match parsed.operands.as_slice() {
            [index] => arguments.get(*index).filter(|word| !word.is_empty()),
            _ => None,
        };
        let Some(context) = context.cloned() else {
            return Err(ArgumentError::Operands {
                verb: flags.verb(),
                reason: "needs exactly one build context",
            });
        };
        let attestation = |flag: &&Occurrence| matches!(flag.name.as_str(), "attest" | "sbom" | "provenance");
        let outputs = parsed.texts("output")?;
        let platforms = parsed.texts("platform")?;
        let asks =
            |name| Ok(parsed.text(name)?.is_some_and(|method| !matches!(method.as_str(), "" | "build")));
        let only_checks = parsed.is_set("check")? || asks("call")? || asks("print")?;
        Ok(Some(Self {
            context,
            tags: parsed.texts("tag")?,
            push: parsed.is_set("push")?,
            load: parsed.is_set("load")?,
            outputs: outputs
                .iter()
                .filter(|text| !text.is_empty())
                .map(|text| BuildOutput::parse(text))
                .collect::<Result<_, _>>()?,
            file: parsed.last("file").map(OsString::from).filter(|file| !file.is_empty()),
            build_args: parsed.texts("build-arg")?.iter().map(|text| split_argument(text)).collect(),
            build_contexts: parsed
                .texts("build-context")?
                .iter()
                .map(|text| split_context(text))
                .collect::<Result<_, _>>()?,
            target: parsed.text("target")?.filter(|target| !target.is_empty()),
            platforms: platforms
                .iter()
                .flat_map(|text| text.split(','))
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty())
                .collect(),
            metadata_file: parsed.last("metadata-file").map(OsString::from),
            image_id_file: parsed.last("iidfile").map(OsString::from),
            builder: parsed.text("builder")?,
            secrets: parsed.texts("secret")?,
            cache_from: parsed.texts("cache-from")?,
            attestations: parsed
                .flags
                .iter()
                .filter(attestation)
                .map(|flag| Ok((flag.name.clone(), text(&flag.name, &flag.value)?)))
                .collect::<Result<_, _>>()?,
            quiet: parsed.is_set("quiet")?,
            pull: parsed.is_set("pull")?,
            only_checks,
            disable_content_trust: parsed.switch("disable-content-trust")?,
            flags: parsed.flags,
        }))
    }

    /// Whether this build pushes what it makes.
    #[must_use]
    pub fn pushes(&self) -> bool {
        self.push || self.outputs.iter().any(BuildOutput::pushes)
    }

    /// The words of this command line without the flags of these names: each flag as
    /// `--name=value`. The context is not among them.
    #[must_use]
    pub fn flags_without(&self, names: &[&str]) -> Vec<OsString> {
        let kept = self.flags.iter().filter(|flag| !names.contains(&flag.name.as_str()));
        kept.map(|flag| {
            let mut word = OsString::from(format!("--{}=", flag.name));
            word.push(&flag.value);
            word
        })
        .collect()
    }
}

/// One `--output`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildOutput {
    /// The exporter: `image`, `registry`, `local`, `docker`, …
    pub kind: String,
    /// Its attributes: `name`, `push`, `push-by-digest`, `dest`, …
    pub attributes: BTreeMap<String, String>,
}

impl BuildOutput {
    /// Whether it pushes: `registry`, or `image` with `push`.
    #[must_use]
    pub fn pushes(&self) -> bool {
        match self.kind.as_str() {
            "registry" => true,
            "image" => self.switch("push"),
            _ => false,
        }
    }

    /// Whether what is pushed gets no tag.
    #[must_use]
    pub fn by_digest(&self) -> bool {
        self.switch("push-by-digest")
    }

    /// The names that are pushed.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.attributes.get("name").map(String::as_str).unwrap_or_default();
        names.split(',').map(str::trim).filter(|name| !name.is_empty())
    }

    /// A value that is no word for false counts as true: thinking that something is pushed which
    /// is not costs a message, the other way round costs a signature.
    fn switch(&self, name: &str) -> bool {
        let off = |value: &String| matches!(value.as_str(), "0" | "f" | "F" | "false" | "FALSE" | "False");
        self.attributes.get(name).is_some_and(|value| !off(value))
    }

    /// Reads `type=…,key=value,…`, or a mere destination.
    fn parse(written: &str) -> Result<Self, ArgumentError> {
        let refused = |reason: &str| ArgumentError::Value {
            flag: "--output".to_owned(),
            value: visible_prefix(written, SHOWN_LIMIT),
            reason: reason.to_owned(),
        };
        let fields = fields::split(written).ok_or_else(|| refused("a quotation mark is misplaced"))?;
        if let [only] = fields.as_slice()
            && only == written
            && !only.starts_with("type=")
        {
            let kind = if written == "-" { "tar" } else { "local" };
            let attributes = BTreeMap::from([("dest".to_owned(), written.to_owned())]);
            return Ok(Self { kind: kind.to_owned(), attributes });
        }
        let mut kind = String::new();
        let mut attributes = BTreeMap::new();
        for field in &fields {
            let (key, value) = field.split_once('=').ok_or_else(|| refused("write key=value,…"))?;
            match key.trim().to_lowercase().as_str() {
                "type" => value.clone_into(&mut kind),
                key => {
                    attributes.insert(key.to_owned(), value.to_owned());
                }
            }
        }
        if kind.is_empty() { Err(refused("it has no type")) } else { Ok(Self { kind, attributes }) }
    }
}

fn split_argument(text: &str) -> (String, Option<String>) {
    match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (text.to_owned(), None),
    }
}

fn split_context(text: &str) -> Result<(String, String), ArgumentError> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(ArgumentError::Value {
            flag: "--build-context".to_owned(),
            value: visible_prefix(text, SHOWN_LIMIT),
            reason: "write name=value".to_owned(),
        }),
    }
}

/// The flags with values of docker's own builder (20.10 to 29) and of buildx (to 0.29), the hidden
/// ones too.
const VALUES: &[&str] = &[
    "add-host",
    "allow",
    "annotation",
    "attest",
    "build-arg",
    "build-context",
    "builder",
    "cache-from",
    "cache-to",
    "call",
    "cgroup-parent",
    "cpu-period",
    "cpu-quota",
    "cpu-shares c",
    "cpuset-cpus",
    "cpuset-mems",
    "file f",
    "iidfile",
    "invoke",
    "isolation",
    "label",
    "memory m",
    "memory-swap",
    "metadata-file",
    "network",
    "no-cache-filter",
    "output o",
    "platform",
    "policy",
    "print",
    "progress",
    "provenance",
    "resource",
    "root",
    "sbom",
    "secret",
    "security-opt",
    "server-config",
    "shm-size",
    "ssh",
    "tag t",
    "target",
    "ulimit",
];

/// Those without.
const SWITCHES: &[&str] = &[
    "check",
    "compress",
    "debug D",
    "detach",
    "disable-content-trust",
    "force-rm",
    "help h",
    "load",
    "no-cache",
    "pull",
    "push",
    "quiet q",
    "rm",
    "squash",
    "stream",
];
