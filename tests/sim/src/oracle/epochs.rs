//! How one epoch follows upon another (section 11; decision records 39 and 40), by the oracle's own arithmetic: one end for all,
//! nothing decided on both sides of it, and the next set the one that was planned.

use carat_types::header::Header;
use carat_types::message::StableCheckpoint;
use carat_types::{Epoch, Slot, ValidatorId};

use super::court::Court;
use super::{Oracle, Verdict, demand};

impl Oracle {
    /// A correct validator executed a block: what its header says of epochs.
    pub(super) fn judge_header(&mut self, at: ValidatorId, header: &Header) -> Verdict {
        let rule = "a header names the epoch and its end";
        let present = self.present[at.index()];
        let named = u32::try_from(present).is_ok_and(|epoch| Epoch(epoch) == header.epoch);
        let court = &mut self.courts[present];
        let inside = header.slot > court.base.0 && court.end.is_none_or(|end| header.slot <= end);
        demand(named && inside, rule, at, || {
            format!("{header:?} in epoch {present}, above {:?} up to {:?}", court.base.0, court.end)
        })?;
        let told = header.epoch_end.as_ref().map(|end| end.slot);
        if court.end.is_none()
            && let Some(end) = &header.epoch_end
        {
            let (interval, window) = (court.params.checkpoint_interval, court.params.window);
            let least = (header.slot.0 + window).div_ceil(interval) * interval;
            let planned = self.eras.get(present + 1).map(|era| era.hash);
            demand(end.slot == Slot(least) && planned == Some(end.next_set), rule, at, || {
                format!("{header:?}: slot {least} and set {planned:?} expected")
            })?;
            court.end = Some(end.slot);
            court.decided = Some(header.slot);
        }
        let expected = court.end.filter(|_| court.decided.is_some_and(|decided| header.slot >= decided));
        demand(told == expected, rule, at, || format!("{header:?}: end {expected:?} expected"))
    }

    /// No slot beyond the end of an epoch is final by its votes.
    pub(super) fn judge_end(&self, epoch: usize, from: ValidatorId) -> Verdict {
        let Some(court) = self.courts.get(epoch) else { return Ok(()) };
        let tip = court.ballots.final_tip();
        demand(court.end.is_none_or(|end| tip <= end), "agreement over epochs", from, || {
            format!("slot {tip} is final in epoch {epoch}, which ends with slot {:?}", court.end)
        })
    }

    /// A validator's epoch is over.
    pub fn epoch_ended(&mut self, at: ValidatorId, last: &StableCheckpoint) -> Verdict {
        self.open(self.present[at.index()] + 1);
        if self.watch(at).acceptor_is_correct { self.judge_last(at, last) } else { Ok(()) }
    }

    /// Opens the court of an epoch, if it is known how the one before ends.
    fn open(&mut self, epoch: usize) {
        let (Some(before), Some(era)) = (self.courts.last(), self.eras.get(epoch)) else { return };
        if let Some(end) = before.end.filter(|_| self.courts.len() == epoch) {
            let base = (end, self.chain.prefix(end));
            self.courts.push(Court::new(&self.plan, era, self.authenticator.clone(), base));
        }
    }

    fn judge_last(&self, at: ValidatorId, last: &StableCheckpoint) -> Verdict {
        let rule = "an epoch ends with its last slot";
        let court = &self.courts[self.present[at.index()]];
        let watch = &court.watches[at.index()];
        let slot = last.header.slot;
        court.certificates.stable(at, last, court.params.checkpoint_interval)?;
        demand(court.end == Some(slot) && self.chain.hash(slot) == last.header.hash(), rule, at, || {
            format!("slot {slot} ends it, {:?} expected", court.end)
        })?;
        let (stable, executed) = (watch.history.stable().0, watch.executed);
        demand(stable == slot && executed == slot, rule, at, || {
            format!("slot {slot}, durable checkpoint {stable}, executed {executed}")
        })
    }

    /// A validator's journal is one of this epoch from now on: where it stands it brings along, and nothing else.
    pub fn begins(&mut self, at: ValidatorId, epoch: usize) -> Verdict {
        let before = self.present[at.index()];
        if before == epoch {
            return Ok(());
        }
        self.open(epoch);
        let (executed, dispatched, skipped) = {
            let watch = self.watch(at);
            (watch.executed, watch.dispatched, watch.skipped)
        };
        let in_order = epoch < self.courts.len() && (epoch > before || !self.watch(at).acceptor_is_correct);
        demand(in_order, "epochs begin in order", at, || {
            format!("epoch {epoch} after {before}, {} have begun", self.courts.len())
        })?;
        self.present[at.index()] = epoch;
        let watch = &mut self.courts[epoch].watches[at.index()];
        (watch.executed, watch.dispatched, watch.skipped) = (executed, dispatched, skipped);
        Ok(())
    }
}
