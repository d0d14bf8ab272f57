//! What counts as junk of a leader: signatures that were never valid, and nothing that a client can cause.

mod support;

use carat_ledger::{MemoryState, StateKey, StateValue};
use support::*;

/// What `was_never_signed` says of each dropped transaction of a block.
fn verdicts(world: &World, transactions: &[Tx], since: u32) -> Vec<bool> {
    let outcome = world.apply(transactions);
    let never =
        |dropped: &carat_ledger::Dropped| dropped.was_never_signed(&world.state, since).expect("reads");
    outcome.dropped.iter().map(never).collect()
}

fn last_modified(state: &mut MemoryState, name: &str, ledger: u32) {
    let key = StateKey::account(&id(name));
    let Ok(Some(StateValue::Ledger(mut entry))) = state.value(&key) else { panic!("no account {name}") };
    entry.last_modified_ledger_seq = ledger;
    state.insert(&key, &StateValue::Ledger(entry));
}

fn world() -> World {
    let mut world = World::new().account("alice", 1_000).account("bob", 500);
    for name in ["alice", "bob"] {
        last_modified(&mut world.state, name, 3);
    }
    world
}

fn pay_by(signer: &str) -> Tx {
    tx("alice").op(pay("bob", 1, "native")).by(&[signer])
}

#[test]
fn signature_that_was_never_valid_is_junk() {
    assert_eq!(verdicts(&world(), &[pay_by("bob")], 5), [true]);
    let extra = tx("alice").op(pay("bob", 1, "native")).by(&["alice", "bob"]);
    assert_eq!(verdicts(&world(), &[extra], 5), [true], "a signature of nobody concerned");
}

#[test]
fn account_that_changed_since_the_checkpoint_excuses_the_leader() {
    let mut changed = world();
    last_modified(&mut changed.state, "alice", 5);
    assert_eq!(verdicts(&changed, &[pay_by("bob")], 5), [false], "its signers may be what changed");
    assert_eq!(verdicts(&changed, &[pay_by("bob")], 6), [true]);
    let for_another = tx("alice").op_by("bob", pay("alice", 1, "native")).by(&["alice"]);
    let mut changed = world();
    last_modified(&mut changed.state, "bob", 5);
    assert_eq!(verdicts(&changed, &[for_another], 5), [false], "the account of an operation counts too");
}

#[test]
fn drops_for_other_reasons_are_not_junk() {
    let gap = tx("alice").seq(7).op(pay("bob", 1, "native"));
    assert_eq!(verdicts(&world(), &[gap], 5), [false]);
    assert_eq!(verdicts(&world(), &[pay_by("alice"), pay_by("alice")], 5), [false], "a duplicate");
}
