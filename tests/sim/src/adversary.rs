//! Byzantine validators: each runs the real core with its own keys, and its words are twisted on the way out.
//!
//! An adversary signs with its own keys only. What it may know is what it was sent and what it says itself.
//! The strategies are named in [`Behaviour`]: `leader` holds those of proposers and voters, `view_changes` those of
//! VIEW-CHANGE and NEW-VIEW, `forger` those of certificates, blocks and checkpoints, `thief` that of keys
//! which an epoch has removed, `bodies` those of bodies that are spread, `spam` the noise.

mod bodies;
mod forger;
mod leader;
mod spam;
mod thief;
mod view_changes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use carat_consensus::PendingTransaction;
use carat_types::header::Header;
use carat_types::message::{
    Ballot, Commit, Data, Justification, Message, Prepare, PrepareMessage, ProposalSignature, Signed,
    SignerRole, StableCheckpoint, ViewChange,
};
use carat_types::validators::ValidatorSet;
use carat_types::{Digest, Signature, Slot, ValidatorId, View};

use crate::crypto::Keys;
use crate::epochs::Era;
use crate::plan::{Behaviour, MS};
use crate::rng::Rng;
use thief::Stolen;

/// A message with its receiver.
pub type Addressed = (ValidatorId, Message);

/// Who an adversary is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its place among the validators.
    pub id: ValidatorId,
    /// Its keys.
    pub keys: Keys,
    /// All validators.
    pub set: Arc<ValidatorSet>,
    /// L.
    pub window: u64,
    /// T0. **Units**: microseconds.
    pub timeout_us: u64,
    /// Keys of others that it may have come by, once they were removed.
    stolen: Vec<Stolen>,
}

/// One Byzantine validator.
#[derive(Debug)]
pub struct Adversary {
    behaviour: Behaviour,
    identity: Identity,
    /// What was heard and said lately.
    memory: VecDeque<Message>,
    /// The second log that this leader shows to some of the others: view, and prefix by slot.
    twin_view: View,
    twin_prefixes: BTreeMap<Slot, Digest>,
    /// What those were given for a slot.
    twins: BTreeMap<(View, Slot), Twin>,
    /// What a schemer will show its victims once others hold a certificate for the ballot.
    held_back: BTreeMap<Ballot, Vec<Addressed>>,
    /// Ballots that a yes-sayer has voted for.
    assented: BTreeSet<Ballot>,
    /// VIEW-CHANGEs heard for each view, by sender.
    view_changes: BTreeMap<View, BTreeMap<ValidatorId, Arc<Signed<ViewChange>>>>,
    /// Values heard of for each slot.
    values: BTreeMap<Slot, BTreeSet<Digest>>,
    /// PREPAREs heard, by ballot.
    prepares: BTreeMap<Ballot, BTreeMap<ValidatorId, Signature>>,
    /// The highest header that it has seen, and the highest checkpoint.
    header: Option<Header>,
    checkpoint: Option<StableCheckpoint>,
    /// The highest view that anybody spoke of credibly.
    view: View,
}

/// What the own core says, before it is twisted.
#[derive(Clone, Copy, Debug)]
struct Said<'a> {
    acting: Behaviour,
    targets: &'a [ValidatorId],
    message: &'a Message,
}

impl Said<'_> {
    /// The same to everybody whom the core addressed.
    fn to_all(self, message: &Message) -> Vec<Addressed> {
        self.targets.iter().map(|to| (*to, message.clone())).collect()
    }
}

#[derive(Clone, Debug)]
struct Twin {
    ballot: Ballot,
    proposal: ProposalSignature,
}

impl Identity {
    /// Its place among the proposers, if it has one.
    fn proposer(&self) -> Option<ValidatorId> {
        self.set.place(self.id, SignerRole::Proposer)
    }

    /// Validator `id` of the last of some epochs.
    ///
    /// **Panics** if it is not in it.
    pub fn of(id: ValidatorId, eras: &[Era]) -> Self {
        let era = &eras[eras.len() - 1];
        let timeout_us = era.params.timeout_ms * MS;
        let (keys, set) = (era.keys[id.index()].clone(), era.set.clone());
        Identity { id, keys, set, window: era.params.window, timeout_us, stolen: Stolen::of(eras) }
    }
}

