//! The state tree against a naive recomputation, and its proofs.

#![expect(clippy::arithmetic_side_effects, reason = "the figures of tests are small")]

use std::collections::BTreeMap;

use carat_types::leaf::{self, SaltSecret};
use proptest::prelude::*;

use super::*;

/// The definition, computed from scratch: the oracle.
fn naive_root(leaves: &[(Digest, Digest)], depth: usize) -> Digest {
    match leaves {
        [] => merkle::empty(),
        [(_, hash)] => *hash,
        _ => {
            let (right, left): (Vec<_>, Vec<_>) = leaves
                .iter()
                .copied()
                .partition(|(tree_key, _)| tree_key.0[depth / 8] >> (7 - depth % 8) & 1 == 1);
            merkle::node(&naive_root(&left, depth + 1), &naive_root(&right, depth + 1))
        }
    }
}

/// Both rules.
fn rules() -> [LeafRule; 2] {
    [LeafRule::Open, LeafRule::Salted(SaltSecret::from_bytes(&[9; 32]))]
}

fn naive(rule: &LeafRule, state: &BTreeMap<Vec<u8>, Vec<u8>>) -> Digest {
    let leaves: Vec<(Digest, Digest)> = state
        .iter()
        .map(|(key, value)| {
            let tree_key = state_proof::tree_key(key);
            (tree_key, rule.leaf(&tree_key, value))
        })
        .collect();
    naive_root(&leaves, 0)
}

fn merge(state: &mut BTreeMap<Vec<u8>, Vec<u8>>, delta: &StateDelta) {
    for (key, value) in delta {
        match value {
            Some(value) => state.insert(key.clone(), value.clone()),
            None => state.remove(key),
        };
    }
}

fn deltas() -> impl Strategy<Value = Vec<StateDelta>> {
    // Few keys, so that they are overwritten, deleted and made again.
    let change = (0_u16..200, prop::option::weighted(0.6, any::<u8>()));
    let delta = prop::collection::vec(change, 0..60).prop_map(|changes| {
        changes.into_iter().map(|(key, value)| (key.to_be_bytes().to_vec(), value.map(|v| vec![v]))).collect()
    });
    prop::collection::vec(delta, 1..8)
}

proptest! {
    #[test]
    fn root_after_each_update_equals_naive_recompute(deltas in deltas()) {
        for rule in rules() {
            let mut state = BTreeMap::new();
            let mut tree = StateTree::build(&rule, &state);
            for delta in &deltas {
                merge(&mut state, delta);
                prop_assert_eq!(tree.update(delta), naive(&rule, &state));
                prop_assert_eq!(tree.len(), state.len());
                prop_assert_eq!(StateTree::build(&rule, &state).root(), tree.root());
            }
            for (key, value) in &state {
                let proof = tree.prove(key, value).expect("present");
                prop_assert_eq!(proof.root(key, value), Some(tree.root()));
                let mut other = value.clone();
                other.push(0);
                prop_assert_ne!(proof.root(key, &other), Some(tree.root()));
                prop_assert_eq!(tree.prove(key, &other), None);
            }
            for key in (0_u16..200).map(|key| key.to_be_bytes().to_vec()) {
                prop_assert_eq!(tree.prove(&key, state.get(&key).map_or(&[], Vec::as_slice)).is_some(), state.contains_key(&key));
            }
        }
    }
}

#[test]
fn tree_without_entries_has_the_empty_root() {
    let mut tree = StateTree::build::<&[u8], &[u8]>(&LeafRule::Open, []);
    assert_eq!(tree.root(), merkle::empty());
    assert!(tree.is_empty());
    tree.update(&StateDelta::from([(vec![1], Some(vec![2]))]));
    assert_eq!(tree.update(&StateDelta::from([(vec![1], None)])), merkle::empty());
    assert!(tree.is_empty());
}

#[test]
fn tree_updated_many_times_does_not_grow() {
    let entries: Vec<(Vec<u8>, Vec<u8>)> =
        (0..500_u32).map(|n| (n.to_be_bytes().to_vec(), vec![0])).collect();
    let mut tree = StateTree::build(&LeafRule::Open, entries.clone());
    let nodes = tree.inner.values.len();
    for round in 1..50_u8 {
        let delta: StateDelta =
            entries.iter().step_by(7).map(|(key, _)| (key.clone(), Some(vec![round]))).collect();
        tree.update(&delta);
    }
    assert!(
        tree.inner.values.len() <= nodes + 1,
        "{} inner nodes, at first {nodes}",
        tree.inner.values.len()
    );
    assert_eq!(tree.leaves.values.len(), 500);
}

