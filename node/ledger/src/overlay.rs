//! Changes on top of a state, in nested levels that can each be undone: block, transaction, operation.
//!
//! Every entry is decoded once and kept in a numbered cell; a level is a mark in a log of what cells held before.
//! Undoing a level replays its part of the log backwards; what a level changed is read off the same log. So a
//! level costs nothing by itself, and each entry it touches costs one copy.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use carat_types::PublicKey;
use stellar_xdr::{
    AccountEntry, Asset, LedgerEntry, LedgerEntryData, LedgerEntryExt, LedgerKey, TrustLineAsset,
    TrustLineEntry,
};

use crate::entry::{StateValue, Totals};
use crate::error::StateError;
use crate::key::StateKey;
use crate::state::StateRead;

mod books;
mod differences;
mod index;
mod preload;

use books::Books;
pub use differences::Differences;
use index::Index;
use preload::Wanted;

/// An entry before and after a transaction or operation; none where it does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryChange {
    key: LedgerKey,
    before: Value,
    after: Value,
}

impl EntryChange {
    /// The entry's name.
    pub fn key(&self) -> &LedgerKey {
        &self.key
    }

    /// The entry before.
    pub fn before(&self) -> Option<&LedgerEntry> {
        ledger_entry(&self.before)
    }

    /// The entry after.
    pub fn after(&self) -> Option<&LedgerEntry> {
        ledger_entry(&self.after)
    }
}

/// Where a level of changes begins. Ended by [`Overlay::commit`] or [`Overlay::rollback`], innermost first.
#[derive(Debug)]
#[must_use = "a level that is neither committed nor rolled back leaks into the one around it"]
pub struct Level {
    start: usize,
    outer_start: usize,
}

type Value = Option<Arc<StateValue>>;

#[derive(Debug)]
struct Cell {
    key: StateKey,
    original: Value,
    current: Value,
    /// Position of the cell's latest entry in the log, plus one; 0 if there is none.
    logged: usize,
    /// The next cell with the same hash; see [`Index`].
    same_hash: Option<usize>,
}

#[derive(Debug)]
struct Undo {
    cell: usize,
    before: Value,
    logged_before: usize,
}

/// A state with changes on top.
pub struct Overlay<'s> {
    state: &'s dyn StateRead,
    ledger_seq: u32,
    totals: Totals,
    index: Index,
    cells: Vec<Cell>,
    /// The cell that was asked for last.
    last_used: usize,
    log: Vec<Undo>,
    level_start: usize,
    books: Books,
    /// The cells of kinds that are listed by owner, by key bytes: offers and lines of pool shares.
    listed: BTreeMap<Vec<u8>, usize>,
    /// For key bytes on their way to the state.
    scratch: Vec<u8>,
    /// For keys on their way to the state many at a time.
    wanted: Wanted,
}

impl<'s> Overlay<'s> {
    /// No changes yet, for a block in ledger `ledger_seq`, which is noted in every entry that changes.
    ///
    /// **Errors**: the state has no totals or cannot be read.
    pub fn new(state: &'s dyn StateRead, ledger_seq: u32) -> Result<Self, StateError> {
        let bytes = state.get(&StateKey::Totals.to_bytes())?.ok_or(StateError::NoTotals)?;
        let StateValue::Totals(totals) = StateValue::from_bytes(&StateKey::Totals, &bytes)? else {
            return Err(StateError::NoTotals);
        };
        Ok(Overlay {
            state,
            ledger_seq,
            totals,
            index: Index::default(),
            cells: Vec::new(),
            last_used: 0,
            log: Vec::new(),
            level_start: 0,
            books: Books::default(),
            listed: BTreeMap::new(),
            scratch: Vec::new(),
            wanted: Wanted::default(),
        })
    }

    /// Makes room for the entries that so many transactions use, so that nothing is moved while they are applied.
    pub fn reserve(&mut self, transactions: usize) {
        // Two accounts and two lines, or a book; what takes more grows as it goes.
        let cells = transactions.saturating_mul(4);
        self.index.reserve(cells);
        self.cells.reserve(cells);
        self.log.reserve(cells);
    }

    /// Puts other parameters into force, at the start of a block: what comes after sees them as having been there before.
    pub(crate) fn change_parameters(&mut self, totals: Totals) -> Result<(), StateError> {
        self.totals = totals;
        self.put(&StateKey::Totals, StateValue::Totals(totals))
    }

    /// The ledger's totals as they were before the block, with the parameters of the block.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The ledger that the block belongs to.
    pub fn ledger_seq(&self) -> u32 {
        self.ledger_seq
    }

    /// Begins a level inside the present one.
    pub fn begin(&mut self) -> Level {
        let level = Level { start: self.log.len(), outer_start: self.level_start };
        self.level_start = level.start;
        level
    }

    /// Ends a level; its changes become part of the level around it.
    pub fn commit(&mut self, level: Level) {
        self.level_start = level.outer_start;
    }