impl Adversary {
    const MEMORY: usize = 64;
    const ASSENTED_MAX: usize = 4_096;
    const SLOTS_MAX: usize = 256;

    /// The adversary in a validator.
    pub fn new(behaviour: Behaviour, identity: Identity) -> Self {
        Adversary {
            behaviour,
            identity,
            memory: VecDeque::new(),
            twin_view: View(0),
            twin_prefixes: BTreeMap::new(),
            twins: BTreeMap::new(),
            held_back: BTreeMap::new(),
            assented: BTreeSet::new(),
            view_changes: BTreeMap::new(),
            values: BTreeMap::new(),
            prepares: BTreeMap::new(),
            header: None,
            checkpoint: None,
            view: View(0),
        }
    }

    /// Goes on in another epoch, with all that it remembers of the one before.
    pub fn enter(&mut self, identity: Identity) {
        self.identity = identity;
    }

    /// How it misbehaves.
    pub fn behaviour(&self) -> Behaviour {
        self.behaviour
    }

    /// The strategy for the next message: a mixed one draws another for each.
    fn acting(&self, rng: &mut Rng) -> Behaviour {
        match self.behaviour {
            Behaviour::Mixed => rng.pick(&Behaviour::SPEAKING),
            behaviour => behaviour,
        }
    }

    /// Whether it lets its core hear of a transaction: a censor does not, of all or of some senders.
    pub fn admits(&self, transaction: &PendingTransaction) -> bool {
        match self.behaviour {
            Behaviour::HeartbeatCensor => false,
            Behaviour::Censor => transaction.source.iter().fold(0, |sum, byte| sum ^ byte).is_multiple_of(2),
            _ => true,
        }
    }

    /// Whether it lets its core hear a message: one that stays in old views does not hear of new ones.
    pub fn hears(&self, rng: &mut Rng, message: &Message) -> bool {
        let of_views = matches!(message, Message::NewView(_) | Message::ViewChange(_));
        !(self.behaviour == Behaviour::StaleView && of_views && rng.chance(900))
    }

    /// How long it holds back what it says. **Units**: microseconds.
    pub fn lag(&self, rng: &mut Rng, message: &Message) -> u64 {
        match (self.behaviour, message) {
            // Just under the time-out, most of the time.
            (Behaviour::Slow, Message::Proposal(_) | Message::Announcement(_)) => {
                rng.between(0, self.identity.timeout_us)
            }
            (Behaviour::Slow, _) => rng.between(0, self.identity.timeout_us / 2),
            _ => 0,
        }
    }

    /// What leaves the validator in place of `message`, which its core addressed to `targets`.
    pub fn outgoing(&mut self, rng: &mut Rng, targets: &[ValidatorId], message: Message) -> Vec<Addressed> {
        self.remember(&message);
        let said = Said { acting: self.acting(rng), targets, message: &message };
        let twisted = match said.acting {
            Behaviour::SelectiveSender => Some(selectively(rng, targets, &message)),
            Behaviour::StaleView if rng.chance(100) => Some(self.again(rng, targets)),
            Behaviour::Equivocator
            | Behaviour::BadProposer
            | Behaviour::Schemer
            | Behaviour::FastPathLiar => self.twist_vote(rng, said),
            Behaviour::BodyLiar => self.twist_body(rng, said),
            Behaviour::ViewChangeLiar | Behaviour::NewViewLiar => self.twist_view_change(rng, said),
            Behaviour::CertificateForger | Behaviour::SyncLiar | Behaviour::CheckpointLiar => {
                self.twist_proof(rng, said)
            }
            _ => None,
        };
        twisted.unwrap_or_else(|| said.to_all(&message))
    }

