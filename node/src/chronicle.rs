//! The chronicle: behind the loop, one thread that indexes blocks for readers and wakes those who wait for one.
//!
//! A waiting submission is woken when its transaction is in the index *and* its block is sealed by f+1
//! validators, so that the answer comes with a receipt (decision record 5).

use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use carat_history::{ExecutedBlock, HistoryError, Indexer, Toid};
use carat_ledger::{Applied, BlockOutcome, Changes, Totals};
use carat_storage::store::{Store, StoreError};
use carat_types::header::Header;
use carat_types::transaction::SignedTransaction;
use carat_types::{Digest, Slot};
use stellar_xdr::{Limits, ReadXdr, TransactionResult};
use thiserror::Error;
use tokio::sync::{oneshot, watch};

/// What happened.
#[derive(Debug)]
pub enum Chapter {
    /// A block was executed and written.
    Block {
        /// Its header.
        header: Box<Header>,
        /// What the ledger made of it.
        outcome: Box<BlockOutcome>,
    },
    /// A block has f+1 seals, and they are kept.
    Sealed(Slot),
}

/// Why the chronicle stopped.
#[derive(Debug, Error)]
pub enum ChronicleError {
    /// The index failed.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored block cannot be read back.
    #[error("block {slot} cannot be read back for the history: {reason}")]
    Unreadable {
        /// The block.
        slot: Slot,
        /// Why.
        reason: String,
    },
}

/// Callers who wait for transactions.
#[derive(Debug, Default)]
pub struct Waiting {
    callers: Mutex<BTreeMap<Digest, Vec<oneshot::Sender<()>>>>,
}

impl Waiting {
    /// A signal for when the transaction is applied, indexed and sealed. Giving the receiver up costs nothing.
    pub fn for_transaction(&self, hash: Digest) -> oneshot::Receiver<()> {
        let (caller, signal) = oneshot::channel();
        let mut callers = self.lock();
        let of_this = callers.entry(hash).or_default();
        of_this.retain(|caller| !caller.is_closed());
        of_this.push(caller);
        signal
    }

    /// Forgets those who gave up.
    pub fn tidy(&self) {
        self.lock().retain(|_, callers| {
            callers.retain(|caller| !caller.is_closed());
            !callers.is_empty()
        });
    }

    fn wake(&self, hashes: &[Digest]) {
        let mut callers = self.lock();
        for caller in hashes.iter().filter_map(|hash| callers.remove(hash)).flatten() {
            // A caller who gave up meanwhile needs no signal.
            let _ = caller.send(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Digest, Vec<oneshot::Sender<()>>>> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The chronicle's things.
pub struct Chronicle {
    /// Where blocks are read from, at start.
    pub store: Arc<Store>,
    /// The one writer of the index.
    pub indexer: Indexer,
    /// The network that transactions sign.
    pub network_id: Digest,
    /// Callers who wait.
    pub waiting: Arc<Waiting>,
    /// The greatest id in the index.
    pub indexed: watch::Sender<Toid>,
}

impl Chronicle {
    /// Indexes what was executed since the index last stood still; then follows until its source ends.
    ///
    /// **Errors**: see [`ChronicleError`]. Consensus does not depend on it, but its readers do: the process stops.
    pub fn run(mut self, chapters: &Receiver<Chapter>) -> Result<(), ChronicleError> {
        let mut unsealed: BTreeMap<Slot, Vec<Digest>> = BTreeMap::new();
        while let Ok(chapter) = chapters.recv() {
            match chapter {
                Chapter::Block { header, outcome } => {
                    let hashes = outcome.applied.iter().map(|applied| *applied.transaction.hash()).collect();
                    unsealed.insert(header.slot, hashes);
                    self.index_outcome(&header, &outcome)?;
                }
                Chapter::Sealed(slot) => {
                    if let Some(hashes) = unsealed.remove(&slot) {
                        self.waiting.wake(&hashes);
                    }
                }
            }
        }
        Ok(())
    }

    /// Indexes the blocks that the store has and the index has not: after a crash, or from the first block on.
    ///
    /// **Errors**: see [`ChronicleError`].
    pub fn catch_up(&mut self) -> Result<(), ChronicleError> {
        let tip = self.store.tip().slot;
        while self.indexer.next_slot() <= tip {
            self.index_stored(self.indexer.next_slot())?;
        }
        Ok(())
    }

    fn index_outcome(&mut self, header: &Header, outcome: &BlockOutcome) -> Result<(), ChronicleError> {
        if header.slot < self.indexer.next_slot() {
            return Ok(());
        }
        let execution = self.store.execution(header.slot)?;
        let totals = execution.ok_or_else(|| unreadable(header.slot, "its outcomes are missing"))?.totals;
        self.index(header, totals, &outcome.applied)
    }

    fn index_stored(&mut self, slot: Slot) -> Result<(), ChronicleError> {
        let block = self.store.block(slot)?.ok_or_else(|| unreadable(slot, "it is missing"))?;
        let execution =
            self.store.execution(slot)?.ok_or_else(|| unreadable(slot, "its outcomes are missing"))?;
        let envelopes: Vec<_> = block.payload.envelopes().collect();
        let mut transactions = Vec::with_capacity(execution.outcomes.len());
        for outcome in &execution.outcomes {
            let place = usize::try_from(outcome.envelope).unwrap_or(usize::MAX);
            let envelope =
                envelopes.get(place).ok_or_else(|| unreadable(slot, "an outcome has no envelope"))?;
            let transaction = SignedTransaction::decode(&self.network_id, &envelope.0)
                .map_err(|error| unreadable(slot, &error.to_string()))?;
            let result = TransactionResult::from_xdr(&outcome.result.0, Limits::none())
                .map_err(|error| unreadable(slot, &error.to_string()))?;
            transactions.push(Applied {
                batch_index: outcome.envelope,
                transaction: Arc::new(transaction),
                result,
                result_xdr: outcome.result.0.clone(),
                changes: Changes::default(),
            });
        }
        self.index(&block.header, execution.totals, &transactions)
    }

    fn index(
        &mut self,
        header: &Header,
        totals: Totals,
        transactions: &[Applied],
    ) -> Result<(), ChronicleError> {
        let block = ExecutedBlock { header, totals, transactions };
        let now = self.indexer.index(&block)?.now();
        self.indexed.send_replace(now);
        Ok(())
    }
}

fn unreadable(slot: Slot, reason: &str) -> ChronicleError {
    ChronicleError::Unreadable { slot, reason: reason.to_owned() }
}
