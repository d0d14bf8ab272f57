//! The header of a block, and the digest of the log's prefix. **Source**: consensus specification, sections 2 and 11.

use crate::codec::{Encode, codec_struct};
use crate::hash::{Digest, h};
use crate::ids::{Epoch, Slot};
use crate::merkle;

/// Everything about an executed slot, each field recomputed by every validator; SEAL signs its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Hash of the genesis file.
    pub chain_id: Digest,
    /// Epoch whose validators decided the slot.
    pub epoch: Epoch,
    /// Height.
    pub slot: Slot,
    /// Number of the ledger to which the slot belongs; genesis is ledger 1.
    pub ledger: u32,
    /// Transactions applied before this block in the same ledger.
    pub first_transaction: u32,
    /// Hash of the header below; zero at genesis.
    pub parent: Digest,
    /// The consensus value d(s); zero at genesis.
    pub batch: Digest,
    /// The prefix digest c(s).
    pub prefix: Digest,
    /// Block time, milliseconds since 1970; strictly greater than the parent's.
    pub time_ms: u64,
    /// Root of the state tree after the block.
    pub state_root: Digest,
    /// Root over the outcomes of the transactions that the trim kept.
    pub outcomes_root: Digest,
    /// Root over the transactions that the trim dropped.
    pub drops_root: Digest,
    /// Once fixed: where this epoch ends and who follows.
    pub epoch_end: Option<EpochEnd>,
}

/// The end of an epoch, fixed by governance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// Last slot of the epoch, a multiple of the checkpoint interval.
    pub slot: Slot,
    /// Hash of the next epoch's set of validators and constants.
    pub next_set: Digest,
}

codec_struct!(EpochEnd { slot, next_set });
codec_struct!(Header {
    chain_id,
    epoch,
    slot,
    ledger,
    first_transaction,
    parent,
    batch,
    prefix,
    time_ms,
    state_root,
    outcomes_root,
    drops_root,
    epoch_end,
});

impl Header {
    /// The header of slot 0, ledger 1, which no block has.
    pub fn genesis(chain_id: Digest, time_ms: u64, state_root: Digest) -> Self {
        Header {
            chain_id,
            epoch: Epoch(0),
            slot: Slot(0),
            ledger: 1,
            first_transaction: 0,
            parent: Digest::ZERO,
            batch: Digest::ZERO,
            prefix: chain_id,
            time_ms,
            state_root,
            outcomes_root: merkle::empty(),
            drops_root: merkle::empty(),
            epoch_end: None,
        }
    }

    /// The block's hash.
    pub fn hash(&self) -> Digest {
        h("header", &[&self.to_bytes()])
    }
}

/// `c(0) = chain_id`, `c(s) = H("prefix", c(s-1) | u64 s | d(s))`.
pub fn prefix_digest(below: &Digest, slot: Slot, value: &Digest) -> Digest {
    h("prefix", &[&below.0, &slot.0.to_be_bytes(), &value.0])
}

/// The window of time that one ledger spans: W of section 11.
pub const LEDGER_WINDOW_MS: u64 = 250;

/// Number of the ledger of a block at `time_ms` whose parent is in ledger `parent_ledger` at `parent_time_ms`.
pub fn ledger_of(parent_ledger: u32, parent_time_ms: u64, time_ms: u64) -> u32 {
    let later = time_ms / LEDGER_WINDOW_MS > parent_time_ms / LEDGER_WINDOW_MS;
    parent_ledger.saturating_add(u32::from(later))
}
