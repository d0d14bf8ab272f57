//! Reliable delivery over a network that loses messages: STATUS every second, and answers with exactly what its
//! sender lacks. **Source**: consensus specification, section 10.

use std::sync::Arc;

use carat_types::message::{
    Commit, Data, Fetch, HighestVotes, Message, Prepare, PrepareMessage, Proposal, Signed, Status,
};
use carat_types::{Slot, ValidatorId, View};

use crate::effect::Effect;
use crate::replica::{Replica, millis};
use crate::timer::Timer;

/// STATUS goes out this often. **Units**: microseconds.
pub(crate) const STATUS_US: u64 = 1_000_000;

/// Slots of votes sent again in answer to one STATUS.
const RESEND_SLOTS: u64 = 64;

/// Bytes of payloads sent again in answer to one STATUS.
const RESEND_BYTES: usize = 2 << 20;

/// SEALs sent again in answer to one request for blocks.
const RESEND_SEALS: usize = 64;

impl Replica {
    pub(crate) fn on_status_timer(&mut self) {
        self.arm(Timer::Status, STATUS_US);
        self.ask_guardians();
        self.broadcast(Message::Status(self.status()));
        if !self.position.active && self.guard.is_none() {
            // "Broadcast, repeat until NEW-VIEW(v)" (section 7.2).
            self.send_view_change();
            self.after_view_changes();
        }
        self.look_for_stall();
        self.ask_for_seals();
    }

    /// STATUS: remembered, and answered at most once per T0/4.
    pub(crate) fn on_status(&mut self, from: ValidatorId, status: Status) {
        let now = self.now.monotonic_us;
        let pause = millis(self.config.params.timeout_ms) / 4;
        let is_far_behind = self.is_far_behind_here(&status);
        let Some(peer) = self.peers.get_mut(&from) else { return };
        (peer.status, peer.is_far_behind) = (status, is_far_behind);
        if peer.answered_us.is_some_and(|last| now < last.saturating_add(pause)) {
            return;
        }
        peer.answered_us = Some(now);
        self.answer_view(from, &status);
        if status.stable < self.chain.stable
            && let Some(checkpoint) = self.chain.checkpoint.clone()
        {
            self.send(from, Message::Data(Data::Stable(checkpoint)));
        }
        self.resend_certificates(from, &status);
        self.resend_votes(from, &status);
        self.resend_proposals(from, &status);
        self.resend_checkpoint_seals(from, &status);
    }

    fn answer_view(&mut self, to: ValidatorId, status: &Status) {
        let view = self.position.view;
        let behind = status.view < view || (status.view == view && !status.active);
        if !behind || view == View(0) {
            return;
        }
        if self.position.active {
            if let Some(new_view) = self.position.new_view.clone() {
                self.send(to, Message::NewView(new_view));
            }
        } else if let Some(sent) = self.own_view_change.clone().filter(|sent| sent.body.view == view) {
            self.send(to, Message::ViewChange(sent));
        }
    }

    /// Proofs of finality for the slots that the peer has not decided.
    fn resend_certificates(&mut self, to: ValidatorId, status: &Status) {
        let first = status.last_final.max(self.chain.stable).next();
        let last = self.chain.last_final.min(first.plus(RESEND_SLOTS));
        let quorum = self.quorum.quorum();
        let certificates: Vec<_> =
            slots(first, last).filter_map(|slot| self.log.get(slot)?.commit_certificate(quorum)).collect();
        for certificate in certificates {
            self.send(to, Message::Data(Data::Commit(certificate)));
        }
    }

    /// The own votes of this view for the slots that the peer has not committed or decided.
    fn resend_votes(&mut self, to: ValidatorId, status: &Status) {
        let view = self.position.view;
        if !self.position.active || self.guard.is_some() || status.view > view {
            return;
        }
        // A peer that is not in this view yet will need all of them when it is.
        let same_view = status.view == view && status.active;
        let committed = if same_view { status.highest_commit } else { Slot(0) };
        let done = committed.min(status.last_final).max(status.stable).max(self.chain.stable);
        let first = done.next();
        let last = self.position.voted.min(first.plus(RESEND_SLOTS));
        let me = self.config.me;
        let mut votes = Vec::new();
        for slot in slots(first, last) {
            let Some(state) = self.log.get(slot) else { continue };
            let Some(vote) = state.voted_in(view) else { continue };
            let own = |votes: &crate::log::Votes| {
                votes.tally(&vote.ballot).and_then(|tally| tally.signatures.get(&me)).copied()
            };
            if slot > committed
                && let Some(signature) = own(&state.current.prepares)
            {
                let signed = Signed { signer: me, body: Prepare(vote.ballot), signature };
                let justification = vote.justification.clone();
                votes.push(Message::Prepare(PrepareMessage { signed, justification }));
            }
            if slot > status.last_final
                && let Some(signature) = own(&state.current.commits)
            {
                votes.push(Message::Commit(Signed { signer: me, body: Commit(vote.ballot), signature }));
            }
        }
        for vote in votes {
            self.send(to, vote);
        }
    }

