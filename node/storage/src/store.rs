//! The store: blocks, what their execution gave, and the state after the newest of them.
//!
//! One block is one atomic batch over all columns ([`Store::commit_block`]). It is written on the way and synced
//! before the checkpoint that deletes its journal ([`Store::sync`]); a crash leaves a prefix of the blocks, and
//! the journals or the peers have the rest. What was synced and is gone all the same is noticed at the next
//! start by a mark beside the database.
//!
//! Every call of a database goes through [`engine`]; RocksDB is one engine, memory another. The keys are listed
//! in `docs/storage.md`. **Source**: consensus specification, sections 4 (J8) and 11.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use carat_ledger::{BlockOutcome, StateError, StateKey, StateRead, StateTree, Totals};
use carat_types::batch::Payload;
use carat_types::block::{Block, CertifiedBlock};
use carat_types::certificate::SealCertificate;
use carat_types::codec::{Decode, Encode};
use carat_types::evidence::Evidence;
use carat_types::header::Header;
use carat_types::message::{NewView, Signed};
use carat_types::{Digest, Epoch, LeafRule, Slot, View};

pub mod backup;
mod database;
mod durable_mark;
pub mod engine;
mod error;
mod history;
mod memory;
mod open;
mod prune;
mod put_back;
mod record;
mod rocks;
mod sealed;
mod state_cache;
#[cfg(test)]
mod tests;
mod transfer;

use crate::disk::FileDisk;
pub use engine::Memory;
use engine::{Batch, Column, Engine, EngineError, KeyRange, Pair, Read};
pub use error::StoreError;
pub use history::HistoryColumn;
pub use memory::MemoryEngine;
pub use open::Genesis;
pub use put_back::{Below, PutBack};
pub use record::{Dropped, Execution, Outcome, Tip, TransactionPlace};
use state_cache::{Found, StateCache};
pub use transfer::{Base, Transfer};

/// The version of the keys and values. Raised when an older program could misread them.
pub const VERSION: u32 = 2;

/// Pieces of evidence that are kept: each kind of lie of each of 32 liars.
pub const EVIDENCE_MAX: usize = 256;

/// An open store: one writer, any number of readers.
pub struct Store {
    engine: Arc<dyn Engine>,
    /// For messages to the operator.
    folder: PathBuf,
    /// Where the mark of the last sync stands, and the lock on the folder; none in memory.
    disk: Option<Mutex<FileDisk>>,
    /// The newest block. Held during a commit, so that commits come one after another.
    tip: Mutex<Tip>,
    /// A part of the state after the newest block.
    state_cache: StateCache,
    /// Which of the two columns for a state holds the present one.
    uses_other_state: AtomicBool,
    /// Whether there may be blocks below a fetched state.
    may_have_stranded: AtomicBool,
    /// Set by the first failed write; nothing is written afterwards.
    failed: AtomicBool,
}

/// The state after one block, which later blocks do not change.
pub struct StateSnapshot<'a> {
    folder: &'a Path,
    tip: Tip,
    column: Column,
    reader: Box<dyn Read + Send + Sync + 'a>,
}

impl Store {
    /// The newest block.
    pub fn tip(&self) -> Tip {
        *self.lock_tip()
    }

    /// Writes the next block: header, payload, outcomes, indices and state change, all or nothing. Not synced.
    ///
    /// **Errors**: a block that does not stand on the tip; the database's, after which nothing more is written.
    pub fn commit_block(&self, block: &Block, outcome: &BlockOutcome) -> Result<(), StoreError> {
        let mut tip = self.lock_tip();
        check_next(&tip, block, outcome)?;
        let totals_key = StateKey::Totals.to_bytes();
        let totals = match outcome.delta.get(&totals_key) {
            Some(changed) => changed.clone(),
            None => self.value(self.state_column(), &totals_key)?,
        };
        let totals: Totals = match totals {
            Some(bytes) => self.decode(Column::State, &bytes)?,
            None => return Err(StoreError::damaged(&self.folder, "the state has no totals")),
        };
        let mut batch = Batch::default();
        for (key, value) in &outcome.delta {
            batch.change(self.state_column(), key, value.as_ref());
        }
        let committed = put_block(&mut batch, block, &Execution::new(outcome, totals));
        self.write("write a block", batch)?;
        outcome.delta.iter().for_each(|(key, value)| self.state_cache.change(key, value));
        *tip = committed;
        Ok(())
    }

