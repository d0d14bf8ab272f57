//! Writing the index: one block, one atomic write.
//!
//! What each operation changed comes from the validator's own execution while the index keeps up with it. Else the block
//! is applied again to the index's own state: so the index follows from blocks alone, and its bytes are the same either
//! way. What a second application gives is checked before anything of it is written: the outcomes against the block's
//! header, and the change of the state against the one that the validator itself made, whose state root is in the
//! header. Where the latter is not at hand, as in a rebuild, [`Indexer::check_state`] checks the whole copy at the end.
//! **Source**: ledger specification 0.8.

use std::borrow::Cow;
use std::sync::Arc;

use carat_ledger::apply::apply_untrimmed;
use carat_ledger::supply::{Figures, audit_supply};
use carat_ledger::{
    Applied, ApplyError, BlockInput, BlockOutcome, SignatureOracle, SortKey, StateDelta, StateKey, StateTree,
    StateValue, Totals,
};
use carat_types::hash::sha256;
use carat_types::header::Header;
use carat_types::ids::Slot;
use carat_types::transaction::SignedTransaction;
use carat_types::{Digest, LeafRule};

use crate::keys;
use crate::ledger_header;
use crate::meta;
use crate::record::{Counts, LedgerRecord, Position, TransactionRecord};
use crate::rows::Rows;
use crate::state::{self, StateBefore};
use crate::store::{Change, HistoryError, HistoryStore, Pair};
use crate::toid::Toid;
use crate::view::EntryPair;

/// Entries of a state that are written at a time.
const BEGUN_AT_A_TIME: usize = 10_000;

/// The form of the index; another one is built again from the blocks.
pub const VERSION: u32 = 2;

/// A block, as far as the index needs it.
#[derive(Clone, Copy)]
pub struct ExecutedBlock<'a> {
    /// Its header.
    pub header: &'a Header,
    /// How the index learns what it did.
    pub execution: Execution<'a>,
}

/// How the index learns what a block did.
#[derive(Clone, Copy)]
pub enum Execution<'a> {
    /// From the execution that the header is of, which recorded its changes.
    Recorded(&'a BlockOutcome),
    /// By applying it again.
    Again {
        /// The transactions that it applied, in any order.
        transactions: &'a [Arc<SignedTransaction>],
        /// Who answers whether a signature is valid.
        signatures: &'a dyn SignatureOracle,
        /// What the validator's own execution changed, as [`delta_digest`] gives it; none where it is not at hand.
        delta: Option<Digest>,
    },
}

impl Execution<'_> {
    /// How many transactions were applied.
    pub fn applied(&self) -> usize {
        match self {
            Execution::Recorded(outcome) => outcome.applied.len(),
            Execution::Again { transactions, .. } => transactions.len(),
        }
    }
}

/// A digest of what a block changed in the state. Leaves this process with nothing: it only compares two changes.
pub fn delta_digest(delta: &StateDelta) -> Digest {
    let mut bytes = Vec::new();
    for (key, value) in delta {
        for part in [Some(key), value.as_ref()] {
            let length = part.map_or(u64::MAX, |part| u64::try_from(part.len()).unwrap_or(u64::MAX));
            bytes.extend(length.to_be_bytes());
            bytes.extend(part.into_iter().flatten());
        }
    }
    sha256(&[&bytes])
}

/// The one writer of the index.
pub struct Indexer {
    pub(crate) store: Arc<dyn HistoryStore>,
    pub(crate) position: Option<Position>,
    rows: u64,
}

impl Indexer {
    /// Goes on where the store says that the last write ended.
    ///
    /// **Errors**: the store cannot be read, its position is damaged, or it holds an index of another form.
    pub fn open(store: Arc<dyn HistoryStore>) -> Result<Self, HistoryError> {
        let Some(bytes) = store.get(keys::POSITION)? else {
            return Ok(Indexer { store, position: None, rows: 0 });
        };
        let version = store.get(keys::VERSION)?;
        let version = version.and_then(|bytes| bytes.try_into().ok()).map_or(1, u32::from_be_bytes);
        if version != VERSION {
            return Err(HistoryError::Version { seen: version, expected: VERSION });
        }
        Ok(Indexer { position: Some(Position::from_stored(&bytes)?), store, rows: 0 })
    }

    /// The slot that has to be indexed next.
    pub fn next_slot(&self) -> Slot {
        self.position.as_ref().map_or(Slot(0), |position| position.slot.next())
    }

    /// Where the index stands; none before genesis.
    pub fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// Keys written or removed since it was opened.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Begins with the block of genesis and its state.
    ///
    /// **Errors**: a store that cannot be written, a state that does not decode.
    pub fn begin(
        &mut self,
        header: &Header,
        state: Vec<(Vec<u8>, Vec<u8>)>,
    ) -> Result<&Position, HistoryError> {
        if header.slot != self.next_slot() {
            return Err(HistoryError::OutOfTurn { expected: self.next_slot(), seen: header.slot });
        }
        let delta = state.into_iter().map(|(key, value)| (key, Some(value))).collect();
        let mut batch = vec![(keys::VERSION.to_vec(), Some(VERSION.to_be_bytes().to_vec()))];
        StateBefore::new(&*self.store).changes(&delta, &mut batch)?;
        let totals = totals_of(delta.get(&StateKey::Totals.to_bytes()).cloned().flatten())?;
        self.finish(batch, first_position(header, totals))
    }

