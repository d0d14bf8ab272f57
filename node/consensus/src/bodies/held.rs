//! What one validator has of bodies, and what it knows of who has them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use carat_types::batch::{Batch, BlockLimits, Body, Payload, Value};
use carat_types::{Digest, Slot, ValidatorId};

use crate::input::SpreadBody;
use crate::pending::Room;

/// Bodies of one validator that are held in memory.
const BODIES_PER_ORIGIN: usize = 256;
/// Their bytes.
const BYTES_PER_ORIGIN: usize = 8 << 20;
/// Digests that each peer is remembered to hold; the oldest are forgotten first.
const CLAIMS_PER_PEER: usize = 1_024;

/// A body in memory.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) body: Arc<Body>,
    pub(super) origin: ValidatorId,
    pub(super) arrival: u64,
    /// The last slot for which the journal keeps it, or memory before it is there.
    pub(super) through: Slot,
    pub(super) is_journaled: bool,
    /// Whether every transaction of it had passed admission here when it came. Some may be settled since.
    pub(super) is_admitted: bool,
    /// Whether all were told that it is held.
    pub(super) is_said: bool,
    pub(super) operations: u32,
    pub(super) signatures: u32,
    /// When it came, or was sent last.
    pub(super) spread_us: u64,
}

/// What one peer says that it holds.
#[derive(Debug, Default)]
struct Claims {
    known: BTreeSet<Digest>,
    order: VecDeque<Digest>,
}

