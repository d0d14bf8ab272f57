//! The normal case: PRE-PREPARE, PREPARE, COMMIT; the acceptor. **Source**: consensus specification,
//! section 5. Each handler refuses first, then records, and leaves the acting to `advance_*`, which look at one slot
//! each: votes and commits go in slot order (I7).

use std::sync::Arc;

use carat_types::batch::{Batch, Payload, Value, WellFormed, null_digest};
use carat_types::genesis::Trust;
use carat_types::header::prefix_digest;
use carat_types::message::{
    Ballot, Commit, HighestVotes, Justification, PrePrepare, Prepare, ProposalSignature, Signed,
};
use carat_types::{Digest, SignerSet, Slot, View};

use crate::effect::{Effect, Finality, Halt, Report, Rule, Trigger};
use crate::log::{Counted, OwnVote, Round};
use crate::record::Record;
use crate::rejection::Rejection;
use crate::replica::{Replica, invariant, millis};
use crate::statement::Statement;
use crate::timer::Timer;

/// A vote that may be cast now.
pub(crate) struct Castable {
    pub(crate) digest: Digest,
    pub(crate) prefix: Digest,
    pub(crate) justification: Justification,
}

impl Replica {
    // Messages.

    /// PRE-PREPARE with its payload (section 5.2).
    pub(crate) fn on_proposal(
        &mut self,
        signed: Signed<PrePrepare>,
        payload: WellFormed,
    ) -> Result<(), Rejection> {
        self.check_proposal(&signed)?;
        let PrePrepare { view, slot, digest, .. } = signed.body;
        let own_view = self.position.view;
        if self.record_proposal(signed)? && view == own_view && digest == payload.digest() {
            // Early PRE-PREPAREs of the next view keep the digest only.
            let needed = slot == self.position.voted.next() || slot == self.chain.dispatched.next();
            self.payloads.insert(slot, payload, needed);
            self.catch_up.forget_payload(&digest);
        }
        Ok(())
    }

    /// A PRE-PREPARE without a usable payload.
    pub(crate) fn on_bad_proposal(
        &mut self,
        signed: &Signed<PrePrepare>,
        leader_is_to_blame: bool,
    ) -> Result<(), Rejection> {
        self.check_proposal(signed)?;
        if leader_is_to_blame {
            // T3: the leader signed for something that no acceptor may vote for.
            self.accuse_leader(signed.body.view, "signed a malformed batch");
        }
        Err(Rejection::BadPayload)
    }

    pub(crate) fn check_proposal(&self, signed: &Signed<PrePrepare>) -> Result<(), Rejection> {
        let PrePrepare { view, slot, .. } = signed.body;
        if signed.signer != self.leader_of(view) {
            return Err(Rejection::NotLeader);
        }
        if view < self.position.view {
            return Err(Rejection::OldView);
        }
        self.check_view(view)?;
        self.check_window(slot)?;
        if view == self.position.view && self.position.active {
            // I3: in this view, what is at or below s_max is forced; beyond the term nothing is voted (T6).
            if slot <= self.position.s_max {
                return Err(Rejection::ForcedSlot);
            }
            if slot > self.term_end() {
                return Err(Rejection::BeyondTerm);
            }
        }
        Ok(())
    }

    /// Records a PRE-PREPARE that was checked.
    ///
    /// **Returns** whether it is the one on record for its view and slot.
    pub(crate) fn record_proposal(&mut self, signed: Signed<PrePrepare>) -> Result<bool, Rejection> {
        let (view, slot) = (signed.body.view, signed.body.slot);
        let round = self.round_mut(view, slot)?;
        match &round.proposal {
            Some(held) if held.body == signed.body => Ok(true),
            Some(held) => {
                let held = held.clone();
                self.convict_of_proposals(held, signed);
                self.accuse_leader(view, "signed two PRE-PREPAREs for one view and slot");
                Err(Rejection::Conflict)
            }
            None => {
                round.proposal = Some(signed);
                if view == self.position.view {
                    self.performance.proposed(self.now.monotonic_us);
                }
                Ok(true)
            }
        }
    }

