//! Files that were read a moment ago, kept in memory: what is asked for by hash or version stays as it is.
//!
//! Each file is kept for the repository and the role that it was asked for under, for a moment only: another
//! server may have deleted the repository since, and who may read it is asked before this is. What this
//! server deletes or prunes is forgotten at once, also by reads that had begun before. A role's newest
//! file is never kept.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{
    Answer, Change, ChangeQuery, ChangeRecord, Head, RepositoryQuery, Standing, Storage, StorageError,
    StoredFile,
};
use crate::image::Gun;
use crate::tuf::{PublicKey, RoleName, Version};

/// A storage, and files of it that were read a moment ago.
pub struct RecentFiles {
    storage: Arc<dyn Storage>,
    recent: RwLock<Recent>,
    clock: Watch,
}

/// A clock that nobody sets.
type Watch = Box<dyn Fn() -> Instant + Send + Sync>;

impl RecentFiles {
    /// In front of this storage.
    #[must_use]
    pub fn of(storage: Arc<dyn Storage>) -> Self {
        Self::holding(storage, BYTES, Box::new(Instant::now))
    }

    fn holding(storage: Arc<dyn Storage>, limit: usize, clock: Watch) -> Self {
        Self { storage, recent: RwLock::new(Recent { limit, ..Recent::default() }), clock }
    }

    /// The file of this name, from here or from the storage.
    async fn find(
        &self,
        name: Name,
        reading: impl Future<Output = Result<Option<StoredFile>, StorageError>>,
    ) -> Result<Option<StoredFile>, StorageError> {
        let now = (self.clock)();
        let begun = {
            let recent = self.recent.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(file) = recent.find(&name, now) {
                return Ok(Some(file));
            }
            recent.forgotten
        };
        let file = reading.await?;
        if let Some(file) = &file {
            self.change(|recent| {
                if recent.forgotten == begun {
                    recent.keep(name, file, now);
                }
            });
        }
        Ok(file)
    }

    fn change(&self, change: impl FnOnce(&mut Recent)) {
        change(&mut self.recent.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Forgets when this is dropped: however a deletion ended, and if nobody waited for its end, too.
    fn forgetting<'a>(&'a self, gun: Option<&'a Gun>) -> Forgetting<'a> {
        Forgetting { files: self, gun }
    }
}

impl Storage for RecentFiles {
    fn current<'a>(&'a self, gun: &'a Gun, role: &'a RoleName) -> Answer<'a, Option<StoredFile>> {
        self.storage.current(gun, role)
    }

    fn by_hash<'a>(
        &'a self,
        gun: &'a Gun,
        role: &'a RoleName,
        sha256: &'a [u8; 32],
    ) -> Answer<'a, Option<StoredFile>> {
        let name = Name { gun: gun.clone(), role: role.clone(), which: Which::Hash(*sha256) };
        Box::pin(self.find(name, self.storage.by_hash(gun, role, sha256)))
    }

    fn by_version<'a>(
        &'a self,
        gun: &'a Gun,
        role: &'a RoleName,
        version: Version,
    ) -> Answer<'a, Option<StoredFile>> {
        let reading = self.storage.by_version(gun, role, version);
        // One that is given up and begun anew has a version twice.
        if role.is_delegation() {
            return reading;
        }
        let name = Name { gun: gun.clone(), role: role.clone(), which: Which::Version(version) };
        Box::pin(self.find(name, reading))
    }

    fn heads<'a>(&'a self, gun: &'a Gun) -> Answer<'a, BTreeMap<RoleName, Head>> {
        self.storage.heads(gun)
    }

    fn publish<'a>(&'a self, gun: &'a Gun, change: &'a Change, now: Timestamp) -> Answer<'a, ()> {
        self.storage.publish(gun, change, now)
    }

    fn delete<'a>(&'a self, gun: &'a Gun, now: Timestamp) -> Answer<'a, bool> {
        Box::pin(async move {
            let _forgetting = self.forgetting(Some(gun));
            self.storage.delete(gun, now).await
        })
    }

    fn changes<'a>(&'a self, query: &'a ChangeQuery) -> Answer<'a, Vec<ChangeRecord>> {
        self.storage.changes(query)
    }

    fn signing_keys<'a>(&'a self, gun: &'a Gun, role: &'a RoleName) -> Answer<'a, Vec<PublicKey>> {
        self.storage.signing_keys(gun, role)
    }

    fn add_signing_key<'a>(
        &'a self,
        gun: &'a Gun,
        role: &'a RoleName,
        key: &'a PublicKey,
        now: Timestamp,
    ) -> Answer<'a, ()> {
        self.storage.add_signing_key(gun, role, key, now)
    }

    fn expiring<'a>(&'a self, role: &'a RoleName, before: Timestamp, limit: u32) -> Answer<'a, Vec<Gun>> {
        self.storage.expiring(role, before, limit)
    }

    fn repositories<'a>(&'a self, query: &'a RepositoryQuery) -> Answer<'a, Vec<Gun>> {
        self.storage.repositories(query)
    }

    fn standing<'a>(&'a self, gun: &'a Gun) -> Answer<'a, Vec<Standing>> {
        self.storage.standing(gun)
    }

    fn prune(&self, replaced_before: Timestamp) -> Answer<'_, u64> {
        Box::pin(async move {
            let _forgetting = self.forgetting(None);
            self.storage.prune(replaced_before).await
        })
    }

    fn health(&self) -> Answer<'_, ()> {
        self.storage.health()
    }
}

