//! `docker pull` and `docker push`.

use std::ffi::OsString;

use super::ArgumentError;

/// What a `pull` command line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullArguments {
    /// The image as written.
    pub image: String,
    /// `--all-tags`.
    pub all_tags: bool,
    /// `--platform`.
    pub platform: Option<String>,
    /// `--quiet`.
    pub quiet: bool,
    /// `--disable-content-trust`, where it is written.
    pub disable_content_trust: Option<bool>,
}

impl PullArguments {
    /// Reads the words after `pull`; `None` where docker would only print its help.
    pub fn parse(arguments: &[OsString]) -> Result<Option<Self>, ArgumentError> {
        let _ = arguments;
        todo!()
    }
}

/// What a `push` command line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushArguments {
    /// The image as written.
    pub image: String,
    /// `--all-tags`.
    pub all_tags: bool,
    /// `--platform`.
    pub platform: Option<String>,
    /// `--quiet`.
    pub quiet: bool,
    /// `--disable-content-trust`, where it is written.
    pub disable_content_trust: Option<bool>,
}

impl PushArguments {
    /// Reads the words after `push`; `None` where docker would only print its help.
    pub fn parse(arguments: &[OsString]) -> Result<Option<Self>, ArgumentError> {
        let _ = arguments;
        todo!()
    }
}
