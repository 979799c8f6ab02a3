//! What commands may do outside any build: push without a signature, run what only this engine has.

use serde::Deserialize;

use super::content::Setting;
use super::error::Place;

/// Whether `push` may leave an image unsigned; the later one is stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnsignedPush {
    /// It may: where no tag is named, and where content trust is disabled.
    Allow,
    /// It may not.
    Refuse,
}

/// How images that only this engine has may be run; the later ones are stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LocalImages {
    /// By the names that they were given here, too.
    ByName,
    /// By their IDs, which name their content.
    ById,
    /// Not at all.
    Refuse,
}

/// What the policies say about a command, and the place that says so; `None` where it is the default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said<T> {
    /// What is said.
    pub value: T,
    /// Where.
    pub place: Option<Place>,
}

/// What one policy says about commands; a key that is absent says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CommandRules {
    pub(super) unsigned_push: Option<Setting<UnsignedPush>>,
    pub(super) local_images: Option<Setting<LocalImages>>,
}

/// The first policy decides, with a default where it is silent; each later one can only be stricter.
pub(super) fn strictest<'a, T: Copy + Ord + 'a>(
    mut settings: impl Iterator<Item = Option<&'a Setting<T>>>,
    default: T,
) -> Said<T> {
    let said = |setting: &Setting<T>| Said { value: setting.value, place: Some(setting.place.clone()) };
    let mut strictest = settings.next().flatten().map_or(Said { value: default, place: None }, said);
    for setting in settings.flatten() {
        if setting.value > strictest.value {
            strictest = said(setting);
        }
    }
    strictest
}
