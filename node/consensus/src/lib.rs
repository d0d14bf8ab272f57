//! PBFT and the fast path as one pure state machine: `Replica::handle(now, input) -> effects`.
//!
//! Absent on purpose: clocks, files, sockets, threads, randomness, async, and everything about the ledger but
//! the names of its blocks. Reading order: [`input`], [`effect`], [`record`], `replica`, `normal`, `leader`, `bodies`, `proposer`,
//! `commit_rules`, `tentative`, `checkpoint`, `view_change` with `pick`, `performance`, `recovery` with `guard`, `delivery`, `catch_up`, `state_transfer` with `chunks`, `evidence`;
//! apart from all of these, [`learner`].
//!
//! The rules and their tests are listed in `docs/protocol/rules.md`; a rule's id stands at its guard. The invariants
//! I1 to I12 are asserted in every build: a broken one is a bug of this crate, which no peer can reach, and stops the
//! process before it breaks a promise. What a peer sends is at worst a [`Rejection`]. What proves that more than f
//! validators cheat, or that this one has lost its memory, is an [`effect::Halt`].

#![warn(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    clippy::iter_over_hash_type
)]

mod bodies;
mod catch_up;
mod checkpoint;
mod chunks;
mod commit_rules;
mod delivery;
mod doubt;
pub mod effect;
mod epoch;
mod evidence;
mod guard;
pub mod input;
mod leader;
pub mod learner;
mod log;
mod lookup;
mod normal;
mod payloads;
mod pending;
mod performance;
mod pick;
mod proposer;
pub mod record;
mod recovery;
pub mod rejection;
mod replica;
pub mod signer;
mod state_transfer;
pub mod statement;
mod tentative;
pub mod timer;
mod turns;
mod verify;
mod view_change;

pub use catch_up::BLOCKS_PER_FETCH;
pub use chunks::{FetchStates, KeptTransfer, is_snapshot_slot};
pub use effect::{Effect, Execute, ExecuteTentatively};
pub use input::{Executed, Input, Now, PendingTransaction, SpreadBody, TentativelyExecuted, VerifiedMessage};
pub use learner::{Learner, LearnerConfig, LearnerTip};
pub use record::Record;
pub use recovery::{ChainTip, LOOK_BACK_WINDOWS, RecentBlock, RecoverError};
pub use rejection::Rejection;
pub use replica::{Config, Replica};
pub use signer::{ElsewhereSigner, KeySigner, Signer};

pub use statement::Statement;
pub use timer::Timer;
