//! From certificates to finality to execution. **Source**: consensus specification, sections 6 and 9.6.
//!
//! | rule | evidence | sound under | validators act on it |
//! |---|---|---|---|
//! | FAST | q PREPAREs of one ballot | crashes only | under `trust = crash`; else only reported |
//! | UNANIMOUS | n PREPAREs of one ballot | at most f Byzantine | yes |
//! | COMMIT | q COMMITs of one ballot | at most f Byzantine | yes |
//! | SEAL | f+1 SEALs of one block | at most f Byzantine | yes, when catching up |
//!
//! Every rule finalises the whole prefix: the ballot's prefix digest covers all lower slots.

use std::sync::Arc;

use carat_types::batch::{Value, WellFormed, null_digest};
use carat_types::block::CertifiedBlock;
use carat_types::certificate::{CommitCertificate, PreparedCertificate};
use carat_types::genesis::Trust;
use carat_types::header::prefix_digest;
use carat_types::message::Ballot;
use carat_types::{Digest, SignerSet, Slot};

use crate::effect::{Effect, Execute, Finality, Halt, Report, Rule, Trigger};
use crate::log::Decided;
use crate::rejection::Rejection;
use crate::replica::{Replica, invariant};

/// A slot that is final by itself, not by a higher one.
#[derive(Clone, Debug)]
pub(crate) struct Certified {
    pub(crate) digest: Digest,
    pub(crate) prefix: Digest,
    pub(crate) finality: Finality,
}

/// A slot that is being executed.
#[derive(Clone, Debug)]
pub(crate) struct InFlight {
    pub(crate) digest: Digest,
    pub(crate) prefix: Digest,
    /// The sealed block that execution must reproduce, when catching up.
    pub(crate) sealed: Option<Arc<CertifiedBlock>>,
}

impl Replica {
    /// How many PREPAREs of one ballot this replica acts upon: all n, or q where acceptors only crash (FAST).
    pub(crate) fn deciding_prepares(&self) -> usize {
        match self.config.trust {
            Trust::Bft => self.quorum.n(),
            Trust::Crash => self.quorum.quorum(),
        }
    }

    /// [`Self::deciding_prepares`] PREPAREs are together.
    pub(crate) fn certify_prepared(&mut self, certificate: PreparedCertificate) {
        let ballot = certificate.body.0;
        match self.config.trust {
            Trust::Bft => self.certify(&ballot, Rule::Unanimous, || Finality::Unanimous(certificate)),
            Trust::Crash => self.certify(&ballot, Rule::Fast, || Finality::Fast(certificate)),
        }
    }

    /// A slot is final by a rule that validators act upon.
    pub(crate) fn certify(&mut self, ballot: &Ballot, rule: Rule, finality: impl FnOnce() -> Finality) {
        let Ballot { view, slot, digest, prefix } = *ballot;
        if slot <= self.chain.last_final {
            let known = self.log.get(slot).and_then(|state| state.decided);
            if let Some(known) = known.filter(|known| known.prefix != prefix) {
                self.halt(Halt::Forked { slot, ours: known.prefix, theirs: prefix });
            }
            return;
        }
        if let Some(known) = self.chain.certified.get(&slot) {
            if known.prefix != prefix {
                let ours = known.prefix;
                self.halt(Halt::Forked { slot, ours, theirs: prefix });
            }
            return;
        }
        self.report(Report::RuleMet { slot, view, rule });
        self.insert_certified(slot, Certified { digest, prefix, finality: finality() });
    }

    pub(crate) fn insert_certified(&mut self, slot: Slot, certified: Certified) {
        self.block_if_contradicted(slot, &certified.prefix);
        self.chain.certified.insert(slot, certified);
    }

    /// I7: when a final value contradicts the own votes of this view, no higher slot can be voted for in it.
    fn block_if_contradicted(&mut self, slot: Slot, prefix: &Digest) {
        let view = self.position.view;
        let contradicted = self
            .log
            .get(slot)
            .and_then(|state| state.voted_in(view))
            .is_some_and(|vote| vote.ballot.prefix != *prefix);
        if contradicted {
            self.position.blocked = true;
        }
    }

    /// DATA: a peer proves that a slot is final.
    pub(crate) fn on_commit_certificate(&mut self, certificate: CommitCertificate) -> Result<(), Rejection> {
        let ballot = certificate.body.0;
        self.check_window(ballot.slot)?;
        let decided = self.log.get(ballot.slot).and_then(|state| state.decided).map(|known| known.prefix);
        let certified = self.chain.certified.get(&ballot.slot).map(|known| known.prefix);
        if decided.or(certified) == Some(ballot.prefix) {
            return Ok(());
        }
        self.check_certificate(&certificate, self.quorum.quorum())?;
        self.certify(&ballot, Rule::Commit, || Finality::Commit(certificate));
        Ok(())
    }

    /// Moves the last final slot up over certified slots, and over slots that a certified one covers.
    pub(crate) fn advance_final(&mut self) -> bool {
        let mut moved = false;
        while !self.halted {
            let slot = self.chain.last_final.next();
            let Some((&certified_slot, certified)) = self.chain.certified.range(slot..).next() else { break };
            if certified_slot == slot {
                let Certified { digest, prefix, finality } = certified.clone();
                let reached = prefix_digest(&self.chain.final_prefix, slot, &digest);
                if reached != prefix {
                    self.halt(Halt::Forked { slot, ours: reached, theirs: prefix });
                    break;
                }
                self.finalise(slot, digest, prefix, finality);
            } else {
                let Some(values) = self.covered(certified_slot, certified) else { break };
                for (slot, digest, prefix) in values {
                    self.finalise(slot, digest, prefix, Finality::Prefix(certified_slot));
                }
            }
            moved = true;
        }
        moved
    }

