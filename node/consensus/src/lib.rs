//! PBFT and the fast path as one pure state machine: `Replica::handle(now, input) -> effects`.
//!
//! Absent on purpose: clocks, files, sockets, threads, randomness, async, and everything about the ledger but
//! the names of its blocks. Reading order: [`input`], [`effect`], [`record`], `replica`, `normal`, `view_change`.

#![warn(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    clippy::iter_over_hash_type
)]

pub mod effect;
pub mod input;
pub mod params;
pub mod record;
pub mod rejection;
pub mod timer;

pub use effect::{Effect, Execute};
pub use input::{Executed, Input, Now, PendingTransaction, VerifiedMessage};
pub use params::Params;
pub use record::Record;
pub use rejection::Rejection;
pub use timer::Timer;
