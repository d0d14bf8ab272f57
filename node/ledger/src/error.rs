//! How the ledger itself can fail. None of these is an outcome of a transaction: the node stops on each.

use carat_types::Slot;
use stellar_xdr::Asset;
use thiserror::Error;

/// The state could not be read or holds what the ledger would never have written.
#[derive(Debug, Error)]
pub enum StateError {
    /// The store below failed.
    #[error("the ledger state cannot be read: {0}")]
    Read(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A key or value that does not decode.
    #[error(
        "the state entry with key {key} does not decode: {reason} \
         (hint: the data folder is damaged or of another version; restore this node from its peers)"
    )]
    Corrupt {
        /// The key bytes in hexadecimal.
        key: String,
        /// What is wrong with key or value.
        reason: String,
    },
    /// Without the totals there is no ledger.
    #[error("the state holds no totals (hint: the data folder was never initialised from a genesis file)")]
    NoTotals,
    /// Entries contradict each other, or a figure that cannot overflow did.
    #[error("the ledger state contradicts itself: {0}")]
    Inconsistent(&'static str),
}

/// Why a block could not be applied.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// See [`StateError`].
    #[error(transparent)]
    State(#[from] StateError),
    /// The validators have decided on rules that this build does not know. Nothing of the block was executed.
    #[error(
        "from slot {slot} on the ledger's rules are those of protocol version {seen}, expected at most {} by this build \
         (hint: upgrade this node and start it again; it goes on where it stopped, and nothing is lost)",
        crate::NEWEST_PROTOCOL
    )]
    UnknownProtocol {
        /// The block that cannot be executed.
        slot: Slot,
        /// The version in force there.
        seen: u32,
    },
    /// Value came from nowhere or went nowhere. The block's changes must not be stored.
    #[error(
        "conservation broken for {}: holdings changed by {holdings}, supply by {supply}",
        crate::asset::display(asset)
    )]
    Conservation {
        /// The asset.
        asset: Box<Asset>,
        /// Change of the sum of all holdings, for the coin with the fee pool.
        holdings: i128,
        /// Change of the supply entry; for the coin zero.
        supply: i128,
    },
}

/// An operation met what its arithmetic rules out. The transaction ends with `txINTERNAL_ERROR` and without effect; the
/// same for every validator, so that a defect of ours cannot stop them all at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Fault(pub &'static str);
