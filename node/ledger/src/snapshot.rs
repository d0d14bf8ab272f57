//! How a state is cut into chunks for a validator that is behind. **Source**: consensus specification, section 11.
//!
//! A chunk is a whole subtree of the state tree, so that it proves itself ([`carat_types::snapshot`]). The plan keeps the
//! keys in the tree's order and the path of every chunk; the values stay where they are.

use std::ops::Range;

use carat_types::codec::ListItem;
use carat_types::snapshot::{StateChunk, StateEntry, flip_bit};
use carat_types::{Digest, LeafRule, Slot, merkle, state_proof};

/// A state, cut into chunks.
#[derive(Clone, Debug)]
pub struct SnapshotPlan {
    /// Key bytes in the order of tree keys.
    keys: Vec<Box<[u8]>>,
    /// In the order of tree keys; together the whole tree.
    parts: Vec<Part>,
    root: Digest,
}

#[derive(Clone, Debug)]
struct Part {
    from: Digest,
    /// From the root downward.
    siblings: Vec<Digest>,
    keys: Range<usize>,
}

struct Leaf {
    tree_key: Digest,
    hash: Digest,
    bytes: usize,
    key: Box<[u8]>,
}

/// The leaves of a state while it is being cut.
struct Cutter {
    /// Tree key and hash.
    leaves: Vec<(Digest, Digest)>,
    bytes: Vec<usize>,
    chunk_bytes: usize,
    parts: Vec<Part>,
}

impl SnapshotPlan {
    /// Cuts a state, given as (key bytes, value bytes) in any order, into chunks of at most `chunk_bytes`, but for
    /// entries that are larger by themselves.
    ///
    /// **Errors**: the source's.
    pub fn build<K: AsRef<[u8]>, V: AsRef<[u8]>, E>(
        rule: &LeafRule,
        entries: impl IntoIterator<Item = Result<(K, V), E>>,
        chunk_bytes: usize,
    ) -> Result<Self, E> {
        let mut leaves = Vec::new();
        for entry in entries {
            let (key, value) = entry?;
            let (key, value) = (key.as_ref(), value.as_ref());
            let tree_key = state_proof::tree_key(key);
            let hash = rule.leaf(&tree_key, value);
            leaves.push(Leaf {
                tree_key,
                hash,
                bytes: key.len().saturating_add(value.len()),
                key: key.into(),
            });
        }
        leaves.sort_unstable_by_key(|leaf| leaf.tree_key);
        leaves.dedup_by_key(|leaf| leaf.tree_key);
        let mut cutter = Cutter {
            leaves: leaves.iter().map(|leaf| (leaf.tree_key, leaf.hash)).collect(),
            bytes: leaves.iter().map(|leaf| leaf.bytes).collect(),
            chunk_bytes,
            parts: Vec::new(),
        };
        let root = cutter.cut(0..leaves.len(), 0, Digest::ZERO);
        let mut parts = cutter.parts;
        parts.iter_mut().for_each(|part| part.siblings.reverse());
        Ok(SnapshotPlan { keys: leaves.into_iter().map(|leaf| leaf.key).collect(), parts, root })
    }

    /// The root of the state.
    pub fn root(&self) -> Digest {
        self.root
    }

    /// Number of chunks.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether there is no chunk; never true of a plan that was built.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The chunk that begins at a tree key.
    ///
    /// **Returns** none where no chunk of this plan begins.
    ///
    /// **Errors**: those of `value`, which finds the value bytes of all these keys.
    pub fn chunk<E>(
        &self,
        slot: Slot,
        from: &Digest,
        values: impl FnOnce(&[Box<[u8]>]) -> Result<Vec<Vec<u8>>, E>,
    ) -> Result<Option<StateChunk>, E> {
        let place = self.parts.binary_search_by_key(from, |part| part.from).ok();
        let Some(part) = place.and_then(|place| self.parts.get(place)) else { return Ok(None) };
        let Some(keys) = self.keys.get(part.keys.clone()) else { return Ok(None) };
        let entries = keys.iter().zip(values(keys)?);
        let entries = entries.map(|(key, value)| StateEntry { key: key.to_vec(), value }).collect();
        Ok(Some(StateChunk { slot, from: part.from, siblings: part.siblings.clone(), entries }))
    }
}