    /// PREPARE.
    pub(crate) fn on_prepare(
        &mut self,
        vote: &Signed<Prepare>,
        justification: &Justification,
    ) -> Result<(), Rejection> {
        let ballot = vote.body.0;
        self.check_own(vote.signer, &ballot)?;
        self.check_window(ballot.slot)?;
        self.check_vote_view(&ballot)?;
        self.note_prepare(vote);
        self.compare_prepare(vote);
        if ballot.view < self.position.view {
            let counted = self.log.entry(ballot.slot).late_prepares.add(&ballot, vote.signer, vote.signature);
            return self.after_late_prepare(&ballot, vote, counted);
        }
        if ballot.view == self.position.view {
            self.check_justification(&ballot, justification)?;
        }
        let round = self.round_mut(ballot.view, ballot.slot)?;
        let counted = round.prepares.add(&ballot, vote.signer, vote.signature);
        if let Some(tally) = round.prepares.tally_mut(&ballot) {
            tally.justification.get_or_insert_with(|| justification.clone());
        }
        match counted {
            Counted::Fresh(count) if ballot.view == self.position.view => {
                self.after_prepare(&ballot, count);
                Ok(())
            }
            Counted::Fresh(_) | Counted::Duplicate => Ok(()),
            Counted::Conflict => Err(self.double_vote(vote.signer)),
        }
    }

    fn after_late_prepare(
        &mut self,
        ballot: &Ballot,
        vote: &Signed<Prepare>,
        counted: Counted,
    ) -> Result<(), Rejection> {
        match counted {
            Counted::Fresh(count) if count >= self.quorum.quorum() => {
                let state = self.log.entry(ballot.slot);
                let certificate = state.late_prepares.tally(ballot).prepared();
                state.learn_prepared(certificate.clone());
                if count == self.deciding_prepares() {
                    self.certify_prepared(certificate);
                }
                Ok(())
            }
            Counted::Fresh(_) | Counted::Duplicate => Ok(()),
            Counted::Conflict => Err(self.double_vote(vote.signer)),
        }
    }

    /// A PREPARE of this view was counted; it is the `count`-th for its ballot.
    pub(crate) fn after_prepare(&mut self, ballot: &Ballot, count: usize) {
        if count == self.quorum.quorum() {
            if self.config.trust == Trust::Bft {
                // FAST: reported, never acted on (section 6).
                self.report(Report::RuleMet { slot: ballot.slot, view: ballot.view, rule: Rule::Fast });
            }
            self.adopt_proposal(ballot);
        }
        // Votes are collected beyond q for UNANIMOUS.
        if count == self.deciding_prepares()
            && let Some(certificate) = self
                .log
                .get(ballot.slot)
                .and_then(|state| state.current.prepares.tally(ballot))
                .map(crate::log::Tally::prepared)
        {
            self.certify_prepared(certificate);
        }
    }

    /// COMMIT.
    pub(crate) fn on_commit(&mut self, vote: &Signed<Commit>) -> Result<(), Rejection> {
        let ballot = vote.body.0;
        self.check_own(vote.signer, &ballot)?;
        self.check_window(ballot.slot)?;
        self.check_vote_view(&ballot)?;
        self.note_commit(vote);
        self.compare_commit(vote);
        let own_view = self.position.view;
        let counted = if ballot.view < own_view {
            self.log.entry(ballot.slot).late_commits.add(&ballot, vote.signer, vote.signature)
        } else {
            self.round_mut(ballot.view, ballot.slot)?.commits.add(&ballot, vote.signer, vote.signature)
        };
        match counted {
            // COMMITs count in every view: a late certificate is still read as final (section 7.2).
            Counted::Fresh(count) if count == self.quorum.quorum() => {
                self.after_commit_quorum(&ballot);
                Ok(())
            }
            Counted::Fresh(_) | Counted::Duplicate => Ok(()),
            Counted::Conflict => Err(self.double_vote(vote.signer)),
        }
    }

    pub(crate) fn after_commit_quorum(&mut self, ballot: &Ballot) {
        let quorum = self.quorum.quorum();
        let own_view = self.position.view;
        let Some(state) = self.log.get(ballot.slot) else { return };
        let tally = if ballot.view < own_view {
            Some(state.late_commits.tally(ballot))
        } else {
            let round = if ballot.view == own_view { &state.current } else { &state.next };
            round.commits.tally(ballot).map(|tally| crate::log::Tally {
                ballot: *ballot,
                signatures: tally.signatures.clone(),
                justification: None,
            })
        };
        if let Some(tally) = tally.filter(|tally| tally.signatures.len() >= quorum) {
            self.certify(ballot, Rule::Commit, || Finality::Commit(tally.committed()));
        }
    }

    // Checks.

