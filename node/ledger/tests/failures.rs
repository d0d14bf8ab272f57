//! How the ledger fails when the state below it does: with an error that says what, and without a panic.

mod support;

use carat_ledger::state::EntryBytes;
use carat_ledger::{ApplyError, StateError, StateKey, StateRead, apply};
use support::*;

/// A store that breaks down when asked for one key.
struct Broken<'a> {
    state: &'a carat_ledger::MemoryState,
    at: Vec<u8>,
}

impl StateRead for Broken<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        if key == self.at {
            return Err(StateError::Read("the disk is gone".into()));
        }
        self.state.get(key)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<EntryBytes>, StateError> {
        if self.at.starts_with(prefix) {
            return Err(StateError::Read("the disk is gone".into()));
        }
        self.state.scan(prefix, after, limit)
    }
}

#[test]
fn store_that_breaks_down_at_any_key_fails_the_block() {
    let world = World::new().account("alice", 1_000).account("bob", 500).line("alice", "EUR:anchor", 5).line(
        "bob",
        "EUR:anchor",
        0,
    );
    let envelopes = [tx("alice").op(pay("bob", 1, "EUR:anchor")).signed()];
    assert_eq!(apply(&world.state, &block(&envelopes)).expect("sound").applied.len(), 1);
    let read = [
        StateKey::Totals,
        StateKey::account(&id("alice")),
        StateKey::account(&id("bob")),
        StateKey::trustline(&id("alice"), &asset("EUR:anchor")),
        StateKey::trustline(&id("bob"), &asset("EUR:anchor")),
    ];
    for key in read {
        let state = Broken { state: &world.state, at: key.to_bytes() };
        let error = apply(&state, &block(&envelopes)).expect_err("the store is broken");
        assert!(matches!(error, ApplyError::State(StateError::Read(_))), "{key:?}: {error}");
        assert_eq!(error.to_string(), "the ledger state cannot be read: the disk is gone", "{key:?}");
    }
}

#[test]
fn damaged_entry_is_named_with_a_hint() {
    let world = World::new().account("alice", 1_000).account("bob", 500);
    let key = StateKey::account(&id("bob")).to_bytes();
    let entries = world.state.entries().map(|(name, value)| {
        let damaged = name == key;
        (name.to_vec(), if damaged { value[1..].to_vec() } else { value.to_vec() })
    });
    let state = carat_ledger::MemoryState::new(entries);
    let envelopes = [tx("alice").op(pay("bob", 1, "native")).signed()];
    let error = apply(&state, &block(&envelopes)).expect_err("bob's account is damaged").to_string();
    let name: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(error.contains(&name) && error.contains("hint:"), "{error}");
}

#[test]
fn state_whose_supply_does_not_fit_its_holdings_is_still_conserved_by_a_block() {
    // Only changes are asserted at a block; what a state holds wrongly is for the audit to find.
    let mut world =
        World::new().account("alice", 1_000).account("anchor", 1_000).line("alice", "EUR:anchor", 5);
    world.state.insert(&StateKey::Supply(asset("EUR:anchor")), &carat_ledger::StateValue::Supply(4));
    let envelopes = [tx("anchor").op(pay("alice", 1, "EUR:anchor")).signed()];
    let outcome = apply(&world.state, &block(&envelopes)).expect("changes agree");
    world.state.apply(&outcome.delta);
    let audit = carat_ledger::audit_supply(world.state.entries()).expect("readable");
    let figures = audit.get(&asset("EUR:anchor")).expect("touched");
    assert_eq!((figures.holdings, figures.supply, figures.agree()), (6, 5, false));
}

/// A store that forgets the last of many keys.
struct Forgetful<'a>(&'a carat_ledger::MemoryState);

impl StateRead for Forgetful<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.0.get(key)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StateError> {
        keys.iter().skip(1).map(|key| self.0.get(key)).collect()
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<EntryBytes>, StateError> {
        self.0.scan(prefix, after, limit)
    }
}

#[test]
fn store_that_answers_for_fewer_keys_fails_the_block() {
    let world = World::new().account("alice", 1_000).account("bob", 500);
    let envelopes = [tx("alice").op(pay("bob", 1, "native")).signed()];
    let error = apply(&Forgetful(&world.state), &block(&envelopes)).expect_err("an answer is missing");
    assert!(error.to_string().contains("another number of keys"), "{error}");
}