impl Claims {
    fn insert(&mut self, digest: Digest) {
        if self.known.insert(digest) {
            self.order.push_back(digest);
        }
        if self.order.len() > CLAIMS_PER_PEER
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

/// What is held and written of one validator's bodies.
#[derive(Debug, Default)]
struct Share {
    bodies: usize,
    bytes: usize,
    /// Bytes in the journal, by the slot through which they matter: memory may be forgotten, the journal is not.
    written: BTreeMap<Slot, u64>,
    /// When its useless bodies were looked for last.
    swept_us: Option<u64>,
}

/// A PRE-PREPARE whose payload is not put together yet.
#[derive(Debug)]
pub(super) struct Announced {
    pub(super) digest: Digest,
    pub(super) batch: Batch,
    pub(super) since_us: u64,
}

/// What one validator has of others' bodies and its own.
#[derive(Debug, Default)]
pub(crate) struct Bodies {
    /// Whether all validators know bodies: else transactions are gossiped, and the leader attaches them.
    pub(crate) are_spread: bool,
    next_arrival: u64,
    pub(super) held: BTreeMap<Digest, Held>,
    /// Those that f+1 hold, by arrival, as far as they may still be proposed.
    pub(super) ready: BTreeMap<u64, Digest>,
    claims: BTreeMap<ValidatorId, Claims>,
    shares: BTreeMap<ValidatorId, Share>,
    /// The own clients' transactions that are in no body yet, by id.
    pub(super) unspread: VecDeque<Digest>,
    /// What this leader did not propose of what f+1 hold, since a part of it is settled or in flight, or not known here.
    pub(super) passed_over: BTreeSet<Digest>,
    /// When the leader may look again at what it passed over.
    pub(super) adopt_us: u64,
    /// Bodies that are not acknowledged yet.
    pub(super) unsaid: BTreeSet<Digest>,
    /// When that is due, while there are any.
    pub(super) say_us: u64,
    pub(super) announced: BTreeMap<Slot, Announced>,
    /// When the next body or acknowledgement may go out.
    pub(super) next_us: u64,
    /// When the leader looks again for transactions in no body.
    pub(super) rescue_us: u64,
    /// When the timer runs out, while it runs.
    pub(super) due_us: u64,
}

impl Bodies {
    pub(crate) fn len(&self) -> usize {
        self.held.len().saturating_add(self.announced.len())
    }

    /// Bodies in memory: those of final slots are not.
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether there is no room for all that f+1 hold.
    pub(crate) fn ready_fill(&self, mut room: Room) -> bool {
        let mut ready = self.ready.values().filter_map(|digest| self.held.get(digest));
        !ready.all(|held| room.take_body(&held.body, held.operations, held.signatures))
    }

    /// Whether the journal holds all these bodies for a vote at `slot`, or can.
    pub(crate) fn are_kept(&self, slot: Slot, bodies: &[Digest]) -> bool {
        bodies.iter().all(|digest| {
            self.held.get(digest).is_some_and(|held| !held.is_journaled || held.through >= slot)
        })
    }

    /// Whether all these bodies were spread.
    pub(super) fn holds_all(&self, bodies: &[Digest]) -> bool {
        bodies.iter().all(|digest| self.held.contains_key(digest))
    }

    /// Whether a validator's share has room for a body.
    pub(super) fn has_room(&self, origin: ValidatorId, bytes: usize) -> bool {
        self.shares.get(&origin).is_none_or(|share| {
            share.bodies < BODIES_PER_ORIGIN && share.bytes.saturating_add(bytes) <= BYTES_PER_ORIGIN
        })
    }

    /// What the journal keeps of a validator's bodies. **Units**: bytes.
    pub(super) fn written(&self, origin: ValidatorId) -> u64 {
        let share = self.shares.get(&origin);
        share.map_or(0, |share| share.written.values().fold(0, |sum, bytes| sum.saturating_add(*bytes)))
    }

    /// Notes that the bodies of a validator are looked through, unless that was done within `pause_us`.
    ///
    /// **Returns** those that it holds of it; none if it is too soon.
    pub(super) fn look_through(&mut self, origin: ValidatorId, now_us: u64, pause_us: u64) -> Vec<Digest> {
        let share = self.shares.entry(origin).or_default();
        if share.swept_us.is_some_and(|swept_us| now_us < swept_us.saturating_add(pause_us)) {
            return Vec::new();
        }
        share.swept_us = Some(now_us);
        let its = self.held.iter().filter(|(_, held)| held.origin == origin);
        its.map(|(digest, _)| *digest).collect()
    }

    /// Takes in a body.
    pub(super) fn insert(
        &mut self,
        origin: ValidatorId,
        through: Slot,
        spread: &SpreadBody,
        is_admitted: bool,
        now_us: u64,
    ) {
        let SpreadBody { digest, body, operations, signatures } = spread;
        let (arrival, bytes) = (self.next_arrival, body.bytes());
        self.next_arrival = arrival.saturating_add(1);
        let held = Held {
            body: Arc::clone(body),
            origin,
            arrival,
            through,
            is_journaled: false,
            is_admitted,
            is_said: false,
            operations: *operations,
            signatures: *signatures,
            spread_us: now_us,
        };
        if self.held.insert(*digest, held).is_none() {
            let share = self.shares.entry(origin).or_default();
            share.bodies = share.bodies.saturating_add(1);
            share.bytes = share.bytes.saturating_add(bytes);
        }
    }

    /// Takes in a body that the journal has.
    pub(crate) fn insert_journaled(
        &mut self,
        origin: ValidatorId,
        through: Slot,
        spread: &SpreadBody,
        now_us: u64,
    ) {
        self.insert(origin, through, spread, false, now_us);
        self.note_written(&spread.digest, through);
    }

    /// A body goes into the journal, which keeps it through a slot.
    pub(super) fn note_written(&mut self, digest: &Digest, through: Slot) {
        let Some(held) = self.held.get_mut(digest) else { return };
        (held.is_journaled, held.through) = (true, through);
        let bytes = u64::try_from(held.body.bytes()).unwrap_or(u64::MAX);
        let written = self.shares.entry(held.origin).or_default().written.entry(through).or_default();
        *written = written.saturating_add(bytes);
    }

    fn remove(&mut self, digest: &Digest) {
        let Some(held) = self.held.remove(digest) else { return };
        self.ready.remove(&held.arrival);
        self.unsaid.remove(digest);
        self.passed_over.remove(digest);
        if let Some(share) = self.shares.get_mut(&held.origin) {
            share.bodies = share.bodies.saturating_sub(1);
            share.bytes = share.bytes.saturating_sub(held.body.bytes());
        }
    }

    /// Forgets bodies that are needed here no more: of a final slot the payload has them. What the journal has of them stays there.
    pub(crate) fn forget(&mut self, bodies: &[Digest]) {
        bodies.iter().for_each(|digest| self.remove(digest));
    }

    /// A checkpoint is stable: what mattered through that slot at most is gone from the journal.
    pub(crate) fn forget_through(&mut self, stable: Slot) {
        let gone: Vec<Digest> =
            self.held.iter().filter(|(_, held)| held.through <= stable).map(|(digest, _)| *digest).collect();
        self.forget(&gone);
        for share in self.shares.values_mut() {
            share.written = share.written.split_off(&stable.next());
        }
        self.announced = self.announced.split_off(&stable.next());
    }

    /// A validator says that it holds a body.
    pub(super) fn claim(&mut self, peer: ValidatorId, digest: Digest) {
        self.claims.entry(peer).or_default().insert(digest);
    }

    /// Makes a body ready that is held here, and that so many others say they hold.
    pub(super) fn refresh(&mut self, digest: &Digest, others: usize) {
        let holders = self.claims.values().filter(|claims| claims.known.contains(digest)).count();
        if let Some(held) = self.held.get(digest)
            && holders >= others
        {
            self.ready.insert(held.arrival, *digest);
        }
    }

    /// A view is over: what was proposed in it and is not ordered may be proposed again.
    pub(crate) fn renew(&mut self, others: usize) {
        self.announced.clear();
        self.passed_over.clear();
        let digests: Vec<Digest> = self.held.keys().copied().collect();
        digests.iter().for_each(|digest| self.refresh(digest, others));
    }

    /// The payload of a batch, if all its bodies are held and fit a block.
    pub(crate) fn payload_of(&self, batch: &Batch, limits: &BlockLimits) -> Option<Arc<Payload>> {
        let (bodies, fits) = self.collect(batch, limits)?;
        fits.then(|| Arc::new(Payload { value: Value::Batch(batch.clone()), bodies }))
    }

    /// The bodies of a batch, if all are held, and whether they fit a block.
    pub(super) fn collect(&self, batch: &Batch, limits: &BlockLimits) -> Option<(Vec<Arc<Body>>, bool)> {
        let held: Option<Vec<&Held>> = batch.bodies.iter().map(|digest| self.held.get(digest)).collect();
        let held = held?;
        let mut room = Room::of(limits);
        let fits = held.iter().all(|held| room.take_body(&held.body, held.operations, held.signatures));
        Some((held.into_iter().map(|held| Arc::clone(&held.body)).collect(), fits))
    }
}
