//! Reading what the next transactions are sure to use, many entries at a time.

use super::{Overlay, is_listed};
use crate::error::StateError;
use crate::key::StateKey;

/// Entries to be read.
#[derive(Default)]
pub(super) struct Wanted {
    /// Key bytes. Those behind `cells` are left from before, so that their room is used again.
    keys: Vec<Vec<u8>>,
    /// The empty cells that wait for them.
    cells: Vec<usize>,
}

impl Overlay<'_> {
    /// Reads the entries that `visit` names for each of these transactions.
    pub(crate) fn preload<T>(
        &mut self,
        transactions: &[T],
        visit: impl Fn(&T, &mut dyn FnMut(&StateKey)),
    ) -> Result<(), StateError> {
        let mut wanted = std::mem::take(&mut self.wanted);
        for transaction in transactions {
            visit(transaction, &mut |key| self.want(key, &mut wanted));
        }
        let read = self.read(&mut wanted);
        self.wanted = wanted;
        read
    }

    fn want(&mut self, key: &StateKey, wanted: &mut Wanted) {
        let hash = self.index.hash(key);
        let first = self.index.first(hash);
        // What is listed by owner is read one by one.
        if self.find(first, key).is_none() && !is_listed(key) {
            let cell = self.add_cell(key, hash, first);
            wanted.push(cell, |bytes| key.append_to(bytes));
        }
    }

    fn read(&mut self, wanted: &mut Wanted) -> Result<(), StateError> {
        let keys = wanted.keys.get(..wanted.cells.len()).unwrap_or_default();
        let values = self.state.get_many(keys)?;
        if values.len() != keys.len() {
            return Err(StateError::Inconsistent("the store answered for another number of keys"));
        }
        for (cell, value) in wanted.cells.drain(..).zip(values) {
            self.fill(cell, value.as_deref())?;
        }
        Ok(())
    }
}

impl Wanted {
    fn push(&mut self, cell: usize, append_key: impl FnOnce(&mut Vec<u8>)) {
        if self.keys.len() == self.cells.len() {
            self.keys.push(Vec::new());
        }
        if let Some(bytes) = self.keys.get_mut(self.cells.len()) {
            bytes.clear();
            append_key(bytes);
        }
        self.cells.push(cell);
    }
}