    /// Ends a level and undoes its changes.
    pub fn rollback(&mut self, level: Level) {
        while self.log.len() > level.start {
            let Some(undo) = self.log.pop() else { break };
            if let Some(cell) = self.cells.get_mut(undo.cell) {
                if let StateKey::Book(place) = &cell.key {
                    self.books.note(place, undo.before.as_deref());
                }
                cell.current = undo.before;
                cell.logged = undo.logged_before;
            }
        }
        self.level_start = level.outer_start;
    }

    /// What was changed since the level began, in the order of the entries' names. Entries of our own kinds, which
    /// clients do not know, are left out.
    pub fn changes(&self, level: &Level) -> Vec<EntryChange> {
        let mut firsts: BTreeMap<&LedgerKey, (&Value, &Value)> = BTreeMap::new();
        for undo in self.log.iter().skip(level.start) {
            if let Some(Cell { key: StateKey::Ledger(key), current, .. }) = self.cells.get(undo.cell) {
                firsts.entry(key).or_insert((&undo.before, current));
            }
        }
        firsts
            .into_iter()
            .filter(|(_, (before, after))| before.is_some() || after.is_some())
            .map(|(key, (before, after))| EntryChange {
                key: key.clone(),
                before: before.clone(),
                after: after.clone(),
            })
            .collect()
    }

    /// The entry with this name.
    pub fn get(&mut self, key: &StateKey) -> Result<Option<&StateValue>, StateError> {
        let cell = self.load(key)?;
        Ok(self.cells.get(cell).and_then(|cell| cell.current.as_deref()))
    }

    /// The entry with this name, to be changed.
    pub fn get_mut(&mut self, key: &StateKey) -> Result<Option<&mut StateValue>, StateError> {
        let index = self.load(key)?;
        if self.cells.get(index).is_none_or(|cell| cell.current.is_none()) {
            return Ok(None);
        }
        self.remember(index);
        let ledger_seq = self.ledger_seq;
        let value = self.cells.get_mut(index).and_then(|cell| cell.current.as_mut()).map(Arc::make_mut);
        Ok(value.map(|value| {
            if let StateValue::Ledger(entry) = value {
                entry.last_modified_ledger_seq = ledger_seq;
            }
            value
        }))
    }

    /// Sets an entry, new or not.
    pub fn put(&mut self, key: &StateKey, value: StateValue) -> Result<(), StateError> {
        self.set(key, Some(Arc::new(value)))
    }

    /// Removes an entry.
    pub fn remove(&mut self, key: &StateKey) -> Result<(), StateError> {
        self.set(key, None)
    }

    /// Adds an entry of the wire format; the extension says who pays its reserve.
    pub fn create(
        &mut self,
        key: &StateKey,
        data: LedgerEntryData,
        ext: LedgerEntryExt,
    ) -> Result<(), StateError> {
        let last_modified_ledger_seq = self.ledger_seq;
        self.put(key, StateValue::Ledger(LedgerEntry { last_modified_ledger_seq, data, ext }))
    }

    /// An entry of the wire format, to be changed.
    pub fn entry_mut(&mut self, key: &StateKey) -> Result<Option<&mut LedgerEntry>, StateError> {
        self.get_mut(key)?
            .map(|value| match value {
                StateValue::Ledger(entry) => Ok(entry),
                _ => Err(WRONG_KIND),
            })
            .transpose()
    }

