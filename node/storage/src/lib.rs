//! What a validator keeps on disk: the journal of its own votes, and the store of blocks and state.
//!
//! Two things with two kinds of promise. The [`journal`] is synced before a vote leaves; losing any of
//! it can make this validator cheat. The [`store`] is written once for each block and synced before the checkpoint
//! that deletes its journal; whatever of it is lost can be had again from the journals or from the peers.
//! Neither repairs anything by guessing: what a crash cannot explain refuses to open, in a sentence with a hint.

#[cfg(test)]
mod children;
pub mod disk;
mod identity;
pub mod journal;
mod sealing;
pub mod store;

// Backups and archives are containers of it, and a journal belongs to a key.
pub use carat_vault::{self as vault, identity_file, key_file};
pub use identity::Identity;
pub use journal::{Journal, JournalError};
pub use sealing::{DATA_KEY, Encryption};
pub use store::{Store, StoreError};
