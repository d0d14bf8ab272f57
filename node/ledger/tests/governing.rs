//! Changes that the validators decide come into force at the slot that was announced, and not one earlier.

mod support;

use std::sync::Arc;

use carat_ledger::governance::{check_version, read, unknown_version};
use carat_ledger::{
    ApplyError, BlockInput, BlockOutcome, NEWEST_PROTOCOL, StateKey, StateValue, apply, genesis_entries,
    state_entries,
};
use carat_types::Slot;
use carat_types::governance::{Call, Change, Governance, Parameter, Proposal, Scheduled};
use carat_types::transaction::SignedTransaction;
use support::*;

/// What the council decides in slot 100 is in force from here on.
const FIRST: u64 = 109;

fn at(world: &mut World, slot: u64, transactions: &[Tx]) -> BlockOutcome {
    let envelopes: Vec<Arc<SignedTransaction>> = transactions.iter().map(Tx::signed).collect();
    let input = BlockInput { slot: Slot(slot), ..block(&envelopes) };
    let outcome = apply(&world.state, &input).expect("a state without contradictions");
    world.state.apply(&outcome.delta);
    outcome
}

fn says(payer: &str, signer: &str, call: Call) -> Tx {
    let operation = call.operation(&CHAIN_ID, &id("council"));
    tx(payer).by(&[payer, signer]).op_by("council", operation.body)
}

/// A world in which the council has decided on a change in slot 100.
fn decided(change: Change) -> World {
    decided_in(World::new(), change)
}

fn decided_in(world: World, change: Change) -> World {
    let payers = ["alice", "bob", "carol"];
    let mut world = payers.iter().fold(world, |world, name| world.account(name, 1_000)).council();
    let (proposer, valid_until) = (id("one"), CLOSE_TIME);
    let id = Proposal { number: 0, proposer, change: change.clone(), valid_until }.id();
    let calls = [
        says("alice", "one", Call::Propose { signer: proposer, change, valid_until }),
        says("bob", "two", Call::Approve { signer: support::id("two"), proposal: id }),
        says("carol", "three", Call::Approve { signer: support::id("three"), proposal: id }),
    ];
    for call in calls {
        let outcome = at(&mut world, 100, &[call]);
        assert_eq!(in_words(&outcome.applied[0].result), "success InvokeHostFunction(Success)");
    }
    world
}

fn governance(world: &World) -> Governance {
    read(&world.state).expect("readable").expect("governed")
}

#[test]
fn decided_fee_is_in_force_from_the_announced_slot_on() {
    let change = Change::Value { parameter: Parameter::BaseFee, value: 250 };
    let mut world = decided(change.clone());
    assert_eq!(governance(&world).scheduled, Some(Scheduled { change, from: Slot(FIRST) }));
    world = world.account("dora", 1_000);
    let pays = |sequence| tx("dora").seq(sequence).op(pay("alice", 1, "native")).fee(300);
    let before = at(&mut world, FIRST - 1, &[pays(1)]);
    assert_eq!(before.applied[0].result.fee_charged, 100);
    assert!(governance(&world).scheduled.is_some());
    // Trim, fees and operations of the first block itself are by the new value.
    let too_little = tx("dora").seq(2).op(pay("alice", 1, "native")).fee(249);
    let dropped = at(&mut world, FIRST, &[too_little]);
    assert_eq!(format!("{:?}", dropped.dropped[0].reason), "Invalid(TxInsufficientFee)");
    assert_eq!((world.totals().base_fee, governance(&world).scheduled), (250, None));
    let after = at(&mut world, FIRST + 1, &[pays(2)]);
    assert_eq!(after.applied[0].result.fee_charged, 250);
    world.assert_sound("after the change");
}

