//! What Byzantine leaders and voters do: two values for a slot, votes for both, certificates that exist at few.

use std::sync::Arc;

use carat_types::batch::{Batch, Payload, Value};
use carat_types::header::prefix_digest;
use carat_types::message::{
    Announcement, Ballot, Commit, Justification, Message, PrePrepare, PrepareMessage, Proposal,
    ProposalSignature, Signed,
};
use carat_types::{Digest, Slot, ValidatorId, View};

use super::{Addressed, Adversary, Said, Twin};
use crate::mix::mix;
use crate::plan::Behaviour;
use crate::rng::Rng;

impl Adversary {
    /// What leaves in place of a proposal or vote of the own core; none if the message passes as it is.
    pub(super) fn twist_vote(&mut self, rng: &mut Rng, said: Said<'_>) -> Option<Vec<Addressed>> {
        let (me, Said { acting, targets, message }) = (self.identity.id, said);
        let proposer = self.identity.proposer();
        let schemes = matches!(acting, Behaviour::Schemer | Behaviour::FastPathLiar);
        match message {
            Message::Proposal(proposal) if Some(proposal.signed.signer) == proposer => {
                if !schemes && rng.chance(300) {
                    return None;
                }
                let PrePrepare { view, .. } = proposal.signed.body;
                let victims =
                    if schemes { vec![victim(targets, view)] } else { targets[targets.len() / 2..].to_vec() };
                let both = self.propose_twice(rng, targets, proposal, &victims);
                Some(if acting == Behaviour::Schemer {
                    self.hold_back(targets, proposal, both)
                } else {
                    both
                })
            }
            Message::Announcement(announcement) if Some(announcement.signed.signer) == proposer => {
                if !schemes && rng.chance(300) {
                    return None;
                }
                let PrePrepare { view, .. } = announcement.signed.body;
                let victims =
                    if schemes { vec![victim(targets, view)] } else { targets[targets.len() / 2..].to_vec() };
                Some(self.announce_twice(rng, targets, announcement, &victims))
            }
            Message::Prepare(prepare) if prepare.signed.signer == me => match acting {
                Behaviour::Equivocator => Some(self.vote_twice(targets, prepare)),
                // A certificate exists at one validator only: the one to whom the missing vote is shown.
                Behaviour::Schemer => {
                    Some(vec![(confidant(targets, &prepare.signed.body.0), message.clone())])
                }
                _ => None,
            },
            Message::Commit(commit) if commit.signer == me => match acting {
                Behaviour::Equivocator => Some(self.commit_twice(targets, commit)),
                Behaviour::Schemer if rng.chance(700) => Some(Vec::new()),
                _ => None,
            },
            Message::ViewChange(change) if schemes && change.signer == me => {
                let lie =
                    if acting == Behaviour::Schemer { self.scheme(rng, change) } else { self.deny(change) };
                Some(targets.iter().map(|to| (*to, Message::ViewChange(lie.clone()))).collect())
            }
            Message::NewView(new_view)
                if acting == Behaviour::Schemer && Some(new_view.signer) == proposer =>
            {
                Some(self.lead_with_a_lie(rng, targets, new_view))
            }
            _ => None,
        }
    }

    /// Two logs at once: the `victims` see another one than the rest.
    fn propose_twice(
        &mut self,
        rng: &mut Rng,
        targets: &[ValidatorId],
        honest: &Proposal,
        victims: &[ValidatorId],
    ) -> Vec<Addressed> {
        let mut payload = (*honest.payload).clone();
        let Value::Batch(batch) = &mut payload.value else { return Vec::new() };
        *batch = Batch { time_ms: batch.time_ms + 1, bodies: batch.bodies.clone() };
        if rng.chance(200) {
            payload = Payload {
                value: Value::Batch(Batch { time_ms: batch.time_ms, bodies: Vec::new() }),
                bodies: Vec::new(),
            };
        }
        let signed = self.sign_twin(&honest.signed.body, payload.value.digest());
        let twin = Message::Proposal(Arc::new(Proposal { signed, payload: Arc::new(payload) }));
        let honest = Message::Proposal(Arc::new(honest.clone()));
        tell_apart(rng, targets, victims, &honest, &twin)
    }

    /// The same of bodies that were spread: in another order, without one of them, or at another time.
    fn announce_twice(
        &mut self,
        rng: &mut Rng,
        targets: &[ValidatorId],
        honest: &Announcement,
        victims: &[ValidatorId],
    ) -> Vec<Addressed> {
        let mut batch = honest.batch.clone();
        match rng.below(3) {
            0 if batch.bodies.len() > 1 => batch.bodies.reverse(),
            1 => _ = batch.bodies.pop(),
            _ => batch.time_ms += 1,
        }
        let signed = self.sign_twin(&honest.signed.body, Value::Batch(batch.clone()).digest());
        let twin = Message::Announcement(Announcement { signed, batch });
        tell_apart(rng, targets, victims, &Message::Announcement(honest.clone()), &twin)
    }

    /// Signs another value for the slot of an honest proposal, on the log that the victims see.
    fn sign_twin(&mut self, honest: &PrePrepare, digest: Digest) -> Signed<PrePrepare> {
        let PrePrepare { view, slot, parent, .. } = *honest;
        if view != self.twin_view {
            self.twin_view = view;
            self.twin_prefixes.clear();
        }
        let below = self.twin_prefixes.get(&slot.previous()).copied().unwrap_or(parent);
        let body = PrePrepare { view, slot, parent: below, digest };
        let signed = self.identity.keys.sign(&self.identity.set, self.identity.id, body);
        let prefix = prefix_digest(&below, slot, &digest);
        self.twin_prefixes.insert(slot, prefix);
        let proposal = ProposalSignature { parent: below, signature: signed.signature };
        self.twins.insert((view, slot), Twin { ballot: Ballot { view, slot, digest, prefix }, proposal });
        while self.twins.len() > 256 {
            self.twins.pop_first();
        }
        signed
    }

