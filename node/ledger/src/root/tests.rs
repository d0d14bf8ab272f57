//! The state tree against a naive recomputation, and its proofs.

#![expect(clippy::arithmetic_side_effects, reason = "the figures of tests are small")]

use std::collections::BTreeMap;

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

fn naive(state: &BTreeMap<Vec<u8>, Vec<u8>>) -> Digest {
    let leaves: Vec<(Digest, Digest)> = state
        .iter()
        .map(|(key, value)| {
            let tree_key = state_proof::tree_key(key);
            (tree_key, state_proof::leaf(&tree_key, value))
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
        let mut state = BTreeMap::new();
        let mut tree = StateTree::build(&state);
        for delta in deltas {
            merge(&mut state, &delta);
            prop_assert_eq!(tree.update(&delta), naive(&state));
            prop_assert_eq!(tree.len(), state.len());
            prop_assert_eq!(StateTree::build(&state).root(), tree.root());
        }
        for (key, value) in &state {
            let proof = tree.prove(key).expect("present");
            prop_assert_eq!(proof.root(key, value), Some(tree.root()));
            let mut other = value.clone();
            other.push(0);
            prop_assert_ne!(proof.root(key, &other), Some(tree.root()));
        }
        for key in 0_u16..200 {
            let key = key.to_be_bytes().to_vec();
            prop_assert_eq!(tree.prove(&key).is_some(), state.contains_key(&key));
        }
    }
}

#[test]
fn tree_without_entries_has_the_empty_root() {
    let mut tree = StateTree::build::<&[u8], &[u8]>([]);
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
    let mut tree = StateTree::build(entries.clone());
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
    let once = StateTree::build([([1], [5])]);
    assert_eq!(StateTree::build([([1], [5]), ([1], [5])]).root(), once.root());
}

#[test]
fn every_absent_key_of_every_small_state_is_proved_absent_and_no_other_is() {
    for count in 0..40u32 {
        let state: BTreeMap<Vec<u8>, Vec<u8>> =
            (0..count).map(|number| (number.to_be_bytes().to_vec(), vec![7; 3])).collect();
        let tree = StateTree::build(&state);
        let value = |wanted: &Digest| {
            let found = state.iter().find(|(key, _)| state_proof::tree_key(key) == *wanted);
            found.map(|(_, value)| value.clone()).ok_or("the tree names an entry of the state")
        };
        for number in 0..80u32 {
            let key = number.to_be_bytes();
            let proof = tree.prove_absent(&key, value).expect("values are found");
            assert_eq!(proof.is_none(), number < count, "{number} of {count}");
            let Some(proof) = proof else { continue };
            assert_eq!(proof.root_without(&key), Some(tree.root()), "{number} of {count}");
            assert_eq!(tree.prove(&key), None);
        }
    }
}
