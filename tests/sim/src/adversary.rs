//! Byzantine validators: each runs the real core with its own keys, and its words are twisted on the way out.
//!
//! An adversary signs with its own keys only. What it may know is what it was sent and what it says itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use carat_types::batch::{Batch, Payload, Value};
use carat_types::header::prefix_digest;
use carat_types::message::{
    Ballot, Commit, Fetch, Justification, LastVote, Message, NewView, PrePrepare, Prepare, PrepareMessage,
    Proposal, ProposalSignature, Seal, Signed, Status, ViewChange,
};
use carat_types::validators::ValidatorSet;
use carat_types::{Digest, Slot, ValidatorId, View};

use crate::crypto::Keys;
use crate::plan::Behaviour;
use crate::rng::Rng;

/// A message with its receiver.
pub type Addressed = (ValidatorId, Message);

/// One Byzantine validator.
#[derive(Debug)]
pub struct Adversary {
    behaviour: Behaviour,
    id: ValidatorId,
    keys: Keys,
    set: Arc<ValidatorSet>,
    window: u64,
    /// What was heard and said lately.
    memory: VecDeque<Message>,
    /// The second log that this leader shows to half of the others: view, and prefix by slot.
    twin_view: View,
    twin_prefixes: BTreeMap<Slot, Digest>,
    /// What the second half was given for a slot.
    twins: BTreeMap<(View, Slot), Twin>,
    /// Ballots that a yes-sayer has voted for.
    assented: BTreeSet<Ballot>,
    /// VIEW-CHANGEs heard for each view, by sender.
    view_changes: BTreeMap<View, BTreeMap<ValidatorId, Arc<Signed<ViewChange>>>>,
}

#[derive(Clone, Debug)]
struct Twin {
    ballot: Ballot,
    proposal: ProposalSignature,
}

impl Adversary {
    const MEMORY: usize = 64;
    const ASSENTED_MAX: usize = 4_096;

    /// The adversary in validator `id`.
    pub fn new(
        behaviour: Behaviour,
        id: ValidatorId,
        keys: Keys,
        set: Arc<ValidatorSet>,
        window: u64,
    ) -> Self {
        Adversary {
            behaviour,
            id,
            keys,
            set,
            window,
            memory: VecDeque::new(),
            twin_view: View(0),
            twin_prefixes: BTreeMap::new(),
            twins: BTreeMap::new(),
            assented: BTreeSet::new(),
            view_changes: BTreeMap::new(),
        }
    }

    /// How it misbehaves.
    pub fn behaviour(&self) -> Behaviour {
        self.behaviour
    }

    /// What leaves the validator in place of `message`, which its core addressed to `targets`.
    pub fn outgoing(&mut self, rng: &mut Rng, targets: &[ValidatorId], message: Message) -> Vec<Addressed> {
        self.remember(&message);
        let to_all = |message: Message| targets.iter().map(|to| (*to, message.clone())).collect();
        match (self.behaviour, &message) {
            (Behaviour::Silent, _) => self.mostly_silent(rng, targets, &message),
            (Behaviour::Equivocator | Behaviour::BadProposer, Message::Proposal(proposal)) => {
                if proposal.signed.signer != self.id || rng.chance(300) {
                    return to_all(message);
                }
                self.propose_twice(rng, targets, proposal)
            }
            (Behaviour::Equivocator, Message::Prepare(prepare)) if prepare.signed.signer == self.id => {
                self.vote_twice(targets, prepare)
            }
            (Behaviour::Equivocator, Message::Commit(commit)) if commit.signer == self.id => {
                self.commit_twice(targets, commit)
            }
            (Behaviour::ViewChangeLiar, Message::ViewChange(change)) if change.signer == self.id => {
                targets.iter().map(|to| (*to, self.lie(rng, change))).collect()
            }
            (Behaviour::NewViewLiar, Message::NewView(new_view)) if new_view.signer == self.id => {
                let other = |rng: &mut Rng| self.other_new_view(rng, new_view);
                let choose =
                    |to: &ValidatorId| (*to, if rng.chance(500) { other(rng) } else { message.clone() });
                targets.iter().map(choose).collect()
            }
            (Behaviour::NewViewLiar, Message::Proposal(_)) if rng.chance(300) => Vec::new(),
            _ => to_all(message),
        }
    }

    /// What the validator says upon hearing `message`, beside what its core says.
    pub fn heard(&mut self, rng: &mut Rng, others: &[ValidatorId], message: &Message) -> Vec<Addressed> {
        self.remember(message);
        if let Message::ViewChange(change) = message {
            let heard = self.view_changes.entry(change.body.view).or_default();
            heard.insert(change.signer, change.clone());
            while self.view_changes.len() > 4 {
                self.view_changes.pop_first();
            }
        }
        match self.behaviour {
            Behaviour::YesSayer | Behaviour::Equivocator => self.assent(rng, others, message),
            Behaviour::Babbler if rng.chance(100) => self.babble(rng, others),
            _ => Vec::new(),
        }
    }

