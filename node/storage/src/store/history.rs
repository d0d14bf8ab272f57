//! The column of the index of past transactions, as `carat-history` sees it.

use std::ops::Range;
use std::sync::Arc;

use super::engine::{Batch, Column, KeyRange, Pair};
use super::{Store, StoreError};

/// Keys that are removed with one write.
const CLEARED_AT_A_TIME: usize = 10_000;

/// A sorted map. What is written here is not synced on the way: the index can be built again from the blocks.
#[derive(Clone)]
pub struct HistoryColumn {
    store: Arc<Store>,
}

impl HistoryColumn {
    pub(super) fn new(store: Arc<Store>) -> Self {
        HistoryColumn { store }
    }

    /// The value of a key.
    ///
    /// **Errors**: the database's.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.value(Column::History, key)
    }

    /// Sets the keys that have a value and removes those that have none: all, or nothing.
    ///
    /// **Errors**: the database's; nothing more is written afterwards.
    pub fn write(&self, changes: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        changes.into_iter().for_each(|(key, value)| batch.change(Column::History, key, value));
        self.store.write("write the history", batch)
    }

    /// The first `limit` pairs of `range`, or from its end backwards.
    ///
    /// **Errors**: the database's.
    pub fn scan(
        &self,
        range: Range<Vec<u8>>,
        backwards: bool,
        limit: usize,
    ) -> Result<Vec<Pair>, StoreError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let range = KeyRange { from: range.start, to: Some(range.end), backwards };
        let pairs = self.store.engine.scan(Column::History, range).take(limit);
        pairs.map(|pair| self.store.settled("read the history", pair)).collect()
    }

    /// Removes everything in it. A crash leaves a part, which the next call removes.
    ///
    /// **Errors**: the database's.
    pub fn clear(&self) -> Result<(), StoreError> {
        loop {
            let keys = self.scan(Vec::new()..vec![0xff], false, CLEARED_AT_A_TIME)?;
            if keys.is_empty() {
                return Ok(());
            }
            self.write(keys.into_iter().map(|(key, _)| (key, None)).collect())?;
        }
    }
}
