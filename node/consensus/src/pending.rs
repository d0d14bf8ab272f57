//! Transactions that wait to be ordered: first in, first out, one for each (source, sequence).
//!
//! A transaction stays until it is settled by an execution or withdrawn by the node; on the way it is *waiting*,
//! *in flight* (in a batch that this leader proposed or must propose again), or *ordered* (in a final slot).
//! Independently of that it is *timed* if it fits this acceptor's share P/n of the pool (section 14, T1).

use std::collections::{BTreeMap, BTreeSet};

use carat_types::batch::{BlockLimits, Body, Envelope};
use carat_types::{Digest, Slot};

use crate::input::PendingTransaction;
use crate::lookup::Lookup;

/// The most envelopes in one body.
const BODY_ENVELOPES_MAX: u32 = <Envelope as carat_types::codec::ListItem>::COUNT_MAX;

#[derive(Debug)]
struct Entry {
    transaction: PendingTransaction,
    admitted_us: u64,
    /// When it entered the share; none while outside.
    timed_since_us: Option<u64>,
    ordered: bool,
    /// Whether a body that this replica held had it.
    in_body: bool,
}

/// The node's pool decides who finds room, and it hears of what is settled before this does. So this takes more: what
/// the node admitted and this refused would be in the pool for ever, and proposed by nobody.
const ENTRIES_PER_PLACE: usize = 3;

/// What a final slot ordered, of the transactions that the pool knew.
#[derive(Debug, Default)]
pub(crate) struct Ordered {
    /// How long each has waited since it was admitted. **Units**: microseconds.
    pub(crate) waited_us: Vec<u64>,
    /// Which they are.
    pub(crate) hashes: Vec<Digest>,
}

impl Ordered {
    pub(crate) fn count(&self) -> u64 {
        u64::try_from(self.waited_us.len()).unwrap_or(u64::MAX)
    }
}

/// The pool as consensus sees it.
#[derive(Debug)]
pub(crate) struct Pending {
    /// Entries at most, those that are ordered included.
    entries_max: usize,
    share: usize,
    limits: BlockLimits,
    next_arrival: u64,
    /// By order of arrival.
    entries: BTreeMap<u64, Entry>,
    by_hash: Lookup<Digest, u64>,
    by_envelope: Lookup<Envelope, u64>,
    by_source: Lookup<([u8; 32], i64), u64>,
    waiting: BTreeSet<u64>,
    in_flight: Vec<u64>,
    ordered: BTreeMap<Slot, Vec<u64>>,
    timed: BTreeSet<(u64, u64)>,
    untimed: BTreeSet<u64>,
}

