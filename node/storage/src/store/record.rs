//! What the store keeps of a block beside its header and payload, and the keys of its columns.

use carat_ledger::{BlockOutcome, Totals};
use carat_types::codec::{Decode, DecodeError, Encode, ListItem, Reader};
use carat_types::receipt::{ResultBytes, outcome_leaf};
use carat_types::{Digest, Epoch, Slot, View};

/// What executing a block gave, beside the change of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// The ledger's totals after the block: what readers of old blocks need of an old state.
    pub totals: Totals,
    /// Of the transactions that the trim kept, in the order of application.
    pub outcomes: Vec<Outcome>,
    /// The transactions that the trim dropped, in the payload's order.
    pub dropped: Vec<Dropped>,
}

/// The outcome of one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The transaction's network hash.
    pub transaction: Digest,
    /// Place of its envelope in the payload.
    pub envelope: u32,
    /// Hash of that envelope.
    pub envelope_hash: Digest,
    /// Its result.
    pub result: ResultBytes,
}

/// A transaction that the trim dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Place of its envelope in the payload.
    pub envelope: u32,
    /// The number of the reason, `carat_ledger::DropReason::code`.
    pub reason: u32,
}

/// Where a transaction was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionPlace {
    /// The slot.
    pub slot: Slot,
    /// Place among the outcomes of that slot.
    pub outcome: u32,
}

/// The newest block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Its slot.
    pub slot: Slot,
    /// Hash of its header.
    pub header: Digest,
}

impl Execution {
    /// What the ledger found, as it is stored.
    pub(super) fn new(outcome: &BlockOutcome, totals: Totals) -> Self {
        let outcomes = outcome.applied.iter().map(|applied| Outcome {
            transaction: *applied.transaction.hash(),
            envelope: applied.batch_index,
            envelope_hash: *applied.transaction.full_hash(),
            result: ResultBytes(applied.result_xdr.clone()),
        });
        let dropped = outcome.dropped.iter();
        let dropped = dropped.map(|drop| Dropped { envelope: drop.batch_index, reason: drop.reason.code() });
        Execution { totals, outcomes: outcomes.collect(), dropped: dropped.collect() }
    }
}

impl Outcome {
    /// Leaf in the outcomes tree of the block.
    pub fn leaf(&self) -> Digest {
        outcome_leaf(&self.transaction, &self.envelope_hash, &self.result.0)
    }
}

impl ListItem for Outcome {
    /// As many as a payload can have envelopes.
    const COUNT_MAX: u32 = 64 * 8_000;
}

impl ListItem for Dropped {
    const COUNT_MAX: u32 = Outcome::COUNT_MAX;
}

impl Encode for Execution {
    fn encode(&self, out: &mut Vec<u8>) {
        self.totals.encode(out);
        self.outcomes.encode(out);
        self.dropped.encode(out);
    }
}

impl Decode for Execution {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Execution {
            totals: Decode::decode(input)?,
            outcomes: Decode::decode(input)?,
            dropped: Decode::decode(input)?,
        })
    }
}

impl Encode for Outcome {
    fn encode(&self, out: &mut Vec<u8>) {
        self.transaction.encode(out);
        self.envelope.encode(out);
        self.envelope_hash.encode(out);
        self.result.encode(out);
    }
}

impl Decode for Outcome {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Outcome {
            transaction: Decode::decode(input)?,
            envelope: Decode::decode(input)?,
            envelope_hash: Decode::decode(input)?,
            result: Decode::decode(input)?,
        })
    }
}

impl Encode for Dropped {
    fn encode(&self, out: &mut Vec<u8>) {
        self.envelope.encode(out);
        self.reason.encode(out);
    }
}

impl Decode for Dropped {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Dropped { envelope: Decode::decode(input)?, reason: Decode::decode(input)? })
    }
}

impl Encode for TransactionPlace {
    fn encode(&self, out: &mut Vec<u8>) {
        self.slot.encode(out);
        self.outcome.encode(out);
    }
}

impl Decode for TransactionPlace {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(TransactionPlace { slot: Decode::decode(input)?, outcome: Decode::decode(input)? })
    }
}

impl Encode for Tip {
    fn encode(&self, out: &mut Vec<u8>) {
        self.slot.encode(out);
        self.header.encode(out);
    }
}

impl Decode for Tip {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Tip { slot: Decode::decode(input)?, header: Decode::decode(input)? })
    }
}

// Keys of the meta column.
pub(super) const VERSION_KEY: &[u8] = b"version";
pub(super) const IDENTITY_KEY: &[u8] = b"identity";
pub(super) const TIP_KEY: &[u8] = b"tip";
/// Which column holds the state: 1 for the other one.
pub(super) const STATE_COLUMN_KEY: &[u8] = b"state_column";
pub(super) const TRANSFER_KEY: &[u8] = b"transfer";
pub(super) const BASE_KEY: &[u8] = b"base";
/// There where the values are sealed: looked for without their key.
pub(super) const SEALED_KEY: &[u8] = b"sealed";
/// Before the id of a piece of evidence.
pub(super) const EVIDENCE_PREFIX: &[u8] = b"evidence/";

/// Big-endian, so that keys sort as slots do.
pub(super) fn slot_key(slot: Slot) -> [u8; 8] {
    slot.0.to_be_bytes()
}

pub(super) fn view_key(epoch: Epoch, view: View) -> Vec<u8> {
    let mut key = epoch.to_bytes();
    view.encode(&mut key);
    key
}
