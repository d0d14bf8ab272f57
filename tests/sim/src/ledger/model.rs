//! The model ledger.

use std::collections::BTreeMap;
use std::sync::Arc;

use carat_consensus::PendingTransaction;
use carat_ledger::{StateDelta, StateTree};
use carat_types::Digest;
use carat_types::batch::{Envelope, Payload, WellFormed};
use carat_types::codec::{Decode, DecodeError, Encode, Reader};
use carat_types::hash::{m, sha256};
use carat_types::merkle;

use super::{Effects, Order, Place, leaf_rule};

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

/// Sequence numbers by account, and a hash over all that was applied; in a tree like the product's.
#[derive(Clone, Debug)]
pub(super) struct ModelState {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    tree: StateTree,
}

impl Default for ModelState {
    fn default() -> Self {
        let entries = BTreeMap::new();
        ModelState { tree: StateTree::build(&leaf_rule(), &entries), entries }
    }
}

impl ModelState {
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
        let mut log = self.entries.get(LOG).cloned().unwrap_or_default();
        for envelope in payload.envelopes() {
            let Ok(transaction) = Transaction::from_bytes(&envelope.0) else { continue };
            let id = sha256(&[&envelope.0]);
            let expected = self.sequence(&transaction.source) + 1;
            let expired = transaction.valid_until.is_some_and(|limit| place.time_ms / 1_000 > limit);
            if transaction.sequence == expected && !expired {
                self.entries.insert(transaction.source.to_vec(), expected.to_bytes());
                delta.insert(transaction.source.to_vec(), Some(expected.to_bytes()));
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
        Effects { applied, settled, state_root, outcomes_root, drops_root: merkle::empty(), epoch_end: None }
    }
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
