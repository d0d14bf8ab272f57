//! Executed blocks turned into what people ask for: transactions, operations, payments and ledgers, by account
//! and cursor.
//!
//! The index stands behind the node's loop: it follows the blocks, keeps its own place in them, and can be
//! thrown away and built again from the blocks. Nothing that consensus or execution decides depends on it.
//! **Invariant**: one block is one atomic write, with the place of the index in it; so a reader sees a block
//! with everything in it or not at all, and a restart goes on where the last write ended.
//!
//! The index follows from the blocks alone: where the validator's own execution does not tell it, it applies a block
//! again to a state of its own, and so learns which entries every operation changed (`state`, decision record 16).
//!
//! Reading order: [`toid`] (how positions are numbered), [`record`] (what is kept), [`keys`] (under which
//! keys), [`store`] (the port to the database) and [`column`] (the database), [`index`] (writing), `state` and
//! [`state_index`] (the present), [`view`], [`effects`] and [`trades`] (what operations did), [`query`] (reading).

pub mod asset_stats;
pub mod candles;
pub mod column;
pub mod effects;
pub mod index;
pub mod keys;
pub mod ledger_header;
pub mod meta;
pub mod participants;
pub mod paths;
mod prune;
pub mod query;
pub mod record;
mod rows;
mod state;
pub mod state_index;
pub mod store;
pub mod toid;
pub mod trades;
pub mod view;

pub use asset_stats::{AssetStats, Held};
pub use candles::Candle;
pub use effects::{Effect, EffectKind};
pub use index::{ExecutedBlock, Execution, Indexer, delta_digest};
pub use query::{
    AccountFilter, AccountState, AssetFilter, AssetRecord, BalanceCursor, BalanceFilter, CandleQuery,
    EffectRecord, FeeStats, History, OfferFilter, Order, PageQuery, Scope, TradeFilter, TradeRecord,
};
pub use record::{LedgerRecord, OperationRecord, Position, TransactionRecord};
pub use store::{HistoryError, HistoryStore, MemoryStore};
pub use toid::{PartId, Toid};
pub use trades::{Maker, Trade, TradeKind};

// The chain of the tests is shared with other crates' tests, which know this crate by its name.
#[cfg(test)]
extern crate self as carat_history;

#[cfg(test)]
mod tests;
