//! The state tree in memory: its root, kept up to date block by block, and proofs from it.
//!
//! Nodes live in two arenas and refer to each other by number, so that a million entries cost about 110 MB and
//! no allocation each. The shape of the tree and its hashes are defined in [`carat_types::state_proof`].
//! **Source**: consensus specification, section 2.

use carat_types::merkle;
use carat_types::state_proof::{self, OtherLeaf, ProofEnd, StateProof};
use carat_types::{Digest, LeafRule};

use crate::state::StateDelta;

/// What a node number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Empty,
    Inner(usize),
    Leaf(usize),
}

/// A [`Place`] in four bytes: 0 is empty, otherwise an index plus one, the highest bit telling a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link(u32);

const LEAF_BIT: u32 = 1 << 31;

#[derive(Clone, Copy, Debug)]
struct Inner {
    left: Link,
    right: Link,
    hash: Digest,
}

#[derive(Clone, Copy, Debug)]
struct Leaf {
    tree_key: Digest,
    hash: Digest,
}

/// One leaf that changes: its place and its new hash, none if it goes.
type Change = (Digest, Option<Digest>);

/// What can be proved of a key that is thought to be absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absence {
    /// No entry has it.
    Proved(StateProof),
    /// An entry has it.
    Contradicted,
    /// No entry has it, but the path ends at the leaf of another one, which on a members' network nobody is shown.
    /// **Source**: decision record 32, point 4.
    Unprovable,
}

/// The tree over all entries of a state.
#[derive(Clone, Debug)]
pub struct StateTree {
    rule: LeafRule,
    root: Link,
    inner: Arena<Inner>,
    leaves: Arena<Leaf>,
}

impl StateTree {
    /// The tree over (key bytes, value bytes) in any order. Of a key that stands twice, one value counts.
    ///
    /// **Panics** beyond 2^31 entries; a node's memory ends long before.
    pub fn build<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        rule: &LeafRule,
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let changed = |(key, value): (K, V)| change(rule, key.as_ref(), Some(value.as_ref()));
        let changes = entries.into_iter().map(changed).collect();
        let mut tree = StateTree {
            rule: rule.clone(),
            root: Link(0),
            inner: Arena::default(),
            leaves: Arena::default(),
        };
        tree.apply(changes);
        tree
    }

    /// How its leaves are hashed.
    pub fn rule(&self) -> &LeafRule {
        &self.rule
    }

    /// The root of the present state.
    pub fn root(&self) -> Digest {
        self.hash(self.root)
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.leaves.used()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Brings the tree to the state after a block. Each inner node on the way of any change is hashed once.
    pub fn update(&mut self, delta: &StateDelta) -> Digest {
        let changed = |(key, value): (&Vec<u8>, &Option<Vec<u8>>)| change(&self.rule, key, value.as_deref());
        self.apply(delta.iter().map(changed).collect());
        self.root()
    }

    /// The path to the entry with these key and value bytes.
    ///
    /// **Returns** none if there is no such entry, or one with another value.
    pub fn prove(&self, key: &[u8], value: &[u8]) -> Option<StateProof> {
        let tree_key = state_proof::tree_key(key);
        let mut siblings = Vec::new();
        let mut link = self.root;
        loop {
            match link.place() {
                Place::Empty => return None,
                Place::Leaf(index) => {
                    let leaf = self.leaves.get(index)?;
                    let found = leaf.tree_key == tree_key && leaf.hash == self.rule.leaf(&tree_key, value);
                    let end = self.rule.salt(&tree_key, value).map_or(ProofEnd::Present, ProofEnd::Salted);
                    return found.then_some(StateProof { end, siblings });
                }
                Place::Inner(index) => {
                    let node = self.inner.get(index)?;
                    let right = state_proof::bit(&tree_key, siblings.len())?;
                    let (next, other) = if right { (node.right, node.left) } else { (node.left, node.right) };
                    siblings.push(self.hash(other));
                    link = next;
                }
            }
        }
    }

    /// The path to where an entry with these key bytes would stand, if there is none. `value` finds the value bytes of the
    /// entry with a tree key, which may be needed: the tree itself keeps hashes.
    ///
    /// **Errors**: those of `value`.
    pub fn prove_absent<E>(
        &self,
        key: &[u8],
        value: impl FnOnce(&Digest) -> Result<Vec<u8>, E>,
    ) -> Result<Absence, E> {
        let tree_key = state_proof::tree_key(key);
        let mut siblings = Vec::new();
        let mut link = self.root;
        let end = loop {
            match link.place() {
                Place::Empty => break ProofEnd::Empty,
                Place::Leaf(index) => {
                    let Some(leaf) = self.leaves.get(index) else { return Ok(Absence::Unprovable) };
                    if leaf.tree_key == tree_key {
                        return Ok(Absence::Contradicted);
                    }
                    if self.rule.is_salted() {
                        return Ok(Absence::Unprovable);
                    }
                    let value = value(&leaf.tree_key)?;
                    break ProofEnd::Other(OtherLeaf { tree_key: leaf.tree_key, value });
                }
                Place::Inner(index) => {
                    let Some(node) = self.inner.get(index) else { return Ok(Absence::Unprovable) };
                    let right = state_proof::bit(&tree_key, siblings.len()) == Some(true);
                    let (next, other) = if right { (node.right, node.left) } else { (node.left, node.right) };
                    siblings.push(self.hash(other));
                    link = next;
                }
            }
        };
        Ok(Absence::Proved(StateProof { end, siblings }))
    }

    fn apply(&mut self, mut changes: Vec<Change>) {
        changes.sort_unstable_by_key(|(tree_key, _)| *tree_key);
        // Two leaves of one key could never be parted.
        changes.dedup_by_key(|(tree_key, _)| *tree_key);
        self.root = self.update_below(self.root, 0, &changes);
    }

    /// Applies sorted changes, which all lie under `link` at `depth`, and returns what stands there then.
    fn update_below(&mut self, link: Link, depth: usize, changes: &[Change]) -> Link {
        if changes.is_empty() {
            return link;
        }
        match link.place() {
            Place::Empty => self.build_below(depth, changes),
            Place::Leaf(index) => self.replace_leaf(index, depth, changes),
            Place::Inner(index) => {
                let Some(node) = self.inner.get(index).copied() else { return link };
                let (to_left, to_right) = split(changes, depth);
                let left = self.update_below(node.left, depth.saturating_add(1), to_left);
                let right = self.update_below(node.right, depth.saturating_add(1), to_right);
                self.inner.free(index);
                self.join(left, right)
            }
        }
    }

    fn replace_leaf(&mut self, index: usize, depth: usize, changes: &[Change]) -> Link {
        let Some(old) = self.leaves.get(index).copied() else { return Link(0) };
        self.leaves.free(index);
        let overwritten = changes.binary_search_by_key(&old.tree_key, |(tree_key, _)| *tree_key);
        match overwritten {
            Ok(_) => self.build_below(depth, changes),
            Err(position) => {
                let mut all = changes.to_vec();
                all.insert(position, (old.tree_key, Some(old.hash)));
                self.build_below(depth, &all)
            }
        }
    }

    /// Builds a subtree from nothing but `changes`.
    fn build_below(&mut self, depth: usize, changes: &[Change]) -> Link {
        let mut present = changes.iter().filter_map(|(tree_key, hash)| Some((*tree_key, (*hash)?)));
        match (present.next(), present.next()) {
            (None, _) => Link(0),
            (Some((tree_key, hash)), None) => Link::leaf(self.leaves.insert(Leaf { tree_key, hash })),
            (Some(_), Some(_)) => {
                let (to_left, to_right) = split(changes, depth);
                let left = self.build_below(depth.saturating_add(1), to_left);
                let right = self.build_below(depth.saturating_add(1), to_right);
                self.join(left, right)
            }
        }
    }

    /// The node over two halves: nothing, the only leaf, or an inner node.
    fn join(&mut self, left: Link, right: Link) -> Link {
        match (left.place(), right.place()) {
            (Place::Empty, Place::Empty | Place::Leaf(_)) => right,
            (Place::Leaf(_), Place::Empty) => left,
            _ => {
                let hash = merkle::node(&self.hash(left), &self.hash(right));
                Link::inner(self.inner.insert(Inner { left, right, hash }))
            }
        }
    }

    fn hash(&self, link: Link) -> Digest {
        let hash = match link.place() {
            Place::Empty => None,
            Place::Inner(index) => self.inner.get(index).map(|node| node.hash),
            Place::Leaf(index) => self.leaves.get(index).map(|leaf| leaf.hash),
        };
        hash.unwrap_or_else(empty_hash)
    }
}

