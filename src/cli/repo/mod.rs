//! `trustgate repo`: the trust data of whole repositories.

pub(super) mod known;

use super::exit::Failure;
use crate::image::{Gun, Reference};
use crate::text::visible;

/// The repository that somebody names, as docker understands names.
pub(super) fn repository(name: &str) -> Result<Gun, Failure> {
    let wrong = |reason: String| {
        Failure::usage(format!("`{}` names no repository", visible(name)))
            .note(reason)
            .help("write [registry/]repository, for example acme/base")
    };
    let reference: Reference = name.parse().map_err(|error| wrong(format!("{error}")))?;
    if reference.tag().is_some() || reference.digest().is_some() {
        return Err(wrong("it has a tag or a digest".to_owned()));
    }
    Ok(reference.gun())
}