/// Forgets a repository's files, or all, when it is dropped.
struct Forgetting<'a> {
    files: &'a RecentFiles,
    gun: Option<&'a Gun>,
}

impl Drop for Forgetting<'_> {
    fn drop(&mut self) {
        self.files.change(|recent| recent.forget(self.gun));
    }
}

/// What a file was asked for as.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Name {
    gun: Gun,
    role: RoleName,
    which: Which,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Which {
    Hash([u8; 32]),
    Version(Version),
}

impl Name {
    /// What keeping a file of this many bytes under it takes, about.
    fn weight(&self, length: usize) -> usize {
        let names = self.gun.as_str().len() + self.role.as_str().len();
        length.saturating_add(2 * names).saturating_add(OVERHEAD)
    }
}

/// The files, the oldest first in line to go.
#[derive(Default)]
struct Recent {
    files: HashMap<Name, Kept>,
    /// Names and when they were kept; each is once in here for each time that it was kept.
    line: VecDeque<(Name, Instant)>,
    /// What all of them weigh, and how much that may be.
    weight: usize,
    limit: usize,
    /// How often something was forgotten: a read that began before may have seen what is no longer there.
    forgotten: u64,
}

struct Kept {
    file: StoredFile,
    since: Instant,
}

impl Recent {
    fn find(&self, name: &Name, now: Instant) -> Option<StoredFile> {
        let kept = self.files.get(name).filter(|it| now.duration_since(it.since) < KEPT_FOR)?;
        Some(kept.file.clone())
    }

    fn keep(&mut self, name: Name, file: &StoredFile, since: Instant) {
        let weight = name.weight(file.content.len());
        // Another read of it may have been faster.
        if self.limit / SHARE < weight || self.find(&name, since).is_some() {
            return;
        }
        self.make_room(since, self.limit - weight);
        let kept = Kept { file: file.clone(), since };
        self.line.push_back((name.clone(), since));
        self.weight += weight;
        if let Some(before) = self.files.remove(&name) {
            self.weight -= name.weight(before.file.content.len());
        }
        self.files.insert(name, kept);
    }

    /// Lets go of whatever is over, and of the oldest until no more than this is left.
    fn make_room(&mut self, now: Instant, most: usize) {
        while let Some((_, since)) = self.line.front() {
            if self.weight <= most && now.saturating_duration_since(*since) < KEPT_FOR {
                return;
            }
            let Some((name, since)) = self.line.pop_front() else { return };
            // It may have been kept once more since.
            if self.files.get(&name).is_some_and(|it| it.since == since)
                && let Some(gone) = self.files.remove(&name)
            {
                self.weight -= name.weight(gone.file.content.len());
            }
        }
    }

    fn forget(&mut self, gun: Option<&Gun>) {
        self.forgotten = self.forgotten.wrapping_add(1);
        let goes = |name: &Name| gun.is_none_or(|it| *it == name.gun);
        self.line.retain(|(name, _)| !goes(name));
        self.files.retain(|name, _| !goes(name));
        self.weight = self.files.iter().map(|(name, it)| name.weight(it.file.content.len())).sum();
    }
}