fn empty_hash() -> Digest {
    static EMPTY: std::sync::OnceLock<Digest> = std::sync::OnceLock::new();
    *EMPTY.get_or_init(merkle::empty)
}

fn change(rule: &LeafRule, key: &[u8], value: Option<&[u8]>) -> Change {
    let tree_key = state_proof::tree_key(key);
    (tree_key, value.map(|value| rule.leaf(&tree_key, value)))
}

/// Parts sorted changes by the bit at `depth`.
fn split(changes: &[Change], depth: usize) -> (&[Change], &[Change]) {
    let middle = changes.partition_point(|(tree_key, _)| state_proof::bit(tree_key, depth) == Some(false));
    changes.split_at(middle)
}

impl Link {
    fn inner(index: usize) -> Link {
        Link(Self::number(index))
    }

    fn leaf(index: usize) -> Link {
        Link(Self::number(index) | LEAF_BIT)
    }

    fn number(index: usize) -> u32 {
        #[expect(clippy::expect_used, reason = "an arena of 2^31 nodes would need over 80 GB")]
        let number =
            u32::try_from(index).ok().and_then(|index| index.checked_add(1)).expect("tree too large");
        assert!(number < LEAF_BIT, "state tree too large");
        number
    }

    fn place(self) -> Place {
        let Some(index) = (self.0 & !LEAF_BIT).checked_sub(1) else { return Place::Empty };
        // u32 fits a usize wherever a node runs.
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        if self.0 & LEAF_BIT == 0 { Place::Inner(index) } else { Place::Leaf(index) }
    }
}

/// Values by number; freed numbers are used again.
#[derive(Clone, Debug)]
struct Arena<T> {
    values: Vec<T>,
    free: Vec<usize>,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Arena { values: Vec::new(), free: Vec::new() }
    }
}

impl<T> Arena<T> {
    fn get(&self, index: usize) -> Option<&T> {
        self.values.get(index)
    }

    fn insert(&mut self, value: T) -> usize {
        if let Some(index) = self.free.pop()
            && let Some(slot) = self.values.get_mut(index)
        {
            *slot = value;
            return index;
        }
        self.values.push(value);
        self.values.len().saturating_sub(1)
    }

    fn free(&mut self, index: usize) {
        self.free.push(index);
    }

    fn used(&self) -> usize {
        self.values.len().saturating_sub(self.free.len())
    }
}

#[cfg(test)]
mod tests;
