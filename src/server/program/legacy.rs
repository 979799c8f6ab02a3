//! A notary-server's files in the same database: told of, with the command that takes them over.

use url::Url;

use super::Program;
use crate::server::settings::{Settings, Storage};
use crate::server::storage::SqlStorage;

impl Program {
    /// Says how to take over what a notary-server left in this database, as long as nothing of ours is there: whoever
    /// starts us with its configuration would wonder where everything is.
    pub(super) async fn point_at_notarys_files(&self, settings: &Settings, storage: &SqlStorage) {
        let (Storage::Postgres(address), Some(path)) = (&settings.storage, &self.settings) else { return };
        // It is a hint: whatever keeps us from it keeps nobody from anything else.
        let Ok(Some(repositories)) = storage.notarys_repositories().await else { return };
        let Ok(address) = address.fetch(&*self.variables).await else { return };
        let Some((address, has_password)) = without_password(&address) else { return };
        let line = &self.line;
        line(&format!(
            "the database has the files of a notary-server: {repositories} repositories, of which none is served yet; \
             to take them over:"
        ));
        let password = if has_password { "PGPASSWORD=\u{2026} " } else { "" };
        line(&format!(
            "  {password}trustgate-server --config '{}' import --notary-server '{address}'",
            path.display()
        ));
    }
}

/// An address as it may stand on a command line, and whether something is missing there.
fn without_password(address: &str) -> Option<(String, bool)> {
    let mut url = Url::parse(address).ok()?;
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let (secret, shown): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(name, _)| name == "password");
    if !secret.is_empty() {
        url.query_pairs_mut().clear().extend_pairs(shown);
    }
    let has_password = !secret.is_empty() || url.password().is_some();
    if url.password().is_some() {
        url.set_password(None).ok()?;
    }
    let text = String::from(url);
    // It stands between quotes.
    (!text.contains('\'')).then_some((text, has_password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_left_out_wherever_it_stands() {
        for (address, expected) in [
            ("postgres://trust@db/files", Some(("postgres://trust@db/files", false))),
            (
                "postgres://trust:secret@db/files?sslmode=require",
                Some(("postgres://trust@db/files?sslmode=require", true)),
            ),
            (
                "postgres:///files?user=trust&password=secret&host=/run",
                Some(("postgres:///files?user=trust&host=%2Frun", true)),
            ),
            ("postgres:///files?host=/run", Some(("postgres:///files?host=/run", false))),
            ("postgres://it's@db/files", None),
        ] {
            let shown = without_password(address);
            assert_eq!(shown.as_ref().map(|(it, has)| (it.as_str(), *has)), expected, "{address}");
        }
    }
}