    /// The names of the entries whose key bytes begin with `prefix`, in their order. Of offers and lines of pool
    /// shares alone: what one account has of them is bounded.
    pub fn listed(&mut self, prefix: &[u8]) -> Result<Vec<StateKey>, StateError> {
        let mut keys = BTreeMap::new();
        for (bytes, _) in self.state.scan(prefix, None, usize::MAX)? {
            if !self.listed.contains_key(&bytes) {
                keys.insert(bytes.clone(), StateKey::from_bytes(&bytes)?);
            }
        }
        for (bytes, cell) in self.listed.range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded)) {
            if !bytes.starts_with(prefix) {
                break;
            }
            if let Some(Cell { key, current: Some(_), .. }) = self.cells.get(*cell) {
                keys.insert(bytes.clone(), key.clone());
            }
        }
        Ok(keys.into_values().collect())
    }

    /// An account.
    pub fn account(&mut self, id: &PublicKey) -> Result<Option<&AccountEntry>, StateError> {
        self.get(&StateKey::account(id))?.map(|value| value.as_account().ok_or(WRONG_KIND)).transpose()
    }

    /// An account, to be changed.
    pub fn account_mut(&mut self, id: &PublicKey) -> Result<Option<&mut AccountEntry>, StateError> {
        self.get_mut(&StateKey::account(id))?
            .map(|value| value.as_account_mut().ok_or(WRONG_KIND))
            .transpose()
    }

    /// A trustline.
    pub fn trustline(
        &mut self,
        holder: &PublicKey,
        asset: &Asset,
    ) -> Result<Option<&TrustLineEntry>, StateError> {
        let value = self.get(&StateKey::trustline(holder, asset))?;
        value.map(|value| value.as_trustline().ok_or(WRONG_KIND)).transpose()
    }

    /// A trustline, to be changed.
    pub fn trustline_mut(
        &mut self,
        holder: &PublicKey,
        asset: &Asset,
    ) -> Result<Option<&mut TrustLineEntry>, StateError> {
        self.line_mut(&StateKey::trustline(holder, asset))
    }

    /// The line with this name, of an asset or of shares of a pool, to be changed.
    pub fn line_mut(&mut self, key: &StateKey) -> Result<Option<&mut TrustLineEntry>, StateError> {
        self.get_mut(key)?.map(|value| value.as_trustline_mut().ok_or(WRONG_KIND)).transpose()
    }

    /// What differs from the state in the end. Changes that came to nothing are forgotten.
    pub fn into_differences(self) -> Differences {
        let mut cells = self.cells;
        cells.retain(Cell::differs);
        Differences(cells)
    }

    fn set(&mut self, key: &StateKey, value: Value) -> Result<(), StateError> {
        let index = self.load(key)?;
        self.remember(index);
        if let Some(cell) = self.cells.get_mut(index) {
            if let StateKey::Book(place) = key {
                self.books.note(place, value.as_deref());
            }
            cell.current = value;
        }
        Ok(())
    }

    /// The number of the cell with this name; reads the state on first use.
    fn load(&mut self, key: &StateKey) -> Result<usize, StateError> {
        // The same account is asked for several times in a row.
        if self.cells.get(self.last_used).is_some_and(|cell| cell.key == *key) {
            return Ok(self.last_used);
        }
        let index = self.find_or_read(key)?;
        self.last_used = index;
        Ok(index)
    }

    fn find_or_read(&mut self, key: &StateKey) -> Result<usize, StateError> {
        let hash = self.index.hash(key);
        let first = self.index.first(hash);
        if let Some(index) = self.find(first, key) {
            return Ok(index);
        }
        self.scratch.clear();
        key.append_to(&mut self.scratch);
        let bytes = self.state.get(&self.scratch)?;
        let index = self.add_cell(key, hash, first);
        if is_listed(key) {
            self.listed.insert(self.scratch.clone(), index);
        }
        self.fill(index, bytes.as_deref())?;
        Ok(index)
    }

    /// An empty cell with this name, before the first with its hash.
    fn add_cell(&mut self, key: &StateKey, hash: u64, first: Option<usize>) -> usize {
        let index = self.cells.len();
        self.cells.push(Cell {
            key: key.clone(),
            original: None,
            current: None,
            logged: 0,
            same_hash: first,
        });
        self.index.put_first(hash, index);
        index
    }

    /// Puts what the state has into a new cell.
    fn fill(&mut self, index: usize, bytes: Option<&[u8]>) -> Result<(), StateError> {
        let (Some(cell), Some(bytes)) = (self.cells.get_mut(index), bytes) else { return Ok(()) };
        let value = Arc::new(StateValue::from_bytes(&cell.key, bytes)?);
        cell.original = Some(Arc::clone(&value));
        cell.current = Some(value);
        Ok(())
    }

    /// The cell with this name among those that share a hash.
    fn find(&self, first: Option<usize>, key: &StateKey) -> Option<usize> {
        let mut next = first;
        while let Some(index) = next {
            let cell = self.cells.get(index)?;
            if cell.key == *key {
                return Some(index);
            }
            next = cell.same_hash;
        }
        None
    }

    /// Whether the block has used the entry with this name.
    fn is_loaded(&self, key: &StateKey) -> bool {
        self.find(self.index.first(self.index.hash(key)), key).is_some()
    }

    /// Logs what a cell holds, unless the present level has done so already.
    fn remember(&mut self, index: usize) {
        let position = self.log.len();
        let Some(cell) = self.cells.get_mut(index) else { return };
        if cell.logged > self.level_start {
            return;
        }
        self.log.push(Undo { cell: index, before: cell.current.clone(), logged_before: cell.logged });
        cell.logged = position.saturating_add(1);
    }
}

impl Cell {
    fn differs(&self) -> bool {
        match (&self.original, &self.current) {
            // An entry that was only read shares its value with the original: no need to compare it.
            (Some(original), Some(current)) => !Arc::ptr_eq(original, current) && original != current,
            (None, None) => false,
            _ => true,
        }
    }
}

const WRONG_KIND: StateError = StateError::Inconsistent("an entry is of another kind than its key");

/// Whether the entry is of a kind that is listed by owner.
fn is_listed(key: &StateKey) -> bool {
    match key {
        StateKey::Ledger(LedgerKey::Offer(_)) => true,
        StateKey::Ledger(LedgerKey::Trustline(line)) => matches!(line.asset, TrustLineAsset::PoolShare(_)),
        _ => false,
    }
}

fn ledger_entry(value: &Value) -> Option<&LedgerEntry> {
    match value.as_deref() {
        Some(StateValue::Ledger(entry)) => Some(entry),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
