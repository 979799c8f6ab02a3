//! `docker run` and `docker create`: which word is the image.

use std::ffi::{OsStr, OsString};

use super::{ArgumentError, FlagSet};

/// The verbs that make a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `docker create`.
    Create,
    /// `docker run`.
    Run,
}

impl Verb {
    /// The flags of this verb that are known here.
    #[must_use]
    pub fn flags(self) -> FlagSet {
        todo!()
    }
}

/// What a `run` or `create` command line says about its image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerArguments {
    /// Which word is the image.
    pub index: usize,
    /// The image as written.
    pub image: String,
    /// `--platform`.
    pub platform: Option<String>,
    /// `--pull`.
    pub pull: PullPolicy,
    /// `--disable-content-trust`, where it is written.
    pub disable_content_trust: Option<bool>,
    /// `--quiet`.
    pub quiet: bool,
}

impl ContainerArguments {
    /// The same words with another image, and without `--disable-content-trust`, which docker 29 no
    /// longer has.
    #[must_use]
    pub fn with_image(&self, arguments: &[OsString], image: &OsStr) -> Vec<OsString> {
        let _ = (arguments, image);
        todo!()
    }
}

/// When docker pulls an image that a container is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullPolicy {
    /// Each time.
    Always,
    /// If the engine does not have it.
    Missing,
    /// Never.
    Never,
}

/// Finds the image in the words after `run` or `create`; `None` where docker would only print its
/// help.
pub fn image_argument(
    verb: Verb,
    flags: &FlagSet,
    arguments: &[OsString],
) -> Result<Option<ContainerArguments>, ArgumentError> {
    let _ = (verb, flags, arguments);
    todo!()
}