impl Pending {
    pub(crate) fn new(capacity: u64, validators: usize, limits: BlockLimits) -> Self {
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
        Pending {
            entries_max: capacity.saturating_mul(ENTRIES_PER_PLACE),
            share: capacity.checked_div(validators).unwrap_or(capacity).max(1),
            limits,
            next_arrival: 0,
            entries: BTreeMap::new(),
            by_hash: Lookup::default(),
            by_envelope: Lookup::default(),
            by_source: Lookup::default(),
            waiting: BTreeSet::new(),
            in_flight: Vec::new(),
            ordered: BTreeMap::new(),
            timed: BTreeSet::new(),
            untimed: BTreeSet::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How many transactions are in no batch yet.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// When the oldest timed transaction began to wait.
    pub(crate) fn oldest_timed_us(&self) -> Option<u64> {
        self.timed.first().map(|(since, _)| *since)
    }

    /// When the oldest transaction came that is in no batch yet.
    pub(crate) fn oldest_waiting_us(&self) -> Option<u64> {
        self.waiting.first().and_then(|arrival| self.entries.get(arrival)).map(|entry| entry.admitted_us)
    }

    /// When the oldest transaction came that is not ordered, in a batch or not.
    pub(crate) fn oldest_us(&self) -> Option<u64> {
        self.oldest_timed_us().or_else(|| self.oldest_waiting_us())
    }

    /// How many transactions in no batch came before `start_us`.
    pub(crate) fn waiting_since(&self, start_us: u64) -> u64 {
        let waiting = self.waiting.iter().filter_map(|arrival| self.entries.get(arrival));
        let count = waiting.take_while(|entry| entry.admitted_us <= start_us).count();
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// Takes a transaction in.
    ///
    /// **Returns** whether it was new, fits a block, and found room.
    pub(crate) fn admit(&mut self, transaction: PendingTransaction, now_us: u64) -> bool {
        let source = (transaction.source, transaction.sequence);
        let refused = self.entries.len() >= self.entries_max
            || self.by_hash.contains(&transaction.hash)
            || self.by_source.contains(&source)
            || !Room::of(&self.limits).take(&transaction);
        if refused {
            return false;
        }
        let arrival = self.next_arrival;
        self.next_arrival = arrival.saturating_add(1);
        self.by_hash.insert(transaction.hash, arrival);
        self.by_source.insert(source, arrival);
        self.by_envelope.insert(transaction.envelope.clone(), arrival);
        self.waiting.insert(arrival);
        self.untimed.insert(arrival);
        let entry =
            Entry { transaction, admitted_us: now_us, timed_since_us: None, ordered: false, in_body: false };
        self.entries.insert(arrival, entry);
        self.fill_share(now_us);
        true
    }

    /// Forgets transactions that will never be executed.
    pub(crate) fn withdraw(&mut self, hashes: &[Digest], now_us: u64) {
        for hash in hashes {
            self.remove(hash);
        }
        self.fill_share(now_us);
    }

    /// Takes the next batch from the front of the queue, up to the limits of a block; its transactions are in
    /// flight from now on.
    pub(crate) fn take_batch(&mut self) -> Vec<Envelope> {
        let mut room = Room::of(&self.limits);
        let mut taken = Vec::new();
        let mut envelopes = Vec::new();
        for arrival in &self.waiting {
            let Some(entry) = self.entries.get(arrival) else { continue };
            if !room.take(&entry.transaction) {
                break;
            }
            taken.push(*arrival);
            envelopes.push(entry.transaction.envelope.clone());
        }
        for arrival in &taken {
            self.waiting.remove(arrival);
        }
        self.in_flight.append(&mut taken);
        envelopes
    }

    /// A body with these was spread.
    ///
    /// **Returns** how many of them are known here.
    pub(crate) fn note_body(&mut self, envelopes: &[Envelope]) -> usize {
        let mut known = 0usize;
        for envelope in envelopes {
            let arrival = self.by_envelope.get(envelope);
            if let Some(entry) = arrival.and_then(|arrival| self.entries.get_mut(&arrival)) {
                entry.in_body = true;
                known = known.saturating_add(1);
            }
        }
        known
    }

    /// No body that may be proposed has these any more.
    ///
    /// **Returns** the ids of those that wait.
    pub(crate) fn leave_bodies(&mut self, envelopes: &[Envelope]) -> Vec<Digest> {
        let mut left = Vec::new();
        for arrival in envelopes.iter().filter_map(|envelope| self.by_envelope.get(envelope)) {
            if let Some(entry) = self.entries.get_mut(&arrival).filter(|_| self.waiting.contains(&arrival)) {
                entry.in_body = false;
                left.push(entry.transaction.hash);
            }
        }
        left
    }

    /// Whether a transaction is in no batch yet.
    pub(crate) fn waits(&self, envelope: &Envelope) -> bool {
        self.by_envelope.get(envelope).is_some_and(|arrival| self.waiting.contains(&arrival))
    }

    /// A transaction that is known and in no body.
    pub(crate) fn in_no_body(&self, hash: &Digest) -> Option<&PendingTransaction> {
        let entry = self.by_hash.get(hash).and_then(|arrival| self.entries.get(&arrival));
        entry.filter(|entry| !entry.in_body && !entry.ordered).map(|entry| &entry.transaction)
    }

    /// Whether all of these passed admission here and are not settled.
    pub(crate) fn knows_all(&self, envelopes: &[Envelope]) -> bool {
        envelopes.iter().all(|envelope| self.by_envelope.contains(envelope))
    }

    /// Whether any of these passed admission here and is not settled.
    pub(crate) fn knows_any(&self, envelopes: &[Envelope]) -> bool {
        envelopes.iter().any(|envelope| self.by_envelope.contains(envelope))
    }

    /// How many of these are in no batch yet.
    pub(crate) fn waiting_of(&self, envelopes: &[Envelope]) -> usize {
        let known = envelopes.iter().filter_map(|envelope| self.by_envelope.get(envelope));
        known.filter(|arrival| self.waiting.contains(arrival)).count()
    }

    /// The oldest transactions in no batch that came up to `until_us` and are not among `covered`, as many as the limits let;
    /// one at least.
    pub(crate) fn waiting_outside(
        &self,
        covered: &BTreeSet<&Envelope>,
        until_us: u64,
        limits: &BlockLimits,
    ) -> Vec<PendingTransaction> {
        let mut room = Room::of(limits);
        let mut found = Vec::new();
        for entry in self.waiting.iter().filter_map(|arrival| self.entries.get(arrival)) {
            let transaction = &entry.transaction;
            if entry.admitted_us > until_us || covered.contains(&transaction.envelope) {
                continue;
            }
            if !room.take(transaction) && !found.is_empty() {
                break;
            }
            found.push(transaction.clone());
        }
        found
    }

    /// A batch that this leader did not make itself is on its way: do not propose its transactions again.
    pub(crate) fn mark_in_flight<'a>(&mut self, envelopes: impl Iterator<Item = &'a Envelope>) {
        for envelope in envelopes {
            if let Some(arrival) = self.by_envelope.get(envelope)
                && self.waiting.remove(&arrival)
            {
                self.in_flight.push(arrival);
            }
        }
    }

    /// A view is over: what was in flight and is not ordered waits again.
    pub(crate) fn release_in_flight(&mut self) {
        for arrival in std::mem::take(&mut self.in_flight) {
            if self.entries.get(&arrival).is_some_and(|entry| !entry.ordered) {
                self.waiting.insert(arrival);
            }
        }
    }

    /// A final slot orders these: their clocks stop (T1).
    ///
    /// **Returns** how long those that the pool knew have waited.
    pub(crate) fn mark_ordered<'a>(
        &mut self,
        slot: Slot,
        envelopes: impl Iterator<Item = &'a Envelope>,
        now_us: u64,
    ) -> Ordered {
        let mut ordered = Ordered::default();
        for envelope in envelopes {
            let Some(arrival) = self.by_envelope.get(envelope) else { continue };
            let Some(entry) = self.entries.get_mut(&arrival) else { continue };
            if std::mem::replace(&mut entry.ordered, true) {
                continue;
            }
            ordered.waited_us.push(now_us.saturating_sub(entry.admitted_us));
            ordered.hashes.push(entry.transaction.hash);
            if let Some(since) = entry.timed_since_us {
                self.timed.remove(&(since, arrival));
            }
            self.untimed.remove(&arrival);
            self.waiting.remove(&arrival);
            self.ordered.entry(slot).or_default().push(arrival);
        }
        self.fill_share(now_us);
        ordered
    }

    /// A slot was executed: what it settled is forgotten, what it ordered in vain waits again.
    pub(crate) fn settle(&mut self, slot: Slot, settled: &[Digest], now_us: u64) {
        for hash in settled {
            self.remove(hash);
        }
        for arrival in self.ordered.remove(&slot).unwrap_or_default() {
            let Some(entry) = self.entries.get_mut(&arrival) else { continue };
            entry.ordered = false;
            self.waiting.insert(arrival);
            match entry.timed_since_us {
                Some(since) => self.timed.insert((since, arrival)),
                None => self.untimed.insert(arrival),
            };
        }
        // Bounded by the pool: an arrival that is gone is of no more use here.
        if self.in_flight.len() > self.entries_max {
            self.in_flight.retain(|arrival| self.entries.contains_key(arrival));
        }
        self.fill_share(now_us);
    }

    fn remove(&mut self, hash: &Digest) {
        let Some(arrival) = self.by_hash.remove(hash) else { return };
        let Some(entry) = self.entries.remove(&arrival) else { return };
        let transaction = entry.transaction;
        self.by_source.remove(&(transaction.source, transaction.sequence));
        self.by_envelope.remove(&transaction.envelope);
        self.waiting.remove(&arrival);
        self.untimed.remove(&arrival);
        if let Some(since) = entry.timed_since_us {
            self.timed.remove(&(since, arrival));
        }
    }

    /// The share is first in, first out; a transaction's clock starts when it enters.
    fn fill_share(&mut self, now_us: u64) {
        while self.timed.len() < self.share {
            let Some(arrival) = self.untimed.pop_first() else { return };
            if let Some(entry) = self.entries.get_mut(&arrival) {
                entry.timed_since_us = Some(now_us);
                self.timed.insert((now_us, arrival));
            }
        }
    }
}

/// What is left of a block's limits.
pub(crate) struct Room {
    bytes: u64,
    transactions: u32,
    operations: u32,
    signatures: u32,
}

impl Room {
    pub(crate) fn of(limits: &BlockLimits) -> Self {
        Room {
            bytes: u64::from(limits.bytes),
            transactions: limits.transactions.min(BODY_ENVELOPES_MAX),
            operations: limits.operations,
            signatures: limits.signatures,
        }
    }