#[test]
fn change_is_made_by_the_first_block_at_or_above_its_slot_even_an_empty_one() {
    let mut world = decided(Change::Value { parameter: Parameter::BaseReserve, value: 3 });
    assert!(at(&mut world, FIRST - 1, &[]).delta.is_empty());
    let outcome = at(&mut world, FIRST, &[]);
    let mut changed: Vec<StateKey> =
        outcome.delta.keys().map(|key| StateKey::from_bytes(key).expect("our key")).collect();
    changed.sort();
    assert_eq!(changed, [StateKey::Totals, StateKey::Governance]);
    assert_eq!(world.totals().base_reserve, 3);
    assert!(at(&mut world, FIRST + 1, &[]).delta.is_empty());
}

#[test]
fn version_that_the_build_does_not_know_stops_it_before_the_first_block_of_it() {
    let value = NEWEST_PROTOCOL + 1;
    let mut world = decided(Change::Value { parameter: Parameter::ProtocolVersion, value });
    assert_eq!(unknown_version(&world.state).expect("reads"), Some((Slot(FIRST), value)), "known beforehand");
    at(&mut world, FIRST - 1, &[]);
    check_version(&world.state, Slot(FIRST - 1)).expect("the rules of that block are known");
    let refused = apply(&world.state, &BlockInput { slot: Slot(FIRST), ..block(&[]) });
    let error = refused.expect_err("unknown rules");
    assert!(matches!(error, ApplyError::UnknownProtocol { slot: Slot(FIRST), seen } if seen == value));
    // An operator reads this.
    assert_eq!(
        error.to_string(),
        format!(
            "from slot 109 on the ledger's rules are those of protocol version {value}, expected at most \
             {NEWEST_PROTOCOL} by this build (hint: upgrade this node and start it again; it goes on where it \
             stopped, and nothing is lost)"
        )
    );
    // A node that starts again in that state says so at once.
    assert!(check_version(&world.state, Slot(FIRST)).is_err());
}

#[test]
fn nothing_is_said_of_decisions_that_the_build_can_execute() {
    let world = decided(Change::Value { parameter: Parameter::BaseFee, value: NEWEST_PROTOCOL + 1 });
    assert!(governance(&world).scheduled.is_some());
    assert_eq!(unknown_version(&world.state).expect("reads"), None, "a fee is no version");
    let older = World::new().version(NEWEST_PROTOCOL - 1);
    let change = Change::Value { parameter: Parameter::ProtocolVersion, value: NEWEST_PROTOCOL };
    let world = decided_in(older, change);
    assert!(governance(&world).scheduled.is_some());
    assert_eq!(unknown_version(&world.state).expect("reads"), None, "the newest version that it knows");
}

#[test]
fn genesis_gives_the_acceptors_a_quorum_over_the_account() {
    let mut genesis = genesis();
    genesis.governance = None;
    let without = genesis_entries(&genesis.ledger, &genesis.consensus.block).expect("sound");
    assert_eq!(state_entries(&genesis).expect("sound"), without);
    genesis.governance = Some(id("council"));
    let entries = state_entries(&genesis).expect("sound");
    assert!(entries.is_sorted() && entries.len() == without.len() + 2);
    let state = carat_ledger::MemoryState::new(entries);
    let Some(StateValue::Ledger(entry)) = state.value(&StateKey::account(&id("council"))).expect("readable")
    else {
        panic!("no account")
    };
    let stellar_xdr::LedgerEntryData::Account(account) = entry.data else { panic!("no account") };
    assert_eq!(account.thresholds.0, [0, 3, 3, 3]);
    let mut keys: Vec<_> = genesis.validators.iter().map(|validator| validator.acceptor).collect();
    keys.sort();
    let signers: Vec<_> = account
        .signers
        .iter()
        .map(|signer| match &signer.key {
            stellar_xdr::SignerKey::Ed25519(key) => carat_types::PublicKey(key.0),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(signers, keys);
    genesis.ledger.protocol_version = NEWEST_PROTOCOL + 1;
    let refused = state_entries(&genesis).expect_err("of a newer release").to_string();
    assert!(refused.contains("hint: upgrade"), "{refused}");
}