    /// Shows one validator the own vote at once, so that it gets a certificate, and the victim its value only when it has.
    fn hold_back(
        &mut self,
        targets: &[ValidatorId],
        honest: &Proposal,
        both: Vec<Addressed>,
    ) -> Vec<Addressed> {
        let PrePrepare { view, slot, parent, digest } = honest.signed.body;
        let ballot = Ballot { view, slot, digest, prefix: prefix_digest(&parent, slot, &digest) };
        let is_twin = |message: &Message| matches!(message, Message::Proposal(proposal) if proposal.signed.body.digest != digest);
        let (twins, mut out): (Vec<_>, Vec<_>) = both.into_iter().partition(|(_, message)| is_twin(message));
        let shown = ProposalSignature { parent, signature: honest.signed.signature };
        let vote = self.sign_prepare(ballot, Justification::Proposal(shown));
        out.push((confidant(targets, &ballot), vote));
        self.held_back.insert(ballot, twins);
        while self.held_back.len() > 16 {
            self.held_back.pop_first();
        }
        out
    }

    /// Shows the victim its value once somebody has a certificate for the other.
    pub(super) fn release(&mut self, rng: &mut Rng, message: &Message) -> Vec<Addressed> {
        match message {
            Message::Commit(commit) => self.held_back.remove(&commit.body.0).unwrap_or_default(),
            _ if rng.chance(10) => self.held_back.pop_first().map_or_else(Vec::new, |(_, twins)| twins),
            _ => Vec::new(),
        }
    }

    fn vote_twice(&self, targets: &[ValidatorId], prepare: &PrepareMessage) -> Vec<Addressed> {
        let ballot = prepare.signed.body.0;
        let mut out: Vec<Addressed> =
            targets.iter().map(|to| (*to, Message::Prepare(prepare.clone()))).collect();
        if let Some(twin) = self.twins.get(&(ballot.view, ballot.slot)) {
            let vote = self.sign_prepare(twin.ballot, Justification::Proposal(twin.proposal.clone()));
            out.extend(targets.iter().map(|to| (*to, vote.clone())));
            out.sort_by_key(|(to, _)| *to);
        }
        out
    }

    fn commit_twice(&self, targets: &[ValidatorId], commit: &Signed<Commit>) -> Vec<Addressed> {
        let ballot = commit.body.0;
        let twin = self.twins.get(&(ballot.view, ballot.slot));
        let second = twin.map(|twin| self.sign_commit(twin.ballot));
        let both = [Some(Message::Commit(commit.clone())), second];
        let both: Vec<Message> = both.into_iter().flatten().collect();
        targets.iter().flat_map(|to| both.iter().map(move |message| (*to, message.clone()))).collect()
    }

    /// Says yes to anything.
    pub(super) fn assent(
        &mut self,
        rng: &mut Rng,
        others: &[ValidatorId],
        message: &Message,
    ) -> Vec<Addressed> {
        let mut words = Vec::new();
        match message {
            Message::Prepare(prepare) => {
                let ballot = prepare.signed.body.0;
                if self.assented.insert(ballot) {
                    words.push(self.sign_prepare(ballot, prepare.justification.clone()));
                    words.push(self.sign_commit(ballot));
                }
            }
            Message::Commit(commit) if self.assented.insert(commit.body.0) => {
                words.push(self.sign_commit(commit.body.0));
            }
            Message::Seal(seal) if rng.chance(300) => {
                words.push(Message::Seal(self.identity.keys.sign(
                    &self.identity.set,
                    self.identity.id,
                    seal.body,
                )));
            }
            _ => {}
        }
        while self.assented.len() > Self::ASSENTED_MAX {
            self.assented.pop_first();
        }
        words.into_iter().flat_map(|word| others.iter().map(move |to| (*to, word.clone()))).collect()
    }
}

/// One thing to the victims, another to the rest; at times both to everybody.
fn tell_apart(
    rng: &mut Rng,
    targets: &[ValidatorId],
    victims: &[ValidatorId],
    honest: &Message,
    twin: &Message,
) -> Vec<Addressed> {
    let both = rng.chance(50);
    let mut out = Vec::new();
    for to in targets {
        let is_victim = victims.contains(to);
        if both || !is_victim {
            out.push((*to, honest.clone()));
        }
        if both || is_victim {
            out.push((*to, twin.clone()));
        }
    }
    out
}

/// Whom a schemer deceives while it leads a view.
fn victim(targets: &[ValidatorId], view: View) -> ValidatorId {
    chosen(targets, mix(11, view.0), 0)
}

/// Who alone hears a schemer's vote: not its victim.
fn confidant(targets: &[ValidatorId], ballot: &Ballot) -> ValidatorId {
    let Slot(slot) = ballot.slot;
    chosen(targets, mix(11, ballot.view.0), 1 + slot % 2)
}

/// One of `targets`: another one for each of three successive offsets.
fn chosen(targets: &[ValidatorId], from: u64, offset: u64) -> ValidatorId {
    let count = targets.len().max(1) as u64;
    let index = usize::try_from((from % count + offset) % count).unwrap_or(0);
    targets[index]
}
