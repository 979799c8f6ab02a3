//! Sealed keys that are gone when the process ends: for tests, and for trying things out.

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use jiff::Timestamp;

use super::rows::{Alias, KeyRow, KeyRows, RowsError, SealedKey};
use crate::image::Gun;
use crate::tuf::{KeyId, KeyType, RoleName};

/// A table in memory.
#[derive(Debug, Default)]
pub struct MemoryRows {
    rows: Mutex<BTreeMap<KeyId, Entry>>,
}

#[derive(Debug)]
struct Entry {
    row: KeyRow,
    deleted: Option<Timestamp>,
}

impl MemoryRows {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Each call leaves the map whole, so one that panicked left nothing behind.
    fn rows(&self) -> MutexGuard<'_, BTreeMap<KeyId, Entry>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyRows for MemoryRows {
    fn insert(&self, row: KeyRow) -> BoxFuture<'_, Result<(), RowsError>> {
        let key = row.public.canonical_id().clone();
        let mut rows = self.rows();
        let added = match rows.entry(key) {
            btree_map::Entry::Occupied(there) => Err(RowsError::Exists { key: there.key().clone() }),
            btree_map::Entry::Vacant(place) => {
                place.insert(Entry { row, deleted: None });
                Ok(())
            }
        };
        ready(added).boxed()
    }

    fn find<'a>(&'a self, key: &'a KeyId) -> BoxFuture<'a, Result<Option<KeyRow>, RowsError>> {
        let rows = self.rows();
        let found = rows.get(key).filter(|it| it.deleted.is_none()).map(|it| it.row.clone());
        ready(Ok(found)).boxed()
    }

    fn find_unused<'a>(
        &'a self,
        gun: &'a Gun,
        role: &'a RoleName,
        key_type: &'a KeyType,
    ) -> BoxFuture<'a, Result<Option<KeyRow>, RowsError>> {
        let rows = self.rows();
        let fitting = rows.values().filter(|it| it.deleted.is_none() && it.row.last_used.is_none()).filter(
            |Entry { row, .. }| row.gun == *gun && row.role == *role && row.public.key_type() == key_type,
        );
        let oldest = fitting.min_by_key(|it| it.row.created).map(|it| it.row.clone());
        ready(Ok(oldest)).boxed()
    }

    fn mark_used<'a>(&'a self, key: &'a KeyId, now: Timestamp) -> BoxFuture<'a, Result<(), RowsError>> {
        if let Some(entry) = self.rows().get_mut(key) {
            entry.row.last_used = Some(now);
        }
        ready(Ok(())).boxed()
    }

    fn delete<'a>(&'a self, key: &'a KeyId, now: Timestamp) -> BoxFuture<'a, Result<bool, RowsError>> {
        let mut rows = self.rows();
        let there = rows.get_mut(key).filter(|it| it.deleted.is_none());
        let deleted = there.map(|it| it.deleted = Some(now)).is_some();
        ready(Ok(deleted)).boxed()
    }

    fn sealed_under<'a>(
        &'a self,
        alias: &'a Alias,
        after: Option<&'a KeyId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<KeyRow>, RowsError>> {
        let rows = self.rows();
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let fitting = rows.range((start, Bound::Unbounded)).map(|(_, it)| &it.row);
        let page = fitting.filter(|it| it.sealed.alias == *alias).take(limit).cloned().collect();
        ready(Ok(page)).boxed()
    }

    fn aliases(&self) -> BoxFuture<'_, Result<Vec<Alias>, RowsError>> {
        let aliases: BTreeSet<_> = self.rows().values().map(|it| it.row.sealed.alias.clone()).collect();
        ready(Ok(aliases.into_iter().collect())).boxed()
    }

    fn reseal<'a>(
        &'a self,
        key: &'a KeyId,
        read: &'a SealedKey,
        resealed: SealedKey,
    ) -> BoxFuture<'a, Result<bool, RowsError>> {
        let mut rows = self.rows();
        let same = rows.get_mut(key).filter(|it| it.row.sealed == *read);
        let replaced = same.map(|it| it.row.sealed = resealed).is_some();
        ready(Ok(replaced)).boxed()
    }

    fn health(&self) -> BoxFuture<'_, Result<(), RowsError>> {
        ready(Ok(())).boxed()
    }
}