    /// A valid vote in the own name that this process did not cast: the journal has lost it (section 4).
    fn check_own(&mut self, signer: carat_types::ValidatorId, ballot: &Ballot) -> Result<(), Rejection> {
        if signer != self.config.me {
            return Ok(());
        }
        let unknown = ballot.slot > self.chain.stable
            && self.guard.is_none()
            && ballot.view >= self.position.view
            && self
                .log
                .get(ballot.slot)
                .and_then(|state| state.voted_in(ballot.view))
                .is_none_or(|vote| vote.ballot != *ballot);
        if unknown {
            let what = format!("a vote for slot {} in view {} that was not cast", ballot.slot, ballot.view);
            self.halt(Halt::ForgottenVote { what });
        }
        Err(Rejection::Conflict)
    }

    /// Of what is to come, the next view's messages are kept.
    fn check_view(&self, view: View) -> Result<(), Rejection> {
        let is_far = view > self.position.view && view != self.next_view();
        if is_far { Err(Rejection::FarView) } else { Ok(()) }
    }

    fn check_vote_view(&self, ballot: &Ballot) -> Result<(), Rejection> {
        self.check_view(ballot.view)
    }

    /// Section 7.1: a PREPARE that conflicts with the leader's proposal proves something only if it shows another
    /// signature of the leader; an acceptor that cannot show one is ignored for that slot.
    fn check_justification(
        &mut self,
        ballot: &Ballot,
        justification: &Justification,
    ) -> Result<(), Rejection> {
        let Some(held) = self.log.get(ballot.slot).and_then(|state| state.current.proposal.as_ref()) else {
            return Ok(());
        };
        if held.body.digest == ballot.digest {
            return Ok(());
        }
        let Justification::Proposal(shown) = justification else { return Err(Rejection::Unjustified) };
        let other = self.proposal_of(ballot, shown);
        if !self.is_valid(&other) {
            return Err(Rejection::Unjustified);
        }
        let held = held.clone();
        self.convict_of_proposals(held, other);
        self.accuse_leader(ballot.view, "signed two PRE-PREPAREs for one view and slot");
        Ok(())
    }

    /// The PRE-PREPARE that a PREPARE names.
    fn proposal_of(&self, ballot: &Ballot, shown: &ProposalSignature) -> Signed<PrePrepare> {
        let Ballot { view, slot, digest, .. } = *ballot;
        let body = PrePrepare { view, slot, parent: shown.parent, digest };
        Signed { signer: self.leader_of(view), body, signature: shown.signature }
    }

    /// q voters accepted a proposal that never arrived here: take the leader's signature from their votes.
    fn adopt_proposal(&mut self, ballot: &Ballot) {
        let Some(state) = self.log.get(ballot.slot) else { return };
        if state.current.proposal.is_some() {
            return;
        }
        let tally = state.current.prepares.tally(ballot);
        let Some(Justification::Proposal(shown)) = tally.and_then(|t| t.justification.as_ref()) else {
            return;
        };
        let proposal = self.proposal_of(ballot, shown);
        if self.check_proposal(&proposal).is_ok() && self.is_valid(&proposal) {
            self.log.entry(ballot.slot).current.proposal = Some(proposal);
        }
    }

    /// T3: proof against the leader of the own view ends the view.
    pub(crate) fn accuse_leader(&mut self, view: View, what: &'static str) {
        self.misbehaviour(self.config.validators.process_of(self.leader_of(view)), what);
        if view == self.position.view {
            self.leave_view(Trigger::LeaderProof);
        }
    }

    fn double_vote(&mut self, signer: carat_types::ValidatorId) -> Rejection {
        self.misbehaviour(signer, "voted twice for one view and slot");
        Rejection::Conflict
    }

    fn round_mut(&mut self, view: View, slot: Slot) -> Result<&mut Round, Rejection> {
        let (own, next) = (self.position.view, self.next_view());
        let state = self.log.entry(slot);
        if view == own {
            Ok(&mut state.current)
        } else if view == next {
            Ok(&mut state.next)
        } else {
            Err(Rejection::FarView)
        }
    }

    fn note_prepare(&mut self, vote: &Signed<Prepare>) {
        let highest = self.highest_mut(vote.signer);
        let key = |vote: &Signed<Prepare>| (vote.body.0.view, vote.body.0.slot);
        if highest.prepare.as_ref().is_none_or(|held| key(held) < key(vote)) {
            highest.prepare = Some(vote.clone());
        }
    }

