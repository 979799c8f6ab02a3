//! `docker pull` and `docker push`.

use std::ffi::OsString;

use super::flags::{Operands, Parsed, text};
use super::{ArgumentError, FlagSet};

/// What a `pull` or `push` command line says: both have the same flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferArguments {
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

impl TransferArguments {
    /// Reads the words after `verb`, which errors name; `None` where docker would only print its help.
    pub fn parse(verb: &'static str, arguments: &[OsString]) -> Result<Option<Self>, ArgumentError> {
        let Some((image, parsed)) = one_image(verb, arguments)? else { return Ok(None) };
        Ok(Some(Self {
            image,
            all_tags: parsed.is_set("all-tags")?,
            platform: parsed.text("platform")?,
            quiet: parsed.is_set("quiet")?,
            disable_content_trust: parsed.switch("disable-content-trust")?,
        }))
    }
}

fn one_image(verb: &'static str, arguments: &[OsString]) -> Result<Option<(String, Parsed)>, ArgumentError> {
    let flags =
        FlagSet::new(verb, &["platform"], &["all-tags a", "disable-content-trust", "help h", "quiet q"]);
    let parsed = flags.parse(arguments, Operands::AmongFlags)?;
    if parsed.is_set("help")? {
        return Ok(None);
    }
    let [index] = parsed.operands.as_slice() else {
        return Err(ArgumentError::Operands { verb, reason: "needs exactly one image" });
    };
    let image = arguments.get(*index).map(|word| text("image", word)).transpose()?;
    Ok(image.map(|image| (image, parsed)))
}
