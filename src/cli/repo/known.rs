//! What this machine knows of repositories without asking anybody: its cache of trust data.

use std::collections::BTreeSet;

use crate::cli::settings::Settings;
use crate::image::Gun;
use crate::trust::Cache;
use crate::tuf::{KeyId, RoleName};

/// A base role of a repository, and the keys that it has as far as is known here.
pub(in crate::cli) struct Use {
    pub(in crate::cli) gun: Gun,
    pub(in crate::cli) role: RoleName,
    /// Canonical IDs, which key files are named by.
    pub(in crate::cli) keys: BTreeSet<KeyId>,
}

/// Which roles the keys of the cached roots have. It is for warnings: what can't be read says nothing.
pub(in crate::cli) fn uses_of_keys(settings: &Settings) -> Vec<Use> {
    let Some(folder) = settings.trust_folder() else { return Vec::new() };
    let cache = Cache::new(folder.to_owned());
    let mut uses = Vec::new();
    for gun in cache.repositories().unwrap_or_default() {
        let Some(root) = cache.root(&gun) else { continue };
        for role in [RoleName::ROOT, RoleName::TARGETS, RoleName::SNAPSHOT] {
            let keys =
                root.role(&role).map(|it| it.keys.iter().map(|key| key.canonical_id().clone()).collect());
            uses.push(Use { gun: gun.clone(), role, keys: keys.unwrap_or_default() });
        }
    }
    uses
}
