//! Messages and payloads made by hand.

use std::sync::Arc;

use carat_consensus::PendingTransaction;
use carat_types::batch::{Envelope, Payload, Value};
use carat_types::hash::sha256;
use carat_types::message::{
    Ballot, Message, PrePrepare, Proposal, Signed, SignedBody, SignerRole, ViewChange,
};
use carat_types::validators::ValidatorSet;
use carat_types::{Digest, Slot, View};

use crate::harness::{HashSigner, id, keys_of};

/// Signs anything in the name of anybody who has a place in the body's role.
pub(crate) fn forge<B: SignedBody>(set: &ValidatorSet, signer: usize, body: B) -> Signed<B> {
    let bytes = set.domain().signing_bytes(&body);
    let process = match B::SIGNER {
        SignerRole::Acceptor => id(signer),
        SignerRole::Proposer => set.process_of(id(signer)),
    };
    let signature = HashSigner(keys_of(process.index())).signature(B::SIGNER, &bytes);
    Signed { signer: id(signer), body, signature }
}

pub(crate) fn ballot(view: u64, slot: u64, digest: Digest, prefix: Digest) -> Ballot {
    Ballot { view: View(view), slot: Slot(slot), digest, prefix }
}

/// A proposal of a batch with these transactions.
pub(crate) fn proposal(
    set: &ValidatorSet,
    leader: usize,
    view: u64,
    slot: u64,
    parent: Digest,
    payload: &Arc<Payload>,
) -> Message {
    let body = PrePrepare { view: View(view), slot: Slot(slot), parent, digest: payload.value.digest() };
    Message::Proposal(Arc::new(Proposal { signed: forge(set, leader, body), payload: Arc::clone(payload) }))
}

pub(crate) fn payload_of(time_ms: u64, numbers: &[u64]) -> Arc<Payload> {
    let envelopes: Vec<_> = numbers.iter().map(|number| transaction(*number).envelope).collect();
    let bodies: Vec<_> = if envelopes.is_empty() {
        Vec::new()
    } else {
        vec![Arc::new(carat_types::batch::Body { envelopes })]
    };
    let digests = bodies.iter().map(|body| body.digest()).collect();
    let value = Value::Batch(carat_types::batch::Batch { time_ms, bodies: digests });
    Arc::new(Payload { value, bodies })
}

pub(crate) fn transaction(number: u64) -> PendingTransaction {
    let envelope = Envelope(number.to_be_bytes().as_slice().into());
    PendingTransaction {
        hash: sha256(&[&envelope.0]),
        source: sha256(&[b"source", &number.to_be_bytes()]).0,
        sequence: 1,
        valid_until: None,
        envelope,
        operations: 1,
        signatures: 1,
    }
}

pub(crate) fn view_change(view: u64) -> ViewChange {
    ViewChange { view: View(view), stable: None, reports: Vec::new() }
}
