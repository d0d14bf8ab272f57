//! What the replica is told of a transaction, and by which way others learn of it.

use carat_types::accountability::Submission;
use carat_types::builder::operation::create_account;
use carat_types::evidence::{Both, Evidence};
use carat_types::governance::Call;
use carat_types::message::{Seal, Signed};
use carat_types::{Epoch, SecretKey, Slot};
use stellar_xdr::Operation;

use super::*;
use crate::fixture::{Fixture, TestNode};

/// Two SEALs of the validator for one slot, in a transaction.
fn evidence(network: &Fixture) -> Operation {
    let set = network.genesis.validators().expect("one");
    let seal = |header| {
        let body = Seal { slot: Slot(9), header: Digest([header; 32]) };
        let signature = network.acceptor().sign(&set.domain().signing_bytes(&body));
        Signed { signer: ValidatorId(0), body, signature }
    };
    let evidence = Evidence::Seals(Both { first: seal(1), second: seal(2) });
    let submission = Submission { epoch: Epoch(0), evidence, genesis: network.genesis.bytes.clone() };
    let governance = network.genesis.genesis.governance.expect("it governs itself");
    Call::Evidence(Box::new(submission)).operation(&network.genesis.chain_id, &governance)
}

fn creation() -> Operation {
    create_account(SecretKey::from_seed(&[1; 32]).public().into(), 100_000_000)
}

/// What the replica was told since it was asked last.
fn told(node: &TestNode) -> Vec<Input> {
    if node.parts.mailbox.is_empty() { Vec::new() } else { node.parts.mailbox.take(None).expect("open") }
}

#[test]
fn replica_is_told_of_the_signatures_that_evidence_costs() {
    let network = Fixture::new();
    let node = network.node();
    let transaction = network.signed(&node, 0, vec![evidence(&network)]);
    assert_eq!(node.front_door.submit(&transaction).expect("readable"), Verdict::Admitted);
    let inputs = told(&node);
    let [Input::Admitted(pending)] = inputs.as_slice() else { panic!("{inputs:?}") };
    // Its own, two of the validator, and the genesis file.
    assert_eq!((pending.operations, pending.signatures), (1, 4));
}

#[test]
fn body_weighs_what_its_transactions_cost() {
    let network = Fixture::new();
    let node = network.node();
    let transactions = [
        network.signed(&node, 0, vec![evidence(&network)]),
        network.signed(&node, 1, vec![creation(), creation()]),
    ];
    let envelopes = transactions.iter().map(|it| it.envelope().clone()).collect();
    let body = Arc::new(Body { envelopes });
    let weighed =
        node.front_door.weigh(Arc::clone(&body), transactions.iter().map(Arc::as_ref)).expect("readable");
    assert_eq!((weighed.operations, weighed.signatures), (3, 5));
    assert_eq!((weighed.digest, weighed.body), (body.digest(), body));
}

#[test]
fn transaction_is_spread_one_way_though_bodies_begin_or_end_meanwhile() {
    let network = Fixture::new();
    for begins_with_bodies in [false, true] {
        let mut node = network.node();
        node.front_door.spread_bodies(begins_with_bodies);
        let door = &node.front_door;
        let transaction = network.signed(&node, 0, vec![creation()]);
        let way = door.way(None);
        let verdict = {
            door.spread_bodies(!begins_with_bodies);
            door.admit(&transaction, None, way).expect("readable")
        };
        door.spread(&transaction, &verdict, way);
        let in_body = told(&node).iter().any(|input| matches!(input, Input::Submitted(_)));
        let gossiped = node.gossip.try_recv().is_ok();
        assert_eq!((in_body, gossiped), (begins_with_bodies, !begins_with_bodies));
    }
}

#[test]
fn what_a_validator_brought_is_spread_by_that_validator() {
    let network = Fixture::new();
    for bodies in [false, true] {
        let mut node = network.node();
        node.front_door.spread_bodies(bodies);
        let transaction = network.signed(&node, 0, vec![creation()]);
        node.front_door.gossiped(ValidatorId(0), &transaction).expect("readable");
        assert!(told(&node).iter().any(|input| matches!(input, Input::Admitted(_))));
        assert!(node.gossip.try_recv().is_err());
    }
}
