//! A root that is expired, on a server that gives nothing below it any more.

use std::sync::Arc;

use super::run::{Run, published_role};
use super::seal::Sealed;
use super::upload::{self, Answer};
use super::workspace::{Expiry, Workspace};
use super::{Event, PublishError};
use crate::http::HttpError;
use crate::trust::TrustError;
use crate::tuf::RoleName;
use crate::tuf::author::RootDraft;

impl Run<'_> {
    /// Notary's server renews no timestamp below a root that is expired, and then gives none at all. A new
    /// root alone has it go on; whether that was what is wrong, and is done.
    pub(super) async fn renew_root_alone(&mut self, error: &PublishError) -> Result<bool, PublishError> {
        let failing = |it: &HttpError| it.status().is_some_and(|it| (500..600).contains(&it));
        let PublishError::Trust(TrustError::Unreachable { source, .. }) = error else { return Ok(false) };
        if !failing(source) || self.renewed_root.is_some() {
            return Ok(false);
        }
        let publisher = self.publisher;
        let chain = self.refresh().root().await?;
        let snapshot_here = chain.keys(&RoleName::SNAPSHOT).is_some_and(|it| self.keyring.has_any(it));
        if chain.check_expiry((publisher.clock)()).is_ok() || snapshot_here {
            return Ok(false);
        }
        let remote = Arc::clone(&self.remote);
        let surroundings = (&*publisher.events, &publisher.random);
        let mut workspace =
            Workspace::new(&remote, None, (publisher.clock)(), Expiry::Forgiven, surroundings)?;
        let draft = RootDraft::edit(chain.root(), workspace.expires(&RoleName::ROOT));
        workspace.resume(draft.map_err(|it| workspace.author(it))?);
        workspace.renew_root(&mut self.keyring)?;
        let Sealed::Complete(parts) = workspace.seal(&mut self.keyring).await? else { return Ok(false) };
        let Some(part) = parts.into_iter().next() else { return Ok(false) };
        let role = published_role(&part);
        let gun = self.remote.gun();
        let finished = part.document.finish();
        let file = finished.map_err(|source| PublishError::Author { gun: gun.clone(), source })?;
        let boundary = (publisher.random)()?;
        match upload::post(&self.remote, &[(RoleName::ROOT, file)], boundary).await {
            Answer::Taken => {
                self.tell(Event::Renewed { role: RoleName::ROOT });
                self.renewed_root = Some(role);
                Ok(true)
            }
            // Reading again shows what came of it.
            Answer::Conflict | Answer::Unclear(_) => Ok(false),
            Answer::Rejected(error) | Answer::Failed(error) => Err(error),
        }
    }
}