    /// Begins with the state after a block that has applied so many transactions, on an empty store: what was before is
    /// not known. The block's ledger is known in part alone, so the first one that is served is the next.
    ///
    /// **Errors**: a store that cannot be written, a state that does not decode, those of the source.
    pub fn begin_at(
        &mut self,
        header: &Header,
        applied: u32,
        state: impl IntoIterator<Item = Result<Pair, HistoryError>>,
    ) -> Result<&Position, HistoryError> {
        let mut state = state.into_iter();
        let mut totals = None;
        loop {
            let part = state.by_ref().take(BEGUN_AT_A_TIME);
            let part = part.map(|entry| entry.map(|(key, value)| (key, Some(value))));
            let delta: StateDelta = part.collect::<Result<_, _>>()?;
            if delta.is_empty() {
                break;
            }
            if let Some(found) = delta.get(&StateKey::Totals.to_bytes()) {
                totals.clone_from(found);
            }
            let mut batch = Vec::new();
            StateBefore::new(&*self.store).changes(&delta, &mut batch)?;
            self.store.write(batch)?;
        }
        let version = (keys::VERSION.to_vec(), Some(VERSION.to_be_bytes().to_vec()));
        let position = Position {
            transactions: header.first_transaction.saturating_add(applied),
            first_ledger: header.ledger.saturating_add(1),
            ..first_position(header, totals_of(totals)?)
        };
        self.finish(vec![version], position)
    }

    /// Indexes the next block.
    ///
    /// **Returns** its transactions as they were indexed, in the order of application.
    ///
    /// **Errors**: a block out of turn, other outcomes than its header names, another change of the state than the
    /// validator made, ids that run out, a store that cannot be read or written. Nothing of the block is then visible.
    pub fn index(&mut self, block: &ExecutedBlock<'_>) -> Result<Vec<TransactionRecord>, HistoryError> {
        let expected = self.next_slot();
        let Some(open) = self.position.as_ref().filter(|_| block.header.slot == expected) else {
            return Err(HistoryError::OutOfTurn { expected, seen: block.header.slot });
        };
        let mut batch = Vec::new();
        let before = StateBefore::new(&*self.store);
        let outcome = outcome_of(&before, open.prefix, block)?;
        let outcome = outcome.as_ref();
        before.changes(&outcome.delta, &mut batch)?;
        let totals = match outcome.delta.get(&StateKey::Totals.to_bytes()) {
            Some(changed) => totals_of(changed.clone())?,
            None => open.totals,
        };
        let mut position = enter_ledger(open, block.header, totals, &mut batch)?;
        let mut rows = Rows::new(batch);
        let mut records = Vec::with_capacity(outcome.applied.len());
        for (applied, index) in outcome.applied.iter().zip(1u32..) {
            let number = block.header.first_transaction.saturating_add(index);
            let record = record_of(block.header, number, applied)?;
            rows.add_transaction(&record, |operation| pairs_of(applied, operation));
            count(&record, &mut position.counts);
            position.transactions = number;
            records.push(record);
        }
        let batch = rows.finish(&*self.store)?;
        self.finish(batch, position)?;
        Ok(records)
    }

    /// Checks the whole copy of the state: its root against the header of the last block indexed, and that what is held
    /// of each asset is what was issued.
    ///
    /// **Errors**: a copy that does not agree, a store that cannot be read.
    pub fn check_state(&self, leaves: &LeafRule) -> Result<(), HistoryError> {
        let Some(position) = &self.position else { return Ok(()) };
        let mut failed = None;
        let own = StateTree::build(leaves, state::all(&*self.store, &mut failed)).root();
        let figures = audit_supply(state::all(&*self.store, &mut failed)).map_err(ApplyError::State)?;
        if let Some(error) = failed {
            return Err(error);
        }
        let (expected, slot) = (position.state_root, position.slot);
        if own != expected {
            return Err(HistoryError::Diverged { what: "state root", slot, own, expected });
        }
        match figures.into_iter().find(|(_, figures)| !figures.agree()) {
            None => Ok(()),
            Some((asset, Figures { holdings, supply })) => {
                Err(ApplyError::Conservation { asset: Box::new(asset), holdings, supply }.into())
            }
        }
    }

    pub(crate) fn finish(
        &mut self,
        mut batch: Vec<Change>,
        position: Position,
    ) -> Result<&Position, HistoryError> {
        batch.push((keys::POSITION.to_vec(), Some(position.to_stored())));
        self.rows = self.rows.saturating_add(u64::try_from(batch.len()).unwrap_or(u64::MAX));
        self.store.write(batch)?;
        Ok(self.position.insert(position))
    }
}

