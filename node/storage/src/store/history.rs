//! The column of the index of past transactions, as `carat-history` sees it.

use std::ops::Range;
use std::sync::Arc;

use super::engine::{Batch, Column, KeyRange, Pair};
use super::{Store, StoreError};

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

    /// Sets all pairs, or none.
    ///
    /// **Errors**: the database's; nothing more is written afterwards.
    pub fn write(&self, pairs: Vec<Pair>) -> Result<(), StoreError> {
        let changes = pairs.into_iter().map(|(key, value)| (Column::History, key, Some(value)));
        self.store.write("write the history", Batch { changes: changes.collect() })
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
}