impl Cutter {
    /// Cuts what lies below one place of the tree, and returns the hash there.
    fn cut(&mut self, range: Range<usize>, depth: usize, from: Digest) -> Digest {
        let leaves = self.leaves.get(range.clone()).unwrap_or_default();
        let sizes = self.bytes.get(range.clone()).unwrap_or_default();
        let bytes = sizes.iter().copied().fold(0, usize::saturating_add);
        let limit = usize::try_from(StateEntry::COUNT_MAX).unwrap_or(usize::MAX);
        let fits = leaves.len() <= 1 || (bytes <= self.chunk_bytes && leaves.len() <= limit);
        if let Some(hash) = state_proof::subtree_root(depth, leaves).filter(|_| fits) {
            self.parts.push(Part { from, siblings: Vec::new(), keys: range });
            return hash;
        }
        let on_the_left = |(key, _): &(Digest, Digest)| state_proof::bit(key, depth) == Some(false);
        let middle = range.start.saturating_add(leaves.partition_point(on_the_left));
        let mut right_from = from;
        flip_bit(&mut right_from, depth);
        let first = self.parts.len();
        let below = depth.saturating_add(1);
        let left = self.cut(range.start..middle, below, from);
        let first_right = self.parts.len();
        let right = self.cut(middle..range.end, below, right_from);
        for (place, part) in self.parts.iter_mut().enumerate().skip(first) {
            part.siblings.push(if place < first_right { right } else { left });
        }
        merkle::node(&left, &right)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use carat_types::snapshot::Progress;

    use super::*;
    use crate::root::StateTree;

    type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

    fn entries(count: u32) -> Entries {
        (0..count).map(|number| (number.to_be_bytes().to_vec(), vec![1; 40])).collect()
    }

    fn plan(entries: &Entries, chunk_bytes: usize) -> SnapshotPlan {
        let pairs = entries.iter().map(Ok::<_, Infallible>);
        SnapshotPlan::build(&LeafRule::Open, pairs, chunk_bytes).unwrap_or_else(|never| match never {})
    }

    /// All chunks, as a validator would ask for them.
    fn fetch(plan: &SnapshotPlan, entries: &Entries) -> Vec<StateChunk> {
        let mut chunks = Vec::new();
        let mut next = Progress::At(Digest::ZERO);
        while let Progress::At(from) = next {
            let values = |keys: &[Box<[u8]>]| {
                Ok::<_, Infallible>(keys.iter().map(|key| entries[&key.to_vec()].clone()).collect())
            };
            let chunk = plan.chunk(Slot(8), &from, values).unwrap_or_else(|never| match never {});
            let chunk = chunk.expect("the next chunk begins where the last one ended");
            next = chunk.end();
            chunks.push(chunk);
        }
        chunks
    }

    #[test]
    fn chunks_of_every_small_state_prove_themselves_and_are_the_whole_state() {
        for count in [0, 1, 2, 3, 5, 100, 1_000] {
            for chunk_bytes in [0, 60, 500, 1 << 20] {
                let entries = entries(count);
                let plan = plan(&entries, chunk_bytes);
                let root = StateTree::build(&LeafRule::Open, &entries).root();
                assert_eq!(plan.root(), root);
                let chunks = fetch(&plan, &entries);
                assert_eq!(chunks.len(), plan.len());
                let mut fetched = Entries::new();
                for chunk in chunks {
                    assert_eq!(
                        chunk.root(&LeafRule::Open),
                        Some(root),
                        "{count} entries in chunks of {chunk_bytes}"
                    );
                    let bytes: usize = chunk.entries.iter().map(|it| it.key.len() + it.value.len()).sum();
                    assert!(bytes <= chunk_bytes || chunk.entries.len() == 1, "{bytes}");
                    fetched.extend(chunk.entries.into_iter().map(|it| (it.key, it.value)));
                }
                assert_eq!(fetched, entries);
            }
        }
    }

    #[test]
    fn chunk_is_given_only_where_one_begins() {
        let entries = entries(100);
        let plan = plan(&entries, 500);
        let none = |_: &[Box<[u8]>]| Ok::<_, Infallible>(Vec::new());
        let found = plan.chunk(Slot(8), &Digest([3; 32]), none).unwrap_or_else(|never| match never {});
        assert_eq!(found, None);
    }
}
