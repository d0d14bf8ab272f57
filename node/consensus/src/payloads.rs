//! Payloads in memory, by digest: of proposals, of votes, of what a view change forces.
//!
//! Bounded: what was not voted for may fill [`BUDGET_BYTES`]; what was voted for or is final is needed until it is
//! executed, and is bounded by the window; what is executed goes first when memory is short (it is in the store).

use std::collections::BTreeMap;

use carat_types::batch::WellFormed;
use carat_types::{Digest, Slot};

/// Bodies in memory (section 5.2).
pub(crate) const BUDGET_BYTES: usize = 64 << 20;

#[derive(Debug)]
struct Held {
    payload: WellFormed,
    bytes: usize,
    /// The highest slot that wants it.
    slot: Slot,
}

/// The payloads held.
#[derive(Debug, Default)]
pub(crate) struct Payloads {
    held: BTreeMap<Digest, Held>,
    by_slot: BTreeMap<Slot, Vec<Digest>>,
    bytes: usize,
    /// Payloads of slots up to here are in the store.
    executed: Slot,
}

impl Payloads {
    /// Keeps a payload for `slot`, unless it is not `needed` at once and there is no room.
    pub(crate) fn insert(&mut self, slot: Slot, payload: WellFormed, needed: bool) {
        let digest = payload.digest();
        if let Some(held) = self.held.get_mut(&digest) {
            if held.slot < slot {
                held.slot = slot;
                self.by_slot.entry(slot).or_default().push(digest);
            }
            return;
        }
        let bytes = payload.payload().bodies.iter().map(|body| body.bytes()).sum();
        self.make_room(bytes);
        if !needed && self.bytes.saturating_add(bytes) > BUDGET_BYTES {
            return;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.by_slot.entry(slot).or_default().push(digest);
        self.held.insert(digest, Held { payload, bytes, slot });
    }

    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    pub(crate) fn get(&self, digest: &Digest) -> Option<&WellFormed> {
        self.held.get(digest).map(|held| &held.payload)
    }

    /// Forgets what no slot above `slot` wants.
    pub(crate) fn forget_through(&mut self, slot: Slot) {
        let keep = self.by_slot.split_off(&slot.next());
        let gone = std::mem::replace(&mut self.by_slot, keep);
        for digest in gone.into_values().flatten() {
            self.forget_if(&digest, |held| held.slot <= slot);
        }
    }

    /// Forgets what only slots in `(after, through]` want.
    pub(crate) fn forget_range(&mut self, after: Slot, through: Slot) {
        if after >= through {
            return;
        }
        let mut keep = self.by_slot.split_off(&after.next());
        let mut above = keep.split_off(&through.next());
        self.by_slot.append(&mut above);
        for digest in keep.into_values().flatten() {
            let mut below = self.by_slot.range(..=after).rev();
            let wanted_below = below.find(|(_, wanted)| wanted.contains(&digest)).map(|(slot, _)| *slot);
            match (wanted_below, self.held.get_mut(&digest)) {
                (Some(slot), Some(held)) if held.slot <= through => held.slot = slot,
                _ => self.forget_if(&digest, |held| held.slot <= through),
            }
        }
    }

    /// Slots up to `slot` are executed, and their payloads in the store.
    pub(crate) fn executed_through(&mut self, slot: Slot) {
        self.executed = slot;
        self.make_room(0);
    }

    /// Makes room for `bytes` by dropping payloads of executed slots, lowest first.
    fn make_room(&mut self, bytes: usize) {
        while self.bytes.saturating_add(bytes) > BUDGET_BYTES {
            let Some((slot, digests)) = self.by_slot.pop_first() else { return };
            if slot > self.executed {
                self.by_slot.insert(slot, digests);
                return;
            }
            for digest in digests {
                self.forget_if(&digest, |held| held.slot <= slot);
            }
        }
    }

    fn forget_if(&mut self, digest: &Digest, gone: impl Fn(&Held) -> bool) {
        if let Some(held) = self.held.get(digest).filter(|held| gone(held)) {
            self.bytes = self.bytes.saturating_sub(held.bytes);
            self.held.remove(digest);
        }
    }
}