    /// What the validator says upon hearing `message` from `from`, beside what its core says.
    pub fn heard(
        &mut self,
        rng: &mut Rng,
        from: ValidatorId,
        others: &[ValidatorId],
        message: &Message,
    ) -> Vec<Addressed> {
        self.remember(message);
        match self.acting(rng) {
            Behaviour::YesSayer | Behaviour::Equivocator => self.assent(rng, others, message),
            Behaviour::Schemer => self.release(rng, message),
            Behaviour::BodyLiar => self.claim_bodies(others, message),
            Behaviour::KeyThief => self.impersonate(rng, others, message),
            Behaviour::Spammer if rng.chance(100) => self.babble(rng, others),
            Behaviour::StaleView if rng.chance(30) => self.again(rng, others),
            Behaviour::ViewPusher if rng.chance(50) => self.push_views(rng, others),
            acting @ (Behaviour::CertificateForger | Behaviour::SyncLiar | Behaviour::CheckpointLiar) => {
                self.answer_with_forgeries(acting, rng, from, message)
            }
            _ => Vec::new(),
        }
    }

    fn remember(&mut self, message: &Message) {
        match message {
            Message::Status(_) | Message::Fetch(_) => return,
            Message::Prepare(prepare) => {
                let ballot = prepare.signed.body.0;
                self.view = self.view.max(ballot.view);
                self.values.entry(ballot.slot).or_default().insert(ballot.digest);
                let known = self.prepares.entry(ballot).or_default();
                known.insert(prepare.signed.signer, prepare.signed.signature);
            }
            Message::ViewChange(change) => {
                let heard = self.view_changes.entry(change.body.view).or_default();
                heard.insert(change.signer, change.clone());
                if let Some(stable) = &change.body.stable {
                    self.learn_checkpoint(stable);
                }
            }
            Message::NewView(new_view) => self.view = self.view.max(new_view.body.view),
            Message::Data(Data::Block(block)) => self.learn_header(&block.block.header),
            Message::Data(Data::Stable(stable)) => self.learn_checkpoint(stable),
            _ => {}
        }
        while self.view_changes.len() > 4 {
            self.view_changes.pop_first();
        }
        while self.values.len() > Self::SLOTS_MAX {
            self.values.pop_first();
        }
        while self.prepares.len() > Self::MEMORY {
            self.prepares.pop_first();
        }
        if self.memory.len() == Self::MEMORY {
            self.memory.pop_front();
        }
        self.memory.push_back(message.clone());
    }

    fn learn_header(&mut self, header: &Header) {
        if self.header.as_ref().is_none_or(|known| known.slot < header.slot) {
            self.header = Some(header.clone());
        }
    }

    fn learn_checkpoint(&mut self, stable: &StableCheckpoint) {
        self.learn_header(&stable.header);
        if self.checkpoint.as_ref().is_none_or(|known| known.header.slot < stable.header.slot) {
            self.checkpoint = Some(stable.clone());
        }
    }

    fn sign_prepare(&self, ballot: Ballot, justification: Justification) -> Message {
        let Identity { id, keys, set, .. } = &self.identity;
        let signed = keys.sign(set, *id, Prepare(ballot));
        Message::Prepare(PrepareMessage { signed, justification })
    }

    fn sign_commit(&self, ballot: Ballot) -> Message {
        let Identity { id, keys, set, .. } = &self.identity;
        Message::Commit(keys.sign(set, *id, Commit(ballot)))
    }

    fn sign_view_change(&self, body: ViewChange) -> Arc<Signed<ViewChange>> {
        let Identity { id, keys, set, .. } = &self.identity;
        Arc::new(keys.sign(set, *id, body))
    }

    /// Something of old, to everybody.
    fn again(&self, rng: &mut Rng, to: &[ValidatorId]) -> Vec<Addressed> {
        let old = self.memory.get(rng.index(self.memory.len()));
        old.into_iter().flat_map(|old| to.iter().map(|to| (*to, old.clone()))).collect()
    }
}

/// To some, but not to others.
fn selectively(rng: &mut Rng, targets: &[ValidatorId], message: &Message) -> Vec<Addressed> {
    let heard = targets.iter().filter(|_| rng.chance(200));
    heard.map(|to| (*to, message.clone())).collect()
}
