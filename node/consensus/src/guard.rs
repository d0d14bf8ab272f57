//! The start-up guard: before anything is signed, peers are asked for the highest votes that they hold of this
//! validator. A valid one that the journal does not know means that the journal was lost or rolled back, and that
//! signing on would be equivocation. **Source**: consensus specification, section 4. A guard, not a proof.

use std::collections::BTreeSet;

use carat_types::message::{Ballot, Fetch, HighestVotes, Message, Signed, SignedBody};
use carat_types::{SignerSet, ValidatorId, View};

use crate::effect::{Halt, Trigger};
use crate::log::OwnVote;
use crate::rejection::Rejection;
use crate::replica::Replica;
use crate::statement::Statement;

/// What the journal knew at the start, and who has answered.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    /// J3: every vote.
    pub(crate) votes: BTreeSet<Ballot>,
    /// J4: every certificate, so every COMMIT.
    pub(crate) commits: BTreeSet<Ballot>,
    pub(crate) answered: SignerSet,
}

impl Replica {
    /// Asks those who have not answered yet.
    pub(crate) fn ask_guardians(&mut self) {
        let Some(guard) = &self.guard else { return };
        let answered = guard.answered;
        let me = self.config.me;
        let silent: Vec<ValidatorId> =
            self.config.validators.ids().filter(|peer| *peer != me && !answered.contains(*peer)).collect();
        for peer in silent {
            self.send(peer, Message::Fetch(Fetch::HighestVotes(me)));
        }
    }

    /// DATA: what a peer holds of a validator's votes.
    pub(crate) fn on_highest_votes(
        &mut self,
        from: ValidatorId,
        votes: &HighestVotes,
    ) -> Result<(), Rejection> {
        let me = self.config.me;
        let signers = [
            votes.prepare.as_ref().map(|vote| vote.signer),
            votes.commit.as_ref().map(|vote| vote.signer),
            votes.view_change.as_ref().map(|vote| vote.signer),
        ];
        if votes.of != me || signers.into_iter().flatten().any(|signer| signer != me) {
            return Err(Rejection::Unrequested);
        }
        let Some(guard) = &self.guard else { return Ok(()) };
        if let Some(what) = self.forgotten(guard, votes)? {
            self.halt(Halt::ForgottenVote { what });
            return Ok(());
        }
        // Of edge proposers all may lie: what they show counts, that they have nothing to show does not.
        if self.is_acceptor(from)
            && let Some(guard) = &mut self.guard
        {
            guard.answered.insert(from);
        }
        self.pass_guard();
        Ok(())
    }

    /// A valid signature of this validator that its journal does not know; slots up to h are exempt.
    fn forgotten(&self, guard: &Guard, votes: &HighestVotes) -> Result<Option<String>, Rejection> {
        let h = self.chain.stable;
        if let Some(vote) = &votes.prepare {
            let ballot = vote.body.0;
            if ballot.slot > h && !guard.votes.contains(&ballot) {
                self.demand_valid(vote)?;
                return Ok(Some(format!("a PREPARE for slot {} in view {}", ballot.slot, ballot.view)));
            }
        }
        if let Some(vote) = &votes.commit {
            let ballot = vote.body.0;
            if ballot.slot > h && !guard.commits.contains(&ballot) {
                self.demand_valid(vote)?;
                return Ok(Some(format!("a COMMIT for slot {} in view {}", ballot.slot, ballot.view)));
            }
        }
        if let Some(shown) = &votes.view_change {
            // Compaction keeps the last one only: a lower one may have been sent and forgotten in good order.
            let known = self
                .own_view_change
                .as_ref()
                .is_some_and(|sent| sent.body.view > shown.body.view || sent.body == shown.body);
            if !known {
                self.demand_valid(shown.as_ref())?;
                return Ok(Some(format!("a VIEW-CHANGE for view {}", shown.body.view)));
            }
        }
        Ok(None)
    }

    fn demand_valid<B: SignedBody>(&self, signed: &Signed<B>) -> Result<(), Rejection> {
        if self.is_valid(signed) { Ok(()) } else { Err(Rejection::BadSignature) }
    }

    /// Starts to sign once n-f-1 validators have answered. Who has no vote has none to forget: J7 alone bars a proposer.
    pub(crate) fn pass_guard(&mut self) {
        let needed = if self.has_vote() { self.quorum.quorum().saturating_sub(1) } else { 0 };
        if self.guard.as_ref().is_none_or(|guard| guard.answered.len() < needed) {
            return;
        }
        self.guard = None;
        self.repeat_votes();
        self.repeat_seals();
        let view = self.position.view;
        self.position.entered_us = self.now.monotonic_us;
        self.begin_measuring();
        if self.leads(view) && self.barred_through.is_some_and(|barred| view <= barred) {
            // J7 and T7: the own proposer may not lead this view; say so at once.
            return self.leave_view(Trigger::Barred);
        }
        if !self.position.active && view > View(0) {
            self.send_view_change();
        }
        self.after_view_changes();
    }

    /// The own votes of the current view are counted and sent again, in slot order, with the same signatures as before:
    /// the crash may have come between the journal and the message. But not those that something final contradicts (I7).
    fn repeat_votes(&mut self) {
        for OwnVote { ballot, justification } in self.own_log().votes {
            self.say(Statement::Prepare(ballot, justification));
            if ballot.slot <= self.position.committed {
                self.say(Statement::Commit(ballot));
            }
        }
    }

    fn repeat_seals(&mut self) {
        let unsent: Vec<_> = self
            .seals
            .blocks
            .iter()
            .filter(|(slot, block)| **slot > self.chain.stable || !block.sealed)
            .filter_map(|(slot, block)| Some((*slot, block.own.as_ref()?.1)))
            .collect();
        for (slot, header) in unsent {
            self.send_seal(slot, header);
            self.after_seal(slot);
        }
    }
}
