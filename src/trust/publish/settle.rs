//! What follows a publication: the cache holds it, keys that lost their use go.

use std::sync::Arc;

use super::run::{Remains, Run};
use super::workspace::Base;
use super::{Event, Outcome, Published, Step};
use crate::trust::cache::{CachedFile, Stored};
use crate::trust::refresh::Refresh;
use crate::trust::remote::Contact;
use crate::tuf::{AnyTime, RoleName, TIMESTAMP_LIMIT, peek_version};

impl Run<'_> {
    /// Everything that follows once the server has the files.
    pub(super) async fn finish(
        &self,
        base: Option<Base>,
        mut published: Published,
        files: Vec<(RoleName, Vec<u8>)>,
        remains: Remains,
    ) -> Outcome {
        if published.initialized {
            self.tell(Event::Initialized { gun: self.remote.gun().clone() });
        }
        let start = base.as_ref().map(|it| it.chain().root().raw().to_vec());
        let start = start.or_else(|| self.unpublished_root.clone());
        // The old state can be large.
        drop(base);
        if let Err(reason) = self.renew_cache(start, files).await {
            self.tell(Event::NotCached { reason: reason.clone() });
            published.notes.push(format!("the cache does not have the new state: {reason}"));
        } else {
            self.tell(Event::Reached(Step::Cached));
        }
        if let Some((role, ids)) = remains.obsolete
            && role != RoleName::ROOT
        {
            for key_id in ids {
                if let Ok(true) = self.keyring.store().remove(&key_id) {
                    self.tell(Event::KeyRemoved { role: role.clone(), key_id });
                }
            }
        }
        Outcome::Published(published)
    }

    /// Has the cache hold the new state, verified as a reader would.
    async fn renew_cache(
        &self,
        start: Option<Vec<u8>>,
        files: Vec<(RoleName, Vec<u8>)>,
    ) -> Result<(), String> {
        let publisher = self.publisher;
        let gun = self.remote.gun().clone();
        let (delegations, files): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|(role, _)| role.is_delegation());
        let (cache, of) = (publisher.cache.clone(), gun.clone());
        let stored =
            tokio::task::spawn_blocking(move || cache.store_published(&of, start.as_deref(), &files)).await;
        match stored {
            Ok(Ok(Stored::Written | Stored::Overtaken)) => {}
            Ok(Ok(Stored::RootChanged)) => return Err("another process trusted another root".to_owned()),
            Ok(Err(error)) => return Err(error.to_string()),
            Err(error) => return Err(error.to_string()),
        }
        let remote = publisher.remote(&gun, Contact::Confirm).map_err(|it| it.to_string())?;
        let refresh = Refresh {
            remote: Arc::new(remote),
            cache: Some(publisher.cache.clone()),
            pins: (publisher.pins)(&gun),
            now: (publisher.clock)(),
            when: AnyTime,
        };
        let state = refresh.run().await.map_err(|it| it.to_string())?;
        for (role, content) in delegations {
            // Last, as readers do: who sees it sees the timestamp, too, that makes it the current one.
            let timestamp = state.walked().timestamp.raw();
            let stored = publisher.cache.store_delegation(&gun, timestamp, &role, &content);
            stored.map_err(|it| it.to_string())?;
        }
        let newest = state.walked().timestamp.raw();
        match publisher.cache.read(&gun, &RoleName::TIMESTAMP, TIMESTAMP_LIMIT) {
            CachedFile::Content(cached) if cached == newest => Ok(()),
            // Another process has cached what came after.
            CachedFile::Content(cached) if peek_version(newest) < peek_version(&cached) => Ok(()),
            _ => Err(state.notes().pop().unwrap_or_else(|| "it does not keep it".to_owned())),
        }
    }
}
