//! `docker build` and `docker buildx build`.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::{ArgumentError, FlagSet, Occurrence};

/// What a `build` command line says.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// `--build-context`.
    pub build_contexts: Vec<(String, String)>,
    /// `--target`.
    pub target: Option<String>,
    /// `--platform`.
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
    /// `--sbom` and `--attest`, as written, with their names.
    pub attestations: Vec<(String, String)>,
    /// `--quiet`.
    pub quiet: bool,
    /// `--pull`.
    pub pull: bool,
    /// `--disable-content-trust`, where it is written.
    pub disable_content_trust: Option<bool>,
}

impl BuildArguments {
    /// The flags of `build` that are known here, buildx's and the old builder's together.
    #[must_use]
    pub fn known_flags() -> FlagSet {
        todo!()
    }

    /// Reads the words after `build`; `None` where docker would only print its help.
    pub fn parse(flags: &FlagSet, arguments: &[OsString]) -> Result<Option<Self>, ArgumentError> {
        let _ = (flags, arguments);
        todo!()
    }

    /// The words of this command line without the flags of these names: each flag as
    /// `--name=value`, then the context.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Vec<OsString> {
        let _ = names;
        todo!()
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
    /// Whether it pushes.
    #[must_use]
    pub fn pushes(&self) -> bool {
        todo!()
    }
}