    /// Makes everything written so far durable (J8): call it before a checkpoint's journal record.
    ///
    /// **Returns** the newest block that is durable.
    ///
    /// **Errors**: the disk's; nothing more is written afterwards.
    pub fn sync(&self) -> Result<Slot, StoreError> {
        self.check_usable()?;
        let tip = self.tip();
        self.settle("sync", self.engine.sync())?;
        if let Some(disk) = &self.disk {
            let mut disk = disk.lock().unwrap_or_else(PoisonError::into_inner);
            durable_mark::write(&mut *disk, &tip).map_err(|error| {
                self.failed.store(true, Ordering::Release);
                StoreError::disk(&self.folder, "write the mark of the last sync", &error)
            })?;
        }
        Ok(tip.slot)
    }

    /// What the database keeps in memory.
    pub fn memory(&self) -> Memory {
        self.engine.memory()
    }

    /// Makes a copy of all that is stored in `folder`, which must not exist, on the same file system: the source of a
    /// [`backup`]. Commits go on meanwhile.
    ///
    /// **Errors**: the database's; the store itself is not harmed by them.
    pub fn checkpoint(&self, folder: &Path) -> Result<(), StoreError> {
        self.settled("copy the database", self.engine.checkpoint(folder))
    }

    /// A block's header.
    ///
    /// **Errors**: the database's.
    pub fn header(&self, slot: Slot) -> Result<Option<Header>, StoreError> {
        self.read(Column::Headers, &record::slot_key(slot))
    }

    /// A block as it was decided; none where only the state after it was fetched, and none that was dropped.
    ///
    /// **Errors**: the database's.
    pub fn block(&self, slot: Slot) -> Result<Option<Block>, StoreError> {
        let Some(header) = self.header(slot)? else { return Ok(None) };
        let payload: Option<Arc<Payload>> = self.read(Column::Payloads, &record::slot_key(slot))?;
        match payload {
            Some(payload) => Ok(Some(Block { header, payload })),
            // Only the state after it was fetched, or it was dropped meanwhile.
            None if self.base()?.is_some_and(|base| base.slot >= slot) => Ok(None),
            None => Err(StoreError::damaged(&self.folder, format!("block {slot} has no payload"))),
        }
    }

    /// A block with the seals that prove it; none while there are no seals.
    ///
    /// **Errors**: the database's.
    pub fn certified_block(&self, slot: Slot) -> Result<Option<CertifiedBlock>, StoreError> {
        let Some(certificate) = self.certificate(slot)? else { return Ok(None) };
        Ok(self.block(slot)?.map(|block| CertifiedBlock { block, certificate }))
    }

    /// What executing a block gave.
    ///
    /// **Errors**: the database's.
    pub fn execution(&self, slot: Slot) -> Result<Option<Execution>, StoreError> {
        self.read(Column::Executions, &record::slot_key(slot))
    }

    /// Where a transaction was applied; none for one that never was.
    ///
    /// **Errors**: the database's.
    pub fn transaction(&self, hash: &Digest) -> Result<Option<TransactionPlace>, StoreError> {
        self.read(Column::Transactions, hash.as_bytes())
    }

    /// The slot that decided a value. The null value has none.
    ///
    /// **Errors**: the database's.
    pub fn slot_of_value(&self, value: &Digest) -> Result<Option<Slot>, StoreError> {
        self.read(Column::Values, value.as_bytes())
    }

    /// The seals on a block, as far as they are known.
    ///
    /// **Errors**: the database's.
    pub fn certificate(&self, slot: Slot) -> Result<Option<SealCertificate>, StoreError> {
        self.read(Column::Certificates, &record::slot_key(slot))
    }

