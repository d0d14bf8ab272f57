//! The state that the index itself has come to: a copy of the ledger's, moved forward block by block.
//!
//! The copy lets the index apply each block again and so learn what every operation changed, at any time and
//! from blocks alone: validators keep envelopes and results, not entries before and after. The same copy
//! answers questions about the present that the ledger's own store has no order for, and its answers fit the
//! lists of the past to the block.
//!
//! **Source**: ledger specification 0.8.

use std::cell::RefCell;
use std::collections::BTreeMap;

use carat_ledger::{StateDelta, StateError, StateKey, StateRead, StateValue};
use stellar_xdr::LedgerEntry;

use crate::asset_stats::{self, AssetStats};
use crate::keys;
use crate::query::Order;
use crate::state_index;
use crate::store::{Change, HistoryError, HistoryStore, Pair};

/// The state before a block. Remembers what was read: all that a block changes it has read before.
pub(crate) struct StateBefore<'a> {
    store: &'a dyn HistoryStore,
    read: RefCell<BTreeMap<Vec<u8>, Option<Vec<u8>>>>,
}

impl<'a> StateBefore<'a> {
    pub(crate) fn new(store: &'a dyn HistoryStore) -> Self {
        StateBefore { store, read: RefCell::default() }
    }

    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, HistoryError> {
        if let Some(value) = self.read.borrow().get(key) {
            return Ok(value.clone());
        }
        let value = self.store.get(&keys::state(key))?;
        self.read.borrow_mut().insert(key.to_vec(), value.clone());
        Ok(value)
    }

    /// Adds to `batch` what a block changes: entries, the rows that lead to them, the figures of assets.
    ///
    /// **Errors**: the database cannot be read or holds damaged values.
    pub(crate) fn changes(&self, delta: &StateDelta, batch: &mut Vec<Change>) -> Result<(), HistoryError> {
        let mut assets: BTreeMap<Vec<u8>, AssetStats> = BTreeMap::new();
        for (key, value) in delta {
            batch.push((keys::state(key), value.clone()));
            let before = entry_of(key, self.value(key)?.as_deref())?;
            let after = entry_of(key, value.as_deref())?;
            let rows =
                |entry: &Option<LedgerEntry>| entry.as_ref().map(state_index::rows).unwrap_or_default();
            let (old, new) = (rows(&before), rows(&after));
            let gone = old.keys().filter(|row| !new.contains_key(*row));
            batch.extend(gone.map(|row| (row.clone(), None)));
            batch.extend(
                new.into_iter().filter(|(row, _)| !old.contains_key(row)).map(|(row, v)| (row, Some(v))),
            );
            for (entry, sign) in [(&before, -1), (&after, 1)] {
                let Some(entry) = entry else { continue };
                for (asset, part) in asset_stats::parts(entry) {
                    assets.entry(state_index::asset_stats(&asset)).or_default().add(&part, sign);
                }
            }
        }
        for (row, change) in assets {
            let mut stats = match self.store.get(&row)? {
                Some(bytes) => AssetStats::from_stored(&bytes)?,
                None => AssetStats::default(),
            };
            stats.add(&change, 1);
            let value = (stats != AssetStats::default()).then(|| stats.to_stored());
            batch.push((row, value));
        }
        Ok(())
    }
}

impl StateRead for StateBefore<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.value(key).map_err(|error| StateError::Read(error.into()))
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StateError> {
        let mut range = keys::with_prefix(&keys::state(prefix));
        if let Some(after) = after.filter(|after| *after >= prefix) {
            // The least key behind another is that key with a zero.
            range.start = [keys::state(after).as_slice(), &[0]].concat();
        }
        let pairs = self.store.scan(range, Order::Ascending, limit);
        let pairs = pairs.map_err(|error| StateError::Read(error.into()))?;
        Ok(pairs.into_iter().map(|(key, value)| (key.get(1..).unwrap_or_default().to_vec(), value)).collect())
    }
}

/// The entry of the wire format under a state key; none for kinds of our own.
fn entry_of(key: &[u8], value: Option<&[u8]>) -> Result<Option<LedgerEntry>, HistoryError> {
    let Some(value) = value else { return Ok(None) };
    let damaged = |error: StateError| HistoryError::damaged("a state entry", error);
    let key = StateKey::from_bytes(key).map_err(damaged)?;
    match StateValue::from_bytes(&key, value).map_err(damaged)? {
        StateValue::Ledger(entry) => Ok(Some(entry)),
        _ => Ok(None),
    }
}

/// Reads a state entry of the wire format.
///
/// **Errors**: the database cannot be read or holds a damaged value.
pub(crate) fn read(store: &dyn HistoryStore, key: &StateKey) -> Result<Option<LedgerEntry>, HistoryError> {
    let key = key.to_bytes();
    let value = store.get(&keys::state(&key))?;
    entry_of(&key, value.as_deref())
}

/// The state entry in a row of the index's state.
pub(crate) fn entry_of_row(row: &[u8], value: &[u8]) -> Result<Option<LedgerEntry>, HistoryError> {
    entry_of(row.get(1..).unwrap_or_default(), Some(value))
}

/// Entries of the state that are read at a time.
const CHUNK: usize = 10_000;

/// The whole state, in the order of its keys. Ends early where the database fails; `failed` then says why.
pub(crate) fn all<'a>(
    store: &'a dyn HistoryStore,
    failed: &'a mut Option<HistoryError>,
) -> impl Iterator<Item = Pair> + 'a {
    let mut range = keys::with_prefix(&keys::state(&[]));
    let mut chunk = Vec::new().into_iter();
    std::iter::from_fn(move || {
        if chunk.len() == 0 {
            match store.scan(range.clone(), Order::Ascending, CHUNK) {
                Ok(pairs) => chunk = pairs.into_iter(),
                Err(error) => _ = failed.insert(error),
            }
        }
        let (row, value) = chunk.next()?;
        range.start = [row.as_slice(), &[0]].concat();
        Some((row.get(1..).unwrap_or_default().to_vec(), value))
    })
}
