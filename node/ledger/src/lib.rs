//! The asset ledger as a pure state transition over XDR transactions: accounts, trustlines, payments, signers.
//!
//! Pure: no clock, no files, no sockets, no threads, no randomness, no floating point. A state is read through one
//! port, [`StateRead`]; applying a block returns what changes and writes nothing.
//!
//! Reading order: `apply` (the pipeline), `trim`, `validity`, `operations`, then what they stand on:
//! `overlay`, `state`, `entry`, `key`, and `root` for the state tree.

#![warn(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    clippy::iter_over_hash_type
)]

pub mod accountability;
pub mod admission;
pub mod apply;
mod arithmetic;
pub mod asset;
pub mod authorization;
mod balances;
mod claimable_balance;
mod crossing;
pub mod entry;
pub mod error;
pub mod exchange;
mod extension;
mod footprint;
pub mod genesis;
pub mod governance;
mod junk;
pub mod key;
mod liabilities;
pub mod liquidity_pool;
mod members;
mod operations;
pub mod order;
mod order_book;
pub mod overlay;
pub mod path;
mod price;
pub mod replay;
pub mod reserves;
mod results;
pub mod root;
pub mod sequence;
mod snapshot;
mod sponsorship;
pub mod state;
pub mod supply;
pub mod trim;
pub mod validity;

pub use admission::{Admitted, PolicyRefusal, Refusal, admit};
pub use apply::{Applied, BlockInput, BlockOutcome, Changes, apply};
pub use authorization::{Ed25519, SignatureOracle};
pub use entry::{StateValue, Totals};
pub use error::{ApplyError, StateError};
pub use genesis::{genesis_entries, state_entries};
pub use governance::NEWEST_PROTOCOL;
pub use key::StateKey;
pub use order::SortKey;
pub use overlay::EntryChange;
pub use root::{Absence, StateTree};
pub use snapshot::SnapshotPlan;
pub use state::{MemoryState, StateDelta, StateRead};
pub use supply::audit_supply;
pub use trim::{DropReason, Dropped};
pub use validity::{Moment, Pending, signature_cost};
