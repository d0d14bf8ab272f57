//! The messages of recent slots, for `carat consensus trace`: what arrived and left, and when.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use carat_types::message::{Justification, Message};
use carat_types::{Digest, Slot, ValidatorId, View};
use serde::Serialize;

use crate::clock::{Clock, wall_ms};

/// Slots that are kept.
const SLOTS_MAX: usize = 512;
/// Messages of one slot that are kept.
const ENTRIES_MAX: usize = 512;

/// One message that passed this validator's border, or a step inside it.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Microseconds since this process started.
    pub at_us: u64,
    /// Milliseconds since 1970.
    pub wall_ms: u64,
    /// The validator that saw it.
    pub validator: u16,
    /// "in", "out", or "step".
    pub direction: &'static str,
    /// The other end; none for a broadcast or a step.
    pub peer: Option<u16>,
    /// Whose word it is, where it is signed by one; it may have come through another.
    pub signer: Option<u16>,
    /// Name of the message or step.
    pub kind: &'static str,
    /// Its view, where it has one.
    pub view: Option<u64>,
    /// Its slot.
    pub slot: u64,
    /// Short digest of what it is about.
    pub digest: Option<String>,
    /// More, in words.
    pub detail: String,
}

/// A bounded memory of messages by slot.
#[derive(Debug)]
pub struct Trace {
    me: ValidatorId,
    /// The process of proposer 0; the others follow.
    first_proposer: ValidatorId,
    clock: Clock,
    slots: Mutex<BTreeMap<Slot, VecDeque<Entry>>>,
}

impl Trace {
    /// Nothing seen yet. `first_proposer` is the process in which proposer 0 runs.
    pub fn new(me: ValidatorId, first_proposer: ValidatorId, clock: Clock) -> Self {
        Trace { me, first_proposer, clock, slots: Mutex::new(BTreeMap::new()) }
    }

    /// Notes a message that arrived.
    pub fn arrived(&self, from: ValidatorId, message: &Message) {
        self.note("in", Some(from), message);
    }

    /// Notes a message that left, to one or to all.
    pub fn left(&self, to: Option<ValidatorId>, message: &Message) {
        self.note("out", to, message);
    }

    /// Notes something that happened inside.
    pub fn step(&self, slot: Slot, kind: &'static str, detail: String) {
        self.push(slot, Subject { kind, slot, signer: None, view: None, digest: None, detail }, "step", None);
    }

    /// Everything known about `slot`, oldest first.
    pub fn of(&self, slot: Slot) -> Vec<Entry> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.get(&slot).map(|entries| entries.iter().cloned().collect()).unwrap_or_default()
    }

    /// Everything known about the slots above `slot`.
    pub fn after(&self, slot: Slot) -> BTreeMap<Slot, Vec<Entry>> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let above = (std::ops::Bound::Excluded(slot), std::ops::Bound::Unbounded);
        slots.range(above).map(|(slot, entries)| (*slot, entries.iter().cloned().collect())).collect()
    }

    fn note(&self, direction: &'static str, peer: Option<ValidatorId>, message: &Message) {
        if let Some(subject) = subject(message, self.first_proposer) {
            self.push(subject.slot, subject, direction, peer);
        }
    }

    fn push(&self, slot: Slot, subject: Subject, direction: &'static str, peer: Option<ValidatorId>) {
        let entry = Entry {
            at_us: self.clock.monotonic_us(),
            wall_ms: wall_ms(),
            validator: self.me.0,
            direction,
            peer: peer.map(|peer| peer.0),
            signer: subject.signer.map(|signer| signer.0),
            kind: subject.kind,
            view: subject.view.map(|view| view.0),
            slot: slot.0,
            digest: subject.digest.map(|digest| digest.short()),
            detail: subject.detail,
        };
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = slots.entry(slot).or_default();
        if entries.len() >= ENTRIES_MAX {
            entries.pop_front();
        }
        entries.push_back(entry);
        while slots.len() > SLOTS_MAX {
            slots.pop_first();
        }
    }
}

struct Subject {
    kind: &'static str,
    slot: Slot,
    signer: Option<ValidatorId>,
    view: Option<View>,
    digest: Option<Digest>,
    detail: String,
}

/// What a message says about one slot; none for messages that are about no single slot.
fn subject(message: &Message, first_proposer: ValidatorId) -> Option<Subject> {
    let kind = message.name();
    let (slot, signer, view, digest, detail) = match message {
        Message::Proposal(proposal) => {
            let body = &proposal.signed.body;
            let transactions = proposal.payload.envelopes().count();
            let place = proposal.signed.signer;
            let leader = if first_proposer.0 == 0 { place.to_string() } else { format!("p{}", place.0) };
            let detail = format!("leader {leader}, {transactions} transactions");
            (body.slot, place.plus(first_proposer.0), Some(body.view), Some(body.digest), detail)
        }
        Message::Prepare(prepare) => {
            let ballot = prepare.signed.body.0;
            let why = match prepare.justification {
                Justification::Proposal(_) => "",
                Justification::NewView(_) => ", forced by NEW-VIEW",
            };
            (
                ballot.slot,
                prepare.signed.signer,
                Some(ballot.view),
                Some(ballot.digest),
                format!("signer {}{why}", prepare.signed.signer),
            )
        }
        Message::Commit(commit) => {
            let ballot = commit.body.0;
            let detail = format!("signer {}", commit.signer);
            (ballot.slot, commit.signer, Some(ballot.view), Some(ballot.digest), detail)
        }
        Message::Seal(seal) => {
            (seal.body.slot, seal.signer, None, Some(seal.body.header), format!("signer {}", seal.signer))
        }
        _ => return None,
    };
    Some(Subject { kind, slot, signer: Some(signer), view, digest, detail })
}