    /// Keeps the seals on a block, in place of those that it had.
    ///
    /// **Errors**: the database's; nothing more is written afterwards.
    pub fn put_certificate(&self, certificate: &SealCertificate) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        let key = record::slot_key(certificate.body.slot);
        batch.put(Column::Certificates, key, certificate.to_bytes());
        self.write("write a certificate", batch)
    }

    /// Keeps an accepted NEW-VIEW for ever: it is evidence.
    ///
    /// **Errors**: the database's; nothing more is written afterwards.
    pub fn put_new_view(&self, epoch: Epoch, new_view: &Signed<NewView>) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        batch.put(Column::NewViews, record::view_key(epoch, new_view.body.view), new_view.to_bytes());
        self.write("write a NEW-VIEW", batch)
    }

    /// The NEW-VIEW that this validator accepted for a view.
    ///
    /// **Errors**: the database's.
    pub fn new_view(&self, epoch: Epoch, view: View) -> Result<Option<Signed<NewView>>, StoreError> {
        self.read(Column::NewViews, &record::view_key(epoch, view))
    }

    /// Keeps evidence against a validator for ever, durably. A validator names each liar once for each kind of lie, but
    /// again after every restart: beyond [`EVIDENCE_MAX`] pieces only a contradicted FAST value is kept.
    ///
    /// **Errors**: the database's; nothing more is written afterwards.
    pub fn put_evidence(&self, evidence: &Evidence) -> Result<(), StoreError> {
        if !matches!(evidence, Evidence::Contradiction(_)) && self.evidence()?.len() >= EVIDENCE_MAX {
            return Ok(());
        }
        let mut batch = Batch::default();
        let key = [record::EVIDENCE_PREFIX, evidence.id().as_bytes()].concat();
        batch.put(Column::Meta, key, evidence.to_bytes());
        self.write("write evidence", batch)?;
        self.sync().map(|_| ())
    }

    /// All evidence that was kept.
    ///
    /// **Errors**: the database's.
    pub fn evidence(&self) -> Result<Vec<Evidence>, StoreError> {
        let prefix = record::EVIDENCE_PREFIX;
        let range = KeyRange { from: prefix.to_vec(), to: end_of_prefix(prefix), backwards: false };
        let kept = self.engine.scan(Column::Meta, range);
        kept.map(|pair| {
            let (_, bytes) = self.settled("read evidence", pair)?;
            self.decode(Column::Meta, &bytes)
        })
        .collect()
    }

    /// The state after the newest block, kept as it is now.
    ///
    /// **Errors**: the database's.
    pub fn snapshot(&self) -> Result<StateSnapshot<'_>, StoreError> {
        let reader = self.engine.snapshot();
        let bytes = self.settled("read the tip", reader.get(Column::Meta, record::TIP_KEY))?;
        let bytes = bytes.ok_or_else(|| StoreError::damaged(&self.folder, "there is no tip"))?;
        let other = self.settled("read the tip", reader.get(Column::Meta, record::STATE_COLUMN_KEY))?;
        let column = transfer::state_column(other.as_deref() == Some(&[1]));
        Ok(StateSnapshot { folder: &self.folder, tip: self.decode(Column::Meta, &bytes)?, column, reader })
    }

    /// All entries of the state, in the order of their keys.
    pub fn state_entries(&self) -> impl Iterator<Item = Result<Pair, StoreError>> + '_ {
        self.entries_of(self.state_column())
    }

    fn entries_of(&self, column: Column) -> impl Iterator<Item = Result<Pair, StoreError>> + '_ {
        let entries = self.engine.scan(column, KeyRange::default());
        entries.map(|entry| self.settled("read the state", entry))
    }

    /// The entries of the state whose keys begin with `prefix`, in the order of their keys.
    ///
    /// **Errors**: the database's.
    pub fn state_entries_with(&self, prefix: &[u8]) -> Result<Vec<Pair>, StoreError> {
        let range = KeyRange { from: prefix.to_vec(), to: end_of_prefix(prefix), backwards: false };
        let entries = self.engine.scan(self.state_column(), range);
        entries.map(|entry| self.settled("read the state", entry)).collect()
    }

    /// The tree over the state, built from its entries: the check that the state is the one of the newest block.
    /// For the start, before anything is committed.
    ///
    /// **Errors**: the database's; [`StoreError::Damaged`] if the root is not that of the tip's header.
    pub fn state_tree(&self, leaves: &LeafRule) -> Result<StateTree, StoreError> {
        let tree = self.tree_over(self.state_column(), leaves)?;
        let tip = self.tip().slot;
        let expected = self.header(tip)?.map(|header| header.state_root);
        if expected != Some(tree.root()) {
            let expected = expected.unwrap_or_default();
            let what =
                format!("the state has root {}, the header of block {tip} says {expected}", tree.root());
            return Err(StoreError::damaged(&self.folder, what));
        }
        Ok(tree)
    }

    fn tree_over(&self, column: Column, leaves: &LeafRule) -> Result<StateTree, StoreError> {
        let mut failure = None;
        let entries =
            self.entries_of(column).map_while(|entry| entry.map_err(|error| failure = Some(error)).ok());
        let tree = StateTree::build(leaves, entries);
        failure.map_or(Ok(tree), Err)
    }

    /// The column that `carat-history` keeps its index in.
    pub fn history(self: &Arc<Self>) -> HistoryColumn {
        HistoryColumn::new(Arc::clone(self))
    }

    fn lock_tip(&self) -> MutexGuard<'_, Tip> {
        self.tip.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn value(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.settled("read", self.engine.get(column, key))
    }

    fn read<T: Decode>(&self, column: Column, key: &[u8]) -> Result<Option<T>, StoreError> {
        self.value(column, key)?.map(|bytes| self.decode(column, &bytes)).transpose()
    }

    fn decode<T: Decode>(&self, column: Column, bytes: &[u8]) -> Result<T, StoreError> {
        T::from_bytes(bytes).map_err(|error| StoreError::undecodable(&self.folder, column, error))
    }

    fn write(&self, doing: &'static str, batch: Batch<'_>) -> Result<(), StoreError> {
        self.check_usable()?;
        self.settle(doing, self.engine.write(batch))
    }

    fn check_usable(&self) -> Result<(), StoreError> {
        if self.failed.load(Ordering::Acquire) {
            return Err(StoreError::Closed { folder: self.folder.clone() });
        }
        Ok(())
    }

    /// After a failed write nothing more is written: a later block must not become durable without an earlier one.
    fn settle(&self, doing: &'static str, outcome: Result<(), EngineError>) -> Result<(), StoreError> {
        if outcome.is_err() {
            self.failed.store(true, Ordering::Release);
        }
        self.settled(doing, outcome)
    }

    fn settled<T>(&self, doing: &'static str, outcome: Result<T, EngineError>) -> Result<T, StoreError> {
        outcome.map_err(|error| StoreError::engine(&self.folder, doing, error))
    }
}