    /// Half of everything.
    pub(crate) fn half_of(limits: &BlockLimits) -> Self {
        let Room { bytes, transactions, operations, signatures } = Room::of(limits);
        Room {
            bytes: bytes / 2,
            transactions: transactions / 2,
            operations: operations / 2,
            signatures: signatures / 2,
        }
    }

    /// Whether there is room for so many transactions, by their number alone.
    pub(crate) fn holds(&self, transactions: usize) -> bool {
        u32::try_from(transactions).is_ok_and(|transactions| transactions <= self.transactions)
    }

    /// Takes room for a transaction, if there is enough of everything.
    pub(crate) fn take(&mut self, transaction: &PendingTransaction) -> bool {
        let bytes = transaction.envelope.0.len();
        self.take_all(bytes, 1, transaction.operations, transaction.signatures)
    }

    /// Takes room for a whole body, if there is enough of everything.
    pub(crate) fn take_body(&mut self, body: &Body, operations: u32, signatures: u32) -> bool {
        self.take_all(body.bytes(), body.envelopes.len(), operations, signatures)
    }

    fn take_all(&mut self, bytes: usize, transactions: usize, operations: u32, signatures: u32) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let transactions = u32::try_from(transactions).unwrap_or(u32::MAX);
        let left = (
            self.bytes.checked_sub(bytes),
            self.transactions.checked_sub(transactions),
            self.operations.checked_sub(operations),
            self.signatures.checked_sub(signatures),
        );
        let (Some(bytes), Some(transactions), Some(operations), Some(signatures)) = left else {
            return false;
        };
        *self = Room { bytes, transactions, operations, signatures };
        true
    }
}

#[cfg(test)]
mod tests;
