//! The model ledger.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use carat_consensus::PendingTransaction;
use carat_ledger::{StateDelta, StateTree};
use carat_types::batch::{Envelope, Payload, WellFormed};
use carat_types::codec::{Decode, DecodeError, Encode, Reader};
use carat_types::hash::{m, sha256};
use carat_types::header::EpochEnd;
use carat_types::merkle;
use carat_types::{Digest, Epoch, Slot};

use super::{Effects, Order, Place, leaf_rule};
use crate::epochs::Era;

/// An account: any 32 bytes.
type Account = [u8; 32];

/// Uses a sequence number of its source, and does nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Transaction {
    source: Account,
    sequence: i64,
    salt: u64,
    valid_until: Option<u64>,
}

/// The key of the hash over all that was applied.
const LOG: &[u8] = b"log";

/// The key of the end of the epoch, once it is decided.
const END: &[u8] = b"end";

/// Its transactions ask for the set of the epoch that their salt names. No client has it.
const GOVERNANCE: Account = [0xe0; 32];

/// Sequence numbers by account, and a hash over all that was applied; in a tree like the product's.
#[derive(Clone, Debug)]
pub(super) struct ModelState {
    /// What follows upon each epoch: the same for all, and no part of the state.
    successors: Rc<[Successor]>,
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    tree: StateTree,
}

impl Default for ModelState {
    fn default() -> Self {
        let entries = BTreeMap::new();
        ModelState { successors: Rc::new([]), tree: StateTree::build(&leaf_rule(), &entries), entries }
    }
}

/// The set that an epoch may decide on, and by which constants it finds its end.
#[derive(Clone, Copy, Debug)]
struct Successor {
    next_set: Digest,
    interval: u64,
    window: u64,
}

impl ModelState {
    /// Lets governance ask for the sets of `eras`, one after the other.
    pub(super) fn govern(&mut self, eras: &[Era]) {
        let successor = |pair: &[Era]| Successor {
            next_set: pair[1].hash,
            interval: pair[0].params.checkpoint_interval,
            window: pair[0].params.window,
        };
        self.successors = eras.windows(2).map(successor).collect();
    }

    fn end(&self) -> Option<EpochEnd> {
        self.entries.get(END).and_then(|bytes| EpochEnd::from_bytes(bytes).ok())
    }

    /// What is done about the end of the epoch before the first transaction: nothing, but in the first block above it.
    fn begin_block(&mut self, place: Place, delta: &mut StateDelta) {
        if self.end().is_some_and(|end| end.slot < place.slot) {
            self.entries.remove(END);
            delta.insert(END.to_vec(), None);
        }
    }

    /// Section 11: decided at slot g, the epoch ends with the least multiple of K that is g+L or more. A pending change
    /// blocks a second one, and a set is one for the next epoch.
    fn decide(&mut self, transaction: &Transaction, place: Place, delta: &mut StateDelta) {
        let asks = transaction.source == GOVERNANCE && transaction.salt == u64::from(place.epoch.0) + 1;
        let successor = usize::try_from(place.epoch.0).ok().and_then(|epoch| self.successors.get(epoch));
        let Some(successor) = successor.filter(|_| asks && self.end().is_none()) else { return };
        let slot = (place.slot.0 + successor.window).next_multiple_of(successor.interval);
        let end = EpochEnd { slot: Slot(slot), next_set: successor.next_set }.to_bytes();
        self.entries.insert(END.to_vec(), end.clone());
        delta.insert(END.to_vec(), Some(end));
    }

    pub(super) fn root(&self) -> Digest {
        self.tree.root()
    }

    pub(super) fn entries(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.entries.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    pub(super) fn install(&mut self, entries: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) {
        self.entries = entries.collect();
        self.tree = StateTree::build(&leaf_rule(), &self.entries);
    }

    pub(super) fn sequence(&self, account: &Account) -> i64 {
        self.entries.get(account.as_slice()).and_then(|bytes| i64::from_bytes(bytes).ok()).unwrap_or(0)
    }

    pub(super) fn execute(&mut self, payload: &Payload, place: Place) -> Effects {
        let (mut applied, mut settled) = (Vec::new(), Vec::new());
        let mut delta = StateDelta::default();
        self.begin_block(place, &mut delta);
        let mut log = self.entries.get(LOG).cloned().unwrap_or_default();
        for envelope in payload.envelopes() {
            let Ok(transaction) = Transaction::from_bytes(&envelope.0) else { continue };
            let id = sha256(&[&envelope.0]);
            let expected = self.sequence(&transaction.source) + 1;
            let expired = transaction.valid_until.is_some_and(|limit| place.time_ms / 1_000 > limit);
            if transaction.sequence == expected && !expired {
                self.entries.insert(transaction.source.to_vec(), expected.to_bytes());
                delta.insert(transaction.source.to_vec(), Some(expected.to_bytes()));
                self.decide(&transaction, place, &mut delta);
                log = m("entry", &[&log, &id.0]).0.to_vec();
                applied.push(id);
            }
            if transaction.sequence <= expected {
                settled.push(id);
            }
        }
        if !applied.is_empty() {
            self.entries.insert(LOG.to_vec(), log.clone());
            delta.insert(LOG.to_vec(), Some(log));
        }
        let state_root = self.tree.update(&delta);
        let ids: Vec<&[u8]> = applied.iter().map(|id| id.0.as_slice()).collect();
        let outcomes_root = m("outcome", &ids);
        let epoch_end = self.end();
        Effects { applied, settled, state_root, outcomes_root, drops_root: merkle::empty(), epoch_end }
    }
}

pub(super) fn handover(epoch: Epoch) -> Envelope {
    let (sequence, salt) = (i64::from(epoch.0), u64::from(epoch.0));
    let transaction = Transaction { source: GOVERNANCE, sequence, salt, valid_until: None };
    Envelope(transaction.to_bytes().into())
}

pub(super) fn envelope(order: Order) -> Envelope {
    let mut source = [0xc1; 32];
    source[..8].copy_from_slice(&order.client.to_be_bytes());
    let Order { sequence, salt, valid_until, .. } = order;
    Envelope(Transaction { source, sequence, salt, valid_until }.to_bytes().into())
}

pub(super) fn decode(envelope: &Envelope) -> Option<PendingTransaction> {
    let transaction = Transaction::from_bytes(&envelope.0).ok()?;
    Some(PendingTransaction {
        hash: sha256(&[&envelope.0]),
        source: transaction.source,
        sequence: transaction.sequence,
        valid_until: transaction.valid_until,
        envelope: envelope.clone(),
        operations: 1,
        signatures: 1,
    })
}

pub(super) fn well_formed(payload: &Arc<Payload>) -> Option<WellFormed> {
    let readable = |envelope: &Envelope| Transaction::from_bytes(&envelope.0).is_ok();
    let fine = payload.is_consistent()
        && payload.bodies.iter().all(|body| !body.envelopes.is_empty())
        && payload.envelopes().all(readable);
    fine.then(|| WellFormed::trusted(payload.clone()))
}

impl Encode for Transaction {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.source);
        self.sequence.encode(out);
        self.salt.encode(out);
        self.valid_until.encode(out);
    }
}

impl Decode for Transaction {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Transaction {
            source: input.array()?,
            sequence: Decode::decode(input)?,
            salt: Decode::decode(input)?,
            valid_until: Decode::decode(input)?,
        })
    }
}