/// The first key behind all keys that begin with `prefix`; none if there is no such key.
fn end_of_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

/// The entries of the state under a prefix, behind a key: the port that the ledger finds offers by.
fn scan_state(
    reader: &(impl Read + ?Sized),
    column: Column,
    prefix: &[u8],
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<Pair>, StateError> {
    let from = match after {
        // The least key behind another is that key with a zero.
        Some(after) if after >= prefix => [after, &[0]].concat(),
        _ => prefix.to_vec(),
    };
    let range = KeyRange { from, to: end_of_prefix(prefix), backwards: false };
    let pairs = reader.scan(column, range).take(limit);
    pairs.map(|pair| pair.map_err(|error| StateError::Read(error.into()))).collect()
}

/// The last guard before a block is stored; a failure is a defect of the caller.
fn check_next(tip: &Tip, block: &Block, outcome: &BlockOutcome) -> Result<(), StoreError> {
    let header = &block.header;
    let checks = [
        (header.slot == tip.slot.next(), "another slot is next"),
        (header.parent == tip.header, "its parent is another block"),
        (header.batch == block.payload.value.digest(), "its payload is another value"),
        (header.outcomes_root == outcome.outcomes_root, "its outcomes are others"),
        (header.drops_root == outcome.drops_root, "its drops are others"),
    ];
    match checks.iter().find(|(holds, _)| !holds) {
        Some((_, what)) => Err(StoreError::OutOfOrder { tip: tip.slot, seen: header.slot, what }),
        None => Ok(()),
    }
}

/// Everything of a block but its state change. **Returns** the new tip.
fn put_block(batch: &mut Batch<'_>, block: &Block, execution: &Execution) -> Tip {
    let header = &block.header;
    put_rows(batch, block, execution);
    if *block.payload != Payload::null() {
        batch.put(Column::Values, header.batch.0, header.slot.to_bytes());
    }
    let tip = Tip { slot: header.slot, header: header.hash() };
    batch.put(Column::Meta, record::TIP_KEY, tip.to_bytes());
    tip
}

/// A block, its outcomes, and where its transactions are found.
fn put_rows(batch: &mut Batch<'_>, block: &Block, execution: &Execution) {
    let header = &block.header;
    let (slot, key) = (header.slot, record::slot_key(header.slot));
    batch.put(Column::Headers, key, header.to_bytes());
    batch.put(Column::Payloads, key, block.payload.to_bytes());
    batch.put(Column::Executions, key, execution.to_bytes());
    let places = execution.outcomes.iter().zip(0u32..);
    let mut places: Vec<(Digest, u32)> =
        places.map(|(outcome, place)| (outcome.transaction, place)).collect();
    // In the order of their keys, a table in memory finds the place of one close to that of the one before.
    places.sort_unstable();
    for (transaction, outcome) in places {
        let place = TransactionPlace { slot, outcome };
        batch.put(Column::Transactions, transaction.0, place.to_bytes());
    }
}

impl StateRead for Store {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let version = match self.state_cache.find(key) {
            Found::Known(value) => return Ok(value),
            Found::Unknown(version) => version,
        };
        let value = self.value(self.state_column(), key).map_err(|error| StateError::Read(error.into()))?;
        self.state_cache.learn(key, &value, version);
        Ok(value)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StateError> {
        let mut values = Vec::with_capacity(keys.len());
        let (mut asked, mut places) = (Vec::new(), Vec::new());
        for (place, key) in keys.iter().enumerate() {
            match self.state_cache.find(key) {
                Found::Known(value) => values.push(value),
                Found::Unknown(version) => {
                    values.push(None);
                    asked.push(key.clone());
                    places.push((place, version));
                }
            }
        }
        let read = self.settled("read", self.engine.get_many(self.state_column(), &asked));
        let read = read.map_err(|error| StateError::Read(error.into()))?;
        for ((value, key), (place, version)) in read.into_iter().zip(&asked).zip(places) {
            self.state_cache.learn(key, &value, version);
            values[place] = value;
        }
        Ok(values)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StateError> {
        scan_state(&*self.engine, self.state_column(), prefix, after, limit)
    }
}

impl StateSnapshot<'_> {
    /// The block after which this is the state.
    pub fn tip(&self) -> Tip {
        self.tip
    }

    /// All entries, in the order of their keys.
    pub fn entries(&self) -> impl Iterator<Item = Result<Pair, StoreError>> + '_ {
        let entries = self.reader.scan(self.column, KeyRange::default());
        entries.map(|entry| entry.map_err(|error| StoreError::engine(self.folder, "read the state", error)))
    }

    /// The values of keys that are all there, in the order of the keys.
    ///
    /// **Errors**: the database's; a key that is not there.
    pub fn values(&self, keys: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, StoreError> {
        let values = self.reader.get_many(self.column, keys);
        let values = values.map_err(|error| StoreError::engine(self.folder, "read the state", error))?;
        let absent = || StoreError::damaged(self.folder, "an entry of the state has gone");
        values.into_iter().map(|value| value.ok_or_else(absent)).collect()
    }
}

impl StateRead for StateSnapshot<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.reader.get(self.column, key).map_err(|error| StateError::Read(error.into()))
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StateError> {
        scan_state(&*self.reader, self.column, prefix, after, limit)
    }
}
