//! The port to the database, and its twin in memory.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{PoisonError, RwLock};

use carat_ledger::ApplyError;
use carat_types::Digest;
use carat_types::codec::DecodeError;
use carat_types::ids::Slot;
use thiserror::Error;

use crate::query::Order;

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// A key and its new value; none for a key that goes.
pub type Change = (Vec<u8>, Option<Vec<u8>>);

/// An ordered map of bytes in which a batch is written as a whole.
pub trait HistoryStore: Send + Sync {
    /// The value under `key`.
    ///
    /// **Errors**: the database cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, HistoryError>;

    /// Makes all changes or none. Need not be synced: what is lost in a crash is indexed again.
    ///
    /// **Errors**: the database cannot be written.
    fn write(&self, batch: Vec<Change>) -> Result<(), HistoryError>;

    /// The first `limit` pairs of `range`, or the last ones from the end backwards; none of an empty range.
    ///
    /// **Errors**: the database cannot be read.
    fn scan(&self, range: Range<Vec<u8>>, order: Order, limit: usize) -> Result<Vec<Pair>, HistoryError>;
}

/// Why history cannot be written or read.
#[derive(Debug, Error)]
pub enum HistoryError {
    /// The database failed.
    #[error("the history database failed: {0}")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A stored value cannot be read.
    #[error("damaged history: {what}: {why} (hint: stop the validator and run carat-node rebuild-history)")]
    Damaged {
        /// Which value.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A block out of turn.
    #[error("history has to be given the blocks in order: slot {expected} expected, slot {seen} given")]
    OutOfTurn {
        /// The slot that comes next.
        expected: Slot,
        /// The slot that was given.
        seen: Slot,
    },
    /// Another form of the index, or no index where one is expected.
    #[error(
        "the history has version {seen}, this program writes version {expected} \
         (hint: stop the validator and run carat-node rebuild-history)"
    )]
    Version {
        /// What the database says.
        seen: u32,
        /// What this program writes.
        expected: u32,
    },
    /// The block cannot be applied to the state that the history has come to.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// Applying the block again gave something else than the validators agreed on.
    #[error(
        "history gets {what} {own} of block {slot}, {expected} is right \
         (hint: stop the validator and run carat-node rebuild-history)"
    )]
    Diverged {
        /// What was compared.
        what: &'static str,
        /// The block.
        slot: Slot,
        /// What history got.
        own: Digest,
        /// What its header, or the validator's own execution, says.
        expected: Digest,
    },
    /// A block of a ledger that cannot follow.
    #[error("history has to be given the ledgers in order: after ledger {after}, ledger {seen} was given")]
    LedgerOutOfTurn {
        /// The ledger that is open.
        after: u32,
        /// The ledger of the block.
        seen: u32,
    },
    /// More transactions or ledgers than ids can count.
    #[error("ledger {ledger}, transaction {transaction} is beyond what ids can count")]
    IdsExhausted {
        /// The ledger.
        ledger: u32,
        /// The transaction in it.
        transaction: u32,
    },
}

impl HistoryError {
    /// A stored value that does not decode.
    pub(crate) fn damaged(what: &'static str, why: impl ToString) -> Self {
        HistoryError::Damaged { what, why: why.to_string() }
    }
}

impl From<DecodeError> for HistoryError {
    fn from(error: DecodeError) -> Self {
        HistoryError::damaged("a record", error)
    }
}

/// The store in memory, for tests and for tools that index a few blocks.
#[derive(Debug, Default)]
pub struct MemoryStore {
    pairs: RwLock<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl HistoryStore for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, HistoryError> {
        Ok(self.pairs.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    fn write(&self, batch: Vec<Change>) -> Result<(), HistoryError> {
        let mut pairs = self.pairs.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in batch {
            match value {
                Some(value) => pairs.insert(key, value),
                None => pairs.remove(&key),
            };
        }
        Ok(())
    }

    fn scan(&self, range: Range<Vec<u8>>, order: Order, limit: usize) -> Result<Vec<Pair>, HistoryError> {
        if range.start >= range.end {
            return Ok(Vec::new());
        }
        let pairs = self.pairs.read().unwrap_or_else(PoisonError::into_inner);
        let own = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
        Ok(match order {
            Order::Ascending => pairs.range(range).take(limit).map(own).collect(),
            Order::Descending => pairs.range(range).rev().take(limit).map(own).collect(),
        })
    }
}
