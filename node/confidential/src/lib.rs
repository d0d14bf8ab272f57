//! Confidential balances: amounts that nobody reads but the parties and the auditors, and that every validator can
//! check all the same.
//!
//! A balance is two commitments (the low and the high 32 bits) with a *handle* for each reader: twisted ElGamal on
//! Ristretto. Who moves an amount proves, without showing it, that what was there is what is there now plus what was
//! moved, that nothing of it is negative, and that the receiver and the auditors can read their part. The proof is one
//! linear-relation proof and one aggregated Bulletproof in one Merlin transcript. `docs/confidential.md` has the
//! statement, the encoding and what is *not* proven.
//!
//! Pure: no clock, no files, no sockets, no threads. Checking is deterministic; who proves hands in the randomness.
//! **Not audited**: no ledger operation uses it yet.
//!
//! Reading order: [`elgamal`] (keys, balances), [`claim`] (what is proven), `statement` and `relation` (each operation
//! as a table of rows), `proof` (one verifier for all tables), `linear`, `range`, [`batch`].

#![warn(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    clippy::iter_over_hash_type
)]

pub mod batch;
pub mod claim;
pub mod context;
pub mod discrete_log;
pub mod elgamal;
mod encoding;
pub mod error;
mod generators;
mod linear;
mod proof;
pub mod prover;
mod range;
mod relation;
mod statement;
mod transcript;

pub use claim::{Claim, Registration, Transfer, Withdrawal};
pub use context::{Context, Recipient};
pub use elgamal::{DecryptionKey, EncryptionKey, Sealed, Slot};
pub use encoding::PointBytes;
pub use error::{ProveError, Refusal};
pub use proof::Proof;
/// The traits of the randomness that provers hand in.
pub use rand_core_06 as rand_core;

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of the tests")]
mod tests;
