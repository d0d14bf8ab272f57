//! A database in memory that forgets what was not synced: for simulation and tests.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::engine::{Batch, Column, Engine, EngineError, KeyRange, Pairs, Read};

type Tables = BTreeMap<Column, BTreeMap<Vec<u8>, Vec<u8>>>;

/// See the module. Shared, so that a simulation can keep it while the store on it is dropped in a crash.
#[derive(Debug, Default)]
pub struct MemoryEngine {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Copied on the first write after a snapshot, which keeps the old one.
    tables: Arc<Tables>,
    /// For each batch since the last sync, what undoes it, in order of writing.
    unsynced: Vec<Batch<'static>>,
    /// What the next writes and syncs report.
    failure: Option<EngineError>,
}

impl MemoryEngine {
    /// An empty database.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Loses power: all but the first `survive(batches)` of the batches that were not synced are undone.
    pub fn crash(&self, survive: impl FnOnce(usize) -> usize) {
        let mut inner = self.lock();
        let kept = survive(inner.unsynced.len()).min(inner.unsynced.len());
        let lost = inner.unsynced.split_off(kept);
        inner.unsynced.clear();
        inner.failure = None;
        let tables = Arc::make_mut(&mut inner.tables);
        for undo in lost.into_iter().rev() {
            apply(tables, undo);
        }
    }

    /// Lets writes and syncs fail from now on; none to end it.
    pub fn set_failure(&self, failure: Option<EngineError>) {
        self.lock().failure = failure;
    }

    /// Changes what is stored behind the store's back, durably: to see damage noticed.
    pub fn damage(&self, column: Column, key: &[u8], value: Option<Vec<u8>>) {
        let mut damage = Batch::default();
        damage.change(column, key, value);
        apply(Arc::make_mut(&mut self.lock().tables), damage);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tables(&self) -> Arc<Tables> {
        Arc::clone(&self.lock().tables)
    }
}

/// Makes the changes and returns those that undo them.
fn apply(tables: &mut Tables, batch: Batch<'_>) -> Batch<'static> {
    let mut undo = Batch::default();
    for (column, key, value) in batch.changes {
        let table = tables.entry(column).or_default();
        let key = key.into_owned();
        let old = match value {
            Some(value) => table.insert(key.clone(), value.into_owned()),
            None => table.remove(&key),
        };
        undo.change(column, key, old);
    }
    undo.changes.reverse();
    undo
}

impl Read for Arc<Tables> {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        Ok(self.as_ref().get(&column).and_then(|table| table.get(key)).cloned())
    }

    fn scan(&self, column: Column, range: KeyRange) -> Pairs<'_> {
        let end = range.to.map_or(Bound::Unbounded, Bound::Excluded);
        let empty = matches!(&end, Bound::Excluded(end) if *end <= range.from);
        let Some(table) = self.as_ref().get(&column).filter(|_| !empty) else {
            return Box::new(std::iter::empty());
        };
        let pairs = table.range((Bound::Included(range.from), end));
        let owned = |(key, value): (&Vec<u8>, &Vec<u8>)| Ok((key.clone(), value.clone()));
        if range.backwards { Box::new(pairs.rev().map(owned)) } else { Box::new(pairs.map(owned)) }
    }
}

impl Read for MemoryEngine {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.tables().get(column, key)
    }

    fn scan(&self, column: Column, range: KeyRange) -> Pairs<'_> {
        let pairs: Vec<_> = self.tables().scan(column, range).collect();
        Box::new(pairs.into_iter())
    }
}

impl Engine for MemoryEngine {
    fn write(&self, batch: Batch<'_>) -> Result<(), EngineError> {
        let mut inner = self.lock();
        if let Some(failure) = &inner.failure {
            return Err(failure.clone());
        }
        let undo = apply(Arc::make_mut(&mut inner.tables), batch);
        inner.unsynced.push(undo);
        Ok(())
    }

    fn clear(&self, column: Column) -> Result<(), EngineError> {
        let tables = self.tables();
        let keys = tables.as_ref().get(&column).into_iter().flat_map(BTreeMap::keys);
        let mut batch = Batch::default();
        keys.for_each(|key| batch.delete(column, key.as_slice()));
        self.write(batch)
    }

    fn sync(&self) -> Result<(), EngineError> {
        let mut inner = self.lock();
        inner.unsynced.clear();
        inner.failure.clone().map_or(Ok(()), Err)
    }

    fn snapshot(&self) -> Box<dyn Read + Send + Sync + '_> {
        Box::new(self.tables())
    }
}
