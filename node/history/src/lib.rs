//! Executed blocks turned into what people ask for: transactions, operations, payments and ledgers, by account
//! and cursor.
//!
//! The index stands behind the node's loop: it follows the blocks, keeps its own place in them, and can be
//! thrown away and built again from the blocks. Nothing that consensus or execution decides depends on it.
//! **Invariant**: one block is one atomic write, with the place of the index in it; so a reader sees a block
//! with everything in it or not at all, and a restart goes on where the last write ended.
//!
//! Reading order: [`toid`] (how positions are numbered), [`record`] (what is kept), [`keys`] (under which
//! keys), [`store`] (the port to the database) and [`column`]
//! (the database), [`index`] (writing), [`query`] (reading).

pub mod column;
pub mod index;
pub mod keys;
pub mod ledger_header;
pub mod meta;
pub mod participants;
pub mod query;
pub mod record;
pub mod store;
pub mod toid;

pub use index::{ExecutedBlock, Indexer};
pub use query::{FeeStats, History, Order, PageQuery, Scope};
pub use record::{LedgerRecord, OperationRecord, Position, TransactionRecord};
pub use store::{HistoryError, HistoryStore, MemoryStore};
pub use toid::Toid;

// The chain of the tests is shared with other crates' tests, which know this crate by its name.
#[cfg(test)]
extern crate self as carat_history;

#[cfg(test)]
mod tests;
