//! Writing the index: one executed block, one atomic write.

use std::sync::Arc;

use carat_ledger::{Applied, Totals};
use carat_types::Digest;
use carat_types::header::Header;
use carat_types::ids::Slot;

use crate::keys::{self, List, Outcome, Owner};
use crate::ledger_header;
use crate::meta;
use crate::participants;
use crate::record::{Counts, LedgerRecord, Position, TransactionRecord};
use crate::store::{HistoryError, HistoryStore, Pair};
use crate::toid::Toid;

/// A block as the ledger left it.
#[derive(Clone, Copy, Debug)]
pub struct ExecutedBlock<'a> {
    /// Its header.
    pub header: &'a Header,
    /// The ledger's totals after it.
    pub totals: Totals,
    /// The transactions that were applied, in the order of application.
    pub transactions: &'a [Applied],
}

/// The one writer of the index.
pub struct Indexer {
    store: Arc<dyn HistoryStore>,
    position: Option<Position>,
}

impl Indexer {
    /// Goes on where the store says that the last write ended.
    ///
    /// **Errors**: the store cannot be read, or its position is damaged.
    pub fn open(store: Arc<dyn HistoryStore>) -> Result<Self, HistoryError> {
        let position = match store.get(keys::POSITION)? {
            Some(bytes) => Some(Position::from_stored(&bytes)?),
            None => None,
        };
        Ok(Indexer { store, position })
    }

    /// The slot that has to be indexed next: genesis first.
    pub fn next_slot(&self) -> Slot {
        self.position.as_ref().map_or(Slot(0), |position| position.slot.next())
    }

    /// Where the index stands.
    pub fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// Indexes the next block.
    ///
    /// **Errors**: a block out of turn, ids that run out, a store that cannot be written. Nothing of the block
    /// is then visible, and it can be given again.
    pub fn index(&mut self, block: &ExecutedBlock<'_>) -> Result<&Position, HistoryError> {
        let expected = self.next_slot();
        if block.header.slot != expected {
            return Err(HistoryError::OutOfTurn { expected, seen: block.header.slot });
        }
        let mut batch = Vec::new();
        let mut position = self.enter_ledger(block, &mut batch)?;
        for (applied, index) in block.transactions.iter().zip(1u32..) {
            let number = block.header.first_transaction.saturating_add(index);
            let record = record_of(block.header, number, applied)?;
            add_transaction(&record, &mut batch);
            count(&record, &mut position.counts);
            position.transactions = number;
        }
        batch.push((keys::POSITION.to_vec(), position.to_stored()));
        self.store.write(batch)?;
        Ok(self.position.insert(position))
    }

    /// The position after the block's header; closes the open ledger if the block begins another.
    fn enter_ledger(
        &self,
        block: &ExecutedBlock<'_>,
        batch: &mut Vec<Pair>,
    ) -> Result<Position, HistoryError> {
        let header = block.header;
        let Some(open) = &self.position else { return Ok(first_position(header, block.totals)) };
        let next = open.ledger.saturating_add(1);
        if header.ledger != open.ledger && header.ledger != next {
            return Err(HistoryError::LedgerOutOfTurn { after: open.ledger, seen: header.ledger });
        }
        let mut position = open.clone();
        if header.ledger != open.ledger {
            let closed = close(open);
            batch.push((keys::ledger(closed.sequence), closed.to_stored()));
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
        position.totals = block.totals;
        Ok(position)
    }
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

/// Adds the record and the entries of every list in which it and its operations stand.
fn add_transaction(record: &TransactionRecord, batch: &mut Vec<Pair>) {
    let outcome = if record.is_successful() { Outcome::Successful } else { Outcome::Failed };
    let transaction = &record.transaction;
    batch.push((keys::transaction(record.id), record.to_stored()));
    let id = record.id.get().to_be_bytes().to_vec();
    batch.push((keys::hash(transaction.hash()), id.clone()));
    if transaction.inner_hash() != transaction.hash() {
        batch.push((keys::hash(transaction.inner_hash()), id));
    }
    let mut entry =
        |owner, list, id, value: Vec<u8>| batch.push((keys::entry(owner, list, outcome, id), value));
    let (charged, bid) = record.fees_per_operation();
    entry(Owner::All, List::Transactions, record.id, [charged.to_be_bytes(), bid.to_be_bytes()].concat());
    for account in participants::of_transaction(transaction) {
        entry(Owner::Account(account), List::Transactions, record.id, Vec::new());
    }
    for (operation, number) in transaction.operations().iter().zip(1u32..) {
        let id = record.id.with_operation(number);
        let accounts = participants::of_operation(transaction, operation);
        let owners = std::iter::once(Owner::All).chain(accounts.into_iter().map(Owner::Account));
        for owner in owners {
            entry(owner, List::Operations, id, Vec::new());
            if participants::is_payment(operation) {
                entry(owner, List::Payments, id, Vec::new());
            }
        }
    }
}
