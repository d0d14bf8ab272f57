//! Chunks prove themselves, and nothing else does.

use super::*;
use crate::merkle;

fn entry(number: u32) -> StateEntry {
    StateEntry { key: number.to_be_bytes().to_vec(), value: vec![7; 3] }
}

fn key_of(entry: &StateEntry) -> Digest {
    state_proof::tree_key(&entry.key)
}

/// Some entries, ascending by tree key, and the root of a state of just these.
fn state() -> (Vec<StateEntry>, Digest) {
    let mut entries: Vec<StateEntry> = (0..40).map(entry).collect();
    entries.sort_by_key(key_of);
    let root = subtree(0, &entries);
    (entries, root)
}

fn subtree(depth: usize, entries: &[StateEntry]) -> Digest {
    let leaf = |entry: &StateEntry| (key_of(entry), LeafRule::Open.leaf(&key_of(entry), &entry.value));
    state_proof::subtree_root(depth, &entries.iter().map(leaf).collect::<Vec<_>>()).expect("distinct keys")
}

/// The right half of the state.
fn right_half() -> (StateChunk, Digest) {
    let (entries, root) = state();
    let middle = entries.partition_point(|entry| state_proof::bit(&key_of(entry), 0) == Some(false));
    let (left, right) = entries.split_at(middle);
    let mut from = Digest::ZERO;
    flip_bit(&mut from, 0);
    let chunk = StateChunk { slot: Slot(8), from, siblings: vec![subtree(1, left)], entries: right.to_vec() };
    (chunk, root)
}

#[test]
fn chunk_leads_to_the_root_of_its_state_and_no_change_of_it_does() {
    let (good, root) = right_half();
    assert_eq!(good.root(&LeafRule::Open), Some(root));
    let mut changed = Vec::new();
    let mut change = |how: &dyn Fn(&mut StateChunk)| {
        let mut chunk = good.clone();
        how(&mut chunk);
        changed.push(chunk);
    };
    change(&|chunk| _ = chunk.entries.pop());
    change(&|chunk| chunk.entries[3].value.push(0));
    change(&|chunk| chunk.entries[3].key.push(0));
    change(&|chunk| chunk.entries.swap(0, 1));
    change(&|chunk| chunk.entries.push(chunk.entries[0].clone()));
    change(&|chunk| chunk.entries.clear());
    change(&|chunk| chunk.from = Digest::ZERO);
    change(&|chunk| flip_bit(&mut chunk.from, 200));
    change(&|chunk| chunk.siblings.clear());
    change(&|chunk| chunk.siblings.push(merkle::empty()));
    change(&|chunk| chunk.siblings[0] = merkle::empty());
    change(&|chunk| chunk.siblings = vec![Digest::ZERO; 257]);
    for chunk in changed {
        assert_ne!(chunk.root(&LeafRule::Open), Some(root), "{chunk:?}");
    }
}

#[test]
fn entry_of_another_part_is_refused_even_in_order() {
    let (mut chunk, root) = right_half();
    let (entries, _) = state();
    chunk.entries.insert(0, entries[0].clone());
    assert_eq!(chunk.root(&LeafRule::Open), None);
    chunk.entries = entries;
    assert_ne!(chunk.root(&LeafRule::Open), Some(root));
}

#[test]
fn chunks_follow_each_other_to_the_end_of_all_keys() {
    let chunk = |from, depth| StateChunk {
        slot: Slot(8),
        from,
        siblings: vec![Digest::ZERO; depth],
        entries: Vec::new(),
    };
    assert_eq!(chunk(Digest::ZERO, 0).end(), Progress::Complete);
    let mut key = Digest::ZERO;
    let mut seen = Vec::new();
    for _ in 0..7 {
        let Progress::At(next) = chunk(key, 3).end() else { panic!("eight parts") };
        seen.push(next.0[0]);
        key = next;
    }
    assert_eq!(seen, [0x20, 0x40, 0x60, 0x80, 0xa0, 0xc0, 0xe0]);
    assert_eq!(chunk(key, 3).end(), Progress::Complete);
    assert_eq!(chunk(Digest([0xff; 32]), 256).end(), Progress::Complete);
}

#[test]
fn decode_of_encoded_chunk_gives_it_back_and_bad_forms_are_refused() {
    let (chunk, _) = right_half();
    let bytes = chunk.to_bytes();
    assert_eq!(StateChunk::from_bytes(&bytes), Ok(chunk));
    assert!(StateChunk::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    let deep = [&8_u64.to_be_bytes()[..], &[0; 32], &257_u32.to_be_bytes()].concat();
    assert!(matches!(StateChunk::from_bytes(&deep), Err(DecodeError::TooLong { .. })));
    let long = [&1_u32.to_be_bytes()[..], &[0], &(BYTES_MAX + 1).to_be_bytes()].concat();
    assert!(matches!(StateEntry::from_bytes(&long), Err(DecodeError::TooLong { .. })));
}