    fn note_commit(&mut self, vote: &Signed<Commit>) {
        let highest = self.highest_mut(vote.signer);
        let key = |vote: &Signed<Commit>| (vote.body.0.view, vote.body.0.slot);
        if highest.commit.as_ref().is_none_or(|held| key(held) < key(vote)) {
            highest.commit = Some(vote.clone());
        }
    }

    pub(crate) fn highest_mut(&mut self, of: carat_types::ValidatorId) -> &mut HighestVotes {
        let peer = self.peers.entry(of).or_default();
        peer.highest.get_or_insert_with(|| {
            Box::new(HighestVotes { of, prepare: None, commit: None, view_change: None })
        })
    }

    // Voting.

    /// Casts every PREPARE that may be cast, in slot order; an edge proposer follows the log where it would.
    pub(crate) fn advance_votes(&mut self) -> bool {
        let mut moved = false;
        while let Some(castable) = self.castable() {
            match self.has_vote() {
                true => self.cast_vote(castable),
                false => self.follow(castable),
            }
            moved = true;
        }
        moved
    }

    /// The conditions of sections 5.2 and 7.4 for the next slot.
    fn castable(&mut self) -> Option<Castable> {
        let position = &self.position;
        if self.halted || !position.active || position.blocked || self.guard.is_some() {
            return None;
        }
        let slot = position.voted.next();
        self.check_window(slot).ok()?;
        if slot > self.term_end() {
            return None;
        }
        let state = self.log.get(slot);
        // I1: at most one PREPARE per view and slot.
        if state.is_some_and(|state| state.voted_in(position.view).is_some()) {
            return None;
        }
        let (digest, holders, justification, fresh) = match position.forced.get(&slot) {
            Some(forced) => {
                (forced.digest, forced.holders, Justification::NewView(position.new_view_hash), false)
            }
            None if slot <= position.s_max => return None,
            None => {
                let proposal = state?.current.proposal.as_ref()?;
                // "parent equals its own c(s-1)".
                if proposal.body.parent != position.voted_prefix {
                    return None;
                }
                let shown = ProposalSignature { parent: proposal.body.parent, signature: proposal.signature };
                let holders = SignerSet::from_iter([self.config.validators.process_of(proposal.signer)]);
                (proposal.body.digest, holders, Justification::Proposal(shown), true)
            }
        };
        let prefix = prefix_digest(&position.voted_prefix, slot, &digest);
        if !self.agrees_with_final(slot, &digest, &prefix) || !self.holds_payload(slot, &digest, holders) {
            return None;
        }
        let ballot = Ballot { view: self.position.view, slot, digest, prefix };
        if fresh && !self.is_timely(&ballot) {
            return None;
        }
        Some(Castable { digest, prefix, justification })
    }

    /// I7: the signed prefix agrees with every final value that this replica knows.
    pub(crate) fn agrees_with_final(&self, slot: Slot, digest: &Digest, prefix: &Digest) -> bool {
        let decided = self.log.get(slot).and_then(|state| state.decided);
        let certified = self.chain.certified.get(&slot);
        decided.is_none_or(|known| known.digest == *digest && known.prefix == *prefix)
            && certified.is_none_or(|known| known.digest == *digest && known.prefix == *prefix)
    }

    /// J3: the payload is at hand, or in the journal with an earlier vote; otherwise it is asked for.
    fn holds_payload(&mut self, slot: Slot, digest: &Digest, holders: SignerSet) -> bool {
        if *digest == null_digest() || self.payloads.get(digest).is_some() {
            return true;
        }
        if self.log.get(slot).is_some_and(|state| state.journaled.contains(digest)) {
            return true;
        }
        let waits = self.put_together(slot, digest);
        if self.payloads.get(digest).is_some() {
            return true;
        }
        if !waits {
            self.want_payload(slot, *digest, holders);
        }
        false
    }

    /// Section 5.2: a fresh proposal's time is at most DRIFT ahead of the own clock; no other clock check, and none
    /// once q PREPAREs for it exist. A refused proposal is looked at again.
    fn is_timely(&mut self, ballot: &Ballot) -> bool {
        let Some(payload) = self.payloads.get(&ballot.digest) else { return true };
        let Value::Batch(batch) = &payload.payload().value else { return false };
        let latest = self.now.wall_ms.saturating_add(self.config.params.drift_ms);
        let early_ms = batch.time_ms.saturating_sub(latest);
        let backed = self
            .log
            .get(ballot.slot)
            .is_some_and(|state| state.current.prepares.count(ballot) >= self.quorum.quorum());
        if early_ms == 0 || backed {
            return true;
        }
        self.arm(Timer::Recheck, millis(early_ms.min(self.config.params.timeout_max_ms)));
        false
    }

