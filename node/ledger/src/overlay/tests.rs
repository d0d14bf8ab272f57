//! Nested layers of changes: what is read, committed and dropped.

#![expect(clippy::arithmetic_side_effects, reason = "the figures of tests are small")]

use carat_types::PublicKey;
use proptest::prelude::*;
use stellar_xdr::LedgerEntryData;

use super::*;
use crate::operations::new_account;
use crate::state::MemoryState;

const LEDGER: u32 = 9;

fn id(number: u8) -> PublicKey {
    PublicKey([number; 32])
}

fn state(accounts: &[(u8, i64)]) -> MemoryState {
    let mut state = MemoryState::default();
    let totals = Totals {
        total_coins: 0,
        fee_pool: 0,
        id_pool: 0,
        base_fee: 100,
        base_reserve: 10,
        max_transactions: 1,
        max_operations: 1,
        protocol_version: 28,
        flags: 0,
    };
    state.insert(&StateKey::Totals, &StateValue::Totals(totals));
    for (number, balance) in accounts {
        let data = LedgerEntryData::Account(new_account(&id(*number), *balance, 0));
        let entry = LedgerEntry { last_modified_ledger_seq: 1, data, ext: LedgerEntryExt::V0 };
        state.insert(&StateKey::account(&id(*number)), &StateValue::Ledger(entry));
    }
    state
}

fn balance(ledger: &mut Overlay<'_>, number: u8) -> Option<i64> {
    ledger.account(&id(number)).expect("readable").map(|account| account.balance)
}

fn set(ledger: &mut Overlay<'_>, number: u8, balance: i64) {
    match ledger.account_mut(&id(number)).expect("readable") {
        Some(account) => account.balance = balance,
        None => {
            let data = LedgerEntryData::Account(new_account(&id(number), balance, 0));
            ledger.create(&StateKey::account(&id(number)), data, LedgerEntryExt::V0).expect("readable");
        }
    }
}

#[test]
fn state_without_totals_refused() {
    assert!(matches!(Overlay::new(&MemoryState::default(), LEDGER), Err(StateError::NoTotals)));
}

#[test]
fn level_rolled_back_leaves_what_was_before_it() {
    let state = state(&[(1, 10)]);
    let mut ledger = Overlay::new(&state, LEDGER).expect("totals");
    set(&mut ledger, 1, 11);
    let outer = ledger.begin();
    set(&mut ledger, 1, 12);
    let inner = ledger.begin();
    set(&mut ledger, 1, 13);
    set(&mut ledger, 2, 5);
    ledger.rollback(inner);
    assert_eq!((balance(&mut ledger, 1), balance(&mut ledger, 2)), (Some(12), None));
    let inner = ledger.begin();
    ledger.remove(&StateKey::account(&id(1))).expect("readable");
    ledger.commit(inner);
    assert_eq!(balance(&mut ledger, 1), None);
    ledger.rollback(outer);
    assert_eq!(balance(&mut ledger, 1), Some(11));
}

#[test]
fn changes_of_a_level_show_first_and_last_value_and_the_ledger() {
    let state = state(&[(1, 10), (3, 30)]);
    let mut ledger = Overlay::new(&state, LEDGER).expect("totals");
    set(&mut ledger, 1, 11);
    let level = ledger.begin();
    set(&mut ledger, 1, 12);
    let inner = ledger.begin();
    set(&mut ledger, 1, 13);
    set(&mut ledger, 2, 20);
    ledger.commit(inner);
    let inner = ledger.begin();
    ledger.remove(&StateKey::account(&id(3))).expect("readable");
    set(&mut ledger, 4, 40);
    ledger.remove(&StateKey::account(&id(4))).expect("readable");
    ledger.put(&StateKey::Member(id(1)), StateValue::Member).expect("readable");
    ledger.commit(inner);
    let shown: Vec<(Option<i64>, Option<i64>, Option<u32>)> = ledger
        .changes(&level)
        .iter()
        .map(|change| {
            let balance = |entry: Option<&LedgerEntry>| match &entry?.data {
                LedgerEntryData::Account(account) => Some(account.balance),
                _ => None,
            };
            let modified = change.after().map(|entry| entry.last_modified_ledger_seq);
            (balance(change.before()), balance(change.after()), modified)
        })
        .collect();
    assert_eq!(shown, [(Some(11), Some(13), Some(9)), (None, Some(20), Some(9)), (Some(30), None, None)]);
    ledger.commit(level);
}

#[test]
fn delta_holds_only_what_differs_in_the_end() {
    let state = state(&[(1, 10), (2, 20), (3, 30)]);
    let mut ledger = Overlay::new(&state, 1).expect("totals");
    balance(&mut ledger, 1);
    set(&mut ledger, 2, 21);
    set(&mut ledger, 2, 20);
    ledger.remove(&StateKey::account(&id(3))).expect("readable");
    let delta = ledger.into_differences().into_delta();
    let keys: Vec<&Vec<u8>> = delta.keys().collect();
    assert_eq!(keys, [&StateKey::account(&id(3)).to_bytes()]);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Begin,
    Commit,
    Rollback,
    Set(u8, i64),
    Remove(u8),
}

proptest! {
    /// Against a stack of whole copies.
    #[test]
    fn nested_levels_equal_copies(steps in prop::collection::vec(prop_oneof![
        Just(Step::Begin),
        Just(Step::Commit),
        Just(Step::Rollback),
        (0_u8..5, 0_i64..100).prop_map(|(number, balance)| Step::Set(number, balance)),
        (0_u8..5).prop_map(Step::Remove),
    ], 0..60)) {
        let state = state(&[(0, 1), (1, 2)]);
        let mut ledger = Overlay::new(&state, LEDGER).expect("totals");
        let mut levels = Vec::new();
        let mut copies = vec![BTreeMap::from([(0, 1), (1, 2)])];
        for step in steps {
            match step {
                Step::Begin => {
                    levels.push(ledger.begin());
                    copies.push(copies[copies.len() - 1].clone());
                }
                Step::Commit => if let Some(level) = levels.pop() {
                    ledger.commit(level);
                    let top = copies.pop().expect("one a level");
                    *copies.last_mut().expect("the bottom") = top;
                },
                Step::Rollback => if let Some(level) = levels.pop() {
                    ledger.rollback(level);
                    copies.pop();
                },
                Step::Set(number, balance) => {
                    set(&mut ledger, number, balance);
                    copies.last_mut().expect("the bottom").insert(number, balance);
                }
                Step::Remove(number) => {
                    ledger.remove(&StateKey::account(&id(number))).expect("readable");
                    copies.last_mut().expect("the bottom").remove(&number);
                }
            }
            for number in 0..5 {
                prop_assert_eq!(balance(&mut ledger, number), copies[copies.len() - 1].get(&number).copied());
            }
        }
    }
}
