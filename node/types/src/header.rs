//! The header of a block, and the digest of the log's prefix. **Source**: consensus specification, sections 2 and 11.

use crate::batch::Value;
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

    /// The header of the block above this one, which applied `transactions`, as far as it follows from what was decided: but
    /// for the three roots, which are still those of this block, and the end of its epoch if its execution fixes one.
    /// **Source**: section 11.
    pub fn above(&self, transactions: u32, value: &Value) -> Self {
        let slot = self.slot.next();
        let after_parent = self.time_ms.saturating_add(1);
        let time_ms = match value {
            Value::Null => after_parent,
            Value::Batch(batch) => batch.time_ms.max(after_parent),
        };
        let ledger = ledger_of(self.ledger, self.time_ms, time_ms);
        let first_transaction = match ledger == self.ledger {
            true => self.first_transaction.saturating_add(transactions),
            false => 0,
        };
        let batch = value.digest();
        let prefix = prefix_digest(&self.prefix, slot, &batch);
        let parent = self.hash();
        let (epoch, epoch_end) = match &self.epoch_end {
            Some(end) if slot > end.slot => (self.epoch.next(), None),
            end => (self.epoch, end.clone()),
        };
        Header {
            epoch,
            slot,
            ledger,
            first_transaction,
            parent,
            batch,
            prefix,
            time_ms,
            epoch_end,
            ..self.clone()
        }
    }

    /// Whether the block is the last one of its epoch.
    pub fn ends_epoch(&self) -> bool {
        self.epoch_end.as_ref().is_some_and(|end| end.slot == self.slot)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Batch;

    #[test]
    fn block_above_has_a_later_time_and_its_place_in_the_ledger() {
        let parent = Header {
            ledger: 7,
            first_transaction: 10,
            ..Header::genesis(Digest([1; 32]), 1_000, Digest::ZERO)
        };
        let batch = |time_ms| Value::Batch(Batch { time_ms, bodies: Vec::new() });
        // 1,000 to 1,249 ms are one ledger.
        let cases = [
            ("nothing", Value::Null, (1_001, 7, 13)),
            ("a batch of the same ledger", batch(1_249), (1_249, 7, 13)),
            ("a batch of the next window", batch(1_250), (1_250, 8, 0)),
            ("a batch many windows later", batch(9_000), (9_000, 8, 0)),
            ("a proposer whose clock is behind", batch(3), (1_001, 7, 13)),
        ];
        for (what, value, expected) in cases {
            let above = parent.above(3, &value);
            assert_eq!((above.time_ms, above.ledger, above.first_transaction), expected, "{what}");
            assert_eq!(
                (above.slot, above.parent, above.batch),
                (Slot(1), parent.hash(), value.digest()),
                "{what}"
            );
            assert_eq!(above.prefix, prefix_digest(&parent.prefix, Slot(1), &value.digest()), "{what}");
        }
    }

    #[test]
    fn block_above_the_end_of_an_epoch_is_the_first_of_the_next() {
        let end = EpochEnd { slot: Slot(2), next_set: Digest([9; 32]) };
        let fixed = Header {
            epoch: Epoch(4),
            epoch_end: Some(end.clone()),
            ..Header::genesis(Digest([1; 32]), 1_000, Digest::ZERO)
        };
        let first = fixed.above(0, &Value::Null);
        let last = first.above(0, &Value::Null);
        let above = last.above(0, &Value::Null);
        let epochs =
            [&first, &last, &above].map(|header| (header.slot, header.epoch, header.epoch_end.clone()));
        let expected = [
            (Slot(1), Epoch(4), Some(end.clone())),
            (Slot(2), Epoch(4), Some(end)),
            (Slot(3), Epoch(5), None),
        ];
        assert_eq!(epochs, expected);
    }
}
