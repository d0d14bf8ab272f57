//! Blocks are the same whether something was executed ahead of them or not.

use carat_consensus::effect::Finality;
use carat_types::View;
use carat_types::batch::{Batch, Body, Value, WellFormed};
use carat_types::builder::operation::{create_account, manage_data};
use carat_types::header::prefix_digest;
use carat_types::{PublicKey, SecretKey};
use stellar_xdr::Operation;

use super::*;
use crate::fixture::{Fixture, TestNode};

/// A payload that may be final at `slot` behind the block that was executed last.
fn above(tip: &Header, time_ms: u64, transactions: &[Arc<SignedTransaction>]) -> ExecuteTentatively {
    let envelopes = transactions.iter().map(|it| it.envelope().clone()).collect();
    let body = Arc::new(Body { envelopes });
    let value = Value::Batch(Batch { time_ms: tip.time_ms + time_ms, bodies: vec![body.digest()] });
    let (slot, digest) = (tip.slot.next(), value.digest());
    let prefix = prefix_digest(&tip.prefix, slot, &digest);
    let payload = WellFormed::trusted(Arc::new(Payload { value, bodies: vec![body] }));
    ExecuteTentatively { view: View(0), slot, payload, parent_prefix: tip.prefix, prefix }
}

fn is_final(of: &ExecuteTentatively) -> Execute {
    Execute {
        slot: of.slot,
        payload: of.payload.clone(),
        parent_prefix: of.parent_prefix,
        prefix: of.prefix,
        finality: Finality::Prefix(of.slot.next()),
        stable: Slot(0),
        ordered: Vec::new(),
    }
}

fn account(number: u8) -> PublicKey {
    SecretKey::from_seed(&[number; 32]).public()
}

fn creates(number: u8) -> Operation {
    create_account(account(number).into(), 100_000_000)
}

fn writes(name: &str, value: Option<&[u8]>) -> Operation {
    manage_data(name, value).expect("short")
}

/// Executes a final slot, and looks whether state, tree and header agree.
fn execute(node: &mut TestNode, execute: &Execute) -> Header {
    node.executor.execute(execute).expect("executed");
    let header = node.parts.store.header(execute.slot).expect("readable").expect("written");
    // The tree over what is stored is that of the header.
    let stored = node.parts.store.state_tree(&node.executor.tree.rule().clone()).expect("the header's root");
    assert_eq!((node.executor.tree.root(), stored.root()), (header.state_root, header.state_root));
    assert_eq!(node.executor.tip, header);
    header
}

fn ahead(node: &mut TestNode, execute: &ExecuteTentatively) {
    let before = node.executor.tree.root();
    node.executor.ahead.queue(execute.clone(), node.executor.tip.slot);
    node.executor.execute_ahead().expect("executed");
    assert_ne!(node.executor.tree.root(), before, "the tree is ahead");
}

fn outcomes(node: &TestNode, outcome: &str) -> u64 {
    node.parts.metrics.ledger_tentative_total.with_label_values(&[outcome]).get()
}

/// Two executors of one chain with a block in which something stands that can go; the second one never executes ahead.
fn pair(network: &Fixture) -> (TestNode, TestNode) {
    let (mut node, mut plain) = (network.node(), network.node());
    let first = network.signed(&node, 0, vec![writes("goes", Some(b"1")), creates(1)]);
    let first = is_final(&above(&node.executor.tip, 1_000, &[first]));
    assert_eq!(execute(&mut node, &first), execute(&mut plain, &first));
    (node, plain)
}

/// What changes an entry, and makes one come and another go.
fn changes(network: &Fixture, node: &TestNode, number: u8) -> Arc<SignedTransaction> {
    network.signed(node, 0, vec![writes("goes", None), writes("comes", Some(&[number])), creates(number)])
}

#[test]
fn block_is_that_of_an_executor_that_never_ran_ahead_when_another_value_is_final() {
    let network = Fixture::new();
    let (mut node, mut plain) = pair(&network);
    let tip = node.executor.tip.clone();
    let expected = above(&tip, 2_000, &[changes(&network, &node, 2)]);
    let other = above(&tip, 1_000, &[network.signed(&node, 0, vec![creates(3)])]);
    ahead(&mut node, &expected);
    let seen = execute(&mut node, &is_final(&other));
    assert_eq!(seen, execute(&mut plain, &is_final(&other)));
    assert_eq!((outcomes(&node, "undone"), outcomes(&node, "written")), (1, 0));
    assert_eq!(outcomes(&plain, "undone"), 0);
    // And the block above it.
    let next = above(&seen, 1_000, &[changes(&network, &node, 4)]);
    ahead(&mut node, &next);
    assert_eq!(execute(&mut node, &is_final(&next)), execute(&mut plain, &is_final(&next)));
    assert_eq!((outcomes(&node, "undone"), outcomes(&node, "written")), (1, 1));
}

#[test]
fn block_is_that_of_an_executor_that_never_ran_ahead_when_what_it_did_is_dropped() {
    let network = Fixture::new();
    let (mut node, mut plain) = pair(&network);
    let tip = node.executor.tip.clone();
    let expected = above(&tip, 2_000, &[changes(&network, &node, 2)]);
    ahead(&mut node, &expected);
    node.executor.drop_tentative().expect("undone");
    assert_eq!(node.executor.tree.root(), tip.state_root);
    node.executor.drop_tentative().expect("nothing left to undo");
    // The same value again, of a later view.
    ahead(&mut node, &expected);
    assert_eq!(execute(&mut node, &is_final(&expected)), execute(&mut plain, &is_final(&expected)));
    assert_eq!((outcomes(&node, "undone"), outcomes(&node, "written")), (1, 1));
}

#[test]
fn transactions_that_were_let_in_are_not_read_again() {
    let network = Fixture::new();
    let (mut node, mut plain) = pair(&network);
    let known = changes(&network, &node, 2);
    node.front_door.submit(&known).expect("readable");
    // The same bytes by another way, and a transaction that nobody brought.
    let again = SignedTransaction::decode(&network.genesis.network_id(), known.bytes()).expect("one");
    let block =
        above(&node.executor.tip, 1_000, &[Arc::new(again), network.signed(&node, 1, vec![creates(3)])]);
    let read = node.executor.transactions(block.slot, block.payload.payload()).expect("well-formed");
    assert_eq!(read.iter().map(|it| Arc::ptr_eq(it, &known)).collect::<Vec<_>>(), [true, false]);
    assert_eq!(execute(&mut node, &is_final(&block)), execute(&mut plain, &is_final(&block)));
    let left = node.front_door.readings(block.payload.payload());
    assert!(left.iter().all(Option::is_none), "what is executed leaves");
}

#[test]
fn what_waits_is_forgotten_with_the_block_though_there_was_no_time_to_execute_it_ahead() {
    let network = Fixture::new();
    let mut node = network.node();
    let mut tip = node.executor.tip.clone();
    for number in 1..=4 {
        let next = above(&tip, 1_000, &[network.signed(&node, 0, vec![creates(number)])]);
        node.executor.ahead.queue(next.clone(), tip.slot);
        tip = execute(&mut node, &is_final(&next));
        assert!(node.executor.ahead.is_idle(), "{number}");
    }
}