    fn cast_vote(&mut self, castable: Castable) {
        let ballot = self.ballot_of(&castable);
        let (slot, digest, justification) = (ballot.slot, ballot.digest, castable.justification);
        let held = self.payloads.get(&digest).cloned();
        let state = self.log.entry(slot);
        let payload = if digest == null_digest() || state.journaled.contains(&digest) {
            None
        } else {
            state.journaled.push(digest);
            held.as_ref().map(|held| Arc::clone(held.payload()))
        };
        invariant!(
            "I4",
            payload.is_some() || digest == null_digest() || state.journaled.contains(&digest),
            "a vote for slot {slot} without its payload"
        );
        self.take_next(ballot, justification.clone());
        let batch = payload.as_ref().and_then(|payload| self.batch_of_kept_bodies(slot, payload));
        // J3 before the PREPARE; bodies that the journal holds are not written twice.
        let payload = payload.filter(|_| batch.is_none());
        if let Some(batch) = batch {
            self.persist_bodies(&batch.bodies);
            self.emit(Effect::Persist(Record::Batch(slot, batch)));
        }
        self.emit(Effect::Persist(Record::Vote(ballot, justification.clone(), payload)));
        self.say(Statement::Prepare(ballot, justification));
    }

    /// The ballot for the next slot of the view's log.
    pub(crate) fn ballot_of(&self, castable: &Castable) -> Ballot {
        let (view, slot) = (self.position.view, self.position.voted.next());
        Ballot { view, slot, digest: castable.digest, prefix: castable.prefix }
    }

    /// Takes a value as the next of the view's log.
    pub(crate) fn take_next(&mut self, ballot: Ballot, justification: Justification) {
        let Ballot { view, slot, .. } = ballot;
        let held = self.payloads.get(&ballot.digest).cloned();
        let state = self.log.entry(slot);
        invariant!(
            "I1",
            state.last_vote.as_ref().is_none_or(|vote| vote.ballot.view < view),
            "a second PREPARE in view {view} for slot {slot}"
        );
        state.last_vote = Some(OwnVote { ballot, justification });
        self.position.voted = slot;
        self.position.voted_prefix = ballot.prefix;
        if let Some(held) = held {
            // What is on its way does not wait for the leader any more; a leader's own batches are marked already.
            self.pending.mark_in_flight(held.payload().envelopes());
            self.payloads.insert(slot, held, true);
        }
    }

    /// The batch of a payload all of whose bodies the journal holds for a vote at this slot, or can.
    fn batch_of_kept_bodies(&self, slot: Slot, payload: &Payload) -> Option<Batch> {
        match &payload.value {
            Value::Batch(batch) if !batch.bodies.is_empty() => {
                self.bodies.are_kept(slot, &batch.bodies).then(|| batch.clone())
            }
            _ => None,
        }
    }

    /// Sends every COMMIT that may be sent, in slot order (section 5.3). Under `trust = crash` none is sent and J4 is not
    /// written (section 6): the slot is final, and peers need not send their votes for it again.
    pub(crate) fn advance_commits(&mut self) -> bool {
        let mut moved = false;
        while self.commit_next() {
            moved = true;
        }
        moved
    }

    fn commit_next(&mut self) -> bool {
        let view = self.position.view;
        let slot = self.position.committed.next();
        if self.halted || !self.position.active || self.position.blocked || self.guard.is_some() {
            return false;
        }
        if slot > self.position.voted {
            return false;
        }
        let quorum = self.quorum.quorum();
        let Some(state) = self.log.get_mut(slot) else { return false };
        // The own vote is the own chain; a certificate for anything else is not answered.
        let Some(ballot) = state.voted_in(view).map(|vote| vote.ballot) else { return false };
        let Some(tally) = state.current.prepares.tally(&ballot) else { return false };
        if tally.signatures.len() < quorum {
            return false;
        }
        let certificate = tally.prepared();
        invariant!("I5", certificate.body.0 == ballot && ballot.view == view, "a foreign certificate");
        self.position.committed = slot;
        if self.config.trust == Trust::Crash {
            self.certify_prepared(certificate);
            return true;
        }
        state.prepared = Some(certificate.clone());
        if !self.has_vote() {
            return true;
        }
        // J4 before the COMMIT.
        self.emit(Effect::Persist(Record::Prepared(certificate)));
        self.say(Statement::Commit(ballot));
        true
    }
}
