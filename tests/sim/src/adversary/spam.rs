//! Noise: old messages of everybody, own ones with fields at their extremes, and floods of what nobody asked for.

use std::sync::Arc;

use carat_types::batch::{Batch, Payload, Value};
use carat_types::message::{
    Ballot, ChunkRequest, Data, Fetch, Justification, Message, NewView, PrePrepare, Proposal, Seal, Status,
    ViewChange,
};
use carat_types::{Digest, Slot, ValidatorId, View};

use super::{Addressed, Adversary};
use crate::rng::Rng;

impl Adversary {
    /// More than a validator may hold with the smallest windows.
    const FLOOD: usize = 512;

    pub(super) fn babble(&self, rng: &mut Rng, others: &[ValidatorId]) -> Vec<Addressed> {
        let to = rng.pick(others);
        if rng.chance(50) {
            let kind = rng.below(3);
            return (0..Self::FLOOD).map(|_| (to, self.flood(rng, kind))).collect();
        }
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
            let step = rng.pick(&[0, 1, 2, self.identity.window, self.identity.window + 1]);
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
            2 => Message::Seal(self.identity.keys.sign(
                &self.identity.set,
                self.identity.id,
                Seal { slot, header: ballot.digest },
            )),
            3 => Message::Status(Status {
                view: ballot.view,
                active: rng.chance(500),
                stable: Slot(extreme(rng, slot.0)),
                last_final: slot,
                last_executed: Slot(extreme(rng, slot.0)),
                highest_vote: slot,
                highest_commit: slot,
            }),
            4 => Message::Fetch(match rng.below(5) {
                0 => Fetch::Payload(ballot.digest),
                1 => Fetch::Blocks(slot),
                2 => Fetch::Snapshot(slot),
                3 => Fetch::Chunk(ChunkRequest { slot, from: ballot.digest }),
                _ => Fetch::HighestVotes(self.identity.id),
            }),
            5 => {
                let body = ViewChange { view: ballot.view, stable: None, reports: Vec::new() };
                Message::ViewChange(Arc::new(self.identity.keys.sign(
                    &self.identity.set,
                    self.identity.id,
                    body,
                )))
            }
            6 => {
                let body = NewView { view: ballot.view, view_changes: Vec::new() };
                Message::NewView(Arc::new(self.identity.keys.sign(
                    &self.identity.set,
                    self.identity.id,
                    body,
                )))
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
                let signed = self.identity.keys.sign(&self.identity.set, self.identity.id, body);
                Message::Proposal(Arc::new(Proposal { signed, payload: Arc::new(payload) }))
            }
        }
    }

    /// Something new each time, that fills whatever has no limit.
    fn flood(&self, rng: &mut Rng, kind: u64) -> Message {
        let slot = Slot(rng.bits() >> rng.below(64));
        let digest = Digest([u8::try_from(rng.below(256)).unwrap_or(0); 32]);
        match kind {
            0 => Message::Seal(self.identity.keys.sign(
                &self.identity.set,
                self.identity.id,
                Seal { slot, header: digest },
            )),
            1 => {
                let ballot = Ballot { view: self.view, slot, digest, prefix: digest };
                self.sign_prepare(ballot, Justification::NewView(digest))
            }
            _ => {
                let value = Value::Batch(Batch { time_ms: rng.bits(), bodies: Vec::new() });
                Message::Data(Data::Payload(Arc::new(Payload { value, bodies: Vec::new() })))
            }
        }
    }
}