/// For how long another server of the group may have deleted what is still answered here.
const KEPT_FOR: Duration = Duration::from_secs(2);
/// What all files may take together: a server with everything else should stay below 200 MiB.
const BYTES: usize = 32 << 20;
/// No file takes more than this part of it: long ones are read once in a while, and by few.
const SHARE: usize = 16;
/// Beside names and bytes: a file's other members, a place in the map and one in the line.
const OVERHEAD: usize = 400;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::server::storage::{NewFile, SqlStorage};
    use crate::tuf::testing::{days, now};

    /// Milliseconds that have passed.
    #[derive(Clone, Default)]
    struct Passed(Arc<AtomicU64>);

    impl Passed {
        fn advance(&self, duration: Duration) {
            self.0.fetch_add(u64::try_from(duration.as_millis()).unwrap(), Ordering::SeqCst);
        }
    }

    /// A storage of which files are kept, up to this weight, and the same without.
    async fn storages(limit: usize) -> (RecentFiles, Arc<SqlStorage>, Passed) {
        let below = Arc::new(SqlStorage::in_memory().await.unwrap());
        let (start, passed) = (Instant::now(), Passed::default());
        let watch = {
            let passed = passed.clone();
            Box::new(move || start + Duration::from_millis(passed.0.load(Ordering::SeqCst)))
        };
        (RecentFiles::holding(Arc::clone(&below) as _, limit, watch), below, passed)
    }

    fn gun(name: &str) -> Gun {
        format!("docker.io/acme/{name}").parse().unwrap()
    }

    fn file(role: RoleName, number: u64, length: usize) -> NewFile {
        NewFile::new(
            role,
            Version::new(number).unwrap(),
            days(14),
            vec![u8::try_from(number).unwrap(); length],
        )
    }

    async fn publish(storage: &dyn Storage, gun: &Gun, files: &[NewFile]) {
        let expected = storage.heads(gun).await.unwrap().get(&RoleName::TIMESTAMP).map(|it| it.sha256);
        let change = Change { expected, files: files.to_vec(), retired: Vec::new() };
        storage.publish(gun, &change, now()).await.unwrap();
    }

    async fn is_there(storage: &dyn Storage, gun: &Gun, file: &NewFile) -> bool {
        let by_hash = storage.by_hash(gun, &file.role, &file.sha256).await.unwrap();
        let by_version = storage.by_version(gun, &file.role, file.version).await.unwrap();
        assert_eq!(by_hash, by_version);
        by_hash.inspect(|it| assert_eq!(it.content, file.content)).is_some()
    }

    #[tokio::test]
    async fn another_servers_deletion_is_seen_in_a_moment() {
        let (storage, below, passed) = storages(BYTES).await;
        let (name, root) = (gun("base"), file(RoleName::ROOT, 1, 10));
        publish(&storage, &name, &[root.clone(), file(RoleName::TIMESTAMP, 1, 10)]).await;
        assert!(is_there(&storage, &name, &root).await);
        assert!(below.delete(&name, now()).await.unwrap());
        passed.advance(KEPT_FOR.checked_sub(Duration::from_millis(1)).unwrap());
        assert!(is_there(&storage, &name, &root).await);
        // What is read again is not kept for longer.
        passed.advance(Duration::from_millis(1));
        assert!(!is_there(&storage, &name, &root).await);
    }

    #[tokio::test]
    async fn what_this_server_deletes_is_gone_at_once() {
        let (storage, ..) = storages(BYTES).await;
        let (name, other, root) = (gun("base"), gun("other"), file(RoleName::ROOT, 1, 10));
        for name in [&name, &other] {
            publish(&storage, name, &[root.clone(), file(RoleName::TIMESTAMP, 1, 10)]).await;
            assert!(is_there(&storage, name, &root).await);
        }
        assert!(storage.delete(&name, now()).await.unwrap());
        assert!(!is_there(&storage, &name, &root).await);
        assert!(is_there(&storage, &other, &root).await);
        // The next one of this name begins anew.
        let root = file(RoleName::ROOT, 1, 20);
        publish(&storage, &name, &[root.clone(), file(RoleName::TIMESTAMP, 1, 20)]).await;
        assert!(is_there(&storage, &name, &root).await);
    }

    #[tokio::test]
    async fn a_read_that_began_before_a_deletion_is_not_kept() {
        let (storage, below, _) = storages(BYTES).await;
        let (name, root) = (gun("base"), file(RoleName::ROOT, 1, 10));
        publish(&storage, &name, &[root.clone(), file(RoleName::TIMESTAMP, 1, 10)]).await;
        let asked = Name { gun: name.clone(), role: RoleName::ROOT, which: Which::Hash(root.sha256) };
        let reading = async {
            let found = below.by_hash(&name, &RoleName::ROOT, &root.sha256).await;
            storage.delete(&name, now()).await.unwrap();
            found
        };
        assert!(storage.find(asked, reading).await.unwrap().is_some());
        assert!(!is_there(&storage, &name, &root).await);
    }

    #[tokio::test]
    async fn what_is_pruned_is_gone_at_once() {
        let (storage, ..) = storages(BYTES).await;
        let (name, old) = (gun("base"), file(RoleName::TIMESTAMP, 1, 10));
        publish(&storage, &name, &[file(RoleName::ROOT, 1, 10), old.clone()]).await;
        publish(&storage, &name, &[file(RoleName::TIMESTAMP, 2, 10)]).await;
        assert!(is_there(&storage, &name, &old).await);
        assert_eq!(storage.prune(days(1)).await.unwrap(), 1);
        assert!(!is_there(&storage, &name, &old).await);
    }

    #[tokio::test]
    async fn a_file_is_kept_for_its_repository_and_role_only() {
        let (storage, ..) = storages(BYTES).await;
        let (name, other, root) = (gun("base"), gun("other"), file(RoleName::ROOT, 1, 10));
        publish(&storage, &name, &[root.clone(), file(RoleName::TIMESTAMP, 2, 10)]).await;
        publish(&storage, &other, &[file(RoleName::TIMESTAMP, 2, 10)]).await;
        assert!(is_there(&storage, &name, &root).await);
        assert!(!is_there(&storage, &other, &root).await);
        for role in [RoleName::TARGETS, RoleName::TIMESTAMP, RoleName::RELEASES] {
            assert!(!is_there(&storage, &name, &NewFile { role, ..root.clone() }).await);
        }
    }

    #[tokio::test]
    async fn the_newest_file_and_what_can_begin_anew_are_always_read() {
        let (storage, below, _) = storages(BYTES).await;
        let name = gun("base");
        for number in 1..=3 {
            publish(&*below, &name, &[file(RoleName::TIMESTAMP, number, 10)]).await;
            let current = storage.current(&name, &RoleName::TIMESTAMP).await.unwrap().unwrap();
            assert_eq!(current.version.get(), number);
        }
        let first = Version::FIRST;
        for (number, length) in [(4, 10), (6, 20)] {
            let files = [file(RoleName::RELEASES, 1, length), file(RoleName::TIMESTAMP, number, 10)];
            publish(&*below, &name, &files).await;
            let found = storage.by_version(&name, &RoleName::RELEASES, first).await.unwrap().unwrap();
            assert_eq!(found.content.len(), length);
            let expected = below.heads(&name).await.unwrap().get(&RoleName::TIMESTAMP).map(|it| it.sha256);
            let files = vec![file(RoleName::TIMESTAMP, number + 1, 10)];
            let change = Change { expected, files, retired: vec![RoleName::RELEASES] };
            below.publish(&name, &change, now()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_is_kept_has_a_bound() {
        let limit = 100_000;
        let (storage, _, passed) = storages(limit).await;
        let name = gun("base");
        let mut roots = Vec::new();
        for number in 1..=100 {
            let root = file(RoleName::ROOT, number, 2000);
            publish(&storage, &name, &[root.clone(), file(RoleName::TIMESTAMP, number, 10)]).await;
            roots.push(root);
        }
        let weight = || {
            let recent = storage.recent.read().unwrap();
            let all = recent.files.iter().map(|(name, it)| name.weight(it.file.content.len())).sum::<usize>();
            assert_eq!(recent.weight, all);
            assert_eq!(recent.files.len(), recent.line.len());
            recent.weight
        };
        for root in &roots {
            storage.by_hash(&name, &root.role, &root.sha256).await.unwrap();
            assert!(weight() <= limit);
        }
        assert!(limit / 2 < weight());
        let long = file(RoleName::TARGETS, 1, limit / SHARE);
        publish(&storage, &name, &[long.clone(), file(RoleName::TIMESTAMP, 101, 10)]).await;
        let before = weight();
        assert!(is_there(&storage, &name, &long).await);
        assert_eq!(weight(), before);
        // What is over makes room, too.
        passed.advance(KEPT_FOR);
        storage.by_hash(&name, &RoleName::ROOT, &roots[0].sha256).await.unwrap();
        assert_eq!(storage.recent.read().unwrap().files.len(), 1);
        weight();
    }
}
