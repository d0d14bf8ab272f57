//! The node's database as the index's store: a column of its own beside blocks and state.

use std::ops::Range;

use carat_storage::StoreError;
use carat_storage::store::HistoryColumn;

use crate::query::Order;
use crate::store::{Change, HistoryError, HistoryStore, Pair};

impl HistoryStore for HistoryColumn {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, HistoryError> {
        HistoryColumn::get(self, key).map_err(failed)
    }

    fn write(&self, batch: Vec<Change>) -> Result<(), HistoryError> {
        HistoryColumn::write(self, batch).map_err(failed)
    }

    fn scan(&self, range: Range<Vec<u8>>, order: Order, limit: usize) -> Result<Vec<Pair>, HistoryError> {
        HistoryColumn::scan(self, range, order == Order::Descending, limit).map_err(failed)
    }
}

fn failed(error: StoreError) -> HistoryError {
    HistoryError::Store(Box::new(error))
}