/// What the block did. What the trim dropped is not among its transactions, so nothing is left to trim.
fn outcome_of<'a>(
    before: &StateBefore<'_>,
    parent_prefix: Digest,
    block: &ExecutedBlock<'a>,
) -> Result<Cow<'a, BlockOutcome>, HistoryError> {
    let (transactions, signatures, delta) = match block.execution {
        Execution::Recorded(outcome) => return Ok(Cow::Borrowed(outcome)),
        Execution::Again { transactions, signatures, delta } => (transactions, signatures, delta),
    };
    let input = BlockInput {
        sort_key: SortKey::Prefix(parent_prefix),
        ledger_seq: block.header.ledger,
        chain_id: block.header.chain_id,
        epoch: block.header.epoch,
        slot: block.header.slot,
        time_ms: block.header.time_ms,
        envelopes: transactions,
        signatures,
        record_changes: true,
    };
    let outcome = apply_untrimmed(before, &input)?;
    let (own, expected) = (outcome.outcomes_root, block.header.outcomes_root);
    let slot = block.header.slot;
    if own != expected {
        return Err(HistoryError::Diverged { what: "outcomes root", slot, own, expected });
    }
    if let Some(expected) = delta {
        let own = delta_digest(&outcome.delta);
        if own != expected {
            return Err(HistoryError::Diverged { what: "digest of the state's change", slot, own, expected });
        }
    }
    Ok(Cow::Owned(outcome))
}

fn totals_of(value: Option<Vec<u8>>) -> Result<Totals, HistoryError> {
    let value = value.ok_or(ApplyError::State(carat_ledger::StateError::NoTotals))?;
    match StateValue::from_bytes(&StateKey::Totals, &value).map_err(ApplyError::State)? {
        StateValue::Totals(totals) => Ok(totals),
        _ => Err(ApplyError::State(carat_ledger::StateError::NoTotals).into()),
    }
}

/// The position after the block's header; closes the open ledger if the block begins another.
fn enter_ledger(
    open: &Position,
    header: &Header,
    totals: Totals,
    batch: &mut Vec<Change>,
) -> Result<Position, HistoryError> {
    let next = open.ledger.saturating_add(1);
    if header.ledger != open.ledger && header.ledger != next {
        return Err(HistoryError::LedgerOutOfTurn { after: open.ledger, seen: header.ledger });
    }
    let mut position = open.clone();
    if header.ledger != open.ledger {
        // The one in which a fetched state lies is known in part alone.
        if open.ledger >= open.first_ledger {
            let closed = close(open);
            batch.push((keys::ledger(closed.sequence), Some(closed.to_stored())));
        }
        position.previous_hash = open.hash;
        position.ledger = header.ledger;
        position.transactions = 0;
        position.outcomes_roots.clear();
        position.counts = Counts::default();
    }
    position.slot = header.slot;
    position.hash = header.hash();
    position.time_ms = header.time_ms;
    position.prefix = header.prefix;
    position.state_root = header.state_root;
    position.outcomes_roots.push(header.outcomes_root);
    position.totals = totals;
    Ok(position)
}

fn first_position(header: &Header, totals: Totals) -> Position {
    Position {
        slot: header.slot,
        hash: header.hash(),
        ledger: header.ledger,
        time_ms: header.time_ms,
        transactions: 0,
        first_ledger: header.ledger,
        previous_hash: Digest::ZERO,
        prefix: header.prefix,
        state_root: header.state_root,
        outcomes_roots: vec![header.outcomes_root],
        counts: Counts::default(),
        totals,
    }
}

fn close(open: &Position) -> LedgerRecord {
    LedgerRecord {
        sequence: open.ledger,
        hash: open.hash,
        previous_hash: open.previous_hash,
        last_slot: open.slot,
        time_ms: open.time_ms,
        counts: open.counts,
        header: ledger_header::derive(open),
    }
}

fn record_of(header: &Header, number: u32, applied: &Applied) -> Result<TransactionRecord, HistoryError> {
    let id = Toid::new(header.ledger, number, 0)
        .ok_or(HistoryError::IdsExhausted { ledger: header.ledger, transaction: number })?;
    Ok(TransactionRecord {
        id,
        time_ms: header.time_ms,
        transaction: Arc::clone(&applied.transaction),
        result: applied.result.clone(),
        meta: meta::of_transaction(&applied.changes),
        fee_meta: meta::of_fee(&applied.changes),
    })
}

/// What operation `index` (from 0) changed.
fn pairs_of(applied: &Applied, index: usize) -> Vec<EntryPair<'_>> {
    let changes = applied.changes.operations.get(index).map(Vec::as_slice).unwrap_or_default();
    changes.iter().map(|change| EntryPair { before: change.before(), after: change.after() }).collect()
}

fn count(record: &TransactionRecord, counts: &mut Counts) {
    let operations = u32::try_from(record.transaction.operations().len()).unwrap_or(u32::MAX);
    counts.all_operations = counts.all_operations.saturating_add(operations);
    if record.is_successful() {
        counts.successful = counts.successful.saturating_add(1);
        counts.operations = counts.operations.saturating_add(operations);
    } else {
        counts.failed = counts.failed.saturating_add(1);
    }
}
