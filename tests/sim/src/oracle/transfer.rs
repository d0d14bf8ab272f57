//! States that are fetched instead of executed (invariant 14): nothing of them is taken that is not proved.

use carat_consensus::KeptTransfer;
use carat_types::header::Header;
use carat_types::snapshot::{Progress, SnapshotOffer, StateChunk};
use carat_types::{Digest, ValidatorId};

use super::chain::Chain;
use super::{Court, Oracle, Verdict, demand};
use crate::ledger::leaf_rule;

impl Oracle {
    /// A validator begins to fetch a state.
    pub fn begins_transfer(&self, at: ValidatorId, offer: &SnapshotOffer) -> Verdict {
        let watch = self.watch(at);
        if !watch.acceptor_is_correct {
            return Ok(());
        }
        self.judge_offer(at, offer)?;
        let executed = watch.executed;
        demand(offer.slot() > executed, "a state is fetched only from above", at, || {
            format!("{}, executed {executed}", offer.slot())
        })
    }

    /// A validator keeps a chunk: the next one of its transfer.
    pub fn keeps_chunk(
        &self,
        at: ValidatorId,
        chunk: &StateChunk,
        transfer: Option<&KeptTransfer>,
    ) -> Verdict {
        if !self.watch(at).acceptor_is_correct {
            return Ok(());
        }
        let follows = transfer
            .is_some_and(|it| it.offer.slot() == chunk.slot && it.progress == Progress::At(chunk.from));
        demand(follows, "chunks are kept in order", at, || format!("{} {}", chunk.slot, chunk.from))?;
        self.chain.judge_chunk(at, chunk)
    }

    /// A validator stands on a fetched state, whose tree was built anew.
    pub fn installed(&mut self, at: ValidatorId, header: &Header, root: Digest) -> Verdict {
        let slot = header.slot;
        let expected = (self.chain.hash(slot), self.chain.state_root(slot));
        let (court, _) = self.present(at);
        let watch = &mut court.watches[at.index()];
        if !watch.acceptor_is_correct {
            return Ok(());
        }
        let before = watch.executed;
        watch.skipped = Some((before, slot));
        (watch.executed, watch.dispatched) = (slot, slot);
        demand(
            before < slot && expected == (header.hash(), root),
            "only a proved state is put in place",
            at,
            || format!("slot {slot} after {before}: root {root}, expected {expected:?}"),
        )
    }

    /// The base is proved by the validators of its epoch, the block above it by those of its own: where the base ends an
    /// epoch, by others.
    pub(super) fn judge_offer(&self, at: ValidatorId, offer: &SnapshotOffer) -> Verdict {
        let of_base = self.court(at, offer.base.header.epoch)?;
        of_base.certificates.stable(at, &offer.base, of_base.params.checkpoint_interval)?;
        self.court(at, offer.next.epoch)?.judge_next(at, offer)?;
        let next = offer.next.hash();
        let holds = offer.next_seals.body.header == next && self.chain.hash(offer.slot().next()) == next;
        demand(holds, "an offered state is certified", at, || format!("slot {}", offer.slot()))
    }
}

impl Court {
    fn judge_next(&self, at: ValidatorId, offer: &SnapshotOffer) -> Verdict {
        self.certificates.seals(at, &offer.next_seals, self.thresholds.faults + 1)
    }
}

impl Chain {
    pub(super) fn judge_chunk(&self, at: ValidatorId, chunk: &StateChunk) -> Verdict {
        let expected = self.state_root(chunk.slot);
        demand(chunk.root(&leaf_rule()) == Some(expected), "a chunk is proved", at, || {
            format!(
                "slot {} from {}: root {:?}, expected {expected}",
                chunk.slot,
                chunk.from,
                chunk.root(&leaf_rule())
            )
        })
    }
}
