//! What every other crate speaks: ids, keys, the one codec, batches, consensus messages, certificates, proofs
//! and receipts with their verification, and the building of transactions.
//!
//! Pure: no clock, no files, no sockets, no threads, no randomness. Reading order: [`hash`], [`signature`],
//! [`codec`], [`ids`], [`batch`], [`message`], [`certificate`], [`header`], [`receipt`].

#![warn(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    clippy::iter_over_hash_type
)]

pub mod accountability;
pub mod batch;
pub mod block;
pub mod builder;
pub mod certificate;
pub mod codec;
pub mod epoch;
pub mod evidence;
pub mod genesis;
pub mod governance;
pub mod hash;
pub mod header;
pub mod ids;
pub mod key_file;
pub mod leaf;
pub mod merkle;
pub mod message;
pub mod payload;
pub mod quorum;
pub mod receipt;
pub mod result_codes;
pub mod sealed_payload;
pub mod signature;
pub mod snapshot;
pub mod state_proof;
pub mod state_receipt;
pub mod submission;
pub mod tentative;
pub mod transaction;
pub mod validators;
pub mod verifiable;

pub use hash::Digest;
pub use ids::{Epoch, SignerSet, Slot, ValidatorId, View};
pub use leaf::LeafRule;
pub use quorum::Quorum;
pub use signature::{PublicKey, SecretKey, Signature};

#[cfg(test)]
mod golden;
