//! The port through which the ledger reads a state, and the change that a block makes to it.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::entry::StateValue;
use crate::error::StateError;
use crate::key::StateKey;

/// Reads the state as it is before a block. Storage implements it over its column family of the same bytes.
///
/// One state is one moment: two reads of a key during the application of a block give the same bytes.
pub trait StateRead {
    /// The value bytes of the entry with these key bytes.
    ///
    /// **Errors**: [`StateError::Read`] if the store fails. That an entry is absent is no error.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// The values of many entries, one for each key, in the order of the keys. A store that can look them up side by side
    /// overrides this: nearly all of what a look-up costs is waiting.
    ///
    /// **Errors**: as [`StateRead::get`].
    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StateError> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    /// The entries whose key bytes begin with `prefix` and come behind `after`, in the order of their key bytes; at
    /// most `limit`. `after` need not be the key of an entry.
    ///
    /// **Errors**: as [`StateRead::get`].
    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<EntryBytes>, StateError>;
}

impl<S: StateRead + ?Sized> StateRead for &S {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        (**self).get(key)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StateError> {
        (**self).get_many(keys)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<EntryBytes>, StateError> {
        (**self).scan(prefix, after, limit)
    }
}

/// Key bytes and value bytes of an entry.
pub type EntryBytes = (Vec<u8>, Vec<u8>);

/// What a block changes: key bytes to new value bytes, none for an entry that goes.
pub type StateDelta = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A state in memory, for tests, simulation and tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryState {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl MemoryState {
    /// A state with these entries.
    pub fn new(entries: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Self {
        MemoryState { entries: entries.into_iter().collect() }
    }

    /// Makes the change of one block.
    pub fn apply(&mut self, delta: &StateDelta) {
        for (key, value) in delta {
            match value {
                Some(value) => self.entries.insert(key.clone(), value.clone()),
                None => self.entries.remove(key),
            };
        }
    }

    /// All entries in the order of their key bytes.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries.iter().map(|(key, value)| (key.as_slice(), value.as_slice()))
    }

    /// One entry, decoded.
    ///
    /// **Errors**: [`StateError::Corrupt`].
    pub fn value(&self, key: &StateKey) -> Result<Option<StateValue>, StateError> {
        self.entries.get(&key.to_bytes()).map(|bytes| StateValue::from_bytes(key, bytes)).transpose()
    }

    /// Sets one entry.
    pub fn insert(&mut self, key: &StateKey, value: &StateValue) {
        self.entries.insert(key.to_bytes(), value.to_bytes());
    }
}

impl StateRead for MemoryState {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.entries.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<EntryBytes>, StateError> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let entries = self.entries.range::<[u8], _>((from, Bound::Unbounded));
        let entries = entries.take_while(|(key, _)| key.starts_with(prefix)).take(limit);
        Ok(entries.map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}