    /// The values of the slots between the last final one and a certified one, if the own votes (or the proposals at
    /// hand) make up exactly the certified prefix.
    fn covered(&self, top: Slot, certified: &Certified) -> Option<Vec<(Slot, Digest, Digest)>> {
        let mut values = Vec::new();
        let mut prefix = self.chain.final_prefix;
        let mut slot = self.chain.last_final.next();
        while slot < top {
            let state = self.log.get(slot)?;
            let digest = match (&state.last_vote, &state.current.proposal) {
                (Some(vote), _) => vote.ballot.digest,
                (None, Some(proposal)) => proposal.body.digest,
                (None, None) => return None,
            };
            prefix = prefix_digest(&prefix, slot, &digest);
            values.push((slot, digest, prefix));
            slot = slot.next();
        }
        (prefix_digest(&prefix, top, &certified.digest) == certified.prefix).then_some(values)
    }

    fn finalise(&mut self, slot: Slot, digest: Digest, prefix: Digest, finality: Finality) {
        invariant!(
            "I9",
            slot == self.chain.last_final.next(),
            "slot {slot} is final before the one below it"
        );
        self.block_if_contradicted(slot, &prefix);
        self.log.entry(slot).decided = Some(Decided { digest, prefix });
        // Kept until the slot is executed, which names it.
        self.chain.certified.insert(slot, Certified { digest, prefix, finality });
        self.chain.last_final = slot;
        self.chain.final_prefix = prefix;
        self.chain.final_us = self.now.monotonic_us;
        self.settle_doubt();
        // "On a newly final slot k = max(0, k-1), not 0" (section 10).
        self.views_without_final = self.views_without_final.saturating_sub(1);
    }

    /// A sealed block is the next final slot (SEAL), whatever this replica saw of its votes.
    pub(crate) fn finalise_sealed(&mut self, block: &Arc<CertifiedBlock>) {
        let header = &block.block.header;
        let slot = header.slot;
        let reached = prefix_digest(&self.chain.final_prefix, slot, &header.batch);
        if reached != header.prefix {
            return self.halt(Halt::Forked { slot, ours: reached, theirs: header.prefix });
        }
        self.report(Report::RuleMet { slot, view: self.position.view, rule: Rule::Seal });
        self.finalise(slot, header.batch, header.prefix, Finality::Sealed(Arc::clone(block)));
    }

    /// Hands final slots to execution, in order, as far as their payloads are at hand.
    pub(crate) fn advance_execution(&mut self) -> bool {
        let mut moved = false;
        let held = self.transfer.holds_execution();
        while !self.halted && !held && self.chain.dispatched < self.chain.last_final {
            let slot = self.chain.dispatched.next();
            let Some(decided) = self.log.get(slot).and_then(|state| state.decided) else {
                invariant!("I9", false, "final slot {slot} is not in the log");
                break;
            };
            let Some(payload) = self.payload_of(slot, &decided.digest) else { break };
            self.dispatch(slot, decided, payload);
            moved = true;
        }
        moved
    }

    fn payload_of(&mut self, slot: Slot, digest: &Digest) -> Option<WellFormed> {
        if *digest == null_digest() {
            return Some(WellFormed::null());
        }
        if let Some(payload) = self.payloads.get(digest) {
            return Some(payload.clone());
        }
        let waits = self.put_together(slot, digest);
        if let Some(payload) = self.payloads.get(digest) {
            return Some(payload.clone());
        }
        if waits {
            return None;
        }
        let holders = match self.chain.certified.get(&slot).map(|certified| &certified.finality) {
            Some(Finality::Unanimous(certificate) | Finality::Fast(certificate)) => certificate.signers,
            Some(Finality::Commit(certificate)) => certificate.signers,
            _ => SignerSet::default(),
        };
        self.want_payload(slot, *digest, holders);
        None
    }

    fn dispatch(&mut self, slot: Slot, decided: Decided, payload: WellFormed) {
        let parent_prefix = self.chain.dispatched_prefix;
        invariant!(
            "I12",
            prefix_digest(&parent_prefix, slot, &decided.digest) == decided.prefix,
            "slot {slot} does not continue the log"
        );
        let finality = self
            .chain
            .certified
            .remove(&slot)
            .map_or(Finality::Prefix(self.chain.last_final), |certified| certified.finality);
        let sealed = match &finality {
            Finality::Sealed(block) => Some(Arc::clone(block)),
            _ => None,
        };
        let ordered = self.pending.mark_ordered(slot, payload.payload().envelopes(), self.now.monotonic_us);
        self.measure_ordered(slot, payload.payload(), &ordered);
        if let Value::Batch(batch) = &payload.payload().value {
            self.bodies.forget(&batch.bodies);
        }
        let Decided { digest, prefix } = decided;
        self.confirm_tentative(slot, &prefix);
        self.chain.dispatched = slot;
        self.chain.dispatched_prefix = prefix;
        self.chain.in_flight.insert(slot, InFlight { digest, prefix, sealed });
        let stable = self.chain.stable;
        let ordered = ordered.hashes;
        let execute = Execute { slot, payload, parent_prefix, prefix, finality, stable, ordered };
        self.emit(Effect::Execute(Box::new(execute)));
    }

    /// T6: the last slot of the view's term is final; the leader's turn is over.
    pub(crate) fn end_term(&mut self) -> bool {
        let over = self.position.active
            && self.has_vote()
            && self.guard.is_none()
            && !self.halted
            && self.chain.last_final >= self.term_end();
        if over {
            self.leave_view(Trigger::TermEnd);
        }
        over
    }
}