    /// The own proposals of this view that the peer has not voted for.
    fn resend_proposals(&mut self, to: ValidatorId, status: &Status) {
        let view = self.position.view;
        if !self.is_leading() || status.view != view || !status.active {
            return;
        }
        let first = status.highest_vote.max(self.position.s_max).max(self.chain.stable).next();
        let mut bytes = 0usize;
        let mut proposals = Vec::new();
        for slot in slots(first, self.position.voted.min(first.plus(RESEND_SLOTS))) {
            let Some(signed) = self.log.get(slot).and_then(|state| state.current.proposal.as_ref()) else {
                continue;
            };
            let Some(payload) = self.payloads.get(&signed.body.digest) else { continue };
            bytes =
                payload.payload().bodies.iter().map(|body| body.bytes()).fold(bytes, usize::saturating_add);
            if bytes > RESEND_BYTES && !proposals.is_empty() {
                break;
            }
            let payload = Arc::clone(payload.payload());
            proposals.push(Message::Proposal(Arc::new(Proposal { signed: signed.clone(), payload })));
        }
        for proposal in proposals {
            self.send(to, proposal);
        }
    }

    /// The own SEALs of the checkpoints above the peer's.
    fn resend_checkpoint_seals(&mut self, to: ValidatorId, status: &Status) {
        if self.guard.is_some() {
            return;
        }
        let floor = status.stable.max(self.chain.stable);
        let seals: Vec<_> = self
            .seals
            .blocks
            .range(floor.next()..=self.chain.executed.max(floor.next()))
            .filter(|(slot, _)| self.is_checkpoint(**slot))
            .filter_map(|(slot, block)| block.seal_of(*slot, self.config.me))
            .collect();
        for seal in seals {
            self.send(to, Message::Seal(seal));
        }
    }

    /// FETCH.
    pub(crate) fn on_fetch(&mut self, from: ValidatorId, fetch: &Fetch) {
        match fetch {
            Fetch::Payload(digest) => match self.payloads.get(digest) {
                Some(payload) => {
                    let payload = Arc::clone(payload.payload());
                    self.send(from, Message::Data(Data::Payload(payload)));
                }
                None => self.emit(Effect::Serve { to: from, fetch: fetch.clone() }),
            },
            Fetch::Blocks(first) => {
                if *first > self.chain.executed {
                    return;
                }
                self.resend_seals(from, *first);
                self.emit(Effect::Serve { to: from, fetch: fetch.clone() });
            }
            Fetch::Snapshot(_) | Fetch::Chunk(_) => {
                self.emit(Effect::Serve { to: from, fetch: fetch.clone() })
            }
            Fetch::HighestVotes(of) => {
                if !self.peers.contains_key(of) {
                    return;
                }
                let none = || HighestVotes { of: *of, prepare: None, commit: None, view_change: None };
                let votes = self.peers.get(of).and_then(|peer| peer.highest.as_deref().cloned());
                let votes = Arc::new(votes.unwrap_or_else(none));
                self.send(from, Message::Data(Data::HighestVotes(votes)));
            }
        }
    }

    /// The own SEALs from `first` on: an executed block that is sealed nowhere yet cannot be served.
    fn resend_seals(&mut self, to: ValidatorId, first: Slot) {
        if self.guard.is_some() {
            return;
        }
        let me = self.config.me;
        let seals: Vec<_> = self
            .seals
            .blocks
            .range(first..)
            .take(RESEND_SEALS)
            .filter_map(|(slot, block)| block.seal_of(*slot, me))
            .collect();
        for seal in seals {
            self.send(to, Message::Seal(seal));
        }
    }
}

fn slots(first: Slot, last: Slot) -> impl Iterator<Item = Slot> {
    (first.0..=last.0).map(Slot)
}