    fn remember(&mut self, message: &Message) {
        if matches!(message, Message::Status(_) | Message::Fetch(_)) {
            return;
        }
        if self.memory.len() == Self::MEMORY {
            self.memory.pop_front();
        }
        self.memory.push_back(message.clone());
    }

    fn sign_prepare(&self, ballot: Ballot, justification: Justification) -> Message {
        let signed = self.keys.sign(&self.set, self.id, Prepare(ballot));
        Message::Prepare(PrepareMessage { signed, justification })
    }

    fn sign_commit(&self, ballot: Ballot) -> Message {
        Message::Commit(self.keys.sign(&self.set, self.id, Commit(ballot)))
    }

    fn mostly_silent(&self, rng: &mut Rng, targets: &[ValidatorId], message: &Message) -> Vec<Addressed> {
        let heard = targets.iter().filter(|_| rng.chance(200));
        heard.map(|to| (*to, message.clone())).collect()
    }

    /// Two logs at once: the lower half of the receivers sees the core's, the upper half another.
    fn propose_twice(&mut self, rng: &mut Rng, targets: &[ValidatorId], honest: &Proposal) -> Vec<Addressed> {
        let PrePrepare { view, slot, parent, .. } = honest.signed.body;
        if view != self.twin_view {
            self.twin_view = view;
            self.twin_prefixes.clear();
        }
        let below = self.twin_prefixes.get(&slot.previous()).copied().unwrap_or(parent);
        let mut payload = (*honest.payload).clone();
        let Value::Batch(batch) = &mut payload.value else { return Vec::new() };
        *batch = Batch { time_ms: batch.time_ms + 1, bodies: batch.bodies.clone() };
        if rng.chance(200) {
            payload = Payload {
                value: Value::Batch(Batch { time_ms: batch.time_ms, bodies: Vec::new() }),
                bodies: Vec::new(),
            };
        }
        let digest = payload.value.digest();
        let body = PrePrepare { view, slot, parent: below, digest };
        let signed = self.keys.sign(&self.set, self.id, body);
        let prefix = prefix_digest(&below, slot, &digest);
        self.twin_prefixes.insert(slot, prefix);
        let proposal = ProposalSignature { parent: below, signature: signed.signature };
        self.twins.insert((view, slot), Twin { ballot: Ballot { view, slot, digest, prefix }, proposal });
        while self.twins.len() > 256 {
            self.twins.pop_first();
        }
        let twin = Message::Proposal(Arc::new(Proposal { signed, payload: Arc::new(payload) }));
        let honest = Message::Proposal(Arc::new(honest.clone()));
        let both = rng.chance(50);
        let mut out = Vec::new();
        for (index, to) in targets.iter().enumerate() {
            if both || index < targets.len() / 2 {
                out.push((*to, honest.clone()));
            }
            if both || index >= targets.len() / 2 {
                out.push((*to, twin.clone()));
            }
        }
        out
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

    /// A VIEW-CHANGE that is valid in form and false in what nobody can check, or hides what it should show.
    fn lie(&self, rng: &mut Rng, honest: &Signed<ViewChange>) -> Message {
        let mut body = honest.body.clone();
        let below = View(body.view.0.saturating_sub(1));
        match rng.below(9) {
            0 | 7 | 8 => body.reports.clear(),
            1 => body.reports.iter_mut().for_each(|report| report.prepared = None),
            2 => body.reports.iter_mut().for_each(|report| report.last_vote = None),
            3 => {
                let digest = Digest([7; 32]);
                body.reports.iter_mut().for_each(|report| {
                    report.last_vote = Some(LastVote { view: below, digest });
                });
            }
            4 => {
                let known = self.memory.iter().filter_map(|message| match message {
                    Message::Prepare(prepare) => Some(prepare.signed.body.0),
                    _ => None,
                });
                let known: Vec<Ballot> = known.collect();
                for report in &mut body.reports {
                    let other = known.iter().find(|ballot| {
                        ballot.slot == report.slot
                            && Some(ballot.digest) != report.last_vote.map(|vote| vote.digest)
                    });
                    let digest = other.map(|ballot| ballot.digest);
                    let digest = digest.or(report.last_vote.map(|vote| vote.digest));
                    report.last_vote = digest.map(|digest| LastVote { view: below, digest });
                    report.prepared = report.prepared.take().filter(|_| rng.chance(300));
                }
            }
            5 => {
                body.stable = None;
                body.reports.retain(|report| report.slot.0 <= self.window);
            }
            _ => {}
        }
        Message::ViewChange(Arc::new(self.keys.sign(&self.set, self.id, body)))
    }

    /// Another quorum of VIEW-CHANGEs for the same view, if more than one was heard.
    fn other_new_view(&self, rng: &mut Rng, honest: &Signed<NewView>) -> Message {
        let view = honest.body.view;
        let mut heard = self.view_changes.get(&view).cloned().unwrap_or_default();
        heard.extend(honest.body.view_changes.iter().map(|change| (change.signer, change.clone())));
        let mut changes: Vec<Arc<Signed<ViewChange>>> = heard.into_values().collect();
        rng.shuffle(&mut changes);
        changes.truncate(honest.body.view_changes.len());
        changes.sort_by_key(|change| change.signer);
        if rng.chance(50) {
            changes.pop();
        }
        let body = NewView { view, view_changes: changes };
        Message::NewView(Arc::new(self.keys.sign(&self.set, self.id, body)))
    }

    /// Says yes to anything.
    fn assent(&mut self, rng: &mut Rng, others: &[ValidatorId], message: &Message) -> Vec<Addressed> {
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
                words.push(Message::Seal(self.keys.sign(&self.set, self.id, seal.body)));
            }
            _ => {}
        }
        while self.assented.len() > Self::ASSENTED_MAX {
            self.assented.pop_first();
        }
        words.into_iter().flat_map(|word| others.iter().map(move |to| (*to, word.clone()))).collect()
    }

    fn babble(&self, rng: &mut Rng, others: &[ValidatorId]) -> Vec<Addressed> {
        let to = rng.pick(others);
        if rng.chance(500)
            && let Some(old) = self.memory.get(rng.index(self.memory.len()))
        {
            return vec![(to, old.clone())];
        }
        vec![(to, self.nonsense(rng))]
    }

    /// A message of its own with fields at their extremes.
    fn nonsense(&self, rng: &mut Rng) -> Message {
        let near = self.memory.iter().rev().find_map(|message| match message {
            Message::Prepare(prepare) => Some(prepare.signed.body.0),
            _ => None,
        });
        let (view, slot) = near.map_or((0, 0), |ballot| (ballot.view.0, ballot.slot.0));
        let extreme = |rng: &mut Rng, base: u64| {
            let step = rng.pick(&[0, 1, 2, self.window, self.window + 1]);
            let above = base.saturating_add(step);
            rng.pick(&[0, base.saturating_sub(step), above, above, u64::MAX - step])
        };
        let ballot = Ballot {
            view: View(extreme(rng, view)),
            slot: Slot(extreme(rng, slot)),
            digest: Digest([u8::try_from(rng.below(4)).unwrap_or(0); 32]),
            prefix: near.map_or(Digest::ZERO, |ballot| ballot.prefix),
        };
        let slot = ballot.slot;
        match rng.below(8) {
            0 => self.sign_prepare(ballot, Justification::NewView(ballot.digest)),
            1 => self.sign_commit(ballot),
            2 => Message::Seal(self.keys.sign(&self.set, self.id, Seal { slot, header: ballot.digest })),
            3 => Message::Status(Status {
                view: ballot.view,
                active: rng.chance(500),
                stable: Slot(extreme(rng, slot.0)),
                last_final: slot,
                last_executed: Slot(extreme(rng, slot.0)),
                highest_vote: slot,
                highest_commit: slot,
            }),
            4 => Message::Fetch(match rng.below(3) {
                0 => Fetch::Payload(ballot.digest),
                1 => Fetch::Blocks(slot),
                _ => Fetch::HighestVotes(self.id),
            }),
            5 => {
                let body = ViewChange { view: ballot.view, stable: None, reports: Vec::new() };
                Message::ViewChange(Arc::new(self.keys.sign(&self.set, self.id, body)))
            }
            6 => {
                let body = NewView { view: ballot.view, view_changes: Vec::new() };
                Message::NewView(Arc::new(self.keys.sign(&self.set, self.id, body)))
            }
            _ => {
                let payload = Payload {
                    value: Value::Batch(Batch {
                        time_ms: extreme(rng, 1_800_000_000_000),
                        bodies: Vec::new(),
                    }),
                    bodies: Vec::new(),
                };
                let digest = if rng.chance(500) { payload.value.digest() } else { ballot.digest };
                let body = PrePrepare { view: ballot.view, slot, parent: ballot.prefix, digest };
                let signed = self.keys.sign(&self.set, self.id, body);
                Message::Proposal(Arc::new(Proposal { signed, payload: Arc::new(payload) }))
            }
        }
    }
}