#[test]
fn tree_of_a_key_that_stands_twice_is_that_of_one() {
    let once = StateTree::build(&LeafRule::Open, [([1], [5])]);
    assert_eq!(StateTree::build(&LeafRule::Open, [([1], [5]), ([1], [5])]).root(), once.root());
}

#[test]
fn every_absent_key_of_every_small_state_is_proved_absent_and_no_other_is() {
    for count in 0..40u32 {
        let state: BTreeMap<Vec<u8>, Vec<u8>> =
            (0..count).map(|number| (number.to_be_bytes().to_vec(), vec![7; 3])).collect();
        let tree = StateTree::build(&LeafRule::Open, &state);
        let value = |wanted: &Digest| {
            let found = state.iter().find(|(key, _)| state_proof::tree_key(key) == *wanted);
            found.map(|(_, value)| value.clone()).ok_or("the tree names an entry of the state")
        };
        for number in 0..80u32 {
            let key = number.to_be_bytes();
            let absence = tree.prove_absent(&key, value).expect("values are found");
            assert_eq!(absence == Absence::Contradicted, number < count, "{number} of {count}");
            let Absence::Proved(proof) = absence else { continue };
            assert_eq!(proof.root_without(&key), Some(tree.root()), "{number} of {count}");
            assert_eq!(tree.prove(&key, &[7; 3]), None);
        }
    }
}

/// Decision record 32, point 4: such an end tells the tree key of another entry.
#[test]
fn salted_tree_proves_absence_only_where_no_leaf_is_shown() {
    let [_, rule] = rules();
    let state: BTreeMap<Vec<u8>, Vec<u8>> =
        (0..40_u32).map(|number| (number.to_be_bytes().to_vec(), vec![7; 3])).collect();
    let tree = StateTree::build(&rule, &state);
    let (mut proved, mut not_provable) = (0, 0);
    for number in 0..400_u32 {
        let key = number.to_be_bytes();
        let nobody = |_: &Digest| Err("the value of another entry is never asked for");
        match tree.prove_absent(&key, nobody).expect("no value is read") {
            Absence::Contradicted => assert!(number < 40),
            Absence::Unprovable => not_provable += 1,
            Absence::Proved(proof) => {
                assert_eq!(proof.end, ProofEnd::Empty);
                assert_eq!(proof.root_without(&key), Some(tree.root()));
                proved += 1;
            }
        }
    }
    assert!(proved > 0 && not_provable > 0, "{proved} and {not_provable}");
}

/// What a holder of one proof does to learn a neighbour's balance: he knows the neighbour's key and tries all balances.
fn balance_found_in(siblings: &[Digest], hash_of: impl Fn(&Digest, &[u8]) -> Digest) -> Option<u32> {
    let neighbour = state_proof::tree_key(b"neighbour");
    (0..50_000_u32).find(|balance| siblings.contains(&hash_of(&neighbour, &balance.to_be_bytes())))
}

#[test]
fn neighbours_balance_is_found_by_trying_all_in_an_open_proof_and_not_in_a_salted_one() {
    let balance = 31_415_u32;
    let entries =
        [(b"own".to_vec(), b"mine".to_vec()), (b"neighbour".to_vec(), balance.to_be_bytes().to_vec())];
    let [open, salted] = rules().map(|rule| {
        StateTree::build(&rule, entries.clone()).prove(b"own", b"mine").expect("the own entry").siblings
    });
    assert_eq!(balance_found_in(&open, leaf::open_leaf), Some(balance), "the search is right");
    assert_eq!(balance_found_in(&salted, leaf::open_leaf), None);
    // Nor by a salt that is at hand: none, that of the own entry, that of the neighbour's entry with another value.
    let [_, rule] = rules();
    let own = rule.salt(&state_proof::tree_key(b"own"), b"mine").expect("salted");
    let former = rule.salt(&state_proof::tree_key(b"neighbour"), &1_u32.to_be_bytes()).expect("salted");
    for salt in [Digest::ZERO, own, former] {
        let found = balance_found_in(&salted, |key, value| leaf::salted_leaf(&salt, key, value));
        assert_eq!(found, None);
    }
    let true_salt = rule.salt(&state_proof::tree_key(b"neighbour"), &balance.to_be_bytes()).expect("salted");
    let found = balance_found_in(&salted, |key, value| leaf::salted_leaf(&true_salt, key, value));
    assert_eq!(found, Some(balance), "only who has the salt of this very value");
}
